//! What each node of a running pipeline counts and measures.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use crate::window::{Gauged, WatermarkGauge};
use crate::{Clock, Timestamp};

/// The counters of one node. Only its task writes them, anybody may read.
#[derive(Debug, Default)]
pub(super) struct NodeStats {
    given: AtomicU64,
    unrouted: AtomicU64,
    busy: AtomicU64,
    blocked: AtomicU64,
    /// Points in time on the live clock, zero if not reached: the first turn of the task, the end
    /// of the last, and since when it waits for room.
    began: AtomicU64,
    ended: AtomicU64,
    blocked_since: AtomicU64,
    /// Why the task last returned: 1 if it waits for its consumers.
    waits_for_room: AtomicU64,
    /// How far event time has come in the flow.
    watermark: WatermarkGauge,
    /// The clock of the run, and what it showed after the last turn.
    run_clock: OnceLock<Clock>,
    run_ended: OnceLock<Timestamp>,
}

impl NodeStats {
    pub(super) fn give(&self) {
        add(&self.given, 1);
    }

    pub(super) fn unrouted(&self) {
        add(&self.unrouted, 1);
    }

    /// The task returns because a consumer has no room (or else because there is no input).
    pub(super) fn waits_for_room(&self, yes: bool) {
        self.waits_for_room.store(u64::from(yes), Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> NodeCounts {
        let (began, ended, blocked_since) =
            (get(&self.began), get(&self.ended), get(&self.blocked_since));
        let until = if ended > 0 { ended } else { nanos(Clock::live().now()) };
        let lived = if began > 0 { until.saturating_sub(began) } else { 0 };
        let waiting = if blocked_since > 0 { until.saturating_sub(blocked_since) } else { 0 };
        let blocked = (get(&self.blocked) + waiting).min(lived);
        let busy = get(&self.busy).min(lived - blocked);
        NodeCounts {
            given: get(&self.given),
            unrouted: get(&self.unrouted),
            busy: Duration::from_nanos(busy),
            starved: Duration::from_nanos(lived - blocked - busy),
            blocked: Duration::from_nanos(blocked),
            event_time: self.event_time(),
        }
    }

    fn event_time(&self) -> Option<EventTime> {
        let watermark = self.watermark.watermark()?;
        let ended = || self.run_ended.get().copied();
        let now = ended().or_else(|| Some(self.run_clock.get()?.now()))?;
        Some(EventTime { watermark, lag: now - watermark })
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn nanos(time: Timestamp) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(0)
}

/// One writer: a load and a store, no locked instruction.
fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
}

/// What a node has counted so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NodeCounts {
    pub(super) given: u64,
    pub(super) unrouted: u64,
    pub(super) busy: Duration,
    pub(super) starved: Duration,
    pub(super) blocked: Duration,
    pub(super) event_time: Option<EventTime>,
}

/// How far event time has come in a node, and how far that is behind the clock of the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventTime {
    pub(super) watermark: Timestamp,
    pub(super) lag: Duration,
}

/// Turns shorter than this are measured one in [`ONE_IN`], picked at random: two looks at the clock
/// would be a good part of them.
const SHORT: Duration = Duration::from_micros(2);
const ONE_IN: u32 = 4;

/// Measures where the time of a task goes, on the live clock whatever the clock of the run: inside
/// its polls it is busy, between them it is blocked if it waits for room and otherwise starved.
/// While turns are short, the time in them is an estimate.
#[pin_project]
pub(super) struct Metered<F> {
    #[pin]
    task: Gauged<F>,
    stats: Arc<NodeStats>,
    clock: Clock,
    turns: u32,
    /// Whether the last turn that was measured was a short one.
    short: bool,
}

impl<F> Metered<F> {
    pub(super) fn new(task: F, stats: Arc<NodeStats>) -> Self {
        let task = stats.watermark.clone().scope(task);
        Self { task, stats, clock: Clock::live(), turns: 0, short: false }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let stats = &**this.stats;
        if get(&stats.began) == 0 {
            stats.began.store(nanos(this.clock.now()), Ordering::Relaxed);
            stats.run_clock.get_or_init(Clock::current);
        }
        *this.turns = this.turns.wrapping_add(1);
        // Multiplicative hashing, so that no rhythm of the task meets that of the measurement.
        let picked = this.turns.wrapping_mul(0x9E37_79B1) < u32::MAX / ONE_IN;
        let blocked_since = get(&stats.blocked_since);
        let polled = if !*this.short || picked || blocked_since > 0 {
            let called = this.clock.now();
            if blocked_since > 0 {
                add(&stats.blocked, nanos(called).saturating_sub(blocked_since));
                stats.blocked_since.store(0, Ordering::Relaxed);
            }
            let polled = this.task.poll(cx);
            let took = this.clock.now() - called;
            // A turn that stands for others too, unless it is not like them.
            let stands_for = if *this.short && picked && took < SHORT { ONE_IN } else { 1 };
            add(&stats.busy, (took * stands_for).as_nanos() as u64);
            *this.short = took < SHORT;
            polled
        } else {
            this.task.poll(cx)
        };
        if polled.is_ready() {
            stats.ended.store(nanos(this.clock.now()), Ordering::Relaxed);
            let _ = stats.run_ended.set(Clock::current().now());
        } else if get(&stats.waits_for_room) > 0 {
            stats.blocked_since.store(nanos(this.clock.now()), Ordering::Relaxed);
        }
        polled
    }
}
