//! `reorder`: the items of a flow in event time, in its order.

use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::late::LatePolicy;
use super::sorter::{Put, Sorter};
use super::{DropLate, EmitLate, Late, ReorderCounts, Timed};
use crate::{Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Puts items in the order of their times: each waits for the watermark to reach it.
    ///
    /// ```text
    /// in    --b--a--(cW)--d--(eW)--|
    /// time    2  1  4 2   3  5 4
    /// out   --------(abW)----(dcW)-(e|)    reorder(8)
    /// time          1 2 2    3 4 4 5
    /// ```
    ///
    /// Items at the same time keep the order in which they came. An item at the very time of the
    /// watermark goes out with it, because another one at that time comes behind it anyway. When
    /// `capacity` items wait and another comes, the earliest of them all goes out at once, as if
    /// the watermark had reached it, and is counted as forced: a source that never advances, or
    /// is out of order by more than it says, costs order and never memory.
    ///
    /// An item that is earlier than what has gone out, or than the watermark, is late. It is
    /// dropped and [counted](Flow::counts), or comes out apart: see [`with_late`](Flow::with_late).
    /// For items without event time there is [`reorder_within`](Flow::reorder_within).
    ///
    /// - **Emits** an item when the watermark reaches it; each watermark behind the items that it
    ///   released; at the end all that wait.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and all that waited is out.
    /// - **On error**: nothing here can fail.
    /// - **Holds** up to `capacity` items.
    /// - **Cost**: for an item that comes in order that of a queue, for another one about log2 of
    ///   those that wait comparisons; no allocation once the queue has grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let timed = iter([2, 1, 4, 3, 7]).event_time(|s| Timestamp::from_secs(*s), Duration::from_secs(2));
    /// let ordered: Vec<_> = timed.reorder(1_000).values().collect().await;
    /// assert_eq!(ordered, [1, 2, 3, 4, 7]);
    /// # });
    /// ```
    #[doc(alias("sort_by_time", "in_time_order", "event_time_sort", "reorder_locally"))]
    #[track_caller]
    pub fn reorder(self, capacity: usize) -> Flow<Reorder<S, T>> {
        let site = Location::caller();
        assert!(capacity > 0, "reorder: the capacity must not be zero, at {site}");
        Flow::from_stage(Reorder {
            input: self.into_stage(),
            ended: false,
            sorter: Sorter::new(capacity),
            passing: None,
            late: PhantomData,
            site,
        })
    }
}

impl<S: Stage<Item = Timed<T>>, T> Flow<Reorder<S, T>> {
    /// Late items come out too, as [`Either::Right`](either::Either::Right), at the time that had
    /// been reached when they came.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, combine::Either, iter, window::Late};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let ordered = iter([5, 1, 6]).event_time(time, Duration::ZERO).reorder(8).with_late();
    /// let all: Vec<_> = ordered.values().collect().await;
    /// let late = Late { time: Timestamp::from_secs(1), item: 1 };
    /// assert_eq!(all, [Either::Left(5), Either::Right(late), Either::Left(6)]);
    /// # });
    /// ```
    #[doc(alias("side_output", "divert_late"))]
    pub fn with_late(self) -> Flow<Reorder<S, T, EmitLate>> {
        let Reorder { input, ended, sorter, passing, site, .. } = self.into_stage();
        Flow::from_stage(Reorder { input, ended, sorter, passing, late: PhantomData, site })
    }
}

impl<S, T, L> Flow<Reorder<S, T, L>>
where
    Reorder<S, T, L>: Stage,
{
    /// What became of the items so far.
    pub fn counts(&self) -> ReorderCounts {
        self.stage().counts()
    }
}

/// The stage behind [`Flow::reorder`]; `L` says what becomes of late items.
#[pin_project]
pub struct Reorder<S, T, L = DropLate> {
    #[pin]
    input: S,
    ended: bool,
    sorter: Sorter<T>,
    /// A watermark that waits for the items it releases.
    passing: Option<i64>,
    late: PhantomData<L>,
    site: Site,
}

impl<S, T, L> Reorder<S, T, L> {
    pub(super) fn counts(&self) -> ReorderCounts {
        self.sorter.counts()
    }

    pub(super) fn input(&self) -> &S {
        &self.input
    }
}

/// What comes out for an item that came.
#[inline]
fn answer<T, L: LatePolicy<T>>(
    sorter: &mut Sorter<T>,
    time: i64,
    item: T,
) -> Option<Timed<L::Out<T>>> {
    match sorter.put(time, item) {
        Put::Held => None,
        Put::Due(time, item) => Some(Timed::Item(Timestamp::from_nanos(time), L::result(item))),
        Put::Late(item) => {
            let late = L::late(Late { time: Timestamp::from_nanos(time), item })?;
            Some(Timed::Item(Timestamp::from_nanos(sorter.reached()), late))
        }
    }
}

