//! `with_latest_from_optional`: each item with the latest item of another flow, if there is one.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Pairs each item with the latest item of `other`, or with `None` before there is one.
    ///
    /// ```text
    /// in     --1-----2----3---|
    /// other  ----x------y-----------
    /// out    --a-----b----c---|    with_latest_from_optional(other)
    /// where  a = (1, None), b = (2, Some(x)), c = (3, Some(y))
    /// ```
    ///
    /// At one instant `other` comes first, as far as it has items ready without giving way in
    /// between (see [`Budget`](crate::Budget)).
    ///
    /// - **Emits** a pair for each item, in the same poll.
    /// - **Backpressures** when downstream does; `other` waits with it.
    /// - **Ends** when the input ends; `other` is dropped in the same poll. If `other` ends
    ///   earlier, its last item stays the latest.
    /// - **On error**: an error is an item here, also as the latest one of `other`.
    /// - **Holds** 1 item.
    /// - **Cost**: one clone for a pair; no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let marked = iter([2, 3]).with_latest_from_optional(iter(Vec::<i32>::new()));
    /// assert_eq!(marked.filter(|(_, price)| price.is_none()).count().await, 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn with_latest_from_optional<O: Stage>(
        self,
        other: Flow<O>,
    ) -> Flow<WithLatestFromOptional<S, O>>
    where
        O::Item: Clone,
    {
        Flow::from_stage(WithLatestFromOptional::new(self, other, Location::caller()))
    }
}

/// The stage behind [`Flow::with_latest_from_optional`].
#[pin_project]
#[derive(Debug)]
pub struct WithLatestFromOptional<A, B: Stage> {
    /// `None` once it has ended.
    #[pin]
    input: Option<A>,
    /// `None` once it, or the input, has ended.
    #[pin]
    other: Option<B>,
    latest: Option<B::Item>,
    site: Site,
}

impl<A, B: Stage> WithLatestFromOptional<A, B> {
    pub(super) fn new(input: Flow<A>, other: Flow<B>, site: Site) -> Self
    where
        A: Stage,
    {
        Self {
            input: Some(input.into_stage()),
            other: Some(other.into_stage()),
            latest: None,
            site,
        }
    }

    pub(super) fn has_latest(&self) -> bool {
        self.latest.is_some()
    }

    /// Whether the other flow has ended without any item.
    pub(super) fn is_without_other(&self) -> bool {
        self.other.is_none() && self.latest.is_none()
    }

    /// Takes what the other flow has ready.
    pub(super) fn listen(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        while let Some(other) = this.other.as_mut().as_pin_mut() {
            match other.poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => this.other.set(None),
                Poll::Ready(item) => *this.latest = item,
            }
        }
    }

    pub(super) fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.input.set(None);
        this.other.set(None);
        *this.latest = None;
    }
}

impl<A: Stage, B: Stage<Item: Clone>> WithLatestFromOptional<A, B> {
    /// The next item of the input, with the latest of the other as it is known.
    pub(super) fn poll_main(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<<Self as Stage>::Item>> {
        let this = self.as_mut().project();
        let Some(input) = this.input.as_pin_mut() else {
            return Poll::Ready(None);
        };
        match ready!(input.poll_next(cx)) {
            Some(item) => Poll::Ready(Some((item, this.latest.clone()))),
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    pub(super) fn describe_as(&self, name: &'static str, site: Site, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        outline.join(name, site, input.into_iter().chain(other)).holds(Bound::Items(1));
    }
}

impl<A: Stage, B: Stage<Item: Clone>> Stage for WithLatestFromOptional<A, B> {
    type Item = (A::Item, Option<B::Item>);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.as_mut().listen(cx);
        self.poll_main(cx)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let input = this.input.as_pin_mut();
        let other = this.other.as_pin_mut();
        let input = input.is_none_or(|input| input.poll_progress(cx).is_ready());
        let other = other.is_none_or(|other| other.poll_progress(cx).is_ready());
        if input && other { Poll::Ready(()) } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.as_ref().map_or((0, Some(0)), Stage::size_hint)
    }

    fn describe(&self, outline: &mut Outline) {
        self.describe_as("with_latest_from_optional", self.site, outline);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{conformance, marbles, specification, timeline, timetable};

    #[test]
    fn items_before_the_first_of_the_other_come_without_one() {
        let main = timetable([(1, 'a'), (4, 'b')], 9);
        let other = timetable([(2, 1), (3, 2)], 5);
        let expected = vec![(1, ('a', None)), (4, ('b', Some(2)))];
        assert_eq!(timeline(main.with_latest_from_optional(other)), (expected, 9));
    }

    #[test]
    fn an_other_that_ends_without_an_item_changes_nothing() {
        let main = timetable([(1, 'a'), (4, 'b')], 9);
        let other = timetable([(0, 1)], 2).filter(|_| false);
        let expected = vec![(1, ('a', None)), (4, ('b', None))];
        assert_eq!(timeline(main.with_latest_from_optional(other)), (expected, 9));
    }

    conformance!(with_latest_from_optional, |a, b| a.with_latest_from_optional(b), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);

    marbles!(with_latest_from_optional, |input: u32, other| {
        input.with_latest_from_optional(other)
    });

    specification!(
        with_latest_from_optional,
        |a, b| b.with_latest_from_optional(a),
        |other, input| {
            // At one instant the other, which stands first, comes first.
            let latest = |now| other.events.iter().rfind(|(at, _)| *at <= now);
            input.flat_map(|at, item| [(item, latest(at).map(|(_, other)| *other))])
        }
    );
}
