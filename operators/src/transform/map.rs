//! `map`: one item for each item.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Replaces each item by `f(item)`.
    ///
    /// ```text
    /// in     --1--2----3--|
    /// out    --a--b----c--|    map(|x| x * 10)
    /// where  a = 10, b = 20, c = 30
    /// ```
    ///
    /// - **Emits** one item for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let total = aqueduct_operators::iter(1..=3).map(|x| x * 10).fold(0, |sum, x| sum + x);
    /// assert_eq!(total.await, 60);
    /// # });
    /// ```
    #[doc(alias("select"))]
    #[track_caller]
    pub fn map<F, T>(self, f: F) -> Flow<Map<S, F>>
    where
        F: FnMut(S::Item) -> T,
    {
        Flow::from_stage(Map { input: self.into_stage(), f, site: Location::caller() })
    }
}

/// The stage behind [`Flow::map`].
#[pin_project]
#[derive(Debug)]
pub struct Map<S, F> {
    #[pin]
    input: S,
    f: F,
    site: Site,
}

impl<S: Stage, F: FnMut(S::Item) -> T, T> Stage for Map<S, F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        this.input.poll_next(cx).map(|item| item.map(this.f))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let f = this.f;
        this.input.poll_drain(cx, &mut |item| each(f(item)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("map", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;

    marbles!(map, |input: u32| input.map(|x| x * 10));
    specification!(map, at_any_pace, |input| input.map(|x| x / 2), |input| input.map(|x| x / 2));

    #[test]
    fn every_item_is_replaced_in_order() {
        assert_eq!(items(iter([1, 2, 3]).map(|x| x * 10)), [10, 20, 30]);
    }

    conformance!(map, |input| input.map(|x| x.value()));
}
