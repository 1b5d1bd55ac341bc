//! [`Running`]: the one future that a source waits for.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

/// A future that a source owns, and its output when it became ready before it was asked for:
/// [`Stage::poll_progress`](crate::Stage::poll_progress) drives it without taking an item.
#[pin_project]
pub(super) struct Running<Fut: Future> {
    #[pin]
    future: Option<Fut>,
    /// Whether an item was asked for: before that, nothing may be begun.
    begun: bool,
    output: Option<Fut::Output>,
}

impl<Fut: Future> fmt::Debug for Running<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running")
            .field("future", &self.future.is_some())
            .field("output", &self.output.is_some())
            .finish()
    }
}

impl<Fut: Future> Running<Fut> {
    /// With nothing to wait for.
    pub(super) const fn idle() -> Self {
        Self { future: None, begun: false, output: None }
    }

    /// Not begun before it is first asked for its output.
    pub(super) const fn new(future: Fut) -> Self {
        Self { future: Some(future), begun: false, output: None }
    }

    /// Whether there is neither a future nor an output.
    pub(super) fn is_idle(&self) -> bool {
        self.future.is_none() && self.output.is_none()
    }

    pub(super) fn start(self: Pin<&mut Self>, future: Fut) {
        let mut this = self.project();
        *this.begun = true;
        this.future.set(Some(future));
    }

    /// Takes the output once it is there; the future is dropped as soon as it is ready. Pending
    /// for ever when idle.
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        *self.as_mut().project().begun = true;
        let _ = self.as_mut().drive(cx);
        self.project().output.take().map_or(Poll::Pending, Poll::Ready)
    }

    /// Ready when nothing is left to drive.
    pub(super) fn drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let (true, Some(future)) = (*this.begun, this.future.as_mut().as_pin_mut()) {
            let Poll::Ready(output) = future.poll(cx) else {
                return Poll::Pending;
            };
            this.future.set(None);
            *this.output = Some(output);
        }
        Poll::Ready(())
    }
}
