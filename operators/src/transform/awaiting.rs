//! [`Awaiting`]: the stage of the operators that await one future for an item, one after the other.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

/// What an operator awaits for an item, and what it makes of the result.
pub trait Await<In> {
    /// What is awaited.
    type Future: Future;
    /// What comes out.
    type Out;

    /// Whether every item gives one.
    const KEEPS_ALL: bool;

    /// The future for an item, or what comes out for it without one.
    fn start(&mut self, item: In) -> Result<Self::Future, Self::Out>;

    /// What comes out when the future is ready.
    fn finish(&mut self, output: <Self::Future as Future>::Output) -> Option<Self::Out>;

    /// The name of the operator.
    fn name(&self) -> &'static str;
}

/// The stage behind [`Flow::then`] and the other operators with one future in flight.
#[pin_project]
pub struct Awaiting<S: Stage, M: Await<S::Item>> {
    #[pin]
    input: S,
    step: M,
    #[pin]
    running: Option<M::Future>,
    /// A result that came while downstream was busy.
    done: Option<M::Out>,
    site: Site,
}

impl<S: Stage, M: Await<S::Item>> Awaiting<S, M> {
    pub(crate) fn new(input: Flow<S>, step: M, site: Site) -> Self {
        Self { input: input.into_stage(), step, running: None, done: None, site }
    }

    /// Ready when no future is in flight.
    fn poll_running(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(running) = this.running.as_mut().as_pin_mut() {
            let output = ready!(running.poll(cx));
            this.running.set(None);
            *this.done = this.step.finish(output);
        }
        Poll::Ready(())
    }
}

impl<S: Stage, M: Await<S::Item>> Stage for Awaiting<S, M> {
    type Item = M::Out;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Out>> {
        loop {
            if self.as_mut().poll_running(cx).is_pending() {
                // The input is not asked, so its work in flight goes on only if it is driven.
                let _ = self.project().input.poll_progress(cx);
                return Poll::Pending;
            }
            let mut this = self.as_mut().project();
            if let item @ Some(_) = this.done.take() {
                return Poll::Ready(item);
            }
            let Some(item) = ready!(this.input.poll_next(cx)) else {
                return Poll::Ready(None);
            };
            match this.step.start(item) {
                Ok(future) => this.running.set(Some(future)),
                Err(passed) => return Poll::Ready(Some(passed)),
            }
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driven = self.as_mut().poll_running(cx);
        ready!(self.project().input.poll_progress(cx));
        driven
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let done = usize::from(self.done.is_some());
        let held = done + usize::from(self.running.is_some());
        (
            if M::KEEPS_ALL { least.saturating_add(held) } else { done },
            most.and_then(|most| most.checked_add(held)),
        )
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage(self.step.name(), self.site).holds(Bound::Items(1));
    }
}

impl<S: Stage + fmt::Debug, M: Await<S::Item> + fmt::Debug> fmt::Debug for Awaiting<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Awaiting")
            .field("input", &self.input)
            .field("step", &self.step)
            .field("running", &self.running.is_some())
            .field("done", &self.done.is_some())
            .field("site", &self.site)
            .finish()
    }
}
