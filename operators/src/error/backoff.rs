//! [`Backoff`]: how long to wait before the next attempt.

use std::fmt;
use std::time::Duration;

/// The shortest uptime that counts as healthy, if nothing else was asked for.
const HEALTHY: Duration = Duration::from_secs(60);

/// How long to wait before each retry, and how many there may be.
///
/// The wait before retry `k` (from 0) is `min(cap, initial * factor^k)`. With
/// [`jitter`](Self::jitter) it is multiplied by `1 - fraction * u`, where `u` lies in `[0, 1)`:
/// the upper 53 bits of draw `k` of the generator splitmix64 (Steele, Lea, Flood: "Fast splittable
/// pseudorandom number generators", 2014), divided by 2^53. The same seed gives the same waits.
///
/// ```
/// use aqueduct_operators::error::Backoff;
/// use std::time::Duration;
///
/// let backoff = Backoff::exponential(Duration::from_millis(200), 2.0, Duration::from_secs(30))
///     .jitter(0.5, 42)
///     .max_retries(8);
/// assert_eq!(backoff.to_string(), "200ms * 2, at most 30s, jitter 0.5, 8 retries");
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use]
pub struct Backoff {
    initial: Duration,
    factor: f64,
    cap: Duration,
    jitter: f64,
    seed: u64,
    max_retries: Option<u64>,
    max_elapsed: Option<Duration>,
    /// As many retries within this time.
    density: Option<(usize, Duration)>,
    min_uptime: Duration,
}

impl Backoff {
    /// Waits `initial` before the first retry and `factor` times as long before each further one,
    /// but never longer than `cap`. There is no limit to their number, no jitter, and an attempt
    /// that stayed healthy for a minute, or for `cap` if that is longer, starts the count anew.
    ///
    /// # Panics
    ///
    /// If `factor` is less than 1 or not finite.
    #[track_caller]
    pub fn exponential(initial: Duration, factor: f64, cap: Duration) -> Self {
        assert!(
            factor.is_finite() && factor >= 1.0,
            "Backoff: the factor must be finite and at least 1, not {factor}"
        );
        Self {
            initial,
            factor,
            cap,
            jitter: 0.0,
            seed: 0,
            max_retries: None,
            max_elapsed: None,
            density: None,
            min_uptime: cap.max(HEALTHY),
        }
    }

    /// Waits the same time before each retry.
    pub fn constant(wait: Duration) -> Self {
        Self::exponential(wait, 1.0, wait)
    }

    /// Shortens each wait by a random part of up to `fraction` of it, so that many flows that
    /// failed together do not come back together. Give each its own `seed`.
    ///
    /// # Panics
    ///
    /// If `fraction` is not between 0 and 1.
    #[track_caller]
    pub fn jitter(mut self, fraction: f64, seed: u64) -> Self {
        assert!(
            (0.0..=1.0).contains(&fraction),
            "Backoff: the jitter must lie between 0 and 1, not {fraction}"
        );
        self.jitter = fraction;
        self.seed = seed;
        self
    }

    /// Allows this many retries in a row; 0 allows none.
    pub fn max_retries(mut self, retries: u64) -> Self {
        self.max_retries = Some(retries);
        self
    }

    /// Allows a retry only if it begins at most this long after the first error in a row.
    pub fn max_elapsed(mut self, time: Duration) -> Self {
        self.max_elapsed = Some(time);
        self
    }

    /// Allows this many retries within `time`, healthy attempts between them or not; 0 allows none.
    ///
    /// The instants of that many retries are remembered.
    pub fn max_retries_within(mut self, retries: usize, time: Duration) -> Self {
        self.density = Some((retries, time));
        self
    }

    /// An attempt is healthy if its error came at least this long after its first item: then the
    /// count of retries, and with it the wait, starts anew. `Duration::MAX` lets it never do so.
    pub fn reset_after(mut self, min_uptime: Duration) -> Self {
        self.min_uptime = min_uptime;
        self
    }

