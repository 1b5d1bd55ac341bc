//! `by_ref`: a flow that is borrowed.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Outline, Stage};

impl<S: Stage> Flow<S>
where
    Self: Unpin,
{
    /// Borrows the flow, so that operators and a terminal can take some of it and leave the rest.
    ///
    /// ```text
    /// in   --a--b--c--|
    /// out  --(a|)          by_ref().take(1)
    /// ```
    ///
    /// What an operator below has taken and still holds when it is dropped is lost. A flow that is
    /// not `Unpin` is [`boxed`](Flow::boxed) first.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the flow ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: nothing.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut lines = aqueduct_operators::iter(["price", "1", "2"]);
    /// let header = lines.by_ref().first().await;
    /// assert_eq!((header, lines.count().await), (Some("price"), 2));
    /// # });
    /// ```
    #[doc(alias("borrow", "step_leg"))]
    pub fn by_ref(&mut self) -> Flow<ByRef<'_, S>> {
        Flow::from_stage(ByRef { flow: self })
    }
}

/// The stage behind [`Flow::by_ref`].
#[derive(Debug)]
pub struct ByRef<'a, S> {
    flow: &'a mut Flow<S>,
}

impl<S: Stage> Stage for ByRef<'_, S>
where
    Flow<S>: Unpin,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(&mut *self.flow), cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        Pin::new(&mut *self.flow).poll_drain(cx, each)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut *self.flow).poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        Stage::size_hint(&*self.flow)
    }

    fn describe(&self, outline: &mut Outline) {
        self.flow.describe(outline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::{Virtual, iter};

    /// Owns a flow and borrows it anew for each poll: a `ByRef` cannot leave the owner's scope.
    struct Lent<S>(Flow<S>);

    impl<S: Stage> Stage for Lent<S>
    where
        Flow<S>: Unpin,
    {
        type Item = S::Item;

        fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
            Stage::poll_next(Pin::new(&mut self.0.by_ref()), cx)
        }

        fn poll_drain<B>(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
        ) -> Poll<ControlFlow<B>> {
            Pin::new(&mut self.0.by_ref()).poll_drain(cx, each)
        }

        fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            Pin::new(&mut self.0.by_ref()).poll_progress(cx)
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            Stage::size_hint(&self.0)
        }

        fn describe(&self, outline: &mut Outline) {
            self.0.describe(outline);
        }
    }

    fn lent<S: Stage>(flow: Flow<S>) -> Flow<Lent<S>>
    where
        Flow<S>: Unpin,
    {
        Flow::from_stage(Lent(flow))
    }

    #[test]
    fn what_was_not_taken_stays() {
        Virtual::new().run(async {
            let mut flow = iter(1..=5);
            assert_eq!(flow.by_ref().take(2).collect::<Vec<_>>().await, [1, 2]);
            assert_eq!(flow.by_ref().next().await, Some(3));
            assert_eq!(flow.by_ref().sum::<u8>().await, 9);
            assert_eq!(flow.by_ref().first().await, None);
        });
    }

    #[test]
    fn its_outline_is_that_of_the_flow() {
        let mut flow = iter(1..=5).pairwise();
        let outline = flow.outline().to_string();
        assert_eq!(flow.by_ref().outline().to_string(), outline);
    }

    marbles!(by_ref, |input| lent(input).take(1));

    specification!(
        by_ref,
        |input| async move {
            let mut flow = input;
            let first: Vec<_> = flow.by_ref().take(2).collect().await;
            (first, flow.collect::<Vec<_>>().await)
        },
        |input| {
            let end = input.end;
            let mut first = input.items();
            let rest = first.split_off(first.len().min(2));
            Timeline::new([(end, (first, rest))], end)
        }
    );

    conformance!(by_ref, |input| lent(input));
}
