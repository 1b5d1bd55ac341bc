//! [`Mode`]: how a pipeline runs, and [`RunError`]: why it stopped.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::Poll;

use futures_util::task::AtomicWaker;

use crate::{Ambient, Clock, Site, Stalled, Timestamp, Virtual};

use super::graph::BoxError;
use super::report::Report;

/// On which clock a pipeline runs, and whether its policies rule.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mode {
    kind: Kind,
    lossless: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Live,
    Paced { start: Timestamp, factor: f64 },
    Virtual { start: Timestamp },
}

impl Mode {
    /// The live clock, in the current tokio runtime; the policy of each edge rules.
    pub fn live() -> Self {
        Self { kind: Kind::Live, lossless: false }
    }

    /// As fast as possible: the recorded events drive the clock, which starts at `start`, usually
    /// the time of the first event. Every edge is lossless. Within a tokio runtime, blocking work
    /// goes to its worker threads.
    pub fn replay(start: Timestamp) -> Self {
        Self { kind: Kind::Virtual { start }, lossless: true }
    }

    /// Virtual time from `start` on; the policy of each edge rules.
    pub fn virtual_time(start: Timestamp) -> Self {
        Self { kind: Kind::Virtual { start }, lossless: false }
    }

    /// Real time, or `factor` times as fast, in the current tokio runtime, instead of virtual
    /// time. Has no effect on [`live`](Self::live).
    ///
    /// # Panics
    ///
    /// If `factor` is not a positive finite number.
    #[must_use]
    #[track_caller]
    pub fn at_speed(mut self, factor: f64) -> Self {
        assert!(
            factor.is_finite() && factor > 0.0,
            "Mode::at_speed: the factor must be positive and finite, not {factor}"
        );
        if let Kind::Virtual { start } | Kind::Paced { start, .. } = self.kind {
            self.kind = Kind::Paced { start, factor };
        }
        self
    }

    /// Every edge waits instead of applying its policy.
    #[must_use]
    pub fn lossless(mut self) -> Self {
        self.lossless = true;
        self
    }

    pub(super) fn is_lossless(self) -> bool {
        self.lossless
    }

    pub(super) async fn drive(self, work: Vec<Work>, failure: Shared) -> Result<(), Cause> {
        let all = all(work, failure);
        match self.kind {
            Kind::Live => Ambient::live().scope(all).await,
            Kind::Paced { start, factor } => {
                Ambient::on(Clock::paced(start, factor)).scope(all).await
            }
            Kind::Virtual { start } => {
                let mut run = Virtual::new().starting_at(start);
                if tokio::runtime::Handle::try_current().is_ok() {
                    run = run.with_workers();
                }
                run.drive(all).await?
            }
        }
    }
}

type Work = (&'static str, Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>);
type Shared = std::sync::Arc<Failure>;

/// Runs each node in a task of its own until all have ended, or one fails.
async fn all(work: Vec<Work>, failure: Shared) -> Result<(), Cause> {
    let ambient = Ambient::current();
    let spawn = |(name, future)| (name, ambient.spawn(future));
    let mut tasks: Vec<_> = work.into_iter().map(spawn).collect();
    poll_fn(|cx| {
        failure.waker.register(cx.waker());
        let mut failed = None;
        tasks.retain_mut(|(name, task)| match Pin::new(task).poll(cx) {
            Poll::Pending => true,
            Poll::Ready(outcome) => {
                if let Err(error) = outcome {
                    failed.get_or_insert(Cause::Sink { sink: name, error });
                }
                false
            }
        });
        // An edge that failed is the cause of what its consumers made of it.
        match failure.take().or(failed) {
            Some(cause) => Poll::Ready(Err(cause)),
            None if tasks.is_empty() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        }
    })
    .await
}

/// Where an edge says that it failed.
#[derive(Debug, Default)]
pub(super) struct Failure {
    cause: Mutex<Option<Cause>>,
    waker: AtomicWaker,
}

impl Failure {
    /// The first failure is the one that counts.
    pub(super) fn edge(
        &self,
        node: &'static str,
        branch: &'static str,
        capacity: NonZeroUsize,
        site: Site,
    ) {
        let cause = Cause::Overflow { node, branch, capacity, site };
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(cause);
        self.waker.wake();
    }

    fn take(&self) -> Option<Cause> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// A run that stopped before its end.
#[derive(Debug, thiserror::Error)]
#[error("the pipeline `{}` stopped: {cause}", report.pipeline)]
pub struct RunError {
    /// Why.
    #[source]
    pub cause: Cause,
    /// What had been done until then.
    pub report: Report,
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
pub enum Cause {
    /// A source or stage has no branch.
    #[error("`{node}` has no branch: what it brings would go nowhere")]
    Unbranched {
        /// The node.
        node: &'static str,
    },
    /// A branch is part of no stage and no sink.
    #[error("the branch `{branch}` of `{node}` leads to no stage and no sink")]
    Unconnected {
        /// The node.
        node: &'static str,
        /// The branch.
        branch: &'static str,
    },
    /// An edge with the policy [`Fail`](crate::Fail) got an item for which it had no room.
    #[error(
        "the edge `{node}.{branch}` at {site} overflowed its capacity of {capacity}: its consumer \
         is too slow; give it more room, or a policy that waits or drops"
    )]
    Overflow {
        /// The node.
        node: &'static str,
        /// The branch.
        branch: &'static str,
        /// How many items the edge may hold.
        capacity: NonZeroUsize,
        /// Where it was made.
        site: Site,
    },
    /// A sink failed.
    #[error("the sink `{sink}` failed: {error}")]
    Sink {
        /// The sink.
        sink: &'static str,
        /// Its error.
        error: BoxError,
    },
    /// The run is under virtual time and waits for something outside.
    #[error(transparent)]
    Stalled(#[from] Stalled),
}
