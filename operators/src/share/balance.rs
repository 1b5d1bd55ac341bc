//! `balance`: each item to whichever of several workers is ready.

use std::collections::VecDeque;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Board, Hub, Seat};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Splits the flow among `n` workers; an item goes to the one that has waited longest.
    ///
    /// ```text
    /// in      --a-b-c-d|
    /// first   --a---c--|    balance(2)
    /// second  ----b---d|
    /// ```
    ///
    /// A worker is ready when it is polled for an item, and then counts as waiting until it has
    /// one. Nothing is taken from the input for workers that are busy, so that a slow one gets
    /// less. What was meant for a worker that is dropped goes to the next one.
    ///
    /// - **Emits** each item from one of the flows.
    /// - **Backpressures** while no worker waits.
    /// - **Ends** each flow when the input has ended. When the last one is dropped, the input is
    ///   dropped.
    /// - **On error**: an error is an item here. A panic in the input comes out of the poll of one
    ///   worker, and is the end for the others.
    /// - **Holds** 1 item for each worker that waits and was not polled since the item came.
    /// - **Cost**: one lock for an item; some allocations for the whole; the clock is read once a
    ///   slice.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// let workers = iter(1..=100).balance(4);
    /// let sums = workers.into_iter().map(|worker| worker.fold(0, |sum, x| sum + x));
    /// let sums = Virtual::new().run(futures::future::join_all(sums));
    /// assert_eq!(sums.iter().sum::<i32>(), 5050);
    /// ```
    #[doc(alias("parallel", "round_robin", "demand_dispatcher", "workers", "distribute"))]
    #[track_caller]
    pub fn balance(self, n: usize) -> Vec<Flow<Worker<S>>> {
        workers("balance", self.into_stage(), n, false, Location::caller())
    }

    /// As [`balance`](Self::balance), and takes nothing from the input before every worker has
    /// asked for an item once or is gone, so that the first ones do not get all the work.
    ///
    /// ```text
    /// in      --a-b-c-d|
    /// first   --a---c--|    balance_all(2)
    /// second  ----b---d|
    /// ```
    ///
    /// - **Emits** each item from one of the flows.
    /// - **Backpressures** while no worker waits, and until every worker has asked once or is
    ///   gone.
    /// - **Ends** each flow when the input has ended. When the last one is dropped, the input is
    ///   dropped.
    /// - **On error**: as `balance`.
    /// - **Holds** 1 item for each worker that waits and was not polled since the item came.
    /// - **Cost**: as `balance`.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// let counts = iter(0..2).balance_all(2).into_iter().map(|worker| worker.count());
    /// assert_eq!(Virtual::new().run(futures::future::join_all(counts)), [1, 1]);
    /// ```
    #[doc(alias("wait_for_all_downstreams"))]
    #[track_caller]
    pub fn balance_all(self, n: usize) -> Vec<Flow<Worker<S>>> {
        workers("balance_all", self.into_stage(), n, true, Location::caller())
    }
}

fn workers<S: Stage>(
    operator: &'static str,
    input: S,
    n: usize,
    wait_for_all: bool,
    site: Site,
) -> Vec<Flow<Worker<S>>> {
    assert!(n > 0, "{operator}: the number of workers must not be zero, at {site}");
    let places = (0..n).map(|_| Place { item: None, stands: Stands::New });
    let hub = Hub::new(
        input,
        Demand {
            places: places.collect(),
            waiting: VecDeque::with_capacity(n),
            returned: VecDeque::new(),
            new: if wait_for_all { n } else { 0 },
        },
    );
    let worker =
        |index| Flow::from_stage(Worker { seat: hub.seat(|_| index), index, n, operator, site });
    (0..n).map(worker).collect()
}

/// The stage behind [`Flow::balance`].
#[derive(Debug)]
pub struct Worker<S: Stage> {
    seat: Seat<S, Demand<S::Item>>,
    index: usize,
    n: usize,
    operator: &'static str,
    site: Site,
}

// The input lies pinned in the hub.
impl<S: Stage> Unpin for Worker<S> {}

impl<S: Stage> Stage for Worker<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.seat.poll_next(cx)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.seat.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = |board: &Demand<_>, seat: usize| usize::from(board.places[seat].item.is_some());
        (self.seat.look(held), None)
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join(self.operator, self.site, [self.seat.hub().above()])
            .parameter("worker", self.index)
            .parameter("n", self.n)
            .holds(Bound::Items(1));
    }
}

/// Who waits for an item, and those that are not taken yet.
#[derive(Debug)]
pub(crate) struct Demand<T> {
    places: Vec<Place<T>>,
    /// Those that wait and have no item, the one that has waited longest in front.
    waiting: VecDeque<usize>,
    /// Meant for a worker that is gone.
    returned: VecDeque<T>,
    /// How many have to ask before anything is taken.
    new: usize,
}

#[derive(Debug)]
struct Place<T> {
    item: Option<T>,
    stands: Stands,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stands {
    /// It never asked.
    New,
    /// It has its item, or asked for none since.
    Busy,
    /// It is among those that wait, or its item is there.
    Waiting,
    Gone,
}

impl<T> Demand<T> {
    fn give(&mut self, item: T) {
        match self.waiting.pop_front() {
            Some(seat) => self.places[seat].item = Some(item),
            None => self.returned.push_back(item),
        }
    }
}

impl<T> Board<T> for Demand<T> {
    type Out = T;
    type Waste = T;

