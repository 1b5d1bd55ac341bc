//! [`Limiter`]: a token bucket that flows share and whose rate can be changed while they run.

use std::fmt;
use std::num::NonZeroU32;
use std::panic::Location;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use slab::Slab;

use crate::util::lock;
use crate::{Clock, Timestamp};

/// So many of something in a time: never none, and never in no time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pace {
    count: NonZeroU32,
    /// Nanoseconds; at most `i64::MAX`.
    per: u64,
}

impl Pace {
    /// `count` in each `per`.
    ///
    /// # Panics
    ///
    /// If one of them is zero.
    #[track_caller]
    pub fn new(count: u32, per: Duration) -> Self {
        let site = Location::caller();
        let Some(count) = NonZeroU32::new(count) else {
            panic!("Pace: the count must not be zero, at {site}")
        };
        assert!(!per.is_zero(), "Pace: the time must not be zero, at {site}");
        let per = i64::try_from(per.as_nanos()).unwrap_or(i64::MAX);
        Self { count, per: per.unsigned_abs() }
    }

    /// `count` in each second.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn per_second(count: u32) -> Self {
        Self::new(count, Duration::from_secs(1))
    }

    /// How many.
    pub fn count(self) -> NonZeroU32 {
        self.count
    }

    /// In what time.
    pub fn per(self) -> Duration {
        Duration::from_nanos(self.per)
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per {:?}", self.count, self.per())
    }
}

/// What became of the items that asked a [`Limiter`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimiterCounts {
    /// Items that passed at once.
    pub passed: u64,
    /// Items that passed after they had to wait.
    pub delayed: u64,
    /// Items that were dropped.
    pub dropped: u64,
}

/// A token bucket: what [`rate_limit`](crate::Flow::rate_limit) asks for each item.
///
/// It holds up to `burst` tokens, is full at first, and gains tokens at its pace; an item that
/// costs `n` takes `n`. Clones are the same bucket: several flows with one limiter share its pace,
/// and whoever holds one can change it with [`set_pace`](Self::set_pace) while the flows run. What
/// is counted are whole nanoseconds and fractions of tokens as integers, so that nothing drifts:
/// in any time of `t` at most `burst + pace * t` tokens go out, to the
/// nanosecond.
///
/// ```
/// use aqueduct_operators::time::{Limiter, Pace};
///
/// let limiter = Limiter::new(Pace::per_second(50), 10);
/// let handle = limiter.clone();
/// handle.set_pace(Pace::per_second(25));
/// assert_eq!(limiter.pace(), Pace::per_second(25));
/// ```
#[derive(Clone)]
#[doc(alias("token_bucket", "rate_limiter", "throttler"))]
pub struct Limiter(Arc<Mutex<State>>);

struct State {
    bucket: Bucket,
    counts: LimiterCounts,
    /// The clock of the run in which it was first asked.
    clock: Option<Clock>,
    /// The tasks of the flows that wait, to be told of another pace.
    waiting: Slab<Option<Waker>>,
}

/// Tokens are counted in parts of which `pace.per` make one.
#[derive(Debug)]
struct Bucket {
    pace: Pace,
    burst: NonZeroU32,
    /// Below zero after an item that cost more than the burst.
    parts: i128,
    /// When `parts` was true.
    at: Option<Timestamp>,
}

impl Bucket {
    fn full(pace: Pace, burst: NonZeroU32) -> Self {
        let parts = i128::from(burst.get()) * i128::from(pace.per);
        Self { pace, burst, parts, at: None }
    }

    fn refill(&mut self, now: Timestamp) {
        let since = self.at.replace(now).unwrap_or(now);
        // A flow that read the clock a moment before another one must not take time back.
        let Ok(gone) = i128::try_from(now.saturating_since(since).as_nanos()) else {
            return;
        };
        self.at = Some(now.max(since));
        let count = i128::from(self.pace.count.get());
        // A wait is rounded up to a nanosecond, and what it brings too much must not be lost: with
        // a burst of one it would be, at every token.
        let most = i128::from(self.burst.get()) * i128::from(self.pace.per) + count - 1;
        let gained = gone * count;
        self.parts = most.min(self.parts.saturating_add(gained));
    }

