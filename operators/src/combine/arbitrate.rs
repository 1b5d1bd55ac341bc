//! `arbitrate`: one ordered feed out of redundant ones.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use super::inputs::Inputs;
use super::resequence::poll_patience;
use super::sequencer::Sequencer;
use super::{SequenceCounts, Sequenced};
use crate::wake_set::Bits;
use crate::{Alarm, Bound, Budget, Flow, Outline, Site, Stage};

/// Makes one feed out of several that carry the same numbered items: the first copy of each number
/// wins, in order, and what no feed brought is a gap.
///
/// ```text
/// a    --1-2---4-----7--|
/// b    ----1--2-3---5---7---|
/// out  --a-b----(cd)e---(gh)|    arbitrate([a, b], 64, 9 ms, number)
///
/// where  a = Item(1), b = Item(2), c = Item(3), d = Item(4), e = Item(5)
/// where  g = Gap(Gap { first: 6, last: 6 }), h = Item(7)
/// ```
///
/// Exchanges send the same packets over two lines, and a receiver listens to both, because either
/// may lose some or fall behind. An item that is the next one goes out in the very poll in which
/// its first copy came, whichever feed that was, so the output is never later than the fastest
/// feed. All other copies are dropped and counted.
///
/// If a number is missing while later ones have come, the later ones wait in a window of
/// `capacity` items for the feeds that have not come so far. The number is given up, and a
/// [`Gap`](super::Gap) goes out for it, as soon as it is certain or no longer worth the wait:
///
/// - every feed that has not ended has brought a later number (each feed is taken to be in order;
///   one that is not gets a [`resequence`](Flow::resequence) of its own before it comes here);
/// - it has been missing for `patience`: a feed that hangs holds nobody up for longer;
/// - an item comes that is `capacity` or more numbers ahead.
///
/// A copy that comes after its number was given up is late, and dropped.
/// [`counts`](Flow::counts) says what became of the items, and [`won`](Flow::won) how many first
/// copies each feed brought. Feeds that are ready at once have turns of one item, in the order of
/// `feeds`. The first item decides where the numbers begin, or
/// [`starting_at`](Flow::starting_at).
///
/// - **Emits** an item when its first copy has come and all before it are out or given up; a gap
///   when it is given up.
/// - **Backpressures** all feeds when downstream does.
/// - **Ends** when all feeds have ended and what waits is out; each is dropped as soon as it ends.
/// - **On error**: an error is an item here and needs a number like one; a feed that may fail is
///   given a [`retry`](crate::error::retry) before it comes here.
/// - **Holds** `capacity` items at most, and one flag for each of as many numbers.
/// - **Cost**: two allocations for each feed at construction, none afterwards; a slot of an array
///   for an item, no search. One clock read for a gap that has to wait.
///
/// # Panics
///
/// If `capacity` is zero.
///
/// ```
/// # use aqueduct_operators::{Virtual, iter};
/// # use aqueduct_operators::combine::{Sequenced, arbitrate};
/// # use std::time::Duration;
/// let line_a = iter([(1, "bid"), (2, "ask"), (4, "trade")]);
/// let line_b = iter([(1, "bid"), (3, "bid"), (4, "trade")]);
/// let feed = arbitrate([line_a, line_b], 64, Duration::from_millis(5), |(number, _)| *number);
/// let numbers = feed.filter_map(Sequenced::item).map(|(number, _)| number);
/// assert_eq!(Virtual::new().run(numbers.collect::<Vec<_>>()), [1, 2, 3, 4]);
/// ```
#[doc(alias("fallback_sources", "line_arbitration", "redundant_feeds", "a_b_feed"))]
#[track_caller]
pub fn arbitrate<S, F>(
    feeds: impl IntoIterator<Item = Flow<S>>,
    capacity: usize,
    patience: Duration,
    number: F,
) -> Flow<Arbitrate<S, F>>
where
    S: Stage,
    F: FnMut(&S::Item) -> u64,
{
    let site = Location::caller();
    assert!(capacity > 0, "arbitrate: the capacity must not be zero, at {site}");
    let feeds = Inputs::new(feeds);
    let len = feeds.len();
    Flow::from_stage(Arbitrate {
        feeds,
        round: Bits::full(len),
        next_round: Bits::new(len),
        passed: vec![None; len].into(),
        won: vec![0; len].into(),
        sequencer: Sequencer::new(capacity),
        number,
        patience,
        alarm: Alarm::new(),
        alarmed_for: None,
        budget: Budget::new(),
        site,
    })
}

