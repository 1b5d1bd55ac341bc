//! `concat_map_eager`: flows that run at the same time, and come out one after the other.

use std::collections::VecDeque;
use std::fmt;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::flattening::{By, Outer, Project, more_to_come};
use crate::buffer::{Buffer, Overflow, checked};
use crate::combine::Inputs;
use crate::wake_set::Bits;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flows that `f` makes of up to `limit` items at the same time, and emits their items
    /// one flow after the other, in the order of the items.
    ///
    /// ```text
    /// in   ab---------|
    /// a    --1--2|
    /// b     -3-4|
    /// out  --1--2(34)-|    concat_map_eager(2, 8, f)
    /// ```
    ///
    /// The flow whose turn it is goes out as it comes. The others run ahead, each until it holds
    /// `buffer` items; then it waits for its turn, and its work in flight goes on. A future for each
    /// item is [`map_async`](Self::map_async).
    ///
    /// - **Emits** an item when the flow whose turn it is has one.
    /// - **Backpressures** when `limit` flows run or wait for their turn, a flow that has to wait
    ///   when it holds `buffer` items.
    /// - **Ends** when the input has ended and the last flow is out; each is dropped when it ends.
    /// - **On error**: an error is an item here: it waits for its turn, and the other flows go on.
    ///   A panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** `limit` flows with `buffer` items each.
    /// - **Cost**: two allocations for each of `limit`, and those of a queue that grows to `buffer`
    ///   items for each flow; none for an item. A clock read in each turn and every 1,024 items.
    ///
    /// # Panics
    ///
    /// If `limit` or `buffer` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let files = iter([1, 2]).concat_map_eager(4, 64, |day| iter(0..2).map(move |n| (day, n)));
    /// assert_eq!(files.collect::<Vec<_>>().await, [(1, 0), (1, 1), (2, 0), (2, 1)]);
    /// # });
    /// ```
    #[doc(alias("flat_map_sequential", "merge_sequential", "buffered", "flat_map_ordered"))]
    #[track_caller]
    pub fn concat_map_eager<F, I>(
        self,
        limit: usize,
        buffer: usize,
        f: F,
    ) -> Flow<ConcatMapEager<S, By<F>, I>>
    where
        F: FnMut(S::Item) -> I,
        I: Stage,
    {
        let site = Location::caller();
        assert!(limit > 0, "concat_map_eager: the limit must not be zero, at {site}");
        let buffer = checked(buffer, "concat_map_eager", site);
        Flow::from_stage(ConcatMapEager {
            outer: Outer::new(self.into_stage()),
            project: By(f),
            inner: Inputs::vacant(limit),
            line: VecDeque::new(),
            woken: Bits::new(limit + 1),
            budget: Budget::new(),
            limit,
            buffer,
            site,
        })
    }
}

/// The stage behind [`Flow::concat_map_eager`].
#[pin_project]
pub struct ConcatMapEager<S, P, I: Stage> {
    #[pin]
    outer: Outer<S>,
    project: P,
    inner: Inputs<Buffer<I, Overflow>>,
    /// Their places in the order in which they come out.
    line: VecDeque<usize>,
    /// Who was woken; of these only the outer input is looked at.
    woken: Bits,
    /// One unit for each item, and for each inner flow without any.
    budget: Budget,
    limit: usize,
    buffer: NonZeroUsize,
    site: Site,
}

impl<S, P, I> ConcatMapEager<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    /// Starts flows as long as there is room, and drives those that run. Ready if nothing is in
    /// flight in them.
    fn drive(self: Pin<&mut Self>) -> Poll<()> {
        let mut this = self.project();
        this.inner.take_woken(this.woken);
        if this.woken.take(*this.limit) {
            this.outer.as_mut().wake();
        }
        this.woken.clear();
        while this.inner.has_room() {
            let waker = this.inner.waker(*this.limit);
            let Poll::Ready(Some(item)) = this.outer.as_mut().poll_next(waker) else {
                break;
            };
            let flow = this.project.start(item);
            let ahead = Buffer::new("prefetch", flow, *this.buffer, Overflow::Block, this.site);
            this.line.extend(this.inner.insert(ahead));
        }
        this.inner.drive_all()
    }
}

impl<S, P, I> Stage for ConcatMapEager<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        loop {
            if !self.as_mut().project().budget.spend(cx) {
                return Poll::Pending;
            }
            let _ = self.as_mut().drive();
            let this = self.as_mut().project();
            match this.line.front() {
                None if this.outer.input().is_none() => return Poll::Ready(None),
                None => {}
                Some(first) => match this.inner.poll_next(*first) {
                    Poll::Ready(Some(item)) => return Poll::Ready(Some(item)),
                    Poll::Ready(None) => {
                        this.line.pop_front();
                        continue;
                    }
                    Poll::Pending => {}
                },
            }
            this.budget.rest();
            this.outer.drive_unasked(this.inner.waker(*this.limit));
            this.inner.park(cx);
            return Poll::Pending;
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let inner = self.as_mut().drive();
        let this = self.project();
        let outer = this.outer.drive(this.inner.waker(*this.limit));
        if inner.is_ready() && outer.is_ready() {
            return Poll::Ready(());
        }
        this.inner.park(cx);
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        more_to_come(self.inner.size_hint(), self.outer.input())
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = self.outer.input() {
            input.describe(outline);
        }
        outline
            .stage("concat_map_eager", self.site)
            .parameter("limit", self.limit)
            .parameter("buffer", self.buffer)
            .holds(Bound::Unknown);
    }
}

