//! `as_of`: joins each item with what was known at its time.

use std::ops::Range;
use std::panic::Location;
use std::time::Duration;

use super::Timed;
use super::join::{Core, Join, Padded, Reach, Slot, Whole};
use crate::clock::nanos;
use crate::{Flow, Node, Stage, Timestamp};

/// Which item on the right an as-of join takes.
///
/// Of several right items at one instant the last to arrive wins, in every direction: it corrects
/// the others. (pandas and polars take the first one there when they look forward.)
///
/// ```
/// # use aqueduct_operators::window::AsOf;
/// # use std::time::Duration;
/// // The quote that was valid when an order was sent that took 2 ms, if it was at most 1 s old.
/// let which = AsOf::backward().lag(Duration::from_millis(2)).within(Duration::from_secs(1));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
pub struct AsOf {
    direction: Direction,
    strict: bool,
    /// In nanoseconds.
    tolerance: u64,
    /// In nanoseconds.
    lag: i64,
    /// How far back anything is remembered, in nanoseconds.
    memory: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Direction {
    Backward,
    Forward,
    Nearest,
}

impl AsOf {
    const fn new(direction: Direction) -> Self {
        Self { direction, strict: false, tolerance: u64::MAX, lag: 0, memory: u64::MAX }
    }

    /// The last item at or before the time of the left one.
    pub const fn backward() -> Self {
        Self::new(Direction::Backward)
    }

    /// The first item at or after the time of the left one.
    pub const fn forward() -> Self {
        Self::new(Direction::Forward)
    }

    /// The item whose time is nearest to that of the left one; of two that are equally far away
    /// the earlier.
    pub const fn nearest() -> Self {
        Self::new(Direction::Nearest)
    }

    /// No items at exactly the time of the left one.
    #[doc(alias("allow_exact_matches", "exclusive"))]
    pub const fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Only items at most this far away from the time of the left one.
    #[doc(alias("tolerance"))]
    pub const fn within(self, tolerance: Duration) -> Self {
        Self { tolerance: span(tolerance), ..self }
    }

    /// Nothing that lies further back than this.
    pub(super) const fn remembering(self, memory: Duration) -> Self {
        Self { memory: span(memory), ..self }
    }

    /// Joins with what was known this long before: everything is measured from the time of the
    /// left item less this.
    #[doc(alias("offset", "delay"))]
    pub const fn lag(self, lag: Duration) -> Self {
        Self { lag: nanos(lag), ..self }
    }

    /// The place of the last item before the target, or at it.
    #[inline(always)]
    fn before<T>(&self, target: Timestamp, slot: &Slot<T>) -> Option<(usize, Timestamp)> {
        let precedes = |time: Timestamp| time < target || time == target && !self.strict;
        let (place, time) = match slot.ahead.front() {
            Some((first, _)) if precedes(*first) => self.last_before(target, slot)?,
            _ => (0, slot.known.as_ref()?.0),
        };
        let furthest = self.tolerance.min(self.memory);
        let near = precedes(time) && target.as_nanos().abs_diff(time.as_nanos()) <= furthest;
        near.then_some((place, time))
    }

    /// The same for an item ahead.
    #[inline(never)]
    fn last_before<T>(&self, target: Timestamp, slot: &Slot<T>) -> Option<(usize, Timestamp)> {
        let precedes = |time: Timestamp| time < target || time == target && !self.strict;
        let place = slot.ahead.partition_point(|(time, _)| precedes(*time));
        Some((place, slot.ahead.get(place.checked_sub(1)?)?.0))
    }

