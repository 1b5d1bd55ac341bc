//! `hopping`: windows of equal length that overlap, in event time.

use std::hash::Hash;
use std::panic::Location;
use std::time::Duration;

use super::time_windows::{TimeWindows, Windowed};
use super::{ByKey, Timed, Whole, Windows};
use crate::aggregate::Aggregate;
use crate::keyed::TimedByKey;
use crate::{Flow, Stage};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items into windows `[start, start + length)`, of which one starts `every` so often,
    /// aligned to the Unix epoch, and aggregates each.
    ///
    /// ```text
    /// in    --a---b--(cW)--d---W---|
    /// time    1   5   7 6  8   12
    /// out   ---------(xy)------(zu)|    hopping(6, 3, all).values()
    /// where  x = [a], y = [a, b], z = [b, c, d], u = [c, d]
    /// ```
    ///
    /// An item is in `length / every` windows. It is added once, to a slice of time, and slices are
    /// merged: however much windows overlap, an item costs O(1) and so does a window of a key,
    /// amortised. Where `every` is longer than `length`, items between two windows are left out and
    /// counted.
    ///
    /// A window closes when the watermark reaches its end; one without items does not come. An item
    /// behind the watermark still counts for those of its windows that are open; if none is, it
    /// is late: dropped and counted, or [handed out](Flow::with_late). More choices:
    /// [`windows`](Self::windows).
    ///
    /// - **Emits** a window when the watermark reaches its end, and at the end all that contain
    ///   items; watermarks pass behind the windows that they close.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the open windows are out.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each key in each slice: of those between watermark and latest
    ///   item, 4,096 at most, and of those in the window that is next.
    /// - **Cost**: no allocation once the tables have grown, no clock read; one hash for an item
    ///   with a key. An item that is behind the watermark costs a merge of all slices of its
    ///   windows.
    ///
    /// # Panics
    ///
    /// If `length` or `every` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::count};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let second = Duration::from_secs(1);
    /// let in_two_seconds = iter([0, 1, 1, 3])
    ///     .event_time(|s| Timestamp::from_secs(*s), Duration::ZERO)
    ///     .hopping(2 * second, second, count())
    ///     .values();
    /// let counts: Vec<_> = in_two_seconds.map(|w| (w.start.as_secs(), w.value)).collect().await;
    /// assert_eq!(counts, [(-1, 1), (0, 3), (1, 2), (2, 1), (3, 1)]);
    /// # });
    /// ```
    #[doc(alias("sliding_window", "overlapping_windows", "hop_window"))]
    #[track_caller]
    pub fn hopping<A>(
        self,
        length: Duration,
        every: Duration,
        aggregate: A,
    ) -> Flow<Windowed<S, T, A, Whole>>
    where
        A: Aggregate<T, State: Clone>,
    {
        let windows = Windows::checked("hopping", length, every, Location::caller());
        self.step(TimeWindows::new("hopping", windows, Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::hopping`], for each key. When one more key comes than
    /// [`KeyLimits`](crate::keyed::KeyLimits) allow, what there is of the one that came first makes
    /// room: it comes out as [`Evicted`](crate::window::Firing::Evicted).
    ///
    /// # Panics
    ///
    /// If `length` or `every` is zero.
    #[track_caller]
    pub fn hopping<A>(
        self,
        length: Duration,
        every: Duration,
        aggregate: A,
    ) -> Flow<Windowed<S, T, A, ByKey<F>>>
    where
        A: Aggregate<T, State: Clone>,
    {
        let windows = Windows::checked("hopping", length, every, Location::caller());
        self.flow.step(TimeWindows::new("hopping", windows, self.groups, aggregate))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::*;
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::{Timed, Timestamp, iter};

    #[test]
    fn windows_further_apart_than_they_are_long_leave_items_out_and_count_them() {
        let times = iter([0, 1, 2, 3, 4, 5]).event_time(|s| Timestamp::from_secs(*s), ms(0));
        let mut flow = times.hopping(Duration::from_secs(1), Duration::from_secs(3), All);
        let windows: Vec<_> = items(flow.by_ref().values().map(|window| window.value));
        assert_eq!(windows, [vec![0], vec![3]]);
        assert_eq!(flow.counts().outside, 4);
    }

    #[test]
    fn an_item_behind_the_watermark_counts_for_the_windows_that_are_open() {
        let at = Timestamp::from_secs;
        let elements = [
            Timed::Item(at(7), 'a'),
            Timed::Watermark(at(8)),
            // Of the windows [0, 6), [2, 8), [4, 10) only the last is open.
            Timed::Item(at(5), 'b'),
            Timed::Item(at(1), 'c'),
        ];
        let mut flow = iter(elements).hopping(Duration::from_secs(6), Duration::from_secs(2), All);
        let windows = items(flow.by_ref().values().map(|w| (w.start.as_secs(), w.value, w.late)));
        let expected = [(2, vec!['a'], 0), (4, vec!['b', 'a'], 1), (6, vec!['a'], 0)];
        assert_eq!(windows, expected);
        assert_eq!(flow.counts().late, 1);
    }

    conformance!(hopping, |input| {
        input.event_time(value_as_time, ms(1)).hopping(ms(4), ms(2), Sum)
    });
    conformance!(hopping_with_two_stacks, |input| {
        let timed = input.event_time(value_as_time, ms(1));
        timed
            .map(|element| match element {
                Timed::Item(time, x) => Timed::Item(time, x.value()),
                Timed::Watermark(time) => Timed::Watermark(time),
            })
            .hopping(ms(4), ms(2), All)
    });

    marbles!(hopping, |input: Timed<char>| {
        input.hopping(ms(6), ms(3), All).values().map(|window| window.value)
    });

    specification!(
        hopping,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(0));
            let windows = timed.hopping(ms(6), ms(2), All).values();
            windows.map(|mut w| {
                w.value.sort_unstable();
                (w.start.as_millis(), w.value, w.complete)
            })
        },
        |input| -> Timeline<_> {
            let times = || input.events.iter().map(|(_, x)| *x);
            // The latest time before each item, and after the last.
            let mut latest: Vec<_> = times()
                .scan(i64::MIN, |latest, x| {
                    let before = *latest;
                    *latest = before.max(x);
                    Some(before)
                })
                .collect();
            latest.push(times().max().unwrap_or(i64::MIN));
            let mut windows = Vec::new();
            for start in (-10..200).map(|k| k * 2) {
                let end = start + 6;
                let open = times().zip(&latest).filter(|(_, latest)| **latest < end);
                let mut inside: Vec<_> =
                    open.map(|(x, _)| x).filter(|x| (start..end).contains(x)).collect();
                inside.sort_unstable();
                // The item that brings time past the end, or the end of the input.
                let closes = latest.iter().position(|latest| *latest >= end);
                let at = closes.map_or(input.end, |after| input.events[after - 1].0);
                if !inside.is_empty() {
                    windows.push((at, (start, inside, closes.is_some())));
                }
            }
            Timeline::new(windows, input.end)
        }
    );
}