/// The next item up to this time.
#[inline]
fn due<T, L: LatePolicy<T>>(sorter: &mut Sorter<T>, until: i64) -> Option<Timed<L::Out<T>>> {
    let (time, item) = sorter.pop_until(until)?;
    Some(Timed::Item(Timestamp::from_nanos(time), L::result(item)))
}

/// The next of what a watermark brings: the items that it releases, and then itself.
#[inline]
fn release<T, L: LatePolicy<T>>(
    sorter: &mut Sorter<T>,
    passing: &mut Option<i64>,
) -> Option<Timed<L::Out<T>>> {
    let watermark = (*passing)?;
    let item = due::<T, L>(sorter, watermark);
    if item.is_some() {
        return item;
    }
    *passing = None;
    Some(Timed::Watermark(Timestamp::from_nanos(watermark)))
}

impl<S, T, L> Stage for Reorder<S, T, L>
where
    S: Stage<Item = Timed<T>>,
    L: LatePolicy<T>,
{
    type Item = Timed<L::Out<T>>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let element @ Some(_) = release::<T, L>(this.sorter, this.passing) {
                return Poll::Ready(element);
            }
            if *this.ended {
                return Poll::Ready(due::<T, L>(this.sorter, i64::MAX));
            }
            match ready!(this.input.as_mut().poll_next(cx)) {
                Some(Timed::Item(time, item)) => {
                    let answer = answer::<T, L>(this.sorter, time.as_nanos(), item);
                    if answer.is_some() {
                        return Poll::Ready(answer);
                    }
                }
                Some(Timed::Watermark(time)) => {
                    let time = time.as_nanos();
                    *this.passing = this.sorter.reach(time).then_some(time);
                }
                None => *this.ended = true,
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let (sorter, passing) = (this.sorter, this.passing);
        while let Some(element) = release::<T, L>(sorter, passing) {
            if let broke @ ControlFlow::Break(_) = each(element) {
                return Poll::Ready(broke);
            }
        }
        if !*this.ended {
            let drained = this.input.poll_drain(cx, &mut |element| match element {
                Timed::Item(time, item) => match answer::<T, L>(sorter, time.as_nanos(), item) {
                    Some(element) => each(element),
                    None => ControlFlow::Continue(()),
                },
                Timed::Watermark(time) => {
                    let time = time.as_nanos();
                    if !sorter.reach(time) {
                        return ControlFlow::Continue(());
                    }
                    while let Some(element) = due::<T, L>(sorter, time) {
                        if let broke @ ControlFlow::Break(_) = each(element) {
                            *passing = Some(time);
                            return broke;
                        }
                    }
                    each(Timed::Watermark(Timestamp::from_nanos(time)))
                }
            });
            if let broke @ ControlFlow::Break(_) = ready!(drained) {
                return Poll::Ready(broke);
            }
            *this.ended = true;
        }
        while let Some(element) = due::<T, L>(sorter, i64::MAX) {
            if let broke @ ControlFlow::Break(_) = each(element) {
                return Poll::Ready(broke);
            }
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if *this.ended { Poll::Ready(()) } else { this.input.poll_progress(cx) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.sorter.len();
        let passing = usize::from(self.passing.is_some());
        let most = if self.ended { Some(0) } else { self.input.size_hint().1 };
        (held, most.and_then(|most| most.checked_add(held)?.checked_add(passing)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let capacity = self.sorter.capacity();
        outline
            .stage("reorder", self.site)
            .parameter("capacity", capacity)
            .holds(Bound::Items(capacity));
    }
}

impl<S: fmt::Debug, T, L> fmt::Debug for Reorder<S, T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reorder")
            .field("input", &self.input)
            .field("ended", &self.ended)
            .field("sorter", &self.sorter)
            .field("passing", &self.passing)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::combine::Either;
    use crate::iter;
    use crate::testing::*;

    fn millis(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    fn item(time: i64) -> Timed<i64> {
        Timed::Item(millis(&time), time)
    }

    fn mark(time: i64) -> Timed<i64> {
        Timed::Watermark(millis(&time))
    }

    #[test]
    fn an_item_goes_out_with_the_watermark_that_reaches_it_and_one_later_waits() {
        let flow = || iter([item(3), item(2), mark(2), item(4), mark(3), mark(9)]).reorder(8);
        let expected = [item(2), mark(2), item(3), mark(3), item(4), mark(9)];
        assert_eq!(every_way(flow), expected);
    }

    #[test]
    fn an_item_at_the_time_of_the_watermark_goes_out_at_once() {
        let flow = || iter([item(3), mark(3), item(3), item(7), item(4)]).reorder(8);
        assert_eq!(every_way(flow), [item(3), mark(3), item(3), item(4), item(7)]);
    }

    #[test]
    fn when_it_is_full_the_earliest_goes_out_and_what_is_before_that_is_late() {
        let mut ordered = iter([5, 3, 4, 2, 9, 3, 4].map(item)).reorder(2);
        let mut out = Vec::new();
        crate::Virtual::new().run(async {
            while let Some(Timed::Item(_, x)) = ordered.next().await {
                out.push(x);
            }
        });
        // 3 goes for 4, then 2 is late; 4 goes for 9, 3 is late, and 4 ties with what is out.
        assert_eq!(out, [3, 4, 4, 5, 9]);
        let counts = ordered.counts();
        assert_eq!((counts.accepted, counts.emitted, counts.forced), (7, 5, 3));
        assert_eq!((counts.late, counts.held, counts.most_held), (2, 0, 2));
    }

    #[test]
    fn the_end_of_time_as_a_watermark_releases_all_and_passes() {
        let end = Timed::Watermark(Timestamp::MAX);
        let flow = || iter([item(3), item(2), end, mark(4)]).reorder(8);
        assert_eq!(every_way(flow), [item(2), item(3), end]);
    }

    #[test]
    fn late_items_come_out_apart_at_the_time_that_had_been_reached() {
        let flow = || iter([item(5), mark(5), item(1), item(6)]).reorder(8).with_late();
        let late = Late { time: millis(&1), item: 1 };
        let expected = [
            Timed::Item(millis(&5), Either::Left(5)),
            Timed::Watermark(millis(&5)),
            Timed::Item(millis(&5), Either::Right(late)),
            Timed::Item(millis(&6), Either::Left(6)),
        ];
        assert_eq!(every_way(flow), expected);
    }

    #[test]
    fn a_source_out_of_order_by_hours_holds_no_more_than_the_capacity() {
        let hour = 3_600_000;
        let times = (0..10_000).map(move |n| n * 7_919 % hour);
        let mut ordered = iter(times).event_time(millis, ms(hour as u64)).reorder(100);
        crate::Virtual::new().run(async { while ordered.next().await.is_some() {} });
        let counts = ordered.counts();
        assert_eq!(counts.most_held, 100);
        assert_eq!(counts.accepted, counts.emitted + counts.late);
        assert!(counts.forced > 0 && counts.late > 0);
    }

    #[test]
    #[should_panic(expected = "reorder: the capacity must not be zero, at operators/src/window")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([item(1)]).reorder(0);
    }

    proptest! {
        /// Items that come at most `disorder` late come out as a stable sort has them.
        #[test]
        fn within_the_disorder_it_is_a_stable_sort(
            steps in prop::collection::vec((0..4i64, 0..9i64), 0..200),
        ) {
            let mut now = 0;
            let times = steps.iter().map(|(step, back)| {
                now += step;
                now - back
            });
            let items: Vec<_> = times.enumerate().map(|(number, time)| (time, number)).collect();
            let time = |item: &(i64, usize)| millis(&item.0);
            // A latest item of `now` and one 8 before it.
            let ordered = iter(items.clone()).event_time(time, ms(8)).reorder(1_000);
            let mut expected = items;
            expected.sort();
            prop_assert_eq!(crate::testing::items(ordered.values()), expected);
        }
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(reorder, |input| input.event_time(value_as_time, ms(3)).reorder(3));
    conformance!(reorder_with_late, |input| {
        input.event_time(value_as_time, ms(0)).reorder(3).with_late()
    });

    marbles!(reorder, |input: Timed<char>| input.reorder(8));

    /// What a list that is sorted with every item does.
    fn by_sorting(input: Timeline<i64>, capacity: usize) -> Timeline<Timed<Either<i64, i64>>> {
        let (mut held, mut number) = (Vec::<(i64, usize)>::new(), 0);
        let (mut watermark, mut reached) = (i64::MIN, i64::MIN);
        let out = |(time, _): (i64, usize)| Timed::Item(millis(&time), Either::Left(time));
        let end = input.end;
        let mut output = input.flat_map(|_, time| {
            let mut all = Vec::new();
            if time < reached {
                all.push(Timed::Item(millis(&reached), Either::Right(time)));
            } else {
                held.push((time, number));
                number += 1;
                held.sort();
                if held[0].0 <= watermark || held.len() > capacity {
                    reached = held[0].0.max(reached);
                    all.push(out(held.remove(0)));
                }
            }
            if time - 4 > watermark {
                watermark = time - 4;
                reached = reached.max(watermark);
                while held.first().is_some_and(|(time, _)| *time <= watermark) {
                    all.push(out(held.remove(0)));
                }
                all.push(Timed::Watermark(millis(&watermark)));
            }
            all
        });
        output.events.extend(held.into_iter().map(|held| (end, out(held))));
        output
    }

    specification!(
        reorder,
        |input: i64| {
            let ordered = input.event_time(millis, Duration::from_millis(4)).reorder(3);
            ordered.with_late().map(|element| match element {
                Timed::Item(time, item) => Timed::Item(time, item.map_right(|late| late.item)),
                Timed::Watermark(time) => Timed::Watermark(time),
            })
        },
        |input| by_sorting(input, 3)
    );
    specification!(
        reorder_without_late,
        |input: i64| input.event_time(millis, ms(4)).reorder(2).values(),
        |input| by_sorting(input, 2).flat_map(|_, element| match element {
            Timed::Item(_, Either::Left(time)) => Some(time),
            _ => None,
        })
    );
}
