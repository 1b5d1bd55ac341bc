//! `map_async`: a future for each item, several at a time, results in the order of the items.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::in_flight::{InFlight, Order};
use crate::{Bound, Budget, Flow, Node, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Runs `f(item)` for up to `limit` items at a time and emits the results in the order of the
    /// items.
    ///
    /// ```text
    /// in       --a--b-c------|
    /// a        --[   ]
    /// b        -----[]
    /// c        -------[  ]
    /// out      -------(ab)c--|    map_async(3, f)
    /// ```
    ///
    /// A result that is ready before its turn waits, and counts against `limit` until it is taken.
    /// While a terminal is busy with an item, the futures go on and new ones are started, so
    /// nothing that an item's consumer waits for can be frozen here.
    ///
    /// - **Emits** a result when its future and those of all earlier items are ready.
    /// - **Backpressures** when `limit` futures run or results wait.
    /// - **Ends** when the input has ended and the last result is out.
    /// - **On error**: an error is an item here; a panic in `f` or in a future comes out of the
    ///   poll, and the flow has ended then.
    /// - **Holds** `limit` items, as futures and as results.
    /// - **Cost**: two allocations for each of `limit` at construction, none for an item; a clock
    ///   read in each turn and every 1,024 items; only futures that were woken are polled.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let looked_up = aqueduct_operators::iter([1, 2, 3]).map_async(2, async |x| x * 10);
    /// assert_eq!(looked_up.fold(0, |sum, x| sum + x).await, 60);
    /// # });
    /// ```
    #[doc(alias("buffered", "map_par", "par_eval_map", "flat_map_sequential"))]
    #[track_caller]
    pub fn map_async<F, Fut>(self, limit: usize, f: F) -> Flow<MapAsync<S, F, Fut>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future,
    {
        Flow::from_stage(MapAsync::new(self, limit, f, Order::Started, "map_async"))
    }
}

/// Whether another future may start, beside the room that there is for it.
pub trait Gate {
    /// Asked before each start.
    fn is_open(&self) -> bool;

    /// Writes what it is into the outline.
    fn describe(&self, node: &mut Node, most: usize);
}

/// The room alone decides.
#[derive(Debug)]
pub struct AlwaysOpen;

impl Gate for AlwaysOpen {
    fn is_open(&self) -> bool {
        true
    }

    fn describe(&self, node: &mut Node, most: usize) {
        node.parameter("limit", most);
    }
}

/// The stage behind [`Flow::map_async`], [`Flow::map_async_unordered`] and
/// [`Flow::map_async_adaptive`].
#[pin_project]
#[derive(Debug)]
pub struct MapAsync<S, F, Fut: Future, G = AlwaysOpen> {
    #[pin]
    input: S,
    ended: bool,
    f: F,
    in_flight: InFlight<Fut>,
    gate: G,
    /// One unit for each result: while there are some, that the input gives way does not show.
    budget: Budget,
    name: &'static str,
    site: Site,
}

impl<S, F, Fut> MapAsync<S, F, Fut>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
{
    #[track_caller]
    pub(crate) fn new(
        input: Flow<S>,
        limit: usize,
        f: F,
        order: Order,
        name: &'static str,
    ) -> Self {
        let site = Location::caller();
        assert!(limit > 0, "{name}: the limit must not be zero, at {site}");
        Self::gated(input, limit, f, order, AlwaysOpen, name)
    }
}

impl<S, F, Fut, G> MapAsync<S, F, Fut, G>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
    G: Gate,
{
    #[track_caller]
    pub(super) fn gated(
        input: Flow<S>,
        most: usize,
        f: F,
        order: Order,
        gate: G,
        name: &'static str,
    ) -> Self {
        Self {
            input: input.into_stage(),
            ended: false,
            f,
            in_flight: InFlight::new(most, order),
            gate,
            budget: Budget::new(),
            name,
            site: Location::caller(),
        }
    }

    /// Starts futures as long as there is room and polls those that want it. Ready if the input
    /// has nothing left to drive.
    fn drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let mut waiting = false;
        loop {
            let may_start = this.in_flight.has_room() && this.gate.is_open();
            if *this.ended || waiting || !may_start {
                this.in_flight.drive();
                // A future that became ready may have opened the gate.
                if !*this.ended && !waiting && this.in_flight.has_room() && this.gate.is_open() {
                    continue;
                }
                return if waiting { Poll::Pending } else { Poll::Ready(()) };
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Pending => waiting = true,
                Poll::Ready(None) => *this.ended = true,
                Poll::Ready(Some(item)) => {
                    this.in_flight.start((this.f)(item));
                }
            }
        }
    }
}

