//! `for_each_async`: an async body for each item, one at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::bodies::Bodies;
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and awaits `body` for each item, one item after the other.
    ///
    /// ```text
    /// in     --a-b---|
    /// body   --[ ][ ]
    /// out    --------(x|)    for_each_async(body)
    /// where  x = ()
    /// ```
    ///
    /// While a body is pending, work in flight above it goes on: futures of a `map_async` are
    /// polled, a `buffer` fills. Nothing that a body waits for can be frozen by the body itself.
    ///
    /// - **Emits** nothing; the future is ready when the last body is.
    /// - **Backpressures** while a body is pending.
    /// - **Ends** when the input has ended and the last body is ready.
    /// - **On error**: a panic in a body comes out of the future.
    /// - **Holds** 1 item, in its body.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (tx, mut rx) = tokio::sync::mpsc::channel(4);
    /// let tx = &tx;
    /// aqueduct_operators::iter([1, 2]).for_each_async(async |x| tx.send(x).await.unwrap()).await;
    /// assert_eq!(rx.recv().await, Some(1));
    /// # });
    /// ```
    #[doc(alias("subscribe", "run_foreach_async"))]
    pub fn for_each_async<F, Fut>(self, body: F) -> ForEachAsync<S, F, Fut>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future<Output = ()>,
    {
        ForEachAsync { bodies: Bodies::new(self, body) }
    }
}

/// The future behind [`Flow::for_each_async`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct ForEachAsync<S, F, Fut> {
    #[pin]
    bodies: Bodies<S, F, Fut>,
}

impl<S, F, Fut> Future for ForEachAsync<S, F, Fut>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut bodies = self.project().bodies;
        while let Some(()) = ready!(bodies.as_mut().poll_body(cx)) {}
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Clock, Overflow, Virtual, from_future, iter};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    fn now() -> i64 {
        Clock::current().now().as_millis()
    }

    #[test]
    fn one_body_runs_at_a_time_and_the_future_is_ready_after_the_last() {
        let log = RefCell::new(Vec::new());
        let ended = Virtual::new().run(async {
            let flow = timetable([(1, 'a'), (2, 'b'), (30, 'c')], 31);
            let body = async |item| {
                log.borrow_mut().push((now(), item));
                sleep(10).await;
            };
            flow.for_each_async(body).await;
            now()
        });
        assert_eq!((log.take(), ended), (vec![(1, 'a'), (11, 'b'), (30, 'c')], 40));
    }

    #[test]
    fn work_in_flight_goes_on_while_a_body_is_pending() {
        let taken = Cell::new(0);
        let flow = iter(0..3).map_async(2, async |x| {
            sleep(10).await;
            taken.set(taken.get() + 1);
            x
        });
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(flow.for_each_async(async |_| {
            sleep(25).await;
            seen.borrow_mut().push((now(), taken.get()));
        }));
        // The third started when the first was taken, and was ready in the middle of a body.
        assert_eq!(seen.take(), [(35, 3), (60, 3), (85, 3)]);
    }

    #[test]
    fn a_buffer_fills_while_a_body_is_pending() {
        let flow = timetable([(0, 'a'), (1, 'b'), (2, 'c')], 3).buffer(1, Overflow::Latest);
        let seen = RefCell::new(String::new());
        Virtual::new().run(flow.for_each_async(async |item| {
            seen.borrow_mut().push(item);
            sleep(10).await;
        }));
        assert_eq!(seen.take(), "ac");
    }

    marbles!(for_each_async, |input| input.for_each_async(|_| async { sleep(3).await }));

    specification!(
        for_each_async,
        |input| input.for_each_async(|_| async { sleep(3).await }),
        |input| {
            let free = input.events.iter().fold(0, |free: i64, (at, _)| free.max(*at) + 3);
            let end = input.end.max(free);
            Timeline::new([(end, ())], end)
        }
    );

    conformance!(for_each_async, |input| {
        from_future(input.for_each_async(async |x| sleep(u64::from(x.value() % 3)).await))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
