//! `map_async_by_key`: futures of one key after the other, those of different keys at a time.

use std::future::Future;
use std::hash::Hash;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use pin_project::pin_project;
use slab::Slab;

use super::in_flight::{InFlight, Order};
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Runs `f(item)` for one item of each key at a time, and for different keys at the same time;
    /// emits each result when it is ready.
    ///
    /// ```text
    /// in   aAb-------|
    /// out  ---a-ba---|    map_async_by_key(8, letter, |x| after(ms(3), lower(x)))
    /// ```
    ///
    /// Results of one key come in the order of their items: the next future of a key starts when
    /// the one before is ready. Items whose key is busy wait, and count against `limit` like
    /// futures that run and results that are not taken: `limit` items of one key hold back all
    /// others, so it is to be a multiple of the keys that are busy at a time.
    ///
    /// - **Emits** a result when its future is ready.
    /// - **Backpressures** when `limit` items run or wait.
    /// - **Ends** when the input has ended and the last result is out.
    /// - **On error**: an error is an item here, and the next item of the key goes on. A panic in
    ///   `key`, in `f` or in a future comes out of the poll, and the flow has ended then.
    /// - **Holds** `limit` items, as items, futures and results.
    /// - **Cost**: two allocations for each of `limit` at construction, none for an item once the
    ///   table of keys has grown; two hashes and two clones of the key for an item, no clock read.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let orders = iter([("btc", 1), ("eth", 1), ("btc", 2)]);
    /// let acknowledged = orders.map_async_by_key(16, |order| order.0, async |order| order.1);
    /// assert_eq!(acknowledged.fold(0, |sum, x| sum + x).await, 4);
    /// # });
    /// ```
    #[doc(alias("map_async_partitioned", "map_par_by_key", "map_zio_par_by_key", "partition_by"))]
    #[track_caller]
    pub fn map_async_by_key<K, Q, F, Fut>(
        self,
        limit: usize,
        key: K,
        f: F,
    ) -> Flow<MapAsyncByKey<S, K, Q, F, Fut>>
    where
        K: FnMut(&S::Item) -> Q,
        Q: Hash + Eq + Clone,
        F: FnMut(S::Item) -> Fut,
        Fut: Future,
    {
        let site = Location::caller();
        assert!(limit > 0, "map_async_by_key: the limit must not be zero, at {site}");
        Flow::from_stage(MapAsyncByKey {
            input: self.into_stage(),
            ended: false,
            key,
            f,
            in_flight: InFlight::new(limit, Order::Ready),
            running: (0..limit).map(|_| None).collect(),
            ready: Vec::with_capacity(limit),
            lines: HashMap::with_capacity(limit),
            waiting: Slab::with_capacity(limit),
            budget: Budget::new(),
            site,
        })
    }
}

/// The stage behind [`Flow::map_async_by_key`].
#[pin_project]
#[derive(Debug)]
pub struct MapAsyncByKey<S: Stage, K, Q, F, Fut: Future> {
    #[pin]
    input: S,
    ended: bool,
    key: K,
    f: F,
    in_flight: InFlight<Fut>,
    /// The key of the future in each slot.
    running: Box<[Option<Q>]>,
    /// The slots whose futures have just become ready.
    ready: Vec<usize>,
    /// The keys whose future runs, with their items that wait.
    lines: HashMap<Q, Option<Line>>,
    waiting: Slab<Waiting<S::Item>>,
    /// One unit for each result: while there are some, that the input gives way does not show.
    budget: Budget,
    site: Site,
}

/// The first and the last of the items of a key that wait.
#[derive(Debug, Clone, Copy)]
struct Line {
    first: usize,
    last: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    item: T,
    next: Option<usize>,
}

impl<S, K, Q, F, Fut> MapAsyncByKey<S, K, Q, F, Fut>
where
    S: Stage,
    K: FnMut(&S::Item) -> Q,
    Q: Hash + Eq + Clone,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
{
    /// Takes items as long as there is room, polls the futures that want it, and starts the next
    /// of each key that became free. Ready if the input has nothing left to drive.
    fn drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let mut waits = false;
        loop {
            while !*this.ended
                && !waits
                && this.in_flight.len() + this.waiting.len() < this.in_flight.limit()
            {
                let item = match this.input.as_mut().poll_next(cx) {
                    Poll::Pending => {
                        waits = true;
                        break;
                    }
                    Poll::Ready(None) => {
                        *this.ended = true;
                        break;
                    }
                    Poll::Ready(Some(item)) => item,
                };
                let key = (this.key)(&item);
                match this.lines.entry(key.clone()) {
                    Entry::Vacant(free) => {
                        let future = (this.f)(item);
                        free.insert(None);
                        if let Some(slot) = this.in_flight.start(future) {
                            this.running[slot] = Some(key);
                        }
                    }
                    Entry::Occupied(mut busy) => {
                        let last = this.waiting.insert(Waiting { item, next: None });
                        let line = busy.get_mut().get_or_insert(Line { first: last, last });
                        if line.last != last {
                            this.waiting[line.last].next = Some(last);
                            line.last = last;
                        }
                    }
                }
            }
            this.in_flight.drive_with(|slot| this.ready.push(slot));
            if this.ready.is_empty() {
                return if waits { Poll::Pending } else { Poll::Ready(()) };
            }
            for slot in this.ready.drain(..) {
                let Some(key) = this.running[slot].take() else {
                    continue;
                };
                let Some(line) = this.lines.get_mut(&key) else {
                    continue;
                };
                let Some(Line { first, last }) = *line else {
                    this.lines.remove(&key);
                    continue;
                };
                let Waiting { item, next } = this.waiting.remove(first);
                *line = next.map(|first| Line { first, last });
                if let Some(slot) = this.in_flight.start((this.f)(item)) {
                    this.running[slot] = Some(key);
                }
            }
        }
    }
}

