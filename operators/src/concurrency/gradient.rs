//! [`Gradient`]: how a concurrency limit follows the latency.

use std::ops::RangeInclusive;
use std::time::Duration;

/// The least number of latencies from which a mean is taken.
const SAMPLES: usize = 8;
/// Windows between two looks at the unloaded latency.
const WINDOWS: u32 = 40;
/// What a look at the unloaded latency divides the limit by.
const PROBE: f64 = 4.0;
/// The least and the most that one window may multiply the limit by, without the headroom.
const GRADIENT: RangeInclusive<f64> = 0.5..=1.0;

/// The limit, and the latencies that decide where it goes. Time comes in; nothing is read here.
///
/// A window is as many futures as the limit lets run at a time, all of them started after the limit
/// was last changed, so that they measure the load of this limit.
#[derive(Debug)]
pub(super) struct Gradient {
    range: RangeInclusive<usize>,
    tolerance: f64,
    limit: f64,
    running: usize,
    phase: Phase,
    /// The mean latency, in nanoseconds, without load.
    unloaded: Option<f64>,
    /// That of the last window.
    latency: Option<f64>,
    window: Window,
    windows: u32,
    /// The limit was halved, and no future of the new limit is over.
    backed_off: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// Measures the unloaded latency; the limit before, if this is not the first time.
    Probe { before: Option<f64> },
    /// Doubles the limit until the latency rises.
    Search,
    /// Follows the gradient.
    Follow,
}

#[derive(Debug, Default)]
struct Window {
    number: u64,
    sum: f64,
    count: usize,
    /// Whether the limit was reached.
    full: bool,
}

/// What a future was given when it started: the window in which it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Gradient {
    pub(super) fn new(range: RangeInclusive<usize>, tolerance: f64) -> Self {
        Self {
            limit: *range.start() as f64,
            range,
            tolerance,
            running: 0,
            phase: Phase::Probe { before: None },
            unloaded: None,
            latency: None,
            window: Window::default(),
            windows: 0,
            backed_off: false,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency.map(nanos)
    }

    pub(super) fn unloaded(&self) -> Option<Duration> {
        self.unloaded.map(nanos)
    }

    pub(super) fn start(&mut self) -> Ticket {
        self.running += 1;
        self.window.full |= self.running >= self.limit();
        Ticket(self.window.number)
    }

    /// A future is over; `latency` unless it was dropped before it was ready.
    pub(super) fn finish(&mut self, Ticket(window): Ticket, latency: Option<Duration>) {
        self.running -= 1;
        let Some(latency) = latency.filter(|_| window == self.window.number) else {
            return;
        };
        self.backed_off = false;
        self.window.sum += latency.as_nanos() as f64;
        self.window.count += 1;
        if self.window.count >= self.limit().max(SAMPLES) {
            self.close();
        }
    }

    /// Halves the limit, once until the first future of the new limit is over.
    pub(super) fn back_off(&mut self) {
        if !self.backed_off {
            if let Phase::Search = self.phase {
                self.phase = Phase::Follow;
            }
            self.set(self.limit / 2.0);
            self.backed_off = true;
        }
    }

    fn close(&mut self) {
        let mean = self.window.sum / self.window.count as f64;
        self.latency = Some(mean);
        self.windows += 1;
        let limit = match (self.phase, self.unloaded) {
            (Phase::Probe { before }, was) => {
                self.unloaded = Some(mean);
                // If the server as such has become slower, the limit of before means nothing.
                let same = was.is_some_and(|was| mean <= was * self.tolerance);
                self.phase = if same { Phase::Follow } else { Phase::Search };
                self.windows = 0;
                before.unwrap_or(self.limit)
            }
            (Phase::Search | Phase::Follow, unloaded) => self.next(mean, unloaded.unwrap_or(mean)),
        };
        if self.windows < WINDOWS {
            self.set(limit);
        } else {
            self.phase = Phase::Probe { before: Some(limit) };
            self.set(self.limit / PROBE);
        }
    }

    /// The limit after a window with this mean latency.
    fn next(&mut self, mean: f64, unloaded: f64) -> f64 {
        if mean < unloaded {
            self.unloaded = Some(unloaded + (mean - unloaded) / 4.0);
        }
        // Without a latency, as under virtual time, nothing is known.
        let gradient = if unloaded > 0.0 { self.tolerance * unloaded / mean } else { 1.0 };
        let gradient = gradient.clamp(*GRADIENT.start(), *GRADIENT.end());
        if gradient < 1.0 {
            self.phase = Phase::Follow;
            return self.limit * gradient + self.limit.sqrt();
        }
        match self.phase {
            // Latencies at a load below the limit say nothing about the limit.
            _ if !self.window.full => self.limit,
            Phase::Search => self.limit * 2.0,
            Phase::Probe { .. } | Phase::Follow => self.limit + self.limit.sqrt(),
        }
    }

    /// Begins a window with this limit.
    fn set(&mut self, limit: f64) {
        self.limit = limit.clamp(*self.range.start() as f64, *self.range.end() as f64);
        let number = self.window.number + 1;
        let full = self.running >= self.limit();
        self.window = Window { number, full, ..Window::default() };
    }
}

