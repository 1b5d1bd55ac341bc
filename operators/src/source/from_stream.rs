//! Any stream as a flow.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// A flow over any [`futures::Stream`](Stream).
///
/// ```text
/// in   a-b---c|
/// out  a-b---c|    flow(in)
/// ```
///
/// The stream is dropped when it ends, and never polled again. One that is always ready shares
/// the event loop: see [`Budget`].
///
/// A stream that was asked for an item and is pending is work in flight, which goes on while the
/// consumer is busy with the item of another input: it may hold a lock that this one waits for.
/// The item that comes of it is held until it is asked for; a stream that was not asked is never
/// polled.
///
/// - **Emits** an item when the stream has one and it is asked for.
/// - **Backpressures** when downstream does, if the stream can.
/// - **Ends** when the stream ends.
/// - **On error**: an error is an item here. A panic of the stream comes out of the poll; the flow
///   has ended then.
/// - **Holds** what the stream holds: [`Bound::Unknown`].
/// - **Cost**: that of the stream; a clock read in each long turn and every 1,024 items.
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
        asked: false,
        held: None,
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`flow`].
#[pin_project]
#[derive(Debug)]
pub struct FromStream<St: Stream> {
    #[pin]
    stream: Option<St>,
    /// It was asked for an item and is pending.
    asked: bool,
    /// That item, which came when nobody was waiting for it any more.
    held: Option<St::Item>,
    budget: Budget,
    site: Site,
}

impl<St: Stream> Stage for FromStream<St> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        let mut this = self.project();
        if let Some(item) = this.held.take() {
            return Poll::Ready(Some(item));
        }
        let Some(stream) = this.stream.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        let Poll::Ready(item) = stream.poll_next(cx) else {
            *this.asked = true;
            this.budget.rest();
            return Poll::Pending;
        };
        *this.asked = false;
        if item.is_none() {
            this.stream.set(None);
        }
        Poll::Ready(item)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if *this.asked
            && let Some(stream) = this.stream.as_mut().as_pin_mut()
        {
            *this.held = ready!(stream.poll_next(cx));
            *this.asked = false;
            if this.held.is_none() {
                this.stream.set(None);
            }
        }
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        let (least, most) = self.stream.as_ref().map_or((0, Some(0)), Stream::size_hint);
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("stream", self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{marbles, specification};
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
    fn a_pending_stream_is_driven_once_it_was_asked_and_holds_what_comes() {
        use tokio::sync::mpsc;
        let (sender, mut receiver) = mpsc::channel(4);
        let mut flow = pin!(flow(poll_fn(move |cx| receiver.poll_recv(cx))).into_stage());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        sender.try_send('a').unwrap();
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(flow.as_mut().poll_next(&mut cx), Poll::Ready(Some('a')));
        assert!(flow.as_mut().poll_next(&mut cx).is_pending());
        assert!(flow.as_mut().poll_progress(&mut cx).is_pending());
        sender.try_send('b').unwrap();
        sender.try_send('c').unwrap();
        for _ in 0..2 {
            // One item was asked for.
            assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
            assert_eq!(flow.size_hint().0, 1);
        }
        assert_eq!(flow.as_mut().poll_next(&mut cx), Poll::Ready(Some('b')));
        assert_eq!(flow.as_mut().poll_next(&mut cx), Poll::Ready(Some('c')));
        assert!(flow.as_mut().poll_next(&mut cx).is_pending());
        drop(sender);
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(flow.as_mut().poll_next(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_stream_that_is_always_ready_shares_the_event_loop() {
        assert!(flow(repeat(1)).count().now_or_never().is_none());
        let mut pulled = flow(repeat(1));
        let pulls = async { while pulled.next().await.is_some() {} };
        assert!(pulls.now_or_never().is_none());
    }

    marbles!(flow, |input| super::flow(input));

    specification!(flow, at_any_pace, |input| super::flow(input), |input| input);
}
