//! `hop`: everything above runs in a task of its own.

use std::collections::VecDeque;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project::{pin_project, pinned_drop};

use crate::{Ambient, Bound, Budget, Flow, Outline, Site, Stage, Task};

use super::{Counts, Edge, Offered, Outlet, Policy, Store, Ticket, checked};

impl<S: Stage> Flow<S> {
    /// Moves everything above into a task of its own, which runs ahead of the consumer by up to
    /// `capacity` items.
    ///
    /// ```text
    /// in    a-b-c-d-------|
    /// busy  [a   ][b   ][c   ][d   ]
    /// out   a-----b-----c-----d-----|    hop(3, Overflow::Block)
    /// ```
    ///
    /// The task starts with the first poll, in the [`Ambient`] of that poll, and stops when the
    /// flow is dropped. Under `Block` items cross in batches: the task hands over what it has when
    /// the input is pending, the edge is full, 256 items wait, or its slice is over, and starts
    /// each turn with small batches. Under the other policies items cross one by one, because
    /// those that were not taken can still be dropped or replaced.
    ///
    /// - **Emits** what the task has brought, in the order of the policy; under
    ///   [`Fail`](super::Fail) as `Result`s.
    /// - **Backpressures** under `Block` when `capacity` items are held, under `ConflateBy` when a
    ///   new key finds no room; else never.
    /// - **Ends** when the input has ended and what is held is out; under `Fail` after the error.
    /// - **On error**: an error is an item here. A panic in the task comes out of the poll of the
    ///   consumer, after the items that came before it. An overflow under `Fail` drops the input.
    /// - **Holds** `capacity` items, wherever they are on the way; under `ConflateBy` one for each
    ///   of `capacity` keys and one that waits.
    /// - **Cost**: a task; under `Block` one lock for a batch on each side, else one for an item.
    ///   No allocation once the queue has grown; the clock is read once a slice.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero. At the first poll, outside a tokio runtime and a run under virtual
    /// time.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, Virtual, iter};
    /// let parsed = iter(["1", "2"]).map(|s| s.parse().unwrap()).hop(1024, Overflow::Block);
    /// assert_eq!(Virtual::new().run(parsed.fold(0, |sum, x: i32| sum + x)), 3);
    /// ```
    #[doc(alias("publish_on", "observe_on", "spawn", "async_boundary", "prefetch", "detach"))]
    #[track_caller]
    pub fn hop<P>(self, capacity: usize, policy: P) -> Flow<Hop<S, P>>
    where
        S: Send + 'static,
        S::Item: Send + 'static,
        P: Policy<S::Item, Store: Send + 'static>,
    {
        let site = Location::caller();
        let capacity = checked(capacity, "hop", site);
        let (name, bound) = (policy.name(), policy.bound(capacity));
        let (edge, outlet) = Edge::new(policy.into_store(capacity, site));
        Flow::from_stage(Hop {
            input: Input::Here(self.into_stage()),
            edge,
            outlet,
            capacity: capacity.get(),
            policy: name,
            bound,
            site,
        })
    }
}

impl<S, P> Flow<Hop<S, P>>
where
    S: Stage<Item: Send + 'static> + Send + 'static,
    P: Policy<S::Item, Store: Send + 'static>,
{
    /// What became of the items so far.
    pub fn counts(&self) -> Counts {
        self.stage().outlet.counts()
    }
}

/// The stage behind [`Flow::hop`].
#[derive(Debug)]
pub struct Hop<S: Stage, P: Policy<S::Item>> {
    input: Input<S>,
    edge: Arc<Edge<S::Item, P::Store>>,
    outlet: Outlet<S::Item, P::Store>,
    capacity: usize,
    policy: &'static str,
    bound: Bound,
    site: Site,
}

// The input is pinned only in its task, to which it moves before it is first polled.
impl<S: Stage, P: Policy<S::Item>> Unpin for Hop<S, P> {}

