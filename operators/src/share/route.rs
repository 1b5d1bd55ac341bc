//! `route`: each item to one of several consumers.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::{Board, Branches, Dropped, Hub, Seat};
use crate::buffer::{Counts, Offer, Overflow, Ring, Store};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Splits the flow into `n` branches; `choose` says to which of them an item goes.
    ///
    /// ```text
    /// in    --1-2-3-4|
    /// zero  ----2---4|    route(2, 8, |x| x % 2)
    /// one   --1---3--|
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
        branches("route", self.into_stage(), Branches::new(n, capacity), choose, site)
    }

    /// As [`route`](Self::route), with a capacity and a policy for each branch.
    ///
    /// ```text
    /// in    --1-2-3-4|
    /// zero  ----2---4|    route_with(Branches::new(2, 8), |x| x % 2)
    /// one   --1---3--|
    /// ```
    ///
    /// - **Emits** from each branch the items that were chosen for it, in order, as far as its
    ///   policy keeps them.
    /// - **Backpressures** when any branch that blocks is full; one that drops never stops the
    ///   others.
    /// - **Ends** as `route`; under [`Dropped::End`] all branches when one is dropped.
    /// - **On error**: as `route`.
    /// - **Holds** in each branch what its capacity says.
    /// - **Cost**: as `route`.
    ///
    /// # Panics
    ///
    /// If there is no branch, or a capacity is zero. In a poll, if `choose` gives the number of a
    /// branch that does not exist.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, Virtual, iter, share::Branches};
    /// let newest = Branches::new(1, 1).branch(0, 1, Overflow::Latest);
    /// let mut flows = iter(0..9).route_with(newest, |_| 0);
    /// assert_eq!(Virtual::new().run(flows.remove(0).last()), Some(8));
    /// ```
    #[doc(alias("split", "demux", "partition_hub", "divert_to"))]
    #[track_caller]
    pub fn route_with<F>(self, branches: Branches, choose: F) -> Vec<Flow<Branch<S, F>>>
    where
        F: FnMut(&S::Item) -> usize,
    {
        self::branches("route_with", self.into_stage(), branches, choose, Location::caller())
    }
}

pub(super) fn branches<S, F>(
    operator: &'static str,
    input: S,
    branches: Branches,
    choose: F,
    site: Site,
) -> Vec<Flow<Branch<S, F>>>
where
    S: Stage,
    F: FnMut(&S::Item) -> usize,
{
    let (edges, dropped) = branches.checked(operator, site);
    let n = edges.len();
    let input = Chosen { input, choose, n, operator, site };
    let rings = edges.iter().map(|(capacity, policy)| Some(Ring::new(*policy, *capacity)));
    let board = Queues { rings: rings.collect(), gone: vec![Counts::default(); n], dropped };
    let hub = Hub::new(input, board);
    let branch = |(index, (capacity, policy)): (usize, (NonZeroUsize, Overflow))| {
        Flow::from_stage(Branch {
            seat: hub.seat(|_| index),
            index,
            operator,
            capacity: capacity.get(),
            policy,
            site,
        })
    };
    edges.into_iter().enumerate().map(branch).collect()
}

/// The stage behind [`Flow::route`] and [`Flow::partition`].
#[derive(Debug)]
pub struct Branch<S: Stage, F: FnMut(&S::Item) -> usize> {
    seat: Seat<Chosen<S, F>, Queues<S::Item>>,
    index: usize,
    operator: &'static str,
    capacity: usize,
    policy: Overflow,
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
        let held = self.seat.look(|queues, seat| queues.counts(seat).held);
        // Of a branch that drops, all but the last one may still give way.
        let least = if self.policy == Overflow::Block { held } else { held.min(1) };
        (least, None)
    }

    fn describe(&self, outline: &mut Outline) {
        let node = outline.join(self.operator, self.site, [self.seat.hub().above()]);
        node.parameter("branch", self.index).parameter("capacity", self.capacity);
        if self.policy != Overflow::Block {
            node.parameter("policy", format_args!("{:?}", self.policy));
        }
        node.holds(Bound::Items(self.capacity));
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
    operator: &'static str,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item) -> usize> Chosen<S, F> {
    /// The input, and what adds the branch to an item.
    #[expect(clippy::type_complexity, reason = "the input and a closure")]
    fn parts(
        self: Pin<&mut Self>,
    ) -> (Pin<&mut S>, impl FnMut(S::Item) -> (usize, S::Item) + use<'_, S, F>) {
        let this = self.project();
        let (choose, n, operator, site) = (this.choose, *this.n, *this.operator, *this.site);
        let chosen = move |item| {
            let branch = choose(&item);
            assert!(branch < n, "{operator}: there is no branch {branch} among {n}, at {site}");
            (branch, item)
        };
        (this.input, chosen)
    }
}