impl<S: Stage + fmt::Debug, P, I: Stage> fmt::Debug for ConcatMapEager<S, P, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcatMapEager")
            .field("outer", &self.outer)
            .field("line", &self.line)
            .field("limit", &self.limit)
            .field("buffer", &self.buffer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::testing::{every_way, items, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, millis, nanos, pair};
    use crate::{Clock, Virtual, empty, iter};

    conformance!(concat_map_eager, |input| input.concat_map_eager(2, 3, |x| iter(std::iter::repeat_n(x.clone(), x.value() as usize % 3))), except [
        DeclaredBound: "the inner flows hold what they like",
        NoAllocation: "every inner flow has a queue",
    ]);
    conformance!(concat_map_eager_of_pending_flows, |input| input.concat_map_eager(2, 3, |x| iter([x.value()]).delay(ms(1), 1)), except [
        DeclaredBound: "the inner flows hold what they like",
        NoAllocation: "every inner flow has a queue",
    ]);
    marbles!(concat_map_eager, |input, a, b| {
        let mut inner = [a, b].into_iter();
        input.concat_map_eager(2, 8, move |_| inner.next().unwrap())
    });

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    fn now() -> i64 {
        Clock::current().now().as_millis()
    }

    #[test]
    fn flows_run_at_the_same_time_and_come_out_one_after_the_other() {
        let inner = |name| iter(1..=2).concat_map(move |x| iter([(name, x)]).delay(ms(3), 1));
        let flow = timetable([(0, 'a'), (1, 'b'), (2, 'c')], 3).concat_map_eager(2, 8, inner);
        let expected = vec![
            (3, ('a', 1)),
            (6, ('a', 2)),
            (6, ('b', 1)),
            (7, ('b', 2)),
            // Started when the first was out.
            (9, ('c', 1)),
            (12, ('c', 2)),
        ];
        assert_eq!(timeline(flow), (expected, 12));
    }

    #[test]
    fn a_flow_that_waits_for_its_turn_stops_at_its_bound() {
        let made = RefCell::new(Vec::new());
        let flow = iter(["slow", "fast"]).concat_map_eager(2, 3, |name| {
            let made = &made;
            let pace = if name == "slow" { 10 } else { 0 };
            iter(0..5).map_async(1, move |x| async move {
                sleep(pace).await;
                if name == "fast" {
                    made.borrow_mut().push((now(), x));
                }
                (name, x)
            })
        });
        assert_eq!(items(flow).len(), 10);
        // Three are held, and the next one is the result that waits in `map_async`.
        let expected = [(0, 0), (0, 1), (0, 2), (0, 3), (50, 4)];
        assert_eq!(made.take(), expected);
    }

    #[test]
    fn the_flows_go_on_while_the_consumer_is_busy() {
        let started = RefCell::new(Vec::new());
        let flow = iter(0..3).concat_map_eager(2, 8, |x| {
            started.borrow_mut().push(now());
            iter([x]).delay(ms(5), 1)
        });
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(flow.for_each_async(async |x| {
            seen.borrow_mut().push((now(), x));
            sleep(20).await;
        }));
        assert_eq!(seen.take(), [(5, 0), (25, 1), (45, 2)]);
        assert_eq!(started.take(), [0, 0, 25]);
    }

    #[test]
    fn polls_and_drains_agree() {
        let flow = || iter(0..40).concat_map_eager(3, 5, |n| iter(0..n % 7 * 9));
        assert!(every_way(flow).into_iter().eq((0..40).flat_map(|n| 0..n % 7 * 9)));
    }

    #[test]
    fn endless_flows_share_the_event_loop() {
        use futures::FutureExt;
        let empties = iter(0..).concat_map_eager(3, 5, |_| empty::<u8>());
        assert!(empties.count().now_or_never().is_none());
        let long = Cell::new(0);
        let endless = iter([0]).concat_map_eager(3, 5, |_| iter(0..)).inspect(|_| long.set(1));
        assert!(endless.count().now_or_never().is_none());
        assert_eq!(long.get(), 1);
    }

    #[test]
    #[should_panic(expected = "concat_map_eager: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).concat_map_eager(0, 1, |x| iter([x]));
    }

    #[test]
    #[should_panic(expected = "concat_map_eager: the capacity must not be zero, at operators/src")]
    fn a_buffer_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).concat_map_eager(1, 0, |x| iter([x]));
    }

    specification!(
        concat_map_eager,
        |input| {
            let mut inner = Inner::default();
            input.concat_map_eager(2, 2, move |x| inner.flow(x, pair(x)))
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut inner, mut output) = (Inner::default(), Timeline::new([], 0));
            // When the flow before the last one was out.
            let mut room = 0;
            for (at, x) in input.events {
                let line = inner.line(x, pair(x), at.max(room));
                let turn = output.end;
                output.events.extend(line.events.into_iter().map(|(at, x)| (at.max(turn), x)));
                (room, output.end) = (turn, turn.max(line.end));
            }
            output.end = output.end.max(input.end);
            millis(output)
        }
    );
}
