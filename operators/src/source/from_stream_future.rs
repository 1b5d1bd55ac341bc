//! A flow that a future opens.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

/// The flow that a future gives, such as a connection that has to be opened first.
///
/// ```text
/// in      a-b|
/// f    ---()
/// out  ---a-b|    from_stream_future(f)
/// ```
///
/// - **Emits** the items of the flow, once the future is ready.
/// - **Backpressures** when downstream does; a future that was polled once goes on meanwhile.
/// - **Ends** when the flow ends; the future is dropped as soon as it is ready.
/// - **On error**: an error is an item here. A future that can fail gives
///   [`fail`](crate::fail) or the flow, both [`boxed`](Flow::boxed). A panic of the future comes
///   out of the poll.
/// - **Holds** what the flow holds: [`Bound::Unknown`] before it is there.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{from_stream_future, iter};
/// let connect = async { iter(["tick", "tick"]) };
/// assert_eq!(from_stream_future(connect).count().await, 2);
/// # });
/// ```
#[doc(alias("unwrap", "flatten_stream", "future_source", "lazy_future_source"))]
#[track_caller]
pub fn from_stream_future<Fut, S>(future: Fut) -> Flow<FromStreamFuture<Fut, S>>
where
    Fut: Future<Output = Flow<S>>,
    S: Stage,
{
    Flow::from_stage(FromStreamFuture {
        opening: Some(future),
        begun: false,
        input: None,
        site: Location::caller(),
    })
}

/// The stage behind [`from_stream_future`].
#[pin_project]
#[derive(Debug)]
pub struct FromStreamFuture<Fut, S> {
    /// Until it is ready.
    #[pin]
    opening: Option<Fut>,
    /// Whether an item was asked for: before that, nothing is opened.
    begun: bool,
    /// From then on.
    #[pin]
    input: Option<S>,
    site: Site,
}

impl<Fut, S> FromStreamFuture<Fut, S>
where
    Fut: Future<Output = Flow<S>>,
    S: Stage,
{
    fn poll_open(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Pin<&mut S>>> {
        let mut this = self.project();
        *this.begun = true;
        if let Some(opening) = this.opening.as_mut().as_pin_mut() {
            let input = ready!(opening.poll(cx));
            this.opening.set(None);
            this.input.set(Some(input.into_stage()));
        }
        Poll::Ready(this.input.as_pin_mut())
    }
}

impl<Fut, S> Stage for FromStreamFuture<Fut, S>
where
    Fut: Future<Output = Flow<S>>,
    S: Stage,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        match ready!(self.poll_open(cx)) {
            Some(input) => input.poll_next(cx),
            None => Poll::Ready(None),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        match ready!(self.poll_open(cx)) {
            Some(input) => input.poll_drain(cx, each),
            None => Poll::Ready(ControlFlow::Continue(())),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if !self.begun {
            return Poll::Ready(());
        }
        match ready!(self.poll_open(cx)) {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.as_ref().map_or((0, None), S::size_hint)
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        let bound = if self.input.is_some() { Bound::Items(0) } else { Bound::Unknown };
        outline.stage("from_stream_future", self.site).holds(bound);
    }
}

#[cfg(test)]
mod tests {
    use super::from_stream_future;
    use crate::testing::{conformance, every_way, marbles, ms, specification, timeline, timetable};
    use crate::{from_future, iter, timer};

    #[test]
    fn the_flow_runs_from_when_the_future_is_ready() {
        let wait = async { iter([()]).delay(ms(3), 1).drain().await };
        let flow = from_stream_future(async {
            wait.await;
            timetable([(3, 'a'), (5, 'b')], 6)
        });
        assert_eq!(timeline(flow), (vec![(3, 'a'), (5, 'b')], 6));
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        assert_eq!(every_way(|| from_stream_future(async { iter(0..9) })), Vec::from_iter(0..9));
        assert_eq!(every_way(|| from_stream_future(async { from_future(async { 1 }) })), [1]);
    }

    marbles!(from_stream_future, |input| {
        from_stream_future(async move {
            timer(ms(3)).drain().await;
            input
        })
    });

    conformance!(from_stream_future, |input| from_stream_future(async move { input }), except [
        DeclaredBound: "the flow of the future holds what its author decided",
        NoSnooze: "what was not asked for an item is not begun",
    ]);

    specification!(from_stream_future, |input| from_stream_future(async move { input }), |input| {
        input
    });
}
