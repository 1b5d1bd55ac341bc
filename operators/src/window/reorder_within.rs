//! `reorder_within`: items in the order of their times, within a bounded disorder.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::late::LatePolicy;
use super::{
    DropLate, EmitLate, EventTime, EventTimeCounts, Reorder, ReorderCounts, Timed, Watermarks,
};
use crate::{Flow, Outline, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Puts items in the order of their times, if each comes at most `disorder` after one that is
    /// later.
    ///
    /// ```text
    /// in    --3--1--4--6--5--|
    /// out   -----1-----(34)--(56|)    reorder_within(2, 8, |x| x.time)
    /// ```
    ///
    /// The same as [`event_time`](Self::event_time), [`reorder`](Self::reorder) and
    /// [`values`](Self::values): an item waits until another one is `disorder` later, and with
    /// [`Watermarks::idle`] in place of the disorder for the clock as well. Ties, what is too much
    /// for `capacity` and what is late are as there, and so are times that are none.
    ///
    /// - **Emits** an item when another one has come that is `disorder` later; at the end all that
    ///   wait.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and all that waited is out.
    /// - **On error**: a panic in `time` comes out of the poll; the flow has ended then.
    /// - **Holds** up to `capacity` items.
    /// - **Cost**: that of [`reorder`](Self::reorder): no heap for what comes in order, no
    ///   allocation once the queue has grown, no clock read without [`Watermarks::idle`].
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let ordered = iter([2, 1, 4, 3, 7]).reorder_within(Duration::from_secs(2), 1_000, time);
    /// assert_eq!(ordered.collect::<Vec<_>>().await, [1, 2, 3, 4, 7]);
    /// # });
    /// ```
    #[doc(alias("reorder_locally", "attempt_reorder_locally", "sort_within"))]
    #[track_caller]
    pub fn reorder_within<F>(
        self,
        disorder: impl Into<Watermarks>,
        capacity: usize,
        time: F,
    ) -> Flow<ReorderWithin<S, F>>
    where
        F: FnMut(&S::Item) -> Timestamp,
    {
        let site = Location::caller();
        assert!(capacity > 0, "reorder_within: the capacity must not be zero, at {site}");
        let ordered = self.event_time(time, disorder).reorder(capacity);
        Flow::from_stage(ReorderWithin { ordered: ordered.into_stage() })
    }
}

impl<S: Stage, F: FnMut(&S::Item) -> Timestamp> Flow<ReorderWithin<S, F>> {
    /// Late items come out too, as [`Either::Right`](either::Either::Right), when they come.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, combine::Either, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let (ordered, late): (Vec<_>, Vec<_>) = iter([5, 1, 6])
    ///     .reorder_within(Duration::ZERO, 8, time)
    ///     .with_late()
    ///     .collect::<Vec<_>>()
    ///     .await
    ///     .into_iter()
    ///     .partition(Either::is_left);
    /// assert_eq!((ordered.len(), late.len()), (2, 1));
    /// # });
    /// ```
    #[doc(alias("side_output", "divert_late"))]
    pub fn with_late(self) -> Flow<ReorderWithin<S, F, EmitLate>> {
        let ordered = Flow::from_stage(self.into_stage().ordered).with_late();
        Flow::from_stage(ReorderWithin { ordered: ordered.into_stage() })
    }
}

impl<S, F, L> Flow<ReorderWithin<S, F, L>>
where
    S: Stage,
    ReorderWithin<S, F, L>: Stage,
{
    /// What became of the items so far.
    pub fn counts(&self) -> ReorderCounts {
        self.stage().ordered.counts()
    }

    /// What became of their times: items without one are not among the [`counts`](Self::counts).
    pub fn times(&self) -> EventTimeCounts {
        self.stage().ordered.input().counts()
    }
}

