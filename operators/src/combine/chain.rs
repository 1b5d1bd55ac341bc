//! `chain`: one flow after another.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the items of `other` when this flow has ended.
    ///
    /// ```text
    /// in     --a--b--|
    /// other          ---c--d--|
    /// sub            ^--------!
    /// out    --a--b-----c--d--|    chain(other)
    /// ```
    ///
    /// `other` is not polled before the first flow has ended, not even for its work in flight,
    /// and the first is dropped when it has.
    ///
    /// - **Emits** each item of the first flow, then each of the other.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when `other` ends.
    /// - **On error**: an error is an item here; `other` follows all the same.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let (stored, live) = (iter([1, 2]), iter([3]));
    /// assert_eq!(stored.chain(live).collect::<Vec<_>>().await, [1, 2, 3]);
    /// # });
    /// ```
    #[doc(alias("concat", "concat_with", "concatenate"))]
    #[track_caller]
    pub fn chain<S2>(self, other: Flow<S2>) -> Flow<Chain<S, S2>>
    where
        S2: Stage<Item = S::Item>,
    {
        Flow::from_stage(Chain {
            first: Some(self.into_stage()),
            second: other.into_stage(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::chain`].
#[pin_project]
#[derive(Debug)]
pub struct Chain<S, S2> {
    /// `None` once it has ended.
    #[pin]
    first: Option<S>,
    #[pin]
    second: S2,
    site: Site,
}

impl<S: Stage, S2: Stage<Item = S::Item>> Stage for Chain<S, S2> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if let Some(first) = this.first.as_mut().as_pin_mut() {
            if let item @ Some(_) = ready!(first.poll_next(cx)) {
                return Poll::Ready(item);
            }
            this.first.set(None);
        }
        this.second.poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        if let Some(first) = this.first.as_mut().as_pin_mut() {
            if let broke @ ControlFlow::Break(_) = ready!(first.poll_drain(cx, each)) {
                return Poll::Ready(broke);
            }
            this.first.set(None);
        }
        this.second.poll_drain(cx, each)
    }

    // The second flow is not started before its turn, not even its work in flight.
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.first.as_pin_mut() {
            Some(first) => first.poll_progress(cx),
            None => this.second.poll_progress(cx),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.second.size_hint();
        match self.first.as_ref().map(Stage::size_hint) {
            None => (least, most),
            Some((least_first, most_first)) => (
                least_first.saturating_add(least),
                most_first.zip(most).and_then(|(a, b)| a.checked_add(b)),
            ),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        let first = self.first.as_ref().map(Outline::of).unwrap_or_default();
        outline.join("chain", self.site, [first, Outline::of(&self.second)]);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_second_follows_the_first() {
        let flow = || iter([1, 2]).chain(iter([])).chain(iter([3, 4, 5]));
        assert_eq!(every_way(flow), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn the_second_is_not_polled_before_the_first_has_ended() {
        let ended = Cell::new(false);
        let first = iter([1]).scan_map_with_end(
            (),
            |(), x| Some(x),
            |()| {
                ended.set(true);
                None
            },
        );
        let second = iter([2]).inspect(|_| assert!(ended.get()));
        assert_eq!(items(first.chain(second)), [1, 2]);
    }

    #[test]
    fn the_first_is_dropped_when_it_has_ended() {
        let flow = || {
            let first = Rc::new(());
            let watch = Rc::downgrade(&first);
            let second = iter([2]).inspect(move |_| assert!(watch.upgrade().is_none()));
            iter([1]).inspect(move |_| drop(first.clone())).chain(second)
        };
        assert_eq!(every_way(flow), [1, 2]);
    }

    #[test]
    fn the_end_of_the_second_is_the_end() {
        let flow = timetable([(1, 'a')], 2).chain(timetable([(3, 'b')], 7));
        assert_eq!(timeline(flow), (vec![(1, 'a'), (3, 'b')], 7));
    }

    #[test]
    fn the_outline_shows_both() {
        let outline = iter([1]).chain(iter([2])).outline();
        let inputs = outline.last().unwrap().inputs();
        assert_eq!(inputs.len(), 2);
    }

    conformance!(chain, |a, b| a.chain(b), except [
        NoSnooze: "an input is not started before its turn, nor driven",
    ]);
    conformance!(nested_chains, |input| {
        (0..200).fold(input.boxed(), |flow, _| flow.chain(iter([])).boxed())
    });

    marbles!(chain, |input, other| input.chain(other));

    specification!(chain, |a, b| a.chain(b), |a, b| {
        // What `b` had before its turn has waited.
        let second = b.events.into_iter().map(|(at, item)| (at.max(a.end), item));
        Timeline::new(a.events.into_iter().chain(second), a.end.max(b.end))
    });
}
