//! [`Flow`]: the type that users hold. Each operator adds its method in its own file.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_core::stream::FusedStream;
use pin_project::pin_project;

use crate::{Outline, Stage};

/// A stream of items with every operator as an inherent method.
///
/// A flow does nothing until it is polled: by a terminal such as
/// [`for_each`](Flow::for_each), by [`next`](Flow::next), or by whatever takes a
/// [`futures::Stream`](Stream), which every flow is. Any stream becomes a flow with
/// [`flow`](crate::flow()).
///
/// A flow that has ended stays ended, and so does one in which a closure panicked: neither polls
/// what stands above it again.
///
/// ```
/// # futures::executor::block_on(async {
/// let total = aqueduct_operators::iter(1..=4).map(|x| x * 10).fold(0, |sum, x| sum + x).await;
/// assert_eq!(total, 100);
/// # });
/// ```
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
#[doc(alias = "fuse")]
pub struct Flow<S> {
    #[pin]
    stage: S,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// Inside a poll. Seen by a later poll only if that one panicked.
    Polling,
    Ended,
}

impl<S: Stage> Flow<S> {
    /// A flow over a stage: how a stage written outside this crate gets its operators.
    pub fn from_stage(stage: S) -> Self {
        Self { stage, state: State::Open }
    }

    /// The stage, to read what it counts.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// The stage, to stand above another one.
    pub fn into_stage(self) -> S {
        self.stage
    }

    /// The chain as it stands, before anything runs: every stage with its parameters, the place
    /// where it was assembled, and how many items it may hold.
    ///
    /// ```
    /// let flow = aqueduct_operators::iter(0..10).filter(|x| x % 2 == 0).map(|x| x + 1);
    /// let text = flow.outline().to_string();
    /// assert!(text.contains("filter"));
    /// ```
    pub fn outline(&self) -> Outline {
        Outline::of(&self.stage)
    }

    /// Polls the stage, unless the flow has ended or a closure panicked in it.
    pub(crate) fn guard<R>(
        self: Pin<&mut Self>,
        ended: R,
        poll: impl FnOnce(Pin<&mut S>) -> (R, bool),
    ) -> R {
        let this = self.project();
        if *this.state != State::Open {
            return ended;
        }
        *this.state = State::Polling;
        let (result, over) = poll(this.stage);
        *this.state = if over { State::Ended } else { State::Open };
        result
    }
}

/// A flow is itself a stage, so that it can stand wherever one is asked for.
impl<S: Stage> Stage for Flow<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.guard(Poll::Ready(None), |stage| {
            let polled = stage.poll_next(cx);
            let over = matches!(polled, Poll::Ready(None));
            (polled, over)
        })
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.guard(Poll::Ready(ControlFlow::Continue(())), |stage| {
            let polled = stage.poll_drain(cx, each);
            let over = matches!(polled, Poll::Ready(ControlFlow::Continue(())));
            (polled, over)
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.guard(Poll::Ready(()), |stage| (stage.poll_progress(cx), false))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self.state {
            State::Open => self.stage.size_hint(),
            State::Polling | State::Ended => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        self.stage.describe(outline);
    }
}

impl<S: Stage> Stream for Flow<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Stage::poll_next(self, cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        Stage::size_hint(self)
    }
}

impl<S: Stage> FusedStream for Flow<S> {
    fn is_terminated(&self) -> bool {
        self.state != State::Open
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::{empty, iter, once};

    #[test]
    fn after_a_panic_in_a_closure_the_flow_has_ended() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut flow = pin!(iter(0..9).map(|x| if x == 1 { panic!("one") } else { x }));
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(Some(0)));
        let panicking = AssertUnwindSafe(|| Stage::poll_next(flow.as_mut(), &mut cx));
        assert!(catch_unwind(panicking).is_err());
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(None));
        let drained = flow.as_mut().poll_drain(&mut cx, &mut ControlFlow::Break);
        assert_eq!(drained, Poll::Ready(ControlFlow::Continue(())));
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(Stage::size_hint(&*flow), (0, Some(0)));
    }

    #[test]
    fn it_says_that_it_is_terminated_when_it_has_told_its_end() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut flow = pin!(once('a'));
        for _ in 0..2 {
            assert!(!flow.is_terminated());
            let _ = Stage::poll_next(flow.as_mut(), &mut cx);
        }
        assert!(flow.is_terminated());
    }

    #[test]
    fn a_drain_that_comes_to_the_end_ends_the_flow() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut flow = pin!(empty::<u8>());
        let drained = flow.as_mut().poll_drain(&mut cx, &mut ControlFlow::Break);
        assert_eq!(drained, Poll::Ready(ControlFlow::Continue(())));
        assert!(flow.is_terminated());
    }
}
