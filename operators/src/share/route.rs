//! `route`: each item to one of several consumers.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::{Board, Hub, Seat};
use crate::buffer::{Counts, Offer, Overflow, Ring, Store, checked};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Splits the flow into `n` branches; `choose` says to which of them an item goes.
    ///
    /// ```text
    /// in  --1-2-3-4|
    /// [0] ----2---4|    route(2, 8, |x| x % 2)
    /// [1] --1---3--|
    /// ```
    ///
    /// Nothing runs before a branch is polled, and there is no task: whichever branch is polled
    /// moves the input on for all.
    ///
    /// - **Emits** from each branch the items that were chosen for it, in order.
    /// - **Backpressures** when any branch holds `capacity` items: nobody knows to which branch
    ///   the next item goes. **Hazard**: a branch that is kept and not polled stops all others,
    ///   for ever if they wait for each other, as in a join that needs a later item of the other
    ///   branch first. Poll all branches, drop those that nobody needs, or put a lossy
    ///   [`hop`](Self::hop) behind the slow one.
    /// - **Ends** each branch when the input has ended and what it holds is out. When the last
    ///   branch is dropped, the input is dropped.
    /// - **On error**: an error is an item here, and `choose` sees it. A panic in the input or in
    ///   `choose` comes out of the poll of one branch, and is the end for the others.
    /// - **Holds** `capacity` items in each branch. Items for a branch that was dropped are
    ///   dropped, and counted as discarded.
    /// - **Cost**: one lock for an item; one allocation for the whole; the clock is read once a
    ///   slice.
    ///
    /// # Panics
    ///
    /// If `capacity` or `n` is zero. In a poll, if `choose` gives `n` or more.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let branches = iter(0..9).route(3, 16, |x| x % 3);
    /// let sums = branches.into_iter().map(|branch| branch.fold(0, |sum, x| sum + x));
    /// assert_eq!(futures::future::join_all(sums).await, [9, 12, 15]);
    /// # });
    /// ```
    #[doc(alias("split", "demux", "partition_hub", "divert_to"))]
    #[track_caller]
    pub fn route<F>(self, n: usize, capacity: usize, choose: F) -> Vec<Flow<Branch<S, F>>>
    where
        F: FnMut(&S::Item) -> usize,
    {
        let site = Location::caller();
        let capacity = checked(capacity, "route", site);
        assert!(n > 0, "route: the number of branches must not be zero, at {site}");
        branches("route", self.into_stage(), n, capacity, choose, site)
    }
}

pub(super) fn branches<S, F>(
    operator: &'static str,
    input: S,
    n: usize,
    capacity: NonZeroUsize,
    choose: F,
    site: Site,
) -> Vec<Flow<Branch<S, F>>>
where
    S: Stage,
    F: FnMut(&S::Item) -> usize,
{
    let input = Chosen { input, choose, n, site };
    let rings = (0..n).map(|_| Some(Ring::new(Overflow::Block, capacity)));
    let board = Queues { rings: rings.collect(), discarded: vec![Counts::default(); n], capacity };
    let hub = Hub::new(input, board);
    let branch = |index| {
        Flow::from_stage(Branch {
            seat: hub.seat(|_| index),
            index,
            operator,
            capacity: capacity.get(),
            site,
        })
    };
    (0..n).map(branch).collect()
}

/// The stage behind [`Flow::route`] and [`Flow::partition`].
#[derive(Debug)]
pub struct Branch<S: Stage, F: FnMut(&S::Item) -> usize> {
    seat: Seat<Chosen<S, F>, Queues<S::Item>>,
    index: usize,
    operator: &'static str,
    capacity: usize,
    site: Site,
}

// The input lies pinned in the hub.
impl<S: Stage, F: FnMut(&S::Item) -> usize> Unpin for Branch<S, F> {}

impl<S: Stage, F: FnMut(&S::Item) -> usize> Flow<Branch<S, F>> {
    /// What became of the items of the branch so far.
    pub fn counts(&self) -> Counts {
        let stage = self.stage();
        self.counts_of(stage.index)
    }

