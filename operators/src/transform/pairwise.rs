//! `pairwise`: each item with the one before it.

use std::mem;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Pairs each item with the one before it.
    ///
    /// ```text
    /// in     --a--b----c--|
    /// out    -----x----y--|    pairwise()
    /// where  x = (a, b), y = (b, c)
    /// ```
    ///
    /// The first item alone gives nothing, so that n items give n − 1 pairs.
    ///
    /// - **Emits** `(previous, current)` for each item but the first, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is paired like one.
    /// - **Holds** 1 item.
    /// - **Cost**: one clone for an item, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let moves = aqueduct_operators::iter([10, 12, 11]).pairwise().map(|(from, to)| to - from);
    /// assert_eq!(moves.collect::<Vec<_>>().await, [2, -1]);
    /// # });
    /// ```
    #[doc(alias("adjacent_pairs", "zip_with_previous"))]
    #[track_caller]
    pub fn pairwise(self) -> Flow<Pairwise<S>>
    where
        S::Item: Clone,
    {
        Flow::from_stage(Pairwise {
            input: self.into_stage(),
            previous: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::pairwise`].
#[pin_project]
#[derive(Debug)]
pub struct Pairwise<S: Stage> {
    #[pin]
    input: S,
    previous: Option<S::Item>,
    site: Site,
}

/// The pair that `item` makes, which is the previous one from now on.
fn pair<T: Clone>(previous: &mut Option<T>, item: T) -> Option<(T, T)> {
    match previous {
        Some(last) => {
            let before = mem::replace(last, item.clone());
            Some((before, item))
        }
        None => {
            *previous = Some(item);
            None
        }
    }
}

impl<S: Stage<Item: Clone>> Stage for Pairwise<S> {
    type Item = (S::Item, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while let Some(item) = ready!(this.input.as_mut().poll_next(cx)) {
            if let made @ Some(_) = pair(this.previous, item) {
                return Poll::Ready(made);
            }
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let previous = this.previous;
        this.input.poll_drain(cx, &mut |item| match pair(previous, item) {
            Some(made) => each(made),
            None => ControlFlow::Continue(()),
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let unpaired = usize::from(self.previous.is_none());
        (least.saturating_sub(unpaired), most.map(|most| most.saturating_sub(unpaired)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("pairwise", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, items, marbles, specification};

    #[test]
    fn each_item_but_the_first_comes_with_the_one_before_it() {
        let flow = || iter(1..=4).pairwise();
        assert_eq!(every_way(flow), [(1, 2), (2, 3), (3, 4)]);
    }

    #[test]
    fn one_item_makes_no_pair() {
        assert!(items(iter([1]).pairwise()).is_empty());
    }

    conformance!(pairwise, |input| input.pairwise());

    marbles!(pairwise, |input| input.pairwise());

    specification!(pairwise, at_any_pace, |input| input.pairwise(), |input| {
        let mut before = None;
        input.flat_map(|_, x| before.replace(x).map(|before| (before, x)))
    });
}
