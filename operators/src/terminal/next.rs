//! `next`: one item, and the flow stays.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::future::FusedFuture;
use futures_core::stream::FusedStream;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// The next item; `None` when the flow has ended, and ever after.
    ///
    /// ```text
    /// in     --a-----b--|
    /// out    --(x|)          next()
    /// where  x = Some(a)
    /// ```
    ///
    /// It borrows the flow and keeps nothing of its own: dropping the future, as a `select!`
    /// does, loses no item. A flow that is not `Unpin` is pinned with [`std::pin::pin!`], and then
    /// it is `futures::StreamExt::next` that gives its items.
    ///
    /// Between two calls nothing drives the flow. Where the loop around it awaits other things,
    /// [`drive_during`](Self::drive_during) or [`for_each_async`](Self::for_each_async) keeps work
    /// in flight moving.
    ///
    /// - **Emits** the next item.
    /// - **Backpressures** between calls: nothing is asked for then.
    /// - **Ends** with the item.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut flow = aqueduct_operators::iter([1, 2]);
    /// while let Some(x) = flow.next().await {
    ///     println!("{x}");
    /// }
    /// assert_eq!(flow.next().await, None);
    /// # });
    /// ```
    #[doc(alias("pull", "receive"))]
    #[expect(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Next<'_, S>
    where
        Self: Unpin,
    {
        Next { flow: self }
    }
}

/// The future behind [`Flow::next`].
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Next<'a, S> {
    flow: &'a mut Flow<S>,
}

impl<S: Stage> Future for Next<'_, S>
where
    Flow<S>: Unpin,
{
    type Output = Option<S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Stage::poll_next(Pin::new(&mut *self.flow), cx)
    }
}

impl<S: Stage> FusedFuture for Next<'_, S>
where
    Flow<S>: Unpin,
{
    fn is_terminated(&self) -> bool {
        FusedStream::is_terminated(&*self.flow)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Virtual, from_future, iter};

    #[test]
    fn the_flow_goes_on_where_the_last_call_left_it_and_stays_ended() {
        Virtual::new().run(async {
            let mut flow = iter([1, 2]);
            assert_eq!(flow.next().await, Some(1));
            assert_eq!(flow.next().await, Some(2));
            assert_eq!(flow.next().await, None);
            assert_eq!(flow.next().await, None);
        });
    }

    #[test]
    fn dropping_the_future_loses_no_item() {
        Virtual::new().run(async {
            let mut flow = timetable([(5, 'a')], 6);
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(flow.next()).poll(&mut cx).is_pending());
            assert_eq!(flow.next().await, Some('a'));
        });
    }

    marbles!(next, |input| async move { pin!(input).next().await });

    specification!(next, |input| async move { pin!(input).next().await }, |input| {
        let first = input.events.first();
        let (at, item) = first.map_or((input.end, None), |(at, item)| (*at, Some(*item)));
        Timeline::new([(at, item)], at)
    });

    conformance!(next, |input| {
        from_future(async move {
            let mut input = input;
            input.next().await
        })
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
