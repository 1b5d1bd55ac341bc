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
    /// out    ----a---b--c---|    combine_latest(other)
    /// where  a = (1, x), b = (2, x), c = (2, y)
    /// ```
    ///
    /// Every combination comes out, unless it is [`conflated`](Flow::conflated). If both bring items at one instant, they are taken in turns,
    /// the input first. One that has many items at one instant and gives way in between (see
    /// [`Budget`](crate::Budget)) misses a turn: which combinations come then depends on that.
    ///
    /// - **Emits** a pair for each item of either, once both have brought one.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when both have ended, or as soon as one has ended without any item; then the
    ///   other is dropped in the same poll ([`until_all_end`](Flow::until_all_end) waits for it).
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
            mode: Mode::default(),
            changed: false,
            site: Location::caller(),
        })
    }
}

impl<A, B> Flow<CombineLatest<A, B>>
where
    A: Stage<Item: Clone>,
    B: Stage<Item: Clone>,
{
    /// Emits one pair for all that both have ready, instead of one for each item: the
    /// combinations in between, which were never true together for longer than an instant, do not
    /// come out.
    ///
    /// How many items are ready at once decides which combinations those are; the last one always
    /// comes.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// let pairs = iter([1, 2]).combine_latest(iter([7, 8, 9])).conflated();
    /// assert_eq!(Virtual::new().run(pairs.collect::<Vec<_>>()), [(2, 9)]);
    /// ```
    #[doc(alias("glitch_free"))]
    pub fn conflated(self) -> Self {
        let mut stage = self.into_stage();
        stage.mode.conflated = true;
        Self::from_stage(stage)
    }

    /// Ends only when both have ended, even if one had no item, so that there cannot be any pair.
    #[doc(alias("eager_complete"))]
    pub fn until_all_end(self) -> Self {
        let mut stage = self.into_stage();
        stage.mode.until_all_end = true;
        Self::from_stage(stage)
    }
}

#[derive(Debug, Default, Clone, Copy)]
struct Mode {
    conflated: bool,
    until_all_end: bool,
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
    mode: Mode,
    /// Whether the latest items are to come out as a pair, once nothing more is ready.
    changed: bool,
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
                News::Never if this.mode.until_all_end => without += 1,
                News::Never => {
                    this.input.set(None);
                    this.other.set(None);
                    *this.left = None;
                    *this.right = None;
                    return Poll::Ready(None);
                }
                News::Item if this.mode.conflated => {
                    without = 0;
                    *this.changed = true;
                }
                News::Item => {
                    without = 0;
                    if let (Some(left), Some(right)) = (&*this.left, &*this.right) {
                        return Poll::Ready(Some((left.clone(), right.clone())));
                    }
                }
            }
        }
        *this.turn = Turn::Input;
        if let (true, Some(left), Some(right)) = (*this.changed, &*this.left, &*this.right) {
            *this.changed = false;
            return Poll::Ready(Some((left.clone(), right.clone())));
        }
        if this.input.is_none() && this.other.is_none() {
            return Poll::Ready(None);
        }
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
        let waiting = self.changed && self.left.is_some() && self.right.is_some();
        let least = if self.mode.conflated { usize::from(waiting) } else { least };
        let most = input.1.zip(other.1).and_then(|(a, b)| a.checked_add(b));
        (least, most.and_then(|most| most.checked_add(usize::from(self.changed))))
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        outline
            .join("combine_latest", self.site, input.into_iter().chain(other))
            .parameter("conflated", self.mode.conflated)
            .parameter("until_all_end", self.mode.until_all_end)
            .holds(Bound::Items(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, items, marbles, specification, timeline, timetable,
    };

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
    fn one_that_ends_without_an_item_may_be_told_to_wait_for_the_other() {
        let empty = timetable([(0, 'a')], 3).filter(|_| false);
        let long = timetable([(1, 1), (60, 2)], 99);
        assert_eq!(timeline(long.combine_latest(empty).until_all_end()), (vec![], 99));
    }

    #[test]
    fn conflated_one_pair_comes_for_all_that_is_ready_at_once() {
        let a = timetable([(1, 'a'), (2, 'b'), (2, 'c'), (7, 'd')], 8);
        let b = timetable([(0, 1), (0, 2), (3, 3)], 9);
        let expected = vec![(1, ('a', 2)), (2, ('c', 2)), (3, ('c', 3)), (7, ('d', 3))];
        assert_eq!(timeline(a.combine_latest(b).conflated()), (expected, 9));
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

    conformance!(combine_latest, |a, b| a.combine_latest(b), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);
    conformance!(combine_latest_of_ready_items, |input| input.combine_latest(iter(0..5)), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);
    conformance!(combine_latest_with_an_empty_one, |a, b| a.filter(|_| false).combine_latest(b));

    marbles!(combine_latest, |input: u32, other| input.combine_latest(other));

    specification!(combine_latest, |a, b| a.combine_latest(b), |a, b| {
        // Without any item on one side nothing can come any more.
        let bare = [&a, &b].into_iter().filter(|side| side.events.is_empty());
        let end = bare.map(|side| side.end).min().unwrap_or(a.end.max(b.end));
        let (mut left, mut right) = (None, None);
        let lefts = a.events.into_iter().map(|(at, item)| (at, Some(item), None)).enumerate();
        let rights = b.events.into_iter().map(|(at, item)| (at, None, Some(item))).enumerate();
        let mut all: Vec<_> = lefts.chain(rights).collect();
        // What is there from the begin is taken in turns.
        all.sort_by_key(|(n, (at, ..))| (*at, if *at == 0 { *n } else { 0 }));
        let pairs = all.into_iter().filter_map(|(_, (at, a, b))| {
            (left, right) = (a.or(left), b.or(right));
            Some((at, (left?, right?)))
        });
        Timeline::new(pairs, end)
    });
}
