//! `interval_join`: joins items whose times are close.

use std::ops::Range;
use std::panic::Location;
use std::time::Duration;

use super::Timed;
use super::join::{Core, Join, Matched, Reach, Slot, Whole};
use crate::clock::nanos;
use crate::{Flow, Node, Stage, Timestamp};

/// How far the time of a right item may lie from that of the left one, for an
/// [`interval_join`](Flow::interval_join). Both ends belong to it, unless it says otherwise.
///
/// ```
/// # use aqueduct_operators::window::{Offset, Within};
/// # use std::time::Duration;
/// let second = Duration::from_secs(1);
/// assert_eq!(Within::around(second), Within::between(Offset::Before(second), Offset::After(second)));
/// // Later than the left item, by less than a second.
/// let soon = Within::after(second).without_start().without_end();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct Within {
    /// The ends, in nanoseconds from the time of the left item.
    start: i64,
    end: i64,
    without_start: bool,
    without_end: bool,
}

/// A time, seen from that of another item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Offset {
    /// So long before it.
    Before(Duration),
    /// So long after it.
    After(Duration),
}

impl Offset {
    const fn nanos(self) -> i64 {
        match self {
            Self::Before(duration) => -nanos(duration),
            Self::After(duration) => nanos(duration),
        }
    }
}

impl Within {
    /// From one end to the other.
    ///
    /// # Panics
    ///
    /// If `end` lies before `start`.
    #[track_caller]
    pub const fn between(start: Offset, end: Offset) -> Self {
        let (start, end) = (start.nanos(), end.nanos());
        assert!(start <= end, "Within::between: the end lies before the start");
        Self { start, end, without_start: false, without_end: false }
    }

    /// At the time of the left item, or at most this long before.
    pub const fn before(duration: Duration) -> Self {
        Self::between(Offset::Before(duration), Offset::Before(Duration::ZERO))
    }

    /// At the time of the left item, or at most this long after.
    pub const fn after(duration: Duration) -> Self {
        Self::between(Offset::After(Duration::ZERO), Offset::After(duration))
    }

    /// At most this long before or after.
    pub const fn around(duration: Duration) -> Self {
        Self::between(Offset::Before(duration), Offset::After(duration))
    }

    /// Not at the start itself.
    #[doc(alias("lower_bound_exclusive"))]
    pub const fn without_start(self) -> Self {
        Self { without_start: true, ..self }
    }

    /// Not at the end itself.
    #[doc(alias("upper_bound_exclusive"))]
    pub const fn without_end(self) -> Self {
        Self { without_end: true, ..self }
    }

    /// The first instant of the interval of an item at `time`.
    fn first(&self, time: Timestamp) -> Timestamp {
        let start = time.as_nanos().saturating_add(self.start);
        Timestamp::from_nanos(start.saturating_add(i64::from(self.without_start)))
    }

    /// Where the interval of an item at `time` ends; `None` if that is after the end of time.
    fn end(&self, time: Timestamp) -> Option<Timestamp> {
        let end = time.as_nanos().checked_add(self.end);
        end.or((self.end < 0).then_some(i64::MIN)).map(Timestamp::from_nanos)
    }
}

impl<L: Clone> Reach<L> for Within {
    const NAME: &'static str = "interval_join";
    const ONE: bool = false;

    fn target(&self, time: Timestamp) -> Timestamp {
        time
    }

    fn keeps_last(&self) -> bool {
        false
    }

    fn behind(&self, low: Timestamp) -> Timestamp {
        self.first(low)
    }

    fn needed(&self, target: Timestamp) -> Timestamp {
        self.end(target).unwrap_or(Timestamp::MAX)
    }

    fn has_passed(&self, target: Timestamp, reached: Timestamp) -> bool {
        let end = self.end(target);
        end.is_some_and(|end| reached > end || reached == end && self.without_end)
    }

    fn looks_ahead(&self) -> bool {
        true
    }

    fn find<T>(&self, target: Timestamp, slot: &Slot<T>, _: bool) -> Range<usize> {
        let start = self.first(target);
        let end = self.end(target);
        let follows =
            |time: Timestamp| end.is_some_and(|end| time > end || time == end && self.without_end);
        let first = slot.ahead.partition_point(|(time, _)| *time < start);
        let end = slot.ahead.partition_point(|(time, _)| !follows(*time)).max(first);
        // Place 0 is not used.
        first + 1..end + 1
    }

    fn again(&self, left: &L) -> Option<L> {
        Some(left.clone())
    }

    fn describe(&self, node: &mut Node) {
        let side = |nanos: i64| {
            let sign = if nanos < 0 { "-" } else { "" };
            format!("{sign}{:?}", Duration::from_nanos(nanos.unsigned_abs()))
        };
        let (open, close) =
            (if self.without_start { '(' } else { '[' }, if self.without_end { ')' } else { ']' });
        let ends =
            format_args!("{open}{}, {}{close}", side(self.start), side(self.end)).to_string();
        node.parameter("within", ends);
    }
}

