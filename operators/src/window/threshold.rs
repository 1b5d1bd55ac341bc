//! `threshold`: windows that end with the item that fills them.

use std::hash::Hash;
use std::ops::AddAssign;
use std::panic::Location;

use super::{ByKey, ByWeight, ThresholdWindows, Timed, Whole};
use crate::aggregate::Aggregate;
use crate::keyed::TimedByKey;
use crate::transform::Stepped;
use crate::{Flow, Site, Stage};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items until their weights reach `limit`, and aggregates each group.
    ///
    /// ```text
    /// in    --2--1--3--1--1--(3W)--5--1--|
    /// time    1  2  4  5  5   6 6  8  9
    /// out   --------x--------y-----z-----(u|)    threshold(5, weight, all).values()
    /// where  x = [2, 1, 3], y = [1, 1, 3], z = [5], u = [1]
    /// ```
    ///
    /// A window ends with the item that brings the sum of the weights to the limit or beyond it.
    /// That item belongs to it as a whole: nothing is split, and what is beyond the limit is not
    /// carried into the next window, which begins with the next item.
    ///
    /// Items count in the order in which they come, whatever their times: nothing is late. A
    /// window starts with the time of its first item and ends with that of its last; both belong
    /// to it. Where times go back, the end may lie before the start. No window is
    /// [partial](super::Window::partial); one is [complete](super::Window::complete) if its weight
    /// has reached the limit. It comes out with the time of its last item, or of the watermark if
    /// that is later.
    ///
    /// A weight may be any type that can be added and compared: an integer, a float, a
    /// fixed-point number. An item of no weight is part of its window and fills nothing. A negative
    /// weight takes from the sum. What the sum does when it leaves the range of its type is for the
    /// type to say.
    ///
    /// - **Emits** a window with the item that fills it, and at the end the unfinished one, which
    ///   is not complete. Watermarks pass.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the unfinished window is out.
    /// - **On error**: a panic in `weight`, in an addition, or in the aggregate comes out of the
    ///   poll; the flow has ended then.
    /// - **Holds** one state; by key one for each of `max_keys` keys.
    /// - **Cost**: no allocation once the table of keys has grown, no clock read; one hash for an
    ///   item with a key, and O(log n) for a window.
    ///
    /// # Panics
    ///
    /// If `limit` is not more than the weight of nothing.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::count};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// // Volume bars: the time and the quantity of each trade.
    /// let trades = iter([(0, 3), (1, 4), (7, 9), (8, 1)]);
    /// let bars = trades
    ///     .event_time(|trade| Timestamp::from_secs(trade.0), Duration::ZERO)
    ///     .threshold(5, |trade| trade.1, count())
    ///     .values();
    /// let bars: Vec<_> = bars.map(|bar| (bar.end.as_secs(), bar.value, bar.complete)).collect().await;
    /// assert_eq!(bars, [(1, 2, true), (7, 1, true), (8, 1, false)]);
    /// # });
    /// ```
    #[doc(alias("volume_bars", "dollar_bars", "weighted_window", "window_weighted"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    pub fn threshold<W, F, A>(
        self,
        limit: W,
        weight: F,
        aggregate: A,
    ) -> Flow<Stepped<S, ThresholdWindows<T, A, Whole, ByWeight<F>>>>
    where
        W: PartialOrd + AddAssign + Default,
        F: FnMut(&T) -> W,
        A: Aggregate<T>,
    {
        let limit = checked(limit, Location::caller());
        self.step(ThresholdWindows::new("threshold", limit, ByWeight(weight), Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::threshold`], for each key. A key is held while it has an unfinished window. When
    /// one more comes than [`KeyLimits`](crate::keyed::KeyLimits) allow, the one that has been
    /// silent for longest makes room: its window comes out as
    /// [`Evicted`](crate::window::Firing::Evicted). So does that of a key for which nothing has come
    /// for the [`idle`](crate::keyed::KeyLimits::idle) time, here in event time: when the watermark
    /// has passed its latest item by more than that. At the end windows come out in the order in
    /// which their last items came.
    ///
    /// # Panics
    ///
    /// If `limit` is not more than the weight of nothing.
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    pub fn threshold<W, M, A>(
        self,
        limit: W,
        weight: M,
        aggregate: A,
    ) -> Flow<Stepped<S, ThresholdWindows<T, A, ByKey<F>, ByWeight<M>>>>
    where
        W: PartialOrd + AddAssign + Default,
        M: FnMut(&T) -> W,
        A: Aggregate<T>,
    {
        let limit = checked(limit, Location::caller());
        let weight = ByWeight(weight);
        self.flow.step(ThresholdWindows::new("threshold", limit, weight, self.groups, aggregate))
    }
}

fn checked<W: PartialOrd + Default>(limit: W, site: Site) -> W {
    assert!(limit > W::default(), "threshold: the limit must be more than zero, at {site}");
    limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::window::Firing::{self, Early, End, Evicted, OnTime};
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::window::reference::{Element, Expected, Item, at, elements, told};
    use crate::{Timestamp, iter};
    use proptest::prelude::*;

    /// From -1 to 3.
    fn weight(item: &Item) -> i64 {
        (item.2 * 7 % 5) as i64 - 1
    }

    /// An unfinished window, as one would define it.
    #[derive(Debug, Default)]
    struct Open {
        opened: usize,
        items: Vec<Item>,
    }

    impl Open {
        fn weight(&self) -> i64 {
            self.items.iter().map(weight).sum()
        }

        fn latest(&self) -> Option<i64> {
            self.items.iter().map(|item| item.0).max()
        }

        fn result(&self, firing: Firing, watermark: i64) -> Expected {
            let (first, last) = (self.items[0], self.items[self.items.len() - 1]);
            let numbers = self.items.iter().map(|item| item.2).collect();
            let complete = firing == OnTime;
            let window = (first.0, last.0, first.1, firing, complete, numbers);
            Timed::Item(at(last.0.max(watermark)), window)
        }
    }

    fn define(elements: &[Element], limit: i64, max_keys: usize, idle: i64) -> Vec<Expected> {
        let mut out = Vec::new();
        // By their last items.
        let mut open: Vec<Open> = Vec::new();
        let mut mark = i64::MIN;
        for (number, element) in elements.iter().enumerate() {
            match *element {
                Timed::Item(_, item) => {
                    let own = open.iter().position(|open| open.items[0].1 == item.1);
                    let mut window = own.map_or_else(
                        || Open { opened: number, ..Open::default() },
                        |own| open.remove(own),
                    );
                    window.items.push(item);
                    if window.weight() >= limit {
                        out.push(window.result(OnTime, mark));
                        continue;
                    }
                    if open.len() == max_keys {
                        out.push(open.remove(0).result(Evicted, mark));
                    }
                    open.push(window);
                }
                Timed::Watermark(time) => {
                    let silent = |open: &mut Open| {
                        open.latest().is_some_and(|latest| latest + idle < time.as_nanos())
                    };
                    let mut gone: Vec<_> = open.extract_if(.., silent).collect();
                    gone.sort_by_key(|open| (open.latest(), open.opened));
                    out.extend(gone.iter().map(|open| open.result(Evicted, mark)));
                    mark = mark.max(time.as_nanos());
                    out.push(Timed::Watermark(time));
                }
            }
        }
        out.extend(open.iter().map(|open| open.result(End, mark)));
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_window_has_the_items_of_its_key_that_reach_the_limit(
            elements in elements(), limit in 1i64..9, max_keys in 1usize..4, idle in 0i64..20,
        ) {
            let limits = KeyLimits::new(max_keys).idle(Duration::from_nanos(idle.unsigned_abs()));
            let flow = iter(elements.clone()).by_key(limits, |item: &Item| item.1);
            let mut flow = flow.threshold(limit, weight, All);
            let out = items(flow.by_ref().map(told));
            prop_assert_eq!(out, define(&elements, limit, max_keys, idle));
            let counts = flow.counts();
            prop_assert!(counts.high_water <= max_keys);
            prop_assert_eq!((counts.held, counts.late), (0, 0));
        }
    }

    fn seconds(list: &[i64]) -> Vec<Timed<i64>> {
        let times = iter(list.to_vec());
        items(times.event_time(|s| Timestamp::from_secs(*s), Duration::ZERO))
    }

    /// Start, end, items and firing of each window of times that weigh what `weight` says.
    fn run(list: &[i64], limit: i64, weight: fn(&i64) -> i64) -> Vec<(i64, i64, Vec<i64>, Firing)> {
        let out = items(iter(seconds(list)).threshold(limit, weight, All).values());
        out.into_iter().map(|w| (w.start.as_secs(), w.end.as_secs(), w.value, w.firing)).collect()
    }

    #[test]
    fn the_item_that_reaches_the_limit_belongs_to_the_window_as_a_whole() {
        let out = run(&[1, 2, 90, 4], 10, |s| *s);
        assert_eq!(out, [(1, 90, vec![1, 2, 90], OnTime), (4, 4, vec![4], End)]);
        // Exactly the limit is enough.
        assert_eq!(run(&[4, 6, 7], 10, |s| *s)[0], (4, 6, vec![4, 6], OnTime));
    }

    #[test]
    fn an_item_of_no_weight_fills_nothing_and_a_negative_one_takes_from_the_sum() {
        let out = run(&[1, 2, 3, 4, 5, 6], 5, |s| [0, 3, 0, -2, 3, 1, -9][*s as usize]);
        assert_eq!(out, [(1, 5, vec![1, 2, 3, 4, 5], OnTime), (6, 6, vec![6], End)]);
        assert_eq!(run(&[0, 0, 0], 1, |s| *s), [(0, 0, vec![0, 0, 0], End)]);
    }

    #[test]
    fn a_weight_that_is_not_a_number_never_reaches_the_limit() {
        let flow = iter(seconds(&[1, 2, 3]));
        let out =
            items(flow.threshold(1.0, |s| if *s == 1 { f64::NAN } else { 9.0 }, All).values());
        assert_eq!(out.iter().map(|w| w.firing).collect::<Vec<_>>(), [End]);
    }

    #[test]
    fn a_window_has_the_times_of_the_first_and_last_to_come_and_no_time_before_the_watermark() {
        let at = Timestamp::from_secs;
        let elements = [
            Timed::Item(at(5), 1),
            Timed::Watermark(at(9)),
            Timed::Item(at(3), 1),
            Timed::Item(at(8), 1),
        ];
        let out = items(iter(elements).threshold(2, |x| *x, All));
        let spans = out.iter().filter_map(|element| match element {
            Timed::Item(time, w) => Some((time.as_secs(), w.start.as_secs(), w.end.as_secs())),
            Timed::Watermark(_) => None,
        });
        assert_eq!(spans.collect::<Vec<_>>(), [(9, 5, 3), (9, 8, 8)]);
    }

    #[test]
    fn a_window_comes_early_after_so_many_items() {
        let flow = iter(seconds(&[1, 2, 3, 4, 5])).threshold(15, |s| *s, All);
        let out = items(flow.early_every_items(2).values().map(|w| (w.value.len(), w.firing)));
        assert_eq!(out, [(2, Early), (4, Early), (5, OnTime)]);
        let flow = iter(seconds(&[1, 2])).threshold(15, |s| *s, All);
        let out = items(flow.early_every_items(1).values().map(|w| (w.value.len(), w.firing)));
        assert_eq!(out, [(1, Early), (2, Early), (2, End)]);
    }

    #[test]
    #[should_panic(expected = "early_every_items: it must not be zero, at operators/src/window")]
    fn early_after_no_items_is_refused() {
        let _ = iter(seconds(&[])).threshold(1, |s| *s, All).early_every_items(0);
    }

    #[test]
    #[should_panic(expected = "threshold: the limit must be more than zero, at operators/src/")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter(seconds(&[])).threshold(0, |s| *s, All);
    }

    #[test]
    #[should_panic(expected = "threshold: the limit must be more than zero")]
    fn a_limit_below_zero_is_refused_also_by_key() {
        let _ = iter(seconds(&[])).by_key(KeyLimits::new(1), |s| *s).threshold(-0.5, |_| 1.0, All);
    }

    #[test]
    fn an_item_that_fills_a_window_alone_needs_no_place() {
        let flow = iter(seconds(&[1, 9, 2, 9])).by_key(KeyLimits::new(1), |s| *s);
        let out = items(flow.threshold(9, |s| *s, All).values().map(|w| (w.key, w.firing)));
        assert_eq!(out, [(9, OnTime), (1, Evicted), (9, OnTime), (2, End)]);
    }

    #[test]
    fn times_at_the_ends_of_time_count_and_do_not_stop_the_flow() {
        let times = [Timestamp::MIN, Timestamp::MAX, Timestamp::EPOCH];
        let elements = times.iter().flat_map(|time| {
            [Timed::Item(*time, 1), Timed::Item(*time, 2), Timed::Watermark(*time)]
        });
        let limits = KeyLimits::new(2).idle(Duration::MAX);
        let flow = iter(elements.collect::<Vec<_>>()).by_key(limits, |x| *x);
        let mut flow = flow.threshold(9, |x| *x, All);
        let told: usize = items(flow.by_ref().values()).iter().map(|w| w.value.len()).sum();
        assert_eq!((told, flow.counts().held), (6, 0));
    }

    #[test]
    fn memory_is_bounded_by_the_keys_under_a_watermark_that_never_moves() {
        let elements = (0..100_000).map(|x| Timed::Item(Timestamp::EPOCH, x));
        let flow = iter(elements).by_key(KeyLimits::new(10), |x: &i64| *x * *x % 1_009);
        let mut flow = flow.threshold(5, |_| 1, All);
        let told: usize = items(flow.by_ref().values()).iter().map(|w| w.value.len()).sum();
        let counts = flow.counts();
        assert_eq!((told, counts.high_water, counts.held), (100_000, 10, 0));
    }

    conformance!(threshold, |input| {
        input.event_time(value_as_time, ms(1)).threshold(7, Tracked::value, Sum)
    });
    conformance!(threshold_by_key, |input| {
        let timed = input.event_time(value_as_time, ms(1));
        let keys = timed.by_key(KeyLimits::new(2).idle(ms(3)), |x| x.value() % 3);
        keys.threshold(7, Tracked::value, Sum).early_every_items(2)
    });

    marbles!(threshold, |input: Timed<u32>| {
        input.threshold(5, |x| *x, All).values().map(|window| window.value)
    });

    specification!(
        threshold,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(0));
            let windows = timed.threshold(9, |x| *x, All).values();
            windows.map(|w| (w.start.as_millis(), w.end.as_millis(), w.value, w.firing))
        },
        |input| -> Timeline<_> {
            let mut output = Timeline::new([], input.end);
            let mut open: Vec<i64> = Vec::new();
            let result = |all: Vec<i64>, firing| (all[0], all[all.len() - 1], all, firing);
            for (at, x) in input.events {
                open.push(x);
                if open.iter().sum::<i64>() >= 9 {
                    output.events.push((at, result(std::mem::take(&mut open), OnTime)));
                }
            }
            if !open.is_empty() {
                output.events.push((input.end, result(open, End)));
            }
            output
        }
    );
}