impl<S: Stage, F: FnMut(&S::Item) -> usize> Stage for Chosen<S, F> {
    type Item = (usize, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (input, chosen) = self.parts();
        input.poll_next(cx).map(|item| item.map(chosen))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let (input, mut chosen) = self.parts();
        input.poll_drain(cx, &mut |item| each(chosen(item)))
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
    gone: Vec<Counts>,
    dropped: Dropped,
}

impl<T> Queues<T> {
    fn counts(&self, branch: usize) -> Counts {
        match self.rings.get(branch) {
            Some(Some(ring)) => ring.counts(),
            _ => self.gone.get(branch).copied().unwrap_or_default(),
        }
    }
}

impl<T> Board<(usize, T)> for Queues<T> {
    type Out = T;
    type Waste = T;

    fn take(&mut self, seat: usize, _: &mut Vec<T>) -> Option<T> {
        self.rings[seat].as_mut()?.take()
    }

    fn room(&self) -> usize {
        let blocking = self.rings.iter().flatten().filter(|ring| ring.is_lossless());
        blocking.map(|ring| ring.capacity().get() - ring.len()).min().unwrap_or(usize::MAX)
    }

    fn put(&mut self, (branch, item): (usize, T), waste: &mut Vec<T>) {
        match &mut self.rings[branch] {
            Some(ring) => {
                let offered = ring.offer(item);
                // There is room in every ring that blocks, or no item would have been taken.
                debug_assert!(matches!(offered, Offer::Accepted));
            }
            None => {
                self.gone[branch].accepted += 1;
                self.gone[branch].discarded += 1;
                waste.push(item);
            }
        }
    }

    fn leave(&mut self, seat: usize, waste: &mut Vec<T>) -> bool {
        if let Some(mut ring) = self.rings[seat].take() {
            let (counts, mut left) = (ring.counts(), VecDeque::new());
            ring.take_all(&mut left);
            self.gone[seat] = Counts { held: 0, ..counts };
            self.gone[seat].discarded += left.len() as u64;
            waste.extend(left);
        }
        self.dropped == Dropped::Discard && self.rings.iter().any(Option::is_some)
    }
}

#[cfg(test)]
mod tests {
    use crate::merge;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;

    use futures::task::noop_waker_ref;
    use futures_util::future::join_all;

    use super::*;
    use crate::testing::*;
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
    fn a_branch_that_drops_stops_nobody_and_counts_what_it_lost() {
        let config = Branches::new(2, 4).branch(1, 2, Overflow::DropOldest);
        let mut branches = iter(0..20).route_with(config, |x| x % 2);
        let odd = branches.pop().unwrap();
        assert_eq!(items(branches.pop().unwrap()).len(), 10);
        assert_eq!((odd.counts().dropped_oldest, odd.counts().add_up()), (8, true));
        assert_eq!(items(odd), [17, 19]);
    }

    #[test]
    fn where_a_dropped_branch_is_the_end_the_others_get_what_is_held_for_them() {
        let mut branches =
            iter(0..20).route_with(Branches::new(2, 4).dropped(Dropped::End), |x| x % 2);
        let (odd, mut even) = (branches.pop().unwrap(), branches.pop().unwrap());
        assert_eq!(try_next(&mut even), Poll::Ready(Some(0)));
        drop(even);
        assert_eq!(items(odd), [1, 3]);
    }

    #[test]
    #[should_panic(expected = "route_with: the capacity must not be zero, at operators/src/share")]
    fn a_branch_without_capacity_is_refused_where_it_was_written() {
        let _ = iter([1]).route_with(Branches::new(2, 1).branch(1, 0, Overflow::Latest), |x| *x);
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

    conformance!(route, |input| merge(input.route(3, 64, |x| x.value() as usize % 3)), except [
        Invariance: "which of the items that are ready at one instant comes first is not promised",
    ]);

    specification!(
        route,
        |input| async move {
            let (even, odd) = two(input.route(2, 2, |x| usize::from(x % 2)));
            futures::join!(line(even), line(glances(odd)))
        },
        |input| both(branched(input, |x| x % 2 == 0, |x| x % 2 == 1))
    );
    specification!(
        route_with,
        |input| async move {
            let config = Branches::new(2, 64).branch(1, 2, Overflow::DropOldest);
            let (even, odd) = two(input.route_with(config, |x| usize::from(x % 2)));
            futures::join!(line(even), line(glances(odd)))
        },
        |input| {
            let even = input.clone().flat_map(|_, x| (x % 2 == 0).then_some(x));
            let odd = input.flat_map(|_, x| (x % 2 == 1).then_some(x));
            let newest = |held: &mut Vec<u8>| {
                held.drain(..held.len().saturating_sub(2));
                held.remove(0)
            };
            both((even, at_glances(odd, newest)))
        }
    );

    marbles!(route[zero, one], |input: usize| input.route(2, 8, |x| x % 2));
    marbles!(route_with[zero, one], |input: usize| {
        input.route_with(Branches::new(2, 8), |x| x % 2)
    });
}
