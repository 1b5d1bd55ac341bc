//! A future as a flow.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::running::Running;
use crate::{Bound, Flow, Outline, Site, Stage};

/// A flow of one item, which is what the future gives.
///
/// ```text
/// out  ---(a|)    from_future(f)
/// ```
///
/// - **Emits** the output of the future when it is ready.
/// - **Backpressures** when downstream does; a future that was polled once goes on meanwhile.
/// - **Ends** with the item; the future is dropped as soon as it is ready.
/// - **On error**: an error is an item here. A panic of the future comes out of the poll.
/// - **Holds** 1 item, as a future and as its output. Dropping the flow drops it.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// let answer = aqueduct_operators::from_future(async { 42 });
/// assert_eq!(answer.first().await, Some(42));
/// # });
/// ```
#[doc(alias("future", "eval", "from_async", "from_promise", "uni"))]
#[track_caller]
pub fn from_future<Fut: Future>(future: Fut) -> Flow<FromFuture<Fut>> {
    Flow::from_stage(FromFuture { running: Running::new(future), site: Location::caller() })
}

/// The stage behind [`from_future`].
#[pin_project]
#[derive(Debug)]
pub struct FromFuture<Fut: Future> {
    #[pin]
    running: Running<Fut>,
    site: Site,
}

impl<Fut: Future> Stage for FromFuture<Fut> {
    type Item = Fut::Output;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fut::Output>> {
        let this = self.project();
        if this.running.is_idle() {
            return Poll::Ready(None);
        }
        this.running.poll(cx).map(Some)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().running.drive(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // A future need not become ready, but then there is no end either.
        let left = usize::from(!self.running.is_idle());
        (left, Some(left))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("from_future", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;
    use crate::testing::{every_way, items, marbles, ms, timeline};
    use crate::{iter, timer};

    #[test]
    fn the_output_comes_when_the_future_is_ready_and_then_the_end() {
        let later = async { iter(['a']).delay(ms(3), 1).first().await };
        assert_eq!(timeline(from_future(later)), (vec![(3, Some('a'))], 3));
        assert_eq!(every_way(|| from_future(async { 7 })), [7]);
    }

    #[test]
    fn the_future_goes_on_while_downstream_is_busy_and_is_dropped_when_ready() {
        let owned = Rc::new(());
        let inside = owned.clone();
        let (begin, begun) = futures::channel::oneshot::channel::<()>();
        let mut stage = pin!(
            from_future(async move {
                let _ = begun.await;
                drop(inside);
            })
            .into_stage()
        );
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stage.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(Rc::strong_count(&owned), 2, "nobody has asked for the item");
        assert!(stage.as_mut().poll_next(&mut cx).is_pending());
        begin.send(()).unwrap();
        assert!(stage.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!((Rc::strong_count(&owned), stage.size_hint()), (1, (1, Some(1))));
        assert_eq!(stage.as_mut().poll_next(&mut cx), Poll::Ready(Some(())));
        assert_eq!(stage.as_mut().poll_next(&mut cx), Poll::Ready(None));
    }

    #[test]
    fn a_flow_that_is_dropped_drops_the_future_that_never_ran() {
        let owned = Rc::new(());
        let inside = owned.clone();
        drop(from_future(async move { drop(inside) }));
        assert_eq!(Rc::strong_count(&owned), 1);
        assert_eq!(items(from_future(std::future::ready(1))), [1]);
    }

    marbles!(from_future, || {
        from_future(async {
            timer(ms(3)).drain().await;
            'a'
        })
    });
}
