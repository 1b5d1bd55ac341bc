//! `flat_map`: a flow for each item, several at a time.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::flattening::{By, Outer, Project, Starting, more_to_come};
use crate::combine::Rounds;
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the items of the flows that `f` makes of the items, as they come; up to `limit` of
    /// these inner flows run at a time.
    ///
    /// ```text
    /// in   a---b-----|
    /// a    -1---2-3|
    /// b        --4|
    /// out  -1---243--|    flat_map(2, f)
    /// ```
    ///
    /// Every inner flow has its own waker, and so has the input: only what was woken is polled,
    /// and inner flows that are silent cost nothing. Those that are ready have turns of at most 64
    /// items, round after round, in the order of their places; a new one takes the first place
    /// that is free. An inner flow starts when the flow is polled for items; with
    /// [`prefetch`](Self::prefetch) below, also while the consumer is busy. A future for each item
    /// is [`map_async`](Self::map_async).
    ///
    /// - **Emits** an item when an inner flow has one.
    /// - **Backpressures** when downstream does, and takes no item while `limit` inner flows run.
    /// - **Ends** when the input and all inner flows have ended; each is dropped when it ends.
    /// - **On error**: an error is an item here; the other inner flows go on. A panic in `f` comes
    ///   out of the poll; the flow has ended then.
    /// - **Holds** `limit` inner flows, each of which holds what its own outline says.
    /// - **Cost**: one allocation for each of `limit` at construction, and one for each place when
    ///   it is first used; none for an item or a further inner flow. At most one clock read for 64
    ///   items.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let fills = iter(["btc", "eth"]).flat_map(8, |symbol| iter(1..=3).map(move |n| (symbol, n)));
    /// assert_eq!(fills.count().await, 6);
    /// # });
    /// ```
    #[doc(alias("merge_map", "flat_map_merge", "par_join", "flat_map_unordered", "select_many"))]
    #[track_caller]
    pub fn flat_map<F, I>(self, limit: usize, f: F) -> Flow<FlatMap<S, By<F>, I>>
    where
        F: FnMut(S::Item) -> I,
        I: Stage,
    {
        Flow::from_stage(FlatMap::new(self, limit, By(f), "flat_map"))
    }
}

/// The stage behind [`Flow::flat_map`], [`Flow::flatten_merge`] and [`Flow::merge_scan`].
#[pin_project]
#[derive(Debug)]
pub struct FlatMap<S, P, I> {
    #[pin]
    outer: Outer<S>,
    project: P,
    inner: Rounds<I>,
    limit: usize,
    name: &'static str,
    site: Site,
}

impl<S: Stage, P, I: Stage> FlatMap<S, P, I> {
    #[track_caller]
    pub(super) fn new(input: Flow<S>, limit: usize, project: P, name: &'static str) -> Self {
        let site = Location::caller();
        assert!(limit > 0, "{name}: the limit must not be zero, at {site}");
        let outer = Outer::new(input.into_stage());
        Self { outer, project, inner: Rounds::vacant(limit), limit, name, site }
    }
}

