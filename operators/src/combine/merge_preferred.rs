//! `merge_preferred` and `merge_weighted`: the items of many flows, some before others.

use std::num::NonZeroU32;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Budget, Flow, Outline, Site, Stage};

/// The items of all `inputs`, those of an earlier input before those of a later one.
///
/// ```text
/// urgent  ----u----v----|
/// normal  --1-2----3---4-|
/// out     --1-(u2)-(v3)4-|    merge_preferred([urgent, normal])
/// ```
///
/// An input has its turn only while none before it has an item ready. So an input that is always
/// ready starves those behind it: that is what is asked for here. Where everyone has to get on, see
/// [`merge_weighted`].
///
/// - **Emits** an item when an input has one.
/// - **Backpressures** when downstream does.
/// - **Ends** when all inputs have ended; each is dropped as soon as it ends.
/// - **On error**: an error is an item here; the other inputs go on.
/// - **Holds** nothing.
/// - **Cost**: two allocations for each input at construction, none afterwards; at most one clock
///   read for 16 items.
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::merge_preferred, iter};
/// let orders = merge_preferred([iter(vec!["cancel", "cancel"]), iter(vec!["new"])]);
/// let all: Vec<_> = Virtual::new().run(orders.collect());
/// assert_eq!(all, ["cancel", "cancel", "new"]);
/// ```
#[doc(alias("merge_prioritized", "merge_priority"))]
#[track_caller]
pub fn merge_preferred<S: Stage>(
    inputs: impl IntoIterator<Item = Flow<S>>,
) -> Flow<MergePreferred<S>> {
    MergePreferred::over(Inputs::new(inputs), None, Location::caller())
}

/// The items of all inputs, each with as many in a round as its weight says.
///
/// ```text
/// a    (1234)---|
/// b    (xyz)-|
/// out  (12x34yz)|    merge_weighted([(2, a), (1, b)])
/// ```
///
/// The inputs have turns in their order; a turn ends after as many items as the weight, or when
/// the input has no more. So between two items of an input that is always ready come at most as
/// many others as the weights of all others together: nobody starves.
///
/// - **Emits** an item when an input has one.
/// - **Backpressures** when downstream does.
/// - **Ends** when all inputs have ended; each is dropped as soon as it ends.
/// - **On error**: an error is an item here; the other inputs go on.
/// - **Holds** nothing.
/// - **Cost**: as [`merge_preferred`].
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::merge_weighted, iter};
/// # use std::num::NonZeroU32;
/// let weight = |n| NonZeroU32::new(n).unwrap();
/// let mixed = merge_weighted([(weight(2), iter(1..4)), (weight(1), iter(70..72))]);
/// assert_eq!(Virtual::new().run(mixed.collect::<Vec<_>>()), [1, 2, 70, 3, 71]);
/// ```
#[doc(alias("merge_prioritized", "merge_prioritized_n"))]
#[track_caller]
pub fn merge_weighted<S: Stage>(
    inputs: impl IntoIterator<Item = (NonZeroU32, Flow<S>)>,
) -> Flow<MergePreferred<S>> {
    let (weights, inputs): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
    MergePreferred::over(Inputs::new(inputs), Some(weights.into()), Location::caller())
}

/// The stage behind [`merge_preferred`] and [`merge_weighted`].
#[derive(Debug)]
pub struct MergePreferred<S> {
    inputs: Inputs<S>,
    /// Those that may have an item ready: in this round, if there are weights.
    ready: Bits,
    /// Those that have had their turn in this round.
    next_round: Bits,
    /// How many items an input may give in a turn. `None`: the first that is ready comes first.
    weights: Option<Box<[NonZeroU32]>>,
    /// How many it has given in its turn.
    given: u32,
    budget: Budget,
    site: Site,
}

impl<S: Stage> MergePreferred<S> {
    fn over(inputs: Inputs<S>, weights: Option<Box<[NonZeroU32]>>, site: Site) -> Flow<Self> {
        let len = inputs.len();
        Flow::from_stage(Self {
            inputs,
            ready: Bits::full(len),
            next_round: Bits::new(len),
            weights,
            given: 0,
            budget: Budget::new(),
            site,
        })
    }

    /// Notes an item: the input goes on, or waits for the next round.
    fn took_from(&mut self, index: usize) {
        self.given += 1;
        match &self.weights {
            Some(weights) if self.given >= weights[index].get() => {
                self.given = 0;
                self.next_round.insert(index);
            }
            _ => self.ready.insert(index),
        }
    }
}