/// The stage behind [`Flow::interval_join`].
pub type IntervalJoin<S, R, L, T> = Join<S, R, Core<L, T, Whole<T>, Within, Matched>>;

impl<S: Stage<Item = Timed<L>>, L: Clone> Flow<S> {
    /// Pairs each item with every one of `right` whose time is close to its own.
    ///
    /// ```text
    /// in     -(aW)------(bW)-----|
    /// time     2 2       5 5
    /// right  -----(xW)-------(yW)-|
    /// time         1 1        4 4
    /// out    ----------------p----(q|)    interval_join(right, Within::around(1)).values()
    /// where  p = (a, x), q = (b, y)
    /// ```
    ///
    /// [`Within`] says how close, before and after. An item waits until the watermark of the right
    /// side has come past the end of its interval; its pairs come out together then, in the order
    /// of the right items' times and, at one instant, of their arrival. So what comes out depends
    /// neither on which side is faster nor on the order within a side, as long as nothing is late.
    /// By key, see [`interval_join_by`](Self::interval_join_by).
    ///
    /// A pair has the time of its left item. Items without any match give nothing, an inner join;
    /// on the flow that this makes [`keep_unmatched`](Flow::keep_unmatched) makes it a left outer
    /// join, [`split_unmatched`](Flow::split_unmatched) marks them, [`capacity`](Flow::capacity)
    /// sets the bounds, and [`counts`](Flow::counts) tells what became of the items. An item behind
    /// its own watermark is joined with what is still there.
    ///
    /// - **Emits** for the elements of the left side, in their order: the pairs of each item when
    ///   they are certain, and watermarks.
    /// - **Backpressures** the right side when it is ahead of the left, the left side when as many
    ///   of its elements wait as the capacity says.
    /// - **Ends** when the left input has ended and its pairs are out; the right one is dropped
    ///   then.
    /// - **On error**: nothing here can fail.
    /// - **Holds** at most the capacity of elements of the left side, and as many right items: those
    ///   that a left item to come can still reach.
    /// - **Cost**: a clone of both items for each pair; for a right item log2 of how many there are
    ///   comparisons. No allocation once the queues have grown, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, window::Within};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let orders = iter([10, 20]).event_time(time, Duration::ZERO);
    /// let fills = iter([11, 13, 16, 21]).event_time(time, Duration::ZERO);
    /// let pairs = orders.interval_join(fills, Within::after(Duration::from_secs(5))).values();
    /// assert_eq!(pairs.collect::<Vec<_>>().await, [(10, 11), (10, 13), (20, 21)]);
    /// # });
    /// ```
    #[doc(alias("time_join", "range_join", "band_join", "interval_inner_join"))]
    #[track_caller]
    pub fn interval_join<R, T>(
        self,
        right: Flow<R>,
        within: Within,
    ) -> Flow<IntervalJoin<S, R, L, T>>
    where
        R: Stage<Item = Timed<T>>,
        T: Clone,
    {
        Join::flow(self, right, within, Whole::new(), Location::caller())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::join::random::{Item, Side, side};
    use super::*;
    use crate::iter;
    use crate::testing::*;

    /// The join by definition, with `None` for an item without a match.
    fn by_definition(
        left: &Side,
        right: &Side,
        (start, end): (i64, i64),
        same_key: bool,
    ) -> Vec<(Item, Option<Item>)> {
        let mut rights = right.items();
        rights.sort_by_key(|(time, _)| *time);
        let mut all = Vec::new();
        for (time, item) in left.items() {
            let fits = |(other, right): &&(i64, Item)| {
                (start..=end).contains(&(other - time)) && (!same_key || right.0 == item.0)
            };
            let found: Vec<_> = rights.iter().filter(fits).map(|(_, right)| Some(*right)).collect();
            let found = if found.is_empty() { vec![None] } else { found };
            all.extend(found.into_iter().map(|right| (item, right)));
        }
        all
    }

    fn offset(nanos: i64) -> Offset {
        let away = Duration::from_nanos(nanos.unsigned_abs());
        if nanos < 0 { Offset::Before(away) } else { Offset::After(away) }
    }

    /// An interval, and its first and last nanosecond.
    fn any_within() -> impl Strategy<Value = (Within, (i64, i64))> {
        (-9..9i64, 0..12i64, any::<bool>(), any::<bool>()).prop_map(
            |(start, length, without_start, without_end)| {
                let end = start + length;
                let mut within = Within::between(offset(start), offset(end));
                if without_start {
                    within = within.without_start();
                }
                if without_end {
                    within = within.without_end();
                }
                (within, (start + i64::from(without_start), end - i64::from(without_end)))
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_interleaving_it_is_the_join_by_definition(
            left in side(0), right in side(0), (within, ends) in any_within(),
        ) {
            let expected = by_definition(&left, &right, ends, false);
            let joined = || left.flow().interval_join(right.flow(), within);
            prop_assert_eq!(every_way(|| joined().keep_unmatched().values()), expected.clone());
            let inner: Vec<_> =
                expected.iter().filter_map(|(item, right)| Some((*item, (*right)?))).collect();
            prop_assert_eq!(every_way(|| joined().values()), inner.clone());
            let (l, r) = (left.at_once(), right.at_once());
            prop_assert_eq!(items(l.flow().interval_join(right.flow(), within).values()), inner.clone());
            prop_assert_eq!(items(left.flow().interval_join(r.flow(), within).values()), inner);
        }

        #[test]
        fn by_key_it_is_the_join_by_definition_within_each_key(
            left in side(0), right in side(0), (within, ends) in any_within(),
        ) {
            let key = |item: &Item| item.0;
            let expected = by_definition(&left, &right, ends, true);
            let joined = || left.flow().interval_join_by(right.flow(), key, key, within);
            prop_assert_eq!(every_way(|| joined().keep_unmatched().values()), expected);
        }

        #[test]
        fn with_late_items_and_hardly_any_room_no_pair_is_wrong_and_nothing_is_lost_in_silence(
            left in side(9), right in side(9), (within, ends) in any_within(), capacity in 1..4usize,
        ) {
            let expected = by_definition(&left, &right, ends, false);
            let joined = left.flow().interval_join(right.flow(), within).capacity(capacity);
            let joined = joined.keep_unmatched();
            let all = items(joined.values());
            for (item, other) in &all {
                prop_assert!(other.is_none() || expected.contains(&(*item, *other)));
            }
            for (_, item) in left.items() {
                prop_assert!(all.iter().any(|(other, _)| *other == item));
            }
        }
    }

    #[test]
    #[should_panic(expected = "the end lies before the start")]
    fn an_interval_that_ends_before_it_starts_is_refused() {
        let second = Duration::from_secs(1);
        let _ = Within::between(Offset::After(second), Offset::Before(second));
    }

    #[test]
    fn at_the_ends_of_time_nothing_overflows() {
        let nanos = |ns: &i64| Timestamp::from_nanos(*ns);
        let times = [i64::MIN + 1, 0, i64::MAX - 1];
        let left = iter(times).event_time(nanos, Duration::ZERO);
        let right = iter(times).event_time(nanos, Duration::ZERO);
        let within = Within::around(Duration::from_nanos(1));
        assert_eq!(items(left.interval_join(right, within).values()), times.map(|t| (t, t)));
        let left = iter([0]).event_time(nanos, Duration::ZERO);
        let right = iter(times).event_time(nanos, Duration::ZERO);
        // The longest time there is.
        let pairs = items(left.interval_join(right, Within::around(Duration::MAX)).values());
        assert_eq!(pairs, [(0, i64::MIN + 1), (0, 0), (0, i64::MAX - 1)]);
        let left = iter([i64::MIN + 1]).event_time(nanos, Duration::ZERO);
        let right = iter([i64::MIN + 1, i64::MIN + 2]).event_time(nanos, Duration::ZERO);
        let within = Within::before(Duration::from_nanos(5));
        assert_eq!(
            items(left.interval_join(right, within).values()),
            [(i64::MIN + 1, i64::MIN + 1)]
        );
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(interval_join, |a, b| {
        let right = b.event_time(value_as_time, ms(0));
        let left = a.event_time(value_as_time, ms(0));
        left.interval_join(right, Within::around(ms(1))).capacity(64)
    });
    conformance!(interval_join_outer, |a, b| {
        let right = b.event_time(value_as_time, ms(1));
        let left = a.event_time(value_as_time, ms(1));
        left.interval_join(right, Within::before(ms(2)).without_end()).capacity(64).keep_unmatched()
    });

    marbles!(interval_join, |input: Timed<char>, right: Timed<char>| {
        input.interval_join(right, Within::around(ms(1))).values()
    });

    specification!(
        interval_join,
        |left: i64, right: i64| {
            let time = |x: &i64| Timestamp::from_millis(*x);
            let right = right.scan(0, |sum, x| sum + x).event_time(time, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(time, Duration::ZERO);
            left.interval_join(right, Within::around(ms(4))).values()
        },
        |left, right| -> Timeline<_> {
            let sums = |line: Timeline<i64>| {
                let mut sum = 0;
                line.map(|x| {
                    sum += x;
                    sum
                })
            };
            let (left, right) = (sums(left), sums(right));
            let mut output = Timeline::new([], 0);
            for (at, time) in left.events {
                // Known when the right side has come past the interval.
                let past = right.events.iter().find(|(_, other)| *other > time + 4);
                output.end = output.end.max(at).max(past.map_or(right.end, |(at, _)| *at));
                let close = right.events.iter().filter(|(_, other)| other.abs_diff(time) <= 4);
                output.events.extend(close.map(|(_, other)| (output.end, (time, *other))));
            }
            output.end = output.end.max(left.end);
            output
        }
    );
}
