//! A flow that is made when it is first asked for an item.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

/// The flow that `factory` makes at the first poll.
///
/// ```text
/// in   a-b|
/// out  a-b|    defer(|| in)
/// ```
///
/// What a run needs fresh is made there: a file that is opened, a clock that is read, a counter
/// that starts at zero. [`retry`](crate::error::retry) and [`repeat`](crate::repeat) take a
/// factory themselves.
///
/// - **Emits** the items of the flow.
/// - **Backpressures** when downstream does.
/// - **Ends** when the flow ends.
/// - **On error**: an error is an item here. A panic in `factory` comes out of the poll; the flow
///   has ended then.
/// - **Holds** what the flow holds: [`Bound::Unknown`] before it is made.
/// - **Cost**: no allocation, no clock read.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{defer, iter};
/// let flow = defer(|| iter(std::fs::read_dir(".").into_iter().flatten()));
/// assert!(flow.count().await > 0);
/// # });
/// ```
#[doc(alias("deferred", "lazy_source", "suspend", "lazy"))]
#[track_caller]
pub fn defer<F, S>(factory: F) -> Flow<Defer<F, S>>
where
    F: FnOnce() -> Flow<S>,
    S: Stage,
{
    Flow::from_stage(Defer { factory: Some(factory), input: None, site: Location::caller() })
}

/// The stage behind [`defer`].
#[pin_project]
#[derive(Debug)]
pub struct Defer<F, S> {
    /// Until the first poll.
    factory: Option<F>,
    /// From then on.
    #[pin]
    input: Option<S>,
    site: Site,
}

impl<F: FnOnce() -> Flow<S>, S: Stage> Defer<F, S> {
    fn input(self: Pin<&mut Self>) -> Option<Pin<&mut S>> {
        let mut this = self.project();
        if let Some(factory) = this.factory.take() {
            this.input.set(Some(factory().into_stage()));
        }
        this.input.as_pin_mut()
    }
}

impl<F: FnOnce() -> Flow<S>, S: Stage> Stage for Defer<F, S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.input().map_or(Poll::Ready(None), |input| input.poll_next(cx))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        match self.input() {
            Some(input) => input.poll_drain(cx, each),
            None => Poll::Ready(ControlFlow::Continue(())),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // What was not asked for an item is not begun.
        let input = self.project().input.as_pin_mut();
        input.map_or(Poll::Ready(()), |input| input.poll_progress(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.as_ref().map_or((0, None), S::size_hint)
    }

    fn describe(&self, outline: &mut Outline) {
        let begun = self.input.as_ref();
        if let Some(input) = begun {
            input.describe(outline);
        }
        let bound = if begun.is_some() { Bound::Items(0) } else { Bound::Unknown };
        outline.stage("defer", self.site).holds(bound);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification, timeline, timetable};

    #[test]
    fn the_factory_is_called_once_and_not_before_the_first_poll() {
        let calls = Cell::new(0);
        let mut flow = pin!(defer(|| {
            calls.set(calls.get() + 1);
            iter([1, 2])
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!((calls.get(), flow.outline().bound()), (0, Bound::Unknown));
        for expected in [Some(1), Some(2), None, None] {
            assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(expected));
        }
        assert_eq!(calls.get(), 1);
    }

    #[test]
    fn the_items_are_those_of_the_flow_at_their_times() {
        let flow = defer(|| timetable([(1, 'a'), (2, 'b')], 4));
        assert_eq!(timeline(flow), (vec![(1, 'a'), (2, 'b')], 4));
        assert_eq!(every_way(|| defer(|| iter(0..9))), Vec::from_iter(0..9));
    }

    marbles!(defer, |input| defer(move || input));

    conformance!(defer, |input| defer(move || input), except [
        DeclaredBound: "the flow holds what its author decided",
        NoSnooze: "what was not asked for an item is not begun",
    ]);

    specification!(defer, |input| defer(move || input), |input| input);
}
