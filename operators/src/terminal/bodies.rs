//! [`Bodies`]: an async body for each item of a flow, one after the other.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Stage};

/// The part that the terminals with an async body share: it runs them, and drives the flow while
/// one is pending.
#[pin_project]
#[derive(Debug)]
pub(super) struct Bodies<S, F, Fut> {
    #[pin]
    flow: Flow<S>,
    body: F,
    #[pin]
    running: Option<Fut>,
}

impl<S, F, Fut> Bodies<S, F, Fut>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
{
    pub(super) fn new(flow: Flow<S>, body: F) -> Self {
        Self { flow, body, running: None }
    }

    /// What the next body gives; `None` when the flow has ended.
    pub(super) fn poll_body(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Fut::Output>> {
        let mut this = self.project();
        if this.running.is_none() {
            match ready!(Stage::poll_next(this.flow.as_mut(), cx)) {
                Some(item) => this.running.set(Some((this.body)(item))),
                None => return Poll::Ready(None),
            }
        }
        let Some(running) = this.running.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Poll::Ready(output) = running.poll(cx) else {
            // Both register the waker; only the body decides when to go on.
            let _ = this.flow.as_mut().poll_progress(cx);
            return Poll::Pending;
        };
        this.running.set(None);
        Poll::Ready(Some(output))
    }
}
