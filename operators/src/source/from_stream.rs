//! Any stream as a flow.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// A flow over any [`futures::Stream`](Stream).
///
/// The stream is dropped when it ends, and never polled again. One that is always ready shares
/// the event loop: see [`Budget`].
///
/// ```
/// # futures::executor::block_on(async {
/// let stream = futures::stream::iter([1, 2, 3]);
/// assert_eq!(aqueduct_operators::flow(stream).count().await, 3);
/// # });
/// ```
#[doc(alias = "from_stream")]
#[track_caller]
pub fn flow<St: Stream>(stream: St) -> Flow<FromStream<St>> {
    Flow::from_stage(FromStream {
        stream: Some(stream),
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`flow`].
#[pin_project]
#[derive(Debug)]
pub struct FromStream<St> {
    #[pin]
    stream: Option<St>,
    budget: Budget,
    site: Site,
}

impl<St: Stream> Stage for FromStream<St> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let mut this = self.project();
        let Some(stream) = this.stream.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        let Poll::Ready(item) = stream.poll_next(cx) else {
            this.budget.rest();
            return Poll::Pending;
        };
        if item.is_none() {
            this.stream.set(None);
        }
        Poll::Ready(item)
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint)
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("stream", self.site).holds(Bound::Unknown);
    }
}
