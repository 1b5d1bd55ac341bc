//! `filter_map`: filter and map in one step.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Replaces each item by what `f` makes of it, and leaves out those of which it makes nothing.
    ///
    /// ```text
    /// in   --1--x--3--|
    /// out  --1-----3--|    filter_map(|s| s.parse().ok())
    /// ```
    ///
    /// - **Emits** `x` when `f` gives `Some(x)`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let numbers = aqueduct_operators::iter(["1", "x", "3"]).filter_map(|s| s.parse::<u32>().ok());
    /// assert_eq!(numbers.collect::<Vec<_>>().await, [1, 3]);
    /// # });
    /// ```
    #[doc(alias("map_not_null", "map_optional", "compact_map", "choose"))]
    #[track_caller]
    pub fn filter_map<F, T>(self, f: F) -> Flow<FilterMap<S, F>>
    where
        F: FnMut(S::Item) -> Option<T>,
    {
        Flow::from_stage(FilterMap { input: self.into_stage(), f, site: Location::caller() })
    }
}

/// The stage behind [`Flow::filter_map`].
#[pin_project]
#[derive(Debug)]
pub struct FilterMap<S, F> {
    #[pin]
    input: S,
    f: F,
    site: Site,
}

impl<S: Stage, F: FnMut(S::Item) -> Option<T>, T> Stage for FilterMap<S, F> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        while let Some(item) = ready!(this.input.as_mut().poll_next(cx)) {
            if let made @ Some(_) = (this.f)(item) {
                return Poll::Ready(made);
            }
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let f = this.f;
        this.input.poll_drain(cx, &mut |item| match f(item) {
            Some(made) => each(made),
            None => ControlFlow::Continue(()),
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
        outline.stage("filter_map", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification};

    #[test]
    fn what_the_closure_makes_passes_and_the_rest_is_left_out() {
        let halves = || iter(0..7).filter_map(|x| (x % 2 == 0).then_some(x / 2));
        assert_eq!(every_way(halves), [0, 1, 2, 3]);
    }

    conformance!(filter_map, |input| input.filter_map(|x| (x.value() % 2 == 0).then_some(x)));

    marbles!(filter_map, |input: String| input.filter_map(|s| s.parse::<u32>().ok()));

    specification!(
        filter_map,
        at_any_pace,
        |input| input.filter_map(|x| x.checked_sub(2)),
        |input| input.flat_map(|_, x| x.checked_sub(2))
    );
}
