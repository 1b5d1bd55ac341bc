//! [`Watermarks`]: how the watermark follows the items.

use std::time::Duration;

use crate::clock::nanos;
use crate::{Node, Timestamp};

/// How the watermark of [`event_time`](crate::Flow::event_time) follows the items: at a distance,
/// the bounded disorder. A `Duration` says just that.
///
/// ```
/// # use aqueduct_operators::{Timestamp, iter, window::Watermarks};
/// # use std::time::Duration;
/// let ms = Duration::from_millis;
/// let time = |t: &i64| Timestamp::from_millis(*t);
/// let plain = iter([1, 3, 2]).event_time(time, ms(5));
/// let quiet = Watermarks::disorder(ms(5)).idle(ms(200)).most_ahead(ms(60_000));
/// let guarded = iter([1, 3, 2]).event_time(time, quiet);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watermarks {
    disorder: Duration,
    idle: Option<Duration>,
    every: Option<Duration>,
    apart: Duration,
    most_ahead: Option<Duration>,
}

impl From<Duration> for Watermarks {
    fn from(disorder: Duration) -> Self {
        Self::disorder(disorder)
    }
}

impl Watermarks {
    /// An item may come up to `disorder` after one that is later: the watermark is the latest time
    /// less that.
    pub const fn disorder(disorder: Duration) -> Self {
        Self { disorder, idle: None, every: None, apart: Duration::ZERO, most_ahead: None }
    }

    /// When no item has come for a time of `after`, the watermark goes on with the clock of the
    /// run, so that what waits for it is not late by the silence.
    ///
    /// ```text
    /// in    --1-------9---|
    /// out   --(1W)-W-W(9W)|    event_time(|x| x.time, Watermarks::disorder(0).idle(3).every(2))
    /// time    1 1  3 5 9 9
    /// ```
    ///
    /// It moves only by the time for which the clock has gone on beyond `after` since the last
    /// item, never to the clock's own time. So a replay that is faster than real time makes nothing
    /// late, whatever times it has, and a live source that keeps pace with the clock does not
    /// either, as long as its delay varies by less than `after` and the disorder together. One that
    /// was held up and then brings what is old finds the watermark past it: its items are late, and
    /// counted. Before the first item there is no time to go on from.
    ///
    /// The clock is read once for each turn in which items came, and no timer is set for an item.
    ///
    /// # Panics
    ///
    /// If `after` is zero.
    #[must_use]
    #[track_caller]
    pub fn idle(self, after: Duration) -> Self {
        assert!(!after.is_zero(), "Watermarks::idle: the time must not be zero");
        Self { idle: Some(after), ..self }
    }

    /// How often a watermark comes while the clock moves it; without this a tenth of the
    /// [idle](Self::idle) time. No effect without one.
    ///
    /// # Panics
    ///
    /// If `every` is zero.
    #[must_use]
    #[track_caller]
    pub fn every(self, every: Duration) -> Self {
        assert!(!every.is_zero(), "Watermarks::every: the time must not be zero");
        Self { every: Some(every), ..self }
    }

    /// A watermark comes only when it is at least `apart` later than the last one, and not with
    /// every item that moves time on.
    ///
    /// What waits for watermarks waits for up to that much more event time. It is worth it where
    /// many items fall into `apart`: a watermark is one more element to pass on, at about half the
    /// cost of an item.
    #[must_use]
    pub const fn at_least_apart(self, apart: Duration) -> Self {
        Self { apart, ..self }
    }

    /// An item more than `ahead` later than all before it, and the first of all, does not move the
    /// watermark before the next item confirms it by a time that is at most `ahead` away from it.
    /// One that is not confirmed is passed on all the same, and counted.
    ///
    /// Against single absurd times, which would make everything after them late. A window behind
    /// keeps a state for each until its time comes.
    #[must_use]
    pub const fn most_ahead(self, ahead: Duration) -> Self {
        Self { most_ahead: Some(ahead), ..self }
    }

    pub(super) fn describe(&self, node: &mut Node) {
        node.parameter("disorder", format_args!("{:?}", self.disorder));
        if let Some((after, every)) = self.clock() {
            node.parameter("idle", format_args!("{after:?}"));
            node.parameter("every", format_args!("{every:?}"));
        }
        if !self.apart.is_zero() {
            node.parameter("at_least_apart", format_args!("{:?}", self.apart));
        }
        if let Some(ahead) = self.most_ahead {
            node.parameter("most_ahead", format_args!("{ahead:?}"));
        }
    }

    /// When the clock takes over, and how often it moves the watermark then.
    pub(super) fn clock(&self) -> Option<(Duration, Duration)> {
        let after = self.idle?;
        Some((after, self.every.unwrap_or((after / 10).max(Duration::from_nanos(1)))))
    }
}

