//! `with_latest_from`: each item with the latest item of another flow.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::WithLatestFromOptional;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Pairs each item with the latest item of `other`.
    ///
    /// ```text
    /// in     --1-----2----3---|
    /// other  ----x------y-----------
    /// out    --------a----b---|    with_latest_from(other)
    /// where  a = (2, x), b = (3, y)
    /// ```
    ///
    /// At one instant `other` comes first, as far as it has items ready without giving way in
    /// between (see [`Budget`](crate::Budget)). Items that come before the first one of `other` are
    /// dropped; [`dropped`](Flow::dropped) counts them, and
    /// [`with_latest_from_optional`](Flow::with_latest_from_optional) keeps them.
    ///
    /// - **Emits** a pair for each item once `other` has brought one.
    /// - **Backpressures** when downstream does; `other` waits with it.
    /// - **Ends** when the input ends, or when `other` has ended without any item; whatever is
    ///   left is dropped in the same poll. If `other` ends later, its last item stays the latest.
    /// - **On error**: an error is an item here, also as the latest one of `other`.
    /// - **Holds** 1 item.
    /// - **Cost**: one clone for a pair; no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let marked = iter([2, 3]).with_latest_from(iter([10])).map(|(size, price)| size * price);
    /// assert_eq!(marked.fold(0, |sum, x| sum + x).await, 50);
    /// # });
    /// ```
    #[doc(alias("sample_with"))]
    #[track_caller]
    pub fn with_latest_from<O: Stage>(self, other: Flow<O>) -> Flow<WithLatestFrom<S, O>>
    where
        O::Item: Clone,
    {
        let site = Location::caller();
        Flow::from_stage(WithLatestFrom {
            input: WithLatestFromOptional::new(self, other, site),
            dropped: 0,
            site,
        })
    }
}

/// The stage behind [`Flow::with_latest_from`].
#[pin_project]
pub struct WithLatestFrom<A, B: Stage> {
    #[pin]
    input: WithLatestFromOptional<A, B>,
    dropped: u64,
    site: Site,
}

impl<S: Stage, O: Stage<Item: Clone>> Flow<WithLatestFrom<S, O>> {
    /// How many items came before the first one of the other flow and were dropped.
    pub fn dropped(&self) -> u64 {
        self.stage().dropped
    }
}

impl<A: fmt::Debug, B: Stage<Item: fmt::Debug> + fmt::Debug> fmt::Debug for WithLatestFrom<A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WithLatestFrom")
            .field("input", &self.input)
            .field("dropped", &self.dropped)
            .field("site", &self.site)
            .finish()
    }
}

impl<A: Stage, B: Stage<Item: Clone>> Stage for WithLatestFrom<A, B> {
    type Item = (A::Item, B::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            this.input.as_mut().listen(cx);
            if this.input.is_without_other() {
                this.input.as_mut().end();
                return Poll::Ready(None);
            }
            match ready!(this.input.as_mut().poll_main(cx)) {
                Some((item, Some(latest))) => return Poll::Ready(Some((item, latest))),
                Some((_, None)) => *this.dropped += 1,
                None => return Poll::Ready(None),
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let certain = self.input.has_latest();
        (if certain { least } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe_as("with_latest_from", self.site, outline);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Virtual, flow, iter};

    #[test]
    fn each_item_comes_with_the_latest_of_the_other() {
        let main = timetable([(1, 'a'), (4, 'b'), (8, 'c')], 9);
        let other = timetable([(2, 1), (3, 2), (6, 3)], 99);
        let expected = vec![(4, ('b', 2)), (8, ('c', 3))];
        assert_eq!(timeline(main.with_latest_from(other)), (expected, 9));
    }

    #[test]
    fn what_both_have_ready_at_once_is_taken_from_the_other_first() {
        let pairs = iter(['a', 'b']).with_latest_from(iter([1, 2, 3]));
        assert_eq!(timeline(pairs).0, [(0, ('a', 3)), (0, ('b', 3))]);
    }

    #[test]
    fn items_before_the_first_of_the_other_are_dropped_and_counted() {
        let main = timetable([(1, 'a'), (2, 'b'), (4, 'c')], 5);
        let other = timetable([(3, 1)], 99);
        let mut pairs = main.with_latest_from(other);
        let first = Virtual::new().run(pairs.next());
        assert_eq!((first, pairs.dropped()), (Some(('c', 1)), 2));
    }

    #[test]
    fn without_any_item_of_the_other_it_ends_with_the_other() {
        let main = timetable([(1, 'a'), (60, 'b')], 99);
        let other = timetable([(0, 1)], 3).filter(|_| false);
        assert_eq!(timeline(main.with_latest_from(other)), (vec![], 3));
    }

    #[test]
    fn the_last_item_of_an_other_that_has_ended_stays() {
        let main = timetable([(5, 'a'), (6, 'b')], 7);
        let other = timetable([(1, 1)], 2);
        let expected = vec![(5, ('a', 1)), (6, ('b', 1))];
        assert_eq!(timeline(main.with_latest_from(other)), (expected, 7));
    }

    #[test]
    fn the_other_is_dropped_when_the_input_ends() {
        let alive = std::rc::Rc::new(());
        let guard = alive.clone();
        let other = flow(futures::stream::pending::<i32>()).map(move |x| (x, guard.clone()).0);
        let mut pairs = iter(0..0).with_latest_from(other);
        assert_eq!(futures::executor::block_on(pairs.next()), None);
        assert_eq!(std::rc::Rc::strong_count(&alive), 1);
    }

    conformance!(with_latest_from, |a, b| a.with_latest_from(b), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);
    conformance!(with_latest_from_ready_items, |input| input.with_latest_from(iter(0..5)));

    marbles!(with_latest_from, |input: u32, other| input.with_latest_from(other));

    specification!(with_latest_from, |a, b| b.with_latest_from(a), |other, input| {
        // At one instant the other, which stands first, comes first.
        let latest = |now| other.events.iter().rfind(|(at, _)| *at <= now).map(|(_, item)| *item);
        let end = if other.events.is_empty() { other.end.min(input.end) } else { input.end };
        let pairs = input.flat_map(|at, item| latest(at).map(|other| (item, other)));
        Timeline { end, ..pairs }
    });
}
