//! `into_channel`: all items into a channel.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use crate::buffer::{Offered, Store, Ticket};
use crate::source::SendError;
use crate::{Flow, Sender, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow into a [`channel`](crate::channel()), and drops the sender at the end.
    ///
    /// ```text
    /// in       --a-b-----c--|
    /// out      -------------(s|)    into_channel(sender)
    /// channel  --a-b-----c--|
    /// where  s = Ok(())
    /// ```
    ///
    /// If the sender is the last one, the flow of the channel ends with this one. Several flows can
    /// feed one channel through clones of its sender.
    ///
    /// - **Emits** nothing; the future is ready when every item was sent.
    /// - **Backpressures** while the channel is full, if its policy is to wait; work in flight in
    ///   this flow goes on meanwhile.
    /// - **Ends** when the input has ended, or when the channel is closed, and drops the input
    ///   then. That a channel is closed shows when an item is sent.
    /// - **On error**: a closed channel ends the future with the item that could not be sent. An
    ///   error from the input is an item here and is sent.
    /// - **Holds** 1 item, while the channel has no room for it; dropping the future drops it.
    /// - **Cost**: one lock for an item, no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{Overflow, channel, iter};
    /// let (sender, received) = channel(16, Overflow::Block);
    /// iter([1, 2, 3]).into_channel(sender).await.unwrap();
    /// assert_eq!(received.count().await, 3);
    /// # });
    /// ```
    #[doc(alias("produce_in", "to_queue", "run_into_queue", "pipe_to", "send_all"))]
    pub fn into_channel<St>(self, sender: Sender<S::Item, St>) -> IntoChannel<S, St>
    where
        St: Store<S::Item>,
    {
        IntoChannel {
            flow: Some(self),
            sender: Some(sender),
            unsent: None,
            ticket: Ticket::default(),
        }
    }
}

/// The future behind [`Flow::into_channel`].
#[pin_project(PinnedDrop)]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct IntoChannel<S: Stage, St: Store<S::Item>> {
    /// `None` once the future is over.
    #[pin]
    flow: Option<Flow<S>>,
    sender: Option<Sender<S::Item, St>>,
    /// Came when there was no room.
    unsent: Option<S::Item>,
    ticket: Ticket,
}

impl<S: Stage, St: Store<S::Item>> Future for IntoChannel<S, St> {
    type Output = Result<(), SendError<S::Item>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let (Some(mut flow), Some(sender)) =
            (this.flow.as_mut().as_pin_mut(), this.sender.as_ref())
        else {
            panic!("into_channel: polled again after it was over")
        };
        let edge = sender.edge();
        let outcome = loop {
            if let Some(item) = this.unsent.take() {
                match edge.poll_offer(item, this.ticket, cx) {
                    Offered::Accepted | Offered::Failed => {}
                    Offered::Closed(item) => break Err(SendError(item)),
                    Offered::Full(item) => {
                        *this.unsent = Some(item);
                        let _ = flow.as_mut().poll_progress(cx);
                        return Poll::Pending;
                    }
                }
            }
            let drained = flow.as_mut().poll_drain(cx, &mut |item| match edge.offer(item) {
                Offered::Accepted | Offered::Failed => ControlFlow::Continue(()),
                Offered::Full(item) => ControlFlow::Break((item, true)),
                Offered::Closed(item) => ControlFlow::Break((item, false)),
            });
            match drained {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(ControlFlow::Continue(())) => break Ok(()),
                Poll::Ready(ControlFlow::Break((item, true))) => *this.unsent = Some(item),
                Poll::Ready(ControlFlow::Break((item, false))) => break Err(SendError(item)),
            }
        };
        this.flow.set(None);
        *this.sender = None;
        Poll::Ready(outcome)
    }
}

#[pinned_drop]
impl<S: Stage, St: Store<S::Item>> PinnedDrop for IntoChannel<S, St> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some(sender) = this.sender {
            sender.edge().leave(this.ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    use futures::future::join;

    use super::*;
    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Ambient, Clock, Fail, Overflow, Virtual, channel, from_future, iter};

