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
