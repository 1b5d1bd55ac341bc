//! `boxed_local`: a flow whose type says only what it brings, on its own thread.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::boxed::{Chunked, Erased};
use crate::{Flow, Outline, Stage};

impl<S: Stage> Flow<S> {
    /// As [`boxed`](Flow::boxed), for a flow that stays on its thread.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  --1--2----3--|    boxed_local()
    /// ```
    ///
    /// - **Emits** an item for each item, in the same poll.
    /// - **Backpressures** when downstream does, at most 256 items later.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** 256 items.
    /// - **Cost**: one allocation at construction, a few for the items when it is drained first;
    ///   at most one clock read for 256 items.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use std::rc::Rc;
    /// let local = aqueduct_operators::iter([Rc::new(1)]).boxed_local();
    /// assert_eq!(local.count().await, 1);
    /// # });
    /// ```
    #[track_caller]
    pub fn boxed_local(self) -> Flow<BoxedLocal<S::Item>>
    where
        S: 'static,
    {
        Flow::from_stage(BoxedLocal(Chunked::new(Box::pin(self.into_stage()), "boxed_local")))
    }
}

/// The stage behind [`Flow::boxed_local`].
pub struct BoxedLocal<T>(Chunked<dyn Erased<T>, T>);

impl<T> Stage for BoxedLocal<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll_next(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        Pin::new(&mut self.0).poll_drain(cx, each)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.0.describe(outline);
    }
}

impl<T> fmt::Debug for BoxedLocal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxedLocal").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use crate::iter;
    use crate::testing::{conformance, items, marbles, specification};

    #[test]
    fn a_flow_that_is_not_send_can_be_boxed() {
        let shared = Rc::new(5);
        let flow = iter([1, 2]).map(move |x| x * *shared).boxed_local();
        assert_eq!(items(flow), [5, 10]);
    }

    conformance!(boxed_local, |input| input.boxed_local());

    marbles!(boxed_local, |input| input.boxed_local());

    specification!(boxed_local, at_any_pace, |input| input.boxed_local(), |input| input);
}
