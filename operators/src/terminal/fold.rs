//! `fold`: one value from all items.

use std::convert::Infallible;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and combines all items into one value, starting from `init`.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  -------------(6|)    fold(0, |sum, x| sum + x)
    /// ```
    ///
    /// - **Emits** the value when the input ends; `init` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `f` comes out of the future, which must not be polled again.
    /// - **Holds** the accumulated value.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let longest = aqueduct_operators::iter(["tick", "quote"]).fold(0, |n, s| s.len().max(n));
    /// assert_eq!(longest.await, 5);
    /// # });
    /// ```
    #[doc(alias("reduce", "aggregate"))]
    pub fn fold<A, F>(self, init: A, f: F) -> Fold<S, A, F>
    where
        F: FnMut(A, S::Item) -> A,
    {
        Fold { flow: self, accumulated: Some(init), f }
    }
}

/// The future behind [`Flow::fold`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Fold<S, A, F> {
    #[pin]
    flow: Flow<S>,
    /// `None` once the future is over, by its end or by a panic in `f`.
    accumulated: Option<A>,
    f: F,
}

impl<S: Stage, A, F: FnMut(A, S::Item) -> A> Future for Fold<S, A, F> {
    type Output = A;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<A> {
        let this = self.project();
        let f = this.f;
        let Some(value) = this.accumulated.take() else {
            panic!("fold: polled again after it was over")
        };
        // In a local, and known to be there, so that the loop keeps it in one register.
        let mut accumulated = Some(value);
        let drained = this.flow.poll_drain(cx, &mut |item| {
            if let Some(value) = accumulated.take() {
                accumulated = Some(f(value, item));
            }
            ControlFlow::<Infallible>::Continue(())
        });
        if drained.is_pending() {
            *this.accumulated = accumulated;
            return Poll::Pending;
        }
        match accumulated {
            Some(value) => Poll::Ready(value),
            None => unreachable!("only a panic of `f` leaves nothing behind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Waker};

    use super::*;
    use crate::testing::*;
    use crate::{Virtual, empty, from_future, iter};

    marbles!(fold, |input: u32| input.fold(0, |sum, x| sum + x));

    #[test]
    fn the_value_grows_from_poll_to_poll_in_the_order_of_the_items() {
        let flow = timetable([(1, 'a'), (1, 'b'), (4, 'c')], 6);
        let text = flow.fold(String::from(">"), |text, c| text + &c.to_string());
        assert_eq!(Virtual::new().run(text), ">abc");
    }

    #[test]
    fn an_empty_flow_gives_the_initial_value() {
        assert_eq!(Virtual::new().run(empty::<u8>().fold('x', |_, _| 'y')), 'x');
    }

    #[test]
    fn a_panic_in_the_closure_leaves_a_future_that_can_be_dropped() {
        let item = Rc::new(());
        {
            let flow = iter(vec![item.clone(); 3]);
            let mut fold = pin!(flow.fold(0, |n, _| if n == 1 { panic!("two") } else { n + 1 }));
            let mut cx = Context::from_waker(Waker::noop());
            let poll = AssertUnwindSafe(|| fold.as_mut().poll(&mut cx));
            assert!(catch_unwind(poll).is_err());
        }
        assert_eq!(Rc::strong_count(&item), 1);
    }

    specification!(fold, |input| input.fold(0, u8::wrapping_add), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().fold(0, u8::wrapping_add))], end)
    });

    conformance!(fold, |input| {
        from_future(input.fold(0, |sum, x| sum + x.value()))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
