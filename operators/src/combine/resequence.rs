//! `resequence`: numbered items in the order of their numbers, and gaps by name.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use super::sequencer::Sequencer;
use super::{SequenceCounts, Sequenced};
use crate::{Alarm, Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits items in the order of their sequence numbers, each number once, and says which
    /// numbers never came.
    ///
    /// ```text
    /// in   --1-3-2---5-4-5---7------|
    /// out  --a---(bc)--(de)-----(gh)|    resequence(8, 3 ms, number)
    ///
    /// where  a = Item(1), b = Item(2), c = Item(3), d = Item(4), e = Item(5)
    /// where  g = Gap(Gap { first: 6, last: 6 }), h = Item(7)
    /// ```
    ///
    /// An item whose number is the next one goes out at once. One that is ahead waits in a window
    /// of `capacity` items until those before it have come. It does not wait for ever: when the
    /// numbers before it have been missing for `patience`, when an item comes that is `capacity` or
    /// more numbers ahead, or when the input ends, they are given up, a [`Gap`](super::Gap) with
    /// exactly these numbers goes out, and then the item. So the output is the numbers without a
    /// hole: each is in an item or in a gap, and a consumer that keeps state, such as an order
    /// book, knows the very place at which it has to recover.
    ///
    /// A number that has been emitted, or that is held already, is a duplicate and dropped; one
    /// that was given up and comes after all is late and dropped. [`counts`](Flow::counts) has both,
    /// as far back as `capacity` numbers; what is older counts as a duplicate. With
    /// [`with_old`](Flow::with_old) they come out. A window of `capacity` items, however far they are
    /// ahead, is [`counting_items`](Flow::counting_items).
    ///
    /// The first item decides where the numbers begin; if they begin at a known one, and the first
    /// item may not be it, say so with [`starting_at`](Flow::starting_at).
    ///
    /// - **Emits** an item when all before it are out or given up; a gap when it is given up.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and what waits is out, with the gaps before it.
    /// - **On error**: an error is an item here and needs a number like one.
    /// - **Holds** `capacity` items at most, and one flag for each of as many numbers.
    /// - **Cost**: no allocation after construction; a slot of an array for an item, no search. One
    ///   clock read for a gap that has to wait.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use aqueduct_operators::combine::{Gap, Sequenced};
    /// # use std::time::Duration;
    /// let packets = iter([(1, "a"), (3, "c"), (2, "b"), (3, "c"), (6, "f")]);
    /// let ordered = packets.resequence(64, Duration::from_millis(20), |(number, _)| *number);
    /// let out: Vec<_> = Virtual::new().run(ordered.collect());
    /// assert_eq!(out[2], Sequenced::Item((3, "c")));
    /// assert_eq!(out[3], Sequenced::Gap(Gap { first: 4, last: 5 }));
    /// assert_eq!(out.len(), 5);
    /// ```
    #[doc(alias("merge_sequence", "reorder", "gap_detect", "deduplicate"))]
    #[track_caller]
    pub fn resequence<F>(
        self,
        capacity: usize,
        patience: Duration,
        number: F,
    ) -> Flow<Resequence<S, F>>
    where
        F: FnMut(&S::Item) -> u64,
    {
        let site = Location::caller();
        assert!(capacity > 0, "resequence: the capacity must not be zero, at {site}");
        Flow::from_stage(Resequence {
            input: self.into_stage(),
            number,
            sequencer: Sequencer::new(capacity),
            patience,
            alarm: Alarm::new(),
            alarmed_for: None,
            ended: false,
            budget: Budget::new(),
            with_old: false,
            site,
        })
    }
}