    /// Takes the tokens, or says when they will be there. More than the burst are taken from a
    /// full bucket, which owes them then.
    fn take(&mut self, cost: u32, now: Timestamp) -> Result<(), Timestamp> {
        self.refill(now);
        let per = i128::from(self.pace.per);
        let missing = i128::from(cost.min(self.burst.get())) * per - self.parts;
        if missing <= 0 || cost == 0 {
            self.parts -= i128::from(cost) * per;
            return Ok(());
        }
        let count = i128::from(self.pace.count.get());
        // Rounded up: never early.
        let wait = u64::try_from((missing + count - 1) / count).unwrap_or(u64::MAX);
        Err(now.max(self.at.unwrap_or(now)) + Duration::from_nanos(wait))
    }

    fn set(&mut self, pace: Pace) {
        let (old, new) = (i128::from(self.pace.per), i128::from(pace.per));
        // Whole tokens and the rest apart, so that nothing overflows.
        let (tokens, rest) = (self.parts.div_euclid(old), self.parts.rem_euclid(old));
        self.parts = tokens * new + rest * new / old;
        self.pace = pace;
    }
}

impl Limiter {
    /// A full bucket of `burst` tokens.
    ///
    /// # Panics
    ///
    /// If `burst` is zero.
    #[track_caller]
    pub fn new(pace: Pace, burst: u32) -> Self {
        let site = Location::caller();
        let Some(burst) = NonZeroU32::new(burst) else {
            panic!("Limiter: the burst must not be zero, at {site}")
        };
        Self(Arc::new(Mutex::new(State {
            bucket: Bucket::full(pace, burst),
            counts: LimiterCounts::default(),
            clock: None,
            waiting: Slab::new(),
        })))
    }

    /// Changes the pace from now on. Flows that wait are told.
    pub fn set_pace(&self, pace: Pace) {
        let mut state = lock(&self.0);
        let State { bucket, clock, .. } = &mut *state;
        if let Some(clock) = clock {
            bucket.refill(clock.now());
        }
        bucket.set(pace);
        let wakers: Vec<_> = state.waiting.iter_mut().filter_map(|(_, slot)| slot.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The pace.
    pub fn pace(&self) -> Pace {
        lock(&self.0).bucket.pace
    }

    /// The most tokens that it holds.
    pub fn burst(&self) -> NonZeroU32 {
        lock(&self.0).bucket.burst
    }

    /// What became of the items so far, in all flows that share it.
    pub fn counts(&self) -> LimiterCounts {
        lock(&self.0).counts
    }

    /// A flow's place at the bucket.
    pub(super) fn join(&self) -> Seat {
        let key = lock(&self.0).waiting.insert(None);
        Seat { limiter: self.clone(), key }
    }
}

impl fmt::Debug for Limiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = lock(&self.0);
        f.debug_struct("Limiter")
            .field("pace", &state.bucket.pace)
            .field("burst", &state.bucket.burst)
            .field("counts", &state.counts)
            .finish_non_exhaustive()
    }
}

/// One flow at a [`Limiter`].
#[derive(Debug)]
pub(super) struct Seat {
    limiter: Limiter,
    key: usize,
}

impl Seat {
    pub(super) fn limiter(&self) -> &Limiter {
        &self.limiter
    }

    /// Takes the tokens for an item, or says when to ask again; then `waker` is woken if the pace
    /// changes before. `waited` says whether the item has asked before.
    pub(super) fn take(
        &self,
        cost: u32,
        waited: bool,
        waker: &Waker,
    ) -> Result<(), (Timestamp, Timestamp)> {
        let mut state = lock(&self.limiter.0);
        let State { bucket, counts, clock, waiting } = &mut *state;
        let now = clock.get_or_insert_with(Clock::current).now();
        let taken = bucket.take(cost, now);
        let old = match (&taken, waiting.get_mut(self.key)) {
            (Ok(()), Some(slot)) => slot.take(),
            (Err(_), Some(slot)) => slot.replace(waker.clone()),
            (_, None) => None,
        };
        match taken {
            Ok(()) if waited => counts.delayed += 1,
            Ok(()) => counts.passed += 1,
            Err(_) => {}
        }
        drop(state);
        // Outside the lock: the last waker of a task may drop flows with it.
        drop(old);
        taken.map_err(|at| (now, at))
    }