#[derive(Debug)]
enum Input<S> {
    /// Not polled yet.
    Here(S),
    Running {
        task: Task<()>,
        above: Outline,
    },
    /// The task is over, and everything that it brought is out.
    Over(Outline),
}

impl<S, P> Hop<S, P>
where
    S: Stage<Item: Send + 'static> + Send + 'static,
    P: Policy<S::Item, Store: Send + 'static>,
{
    fn start(&mut self) {
        if !matches!(self.input, Input::Here(_)) {
            return;
        }
        let over = Input::Over(Outline::default());
        if let Input::Here(input) = std::mem::replace(&mut self.input, over) {
            let above = Outline::of(&input);
            let task = Ambient::current().spawn(Pump {
                input,
                lossless: self.edge.is_lossless(),
                edge: self.edge.clone(),
                batch: VecDeque::new(),
                room: 0,
                waiting: None,
                ticket: Ticket::default(),
                budget: Budget::new(),
            });
            self.input = Input::Running { task, above };
        }
    }

    /// After the last item: the error of the store, or that of the task, or the end.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<Option<P::Out>> {
        if let Some(failure) = self.outlet.failure() {
            return Poll::Ready(P::failure(failure));
        }
        if let Input::Running { task, above } = &mut self.input {
            ready!(Pin::new(task).poll(cx));
            self.input = Input::Over(std::mem::take(above));
        }
        Poll::Ready(None)
    }
}