fn nanos(nanos: f64) -> Duration {
    Duration::from_nanos(nanos as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::ms;

    /// Windows in which the limit is reached, over a server that answers in `latency(load)`.
    fn run(
        gradient: &mut Gradient,
        windows: u32,
        latency: impl Fn(usize) -> Duration,
    ) -> Vec<usize> {
        let mut limits = Vec::new();
        for _ in 0..windows {
            let load = gradient.limit();
            let number = gradient.window.number;
            while gradient.window.number == number {
                let tickets: Vec<_> = (0..load).map(|_| gradient.start()).collect();
                tickets.into_iter().for_each(|t| gradient.finish(t, Some(latency(load))));
            }
            limits.push(gradient.limit());
        }
        limits
    }

    /// Up to `knee` at a time in 10 ms, and then each in proportion.
    fn server(knee: usize) -> impl Fn(usize) -> Duration {
        move |load| ms(10).mul_f64(load.max(knee) as f64 / knee as f64)
    }

    #[test]
    fn it_doubles_until_the_latency_rises_and_settles_a_little_above_the_knee() {
        let mut gradient = Gradient::new(1..=256, 1.2);
        let limits = run(&mut gradient, 12, server(16));
        assert_eq!(limits[..7], [1, 2, 4, 8, 16, 32, 24]);
        assert!(limits[7..].iter().all(|limit| *limit == 24), "{limits:?}");
    }

    #[test]
    fn after_some_windows_it_looks_at_the_unloaded_latency_again() {
        let mut gradient = Gradient::new(1..=256, 1.2);
        run(&mut gradient, 20, server(16));
        // The server is three times as slow at any load: that is no reason to ask less of it.
        let slower = |load| 3 * server(16)(load);
        run(&mut gradient, 30, slower);
        let limits = run(&mut gradient, 30, slower);
        assert_eq!(gradient.unloaded(), Some(ms(30)));
        assert!((23..=25).contains(limits.last().unwrap()), "{limits:?}");
    }

    #[test]
    fn a_load_below_the_limit_does_not_raise_it() {
        let mut gradient = Gradient::new(4..=64, 1.2);
        for _ in 0..1_000 {
            let ticket = gradient.start();
            gradient.finish(ticket, Some(ms(10)));
        }
        assert_eq!(gradient.limit(), 4);
    }

    #[test]
    fn latencies_of_futures_that_started_under_another_limit_do_not_count() {
        let mut gradient = Gradient::new(1..=64, 1.2);
        run(&mut gradient, 3, server(64));
        let old = gradient.start();
        run(&mut gradient, 1, server(64));
        let before = gradient.window.count;
        gradient.finish(old, Some(ms(1_000)));
        assert_eq!((gradient.window.count, gradient.running()), (before, 0));
    }

    #[test]
    fn it_stays_in_its_range() {
        let mut gradient = Gradient::new(3..=10, 1.2);
        assert!(run(&mut gradient, 50, |_| ms(10)).iter().all(|limit| (3..=10).contains(limit)));
        assert_eq!(gradient.limit(), 10);
        for _ in 0..5 {
            gradient.back_off();
        }
        assert_eq!(gradient.limit(), 5);
        run(&mut gradient, 50, |load| ms(10 + 100 * load as u64));
        assert!((3..=6).contains(&gradient.limit()), "{}", gradient.limit());
    }

    #[test]
    fn without_latencies_it_goes_up() {
        let mut gradient = Gradient::new(1..=64, 1.2);
        run(&mut gradient, 20, |_| Duration::ZERO);
        assert_eq!(gradient.limit(), 64);
    }
}
