//! `filter`: only the items that satisfy a predicate.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets pass the items for which `keep` says `true`.
    ///
    /// ```text
    /// in   --1--2--3--4--|
    /// out  -----2-----4--|    filter(|x| x % 2 == 0)
    /// ```
    ///
    /// - **Emits** an item when it satisfies `keep`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `keep` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let even = aqueduct_operators::iter(0..10).filter(|x| x % 2 == 0);
    /// assert_eq!(even.count().await, 5);
    /// # });
    /// ```
    #[doc(alias("where", "select"))]
    #[track_caller]
    pub fn filter<F>(self, keep: F) -> Flow<Filter<S, F>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        Flow::from_stage(Filter { input: self.into_stage(), keep, site: Location::caller() })
    }
}

/// The stage behind [`Flow::filter`].
#[pin_project]
#[derive(Debug)]
pub struct Filter<S, F> {
    #[pin]
    input: S,
    keep: F,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item) -> bool> Stage for Filter<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        while let Some(item) = ready!(this.input.as_mut().poll_next(cx)) {
            if (this.keep)(&item) {
                return Poll::Ready(Some(item));
            }
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let keep = this.keep;
        this.input.poll_drain(cx, &mut |item| {
            if keep(&item) { each(item) } else { ControlFlow::Continue(()) }
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.input.size_hint().1)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("filter", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, items, marbles, specification};

    #[test]
    fn only_items_that_satisfy_the_predicate_pass() {
        assert_eq!(items(iter(0..6).filter(|x| x % 2 == 0)), [0, 2, 4]);
    }

    conformance!(filter, |input| input.filter(|x| x.value() % 2 == 0));
    conformance!(filter_that_drops_all, |input| input.filter(|x| x.value() == 0));

    marbles!(filter, |input: u32| input.filter(|x| x % 2 == 0));

    specification!(filter, at_any_pace, |input| input.filter(|x| x % 2 == 0), |input| input
        .flat_map(|_, x| (x % 2 == 0).then_some(x)));
}
