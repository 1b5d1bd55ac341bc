//! `tumbling`: windows of equal length, one after the other, in event time.

use std::hash::Hash;
use std::panic::Location;
use std::time::Duration;

use super::time_windows::{TimeWindows, Windowed};
use super::{ByKey, Timed, Whole, Windows};
use crate::aggregate::Aggregate;
use crate::keyed::TimedByKey;
use crate::{Flow, Stage};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items into windows `[start, start + length)`, aligned to the Unix epoch, and
    /// aggregates each.
    ///
    /// ```text
    /// in    --a---b--(cW)--d---W--|
    /// time    1   2   7 6  8   12
    /// out   ---------x---------y--|    tumbling(5, all).values()
    /// where  x = [a, b], y = [c, d]
    /// ```
    ///
    /// A window closes when the watermark reaches its end. Windows come out by their ends, those
    /// of one end in the order in which their keys came; one without items does not come at all.
    /// An item whose window has closed is late: it is dropped, and counted in the next window and
    /// by [`counts`](Flow::counts), or [handed out](Flow::with_late). Other alignments, windows
    /// without items, allowed lateness and early results: [`windows`](Self::windows).
    ///
    /// - **Emits** a window when the watermark reaches its end, and at the end those still open;
    ///   watermarks pass behind the windows that they close.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the open windows are out.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each key of each open window: those between watermark and latest
    ///   item, at most 4,096 at once; when one more is needed the earliest comes out before its
    ///   time, as [`Evicted`](super::Firing::Evicted).
    /// - **Cost**: no allocation once the tables of open windows have grown, no clock read; one
    ///   hash for an item with a key.
    ///
    /// # Panics
    ///
    /// If `length` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::count};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let per_minute = iter([0, 59, 61])
    ///     .event_time(|s| Timestamp::from_secs(*s), Duration::ZERO)
    ///     .tumbling(Duration::from_secs(60), count())
    ///     .values();
    /// let counts: Vec<_> = per_minute.map(|window| (window.value, window.complete)).collect().await;
    /// assert_eq!(counts, [(2, true), (1, false)]);
    /// # });
    /// ```
    #[doc(alias("window", "tumbling_window", "fixed_window", "bars"))]
    #[track_caller]
    pub fn tumbling<A>(self, length: Duration, aggregate: A) -> Flow<Windowed<S, T, A, Whole>>
    where
        A: Aggregate<T, State: Clone>,
    {
        let windows = Windows::checked("tumbling", length, length, Location::caller());
        self.step(TimeWindows::new("tumbling", windows, Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::tumbling`], for each key. When one more key comes in a window than
    /// [`KeyLimits`](crate::keyed::KeyLimits) allow, that of the key that came first makes room: it
    /// comes out as [`Evicted`](crate::window::Firing::Evicted).
    ///
    /// # Panics
    ///
    /// If `length` is zero.
    #[track_caller]
    pub fn tumbling<A>(self, length: Duration, aggregate: A) -> Flow<Windowed<S, T, A, ByKey<F>>>
    where
        A: Aggregate<T, State: Clone>,
    {
        let windows = Windows::checked("tumbling", length, length, Location::caller());
        self.flow.step(TimeWindows::new("tumbling", windows, self.groups, aggregate))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use crate::testing::*;
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::{Timed, Timestamp, iter};

    fn windows(seconds: &'static [i64], disorder: u64) -> Vec<(i64, Vec<i64>, bool, u64)> {
        let timed = iter(seconds.iter().copied())
            .event_time(|s| Timestamp::from_secs(*s), Duration::from_secs(disorder));
        items(timed.tumbling(Duration::from_secs(10), All).values())
            .into_iter()
            .map(|w| (w.start.as_secs(), w.value, w.complete, w.late))
            .collect()
    }

    #[test]
    fn a_window_holds_its_start_and_not_its_end_and_empty_ones_do_not_come() {
        assert_eq!(
            windows(&[0, 9, 10, 45], 0),
            [(0, vec![0, 9], true, 0), (10, vec![10], true, 0), (40, vec![45], false, 0)]
        );
    }

    #[test]
    fn an_item_for_a_closed_window_is_counted_in_the_next_one() {
        assert_eq!(
            windows(&[1, 12, 3, 13], 0),
            [(0, vec![1], true, 0), (10, vec![12, 13], false, 1)]
        );
    }

    #[test]
    fn within_the_disorder_nothing_is_late_and_at_the_end_only_the_last_is_incomplete() {
        assert_eq!(
            windows(&[1, 12, 3, 23, 25], 20),
            [(0, vec![1, 3], true, 0), (10, vec![12], true, 0), (20, vec![23, 25], false, 0)]
        );
    }

    #[test]
    #[should_panic(expected = "tumbling: the length must not be zero, at operators/src/window")]
    fn a_length_of_zero_is_refused_where_it_was_written() {
        let timed = iter([1]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let _ = timed.tumbling(Duration::ZERO, All);
    }

    conformance!(tumbling, |input| { input.event_time(value_as_time, ms(1)).tumbling(ms(3), Sum) });

    marbles!(tumbling, |input: Timed<char>| {
        input.tumbling(ms(5), All).values().map(|window| window.value)
    });

    specification!(
        tumbling,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(2));
            let windows = timed.tumbling(ms(5), All).values();
            windows.map(|w| (w.start.as_millis(), w.value, w.late, w.complete))
        },
        |input| -> Timeline<_> {
            let (mut output, mut late) = (Timeline::new([], input.end), 0);
            let mut open: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
            let mut latest = i64::MIN;
            let end = (input.end, None);
            for (at, x) in input.events.into_iter().map(|(at, x)| (at, Some(x))).chain([end]) {
                // Up to two milliseconds after a later one an item is not late.
                match x {
                    Some(x) if x / 5 * 5 + 5 <= latest.saturating_sub(2) => late += 1,
                    Some(x) => open.entry(x / 5 * 5).or_default().push(x),
                    None => {}
                }
                latest = latest.max(x.unwrap_or(i64::MIN));
                let closed = |start: &i64| x.is_none() || start + 5 <= latest - 2;
                while let Some(first) = open.first_entry().filter(|first| closed(first.key())) {
                    let (start, items) = first.remove_entry();
                    let complete = start + 5 <= latest;
                    output.events.push((at, (start, items, std::mem::take(&mut late), complete)));
                }
            }
            output
        }
    );
}