    /// What became of the items of any branch, numbered from zero, so far; of one that was dropped
    /// too. `Counts::default()` if there is no such branch.
    pub fn counts_of(&self, branch: usize) -> Counts {
        self.stage().seat.look(|queues, _| queues.counts(branch))
    }
}

impl<S: Stage, F: FnMut(&S::Item) -> usize> Stage for Branch<S, F> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.seat.poll_next(cx)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.seat.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = |queues: &Queues<_>, seat| queues.counts(seat).held;
        (self.seat.look(held), None)
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join(self.operator, self.site, [self.seat.hub().above()])
            .parameter("branch", self.index)
            .parameter("capacity", self.capacity)
            .holds(Bound::Items(self.capacity));
    }
}

/// The input, with the branch of each item.
#[pin_project]
#[derive(Debug)]
struct Chosen<S, F> {
    #[pin]
    input: S,
    choose: F,
    n: usize,
    site: Site,
}

fn chosen<T>(choose: &mut impl FnMut(&T) -> usize, n: usize, site: Site, item: T) -> (usize, T) {
    let branch = choose(&item);
    assert!(branch < n, "route: there is no branch {branch} among {n}, at {site}");
    (branch, item)
}

impl<S: Stage, F: FnMut(&S::Item) -> usize> Stage for Chosen<S, F> {
    type Item = (usize, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let polled = this.input.poll_next(cx);
        polled.map(|item| item.map(|item| chosen(this.choose, *this.n, this.site, item)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let choose = this.choose;
        this.input.poll_drain(cx, &mut |item| each(chosen(choose, *this.n, this.site, item)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
    }
}

/// One queue for each branch; `None` for one that was dropped.
#[derive(Debug)]
pub(crate) struct Queues<T> {
    rings: Vec<Option<Ring<T>>>,
    /// What became of the items of the branches that were dropped.
    discarded: Vec<Counts>,
    capacity: NonZeroUsize,
}

impl<T> Queues<T> {
    fn counts(&self, branch: usize) -> Counts {
        match self.rings.get(branch) {
            Some(Some(ring)) => ring.counts(),
            _ => self.discarded.get(branch).copied().unwrap_or_default(),
        }
    }
}

impl<T> Board<(usize, T)> for Queues<T> {
    type Out = T;

    fn take(&mut self, seat: usize) -> Option<T> {
        self.rings[seat].as_mut()?.take()
    }

    fn room(&self) -> usize {
        let fullest = self.rings.iter().flatten().map(Store::len).max();
        self.capacity.get() - fullest.unwrap_or(0)
    }

    fn put(&mut self, (branch, item): (usize, T)) {
        match &mut self.rings[branch] {
            Some(ring) => {
                let offered = ring.offer(item);
                // There is room in every ring, or no item would have been taken.
                debug_assert!(matches!(offered, Offer::Accepted));
            }
            None => {
                self.discarded[branch].accepted += 1;
                self.discarded[branch].discarded += 1;
            }
        }
    }

    fn leave(&mut self, seat: usize) -> bool {
        if let Some(mut ring) = self.rings[seat].take() {
            ring.discard();
            self.discarded[seat] = ring.counts();
        }
        self.rings.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use futures::task::noop_waker_ref;
    use futures_util::future::join_all;

    use super::*;
    use crate::testing::{items, timetable};
    use crate::{Virtual, iter};

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(noop_waker_ref()))
    }

    #[test]
    fn each_item_comes_out_of_the_branch_that_was_chosen_in_order() {
        for capacity in [1, 3, 100] {
            let branches = iter(0..1_000).route(3, capacity, |x| x % 3);
            let push = |mut all: Vec<usize>, x| {
                all.push(x);
                all
            };
            let all = join_all(branches.into_iter().map(|b| b.fold(Vec::new(), push)));
            for (index, got) in Virtual::new().run(all).into_iter().enumerate() {
                assert!(got.into_iter().eq((index..1_000).step_by(3)), "capacity {capacity}");
            }
        }
    }

    #[test]
    fn a_full_branch_holds_up_the_others_until_it_is_taken_from() {
        let mut branches = iter([0, 0, 0, 1]).route(2, 2, |x| *x);
        let (mut one, mut zero) = (branches.pop().unwrap(), branches.pop().unwrap());
        assert_eq!(try_next(&mut one), Poll::Pending);
        assert_eq!(zero.counts().held, 2);
        assert_eq!(try_next(&mut zero), Poll::Ready(Some(0)));
        assert_eq!(try_next(&mut one), Poll::Pending);
        assert_eq!(try_next(&mut zero), Poll::Ready(Some(0)));
        assert_eq!(try_next(&mut one), Poll::Ready(Some(1)));
    }

    #[test]
    fn items_for_a_dropped_branch_are_discarded_and_counted() {
        let mut branches = iter((0..10).chain([1])).route(2, 2, |x| x % 2);
        let (mut odd, even) = (branches.pop().unwrap(), branches.pop().unwrap());
        assert_eq!(try_next(&mut odd), Poll::Ready(Some(1)));
        drop(even);
        for expected in [3, 5, 7, 9, 1] {
            assert_eq!(try_next(&mut odd), Poll::Ready(Some(expected)));
        }
        assert_eq!(try_next(&mut odd), Poll::Ready(None));
        assert_eq!((odd.counts().delivered, odd.counts_of(0).discarded), (6, 5));
        assert!(odd.counts().add_up() && odd.counts_of(0).add_up());
    }

    #[test]
    fn endless_items_for_a_dropped_branch_let_others_run() {
        let mut branches = iter(0u64..).route(2, 2, |_| 0);
        let mut one = branches.pop().unwrap();
        drop(branches);
        assert_eq!(try_next(&mut one), Poll::Pending);
    }

    #[test]
    fn when_all_branches_are_dropped_so_is_the_input() {
        let alive = Arc::new(());
        let inside = alive.clone();
        let mut branches = iter(0..).map(move |_| inside.clone()).route(3, 2, |_| 0);
        assert!(try_next(&mut branches[0]).is_ready());
        branches.truncate(1);
        assert!(Arc::strong_count(&alive) > 1);
        drop(branches);
        assert_eq!(Arc::strong_count(&alive), 1);
    }

    #[test]
    fn a_branch_that_does_not_exist_panics_in_one_poll_and_ends_the_others() {
        let mut branches = iter([0, 7]).route(2, 8, |x| *x);
        let polled = catch_unwind(AssertUnwindSafe(|| try_next(&mut branches[1])));
        let message = polled.unwrap_err().downcast::<String>().unwrap();
        assert!(message.contains("no branch 7 among 2, at operators/src/share/route.rs"));
        assert_eq!(try_next(&mut branches[0]), Poll::Ready(Some(0)));
        assert_eq!(try_next(&mut branches[0]), Poll::Ready(None));
    }

    #[test]
    fn a_branch_is_woken_by_items_that_another_one_took_from_the_input() {
        let branches = timetable((0..20).map(|n| (n, n)), 30).route(2, 1, |n| usize::from(*n > 9));
        let sums = join_all(branches.into_iter().map(|b| b.fold(0, |sum, x| sum + x)));
        assert_eq!(Virtual::new().run(sums), [45, 145]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn branches_on_several_threads_lose_nothing() {
        for capacity in [1, 64] {
            let branches = iter(0..10_000u64).route(4, capacity, |x| (x % 4) as usize);
            let tasks = branches.into_iter().map(|b| tokio::spawn(b.count()));
            for got in join_all(tasks.collect::<Vec<_>>()).await {
                assert_eq!(got.unwrap(), 2_500);
            }
        }
    }

    #[test]
    fn the_outline_shows_the_branch_below_the_input() {
        let branches = iter([1]).map(|x| x).route(2, 8, |x| *x);
        let text = branches[1].outline().to_string();
        assert!(text.contains("map") && text.contains("route(branch: 1, capacity: 8)"), "{text}");
        assert!(items(branches.into_iter().next().unwrap()).is_empty());
    }

    #[test]
    #[should_panic(expected = "route: the number of branches must not be zero, at operators/src")]
    fn no_branch_at_all_is_refused_where_it_was_written() {
        let _ = iter([1]).route(0, 1, |x| *x);
    }
}
