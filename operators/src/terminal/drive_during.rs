//! `drive_during`: a future, and the flow goes on meanwhile.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Awaits `future` and drives work in flight in the flow meanwhile.
    ///
    /// ```text
    /// in     ab|
    /// out    ---------(x|)    map_async(1, two naps of 2); next(), drive_during(nap of 5), next()
    /// where  x = Some(b)
    /// ```
    ///
    /// Between two calls of [`next`](Self::next) nothing polls the flow: its futures run into their
    /// timeouts, and one that holds a lock, or stands in the queue for it, keeps it for ever if the
    /// body of the loop waits for the same lock. A body that awaits anything goes in here; so does
    /// the body of a branch of `select!`, in which another branch is `flow.next()`. No item is
    /// taken. [`for_each_async`](Self::for_each_async) does this by itself.
    ///
    /// - **Emits** what the future gives.
    /// - **Backpressures** all the time: nothing is asked for.
    /// - **Ends** with the future.
    /// - **On error**: a panic in the future or in work in flight comes out of the poll.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read; a poll of the flow's work in flight for each poll
    ///   of the future.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let mut answers = iter(1..=3).map_async(2, async |x| x * 10);
    /// let mut sum = 0;
    /// while let Some(x) = answers.next().await {
    ///     sum += answers.drive_during(async { x + 1 }).await;
    /// }
    /// assert_eq!(sum, 63);
    /// # });
    /// ```
    #[doc(alias("poll_progress", "while_awaiting", "join"))]
    pub fn drive_during<Fut>(&mut self, future: Fut) -> DriveDuring<'_, S, Fut>
    where
        Self: Unpin,
        Fut: Future,
    {
        DriveDuring { flow: self, future }
    }
}

/// The future behind [`Flow::drive_during`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled"]
pub struct DriveDuring<'a, S, Fut> {
    flow: &'a mut Flow<S>,
    #[pin]
    future: Fut,
}

impl<S: Stage, Fut: Future> Future for DriveDuring<'_, S, Fut>
where
    Flow<S>: Unpin,
{
    type Output = Fut::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Fut::Output> {
        let this = self.project();
        let polled = this.future.poll(cx);
        if polled.is_pending() {
            // Both register the waker; only the future decides when to go on.
            let _ = Pin::new(&mut **this.flow).poll_progress(cx);
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::testing::{Timeline, conformance, marbles, ms, specification};
    use crate::{Clock, Virtual, from_future, iter};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn work_in_flight_goes_on_and_no_item_is_taken() {
        let (started, finished) = (Cell::new(0), Cell::new(0));
        let mut flow = iter(0..9).map_async(2, |x| {
            started.set(started.get() + 1);
            let finished = &finished;
            async move {
                sleep(3).await;
                finished.set(finished.get() + 1);
                x
            }
        });
        Virtual::new().run(async {
            assert_eq!(flow.next().await, Some(0));
            assert_eq!(
                flow.drive_during(async {
                    sleep(50).await;
                    'b'
                })
                .await,
                'b'
            );
            assert_eq!((started.get(), finished.get()), (3, 3));
            assert_eq!(flow.next().await, Some(1));
        });
    }

    // Work that nobody drives would begin its second nap only when it is asked for, at 9.
    marbles!(drive_during, |input| {
        let mut flow = Box::pin(input.map_async(1, async |x| {
            sleep(2).await;
            sleep(2).await;
            x
        }));
        async move {
            flow.next().await;
            flow.drive_during(sleep(5)).await;
            flow.next().await
        }
    });

    specification!(
        drive_during,
        |input| async move {
            let mut flow = input;
            let mut taken = Vec::new();
            while let Some(x) = flow.next().await {
                taken.push((Clock::current().now().as_millis(), x));
                flow.drive_during(sleep(3)).await;
            }
            taken
        },
        |input| {
            let mut free = 0;
            let taken = input.flat_map(|at, x| {
                let at = at.max(free);
                free = at + 3;
                [(at, x)]
            });
            let end = taken.end.max(free);
            Timeline::new([(end, taken.items())], end)
        }
    );

    conformance!(drive_during, |input| {
        from_future(async move {
            let mut flow = input;
            while let Some(x) = flow.next().await {
                flow.drive_during(sleep(u64::from(x.value() % 3))).await;
            }
        })
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