impl<S, F> Flow<Arbitrate<S, F>>
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

    /// What became of the items of all feeds so far.
    pub fn counts(&self) -> SequenceCounts {
        self.stage().sequencer.counts()
    }

    /// How many numbers each feed was the first to bring, in the order of the feeds.
    pub fn won(&self) -> &[u64] {
        &self.stage().won
    }
}

/// The stage behind [`arbitrate`].
pub struct Arbitrate<S: Stage, F> {
    feeds: Inputs<S>,
    /// The feeds that have their turn in this round.
    round: Bits,
    /// Those that have one in the next, beside those that are woken until then.
    next_round: Bits,
    /// The greatest number that each feed has brought.
    passed: Box<[Option<u64>]>,
    won: Box<[u64]>,
    sequencer: Sequencer<S::Item>,
    number: F,
    patience: Duration,
    /// When the numbers that are missing are given up.
    alarm: Alarm,
    /// The number that was due when the alarm was set.
    alarmed_for: Option<u64>,
    /// Duplicates make no items.
    budget: Budget,
    site: Site,
}

// Items and the closure are never pinned; feeds are pinned in boxes of their own.
impl<S: Stage, F> Unpin for Arbitrate<S, F> {}

impl<S, F> Arbitrate<S, F>
where
    S: Stage,
    F: FnMut(&S::Item) -> u64,
{
    /// Whether no feed will bring the number that is due.
    fn is_lost(&self) -> bool {
        let due = self.sequencer.next();
        let mut open = (0..self.feeds.len()).filter(|feed| self.feeds.is_open(*feed));
        self.sequencer.is_waiting() && open.all(|feed| self.passed[feed] > due)
    }

    fn take(&mut self, feed: usize, item: S::Item) {
        let number = (self.number)(&item);
        self.passed[feed] = self.passed[feed].max(Some(number));
        let before = self.sequencer.counts();
        self.sequencer.push(number, item);
        self.won[feed] += self.sequencer.counts().held - before.held;
    }
}

impl<S, F> Stage for Arbitrate<S, F>
where
    S: Stage,
    F: FnMut(&S::Item) -> u64,
{
    type Item = Sequenced<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        // A feed that is woken again within a round without items wants to give way, which it does
        // by going through the task.
        let mut new_round = false;
        loop {
            if let out @ Some(_) = this.sequencer.pop() {
                return Poll::Ready(out);
            }
            if this.is_lost() {
                return Poll::Ready(this.sequencer.give_up().map(Sequenced::Gap));
            }
            if this.feeds.open() == 0 {
                return Poll::Ready(None);
            }
            let Some(feed) = this.round.pop_first() else {
                if new_round {
                    break;
                }
                new_round = true;
                std::mem::swap(&mut this.round, &mut this.next_round);
                this.feeds.take_woken(&mut this.round);
                continue;
            };
            if !this.budget.spend(cx) {
                this.round.insert(feed);
                return Poll::Pending;
            }
            if let Poll::Ready(Some(item)) = this.feeds.poll_next(feed) {
                new_round = false;
                this.next_round.insert(feed);
                this.take(feed, item);
            }
        }
        this.budget.rest();
        let Self { sequencer, alarm, alarmed_for, .. } = this;
        let polled = poll_patience(sequencer, alarm, alarmed_for, this.patience, cx);
        if polled.is_pending() {
            this.feeds.park(cx);
        }
        polled
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.feeds.poll_progress(cx, &mut this.next_round)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::try_from(self.sequencer.counts().held).unwrap_or(usize::MAX);
        let most = self.feeds.size_hint().1.and_then(|most| most.checked_add(held));
        (held, most.and_then(|most| most.checked_mul(2)))
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join("arbitrate", self.site, self.feeds.outlines())
            .parameter("capacity", self.sequencer.capacity())
            .parameter("patience", format_args!("{:?}", self.patience))
            .holds(Bound::Items(self.sequencer.capacity()));
    }
}

