//! What the unit tests of the operators share: flows on a timetable, and timelines of what came.

use std::fmt::Debug;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::pin;
use std::task::{Poll, ready};
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

/// The items of a stage, taken in several ways that must agree: drained, pulled one by one, and
/// both in turn. On the way it checks that the size hints are honest and that the end is final.
pub(crate) fn every_way<S>(make: impl Fn() -> Flow<S>) -> Vec<S::Item>
where
    S: Stage<Item: PartialEq + Debug>,
{
    let drained = items(make());
    for burst in [0, 1, 3] {
        let stage = make().into_stage();
        let (taken, hints) = Virtual::new().run(pull_and_drain(stage, burst));
        assert_eq!(taken, drained, "with drains of {burst} items between");
        for (before, (least, most)) in hints {
            let left = drained.len() - before;
            assert!(
                least <= left && most.is_none_or(|most| left <= most),
                "{left} items are left, and the hint is {least} to {most:?}"
            );
        }
    }
    drained
}

/// Each size hint with the number of items that were taken before it.
type Hints = Vec<(usize, (usize, Option<usize>))>;

/// Takes an item, then drains `burst` of them, and so on to the end.
async fn pull_and_drain<S: Stage>(stage: S, burst: usize) -> (Vec<S::Item>, Hints) {
    let mut stage = pin!(stage);
    let mut taken = Vec::new();
    let mut hints = Vec::new();
    poll_fn(|cx| {
        loop {
            hints.push((taken.len(), stage.size_hint()));
            match ready!(stage.as_mut().poll_next(cx)) {
                Some(item) => taken.push(item),
                None => return Poll::Ready(()),
            }
            let end = taken.len() + burst;
            if burst > 0 {
                let drained = stage.as_mut().poll_drain(cx, &mut |item| {
                    taken.push(item);
                    if taken.len() == end {
                        ControlFlow::Break(())
                    } else {
                        ControlFlow::Continue(())
                    }
                });
                if ready!(drained).is_continue() {
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;
    hints.push((taken.len(), stage.size_hint()));
    let after = poll_fn(|cx| stage.as_mut().poll_next(cx)).await;
    assert!(after.is_none(), "an item came after the end");
    (taken, hints)
}
