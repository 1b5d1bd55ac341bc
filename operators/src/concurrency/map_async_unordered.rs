//! `map_async_unordered`: a future for each item, several at a time, results as they are ready.

use std::future::Future;

use super::MapAsync;
use super::in_flight::Order;
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs `f(item)` for up to `limit` items at a time and emits each result when it is ready.
    ///
    /// ```text
    /// in       --a--b-c------|
    /// a        --[   ]
    /// b        -----[
    /// c        -------[  ]
    /// out      ------ba---c--|    map_async_unordered(3, f)
    /// ```
    ///
    /// Futures that were started together and are ready at once come in the order of their items.
    /// While a terminal is busy with an item, the futures go on and new ones are started, so
    /// nothing that an item's consumer waits for can be frozen here.
    ///
    /// - **Emits** a result when its future is ready.
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
    /// let looked_up = aqueduct_operators::iter([1, 2, 3]).map_async_unordered(2, async |x| x * 10);
    /// assert_eq!(looked_up.fold(0, |sum, x| sum + x).await, 60);
    /// # });
    /// ```
    #[doc(alias("buffer_unordered", "map_par_unordered", "par_eval_map_unordered"))]
    #[track_caller]
    pub fn map_async_unordered<F, Fut>(self, limit: usize, f: F) -> Flow<MapAsync<S, F, Fut>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future,
    {
        let order = Order::Ready;
        Flow::from_stage(MapAsync::new(self, limit, f, order, "map_async_unordered"))
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Virtual, iter};
    use tokio::sync::Semaphore;

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn results_come_as_they_are_ready() {
        let wait = async |millis| {
            sleep(millis).await;
            millis
        };
        let flow = timetable([(0, 5), (0, 1), (0, 3), (8, 1)], 8).map_async_unordered(4, wait);
        assert_eq!(timeline(flow), (vec![(1, 1), (3, 3), (5, 5), (9, 1)], 9));
    }

    #[test]
    fn a_slow_future_does_not_hold_the_others_back() {
        let wait = async |millis| {
            sleep(millis).await;
            millis
        };
        let flow = iter([100, 1, 2, 3, 4]).map_async_unordered(2, wait);
        let expected = vec![(1, 1), (3, 2), (6, 3), (10, 4), (100, 100)];
        assert_eq!(timeline(flow), (expected, 100));
    }

    #[test]
    fn a_future_that_holds_what_the_consumer_waits_for_is_not_frozen() {
        let permit = Semaphore::new(1);
        let flow = iter(0..20).map_async_unordered(4, async |x| {
            let _held = permit.acquire().await.unwrap();
            sleep(3).await;
            x
        });
        let seen = std::cell::Cell::new(0);
        Virtual::new().run(flow.for_each_async(async |_| {
            let _held = permit.acquire().await.unwrap();
            sleep(1).await;
            seen.set(seen.get() + 1);
        }));
        assert_eq!(seen.get(), 20);
    }

    #[test]
    fn slots_are_used_again() {
        let flow = iter(0..5_000).map_async_unordered(3, async |x| x);
        assert_eq!(items(flow), Vec::from_iter(0..5_000));
    }

    #[test]
    #[should_panic(expected = "map_async_unordered: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).map_async_unordered(0, async |x| x);
    }

    conformance!(map_async_unordered, |input| {
        input.map_async_unordered(2, async |x| {
            sleep(u64::from(x.value() % 3)).await;
            x
        })
    }, except [
        NoAllocation: "the sleep in each future has a queue of its own",
    ]);
    conformance!(map_async_unordered_of_ready_futures, |input| {
        input.map_async_unordered(4, async |x| x)
    });

    specification!(
        map_async_unordered,
        |input| { sorted_line(input.map_async_unordered(3, |x| after(1 + i64::from(x % 4), x))) },
        |input| unordered(input, 3, |x| 1 + i64::from(x % 4))
    );

    marbles!(map_async_unordered, |input| {
        input.map_async_unordered(3, |x| async move {
            let mut alarm = crate::Alarm::new();
            let due = alarm.now()
                + ms(if x == 'a' {
                    5
                } else if x == 'b' {
                    1
                } else {
                    4
                });
            alarm.set(due);
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            x
        })
    });
}