    /// The place of the first item after the target, or at it.
    fn after<T>(&self, target: Timestamp, slot: &Slot<T>) -> Option<(usize, Timestamp)> {
        let precedes = |time: Timestamp| time < target || time == target && self.strict;
        let first = slot.ahead.partition_point(|(time, _)| precedes(*time));
        let time = slot.ahead.get(first)?.0;
        // Of those at that instant the last, whose index is one less than that of the next.
        let place = slot.ahead.partition_point(|(other, _)| *other <= time);
        let near = target.as_nanos().abs_diff(time.as_nanos()) <= self.tolerance;
        near.then_some((place, time))
    }
}

/// Nanoseconds between two times that are this far apart; the most there can be if it is longer.
const fn span(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

impl<L> Reach<L> for AsOf {
    const NAME: &'static str = "as_of";
    const ONE: bool = true;

    #[inline]
    fn target(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_nanos(time.as_nanos().saturating_sub(self.lag))
    }

    #[inline]
    fn keeps_last(&self) -> bool {
        self.direction != Direction::Forward
    }

    #[inline]
    fn behind(&self, low: Timestamp) -> Timestamp {
        // At the target itself an item is before it or after it, unless the join is strict.
        let at_it = self.strict == (self.direction == Direction::Forward);
        Timestamp::from_nanos(low.as_nanos().saturating_add(i64::from(at_it)))
    }

    #[inline]
    fn needed(&self, target: Timestamp) -> Timestamp {
        Timestamp::from_nanos(target.as_nanos().saturating_add(i64::from(!self.strict)))
    }

    #[inline]
    fn has_passed(&self, target: Timestamp, reached: Timestamp) -> bool {
        reached > target || reached == target && self.strict
    }

    #[inline]
    fn looks_ahead(&self) -> bool {
        self.direction != Direction::Backward
    }

    fn is_settled<T>(&self, target: Timestamp, slot: Option<&Slot<T>>, reached: Timestamp) -> bool {
        let mut furthest = self.tolerance;
        if self.direction == Direction::Nearest
            && let Some((_, time)) = slot.and_then(|slot| self.before(target, slot))
        {
            // What comes after the target has to be nearer.
            match target.as_nanos().abs_diff(time.as_nanos()).checked_sub(1) {
                None => return true,
                Some(nearer) => furthest = furthest.min(nearer),
            }
        }
        let away = |time: Timestamp| time.as_nanos().abs_diff(target.as_nanos());
        match slot.and_then(|slot| self.after(target, slot)) {
            Some((_, time)) if away(time) <= furthest => reached > time,
            _ => reached > target && away(reached) > furthest,
        }
    }

    #[inline]
    fn find<T>(&self, target: Timestamp, slot: &Slot<T>, late: bool) -> Range<usize> {
        let before = || self.before(target, slot);
        let found = match self.direction {
            Direction::Backward => before(),
            // What was nearer may have been forgotten.
            Direction::Forward if late => None,
            Direction::Nearest if late && before().is_none() => None,
            Direction::Forward => self.after(target, slot),
            Direction::Nearest => match (before(), self.after(target, slot)) {
                (Some(before), Some(after)) => {
                    let away =
                        |(_, time): (usize, Timestamp)| time.as_nanos().abs_diff(target.as_nanos());
                    Some(if away(before) <= away(after) { before } else { after })
                }
                (before, after) => before.or(after),
            },
        };
        found.map_or(0..0, |(place, _)| place..place + 1)
    }

    fn again(&self, _: &L) -> Option<L> {
        None
    }

    fn describe(&self, node: &mut Node) {
        let direction = match self.direction {
            Direction::Backward => "backward",
            Direction::Forward => "forward",
            Direction::Nearest => "nearest",
        };
        node.parameter("which", direction);
        if self.strict {
            node.parameter("strict", true);
        }
        if self.tolerance < u64::MAX {
            node.parameter("within", format_args!("{:?}", Duration::from_nanos(self.tolerance)));
        }
        if self.lag > 0 {
            node.parameter(
                "lag",
                format_args!("{:?}", Duration::from_nanos(self.lag.unsigned_abs())),
            );
        }
    }
}

/// The stage behind [`Flow::as_of`].
pub type AsOfJoin<S, R, L, T> = Join<S, R, Core<L, T, Whole<T>, AsOf, Padded>>;

impl<S: Stage<Item = Timed<L>>, L> Flow<S> {
    /// Pairs each item with the one of `right` that is valid as of its time.
    ///
    /// ```text
    /// in     -(aW)----(bW)------|
    /// time     1 1     4 4
    /// right  ----(xW)(yW)--(zW)-|
    /// time        0 0 3 3   5 5
    /// out    --------p-----q----|    as_of(right, AsOf::backward()).values()
    /// where  p = (a, Some(x)), q = (b, Some(y))
    /// ```
    ///
    /// [`AsOf`] says which item that is: the last one before, the first one after, or the nearest.
    /// An item waits until the watermark of the right side has come past all that could still
    /// change its answer. So the answer depends neither on which side is faster nor on the order
    /// within a side, as long as nothing is late. By key, see [`as_of_by`](Self::as_of_by).
    ///
    /// Items without a match come with `None`; on the flow that this makes
    /// [`drop_unmatched`](Flow::drop_unmatched) drops and [`split_unmatched`](Flow::split_unmatched)
    /// marks them, [`capacity`](Flow::capacity) sets the bounds, and [`counts`](Flow::counts) tells
    /// what became of the items. An item behind its own watermark is used as far as it still can
    /// be: one on the left is answered if what it needs was not forgotten yet, one on the right
    /// counts for the left items that it still can reach.
    ///
    /// Without event time, [`with_latest_from`](Self::with_latest_from) pairs items with what came
    /// last. It is this join where time is that of the arrival: `AsOf::backward()` on a clock that
    /// never goes back, with `drop_unmatched()`; `with_latest_from_optional` is the same without.
    ///
    /// - **Emits** the elements of the left side in their order: each item with its match when that
    ///   is certain, and watermarks.
    /// - **Backpressures** the right side when it is ahead of the left, the left side when as many
    ///   of its elements wait as the capacity says.
    /// - **Ends** when the left input has ended and its items are answered; the right one is
    ///   dropped then.
    /// - **On error**: nothing here can fail.
    /// - **Holds** at most the capacity of elements of the left side, as many right items ahead of
    ///   it, and the last right item before it.
    /// - **Cost**: a clone of the match for each item; for a right item that comes before the left
    ///   side has passed it, log2 of how many there are comparisons. No allocation once the queues
    ///   have grown, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, window::AsOf};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let trades = iter([3, 5, 9]).event_time(time, Duration::ZERO);
    /// let quotes = iter([4, 5, 8]).event_time(time, Duration::ZERO);
    /// let pairs: Vec<_> = trades.as_of(quotes, AsOf::backward()).values().collect().await;
    /// assert_eq!(pairs, [(3, None), (5, Some(5)), (9, Some(8))]);
    /// # });
    /// ```
    #[doc(alias("asof_join", "merge_asof", "join_asof", "temporal_join"))]
    #[track_caller]
    pub fn as_of<R, T>(self, right: Flow<R>, which: AsOf) -> Flow<AsOfJoin<S, R, L, T>>
    where
        R: Stage<Item = Timed<T>>,
        T: Clone,
    {
        Join::flow(self, right, which, Whole::new(), Location::caller())
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod checks {
    use super::*;
    use crate::testing::*;

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(as_of, |a, b| {
        let right = b.event_time(value_as_time, ms(0));
        a.event_time(value_as_time, ms(0)).as_of(right, AsOf::backward())
    });
    conformance!(as_of_nearest, |a, b| {
        let right = b.event_time(value_as_time, ms(1));
        let left = a.event_time(value_as_time, ms(1));
        left.as_of(right, AsOf::nearest().within(ms(2))).drop_unmatched()
    });
    conformance!(as_of_forward_with_little_room, |a, b| {
        let right = b.event_time(value_as_time, ms(1));
        let left = a.event_time(value_as_time, ms(1));
        left.as_of(right, AsOf::forward()).capacity(2).split_unmatched()
    }, except [
        Invariance: "what is known when the history is full depends on how far the left side has come",
    ]);

    marbles!(as_of, |input: Timed<char>, right: Timed<char>| {
        input.as_of(right, AsOf::backward()).values()
    });

    /// The join of items at most 9 ms apart, and at least `apart` ms.
    fn joined(
        left: Timeline<i64>,
        right: Timeline<i64>,
        apart: i64,
    ) -> Timeline<(i64, Option<i64>)> {
        let (left, right) = (sums(left), sums(right));
        let mut output = Timeline::new([], 0);
        for (at, time) in left.events {
            let newest = time - apart;
            // Known when the right side has come past it.
            let past = right.events.iter().find(|(_, other)| *other > newest);
            let known = past.map_or(right.end, |(at, _)| *at);
            let found = right.events.iter().rfind(|(_, other)| *other <= newest);
            let found = found.map(|(_, other)| *other).filter(|other| time - other <= 9);
            output.end = output.end.max(at).max(known);
            output.events.push((output.end, (time, found)));
        }
        output.end = output.end.max(left.end);
        output
    }

    specification!(
        as_of,
        |left: i64, right: i64| {
            let right = right.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            left.as_of(right, AsOf::backward().within(ms(9))).values()
        },
        |left, right| joined(left, right, 0)
    );
    specification!(
        as_of_strict,
        |left: i64, right: i64| {
            // In whole milliseconds, strictly before is at least one before.
            let right = right.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            left.as_of(right, AsOf::backward().strict().within(ms(9))).values()
        },
        |left, right| joined(left, right, 1)
    );

    fn millis(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    /// Times that never go back.
    fn sums(line: Timeline<i64>) -> Timeline<i64> {
        let mut sum = 0;
        line.map(|x| {
            sum += x;
            sum
        })
    }
}
