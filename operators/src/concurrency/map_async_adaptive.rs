//! `map_async_adaptive`: a future for each item, as many at a time as the latency allows.

use std::future::Future;

use super::in_flight::Order;
use super::{Adaptive, AdaptiveGate, AdaptiveLimit, MapAsync, Measured};
use crate::{Clock, Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs `f(item)` for as many items at a time as the latency of the futures allows, and emits
    /// the results in the order of the items.
    ///
    /// ```text
    /// in   abcd-------|
    /// out  --a-b-c-d--|    map_async_adaptive(Adaptive::new(1..=64), |x| after(ms(2), x))
    /// ```
    ///
    /// It is [`map_async`](Self::map_async) with a limit that looks for the knee, up to which the
    /// server behind the futures gets faster with more of them, and follows when the knee moves:
    /// see [`Adaptive`] for the rule. Its [`limit`](Adaptive::limit) can be read, logged and
    /// lowered while the flow runs. One `Adaptive` belongs to one flow, as one server should.
    ///
    /// - **Emits** a result when its future and those of all earlier items are ready.
    /// - **Backpressures** when as many futures run as the limit says, or as many results wait as
    ///   the range allows.
    /// - **Ends** when the input has ended and the last result is out.
    /// - **On error**: an error is an item here, and its latency counts: see
    ///   [`AdaptiveLimit::back_off`](super::AdaptiveLimit::back_off). A panic in `f` or in a future
    ///   comes out of the poll, and the flow has ended then.
    /// - **Holds** as many items as the range allows, as futures and as results.
    /// - **Cost**: two allocations for each of them at construction, none for an item; two clock
    ///   reads and three short locks for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, concurrency::Adaptive, iter, time::Edges};
    /// # use std::time::Duration;
    /// let adaptive = Adaptive::new(1..=64);
    /// let limit = adaptive.limit();
    /// let answers = iter(0..1_000).map_async_adaptive(adaptive, async |x| {
    ///     // A request to a server that is fast enough for any number of them.
    ///     iter([x]).delay(Duration::from_millis(10), 1).last().await
    /// });
    /// assert_eq!(Virtual::new().run(answers.count()), 1_000);
    /// assert_eq!(limit.get(), 64);
    /// ```
    #[doc(alias("adaptive_concurrency", "concurrency_limits", "gradient", "aimd", "vegas"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "`MapAsync` with its parts")]
    pub fn map_async_adaptive<F, Fut>(
        self,
        adaptive: Adaptive,
        f: F,
    ) -> Flow<MapAsync<S, impl FnMut(S::Item) -> Measured<Fut>, Measured<Fut>, AdaptiveGate>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future,
    {
        let (most, gate, f) = (adaptive.most(), adaptive.gate(), measured(adaptive.limit(), f));
        let name = "map_async_adaptive";
        Flow::from_stage(MapAsync::gated(self, most, f, Order::Started, gate, name))
    }

    /// [`map_async_adaptive`](Self::map_async_adaptive), and emits each result when it is ready.
    ///
    /// ```text
    /// in   abcd-------|
    /// out  --a-b-c-d--|    map_async_adaptive_unordered(Adaptive::new(1..=64), |x| after(ms(2), x))
    /// ```
    ///
    /// - **Emits** a result when its future is ready.
    /// - **Backpressures** when as many futures run as the limit says, or as many results wait as
    ///   the range allows.
    /// - **Ends** when the input has ended and the last result is out.
    /// - **On error**: as [`map_async_adaptive`](Self::map_async_adaptive).
    /// - **Holds** as many items as the range allows, as futures and as results.
    /// - **Cost**: that of [`map_async_adaptive`](Self::map_async_adaptive).
    ///
    /// ```
    /// # use aqueduct_operators::{concurrency::Adaptive, iter};
    /// # futures::executor::block_on(async {
    /// let doubled = iter([1, 2]).map_async_adaptive_unordered(Adaptive::new(1..=8), async |x| 2 * x);
    /// assert_eq!(doubled.count().await, 2);
    /// # });
    /// ```
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "`MapAsync` with its parts")]
    pub fn map_async_adaptive_unordered<F, Fut>(
        self,
        adaptive: Adaptive,
        f: F,
    ) -> Flow<MapAsync<S, impl FnMut(S::Item) -> Measured<Fut>, Measured<Fut>, AdaptiveGate>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future,
    {
        let (most, gate, f) = (adaptive.most(), adaptive.gate(), measured(adaptive.limit(), f));
        let name = "map_async_adaptive_unordered";
        Flow::from_stage(MapAsync::gated(self, most, f, Order::Ready, gate, name))
    }
}