impl<S: Stage> Stage for MergePreferred<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = &mut *self;
        if this.weights.is_none() {
            // One that is woken has its turn before those behind it.
            this.inputs.take_woken(&mut this.ready);
        }
        // An input that is woken again within a round without items wants to give way, which it
        // does by going through the task.
        for new_round in [false, true] {
            if new_round {
                std::mem::swap(&mut this.ready, &mut this.next_round);
                this.inputs.take_woken(&mut this.ready);
            }
            while let Some(index) = this.ready.pop_first() {
                if !this.budget.spend(cx) {
                    this.ready.insert(index);
                    return Poll::Pending;
                }
                if let Poll::Ready(item @ Some(_)) = this.inputs.poll_next(index) {
                    this.took_from(index);
                    return Poll::Ready(item);
                }
                this.given = 0;
            }
            if this.inputs.open() == 0 {
                return Poll::Ready(None);
            }
        }
        this.budget.rest();
        this.inputs.park(cx);
        Poll::Pending
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.inputs.poll_progress(cx, &mut this.next_round)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inputs.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        match &self.weights {
            None => outline.join("merge_preferred", self.site, self.inputs.outlines()),
            Some(weights) => outline
                .join("merge_weighted", self.site, self.inputs.outlines())
                .parameter("weights", format_args!("{weights:?}")),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Timeline, every_way, timeline, timetable};
    use crate::{conformance, iter, marbles, specification};

    fn weight(n: u32) -> NonZeroU32 {
        NonZeroU32::new(n).unwrap()
    }

    conformance!(merge_preferred, |a, b| merge_preferred([a, b]), except [
        Invariance: "which inputs are ready decides what comes first",
    ]);
    conformance!(merge_weighted, |a, b| merge_weighted([(weight(2), a), (weight(1), b)]), except [
        Invariance: "which inputs are ready decides what comes first",
    ]);
    marbles!(merge_preferred, |urgent, normal| merge_preferred([urgent, normal]));
    marbles!(merge_weighted, |a, b| merge_weighted([(weight(2), a), (weight(1), b)]));
    specification!(merge_preferred, |a, b| merge_preferred([a, b]), |a, b| {
        let mut all = a.events;
        all.extend(b.events);
        all.sort_by_key(|(at, _)| *at);
        Timeline::new(all, a.end.max(b.end))
    });
    specification!(
        merge_weighted,
        |a, b| merge_weighted([(weight(2), a), (weight(1), b)]),
        |a, b| {
            // At the beginning both are ready; later the alarm of the first rings first.
            let at_once = |line: &Timeline<u8>| line.events.iter().filter(|e| e.0 == 0).count();
            let (mut a, mut b, end) = (a.events.clone(), b.events.clone(), a.end.max(b.end));
            let (mut from_a, mut from_b) =
                (at_once(&Timeline::new(a.clone(), 0)), at_once(&Timeline::new(b.clone(), 0)));
            let mut all = Vec::new();
            while from_a + from_b > 0 {
                let (few, one) = (from_a.min(2), from_b.min(1));
                all.extend(a.drain(..few));
                all.extend(b.drain(..one));
                (from_a, from_b) = (from_a - few, from_b - one);
            }
            a.extend(b);
            a.sort_by_key(|(at, _)| *at);
            all.extend(a);
            Timeline::new(all, end)
        }
    );

    #[test]
    fn an_earlier_input_comes_before_a_later_one() {
        let urgent = timetable(vec![(4, 'u'), (6, 'v')], 7);
        let normal = timetable(vec![(2, '1'), (4, '2'), (6, '3')], 9);
        let expected = vec![(2, '1'), (4, 'u'), (4, '2'), (6, 'v'), (6, '3')];
        assert_eq!(timeline(merge_preferred([urgent, normal])), (expected, 9));
        let flow = || merge_preferred([iter(1..4), iter(7..9)]);
        assert_eq!(every_way(flow), [1, 2, 3, 7, 8]);
    }

    #[test]
    fn one_that_comes_late_overtakes_those_behind_it() {
        let late = iter([1, 2]).delay(crate::testing::ms(5), 4);
        let ready = iter(vec![7; 5_000]);
        let mut flow = merge_preferred([late.boxed_local(), ready.boxed_local()]);
        crate::Virtual::new().run(async {
            for _ in 0..10 {
                assert_eq!(flow.next().await, Some(7));
            }
            let mut alarm = crate::Alarm::for_source();
            let later = alarm.now() + crate::testing::ms(6);
            alarm.set(later);
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            assert_eq!(flow.next().await, Some(1));
            assert_eq!(flow.next().await, Some(7));
        });
    }

    #[test]
    fn weights_share_out_the_rounds() {
        let flow = || {
            merge_weighted([
                (weight(3), iter(vec!['a'; 7])),
                (weight(1), iter(vec!['b'; 4])),
                (weight(2), iter(vec!['c'; 2])),
            ])
        };
        assert_eq!(every_way(flow).into_iter().collect::<String>(), "aaabccaaababb");
    }
}