    fn take(&mut self, seat: usize, _: &mut Vec<T>) -> Option<T> {
        if self.places[seat].stands == Stands::New {
            self.new = self.new.saturating_sub(1);
        }
        if self.places[seat].stands != Stands::Waiting {
            self.places[seat].stands = Stands::Waiting;
            self.waiting.push_back(seat);
        }
        if self.waiting.front().is_some()
            && let Some(item) = self.returned.pop_front()
        {
            self.give(item);
        }
        let item = self.places[seat].item.take()?;
        self.places[seat].stands = Stands::Busy;
        Some(item)
    }

    fn room(&self) -> usize {
        if self.new > 0 { 0 } else { self.waiting.len().saturating_sub(self.returned.len()) }
    }

    fn put(&mut self, item: T, _: &mut Vec<T>) {
        self.give(item);
    }

    fn leave(&mut self, seat: usize, waste: &mut Vec<T>) -> bool {
        let place = &mut self.places[seat];
        if place.stands == Stands::New {
            self.new = self.new.saturating_sub(1);
        }
        place.stands = Stands::Gone;
        let item = place.item.take();
        self.waiting.retain(|waiting| *waiting != seat);
        if let Some(item) = item {
            // Older than whatever else was returned to a worker that is still there.
            self.returned.push_front(item);
            if let Some(item) = self.returned.pop_front() {
                self.give(item);
            }
        }
        let left = self.places.iter().any(|place| place.stands != Stands::Gone);
        if !left {
            waste.extend(self.returned.drain(..));
        }
        left
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::future::join_all;

    use super::*;
    use crate::testing::{Timeline, after, items, ms, specification, timetable, two};
    use crate::{Alarm, Virtual, iter};

    crate::marbles!(balance[first, second], |input| input.balance(2));
    crate::marbles!(balance_all[first, second], |input| input.balance_all(2));
    /// When the work on each item begins and when all is done, if two workers are busy for 3 ms
    /// with an item and the second one comes at 5 ms.
    async fn works<S: Stage<Item = u8>>(workers: Vec<Flow<Worker<S>>>) -> Vec<i64> {
        let begun = std::cell::RefCell::new(Vec::new());
        let work = |worker: Flow<Worker<S>>| {
            worker.for_each_async(async |_| {
                begun.borrow_mut().push(crate::Clock::current().now().as_millis());
                after(3, ()).await;
            })
        };
        let (first, second) = two(workers);
        let second = async {
            after(5, ()).await;
            work(second).await;
        };
        futures::join!(work(first), second);
        begun.take()
    }

    /// That an item is begun when one of the workers is free, who first were so at these times.
    fn worked(input: Timeline<u8>, mut free: [i64; 2]) -> Timeline<Vec<i64>> {
        let mut begun = Vec::new();
        for (at, _) in input.events {
            free.sort_unstable();
            let begins = at.max(free[0]);
            begun.push(begins);
            free[0] = begins + 3;
        }
        // The second one comes to see the end.
        let end = input.end.max(free[0]).max(free[1]).max(5);
        Timeline::new([(end, begun)], end)
    }

    specification!(balance, |input| works(input.balance(2)), |input| worked(input, [0, 5]));
    specification!(balance_all, |input| works(input.balance_all(2)), |input| worked(input, [5, 5]));
    crate::conformance!(balance, |input| crate::merge(input.balance(2)), except [
        Invariance: "which worker is ready depends on who was polled",
    ]);

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_item_goes_to_one_worker_and_a_slow_one_gets_less() {
        let workers = timetable((0..100).map(|n| (n, n)), 100).balance(3);
        let all = workers.into_iter().enumerate().map(|(index, worker)| {
            let mut got = Vec::new();
            async move {
                let mut worker = Box::pin(worker);
                while let Some(item) =
                    std::future::poll_fn(|cx| Stage::poll_next(worker.as_mut(), cx)).await
                {
                    got.push(item);
                    let mut alarm = Alarm::new();
                    let due = alarm.now() + ms(if index == 0 { 20 } else { 1 });
                    alarm.set(due);
                    std::future::poll_fn(|cx| alarm.poll(cx)).await;
                }
                got
            }
        });
        let got = Virtual::new().run(join_all(all));
        assert!(got[0].len() <= 6 && got.iter().all(|got| got.is_sorted()), "{got:?}");
        let mut all: Vec<_> = got.concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..100));
    }

    #[test]
    fn nothing_is_taken_before_all_have_asked_if_that_is_wanted() {
        let mut workers = iter(0..9).balance_all(3);
        assert_eq!(try_next(&mut workers[0]), Poll::Pending);
        assert_eq!(try_next(&mut workers[1]), Poll::Pending);
        drop(workers.pop());
        // The last one that was waited for is gone.
        assert_eq!(try_next(&mut workers[1]), Poll::Ready(Some(1)));
        assert_eq!(try_next(&mut workers[0]), Poll::Ready(Some(0)));
    }

    #[test]
    fn an_item_that_was_meant_for_a_worker_that_is_gone_goes_to_another() {
        let mut workers = iter(0..3).balance_all(2);
        assert_eq!(try_next(&mut workers[0]), Poll::Pending);
        assert_eq!(try_next(&mut workers[1]), Poll::Ready(Some(1)));
        drop(workers.remove(0));
        assert_eq!(items(workers.remove(0)), [0, 2]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn workers_on_several_threads_lose_nothing() {
        let tasks = iter(0..10_000u64).balance(4).into_iter();
        let tasks: Vec<_> =
            tasks.map(|worker| tokio::spawn(worker.fold(0, |sum, x| sum + x))).collect();
        let sums = join_all(tasks).await.into_iter().map(Result::unwrap);
        assert_eq!(sums.sum::<u64>(), (0..10_000).sum());
    }

    #[test]
    #[should_panic(expected = "balance: the number of workers must not be zero, at operators/src")]
    fn no_worker_at_all_is_refused_where_it_was_written() {
        let _ = iter([1]).balance(0);
    }
}
