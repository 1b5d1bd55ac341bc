//! What the unit tests of the operators share: flows on a timetable, and timelines of what came.

use std::future::poll_fn;
use std::time::Duration;

use crate::{Alarm, Clock, Flow, Stage, Timestamp, Virtual, flow};

/// Milliseconds, as the timetables of the tests count them.
pub(crate) fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A flow that brings these items at these milliseconds of virtual time and ends at `end`.
pub(crate) fn timetable<T: Send + 'static>(
    items: impl IntoIterator<Item = (i64, T), IntoIter: Send + 'static>,
    end: i64,
) -> Flow<impl Stage<Item = T> + Send> {
    let items = items.into_iter();
    flow(Box::pin(async_stream::stream! {
        let mut alarm = Alarm::for_source();
        for (due, item) in items {
            wait(&mut alarm, due).await;
            yield item;
        }
        wait(&mut alarm, end).await;
    }))
}

async fn wait(alarm: &mut Alarm, millis: i64) {
    if alarm.now() < Timestamp::from_millis(millis) {
        alarm.set(Timestamp::from_millis(millis));
        poll_fn(|cx| alarm.poll(cx)).await;
    }
}

/// Runs the flow under virtual time: each item with the millisecond at which it came, and the
/// millisecond of the end.
pub(crate) fn timeline<S: Stage>(flow: Flow<S>) -> (Vec<(i64, S::Item)>, i64) {
    let now = || Clock::current().now().as_millis();
    Virtual::new().run(async {
        let items = flow.fold(Vec::new(), |mut all, item| {
            all.push((now(), item));
            all
        });
        (items.await, now())
    })
}

/// Runs the flow under virtual time and gives its items.
pub(crate) fn items<S: Stage>(flow: Flow<S>) -> Vec<S::Item> {
    timeline(flow).0.into_iter().map(|(_, item)| item).collect()
}