impl<S, F> Flow<Resequence<S, F>>
where
    S: Stage,
    F: FnMut(&S::Item) -> u64,
{
    /// The number that is due first. Items with lower ones are duplicates.
    pub fn starting_at(self, first: u64) -> Self {
        let mut stage = self.into_stage();
        stage.sequencer.start_at(first);
        Self::from_stage(stage)
    }

    /// The capacity is the number of items that may wait, however far they are ahead: only when one
    /// more waits is the first gap given up. Otherwise it is also how many numbers ahead an item may
    /// be, which finds each at its place in an array; here it is searched for among those that wait.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, combine::{Gap, Sequenced}, iter};
    /// # use std::time::Duration;
    /// let ids = iter([1_u64, 50, 30, 2, 40]);
    /// let ordered = ids.resequence(2, Duration::MAX, |id| *id).counting_items();
    /// let out: Vec<_> = Virtual::new().run(ordered.collect());
    /// assert_eq!(out[..2], [Sequenced::Item(1), Sequenced::Item(2)]);
    /// assert_eq!(out[2], Sequenced::Gap(Gap { first: 3, last: 29 }));
    /// ```
    pub fn counting_items(self) -> Self {
        let stage = self.into_stage();
        Self::from_stage(Resequence { sequencer: stage.sequencer.counting_items(), ..stage })
    }

    /// Hands out the items that are otherwise dropped, duplicates and late ones, as
    /// [`Sequenced::Old`], when they come.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, combine::Sequenced, iter};
    /// # use std::time::Duration;
    /// let ordered = iter([1_u64, 1, 2]).resequence(16, Duration::MAX, |id| *id).with_old();
    /// let out: Vec<_> = Virtual::new().run(ordered.collect());
    /// assert_eq!(out, [Sequenced::Item(1), Sequenced::Old(1), Sequenced::Item(2)]);
    /// ```
    pub fn with_old(self) -> Self {
        Self::from_stage(Resequence { with_old: true, ..self.into_stage() })
    }

    /// What became of the items so far.
    pub fn counts(&self) -> SequenceCounts {
        self.stage().sequencer.counts()
    }
}

/// The stage behind [`Flow::resequence`].
#[pin_project]
pub struct Resequence<S: Stage, F> {
    #[pin]
    input: S,
    number: F,
    sequencer: Sequencer<S::Item>,
    patience: Duration,
    /// When the numbers that are missing are given up.
    alarm: Alarm,
    /// The number that was due when the alarm was set.
    alarmed_for: Option<u64>,
    ended: bool,
    /// Duplicates make no items.
    budget: Budget,
    with_old: bool,
    site: Site,
}

