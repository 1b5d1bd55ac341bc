//! Instants at a fixed distance from each other.

use std::time::Duration;

use crate::Timestamp;

/// The first instant `origin + k * period` with `k >= 1` that is not before `at`. The period is
/// not zero. Counted from the origin each time, so that nothing adds up to a drift.
pub(crate) fn next_tick(origin: Timestamp, period: Duration, at: Timestamp) -> Timestamp {
    let (past, period) = (at.saturating_since(origin).as_nanos(), period.as_nanos());
    let distance = past.div_ceil(period).max(1).saturating_mul(period);
    origin + u64::try_from(distance).map_or(Duration::MAX, Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::next_tick;
    use crate::Timestamp;
    use crate::testing::ms;

    #[test]
    fn the_next_tick_lies_at_or_after_the_instant_but_after_the_origin() {
        let (at, origin) = (Timestamp::from_millis, Timestamp::from_millis(3));
        for (instant, tick) in [(0, 13), (3, 13), (4, 13), (13, 13), (14, 23), (103, 103)] {
            assert_eq!(next_tick(origin, ms(10), at(instant)), at(tick), "at {instant}");
        }
    }
}