/// The stage behind [`Flow::reorder_within`]; `L` says what becomes of late items.
#[pin_project]
pub struct ReorderWithin<S: Stage, F, L = DropLate> {
    #[pin]
    ordered: Reorder<EventTime<S, F>, S::Item, L>,
}

impl<S, F, L> Stage for ReorderWithin<S, F, L>
where
    S: Stage,
    F: FnMut(&S::Item) -> Timestamp,
    L: LatePolicy<S::Item>,
{
    type Item = L::Out<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<L::Out<S::Item>>> {
        let mut ordered = self.project().ordered;
        loop {
            match ready!(ordered.as_mut().poll_next(cx)) {
                Some(Timed::Item(_, item)) => return Poll::Ready(Some(item)),
                Some(Timed::Watermark(_)) => {}
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(L::Out<S::Item>) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.project().ordered.poll_drain(cx, &mut |element| match element {
            Timed::Item(_, item) => each(item),
            Timed::Watermark(_) => ControlFlow::Continue(()),
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().ordered.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.ordered.counts().held;
        let most = self.ordered.input().most_items();
        (held, most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.ordered.describe(outline);
    }
}

impl<S: Stage + fmt::Debug, F: fmt::Debug, L> fmt::Debug for ReorderWithin<S, F, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReorderWithin").field(&self.ordered).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::combine::Either;
    use crate::testing::*;
    use crate::{Virtual, iter};

    fn millis(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    #[test]
    fn what_is_late_and_what_has_no_time_is_counted() {
        let times = [5, i64::MAX, 4, 9, 1].map(Timestamp::from_nanos);
        let within = Duration::from_nanos(2);
        let mut ordered = iter(times).reorder_within(within, 8, |time| *time);
        let mut out = Vec::new();
        Virtual::new().run(async {
            while let Some(time) = ordered.next().await {
                out.push(time.as_nanos());
            }
        });
        assert_eq!(out, [4, 5, 9]);
        assert_eq!((ordered.counts().accepted, ordered.counts().late), (4, 1));
        assert_eq!((ordered.times().untimed, ordered.times().late), (1, 1));
        assert_eq!(ordered.times().latest, Some(Timestamp::from_nanos(9)));
    }

    #[test]
    fn a_silence_releases_what_waits_if_the_clock_may() {
        let quiet = Watermarks::disorder(ms(4)).idle(ms(3)).every(ms(1));
        let flow = timetable([(1, 10), (2, 8)], 50).reorder_within(quiet, 8, millis);
        // The watermark is 6 at millisecond 2, and goes on from millisecond 5.
        assert_eq!(timeline(flow), (vec![(7, 8), (9, 10)], 50));
    }

    #[test]
    fn late_items_come_out_apart() {
        let flow = || iter([5, 1, 6]).reorder_within(ms(0), 8, millis).with_late();
        let late = crate::window::Late { time: millis(&1), item: 1 };
        assert_eq!(every_way(flow), [Either::Left(5), Either::Right(late), Either::Left(6)]);
    }

    #[test]
    #[should_panic(expected = "reorder_within: the capacity must not be zero")]
    fn a_capacity_of_zero_is_refused() {
        let _ = iter([1]).reorder_within(ms(0), 0, millis);
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(reorder_within, |input| input.reorder_within(ms(3), 3, value_as_time));

    marbles!(reorder_within, |input: i64| input.reorder_within(ms(2), 8, millis));

    specification!(
        reorder_within,
        |input: i64| input.reorder_within(ms(5), 1_000, millis),
        |input| {
            let (mut latest, mut held, end) = (i64::MIN + 9, Vec::new(), input.end);
            let mut output = input.flat_map(|_, time| {
                if time >= latest - 5 {
                    held.push(time);
                }
                latest = latest.max(time);
                held.sort();
                let due = held.partition_point(|time| *time <= latest - 5);
                held.drain(..due).collect::<Vec<_>>()
            });
            output.events.extend(held.into_iter().map(|time| (end, time)));
            output
        }
    );
}
