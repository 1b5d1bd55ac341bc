//! What each node of a running pipeline counts and measures.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Clock, Timestamp};

/// The counters of one node. Only its task writes them, anybody may read.
#[derive(Debug, Default)]
pub(super) struct NodeStats {
    given: AtomicU64,
    unrouted: AtomicU64,
    busy: AtomicU64,
    starved: AtomicU64,
    blocked: AtomicU64,
    /// Why the task last returned: 1 if it waits for its consumers.
    waits_for_room: AtomicU64,
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
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NodeCounts {
            given: get(&self.given),
            unrouted: get(&self.unrouted),
            busy: Duration::from_nanos(get(&self.busy)),
            starved: Duration::from_nanos(get(&self.starved)),
            blocked: Duration::from_nanos(get(&self.blocked)),
        }
    }
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
}

/// Measures where the time of a task goes, on the live clock whatever the clock of the run:
/// inside its polls it is busy, between them it is blocked if it waits for room and otherwise
/// starved.
#[pin_project]
pub(super) struct Metered<F> {
    #[pin]
    task: F,
    stats: Arc<NodeStats>,
    clock: Clock,
    returned: Option<Timestamp>,
}

impl<F> Metered<F> {
    pub(super) fn new(task: F, stats: Arc<NodeStats>) -> Self {
        Self { task, stats, clock: Clock::live(), returned: None }
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let called = this.clock.now();
        if let Some(returned) = this.returned.take() {
            let waited = match this.stats.waits_for_room.load(Ordering::Relaxed) {
                0 => &this.stats.starved,
                _ => &this.stats.blocked,
            };
            add(waited, (called - returned).as_nanos() as u64);
        }
        let polled = this.task.poll(cx);
        let returned = this.clock.now();
        add(&this.stats.busy, (returned - called).as_nanos() as u64);
        *this.returned = Some(returned);
        polled
    }
}