/// How far a flow has come in event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct EventTimeCounts {
    /// Items that were passed on.
    pub items: u64,
    /// Those of them that were earlier than the watermark before them.
    pub late: u64,
    /// Those of them that were far ahead of all before and not confirmed by the next: see
    /// [`Watermarks::most_ahead`].
    pub ahead: u64,
    /// Items that were dropped because their time was [`Timestamp::MIN`] or [`Timestamp::MAX`].
    pub untimed: u64,
    /// The latest time that counts for the watermark.
    pub latest: Option<Timestamp>,
    /// The watermark.
    pub watermark: Option<Timestamp>,
}

/// Before every time.
pub(super) const NONE: i64 = i64::MIN;

/// Follows the times of items; in nanoseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower {
    disorder: i64,
    /// How much later than the last watermark the next one has to be: at least one.
    apart: i64,
    /// Both together: how much later an item has to be to move it.
    span: i64,
    /// `i64::MAX` if nothing is too far ahead.
    most_ahead: i64,
    latest: i64,
    pub(super) watermark: i64,
    /// The least time of an item that moves it.
    next: i64,
    /// An item of a time from here to `last` is neither late nor behind another, and is not too far
    /// ahead; after `last` there would be no `next`.
    in_order: i64,
    last: i64,
    /// The last item, if it was too far ahead; `NONE` if it was not.
    unconfirmed: i64,
    items: u64,
    late: u64,
    ahead: u64,
    untimed: u64,
}

/// What a time does to the watermark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    Yes,
    No,
    /// It is not a time.
    Untimed,
}

impl Follower {
    pub(super) fn new(watermarks: Watermarks) -> Self {
        let (disorder, apart) = (nanos(watermarks.disorder), nanos(watermarks.apart).max(1));
        let mut follower = Self {
            disorder,
            apart,
            span: disorder.saturating_add(apart),
            most_ahead: watermarks.most_ahead.map_or(i64::MAX, nanos),
            latest: NONE,
            watermark: NONE,
            next: NONE,
            in_order: NONE,
            last: if watermarks.most_ahead.is_some() { NONE } else { i64::MAX - apart },
            unconfirmed: NONE,
            items: 0,
            late: 0,
            ahead: 0,
            untimed: 0,
        };
        follower.move_to(NONE);
        follower
    }

    fn move_to(&mut self, watermark: i64) {
        self.watermark = watermark;
        self.next = watermark.saturating_add(self.span);
        // The beginning of time is not one.
        self.in_order = self.latest.max(watermark).max(NONE + 1);
    }

    /// Takes the time of the next item.
    #[inline]
    pub(super) fn take(&mut self, time: i64) -> Moved {
        // Nearly all items of a flow in order, for which nothing else has to be looked at.
        if time >= self.in_order && time < self.last {
            self.items += 1;
            self.in_order = time;
            self.latest = time;
            if time < self.next {
                return Moved::No;
            }
            self.watermark = time - self.disorder;
            self.next = time + self.apart;
            return Moved::Yes;
        }
        self.take_behind(time)
    }

    /// Takes a time that may not move the watermark.
    fn take_behind(&mut self, time: i64) -> Moved {
        // The least and the greatest number are each other's complement.
        if time ^ (time >> 63) == i64::MAX {
            self.untimed += 1;
            return Moved::Untimed;
        }
        self.items += 1;
        self.late += u64::from(time < self.watermark);
        let time = if self.most_ahead == i64::MAX { time } else { self.confirmed(time) };
        if time <= self.latest {
            return Moved::No;
        }
        self.latest = time;
        self.in_order = time.max(self.watermark);
        if time.saturating_sub(self.watermark) < self.span {
            return Moved::No;
        }
        self.move_to(time - self.disorder);
        Moved::Yes
    }

    /// The time that may move the watermark now that an item at `time` has come.
    fn confirmed(&mut self, time: i64) -> i64 {
        let before = std::mem::replace(&mut self.unconfirmed, NONE);
        let is_confirmed = before != NONE && time.abs_diff(before) <= self.most_ahead as u64;
        if is_confirmed {
            return time.max(before);
        }
        self.ahead += u64::from(before != NONE);
        if self.latest != NONE && time.saturating_sub(self.latest) <= self.most_ahead {
            return time;
        }
        self.unconfirmed = time;
        NONE
    }

