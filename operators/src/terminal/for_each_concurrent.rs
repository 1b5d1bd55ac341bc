//! `for_each_concurrent`: an async body for each item, several at a time.

use std::future::Future;

use super::decide::Decide;
use super::drain::Drain;
use super::try_for_each::TryForEach;
use crate::concurrency::{MapAsync, Order};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and awaits `body` for up to `limit` items at a time.
    ///
    /// ```text
    /// in    --a-b---------|
    /// a     --[    ]
    /// b     ----[       ]
    /// out   --------------(u|)    for_each_concurrent(2, body)
    /// where  u = ()
    /// ```
    ///
    /// Bodies that run go on while the flow is awaited, and work in flight in the flow goes on
    /// while all places are taken.
    ///
    /// - **Emits** nothing; the future is ready when the last body is.
    /// - **Backpressures** when `limit` bodies run.
    /// - **Ends** when the input has ended and the last body is ready.
    /// - **On error**: a panic in a body comes out of the future; the other bodies are dropped with
    ///   it.
    /// - **Holds** `limit` items, in their bodies.
    /// - **Cost**: two allocations for each of `limit` at construction, none for an item, no clock
    ///   read; only bodies that were woken are polled.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # use std::cell::Cell;
    /// # futures::executor::block_on(async {
    /// let sent = Cell::new(0);
    /// let send = async |order: u32| sent.set(sent.get() + order);
    /// aqueduct_operators::iter([1, 2, 3]).for_each_concurrent(2, send).await;
    /// assert_eq!(sent.get(), 6);
    /// # });
    /// ```
    #[doc(alias("for_each_par", "run_foreach_async", "foreach_async"))]
    #[track_caller]
    pub fn for_each_concurrent<F, Fut>(self, limit: usize, body: F) -> Drain<MapAsync<S, F, Fut>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future<Output = ()>,
    {
        let name = "for_each_concurrent";
        Flow::from_stage(MapAsync::new(self, limit, body, Order::Ready, name)).drain()
    }

    /// Runs the flow and awaits `body` for up to `limit` items at a time, until one fails.
    ///
    /// ```text
    /// in    --a-b------
    /// a     --[      ]
    /// b     ----[  ]
    /// out   --------(e|)    try_for_each_concurrent(2, body)
    /// where  e = Err(b)
    /// ```
    ///
    /// - **Emits** `Ok(())` when the last body is ready.
    /// - **Backpressures** when `limit` bodies run.
    /// - **Ends** when the input has ended and the last body is ready, or when a body fails, and
    ///   drops the input and the other bodies then.
    /// - **On error**: the future gives the error of the body. A panic in a body comes out of the
    ///   future.
    /// - **Holds** `limit` items, in their bodies.
    /// - **Cost**: as [`for_each_concurrent`](Self::for_each_concurrent).
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let send = async |order: u32| if order == 2 { Err("rejected") } else { Ok(()) };
    /// let done = aqueduct_operators::iter([1, 2, 3]).try_for_each_concurrent(2, send);
    /// assert_eq!(done.await, Err("rejected"));
    /// # });
    /// ```
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a future with its parts")]
    pub fn try_for_each_concurrent<E, F, Fut>(
        self,
        limit: usize,
        body: F,
    ) -> Decide<MapAsync<S, F, Fut>, TryForEach<fn(Result<(), E>) -> Result<(), E>>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        let name = "try_for_each_concurrent";
        let bodies = MapAsync::new(self, limit, body, Order::Ready, name);
        Decide::new(Flow::from_stage(bodies), name, TryForEach::new(|outcome| outcome))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Clock, Virtual, from_future, iter};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).drain().await;
    }

    fn now() -> i64 {
        Clock::current().now().as_millis()
    }

    #[test]
    fn so_many_bodies_run_at_a_time_and_the_last_one_ends_it() {
        let log = RefCell::new(Vec::new());
        let ended = Virtual::new().run(async {
            let body = async |item| {
                log.borrow_mut().push((now(), item));
                sleep(10).await;
            };
            iter(['a', 'b', 'c']).for_each_concurrent(2, body).await;
            now()
        });
        assert_eq!((log.take(), ended), (vec![(0, 'a'), (0, 'b'), (10, 'c')], 20));
    }

    #[test]
    fn bodies_go_on_while_the_flow_is_awaited_and_the_flow_while_all_places_are_taken() {
        let done = RefCell::new(Vec::new());
        let made = Cell::new(0);
        Virtual::new().run(async {
            let flow = timetable([(0, 5), (2, 100)], 2).map_async(1, async |time| {
                sleep(3).await;
                made.set(now());
                time
            });
            flow.for_each_concurrent(1, async |time| {
                sleep(time).await;
                done.borrow_mut().push((now(), made.get()));
            })
            .await;
        });
        // The second item was made at 6, while the body of the first ran from 3 to 8.
        assert_eq!(done.take(), [(8, 6), (108, 6)]);
    }

    #[test]
    fn a_failure_drops_the_flow_and_the_other_bodies() {
        let alive = Rc::new(());
        let outcome = Virtual::new().run(async {
            let items = [(0, 50), (1, 3), (2, 50)].map(|(at, time)| (at, (time, alive.clone())));
            let items = iter(items.to_vec()).map(|(_, item)| item);
            let body = async |(time, _alive): (u64, Rc<()>)| {
                sleep(time).await;
                if time == 3 { Err(now()) } else { Ok(()) }
            };
            let outcome = items.try_for_each_concurrent(3, body).await;
            (outcome, now())
        });
        assert_eq!((outcome, Rc::strong_count(&alive)), ((Err(3), 3), 1));
        let fine = iter([1, 2]).try_for_each_concurrent(1, async |_| Ok::<_, ()>(()));
        assert_eq!(Virtual::new().run(fine), Ok(()));
    }

    #[test]
    #[should_panic(expected = "for_each_concurrent: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        drop(iter([1]).for_each_concurrent(0, async |_| ()));
    }

    marbles!(for_each_concurrent, |input| {
        input.for_each_concurrent(2, async |x| sleep(if x == 'a' { 6 } else { 9 }).await)
    });
    marbles!(try_for_each_concurrent, |input| {
        input.try_for_each_concurrent(2, async |x| {
            sleep(if x == 'a' { 8 } else { 4 }).await;
            Err::<(), _>(x)
        })
    });

    specification!(
        for_each_concurrent,
        |input| input.for_each_concurrent(100, async |x| sleep(u64::from(x)).await),
        |input| -> Timeline<()> {
            let ends = input.events.iter().map(|(at, x)| at + i64::from(*x));
            let end = ends.chain([input.end]).max().unwrap();
            Timeline::new([(end, ())], end)
        }
    );

    conformance!(for_each_concurrent, |input| {
        from_future(input.for_each_concurrent(2, async |x| {
            sleep(u64::from(x.value() % 3)).await;
        }))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "the limit bounds the items, and a future has no outline to say so",
    ]);
}
