//! `scan`: the running state of a fold.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Combines the items into a state, starting from `seed`, and emits the state after each item.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  --1--3----6--|    scan(0, |sum, x| sum + x)
    /// ```
    ///
    /// The seed itself is not emitted: an empty input gives an empty flow. Where other libraries
    /// emit it first (Reactor, Kotlin, Pekko), [`scan_with_seed`](Self::scan_with_seed) does. For a
    /// state that is not what comes out, see [`scan_map`](Self::scan_map).
    ///
    /// - **Emits** a clone of the state for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** the state, no item.
    /// - **Cost**: one clone of the state for an item, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let highs = aqueduct_operators::iter([3, 1, 5]).scan(0, |high, price| price.max(high));
    /// assert_eq!(highs.collect::<Vec<_>>().await, [3, 3, 5]);
    /// # });
    /// ```
    #[doc(alias("running_fold", "running_reduce", "reductions", "accumulate"))]
    #[track_caller]
    pub fn scan<A, F>(self, seed: A, f: F) -> Flow<Scan<S, A, F>>
    where
        A: Clone,
        F: FnMut(A, S::Item) -> A,
    {
        Flow::from_stage(Scan {
            input: self.into_stage(),
            state: Some(seed),
            f,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::scan`].
#[pin_project]
#[derive(Debug)]
pub struct Scan<S, A, F> {
    #[pin]
    pub(super) input: S,
    /// `None` only while `f` has it, and for ever if `f` panics.
    state: Option<A>,
    f: F,
    pub(super) site: Site,
}

impl<S: Stage, A: Clone, F: FnMut(A, S::Item) -> A> Stage for Scan<S, A, F> {
    type Item = A;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A>> {
        let this = self.project();
        let item = ready!(this.input.poll_next(cx));
        if let (Some(state), Some(item)) = (this.state.take(), item) {
            *this.state = Some((this.f)(state, item));
            return Poll::Ready(this.state.clone());
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(A) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let f = this.f;
        // In a local, so that the loop keeps it in registers.
        let mut state = this.state.take();
        let drained = this.input.poll_drain(cx, &mut |item| {
            let Some(before) = state.take() else {
                return ControlFlow::Continue(());
            };
            each(state.insert(f(before, item)).clone())
        });
        *this.state = state;
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("scan", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, items, marbles, specification};

    #[test]
    fn the_state_after_each_item_comes_out_but_not_the_seed() {
        let sums = || iter([1, 2, 3, 4]).scan(10, |sum, x| sum + x);
        assert_eq!(every_way(sums), [11, 13, 16, 20]);
    }

    #[test]
    fn an_empty_input_gives_an_empty_flow() {
        assert!(items(iter([0; 0]).scan(10, |sum, x| sum + x)).is_empty());
    }

    conformance!(scan, |input| input.scan(0, |sum, x| sum + x.value()));

    marbles!(scan, |input: u32| input.scan(0, |sum, x| sum + x));

    specification!(scan, at_any_pace, |input| input.scan(5, u8::wrapping_add), |input| {
        let mut sum = 5u8;
        input.map(|x| {
            sum = sum.wrapping_add(x);
            sum
        })
    });
}
