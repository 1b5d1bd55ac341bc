//! `count_windows`: windows of so many items.

use std::hash::Hash;
use std::panic::Location;

use super::{ByCount, ByKey, ThresholdWindows, Timed, Whole};
use crate::aggregate::Aggregate;
use crate::keyed::TimedByKey;
use crate::transform::Stepped;
use crate::{Flow, Site, Stage};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups every `items` items, and aggregates each group.
    ///
    /// ```text
    /// in    --a--b--c---(dW)--e--|
    /// time    1  2  5    4 4  6
    /// out   -----x------y--------(z|)    count_windows(2, all).values()
    /// where  x = [a, b], y = [c, d], z = [e]
    /// ```
    ///
    /// It is [`threshold`](Self::threshold) where each item weighs 1, and keeps the same contract:
    /// items count in the order in which they come, whatever their times, and nothing is late. A
    /// window starts with the time of its first item and ends with that of its last; both belong
    /// to it.
    ///
    /// - **Emits** a window with the item that fills it, and at the end the unfinished one, which
    ///   is not complete. Watermarks pass.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the unfinished window is out.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state; by key one for each of `max_keys` keys.
    /// - **Cost**: no allocation once the table of keys has grown, no clock read; one hash for an
    ///   item with a key, and O(log n) for a window.
    ///
    /// # Panics
    ///
    /// If `items` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::count};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let ticks = iter([1, 5, 7]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
    /// let bars = ticks.count_windows(2, count()).values();
    /// let bars: Vec<_> = bars.map(|bar| (bar.start.as_secs(), bar.value)).collect().await;
    /// assert_eq!(bars, [(1, 2), (7, 1)]);
    /// # });
    /// ```
    #[doc(alias("count_window", "tick_bars", "window_count"))]
    #[track_caller]
    pub fn count_windows<A: Aggregate<T>>(
        self,
        items: u64,
        aggregate: A,
    ) -> Flow<Stepped<S, ThresholdWindows<T, A, Whole, ByCount>>> {
        let items = checked(items, Location::caller());
        self.step(ThresholdWindows::new("count_windows", items, ByCount, Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::count_windows`], for each key. What happens to a key too many, and to one that has
    /// fallen silent, is as at [`threshold`](Self::threshold).
    ///
    /// # Panics
    ///
    /// If `items` is zero.
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    pub fn count_windows<A: Aggregate<T>>(
        self,
        items: u64,
        aggregate: A,
    ) -> Flow<Stepped<S, ThresholdWindows<T, A, ByKey<F>, ByCount>>> {
        let items = checked(items, Location::caller());
        let groups = self.groups;
        self.flow.step(ThresholdWindows::new("count_windows", items, ByCount, groups, aggregate))
    }
}

fn checked(items: u64, site: Site) -> u64 {
    assert!(items > 0, "count_windows: the number of items must not be zero, at {site}");
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::window::Firing::{self, End, Evicted, OnTime};
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::{Timestamp, iter};

    fn seconds(list: &[i64]) -> Vec<Timed<i64>> {
        let times = iter(list.to_vec());
        items(times.event_time(|s| Timestamp::from_secs(*s), Duration::ZERO))
    }

    #[test]
    fn windows_of_one_item_need_no_place_and_an_empty_flow_has_none() {
        let flow = iter(seconds(&[1, 2])).by_key(KeyLimits::new(1), |s| *s);
        let out = items(flow.count_windows(1, All).values().map(|w| (w.key, w.firing)));
        assert_eq!(out, [(1, OnTime), (2, OnTime)]);
        assert_eq!(items(iter(seconds(&[])).count_windows(3, All)).len(), 0);
    }

    #[test]
    fn the_key_that_has_been_silent_for_longest_makes_room() {
        let flow = iter(seconds(&[10, 21, 12, 33, 14])).by_key(KeyLimits::new(2), |s| s / 10);
        let mut flow = flow.count_windows(3, All);
        let out = items(flow.by_ref().values().map(|w| (w.key, w.value.len(), w.firing)));
        assert_eq!(out, [(2, 1, Evicted), (1, 3, OnTime), (3, 1, End)]);
        assert_eq!((flow.counts().evicted, flow.counts().high_water), (1, 2));
    }

    #[test]
    fn the_window_of_a_silent_key_comes_out_when_event_time_has_passed_it_by_the_idle_time() {
        let limits = KeyLimits::new(9).idle(Duration::from_secs(10));
        let run = |list: &[i64]| -> Vec<(i64, i64, Firing)> {
            let flow = iter(seconds(list)).by_key(limits, |s| s % 2);
            items(flow.count_windows(3, All).values().map(|w| (w.key, w.end.as_secs(), w.firing)))
        };
        // At the time itself an item may still come.
        assert_eq!(run(&[2, 12, 12]), [(0, 12, OnTime)]);
        assert_eq!(run(&[1, 2, 3, 11, 13]), [(1, 11, OnTime), (0, 2, Evicted), (1, 13, End)]);
        // A later item counts even if an earlier one comes after it.
        assert_eq!(run(&[6, 2, 13, 17]), [(0, 2, Evicted), (1, 17, End)]);
    }

    #[test]
    #[should_panic(expected = "count_windows: the number of items must not be zero, at operators/")]
    fn no_items_are_refused_where_it_was_written() {
        let _ = iter(seconds(&[])).count_windows(0, All);
    }

    conformance!(count_windows, |input| {
        input.event_time(value_as_time, ms(1)).count_windows(3, Sum)
    });
    conformance!(count_windows_by_key, |input| {
        let timed = input.event_time(value_as_time, ms(1));
        timed.by_key(KeyLimits::new(2), |x| x.value() % 3).count_windows(2, Sum)
    });

    marbles!(count_windows, |input: Timed<char>| {
        input.count_windows(2, All).values().map(|window| window.value)
    });

    specification!(
        count_windows,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(0));
            timed.count_windows(3, All).values().map(|w| (w.value, w.firing, w.complete))
        },
        |input| -> Timeline<_> {
            let groups = input.events.chunks(3).map(|group| {
                let all: Vec<_> = group.iter().map(|(_, x)| *x).collect();
                match group {
                    [_, _, (at, _)] => (*at, (all, OnTime, true)),
                    _ => (input.end, (all, End, false)),
                }
            });
            Timeline::new(groups.collect::<Vec<_>>(), input.end)
        }
    );
}
