//! [`Decide`]: the terminals that look at one item after the other until they know their answer.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

/// What such a terminal does with an item and at the end.
pub trait Answer<T> {
    /// What the future gives.
    type Output;

    /// Looks at an item; breaks with the answer if that is enough.
    fn item(&mut self, item: T) -> ControlFlow<Self::Output>;

    /// The answer if the flow has ended before.
    fn end(self) -> Self::Output;
}

/// The future behind the terminals that look at one item after the other until they know their
/// answer, such as [`Flow::any`], [`Flow::reduce`] and [`Flow::try_fold`].
///
/// The flow is dropped in the poll that gives the answer.
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Decide<S, A> {
    /// `None` once the future is over.
    #[pin]
    flow: Option<Flow<S>>,
    /// `None` once the future is over, by its answer or by a panic.
    answer: Option<A>,
    name: &'static str,
}

impl<S, A> Decide<S, A> {
    pub(super) fn new(flow: Flow<S>, name: &'static str, answer: A) -> Self {
        Self { flow: Some(flow), answer: Some(answer), name }
    }
}

impl<S: Stage, A: Answer<S::Item>> Future for Decide<S, A> {
    type Output = A::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A::Output> {
        let mut this = self.project();
        // In a local, so that the loop keeps it in registers, and gone if it panics.
        let taken = this.flow.as_mut().as_pin_mut().zip(this.answer.take());
        let Some((flow, mut answer)) = taken else {
            panic!("{}: polled again after it was over", this.name)
        };
        let drained = flow.poll_drain(cx, &mut |item| answer.item(item));
        let output = match drained {
            Poll::Ready(ControlFlow::Break(output)) => output,
            Poll::Ready(ControlFlow::Continue(())) => answer.end(),
            Poll::Pending => {
                *this.answer = Some(answer);
                return Poll::Pending;
            }
        };
        this.flow.set(None);
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;
    use crate::{Virtual, iter};

    #[test]
    fn the_flow_is_dropped_with_the_answer() {
        let owned = Rc::new(());
        for needle in [3, 100] {
            let inside = owned.clone();
            let flow = iter(0..9).map(move |x| (x, inside.clone()).0);
            let mut found = pin!(flow.any(|x| x == needle));
            let answer = Virtual::new().run(poll_fn(|cx| found.as_mut().poll(cx)));
            assert_eq!((answer, Rc::strong_count(&owned)), (needle == 3, 1));
        }
    }

    #[test]
    fn a_panic_in_a_closure_leaves_a_future_that_can_be_dropped_and_not_be_polled() {
        let item = Rc::new(());
        {
            let flow = iter(vec![item.clone(); 3]);
            let mut any = pin!(flow.any(|_| panic!("closure")));
            let mut cx = Context::from_waker(Waker::noop());
            for message in ["closure", "any: polled again after it was over"] {
                let poll = AssertUnwindSafe(|| any.as_mut().poll(&mut cx));
                let panic = catch_unwind(poll).unwrap_err();
                let said = panic.downcast_ref::<String>().map(String::as_str);
                let said = said.or(panic.downcast_ref::<&str>().copied());
                assert_eq!(said, Some(message));
            }
        }
        assert_eq!(Rc::strong_count(&item), 1);
    }
}