impl<S: Stage, F> fmt::Debug for Arbitrate<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Arbitrate")
            .field("sequencer", &self.sequencer)
            .field("won", &self.won)
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
    use crate::testing::{items, ms, timeline, timetable};
    use crate::{Virtual, conformance, iter, marbles, specification};

    fn gap(first: u64, last: u64) -> Sequenced<u64> {
        Sequenced::Gap(Gap { first, last })
    }

    fn feed(items: &[(i64, u64)], end: i64) -> Flow<impl Stage<Item = u64> + Send> {
        timetable(items.to_vec(), end)
    }

    conformance!(arbitrate, |a, b| arbitrate([a, b], 4, ms(2), |x| u64::from(x.value())));
    marbles!(arbitrate, |a: u64, b: u64| arbitrate([a, b], 64, ms(9), |x| *x));
    specification!(arbitrate, |a, b| arbitrate([a, b], 4, ms(5), |x| u64::from(*x)), |a, b| {
        Model { capacity: 4, patience: 5, knows_the_feeds: true }.play(&[a, b])
    });

    #[test]
    fn the_first_copy_wins_and_one_feed_fills_what_the_other_lost() {
        let a = feed(&[(1, 1), (2, 2), (5, 4), (9, 6)], 10);
        let b = feed(&[(2, 1), (3, 2), (6, 3), (7, 4), (8, 5)], 12);
        let mut flow = arbitrate([a, b], 8, ms(50), |x| *x);
        let mut out = Vec::new();
        Virtual::new().run(async {
            while let Some(item) = flow.next().await {
                out.push((crate::Clock::current().now().as_millis(), item));
            }
        });
        let expected =
            [(1, Item(1)), (2, Item(2)), (6, Item(3)), (6, Item(4)), (8, Item(5)), (9, Item(6))];
        assert_eq!(out, expected);
        assert_eq!(flow.won(), [4, 2]);
        assert_eq!((flow.counts().duplicates, flow.counts().missing), (3, 0));
        assert!(flow.counts().add_up());
    }

    #[test]
    fn what_every_feed_has_passed_is_a_gap_at_once() {
        let a = feed(&[(1, 1), (5, 3)], 99);
        let b = feed(&[(2, 1), (7, 4)], 99);
        let expected = vec![(1, Item(1)), (7, gap(2, 2)), (7, Item(3)), (7, Item(4))];
        assert_eq!(timeline(arbitrate([a, b], 8, ms(50), |x| *x)), (expected, 99));
    }

    #[test]
    fn a_feed_that_hangs_holds_nobody_up_for_longer_than_patience() {
        let a = feed(&[(1, 1), (5, 3)], 99);
        let b = feed(&[(1, 1)], 99);
        let expected = vec![(1, Item(1)), (25, gap(2, 2)), (25, Item(3))];
        assert_eq!(timeline(arbitrate([a, b], 8, ms(20), |x| *x)), (expected, 99));
    }

    #[test]
    fn a_feed_that_has_ended_is_not_waited_for() {
        let a = feed(&[(1, 1), (5, 3)], 99);
        let b = feed(&[(1, 1)], 7);
        let expected = vec![(1, Item(1)), (7, gap(2, 2)), (7, Item(3))];
        assert_eq!(timeline(arbitrate([a, b], 8, ms(50), |x| *x)), (expected, 99));
    }

    #[test]
    fn a_copy_of_what_was_given_up_is_late() {
        let a = feed(&[(1, 1), (2, 3)], 99);
        let b = feed(&[(40, 2), (41, 3)], 99);
        let mut flow = arbitrate([a, b], 8, ms(10), |x| *x);
        let out: Vec<_> = Virtual::new().run(async {
            let mut out = Vec::new();
            while let Some(item) = flow.next().await {
                out.push(item);
            }
            out
        });
        assert_eq!(out, [Item(1), gap(2, 2), Item(3)]);
        assert_eq!((flow.counts().late, flow.counts().duplicates), (1, 1));
    }

    #[test]
    fn feeds_that_are_ready_at_once_have_turns_of_one_item() {
        let numbers = |from: u64| iter((from..1_000).step_by(2));
        let mut flow = arbitrate([numbers(0), numbers(1)], 2, ms(9), |x| *x);
        let count = Virtual::new().run(async {
            let mut count = 0;
            while let Some(item) = flow.next().await {
                assert_eq!(item, Item(count));
                count += 1;
            }
            count
        });
        assert_eq!((count, flow.won()), (1_000, &[500, 500][..]));
    }

    #[test]
    fn no_feeds_are_an_empty_one() {
        assert_eq!(
            items(arbitrate(Vec::<Flow<crate::source::Empty<u64>>>::new(), 1, ms(1), |x| *x)),
            []
        );
    }

    #[test]
    #[should_panic(expected = "arbitrate: the capacity must not be zero, at ")]
    fn a_capacity_of_zero_panics_where_it_is_assembled() {
        let _ = arbitrate([iter([1u64])], 0, ms(1), |x| *x);
    }
}