    /// Moves on to `beyond` nanoseconds after the time that the items have given. `true` if that
    /// moved the watermark.
    pub(super) fn go_on(&mut self, beyond: i64) -> bool {
        let to = self.latest.saturating_sub(self.disorder).saturating_add(beyond);
        // The end of time is not a watermark.
        let far = to.saturating_sub(self.watermark) >= self.apart;
        let moved = self.has_time() && far && to < i64::MAX;
        if moved {
            self.move_to(to);
        }
        moved
    }

    /// Whether an item has given the time.
    pub(super) fn has_time(&self) -> bool {
        self.latest != NONE
    }

    pub(super) fn counts(&self) -> EventTimeCounts {
        let some = |time| (time != NONE).then(|| Timestamp::from_nanos(time));
        EventTimeCounts {
            items: self.items,
            late: self.late,
            ahead: self.ahead,
            untimed: self.untimed,
            latest: some(self.latest),
            watermark: some(self.watermark),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::*;

    fn quiet() -> Watermarks {
        Watermarks::disorder(ms(0)).idle(ms(3)).every(ms(2))
    }

    marbles!(idle, |input: i64| input.event_time(|x| Timestamp::from_millis(*x), quiet()));

    #[test]
    fn the_order_in_which_they_are_said_does_not_matter() {
        assert_eq!(Watermarks::disorder(ms(0)).every(ms(2)).idle(ms(3)), quiet());
        assert_eq!(Watermarks::disorder(ms(0)).idle(ms(30)).clock(), Some((ms(30), ms(3))));
        assert_eq!(Watermarks::from(ms(5)).clock(), None);
    }

    proptest! {
        #[test]
        fn a_watermark_is_behind_the_latest_by_the_disorder_and_less_than_they_are_apart(
            times in vec(-99..99i64, 0..60),
            disorder in 0..20u64,
            apart in 0..20u64,
        ) {
            let nanos = Duration::from_nanos;
            let watermarks = Watermarks::disorder(nanos(disorder)).at_least_apart(nanos(apart));
            let mut follower = Follower::new(watermarks);
            let (mut latest, mut late, mut last) = (i64::MIN, 0, None);
            for time in times {
                late += u64::from(last.is_some_and(|last| time < last));
                latest = latest.max(time);
                let due = latest - disorder as i64;
                let far = last.is_none_or(|last| due >= last + apart.max(1) as i64);
                let moved = follower.take(time);
                prop_assert_eq!(moved, if far { Moved::Yes } else { Moved::No });
                last = if far { Some(due) } else { last };
                let counts = follower.counts();
                prop_assert_eq!(counts.watermark.map(Timestamp::as_nanos), last);
                prop_assert_eq!(counts.latest.map(Timestamp::as_nanos), Some(latest));
                prop_assert_eq!(counts.late, late);
            }
        }

        /// Absurd times between good ones, each of its own absurdity.
        #[test]
        fn single_absurd_times_change_nothing_but_the_count(
            good in vec(0..50i64, 2..40),
            absurd in prop::collection::btree_set(2..40usize, 0..10),
        ) {
            let watermarks = Watermarks::disorder(ms(0)).most_ahead(Duration::from_nanos(100));
            let (mut guarded, mut plain) = (Follower::new(watermarks), Follower::new(ms(0).into()));
            let mut seen = 0;
            for (number, time) in good.iter().enumerate() {
                if absurd.contains(&number) {
                    guarded.take(1_000 + 1_000 * number as i64);
                    seen += 1;
                }
                guarded.take(*time);
                plain.take(*time);
            }
            prop_assert_eq!(guarded.counts().ahead, seen);
            prop_assert_eq!(guarded.counts().watermark, plain.counts().watermark);
        }
    }

    #[test]
    fn nothing_overflows_at_the_ends_of_the_range() {
        let most = Duration::MAX;
        for watermarks in [
            Watermarks::disorder(most),
            Watermarks::disorder(ms(0)).at_least_apart(most),
            Watermarks::disorder(most).at_least_apart(most).most_ahead(most),
        ] {
            let mut follower = Follower::new(watermarks);
            for time in [i64::MIN + 1, -2, -1, 0, 1, i64::MAX - 1, i64::MIN + 2] {
                assert_ne!(follower.take(time), Moved::Untimed);
                follower.go_on(i64::MAX);
            }
            assert_ne!(follower.watermark, i64::MAX);
            assert_eq!(follower.counts().items, 7);
        }
    }

    #[test]
    #[should_panic(expected = "Watermarks::idle: the time must not be zero")]
    fn an_idle_time_of_zero_is_refused() {
        let _ = Watermarks::disorder(ms(0)).idle(ms(0));
    }

    #[test]
    #[should_panic(expected = "Watermarks::every: the time must not be zero")]
    fn a_step_of_zero_is_refused() {
        let _ = quiet().every(ms(0));
    }
}