impl<S, P> Stage for Hop<S, P>
where
    S: Stage<Item: Send + 'static> + Send + 'static,
    P: Policy<S::Item, Store: Send + 'static>,
{
    type Item = P::Out;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<P::Out>> {
        let this = self.get_mut();
        if let Input::Over(_) = this.input {
            return Poll::Ready(None);
        }
        this.start();
        match ready!(this.outlet.poll_item(cx)) {
            Some(item) => Poll::Ready(Some(P::item(item))),
            None => this.poll_end(cx),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(P::Out) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.get_mut();
        if let Input::Over(_) = this.input {
            return Poll::Ready(ControlFlow::Continue(()));
        }
        this.start();
        let drained = this.outlet.poll_drain(cx, &mut |item| each(P::item(item)));
        if let broke @ ControlFlow::Break(_) = ready!(drained) {
            return Poll::Ready(broke);
        }
        match ready!(this.poll_end(cx)).map(each) {
            Some(broke @ ControlFlow::Break(_)) => Poll::Ready(broke),
            // After an error nothing but the end can follow.
            Some(ControlFlow::Continue(())) => this.poll_end(cx).map(|_| ControlFlow::Continue(())),
            None => Poll::Ready(ControlFlow::Continue(())),
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.outlet.report();
        // The rest moves in its own task.
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.input {
            Input::Here(input) => {
                let (least, most) = input.size_hint();
                // One error may be added, and all items but one may be lost.
                let most = most.and_then(|most| most.checked_add(1));
                (if self.edge.is_lossless() { least } else { 0 }, most)
            }
            Input::Running { .. } => (self.outlet.len(), None),
            Input::Over(_) => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        let above = match &self.input {
            Input::Here(input) => Outline::of(input),
            Input::Running { above, .. } | Input::Over(above) => above.clone(),
        };
        outline
            .join("hop", self.site, [above])
            .parameter("capacity", self.capacity)
            .parameter("policy", self.policy)
            .holds(self.bound);
    }
}

/// The task: takes from the input and brings it to the edge.
#[pin_project(PinnedDrop)]
struct Pump<S: Stage, St: Store<S::Item>> {
    #[pin]
    input: S,
    edge: Arc<Edge<S::Item, St>>,
    lossless: bool,
    /// Taken and not published; empty between two polls, unless the input panicked.
    batch: VecDeque<S::Item>,
    /// Items that the edge is sure to take.
    room: usize,
    /// Handed back: it has a key for which there is no room yet.
    waiting: Option<S::Item>,
    ticket: Ticket,
    /// Spent by the batch: stopping the input in the middle of what it has ready starts its own
    /// slice anew, which then is no bound.
    budget: Budget,
}

/// The most items that are published at once.
const BATCH: usize = 256;

impl<S: Stage, St: Store<S::Item>> Future for Pump<S, St> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.lossless { self.poll_batches(cx) } else { self.poll_items(cx) }
    }
}

impl<S: Stage, St: Store<S::Item>> Pump<S, St> {
    fn poll_batches(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        // Grows within a turn, so that slow items do not wait long for a full batch.
        let mut size = 1;
        loop {
            if *this.room == 0 {
                match this.edge.poll_room(this.ticket, cx) {
                    Poll::Ready(Some(room)) => *this.room = room,
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Pending => {
                        // Work in flight may hold what the consumer on the other side waits for.
                        let _ = this.input.poll_progress(cx);
                        this.budget.rest();
                        return Poll::Pending;
                    }
                }
            }
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            let (batch, wanted) = (&mut *this.batch, size.min(*this.room));
            let drained = this.input.as_mut().poll_drain(cx, &mut |item| {
                batch.push_back(item);
                if batch.len() < wanted {
                    ControlFlow::Continue(())
                } else {
                    ControlFlow::Break(())
                }
            });
            if !batch.is_empty() {
                match this.edge.publish(batch) {
                    Some(room) => *this.room = room,
                    None => return Poll::Ready(()),
                }
            }
            match drained {
                Poll::Ready(ControlFlow::Break(())) => {}
                Poll::Ready(ControlFlow::Continue(())) => return Poll::Ready(()),
                Poll::Pending => {
                    this.budget.rest();
                    return Poll::Pending;
                }
            }
            size = BATCH.min(size * 4);
        }
    }

    fn poll_items(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let (edge, waiting) = (this.edge, this.waiting);
        loop {
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            if let Some(item) = waiting.take() {
                match edge.poll_offer(item, this.ticket, cx) {
                    Offered::Accepted => {}
                    Offered::Full(item) => {
                        *waiting = Some(item);
                        let _ = this.input.poll_progress(cx);
                        this.budget.rest();
                        return Poll::Pending;
                    }
                    Offered::Failed | Offered::Closed(_) => return Poll::Ready(()),
                }
            }
            let drained = this.input.as_mut().poll_drain(cx, &mut |item| {
                match edge.offer(item) {
                    Offered::Accepted => return ControlFlow::Continue(()),
                    Offered::Full(item) => *waiting = Some(item),
                    Offered::Failed | Offered::Closed(_) => {}
                }
                ControlFlow::Break(())
            });
            match drained {
                // With an item that waits: the edge has no room for its key.
                Poll::Ready(ControlFlow::Break(())) if waiting.is_some() => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => {
                    this.budget.rest();
                    return Poll::Pending;
                }
            }
        }
    }
}

#[pinned_drop]
impl<S: Stage, St: Store<S::Item>> PinnedDrop for Pump<S, St> {
    fn drop(self: Pin<&mut Self>) {
        // However it ends: what came before a panic is delivered, and the consumer must not wait.
        let this = self.project();
        this.edge.publish(this.batch);
        this.edge.close();
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::buffer::{ConflateBy, Fail, Overflow};
    use crate::testing::*;
    use crate::util::lock;
    use crate::{Alarm, Virtual, iter};

    async fn sleep(millis: u64) {
        let mut alarm = Alarm::new();
        let due = alarm.now() + ms(millis);
        alarm.set(due);
        poll_fn(|cx| alarm.poll(cx)).await;
    }

    async fn next<S: Stage>(flow: &mut Pin<Box<Flow<S>>>) -> Option<S::Item> {
        poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await
    }

    #[test]
    fn under_block_every_item_crosses_in_order_whatever_the_capacity() {
        for capacity in [1, 2, 17, 1024] {
            let got = items(iter(0..5_000).hop(capacity, Overflow::Block));
            assert!(got.into_iter().eq(0..5_000), "capacity {capacity}");
        }
    }

    #[test]
    fn polls_and_drains_in_any_mixture_give_the_same_items() {
        for (capacity, stride) in [(1, 1), (3, 2), (64, 5), (1024, 100)] {
            let got = Virtual::new().run(async {
                let mut flow = Box::pin(iter(0..3_000).hop(capacity, Overflow::Block));
                let mut got = Vec::new();
                while let Some(item) = next(&mut flow).await {
                    got.push(item);
                    let mut left = stride;
                    let drained = poll_fn(|cx| {
                        Stage::poll_drain(flow.as_mut(), cx, &mut |item| {
                            got.push(item);
                            left -= 1;
                            if left == 0 {
                                ControlFlow::Break(())
                            } else {
                                ControlFlow::Continue(())
                            }
                        })
                    });
                    let _ = drained.await;
                }
                got
            });
            assert!(got.into_iter().eq(0..3_000), "capacity {capacity}");
        }
    }

    #[test]
    fn nothing_runs_before_the_first_poll() {
        let ran = Arc::new(AtomicUsize::new(0));
        let counted = ran.clone();
        let flow = iter(0..3).map(move |_| counted.fetch_add(1, Ordering::Relaxed));
        Virtual::new().run(async {
            let mut flow = Box::pin(flow.hop(8, Overflow::Block));
            sleep(1).await;
            assert_eq!(ran.load(Ordering::Relaxed), 0);
            next(&mut flow).await;
            assert_eq!(ran.load(Ordering::Relaxed), 3);
        });
    }

    #[test]
    fn what_is_held_in_all_places_never_exceeds_the_capacity() {
        for capacity in [1, 2, 16, 100, 1024] {
            let made = Arc::new(AtomicUsize::new(0));
            let counted = made.clone();
            let input = iter(0..10_000).map(move |_| counted.fetch_add(1, Ordering::Relaxed));
            let (out, most) = (Cell::new(0), Cell::new(0));
            Virtual::new().run(input.hop(capacity, Overflow::Block).for_each_async(|_| {
                out.set(out.get() + 1);
                let (made, out, most) = (&made, &out, &most);
                async move {
                    if out.get() % 300 == 0 {
                        sleep(1).await;
                    }
                    most.set(most.get().max(made.load(Ordering::Relaxed) - out.get()));
                }
            }));
            assert_eq!((out.get(), most.get()), (10_000, capacity));
        }
    }

    #[test]
    fn a_consumer_that_is_busy_leaves_the_room_of_what_it_took_to_the_task() {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = made.clone();
        let input = iter(0..100).map(move |_| counted.fetch_add(1, Ordering::Relaxed));
        let seen = Mutex::new(Vec::new());
        Virtual::new().run(input.hop(20, Overflow::Block).for_each_async(async |n| {
            sleep(1).await;
            lock(&seen).push(made.load(Ordering::Relaxed) - n);
        }));
        assert!(lock(&seen)[1..70].iter().all(|&ahead| ahead >= 20), "{seen:?}");
    }

    #[test]
    fn a_panic_in_the_task_comes_out_of_the_poll_after_the_items_before_it() {
        let mut got = Vec::new();
        let flow = iter(0..9).map(|x| if x == 3 { panic!("three") } else { x });
        let flow = flow.hop(100, Overflow::Block).map(|x| got.push(x));
        let run = AssertUnwindSafe(|| Virtual::new().run(flow.count()));
        let panic = catch_unwind(run).unwrap_err();
        assert_eq!(panic.downcast_ref(), Some(&"three"));
        assert_eq!(got, [0, 1, 2]);
    }

    #[test]
    fn a_dropped_flow_stops_its_task_and_drops_the_input() {
        let alive = Arc::new(());
        let inside = alive.clone();
        Virtual::new().run(async {
            let input = iter(0..).map(move |_| inside.clone());
            let mut flow = Box::pin(input.hop(4, Overflow::Block));
            next(&mut flow).await;
            assert!(Arc::strong_count(&alive) > 1);
            drop(flow);
            sleep(1).await;
            assert_eq!(Arc::strong_count(&alive), 1);
        });
    }

    #[test]
    fn lossy_policies_apply_to_everything_that_is_not_delivered() {
        let run = |policy| {
            let flow = timetable((1..=9).map(|n| (n, n)), 10).hop(2, policy);
            let got = Mutex::new(Vec::new());
            Virtual::new().run(flow.for_each_async(async |n| {
                lock(&got).push(n);
                sleep(100).await;
            }));
            got.into_inner().unwrap()
        };
        assert_eq!(run(Overflow::DropOldest), [1, 8, 9]);
        assert_eq!(run(Overflow::DropNewest), [1, 2, 3]);
        assert_eq!(run(Overflow::Latest), [1, 8, 9]);
    }

    #[test]
    fn an_overflow_under_fail_ends_the_flow_after_what_was_held() {
        let mut got = items(iter(0..).hop(3, Fail));
        assert!(got.pop().unwrap().is_err());
        assert_eq!(got, [Ok(0), Ok(1), Ok(2)]);
    }

    #[test]
    fn conflation_merges_what_is_not_delivered_and_lets_a_new_key_wait() {
        let sums = ConflateBy::new(|x: &(u8, u32)| x.0, |held, new| held.1 += new.1);
        let got = items(iter((0..300).map(|n| ((n / 100) as u8, 1))).hop(1, sums));
        assert_eq!(got.iter().map(|x| x.1).sum::<u32>(), 300);
        assert!(got.is_sorted_by_key(|x| x.0) && got.len() < 10, "{got:?}");
    }

    #[test]
    fn counts_add_up_while_items_are_on_the_way() {
        Virtual::new().run(async {
            let mut flow = Box::pin(iter(0..50).hop(20, Overflow::Block));
            for n in 1..=50 {
                next(&mut flow).await;
                let counts = flow.counts();
                assert!(counts.add_up(), "{counts:?}");
                assert_eq!(counts.delivered, n);
            }
            assert_eq!(flow.counts().high_water, 20);
        });
    }

    #[test]
    fn a_wake_is_for_a_batch_and_not_for_an_item() {
        let polls = Cell::new(0);
        Virtual::new().run(async {
            let mut flow = Box::pin(iter(0..100_000).hop(1024, Overflow::Block).count());
            let count = poll_fn(|cx| {
                polls.set(polls.get() + 1);
                flow.as_mut().poll(cx)
            });
            assert_eq!(count.await, 100_000);
        });
        assert!(polls.get() <= 300, "{} polls", polls.get());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn items_cross_between_threads() {
        for capacity in [1, 3, 64, 1024] {
            let flow = iter(0..20_000u64).hop(capacity, Overflow::Block);
            let sum =
                tokio::spawn(flow.fold((0, true), |(next, good), x| (next + 1, good && x == next)));
            assert_eq!(sum.await.unwrap(), (20_000, true));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn hops_in_a_row_and_drops_anywhere_leave_nothing_behind() {
        let alive = Arc::new(());
        for taken in 0..50 {
            let inside = alive.clone();
            let input = iter(0..).map(move |_| inside.clone());
            let flow = input.hop(3, Overflow::Block).hop(40, Overflow::DropOldest);
            let mut flow = Box::pin(flow.hop(20, Overflow::Block));
            for _ in 0..taken {
                next(&mut flow).await;
            }
        }
        // The tasks stop at their next poll.
        for _ in 0..10_000_000 {
            if Arc::strong_count(&alive) == 1 {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("{} items are left", Arc::strong_count(&alive) - 1);
    }

    #[test]
    fn the_outline_keeps_what_is_above_while_it_runs() {
        Virtual::new().run(async {
            let mut flow = Box::pin(iter(0..9).map(|x| x).hop(2, Overflow::Block));
            let before = flow.outline().to_string();
            assert!(before.contains("map") && before.contains("hop(capacity: 2, policy: Block)"));
            next(&mut flow).await;
            assert_eq!(flow.outline().to_string(), before);
        });
    }

    #[test]
    #[should_panic(expected = "hop: the capacity must not be zero, at operators/src/buffer/hop")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).hop(0, Overflow::Block);
    }

    conformance!(hop, |input| input.hop(16, Overflow::Block), except [
        NoSnooze: "the input runs in a task of its own, which drives it",
    ]);
    conformance!(hop_drop_oldest, |input| input.hop(2, Overflow::DropOldest), except [
        Invariance: "what comes out depends on which items are there at once",
        NoSnooze: "the input runs in a task of its own, which drives it",
    ]);
    conformance!(hop_latest, |input| input.hop(3, Overflow::Latest), except [
        Invariance: "what comes out depends on which items are there at once",
        NoSnooze: "the input runs in a task of its own, which drives it",
    ]);
    conformance!(hop_conflating, |input| {
        let newest = |held: &mut Tracked, new| *held = new;
        input.hop(3, ConflateBy::new(|x: &Tracked| x.value() % 3, newest))
    }, except [
        Invariance: "what comes out depends on which items are there at once",
        NoSnooze: "the input runs in a task of its own, which drives it",
    ]);
    conformance!(hop_fail, |input| input.hop(2, Fail), except [
        Invariance: "what comes out depends on which items are there at once",
        NoSnooze: "the input runs in a task of its own, which drives it",
    ]);

    marbles!(hop, |input| input.hop(3, Overflow::Block));

    specification!(hop, at_any_pace, |input| input.hop(2, Overflow::Block), |input| input);
}

#[cfg(all(test, loom))]
mod model {
    use std::future::poll_fn;

    use loom::future::block_on;
    use loom::thread;

    use super::*;
    use crate::buffer::{Overflow, Ring};
    use crate::sync::model;
    use crate::{Stage, iter};

    /// Both ends of a hop over the numbers below `n`.
    fn hop(
        n: u8,
        capacity: usize,
    ) -> (Pump<impl Stage<Item = u8>, Ring<u8>>, Outlet<u8, Ring<u8>>) {
        let site = Location::caller();
        let store = Overflow::Block.into_store(checked(capacity, "hop", site), site);
        let (edge, outlet) = Edge::new(store);
        let pump = Pump {
            input: iter(0..n).into_stage(),
            lossless: true,
            edge,
            batch: VecDeque::new(),
            room: 0,
            waiting: None,
            ticket: Ticket::default(),
            budget: Budget::new(),
        };
        (pump, outlet)
    }

    fn next(outlet: &mut Outlet<u8, Ring<u8>>) -> Option<u8> {
        block_on(poll_fn(|cx| outlet.poll_item(cx)))
    }

    #[test]
    fn every_item_and_the_end_arrive_whoever_waits_for_whom() {
        for capacity in [1, 2] {
            model(3, move || {
                let (pump, mut outlet) = hop(3, capacity);
                let task = thread::spawn(move || block_on(pump));
                for expected in [Some(0), Some(1), Some(2), None] {
                    assert_eq!(next(&mut outlet), expected);
                }
                task.join().unwrap();
            });
        }
    }

    #[test]
    fn a_task_that_waits_for_room_ends_when_the_consumer_leaves() {
        model(3, || {
            let (pump, mut outlet) = hop(3, 1);
            let task = thread::spawn(move || block_on(pump));
            assert_eq!(next(&mut outlet), Some(0));
            drop(outlet);
            task.join().unwrap();
        });
    }
}