    /// Takes the tokens for an item that is dropped without them.
    pub(super) fn take_or_drop(&self, cost: u32) -> bool {
        let mut state = lock(&self.limiter.0);
        let State { bucket, counts, clock, .. } = &mut *state;
        let now = clock.get_or_insert_with(Clock::current).now();
        // What costs more than the burst is never within the pace.
        let passes = cost <= bucket.burst.get() && bucket.take(cost, now).is_ok();
        match passes {
            true => counts.passed += 1,
            false => counts.dropped += 1,
        }
        passes
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let waker = lock(&self.limiter.0).waiting.try_remove(self.key);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: i64) -> Timestamp {
        Timestamp::from_nanos(nanos)
    }

    #[test]
    fn thirds_of_a_nanosecond_do_not_add_up_to_a_drift() {
        let mut bucket = Bucket::full(Pace::new(3, Duration::from_nanos(10)), NonZeroU32::MIN);
        let mut now = at(0);
        for _ in 0..3_000 {
            while let Err(later) = bucket.take(1, now) {
                now = later;
            }
        }
        // The first is free; 2,999 tokens take 9,996.67 ns.
        assert_eq!(now, at(9_997));
    }

    #[test]
    fn another_pace_keeps_the_tokens_that_are_there() {
        let mut bucket = Bucket::full(Pace::per_second(1), NonZeroU32::MIN);
        assert_eq!(bucket.take(1, at(0)), Ok(()));
        bucket.refill(at(500_000_000));
        bucket.set(Pace::new(10, Duration::from_secs(100)));
        // Half a token is there, and the other half takes five seconds now.
        assert_eq!(bucket.take(1, at(500_000_000)), Err(at(5_500_000_000)));
    }

    #[test]
    fn the_longest_time_and_the_highest_count_do_not_overflow() {
        let mut bucket = Bucket::full(Pace::new(1, Duration::MAX), NonZeroU32::MAX);
        assert_eq!(bucket.take(u32::MAX, Timestamp::MIN), Ok(()));
        assert_eq!(bucket.take(1, Timestamp::MIN), Err(at(-1)));
        bucket.set(Pace::new(u32::MAX, Duration::from_nanos(1)));
        bucket.set(Pace::new(u32::MAX, Duration::MAX));
        assert_eq!(bucket.take(u32::MAX, Timestamp::MAX), Ok(()));
    }

    proptest! {
        #[test]
        fn in_no_time_more_goes_out_than_the_burst_and_what_the_pace_allows(
            (count, per, burst) in (1u32..50, 1u64..50, 1u32..9),
            steps in prop::collection::vec((0u32..12, 0i64..40), 1..60),
        ) {
            let mut bucket =
                Bucket::full(Pace::new(count, Duration::from_nanos(per)), NonZeroU32::new(burst).unwrap());
            let (mut now, mut out) = (0i64, vec![]);
            for (cost, gap) in steps {
                now += gap;
                if let Err(due) = bucket.take(cost, at(now)) {
                    prop_assert!(bucket.take(cost, due - Duration::from_nanos(1)).is_err());
                    now = due.as_nanos();
                    prop_assert_eq!(bucket.take(cost, due), Ok(()));
                }
                if cost == 0 {
                    continue;
                }
                // An item that costs more than the burst owes the rest, and the next ones pay it.
                out.push((now, i128::from(cost.min(burst)), i128::from(cost)));
            }
            for first in 0..out.len() {
                for last in first..out.len() {
                    let span = i128::from(out[last].0 - out[first].0);
                    let taken: i128 = out[first..last].iter().map(|o| o.2).sum::<i128>() + out[last].1;
                    // A nanosecond more, because waits are rounded up to one.
                    let allowed =
                        i128::from(burst) * i128::from(per) + (span + 1) * i128::from(count);
                    prop_assert!(taken * i128::from(per) <= allowed);
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "Pace: the count must not be zero, at operators/src/time/limiter.rs")]
    fn a_pace_of_nothing_is_refused_where_it_was_written() {
        let _ = Pace::per_second(0);
    }

    #[test]
    #[should_panic(expected = "Pace: the time must not be zero, at operators/src/time/limiter.rs")]
    fn a_pace_in_no_time_is_refused_where_it_was_written() {
        let _ = Pace::new(1, Duration::ZERO);
    }

    #[test]
    #[should_panic(
        expected = "Limiter: the burst must not be zero, at operators/src/time/limiter.rs"
    )]
    fn a_burst_of_zero_is_refused_where_it_was_written() {
        let _ = Limiter::new(Pace::per_second(1), 0);
    }
}
