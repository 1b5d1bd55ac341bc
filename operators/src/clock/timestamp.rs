//! [`Timestamp`]: a point in time.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// A point in time: nanoseconds since the Unix epoch, from the year 1677 to 2262.
///
/// Clocks show it and events carry it. Arithmetic saturates at the ends of the range.
///
/// ```
/// # use aqueduct_operators::Timestamp;
/// # use std::time::Duration;
/// let open = Timestamp::from_millis(1_723_161_255_342);
/// assert_eq!(open.floor(Duration::from_secs(1)), Timestamp::from_secs(1_723_161_255));
/// assert_eq!(open + Duration::from_millis(8) - open, Duration::from_millis(8));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// 1970-01-01 00:00:00 UTC.
    pub const EPOCH: Self = Self(0);
    /// The earliest timestamp: before every event.
    pub const MIN: Self = Self(i64::MIN);
    /// The latest timestamp: after every event.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the Unix epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// From milliseconds since the Unix epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// From seconds since the Unix epoch.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds since the Unix epoch.
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whole milliseconds since the Unix epoch, rounded towards the past.
    pub const fn as_millis(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Whole seconds since the Unix epoch, rounded towards the past.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The last multiple of `period`, counted from the epoch, that is not after this time: the
    /// start of the tumbling window that it falls into. A zero `period` gives the time itself.
    #[must_use]
    pub fn floor(self, period: Duration) -> Self {
        match nanos(period) {
            0 => self,
            period => Self(self.0.saturating_sub(self.0.rem_euclid(period))),
        }
    }

    /// How far `earlier` lies before this time; zero if it does not.
    pub fn saturating_since(self, earlier: Self) -> Duration {
        self - earlier
    }
}

/// Nanoseconds, the most there are if the duration is longer: what a loop over items counts with,
/// because arithmetic on durations is too slow there.
pub(crate) const fn nanos(duration: Duration) -> i64 {
    let nanos = duration.as_nanos();
    if nanos > i64::MAX as u128 { i64::MAX } else { nanos as i64 }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(duration)))
    }
}

/// The time between two timestamps; zero if the second is the later one.
impl Sub for Timestamp {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        u64::try_from(i128::from(self.0) - i128::from(earlier.0))
            .map_or(Duration::ZERO, Duration::from_nanos)
    }
}

/// Seconds since the epoch with nine decimals.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let nanos = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_before_the_epoch_start_at_or_before_their_items() {
        let time = Timestamp::from_nanos(-1);
        assert_eq!(time.floor(Duration::from_secs(1)), Timestamp::from_secs(-1));
        assert_eq!(time.as_millis(), -1);
        assert_eq!(time.to_string(), "-0.000000001");
    }

    #[test]
    fn arithmetic_saturates_at_the_ends() {
        assert_eq!(Timestamp::MAX + Duration::from_nanos(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - Duration::MAX, Timestamp::MIN);
        assert_eq!(Timestamp::EPOCH - Timestamp::MAX, Duration::ZERO);
        assert_eq!(Timestamp::MAX - Timestamp::MIN, Duration::from_nanos(u64::MAX));
    }
}
