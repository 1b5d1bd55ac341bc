//! [`Adaptive`]: a concurrency limit that moves with the latency, and the handle that shows it.

use std::future::Future;
use std::ops::RangeInclusive;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::{pin_project, pinned_drop};

use super::Gate;
use super::gradient::{Gradient, Ticket};
use crate::util::lock;
use crate::{Clock, Node, Site, Timestamp};

/// How [`map_async_adaptive`](crate::Flow::map_async_adaptive) decides how many futures run: a
/// range, and how much slower than without load they may be.
///
/// The limit follows the *gradient*, the ratio of the latency without load to that of the last
/// window:
///
/// ```text
/// gradient  = clamp(tolerance * unloaded / latency, 0.5, 1.0)
/// limit'    = limit * gradient + sqrt(limit)
/// ```
///
/// the rule of Netflix's adaptive concurrency limits ("Performance Under Load", 2018, and the class
/// `GradientLimit` of concurrency-limits), which descends from TCP Vegas. Over a server that
/// answers `knee` requests at a time at full speed it comes to rest at `tolerance * knee` and a
/// headroom of about the square root of that. A window is `limit` futures, at least 8, that were
/// all started under this limit; latencies are means, since the least of them says little where
/// requests differ.
///
/// - At first, the unloaded latency is measured at the least limit of the range.
/// - Then the limit doubles with each window until the latency rises.
/// - Every 40 windows the limit is a quarter for one window, which measures the unloaded latency
///   anew: a server that has become slower at any load is not mistaken for one with a queue. In
///   between a lower latency is taken over by quarters.
/// - A window in which the limit was not reached does not raise it.
///
/// Futures that fail early look fast: one that was told that the server is overloaded calls
/// [`back_off`](AdaptiveLimit::back_off), which halves the limit.
///
/// Measured in virtual time over a queue before some workers that take 10 ms for a request, with a
/// limit of 1 to 256 and the tolerance of 1.2; a fixed limit of 256 has the same throughput:
///
/// | workers | limit settles at | of full throughput | latency | with a fixed limit of 256 |
/// |---|---|---|---|---|
/// | 4 | 7 to 8 | 96 % | 18 to 22 ms | 640 ms |
/// | 16 | 22 to 27 | 98 % | 13 to 17 ms | 160 ms |
/// | 64 | 77 to 93 | 97 % | 10 to 16 ms | 40 ms |
#[derive(Debug)]
#[must_use = "it is an argument of `map_async_adaptive`"]
pub struct Adaptive {
    limits: RangeInclusive<usize>,
    tolerance: f64,
    limit: AdaptiveLimit,
}

impl Adaptive {
    /// A limit within these bounds, and a tolerance of 1.2.
    ///
    /// # Panics
    ///
    /// If the range is empty or begins at zero.
    #[track_caller]
    pub fn new(limits: RangeInclusive<usize>) -> Self {
        let site: Site = Location::caller();
        assert!(
            *limits.start() > 0 && !limits.is_empty(),
            "Adaptive: the limits must be a range from 1 or more, not {limits:?}, at {site}"
        );
        Self::with(limits, 1.2)
    }

    /// How many times the unloaded latency is no reason for a lower limit. More gives throughput
    /// where latencies vary much, less gives latency.
    ///
    /// # Panics
    ///
    /// If it is less than 1 or not finite.
    #[track_caller]
    pub fn tolerance(self, tolerance: f64) -> Self {
        let site: Site = Location::caller();
        assert!(
            tolerance.is_finite() && tolerance >= 1.0,
            "Adaptive: the tolerance must be 1 or more, not {tolerance}, at {site}"
        );
        Self::with(self.limits, tolerance)
    }

    fn with(limits: RangeInclusive<usize>, tolerance: f64) -> Self {
        let gradient = Gradient::new(limits.clone(), tolerance);
        Self { limits, tolerance, limit: AdaptiveLimit(Arc::new(Mutex::new(gradient))) }
    }

    /// The limit as it moves, to be read and to be lowered.
    pub fn limit(&self) -> AdaptiveLimit {
        self.limit.clone()
    }

    pub(super) fn most(&self) -> usize {
        *self.limits.end()
    }

    pub(super) fn gate(&self) -> AdaptiveGate {
        let Self { limits, tolerance, limit } = self;
        AdaptiveGate { limits: limits.clone(), tolerance: *tolerance, limit: limit.clone() }
    }
}

/// A concurrency limit that moves with the latency: see [`Adaptive::limit`].
#[derive(Debug, Clone)]
pub struct AdaptiveLimit(Arc<Mutex<Gradient>>);

impl AdaptiveLimit {
    /// How many futures may run now.
    pub fn get(&self) -> usize {
        lock(&self.0).limit()
    }

    /// How many run.
    pub fn running(&self) -> usize {
        lock(&self.0).running()
    }

    /// The mean latency of the last window; `None` before the first one is over.
    pub fn latency(&self) -> Option<Duration> {
        lock(&self.0).latency()
    }

    /// The mean latency without load, as it was measured last.
    pub fn unloaded_latency(&self) -> Option<Duration> {
        lock(&self.0).unloaded()
    }

    /// Halves the limit: for a future that was refused for overload, or ran into its timeout. Of
    /// the futures that were started under one limit only the first call counts.
    pub fn back_off(&self) {
        lock(&self.0).back_off();
    }

    pub(super) fn measure<Fut>(&self, future: Fut, clock: &Clock) -> Measured<Fut> {
        let ticket = lock(&self.0).start();
        let (limit, clock) = (self.clone(), clock.clone());
        Measured { future, started: clock.now(), clock, ticket: Some(ticket), limit }
    }

    fn finish(&self, ticket: Option<Ticket>, latency: Option<Duration>) {
        if let Some(ticket) = ticket {
            lock(&self.0).finish(ticket, latency);
        }
    }
}

/// Opens while fewer futures run than the limit says.
#[derive(Debug)]
pub struct AdaptiveGate {
    limits: RangeInclusive<usize>,
    tolerance: f64,
    limit: AdaptiveLimit,
}

impl Gate for AdaptiveGate {
    fn is_open(&self) -> bool {
        let gradient = lock(&self.limit.0);
        gradient.running() < gradient.limit()
    }

    fn describe(&self, node: &mut Node, _: usize) {
        let (least, most) = (self.limits.start(), self.limits.end());
        node.parameter("limit", format_args!("{least} to {most}"))
            .parameter("tolerance", self.tolerance);
    }
}

/// A future whose latency moves a limit.
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct Measured<Fut> {
    #[pin]
    future: Fut,
    started: Timestamp,
    clock: Clock,
    /// Until it is ready.
    ticket: Option<Ticket>,
    limit: AdaptiveLimit,
}

impl<Fut: Future> Future for Measured<Fut> {
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let this = self.project();
        let output = ready!(this.future.poll(cx));
        this.limit.finish(this.ticket.take(), Some(this.clock.now() - *this.started));
        Poll::Ready(output)
    }
}

#[pinned_drop]
impl<Fut> PinnedDrop for Measured<Fut> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        this.limit.finish(this.ticket.take(), None);
    }
}