impl<S, P, I> Stage for FlatMap<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let this = self.project();
        let mut starting = Starting { outer: this.outer, project: this.project };
        let polled = this.inner.poll_next(cx, &mut starting);
        if polled.is_pending() {
            // Without room it was not asked.
            starting.outer.drive_unasked(this.inner.feed_waker());
        }
        polled
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let mut starting = Starting { outer: this.outer, project: this.project };
        let drained = this.inner.poll_drain(cx, &mut starting, each);
        if drained.is_pending() {
            starting.outer.drive_unasked(this.inner.feed_waker());
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let mut outer = this.outer;
        let inner = this.inner.drive();
        if this.inner.take_feed_wake() {
            outer.as_mut().wake();
        }
        let outer = outer.drive(this.inner.feed_waker());
        if inner.is_ready() && outer.is_ready() {
            return Poll::Ready(());
        }
        this.inner.park(cx);
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        more_to_come(self.inner.inputs().size_hint(), self.outer.input())
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = self.outer.input() {
            input.describe(outline);
        }
        outline.stage(self.name, self.site).parameter("limit", self.limit).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use futures::FutureExt;
    use futures::channel::mpsc;

    use crate::testing::{conformance, marbles, specification};
    use crate::testing::{every_way, items, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, merged, pair};
    use crate::{Clock, Stage, Virtual, empty, flow, iter};

    conformance!(flat_map, |input| input.flat_map(3, |x| iter(std::iter::repeat_n(x.clone(), x.value() as usize % 3))), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    conformance!(flat_map_of_pending_flows, |input| input.flat_map(2, |x| iter([x.value()]).delay(ms(1), 1)), except [
        DeclaredBound: "the inner flows hold what they like",
        NoAllocation: "here every inner flow has a timer",
    ]);
    marbles!(flat_map, |input, a, b| {
        let mut inner = [a, b].into_iter();
        input.flat_map(2, move |_| inner.next().unwrap())
    });

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn inner_flows_run_at_the_same_time_and_their_items_come_as_they_come() {
        let inner = |(name, pace): (char, i64)| {
            timetable((1..=3).map(move |x| (pace * x, (name, x))), 3 * pace)
        };
        let flow = timetable([(0, ('a', 4)), (0, ('b', 3))], 1).flat_map(2, inner);
        let expected = vec![
            (3, ('b', 1)),
            (4, ('a', 1)),
            (6, ('b', 2)),
            (8, ('a', 2)),
            (9, ('b', 3)),
            (12, ('a', 3)),
        ];
        assert_eq!(timeline(flow), (expected, 12));
    }

    #[test]
    fn no_more_than_the_limit_run_and_a_free_place_is_used_at_once() {
        let started = RefCell::new(Vec::new());
        let flow = iter([5, 2, 1, 4]).flat_map(2, |millis| {
            started.borrow_mut().push((Clock::current().now().as_millis(), millis));
            iter([millis]).delay(ms(millis), 1)
        });
        assert_eq!(timeline(flow), (vec![(2, 2), (3, 1), (5, 5), (7, 4)], 7));
        assert_eq!(started.take(), [(0, 5), (0, 2), (2, 1), (3, 4)]);
    }

    #[test]
    fn polls_and_drains_agree_and_ready_flows_have_turns_of_64() {
        let flow = || iter(0..10).flat_map(3, |n| iter(0..n * 20).map(move |x| (n, x)));
        let all = every_way(flow);
        assert_eq!(all.len(), 900);
        for n in 0..10 {
            assert!(all.iter().filter(|(of, _)| *of == n).map(|(_, x)| *x).eq(0..n * 20));
        }
        let endless = iter(0..3).flat_map(3, |n| iter(std::iter::repeat(n))).take(640);
        for (turn, chunk) in items(endless).chunks(64).enumerate() {
            assert!(chunk.iter().all(|n| *n == turn % 3), "turn {turn}");
        }
    }

    #[test]
    fn an_idle_inner_flow_is_not_polled_and_nor_is_an_idle_input() {
        let polls = Rc::new(Cell::new(0));
        let (mut sender, receiver) = mpsc::channel(8);
        let outer = {
            let polls = polls.clone();
            let flows = iter(0..100).chain(crate::never());
            flows.inspect(move |_| polls.set(polls.get() + 1))
        };
        let mut receiver = Some(receiver);
        let count = polls.clone();
        let mut flow = pin!(outer.flat_map(200, move |_| {
            let receiver = receiver.take();
            let polls = count.clone();
            let idle = flow(futures::stream::poll_fn(move |_| {
                polls.set(polls.get() + 1);
                Poll::<Option<u32>>::Pending
            }));
            match receiver {
                Some(receiver) => flow(receiver).boxed_local(),
                None => idle.boxed_local(),
            }
        }));
        Virtual::new().run(async {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
            assert_eq!(polls.get(), 100 + 99);
            for x in 0..50 {
                sender.try_send(x).unwrap();
                assert_eq!(futures::StreamExt::next(&mut flow).await, Some(x));
            }
        });
        assert_eq!(polls.get(), 100 + 99);
    }

    #[test]
    fn an_inner_flow_is_dropped_when_it_ends_and_its_place_is_used_again() {
        let alive = Rc::new(());
        let most = Cell::new(0);
        let flow = iter(0..5_000).flat_map(4, |x| {
            let alive = alive.clone();
            iter([x]).map(move |x| (x, alive.clone()).0)
        });
        let seen = items(flow.inspect(|_| most.set(most.get().max(Rc::strong_count(&alive)))));
        assert!(seen.into_iter().eq(0..5_000));
        assert_eq!((most.get(), Rc::strong_count(&alive)), (5, 1));
    }

    #[test]
    fn endless_flows_share_the_event_loop() {
        let empties = || iter(0..).flat_map(3, |_| empty::<u8>());
        assert!(empties().count().now_or_never().is_none());
        let mut pulled = pin!(empties());
        assert!(futures::StreamExt::next(&mut pulled).now_or_never().is_none());
        let short = iter(0..).flat_map(3, |_| iter([1]));
        assert!(short.count().now_or_never().is_none());
    }

    #[test]
    fn work_in_flight_above_and_inside_goes_on_while_the_consumer_is_busy() {
        let finished = Cell::new(0);
        let work = async |x: u32| {
            sleep(5).await;
            finished.set(finished.get() + 1);
            x
        };
        let work = &work;
        // Two places for four items: two of the upper futures wait for a place with their results.
        let flow = iter(0..4).map_async(4, work).flat_map(2, |x| iter([x, x]).map_async(2, work));
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(flow.for_each_async(async |_| {
            sleep(20).await;
            seen.borrow_mut().push(finished.get());
        }));
        // When the first body is over, the four upper futures and those of two flows are ready.
        assert_eq!(seen.take()[0], 8);
    }

    #[test]
    fn the_outline_names_the_limit() {
        let text = iter([1]).flat_map(3, |x| iter([x])).outline().to_string();
        assert!(text.contains("flat_map(limit: 3)"), "{text}");
    }

    #[test]
    #[should_panic(expected = "flat_map: the limit must not be zero, at operators/src/transform")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).flat_map(0, |x| iter([x]));
    }

    specification!(
        flat_map,
        |input| {
            let mut inner = Inner::default();
            input.flat_map(2, move |x| inner.flow(x, pair(x)))
        },
        |input| merged(input, 2, |_, x| pair(x))
    );
}
