//! `combine_latest`: the latest item of two flows, whenever one of them changes.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the latest items of both flows whenever one of them brings one, as soon as both have
    /// brought one.
    ///
    /// ```text
    /// in     --1-----2------|
    /// other  ----x------y|
    /// out    ----1x--2x-2y--|    combine_latest(other)
    /// ```
    ///
    /// Every combination comes out. If both bring items at one instant, they are taken in turns,
    /// the input first. One that has many items at one instant and gives way in between (see
    /// [`Budget`](crate::Budget)) misses a turn: which combinations come then depends on that.
    ///
    /// - **Emits** a pair for each item of either, once both have brought one.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when both have ended, or as soon as one has ended without any item; then the
    ///   other is dropped in the same poll.
    /// - **On error**: an error is an item here and becomes the latest one.
    /// - **Holds** 2 items.
    /// - **Cost**: two clones for a pair; no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let spread = iter([99]).combine_latest(iter([101])).map(|(bid, ask)| ask - bid);
    /// assert_eq!(spread.fold(0, |_, spread| spread).await, 2);
    /// # });
    /// ```
    #[doc(alias("combine", "merge_latest", "zip_latest"))]
    #[track_caller]
    pub fn combine_latest<O: Stage>(self, other: Flow<O>) -> Flow<CombineLatest<S, O>>
    where
        S::Item: Clone,
        O::Item: Clone,
    {
        Flow::from_stage(CombineLatest {
            input: Some(self.into_stage()),
            other: Some(other.into_stage()),
            left: None,
            right: None,
            turn: Turn::Input,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::combine_latest`].
#[pin_project]
#[derive(Debug)]
pub struct CombineLatest<A: Stage, B: Stage> {
    /// `None` once it has ended, as is the other.
    #[pin]
    input: Option<A>,
    #[pin]
    other: Option<B>,
    /// The latest item of each.
    left: Option<A::Item>,
    right: Option<B::Item>,
    /// Whom to ask first.
    turn: Turn,
    site: Site,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Input,
    Other,
}

/// What one of the two had.
enum News {
    Item,
    /// Nothing now, and if it has ended, nothing ever.
    None,
    /// It has ended without any item.
    Never,
}

fn ask<S: Stage>(
    mut input: Pin<&mut Option<S>>,
    latest: &mut Option<S::Item>,
    cx: &mut Context<'_>,
) -> News {
    let Some(stage) = input.as_mut().as_pin_mut() else {
        return News::None;
    };
    match stage.poll_next(cx) {
        Poll::Pending => return News::None,
        Poll::Ready(None) => input.set(None),
        Poll::Ready(item) => {
            *latest = item;
            return News::Item;
        }
    }
    match latest {
        Some(_) => News::None,
        None => News::Never,
    }
}

impl<A, B> Stage for CombineLatest<A, B>
where
    A: Stage<Item: Clone>,
    B: Stage<Item: Clone>,
{
    type Item = (A::Item, B::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        // How many of the two were asked since one had an item.
        let mut without = 0;
        while without < 2 {
            let news = match this.turn {
                Turn::Input => ask(this.input.as_mut(), this.left, cx),
                Turn::Other => ask(this.other.as_mut(), this.right, cx),
            };
            *this.turn = match this.turn {
                Turn::Input => Turn::Other,
                Turn::Other => Turn::Input,
            };
            match news {
                News::None => without += 1,
                News::Never => {
                    this.input.set(None);
                    this.other.set(None);
                    *this.left = None;
                    *this.right = None;
                    return Poll::Ready(None);
                }
                News::Item => {
                    without = 0;
                    if let (Some(left), Some(right)) = (&*this.left, &*this.right) {
                        return Poll::Ready(Some((left.clone(), right.clone())));
                    }
                }
            }
        }
        if this.input.is_none() && this.other.is_none() {
            return Poll::Ready(None);
        }
        *this.turn = Turn::Input;
        Poll::Pending
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
        let input = self.input.as_ref().map_or((0, Some(0)), Stage::size_hint);
        let other = self.other.as_ref().map_or((0, Some(0)), Stage::size_hint);
        // Items of one that come before the first of the other give no pair.
        let least = match (&self.left, &self.right) {
            (Some(_), Some(_)) => input.0.saturating_add(other.0),
            (Some(_), None) => other.0,
            (None, Some(_)) => input.0,
            (None, None) => input.0.min(other.0),
        };
        let most = input.1.zip(other.1).and_then(|(a, b)| a.checked_add(b));
        (least, most)
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        outline
            .join("combine_latest", self.site, input.into_iter().chain(other))
            .holds(Bound::Items(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iter;
    use crate::testing::{items, timeline, timetable};

    #[test]
    fn every_change_of_either_gives_the_latest_of_both() {
        let a = timetable([(1, 'a'), (2, 'b'), (7, 'c')], 8);
        let b = timetable([(3, 1), (5, 2)], 9);
        let expected = vec![(3, ('b', 1)), (5, ('b', 2)), (7, ('c', 2))];
        assert_eq!(timeline(a.combine_latest(b)), (expected, 9));
    }

    #[test]
    fn at_one_instant_both_take_turns_and_the_input_comes_first() {
        let pairs = iter(['a', 'b']).combine_latest(iter([1, 2, 3]));
        assert_eq!(items(pairs), [('a', 1), ('b', 1), ('b', 2), ('b', 3)]);
    }

    #[test]
    fn one_that_ends_without_an_item_ends_all_at_once() {
        let empty = || timetable([(0, 'a')], 3).filter(|_| false);
        let long = || timetable([(1, 1), (60, 2)], 99);
        assert_eq!(timeline(long().combine_latest(empty())), (vec![], 3));
        assert_eq!(timeline(empty().combine_latest(long())), (vec![], 3));
    }

    #[test]
    fn the_last_item_of_one_that_has_ended_stays_the_latest() {
        let a = timetable([(0, 'a')], 0);
        let b = timetable([(5, 1), (6, 2)], 7);
        assert_eq!(timeline(a.combine_latest(b)), (vec![(5, ('a', 1)), (6, ('a', 2))], 7));
    }

    #[test]
    fn size_hint_allows_for_items_without_a_partner() {
        let flow = iter(0..3).combine_latest(iter(0..5));
        let (least, most) = Stage::size_hint(&flow);
        let actual = items(flow).len();
        assert!(least <= actual && Some(actual) <= most);
        assert_eq!((least, most), (3, Some(8)));
    }
}
