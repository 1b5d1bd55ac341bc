//! [`Ambient`]: what a flow takes from the run that drives it.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::RemoteHandle;
use pin_project::pin_project;

use super::Clock;
use super::virtual_time::{Executor, Held};
use crate::window::WatermarkGauge;

/// The surroundings of a run: its clock, where its tasks go and where its blocking work goes.
///
/// A run sets them; a stage asks for them at its first poll with [`Ambient::current`]. Without a
/// run they are the live clock and tokio's current runtime.
#[derive(Clone)]
pub struct Ambient {
    clock: Clock,
    executor: Option<Arc<Executor>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Ambient>> = const { RefCell::new(None) };
}

impl Ambient {
    /// The live clock and tokio's current runtime.
    pub fn live() -> Self {
        Self::on(Clock::live())
    }

    /// Tokio's current runtime under another clock, such as [`Clock::paced`].
    pub fn on(clock: Clock) -> Self {
        Self { clock, executor: None }
    }

    pub(super) fn virtual_time(clock: Clock, executor: Arc<Executor>) -> Self {
        Self { clock, executor: Some(executor) }
    }

    /// The surroundings of the run that is polling right now; [`live`](Self::live) if there is
    /// none.
    pub fn current() -> Self {
        Self::with_current(Clone::clone)
    }

    pub(super) fn with_current<R>(read: impl FnOnce(&Self) -> R) -> R {
        CURRENT.with_borrow(|current| match current {
            Some(ambient) => read(ambient),
            None => read(&Self::live()),
        })
    }

    /// Whether a run is polling on this thread, inside of which nothing may block.
    pub(crate) fn is_polling() -> bool {
        CURRENT.with_borrow(Option::is_some)
    }

    /// The clock of the run.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Starts a task of its own. Dropping the handle stops the task at its next await; a panic in
    /// it comes out of the handle.
    ///
    /// # Panics
    ///
    /// On the live clock, outside a tokio runtime.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (remote, handle) = WatermarkGauge::carry(future).remote_handle();
        match &self.executor {
            Some(executor) => executor.spawn(Box::pin(remote)),
            None => {
                tokio::spawn(self.clone().scope(remote));
            }
        }
        Task(handle)
    }

    /// Gives work that blocks or computes for long to a worker thread, so that the event loop
    /// goes on. The job runs to its end even if the handle is dropped; a panic in it comes out of
    /// the handle.
    ///
    /// Under virtual time the work is done at once and in place, unless the run was given workers
    /// ([`Virtual::with_workers`](crate::Virtual::with_workers)); time stands still while
    /// somebody waits for a job.
    ///
    /// # Panics
    ///
    /// On the live clock, outside a tokio runtime.
    pub fn offload<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Job<T> {
        let (done, result) = oneshot::channel();
        let work = move || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            // A dropped handle wants no result.
            let _ = done.send(outcome);
        };
        match &self.executor {
            Some(executor) if !executor.has_workers() => work(),
            _ => {
                tokio::task::spawn_blocking(work);
            }
        }
        Job { result, executor: self.executor.clone(), held: None }
    }

    /// Runs a future in these surroundings, as far as it is polled within this one.
    pub fn scope<F>(self, future: F) -> InAmbient<F> {
        InAmbient { future, ambient: Some(self) }
    }

    /// Makes these the surroundings until `run` returns or panics.
    pub(super) fn enter<R>(this: &mut Option<Self>, run: impl FnOnce() -> R) -> R {
        struct Restore<'a>(&'a mut Option<Ambient>);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                CURRENT.with_borrow_mut(|current| std::mem::swap(current, self.0));
            }
        }
        CURRENT.with_borrow_mut(|current| std::mem::swap(current, this));
        let _restore = Restore(this);
        run()
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ambient").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// A future in its surroundings: see [`Ambient::scope`].
#[pin_project]
#[derive(Debug)]
pub struct InAmbient<F> {
    #[pin]
    future: F,
    /// While the future is polled: the surroundings outside.
    ambient: Option<Ambient>,
}

impl<F: Future> Future for InAmbient<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        Ambient::enter(this.ambient, || this.future.poll(cx))
    }
}

/// A running task: see [`Ambient::spawn`].
#[derive(Debug)]
#[must_use = "dropping the handle stops the task"]
pub struct Task<T>(RemoteHandle<T>);

impl<T> Task<T> {
    /// Lets the task run on without a handle.
    pub fn detach(self)
    where
        T: 'static,
    {
        self.0.forget();
    }
}

impl<T: 'static> Future for Task<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.poll_unpin(cx)
    }
}

/// Work on a worker thread: see [`Ambient::offload`].
#[derive(Debug)]
#[must_use = "the result of the job comes out of the handle"]
pub struct Job<T> {
    result: oneshot::Receiver<std::thread::Result<T>>,
    executor: Option<Arc<Executor>>,
    /// Keeps virtual time from moving while somebody waits here.
    held: Option<Held>,
}

impl<T> Future for Job<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        let Poll::Ready(outcome) = this.result.poll_unpin(cx) else {
            if let (None, Some(executor)) = (&this.held, &this.executor) {
                this.held = Some(executor.hold_time());
            }
            return Poll::Pending;
        };
        this.held = None;
        match outcome {
            Ok(Ok(value)) => Poll::Ready(value),
            Ok(Err(panic)) => resume_unwind(panic),
            // The worker pool was shut down with the job still in its queue.
            Err(canceled) => resume_unwind(Box::new(canceled)),
        }
    }
}
