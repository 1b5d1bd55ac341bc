//! [`KeyLimits`]: how many keys are remembered, and for how long.

use std::num::NonZeroUsize;
use std::panic::Location;
use std::time::Duration;

/// How many keys a flow with a state for each key remembers, and for how long.
///
/// ```
/// # use aqueduct_operators::keyed::KeyLimits;
/// # use std::time::Duration;
/// let limits = KeyLimits::new(10_000).idle(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct KeyLimits {
    max_keys: NonZeroUsize,
    idle: Option<Duration>,
}

impl KeyLimits {
    /// At most `max_keys` at once.
    ///
    /// # Panics
    ///
    /// If it is zero, or 2³² − 1 or more.
    #[track_caller]
    pub fn new(max_keys: usize) -> Self {
        let site = Location::caller();
        let max_keys = crate::buffer::checked(max_keys, "KeyLimits", site);
        let fits = u32::try_from(max_keys.get()).is_ok_and(|max_keys| max_keys < u32::MAX);
        assert!(fits, "KeyLimits: at most 4,294,967,294 keys are possible, at {site}");
        Self { max_keys, idle: None }
    }

    /// A key goes when no item has come for it for this time.
    #[doc(alias("ttl", "time_to_live", "expire_after"))]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }

    pub(crate) fn max_keys(&self) -> usize {
        self.max_keys.get()
    }

    pub(crate) fn idle_time(&self) -> Option<Duration> {
        self.idle
    }
}

#[cfg(test)]
mod tests {
    use super::KeyLimits;

    #[test]
    #[should_panic(expected = "KeyLimits: the capacity must not be zero, at operators/src/keyed")]
    fn a_limit_of_zero_keys_is_refused_where_it_was_written() {
        let _ = KeyLimits::new(0);
    }

    #[test]
    #[should_panic(expected = "at most 4,294,967,294 keys are possible, at operators/src/keyed")]
    fn a_limit_of_more_keys_than_the_table_can_number_is_refused() {
        let _ = KeyLimits::new(usize::MAX);
    }
}