    pub(super) fn min_uptime(&self) -> Duration {
        self.min_uptime
    }

    pub(super) fn elapses(&self) -> Option<Duration> {
        self.max_elapsed
    }

    pub(super) fn density(&self) -> Option<(usize, Duration)> {
        self.density
    }

    /// The wait before retry `row` of those in a row, which is retry `drawn` of all. `None`: no
    /// more.
    pub(super) fn wait(&self, row: u64, drawn: u64) -> Option<Duration> {
        if self.max_retries.is_some_and(|most| row >= most) {
            return None;
        }
        let grown = self.factor.powi(i32::try_from(row).unwrap_or(i32::MAX));
        let wait = Duration::try_from_secs_f64(self.initial.as_secs_f64() * grown)
            .unwrap_or(Duration::MAX)
            .min(self.cap);
        if self.jitter == 0.0 {
            return Some(wait);
        }
        Some(wait.mul_f64(1.0 - self.jitter * unit(self.seed, drawn)))
    }
}

/// Draw `index` of splitmix64, as a number in `[0, 1)`.
fn unit(seed: u64, index: u64) -> f64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(index.wrapping_add(1)));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

impl fmt::Display for Backoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { initial, factor, cap, .. } = self;
        write!(f, "{initial:?} * {factor}, at most {cap:?}")?;
        if self.jitter > 0.0 {
            write!(f, ", jitter {}", self.jitter)?;
        }
        if let Some(most) = self.max_retries {
            write!(f, ", {most} retries")?;
        }
        if let Some(time) = self.max_elapsed {
            write!(f, ", for {time:?}")?;
        }
        if let Some((most, time)) = self.density {
            write!(f, ", {most} retries in {time:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use crate::testing::ms;

    #[test]
    fn waits_grow_by_the_factor_up_to_the_cap() {
        let backoff = Backoff::exponential(ms(100), 2.0, ms(500)).max_retries(5);
        let waits: Vec<_> = (0..6).map(|k| backoff.wait(k, k)).collect();
        let expected = [100, 200, 400, 500, 500].map(|millis| Some(ms(millis)));
        assert_eq!(waits[..5], expected);
        assert_eq!(waits[5], None);
    }

    #[test]
    fn a_factor_that_overflows_stays_at_the_cap() {
        let backoff = Backoff::exponential(ms(100), 2.0, ms(500));
        assert_eq!(backoff.wait(u64::MAX, 0), Some(ms(500)));
        let none = Backoff::exponential(ms(0), 2.0, ms(500));
        assert_eq!(none.wait(u64::MAX, 0), Some(ms(500)), "0 * infinity is capped");
    }

    #[test]
    fn jitter_follows_the_seed_and_only_shortens() {
        let backoff = Backoff::constant(ms(100)).jitter(0.5, 7);
        let waits: Vec<_> = (0..100).filter_map(|k| backoff.wait(k, k)).collect();
        assert!(waits.iter().all(|wait| (ms(50)..=ms(100)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < ms(60)));
        assert!(waits.iter().any(|wait| *wait > ms(90)));
        let other = Backoff::constant(ms(100)).jitter(0.5, 8);
        assert_ne!(other.wait(0, 0), backoff.wait(0, 0));
    }

    #[test]
    fn it_prints_what_it_allows() {
        let backoff = Backoff::constant(ms(1)).max_elapsed(ms(9)).max_retries_within(3, ms(5));
        assert_eq!(backoff.to_string(), "1ms * 1, at most 1ms, for 9ms, 3 retries in 5ms");
    }

    #[test]
    #[should_panic(expected = "the jitter must lie between 0 and 1, not 2")]
    fn a_jitter_of_more_than_the_wait_is_refused() {
        let _ = Backoff::constant(ms(1)).jitter(2.0, 0);
    }

    #[test]
    #[should_panic(expected = "the factor must be finite and at least 1, not 0.5")]
    fn waits_that_shrink_are_refused() {
        let _ = Backoff::exponential(ms(1), 0.5, ms(1));
    }
}