impl<S, F> Stage for Resequence<S, F>
where
    S: Stage,
    F: FnMut(&S::Item) -> u64,
{
    type Item = Sequenced<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        loop {
            if let out @ Some(_) = this.sequencer.pop() {
                return Poll::Ready(out);
            }
            if *this.ended {
                return Poll::Ready(this.sequencer.give_up().map(Sequenced::Gap));
            }
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    let number = (this.number)(&item);
                    if let Some(old) = this.sequencer.push(number, item)
                        && *this.with_old
                    {
                        return Poll::Ready(Some(Sequenced::Old(old)));
                    }
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
        }
        this.budget.rest();
        poll_patience(this.sequencer, this.alarm, this.alarmed_for, *this.patience, cx)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What is held comes out, with gaps; of what is to come, all may be duplicates.
        let held = usize::try_from(self.sequencer.counts().held).unwrap_or(usize::MAX);
        let most = self.input.size_hint().1.and_then(|most| most.checked_add(held));
        (held, most.and_then(|most| most.checked_mul(2)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("resequence", self.site)
            .parameter("capacity", self.sequencer.capacity())
            .parameter("patience", format_args!("{:?}", self.patience))
            .holds(Bound::Items(self.sequencer.capacity()));
    }
}

/// Waits for what is missing, if items wait for it, and gives it up when that takes too long.
pub(super) fn poll_patience<T>(
    sequencer: &mut Sequencer<T>,
    alarm: &mut Alarm,
    alarmed_for: &mut Option<u64>,
    patience: Duration,
    cx: &mut Context<'_>,
) -> Poll<Option<Sequenced<T>>> {
    if !sequencer.is_waiting() {
        // An alarm that still stands rings for nobody.
        *alarmed_for = None;
        alarm.clear();
        return Poll::Pending;
    }
    if *alarmed_for != sequencer.next() {
        *alarmed_for = sequencer.next();
        let due = alarm.now() + patience;
        alarm.set(due);
    }
    alarm.poll(cx).map(|()| sequencer.give_up().map(Sequenced::Gap))
}

impl<S: Stage, F> fmt::Debug for Resequence<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resequence")
            .field("sequencer", &self.sequencer)
            .field("patience", &self.patience)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Gap;
    use super::super::sequencer::model::Model;
    use super::Sequenced::Item;
    use super::*;
    use crate::testing::{every_way, items, ms, timeline, timetable};
    use crate::{Virtual, conformance, iter, marbles, specification};

    fn gap<T>(first: u64, last: u64) -> Sequenced<T> {
        Sequenced::Gap(Gap { first, last })
    }

    conformance!(resequence, |input| input.resequence(4, ms(2), |x| u64::from(x.value())));
    marbles!(resequence, |input: u64| input.resequence(8, ms(3), |x| *x));
    specification!(resequence, |input| input.resequence(4, ms(5), |x| u64::from(*x)), |input| {
        Model { capacity: 4, patience: 5, knows_the_feeds: false }.play(&[input])
    });

    conformance!(resequence_counting_items, |input| {
        input.resequence(3, ms(2), |x| u64::from(x.value())).counting_items().with_old()
    });
    specification!(
        resequence_counting_items,
        |input| input.resequence(3, ms(5), |x| u64::from(*x)).counting_items().with_old(),
        |input| {
            let model = Model { capacity: 3, patience: 5, knows_the_feeds: false };
            model.play_counting_items(&[input])
        }
    );

    #[test]
    fn a_window_of_items_takes_them_however_far_they_are_ahead() {
        let flow = || {
            let ids = iter([1_u64, 90, 50, 2, 70, 50, 3, 60]);
            ids.resequence(3, ms(1_000), |x| *x).counting_items().with_old()
        };
        let expected = [
            Item(1),
            Item(2),
            Sequenced::Old(50),
            Item(3),
            gap(4, 49),
            Item(50),
            gap(51, 59),
            Item(60),
            gap(61, 69),
            Item(70),
            gap(71, 89),
            Item(90),
        ];
        assert_eq!(every_way(flow), expected);
    }

    #[test]
    fn an_item_ahead_waits_for_those_before_it() {
        let flow = timetable([(1, 1), (2, 3), (5, 2), (6, 4)], 9).resequence(4, ms(10), |x| *x);
        let expected = vec![(1, Item(1)), (5, Item(2)), (5, Item(3)), (6, Item(4))];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn what_does_not_come_within_patience_is_given_up_and_later_dropped() {
        let flow = timetable([(1, 1), (2, 4), (6, 5), (30, 3), (31, 6)], 40);
        let mut flow = flow.resequence(8, ms(10), |x| *x);
        let out = Virtual::new().run(async {
            let mut out = Vec::new();
            while let Some(item) = flow.next().await {
                out.push((crate::Clock::current().now().as_millis(), item));
            }
            out
        });
        let expected = [(1, Item(1)), (12, gap(2, 3)), (12, Item(4)), (12, Item(5)), (31, Item(6))];
        assert_eq!(out, expected);
        let counts = flow.counts();
        assert_eq!((counts.accepted, counts.emitted, counts.late, counts.missing), (5, 4, 1, 2));
        assert!(counts.add_up());
    }

    #[test]
    fn each_gap_has_the_whole_patience() {
        let flow = timetable([(0, 1), (1, 3), (2, 5)], 99).resequence(8, ms(10), |x| *x);
        let (out, _) = timeline(flow);
        let gaps: Vec<_> = out.iter().filter(|(_, out)| matches!(out, Sequenced::Gap(_))).collect();
        assert_eq!(gaps, [&(11, gap(2, 2)), &(21, gap(4, 4))]);
    }

    #[test]
    fn a_window_that_is_full_gives_up_at_once() {
        let flow = || iter([1u64, 3, 4, 5, 6, 7]).resequence(3, ms(1_000), |x| *x);
        let expected = [Item(1), gap(2, 2), Item(3), Item(4), Item(5), Item(6), Item(7)];
        assert_eq!(every_way(flow), expected);
        assert_eq!(timeline(flow()).1, 0);
    }

    #[test]
    fn what_waits_at_the_end_comes_out_with_its_gaps() {
        let flow = timetable([(0, 9), (1, 7), (2, 5)], 3).resequence(8, ms(99), |x| *x);
        let expected =
            [gap(4, 4), Item(5), gap(6, 6), Item(7), gap(8, 8), Item(9)].map(|out| (3, out));
        assert_eq!(timeline(flow.starting_at(4)), (expected.to_vec(), 3));
    }

    #[test]
    fn without_a_start_the_first_item_decides() {
        let flow = iter([7u64, 6, 8]).resequence(4, ms(1), |x| *x);
        assert_eq!(items(flow), [Item(7), Item(8)]);
    }

    #[test]
    #[should_panic(expected = "resequence: the capacity must not be zero, at ")]
    fn a_capacity_of_zero_panics_where_it_is_assembled() {
        let _ = iter([1u64]).resequence(0, ms(1), |x| *x);
    }
}
