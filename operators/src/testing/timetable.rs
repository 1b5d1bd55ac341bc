//! Flows on a timetable, and timelines of what came.

use std::fmt::Debug;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Bound, Clock, Flow, Outline, Site, Stage, Timestamp, Virtual};

/// Milliseconds, as the timetables of tests count them.
pub fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A flow that brings these items at these milliseconds of virtual time and ends at `end`.
///
/// ```
/// use aqueduct_operators::testing::{ms, timeline, timetable};
///
/// let late = timetable([(1, 'a'), (4, 'b')], 6).delay(ms(2), 8);
/// assert_eq!(timeline(late), (vec![(3, 'a'), (6, 'b')], 6));
/// ```
#[track_caller]
pub fn timetable<T: Send + 'static>(
    items: impl IntoIterator<Item = (i64, T), IntoIter: Send + 'static>,
    end: i64,
) -> Flow<Timetable<impl Iterator<Item = (i64, T)> + Send + 'static>> {
    Flow::from_stage(Timetable {
        items: Some(items.into_iter()),
        next: None,
        end,
        alarm: Alarm::for_source(),
        site: Location::caller(),
    })
}

/// The stage behind [`timetable`].
#[pin_project]
#[derive(Debug)]
pub struct Timetable<I: Iterator> {
    /// `None` when it has ended.
    items: Option<I>,
    /// The item that is not due yet; `Some(None)`: there are no more.
    next: Option<Option<I::Item>>,
    end: i64,
    alarm: Alarm,
    site: Site,
}

impl<T, I: Iterator<Item = (i64, T)>> Stage for Timetable<I> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        let Some(items) = this.items else {
            return Poll::Ready(None);
        };
        let next = this.next.get_or_insert_with(|| items.next());
        let due = Timestamp::from_millis(next.as_ref().map_or(*this.end, |(due, _)| *due));
        if this.alarm.now() < due || this.alarm.deadline().is_some() {
            if this.alarm.deadline() != Some(due) {
                this.alarm.set(due);
            }
            ready!(this.alarm.poll(cx));
        }
        let item = this.next.take().flatten();
        if item.is_none() {
            *this.items = None;
        }
        Poll::Ready(item.map(|(_, item)| item))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let Some(items) = &self.items else {
            return (0, Some(0));
        };
        let waiting = usize::from(matches!(self.next, Some(Some(_))));
        let (least, most) = items.size_hint();
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("timetable", self.site).holds(Bound::Items(1));
    }
}

/// Runs the flow under virtual time: each item with the millisecond at which it came, and the
/// millisecond of the end.
pub fn timeline<S: Stage>(flow: Flow<S>) -> (Vec<(i64, S::Item)>, i64) {
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
pub fn items<S: Stage>(flow: Flow<S>) -> Vec<S::Item> {
    timeline(flow).0.into_iter().map(|(_, item)| item).collect()
}

/// The items of a stage, taken in several ways that must agree: drained, pulled one by one, and
/// both in turn. On the way it checks that the size hints are honest and that the end is final.
pub fn every_way<S>(make: impl Fn() -> Flow<S>) -> Vec<S::Item>
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
