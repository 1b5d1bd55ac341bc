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

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;

    use futures::FutureExt;
    use futures::stream::{poll_fn, repeat};

    use super::*;
    use crate::Virtual;

    #[test]
    fn the_stream_is_dropped_at_its_end_and_never_polled_again() {
        let alive = Rc::new(());
        let inside = alive.clone();
        let mut left = 1;
        let stream = poll_fn(move |_| {
            assert!(left >= 0, "polled after its end, with {inside:?}");
            left -= 1;
            Poll::Ready((left >= 0).then_some('a'))
        });
        let mut flow = pin!(flow(stream).into_stage());
        Virtual::new().run(async {
            let mut next = async || std::future::poll_fn(|cx| flow.as_mut().poll_next(cx)).await;
            assert_eq!(next().await, Some('a'));
            assert_eq!(Rc::strong_count(&alive), 2);
            for _ in 0..3_000 {
                assert_eq!(next().await, None);
                assert_eq!(Rc::strong_count(&alive), 1);
            }
        });
    }

    #[test]
    fn a_stream_that_is_always_ready_shares_the_event_loop() {
        assert!(flow(repeat(1)).count().now_or_never().is_none());
        let mut pulled = flow(repeat(1));
        let pulls = async { while pulled.next().await.is_some() {} };
        assert!(pulls.now_or_never().is_none());
    }
}