/// `f` with futures whose latency counts.
fn measured<T, Fut>(
    limit: AdaptiveLimit,
    mut f: impl FnMut(T) -> Fut,
) -> impl FnMut(T) -> Measured<Fut> {
    let mut clock = None;
    move |item| limit.measure(f(item), clock.get_or_insert_with(Clock::current))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::testing::{
        Timeline, after, conformance, items, marbles, sorted_line, specification, timeline,
        timetable, unordered,
    };
    use crate::{Virtual, iter};

    async fn sleep(micros: u64) {
        iter([()]).delay(std::time::Duration::from_micros(micros), 1).count().await;
    }

    fn now() -> i64 {
        Clock::current().now().as_millis()
    }

    /// A server with so many workers and a queue before them.
    struct Server {
        workers: Semaphore,
        micros: Cell<u64>,
        /// Workers that leave when they are done.
        leaving: Cell<u32>,
    }

    impl Server {
        fn new(workers: usize) -> Self {
            Self {
                workers: Semaphore::new(workers),
                micros: Cell::new(10_000),
                leaving: Cell::new(0),
            }
        }

        async fn answer(&self, x: u32) -> u32 {
            let worker = self.workers.acquire().await.unwrap();
            sleep(self.micros.get()).await;
            if self.leaving.get() > 0 {
                self.leaving.set(self.leaving.get() - 1);
                worker.forget();
            }
            x
        }
    }

    /// What was seen when so many answers were there.
    #[derive(Debug, Clone, Copy)]
    struct Seen {
        millis: i64,
        limit: usize,
        latency: f64,
    }

    /// Runs `count` requests, calls `event` at each answer, and looks at every 500th.
    fn run(server: &Server, count: u32, tolerance: f64, event: impl Fn(u32)) -> Vec<Seen> {
        let adaptive = Adaptive::new(1..=256).tolerance(tolerance);
        let limit: AdaptiveLimit = adaptive.limit();
        let mut seen = Vec::new();
        let answers = iter(0..count).map_async_adaptive_unordered(adaptive, |x| server.answer(x));
        let mut answered = 0;
        Virtual::new().run(answers.for_each(|_| {
            answered += 1;
            event(answered);
            if answered % 500 == 0 {
                let latency = limit.latency().unwrap().as_secs_f64() * 1_000.0;
                seen.push(Seen { millis: now(), limit: limit.get(), latency });
            }
        }));
        seen
    }

    /// Answers for each millisecond between two looks.
    fn rate(seen: &[Seen], from: usize, to: usize) -> f64 {
        500.0 * (to - from) as f64 / (seen[to].millis - seen[from].millis) as f64
    }

    #[test]
    fn it_finds_the_knee_of_a_server_with_a_queue() {
        for (workers, limits) in [(4, 6..=9), (16, 20..=28), (64, 70..=95)] {
            let server = Server::new(workers);
            let seen = run(&server, 20_000, 1.2, |_| ());
            let full = workers as f64 / 10.0;
            assert!(rate(&seen, 4, 39) > 0.95 * full, "{} of {full}", rate(&seen, 4, 39));
            let settled = seen[4..].iter().filter(|seen| limits.contains(&seen.limit)).count();
            // The others are looks at the unloaded latency.
            assert!(settled >= 33, "{workers}: {settled} of {seen:?}");
            assert!(seen[39].latency < 23.0, "{:?}", seen[39]);
        }
    }

    #[test]
    fn it_follows_a_server_that_gets_more_workers_and_loses_them() {
        let server = Server::new(16);
        let seen = run(&server, 40_000, 1.2, |answered| match answered {
            10_000 => server.workers.add_permits(48),
            25_000 => server.leaving.set(48),
            _ => {}
        });
        assert!(rate(&seen, 25, 48) > 0.95 * 6.4, "{}", rate(&seen, 25, 48));
        // One of them may be a look at the unloaded latency.
        let near = |from: usize, limits: std::ops::RangeInclusive<usize>| {
            seen[from..from + 4].iter().filter(|seen| limits.contains(&seen.limit)).count() >= 3
        };
        assert!(near(14, 20..=28) && near(44, 70..=95) && near(74, 20..=28), "{seen:?}");
    }

    #[test]
    fn a_server_that_becomes_slower_at_any_load_keeps_its_limit() {
        let server = Server::new(16);
        let seen = run(&server, 40_000, 1.2, |answered| {
            if answered == 10_000 {
                server.micros.set(40_000);
            }
        });
        let settled = seen[60..].iter().filter(|seen| (20..=28).contains(&seen.limit)).count();
        assert!(settled >= 16, "{seen:?}");
    }

    #[test]
    fn results_come_in_the_order_of_the_items_or_as_they_are_ready() {
        let wait = async |micros| {
            sleep(micros).await;
            micros / 1_000
        };
        let input = || timetable([(0, 5_000), (0, 1_000), (0, 3_000)], 1);
        let ordered = input().map_async_adaptive(Adaptive::new(4..=8), wait);
        assert_eq!(timeline(ordered), (vec![(5, 5), (5, 1), (5, 3)], 5));
        let unordered = input().map_async_adaptive_unordered(Adaptive::new(4..=8), wait);
        assert_eq!(timeline(unordered), (vec![(1, 1), (3, 3), (5, 5)], 5));
    }

    #[test]
    fn a_future_that_is_dropped_does_not_count_as_running() {
        let adaptive = Adaptive::new(2..=4);
        let limit = adaptive.limit();
        let mut flow = iter(0..9).map_async_adaptive(adaptive, async |_| sleep(1_000_000).await);
        Virtual::new().run(async {
            assert!(futures::poll!(flow.next()).is_pending());
            assert_eq!((limit.running(), limit.get(), limit.latency()), (2, 2, None));
            limit.back_off();
            drop(flow);
            assert_eq!(limit.running(), 0);
        });
    }

    #[test]
    fn a_refused_request_halves_the_limit() {
        let adaptive = Adaptive::new(1..=256);
        let limit = adaptive.limit();
        let most = Cell::new(0);
        // Refuses at once what comes beyond 20: that looks fast.
        let flow = iter(0..5_000).map_async_adaptive_unordered(adaptive, async |_| {
            if limit.running() > 20 {
                limit.back_off();
            } else {
                sleep(10_000).await;
            }
            most.set(most.get().max(limit.get()));
        });
        assert_eq!(items(flow).len(), 5_000);
        assert!(most.get() < 50, "{}", most.get());
    }

    #[test]
    #[should_panic(expected = "the limits must be a range from 1 or more, not 0..=4, at operators")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = Adaptive::new(0..=4);
    }

    #[test]
    #[should_panic(expected = "Adaptive: the tolerance must be 1 or more, not 0.5, at operators")]
    fn a_tolerance_below_one_is_refused_where_it_was_written() {
        let _ = Adaptive::new(1..=4).tolerance(0.5);
    }

    conformance!(map_async_adaptive, |input| {
        input.map_async_adaptive(Adaptive::new(1..=2), async |x| {
            sleep(1_000 * u64::from(x.value() % 3)).await;
            x
        })
    }, except [
        NoAllocation: "the sleep in each future has a queue of its own",
    ]);
    conformance!(map_async_adaptive_of_ready_futures, |input| {
        input.map_async_adaptive_unordered(Adaptive::new(1..=4), async |x| x)
    });
    // Within a range of one limit it is the operator with that limit.
    specification!(
        map_async_adaptive,
        |input| input.map_async_adaptive(Adaptive::new(3..=3), |x| after(1 + i64::from(x % 4), x)),
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
    specification!(
        map_async_adaptive_unordered,
        |input| sorted_line(input.map_async_adaptive_unordered(Adaptive::new(3..=3), |x| {
            after(1 + i64::from(x % 4), x)
        })),
        |input| unordered(input, 3, |x| 1 + i64::from(x % 4))
    );
    marbles!(map_async_adaptive, |input| {
        input.map_async_adaptive(Adaptive::new(1..=64), async |x| {
            sleep(2_000).await;
            x
        })
    });
    marbles!(map_async_adaptive_unordered, |input| {
        input.map_async_adaptive_unordered(Adaptive::new(1..=64), async |x| {
            sleep(2_000).await;
            x
        })
    });
}
