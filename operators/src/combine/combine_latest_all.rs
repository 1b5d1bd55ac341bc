//! `combine_latest_all`: the latest item of each of many flows, whenever one of them changes.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// Emits the latest items of all `inputs`, as a vector in their order, whenever one of them brings
/// an item, as soon as each has brought one.
///
/// ```text
/// a    --1-----2-----|
/// b    ----x------y|
/// out  ----a---b--c--|    combine_latest_all([a, b])
///
/// where  a = [1, x], b = [2, x], c = [2, y]
/// ```
///
/// [`Flow::combine_latest`] for any number of flows of one type. Inputs that have items at one
/// instant have turns of one item, in their order.
///
/// - **Emits** a vector for each item, once every input has brought one.
/// - **Backpressures** when downstream does.
/// - **Ends** when all have ended, or as soon as one has ended without any item; the others are
///   dropped in the same poll ([`until_all_end`](Flow::until_all_end) waits for them). Without
///   inputs it is empty.
/// - **On error**: an error is an item here and becomes the latest one.
/// - **Holds** 1 item for each input.
/// - **Cost**: a vector for each item, with a clone of the latest of each input; two allocations
///   for each input at construction, at most one clock read for 16 items.
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::combine_latest_all, iter};
/// let venues = combine_latest_all([iter([101]), iter([99]), iter([100])]);
/// let best = venues.map(|bids| bids.into_iter().max());
/// assert_eq!(Virtual::new().run(best.first()), Some(Some(101)));
/// ```
#[doc(alias("combine", "combine_latest", "merge_latest", "zip_latest"))]
#[track_caller]
pub fn combine_latest_all<S>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<CombineLatestAll<S>>
where
    S: Stage<Item: Clone>,
{
    let inputs = Inputs::new(inputs);
    let len = inputs.len();
    Flow::from_stage(CombineLatestAll {
        inputs,
        round: Bits::full(len),
        next_round: Bits::new(len),
        latest: (0..len).map(|_| None).collect(),
        missing: len,
        until_all_end: false,
        budget: Budget::new(),
        site: Location::caller(),
    })
}

impl<S: Stage<Item: Clone>> Flow<CombineLatestAll<S>> {
    /// Ends only when all have ended, even if one had no item, so that nothing can come out.
    #[doc(alias("eager_complete"))]
    pub fn until_all_end(self) -> Self {
        let mut stage = self.into_stage();
        stage.until_all_end = true;
        Self::from_stage(stage)
    }
}

/// The stage behind [`combine_latest_all`].
#[derive(Debug)]
pub struct CombineLatestAll<S: Stage> {
    inputs: Inputs<S>,
    /// The inputs that have their turn in this round.
    round: Bits,
    /// Those that have one in the next, beside those that are woken until then.
    next_round: Bits,
    latest: Vec<Option<S::Item>>,
    /// How many have not brought an item yet.
    missing: usize,
    until_all_end: bool,
    budget: Budget,
    site: Site,
}

// Items are never pinned; inputs are pinned in boxes of their own.
impl<S: Stage> Unpin for CombineLatestAll<S> {}

impl<S: Stage<Item: Clone>> Stage for CombineLatestAll<S> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // An input that is woken again within a round without items wants to give way, which it
        // does by going through the task.
        let mut new_round = false;
        while this.inputs.open() > 0 {
            let Some(index) = this.round.pop_first() else {
                if new_round {
                    this.budget.rest();
                    this.inputs.park(cx);
                    return Poll::Pending;
                }
                new_round = true;
                std::mem::swap(&mut this.round, &mut this.next_round);
                this.inputs.take_woken(&mut this.round);
                continue;
            };
            if !this.budget.spend(cx) {
                this.round.insert(index);
                return Poll::Pending;
            }
            match this.inputs.poll_next(index) {
                Poll::Pending => {}
                Poll::Ready(Some(item)) => {
                    new_round = false;
                    this.next_round.insert(index);
                    this.missing -= usize::from(this.latest[index].is_none());
                    this.latest[index] = Some(item);
                    if this.missing == 0 {
                        return Poll::Ready(Some(this.latest.iter().flatten().cloned().collect()));
                    }
                }
                Poll::Ready(None) => {
                    if this.latest[index].is_none() && !this.until_all_end {
                        (0..this.inputs.len()).for_each(|index| this.inputs.end(index));
                    }
                }
            }
        }
        this.latest.fill(None);
        Poll::Ready(None)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.inputs.poll_progress(cx, &mut this.next_round)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.inputs.size_hint();
        (if self.missing == 0 { least } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join("combine_latest_all", self.site, self.inputs.outlines())
            .parameter("until_all_end", self.until_all_end)
            .holds(Bound::Items(self.inputs.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Timeline, every_way, items, timeline, timetable};
    use crate::{conformance, iter, marbles, specification};

    conformance!(combine_latest_all, |a, b| combine_latest_all([a, b]), except [
        NoAllocation: "a vector for each item",
        Invariance: "which inputs are ready decides which combinations there are",
    ]);
    marbles!(combine_latest_all, |a, b| combine_latest_all([a, b]));
    specification!(combine_latest_all, |a, b| combine_latest_all([a, b]), |a, b| {
        // At the beginning both are ready and take turns; later the alarm of the first rings first.
        let turn = |n: usize, at: i64| if at == 0 { n } else { 0 };
        let mut all = Vec::new();
        for (index, line) in [&a, &b].into_iter().enumerate() {
            for (n, (at, item)) in line.events.iter().enumerate() {
                all.push((*at, turn(n, *at), index, Some(*item)));
            }
            all.push((line.end, turn(line.events.len(), line.end), index, None));
        }
        all.sort_by_key(|(at, turn, index, _)| (*at, *turn, *index));
        let mut latest = [None; 2];
        let mut output = Timeline::new([], a.end.max(b.end));
        for (at, _, index, item) in all {
            latest[index] = item.or(latest[index]);
            match (item, latest) {
                (None, _) if latest[index].is_none() => {
                    output.end = at;
                    break;
                }
                (Some(_), [Some(a), Some(b)]) => output.events.push((at, vec![a, b])),
                _ => {}
            }
        }
        output
    });

    #[test]
    fn every_change_gives_the_latest_of_all() {
        let inputs = || {
            let a = timetable(vec![(1, 'a'), (2, 'b'), (7, 'c')], 8);
            [a, timetable(vec![(3, 'x'), (5, 'y')], 9)]
        };
        let expected = [(3, "bx"), (5, "by"), (7, "cy")];
        let expected = expected.map(|(at, text)| (at, text.chars().collect::<Vec<_>>()));
        assert_eq!(timeline(combine_latest_all(inputs())), (expected.to_vec(), 9));
    }

    #[test]
    fn at_one_instant_all_take_turns_in_their_order() {
        let flow = || combine_latest_all([iter(1..3), iter(7..10)]);
        assert_eq!(every_way(flow), [[1, 7], [2, 7], [2, 8], [2, 9]]);
    }

    #[test]
    fn one_that_ends_without_an_item_ends_all_at_once_unless_told_otherwise() {
        let inputs = || [timetable(vec![(1, 'a')], 9), timetable(vec![], 4)];
        assert_eq!(timeline(combine_latest_all(inputs())), (vec![], 4));
        assert_eq!(timeline(combine_latest_all(inputs()).until_all_end()), (vec![], 9));
    }

    #[test]
    fn no_inputs_are_an_empty_flow() {
        let none = Vec::<Flow<crate::source::Empty<u8>>>::new();
        assert!(items(combine_latest_all(none)).is_empty());
    }
}