    #[test]
    fn the_consumer_sets_the_pace_and_the_end_of_the_flow_ends_the_channel() {
        let (sender, received) = channel(1, Overflow::Block);
        let seen = RefCell::new(Vec::new());
        let consume = received.for_each_async(async |item| {
            seen.borrow_mut().push((Clock::current().now().as_millis(), item));
            iter([()]).delay(ms(10), 1).drain().await;
        });
        let (sent, ()) = Virtual::new().run(join(iter(0..4).into_channel(sender), consume));
        assert_eq!((sent, seen.take()), (Ok(()), vec![(0, 0), (10, 1), (20, 2), (30, 3)]));
    }

    #[test]
    fn a_closed_channel_drops_the_flow_and_gives_the_item_back() {
        let owned = Rc::new(());
        let inside = owned.clone();
        let (sender, received) = channel(1, Overflow::Block);
        let flow = iter(0..).inspect(move |_| _ = &inside);
        let mut sending = pin!(flow.into_channel(sender));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sending.as_mut().poll(&mut cx).is_pending());
        assert_eq!(Rc::strong_count(&owned), 2);
        drop(received);
        assert_eq!(sending.as_mut().poll(&mut cx), Poll::Ready(Err(SendError(1))));
        assert_eq!(Rc::strong_count(&owned), 1);
    }

    #[test]
    fn a_channel_that_was_closed_before_takes_nothing() {
        let (sender, received) = channel(4, Overflow::Block);
        drop(received);
        let sent = Virtual::new().run(iter(['a', 'b']).into_channel(sender));
        assert_eq!(sent, Err(SendError('a')));
    }

    #[test]
    fn the_flow_goes_on_while_the_channel_is_full() {
        let (sender, received) = channel(1, Overflow::Block);
        let made = RefCell::new(Vec::new());
        let flow = iter(0..3).map_async(1, async |n| {
            iter([()]).delay(ms(1), 1).drain().await;
            made.borrow_mut().push((Clock::current().now().as_millis(), n));
            n
        });
        let late = async {
            iter([()]).delay(ms(50), 1).drain().await;
            received.count().await
        };
        let (_, count) = Virtual::new().run(join(flow.into_channel(sender), late));
        assert_eq!((count, made.take()), (3, vec![(1, 0), (2, 1), (3, 2)]));
    }

    #[test]
    fn a_sender_that_is_dropped_while_it_waits_leaves_its_place() {
        let (sender, mut received) = channel(1, Overflow::Block);
        let other = sender.clone();
        let mut cx = Context::from_waker(Waker::noop());
        let mut waiting = Box::pin(iter(0..9).into_channel(sender));
        assert!(waiting.as_mut().poll(&mut cx).is_pending());
        let mut second = pin!(timetable([(0, 9)], 0).into_channel(other));
        Virtual::new().run(async {
            drop(waiting);
            let all = async {
                let mut all = Vec::new();
                while let Some(item) = received.next().await {
                    all.push(item);
                }
                all
            };
            let (sent, all) = join(second.as_mut(), all).await;
            assert_eq!((sent, all), (Ok(()), vec![0, 9]));
        });
    }

    #[test]
    fn a_channel_that_fails_takes_the_item_and_is_closed_for_the_next() {
        let (sender, received) = channel(1, Fail);
        let sent = Virtual::new().run(iter(0..9).into_channel(sender));
        assert_eq!(sent, Err(SendError(2)));
        assert_eq!(Virtual::new().run(received.count()), 2);
    }

    marbles!(into_channel[out, channel], |input| {
        let (sender, received) = channel(16, Overflow::Block);
        (input.into_channel(sender), received)
    });

    specification!(
        into_channel,
        |input| {
            let (sender, received) = channel(2, Overflow::Block);
            let received = received.map(|item| (Clock::current().now().as_millis(), item));
            join(input.into_channel(sender), received.collect::<Vec<_>>())
        },
        |input| Timeline::new([(input.end, (Ok(()), input.events))], input.end)
    );

    conformance!(into_channel, |input| {
        let (sender, received) = channel(2, Overflow::Block);
        from_future(async move {
            // In a task of its own, so that only room in the channel wakes the sender.
            let _drain = Ambient::current().spawn(received.drain());
            input.into_channel(sender).await
        })
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "the channel holds its capacity, and a future has no outline to say so",
    ]);
}
