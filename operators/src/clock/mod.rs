//! Time: [`Timestamp`], the [`Clock`] that operators read, and the [`Alarm`] they wait on.
//!
//! Which clock a flow runs on is decided by the run that drives it, not by the flow: see
//! [`Ambient`](crate::Ambient).

mod alarm;
mod ambient;
mod budget;
mod timestamp;
mod virtual_time;

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use alarm::Alarm;
pub use ambient::{Ambient, InAmbient, Job, Task};
pub use budget::Budget;
pub use timestamp::Timestamp;
pub(crate) use timestamp::nanos;
use virtual_time::Timers;
pub use virtual_time::{Driven, Stalled, Virtual};

/// The clock of a run: what time it is, in nanoseconds since the Unix epoch.
///
/// A clock never goes back. There are three: the live one, the live one running faster or slower
/// (a replay at a speed factor), and a virtual one that stands still until nothing is left to do
/// at the present instant. Cloning is cheap and gives the same clock.
#[derive(Clone)]
pub struct Clock(Kind);

#[derive(Clone)]
enum Kind {
    Live,
    Paced(Pace),
    Virtual(Arc<Timers>),
}

/// A clock that showed `origin` when the live one showed `started`, and runs `factor` times as
/// fast since.
#[derive(Clone, Copy)]
struct Pace {
    started: Timestamp,
    origin: Timestamp,
    factor: f64,
}

impl Clock {
    /// The machine's clock. It is anchored to the wall clock once and then counts monotonic time,
    /// so that a correction of the machine's time never turns it back.
    pub fn live() -> Self {
        Self(Kind::Live)
    }

    /// A clock that shows `origin` now and runs `factor` times as fast as the live one.
    ///
    /// # Panics
    ///
    /// If `factor` is not a positive finite number.
    #[track_caller]
    pub fn paced(origin: Timestamp, factor: f64) -> Self {
        assert!(
            factor.is_finite() && factor > 0.0,
            "Clock::paced: the factor must be positive and finite, not {factor}"
        );
        Self(Kind::Paced(Pace { started: live_now(), origin, factor }))
    }

    fn virtual_time(timers: Arc<Timers>) -> Self {
        Self(Kind::Virtual(timers))
    }

    /// The clock of the run that is polling right now: of [`Ambient::current`].
    pub fn current() -> Self {
        Ambient::with_current(|ambient| ambient.clock().clone())
    }

    /// The time. Reading the live clock costs about 25 ns, the virtual one about 1.
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Kind::Live => live_now(),
            Kind::Paced(pace) => pace.at(live_now()),
            Kind::Virtual(timers) => timers.now(),
        }
    }

    /// Whether time stands still while there is work to do.
    pub fn is_virtual(&self) -> bool {
        matches!(self.0, Kind::Virtual(_))
    }
}

impl Pace {
    fn at(self, live: Timestamp) -> Timestamp {
        let run = (live - self.started).as_secs_f64() * self.factor;
        self.origin + Duration::try_from_secs_f64(run).unwrap_or(Duration::MAX)
    }

    /// The live time in which the clock goes on by `left`; rounded up.
    fn live_time(self, left: Duration) -> Duration {
        if left.is_zero() {
            return left;
        }
        Duration::try_from_secs_f64(left.as_secs_f64() / self.factor)
            .unwrap_or(Duration::MAX)
            .saturating_add(Duration::from_nanos(1))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Live => f.write_str("Clock::live"),
            Kind::Paced(pace) => write!(f, "Clock::paced(x{})", pace.factor),
            Kind::Virtual(timers) => write!(f, "Clock::virtual({})", timers.now()),
        }
    }
}

/// The only place that reads the machine's clocks. tokio's instant is the machine's monotonic
/// clock, except in a test that pauses tokio's time, where both have to agree with its timers.
/// Such a clock stands where it was paused, which may lie before the anchor.
fn live_now() -> Timestamp {
    if cfg!(loom) {
        // A model has to take the same steps each time.
        return Timestamp::EPOCH;
    }
    #[cfg(any(test, feature = "testing"))]
    LIVE_READS.set(LIVE_READS.get() + 1);
    static ANCHOR: OnceLock<(Timestamp, Instant)> = OnceLock::new();
    let (wall, anchor) = ANCHOR.get_or_init(|| {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (Timestamp::EPOCH + wall, Instant::now())
    });
    let now = tokio::time::Instant::now().into_std();
    match now.checked_duration_since(*anchor) {
        Some(since) => *wall + since,
        None => *wall - anchor.saturating_duration_since(now),
    }
}

#[cfg(any(test, feature = "testing"))]
thread_local! {
    static LIVE_READS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How often this thread has read the live clock. The test kit looks whether an operator does so
/// under virtual time.
#[cfg(any(test, feature = "testing"))]
pub(crate) fn live_reads() -> usize {
    LIVE_READS.get()
}