impl<S, K, Q, F, Fut> Stage for MapAsyncByKey<S, K, Q, F, Fut>
where
    S: Stage,
    K: FnMut(&S::Item) -> Q,
    Q: Hash + Eq + Clone,
    F: FnMut(S::Item) -> Fut,
    Fut: Future,
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
        // Whatever waits, waits for a future that runs.
        if *this.ended && this.in_flight.len() == 0 {
            return Poll::Ready(None);
        }
        if driven.is_ready() && !*this.ended {
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
        let held = self.in_flight.len() + self.waiting.len();
        let (least, most) = if self.ended { (0, Some(0)) } else { self.input.size_hint() };
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let limit = self.in_flight.limit();
        outline
            .stage("map_async_by_key", self.site)
            .parameter("limit", limit)
            .holds(Bound::Items(limit));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use crate::testing::{
        after, conformance, items, marbles, ms, sorted_line, specification, timeline, timetable,
        whole,
    };
    use crate::{Virtual, iter};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn items_of_one_key_go_one_after_the_other_and_those_of_others_do_not_wait() {
        let input = timetable([(0, ('a', 5)), (0, ('a', 1)), (0, ('b', 2)), (1, ('a', 3))], 2);
        let flow = input.map_async_by_key(
            8,
            |x| x.0,
            async |(key, millis)| {
                sleep(millis).await;
                (key, millis)
            },
        );
        let expected = vec![(2, ('b', 2)), (5, ('a', 5)), (6, ('a', 1)), (9, ('a', 3))];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn never_two_of_a_key_and_no_more_than_the_limit() {
        let running = RefCell::new(std::collections::BTreeMap::new());
        let most = Cell::new(0);
        let flow = iter(0..500u64).map_async_by_key(
            6,
            |x| x % 4,
            async |x| {
                let now = running.borrow_mut().insert(x % 4, x);
                assert_eq!(now, None, "two of key {}", x % 4);
                most.set(most.get().max(running.borrow().len()));
                sleep(x % 7).await;
                running.borrow_mut().remove(&(x % 4));
                x
            },
        );
        let all = items(flow);
        assert_eq!((all.len(), most.get()), (500, 4));
        for key in 0..4 {
            assert!(all.iter().filter(|x| *x % 4 == key).is_sorted(), "key {key}");
        }
    }

    #[test]
    fn one_busy_key_fills_the_stage_and_holds_the_input_back() {
        let taken = Cell::new(0);
        let input = iter(0..9).inspect(|_| taken.set(taken.get() + 1));
        let mut flow = input.map_async_by_key(3, |_| (), async |_| sleep(5).await);
        Virtual::new().run(async {
            assert!(futures::poll!(flow.next()).is_pending());
            assert_eq!(taken.get(), 3);
            flow.next().await;
            assert_eq!(taken.get(), 3);
        });
    }

    #[test]
    #[should_panic(expected = "map_async_by_key: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).map_async_by_key(0, |x| *x, async |x| x);
    }

    conformance!(map_async_by_key, |input| {
        input.map_async_by_key(3, |x| x.value() % 2, async |x| {
            sleep(u64::from(x.value() % 3)).await;
            x
        })
    }, except [
        NoAllocation: "the sleep in each future has a queue of its own",
    ]);
    conformance!(map_async_by_key_of_ready_futures, |input| {
        input.map_async_by_key(4, |x| x.value() % 3, async |x| x)
    }, except [
        Invariance: "of results that are ready at once, that of the future started first comes first",
    ]);
    specification!(
        map_async_by_key,
        |input| {
            let f = |x: u8| after(1 + i64::from(x % 4), x);
            sorted_line(input.map_async_by_key(3, |x| x % 3, f))
        },
        |input| {
            let (mut results, mut of_key) = (Vec::<(i64, u8)>::new(), [0; 3]);
            for (at, x) in input.events {
                // It is taken when two of those before are left, and waits for those of its key.
                let mut done: Vec<i64> = results.iter().map(|(done, _)| *done).collect();
                done.sort_unstable();
                let taken = done.len().checked_sub(3).map_or(at, |room| at.max(done[room]));
                let of_key = &mut of_key[usize::from(x % 3)];
                *of_key = taken.max(*of_key) + 1 + i64::from(x % 4);
                results.push((*of_key, x));
            }
            whole(results, input.end)
        }
    );
    marbles!(map_async_by_key, |input| {
        input.map_async_by_key(
            8,
            |x: &char| x.to_ascii_lowercase(),
            async |x| {
                sleep(3).await;
                x.to_ascii_lowercase()
            },
        )
    });
}