impl<S, F, Fut, G> Stage for MapAsync<S, F, Fut, G>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
    G: Gate,
{
    type Item = Fut::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Fut::Output>> {
        if !self.as_mut().project().budget.spend(cx) {
            return Poll::Pending;
        }
        let driven = self.as_mut().drive(cx);
        let this = self.project();
        if let Some(result) = this.in_flight.take() {
            return Poll::Ready(Some(result));
        }
        if *this.ended && this.in_flight.len() == 0 {
            return Poll::Ready(None);
        }
        if driven.is_ready() && !*this.ended {
            // No room: what is in flight above has to go on all the same.
            let _ = this.input.poll_progress(cx);
        }
        this.budget.rest();
        this.in_flight.park(cx);
        Poll::Pending
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driven = self.as_mut().drive(cx);
        let this = self.project();
        let above = *this.ended || this.input.poll_progress(cx).is_ready();
        if driven.is_ready() && above && !this.in_flight.is_running() {
            return Poll::Ready(());
        }
        this.in_flight.park(cx);
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.in_flight.len();
        if self.ended {
            return (held, Some(held));
        }
        let (least, most) = self.input.size_hint();
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let most = self.in_flight.limit();
        let node = outline.stage(self.name, self.site).holds(Bound::Items(most));
        self.gate.describe(node, most);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::task::Waker;

    use super::*;
    use crate::testing::*;
    use crate::{Virtual, iter};
    use futures::FutureExt;
    use tokio::sync::{Mutex, Semaphore};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let flow = timetable([(0, 5), (0, 1), (0, 3), (8, 1)], 8).map_async(4, async |millis| {
            sleep(millis).await;
            millis
        });
        assert_eq!(timeline(flow), (vec![(5, 5), (5, 1), (5, 3), (9, 1)], 9));
    }

    #[test]
    fn no_more_than_the_limit_run_or_wait() {
        let running = Rc::new(Cell::new(0));
        let flow = iter(0..20).map_async(3, move |x| {
            let running = running.clone();
            running.set(running.get() + 1);
            async move {
                sleep(10).await;
                (x, running.replace(running.get() - 1))
            }
        });
        let all = items(flow);
        assert_eq!(all.len(), 20);
        assert_eq!(all.iter().map(|(_, running)| *running).max(), Some(3));
    }

    #[test]
    fn a_result_that_waits_counts_against_the_limit() {
        let started = Rc::new(Cell::new(0));
        let count = started.clone();
        let mut flow = iter(0..10).map_async(2, move |x| {
            count.set(count.get() + 1);
            async move {
                if x == 0 {
                    std::future::pending::<()>().await;
                }
            }
        });
        for _ in 0..3 {
            assert!(flow.next().now_or_never().is_none());
        }
        assert_eq!(started.get(), 2);
    }

    #[test]
    fn a_future_that_holds_what_the_consumer_waits_for_is_not_frozen() {
        // Each future takes the permit and is then not ready yet; the body wants the permit.
        let permit = Semaphore::new(1);
        let flow = iter(0..20).map_async(4, async |x| {
            let _held = permit.acquire().await.unwrap();
            sleep(3).await;
            x
        });
        let mut seen = Vec::new();
        let seen_by_body = Mutex::new(&mut seen);
        Virtual::new().run(flow.for_each_async(async |x| {
            let _held = permit.acquire().await.unwrap();
            sleep(1).await;
            seen_by_body.lock().await.push(x);
        }));
        assert_eq!(seen, Vec::from_iter(0..20));
    }

    #[test]
    fn futures_above_a_full_map_async_are_not_frozen() {
        // The lower futures wait for a lock that an upper one holds while the lower map is full.
        let lock = Mutex::new(());
        let flow = iter(0..20)
            .map_async(4, async |x| {
                let _held = lock.lock().await;
                sleep(3).await;
                x
            })
            .map_async(1, async |x| {
                let _held = lock.lock().await;
                sleep(1).await;
                x
            });
        assert_eq!(items(flow), Vec::from_iter(0..20));
    }

    #[test]
    fn only_futures_that_were_woken_are_polled() {
        let polls = Rc::new(Cell::new(0));
        let count = polls.clone();
        let flow = iter(0..100u64).map_async(100, move |x| {
            let polls = count.clone();
            let mut sleep = Box::pin(sleep(x + 1));
            std::future::poll_fn(move |cx| {
                polls.set(polls.get() + 1);
                sleep.as_mut().poll(cx)
            })
        });
        assert_eq!(items(flow).len(), 100);
        assert_eq!(polls.get(), 200);
    }

    #[test]
    fn a_future_that_always_wakes_itself_gives_way_to_other_tasks() {
        let flow = iter([0]).map_async(1, |_| {
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                Poll::<()>::Pending
            })
        });
        assert_eq!(flow.count().now_or_never(), None);
    }

    #[test]
    fn size_hint_counts_what_is_in_flight() {
        let mut flow = std::pin::pin!(iter(0..10).map_async(3, async |x| x));
        let mut cx = Context::from_waker(Waker::noop());
        for left in (0..10).rev() {
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_ready());
            assert_eq!(Stage::size_hint(&*flow), (left, Some(left)));
        }
    }

    #[test]
    #[should_panic(
        expected = "map_async: the limit must not be zero, at operators/src/concurrency"
    )]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).map_async(0, async |x| x);
    }

    conformance!(map_async, |input| {
        input.map_async(2, async |x| {
            sleep(u64::from(x.value() % 3)).await;
            x
        })
    }, except [
        NoAllocation: "the sleep in each future has a queue of its own",
    ]);
    conformance!(map_async_of_ready_futures, |input| input.map_async(4, async |x| x));

    /// Gives the item back after some milliseconds.
    async fn later<T>(millis: i64, item: T) -> T {
        let mut alarm = crate::Alarm::new();
        let due = alarm.now() + ms(millis as u64);
        alarm.set(due);
        std::future::poll_fn(|cx| alarm.poll(cx)).await;
        item
    }

    marbles!(map_async, |input| {
        input.map_async(3, |x| {
            later(
                if x == 'a' {
                    5
                } else if x == 'b' {
                    2
                } else {
                    4
                },
                x,
            )
        })
    });

    specification!(
        map_async,
        |input| input.map_async(3, |x| later(1 + i64::from(x % 4), x)),
        |input| {
            let mut output: Vec<(i64, u8)> = Vec::new();
            for (at, x) in input.events {
                let before = |n: usize| output.len().checked_sub(n).map_or(0, |n| output[n].0);
                // It starts when there is room, and comes out when it is its turn.
                let start = at.max(before(3));
                output.push((before(1).max(start + 1 + i64::from(x % 4)), x));
            }
            let end = output.last().map_or(input.end, |(at, _)| input.end.max(*at));
            Timeline::new(output, end)
        }
    );
}
