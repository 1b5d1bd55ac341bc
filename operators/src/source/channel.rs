//! `channel`: a flow that other code feeds.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;

use crate::buffer::{Counts, Edge, Offered, Outlet, Policy, Ring, Store, Ticket, checked};
use crate::{Bound, Flow, Outline, Site, Stage};

/// A flow of what its senders bring, and the first of them.
///
/// ```text
/// send  --a-b----c-|    and the last sender is dropped
/// out   --a-b----c-|    channel(16, Overflow::Block)
/// ```
///
/// How callbacks, other tasks and other threads feed a flow. Under `Block` a sender waits while
/// `capacity` items are held; under the other policies it never does, except for a new key under
/// `ConflateBy`. With a capacity of 16 or more, items that wait leave in batches, and the room of
/// a batch is given back half of the capacity at a time at most, or while the consumer's body is
/// pending.
///
/// - **Emits** what was sent, in the order of the policy; under [`Fail`](crate::Fail) as
///   `Result`s.
/// - **Backpressures** its senders as the policy says.
/// - **Ends** when the last sender is dropped and what is held is out; under `Fail` after the
///   error.
/// - **On error**: an error is an item here. A flow that is dropped gives senders their item back.
/// - **Holds** `capacity` items; under `ConflateBy` one for each of `capacity` keys. An item whose
///   sender waits is held by the sender.
/// - **Cost**: one lock for an item to send, under `Block` one for a batch to take. No allocation
///   once the queue has grown; the clock is read once a slice.
///
/// # Panics
///
/// If `capacity` is zero.
///
/// ```
/// # use aqueduct_operators::{Overflow, channel};
/// # futures::executor::block_on(async {
/// let (sender, ticks) = channel(16, Overflow::Block);
/// sender.send(1).await.unwrap();
/// sender.try_send(2).unwrap();
/// drop(sender);
/// assert_eq!(ticks.fold(0, |sum, x| sum + x).await, 3);
/// # });
/// ```
#[doc(alias("callback_flow", "emitter", "queue", "mpsc", "create", "push"))]
#[track_caller]
#[expect(clippy::type_complexity, reason = "a sender and a flow")]
pub fn channel<T, P: Policy<T>>(
    capacity: usize,
    policy: P,
) -> (Sender<T, P::Store>, Flow<Channel<T, P>>) {
    channel_named("channel", capacity, policy, Location::caller())
}

/// A [`channel`] as a part of the operator `name`.
#[expect(clippy::type_complexity, reason = "a sender and a flow")]
pub(super) fn channel_named<T, P: Policy<T>>(
    name: &'static str,
    capacity: usize,
    policy: P,
    site: Site,
) -> (Sender<T, P::Store>, Flow<Channel<T, P>>) {
    let capacity = checked(capacity, name, site);
    let (policy_name, bound) = (policy.name(), policy.bound(capacity));
    let (edge, outlet) = Edge::new(policy.into_store(capacity, site));
    let sender = Sender { inlet: Arc::new(Inlet { edge }) };
    let capacity = capacity.get();
    let flow = Channel { outlet, capacity, policy: policy_name, bound, name, site };
    (sender, Flow::from_stage(flow))
}

/// Feeds the flow of a [`channel`]. Clones feed the same flow.
#[derive(Debug)]
pub struct Sender<T, S: Store<T> = Ring<T>> {
    inlet: Arc<Inlet<T, S>>,
}

/// Shared by all senders: dropped with the last one.
#[derive(Debug)]
struct Inlet<T, S: Store<T>> {
    edge: Arc<Edge<T, S>>,
}

impl<T, S: Store<T>> Drop for Inlet<T, S> {
    fn drop(&mut self) {
        self.edge.close();
    }
}

impl<T, S: Store<T>> Clone for Sender<T, S> {
    fn clone(&self) -> Self {
        Self { inlet: self.inlet.clone() }
    }
}

impl<T, S: Store<T>> Sender<T, S> {
    /// Sends an item; waits for room if that is the policy. Senders that wait are woken in the
    /// order in which they began to.
    ///
    /// An item that is dropped by the policy, or makes a channel under `Fail` fail, counts as
    /// sent: see [`counts`](Self::counts). A future that is dropped while it waits has sent
    /// nothing.
    pub fn send(&self, item: T) -> Sending<'_, T, S> {
        Sending { edge: &self.inlet.edge, item: Some(item), ticket: Ticket::default() }
    }

    /// Sends an item without waiting.
    pub fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        match self.inlet.edge.offer(item) {
            Offered::Accepted | Offered::Failed => Ok(()),
            Offered::Full(item) => Err(TrySendError::Full(item)),
            Offered::Closed(item) => Err(TrySendError::Closed(item)),
        }
    }

    /// Where it sends to, for a terminal that waits for room itself.
    pub(crate) fn edge(&self) -> &Edge<T, S> {
        &self.inlet.edge
    }

    /// This sender as a [`futures::Sink`](Sink), for whatever forwards into one: it is ready while
    /// the channel has room, flushed when its items are in the channel, and closed when this
    /// sender is dropped. The flow ends if it was the last one.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, Virtual, channel, iter};
    /// let (sender, flow) = channel(16, Overflow::Block);
    /// let both = async { futures::join!(iter(0..100).forward(sender.into_sink()), flow.count()) };
    /// assert_eq!(Virtual::new().run(both), (Ok(()), 100));
    /// ```
    pub fn into_sink(self) -> SenderSink<T, S> {
        SenderSink { sender: Some(self), item: None, ticket: Ticket::default() }
    }

    /// Whether the flow was dropped or has failed, so that nothing can be sent any more.
    pub fn is_closed(&self) -> bool {
        self.inlet.edge.is_closed()
    }

    /// What became of the items so far. Items of a batch that is on its way out count as held
    /// until its room is given back.
    pub fn counts(&self) -> Counts {
        self.inlet.edge.counts()
    }
}

/// A [`Sender`] as a [`futures::Sink`](Sink): see [`Sender::into_sink`].
#[derive(Debug)]
pub struct SenderSink<T, S: Store<T> = Ring<T>> {
    /// `None` once it is closed.
    sender: Option<Sender<T, S>>,
    /// Taken, and another sender was faster.
    item: Option<T>,
    ticket: Ticket,
}

// The item is never pinned.
impl<T, S: Store<T>> Unpin for SenderSink<T, S> {}

impl<T, S: Store<T>> SenderSink<T, S> {
    fn edge(&self) -> Result<Arc<Edge<T, S>>, SendError<()>> {
        self.sender.as_ref().map(|sender| sender.inlet.edge.clone()).ok_or(SendError(()))
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError<()>>> {
        let Some(item) = self.item.take() else {
            return Poll::Ready(Ok(()));
        };
        match self.edge()?.poll_offer(item, &mut self.ticket, cx) {
            Offered::Accepted | Offered::Failed => Poll::Ready(Ok(())),
            Offered::Closed(_) => Poll::Ready(Err(SendError(()))),
            Offered::Full(item) => {
                self.item = Some(item);
                Poll::Pending
            }
        }
    }
}

impl<T, S: Store<T>> Sink<T> for SenderSink<T, S> {
    type Error = SendError<()>;

    fn poll_ready(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        let this = &mut *self;
        ready!(this.poll_send(cx))?;
        let edge = this.edge()?;
        if edge.is_closed() {
            return Poll::Ready(Err(SendError(())));
        }
        // With other senders no promise: then the item waits here.
        edge.poll_room(&mut this.ticket, cx).map(|room| room.map(|_| ()).ok_or(SendError(())))
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), SendError<()>> {
        match self.edge()?.offer(item) {
            Offered::Accepted | Offered::Failed => Ok(()),
            Offered::Closed(_) => Err(SendError(())),
            Offered::Full(item) => {
                self.item = Some(item);
                Ok(())
            }
        }
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        self.poll_send(cx)
    }

    fn poll_close(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SendError<()>>> {
        let sent = ready!(self.poll_send(cx));
        self.sender = None;
        Poll::Ready(sent)
    }
}

impl<T, S: Store<T>> Drop for SenderSink<T, S> {
    fn drop(&mut self) {
        if let Some(sender) = &self.sender {
            sender.inlet.edge.leave(&mut self.ticket);
        }
    }
}

/// The flow was dropped or has failed: here is the item that could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the channel is closed: its flow was dropped, or failed because it was full")]
pub struct SendError<T>(pub T);

/// Why an item was not sent at once; it is handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TrySendError<T> {
    /// There is no room, and the policy is to wait.
    #[error("the channel is full; wait with `send`, or give it more room or another policy")]
    Full(T),
    /// The flow was dropped, or failed because it was full.
    #[error("the channel is closed: its flow was dropped, or failed because it was full")]
    Closed(T),
}

/// The future behind [`Sender::send`].
#[derive(Debug)]
#[must_use = "nothing is sent before the future is polled"]
pub struct Sending<'a, T, S: Store<T>> {
    edge: &'a Edge<T, S>,
    /// `None` once it is sent.
    item: Option<T>,
    ticket: Ticket,
}

// The item is never pinned.
impl<T, S: Store<T>> Unpin for Sending<'_, T, S> {}

impl<T, S: Store<T>> Future for Sending<'_, T, S> {
    type Output = Result<(), SendError<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(item) = this.item.take() else { panic!("send: polled again after it was over") };
        match this.edge.poll_offer(item, &mut this.ticket, cx) {
            Offered::Accepted | Offered::Failed => Poll::Ready(Ok(())),
            Offered::Closed(item) => Poll::Ready(Err(SendError(item))),
            Offered::Full(item) => {
                this.item = Some(item);
                Poll::Pending
            }
        }
    }
}

impl<T, S: Store<T>> Drop for Sending<'_, T, S> {
    fn drop(&mut self) {
        self.edge.leave(&mut self.ticket);
    }
}

/// A sender, and the item that it is to send: for stages that feed a channel.
#[derive(Debug)]
pub(crate) struct Outbox<T, S: Store<T>> {
    sender: Sender<T, S>,
    /// Until it is sent.
    item: Option<T>,
    ticket: Ticket,
}

impl<T, S: Store<T>> Outbox<T, S> {
    pub(crate) fn new(sender: Sender<T, S>) -> Self {
        Self { sender, item: None, ticket: Ticket::default() }
    }

    /// Sends an item if that goes without waiting; else it is [polled](Self::poll_sent) for. Only
    /// called when the one before is sent.
    pub(crate) fn send(&mut self, item: T) -> Poll<Result<(), SendError<T>>> {
        match self.sender.try_send(item) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(TrySendError::Closed(item)) => Poll::Ready(Err(SendError(item))),
            Err(TrySendError::Full(item)) => {
                self.item = Some(item);
                Poll::Pending
            }
        }
    }

    /// Ready when the item is sent, with nothing if there was none.
    pub(crate) fn poll_sent(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(), SendError<T>>>> {
        let Some(item) = self.item.take() else {
            return Poll::Ready(None);
        };
        match self.sender.inlet.edge.poll_offer(item, &mut self.ticket, cx) {
            Offered::Accepted | Offered::Failed => Poll::Ready(Some(Ok(()))),
            Offered::Closed(item) => Poll::Ready(Some(Err(SendError(item)))),
            Offered::Full(item) => {
                self.item = Some(item);
                Poll::Pending
            }
        }
    }
}

impl<T, S: Store<T>> Drop for Outbox<T, S> {
    fn drop(&mut self) {
        self.sender.inlet.edge.leave(&mut self.ticket);
    }
}

/// The stage behind [`channel`].
#[derive(Debug)]
pub struct Channel<T, P: Policy<T>> {
    outlet: Outlet<T, P::Store>,
    capacity: usize,
    policy: &'static str,
    bound: Bound,
    name: &'static str,
    site: Site,
}

// Items are never pinned.
impl<T, P: Policy<T>> Unpin for Channel<T, P> {}

impl<T, P: Policy<T>> Flow<Channel<T, P>> {
    /// What became of the items so far.
    pub fn counts(&self) -> Counts {
        self.stage().outlet.counts()
    }
}

impl<T, P: Policy<T>> Stage for Channel<T, P> {
    type Item = P::Out;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<P::Out>> {
        Poll::Ready(match ready!(self.outlet.poll_item(cx)) {
            Some(item) => Some(P::item(item)),
            None => self.outlet.failure().and_then(P::failure),
        })
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(P::Out) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let drained = self.outlet.poll_drain(cx, &mut |item| each(P::item(item)));
        if let broke @ ControlFlow::Break(_) = ready!(drained) {
            return Poll::Ready(broke);
        }
        let failure = self.outlet.failure().and_then(P::failure);
        Poll::Ready(failure.map_or(ControlFlow::Continue(()), each))
    }

    fn poll_progress(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.outlet.report();
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.outlet.len(), None)
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .stage(self.name, self.site)
            .parameter("capacity", self.capacity)
            .parameter("policy", self.policy)
            .holds(self.bound);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures::FutureExt;
    use futures::task::noop_waker_ref;
    use futures_util::task::ArcWake;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{items, marbles, ms};
    use crate::{Alarm, ConflateBy, Fail, Overflow, Virtual, from_future};

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(noop_waker_ref()))
    }

    #[test]
    fn after_the_end_every_poll_ends_at_once() {
        let (sender, flow) = channel::<u8, _>(1, Overflow::Block);
        drop(sender);
        let mut stage = flow.into_stage();
        Virtual::new().run(async {
            let mut cx = Context::from_waker(noop_waker_ref());
            for _ in 0..3_000 {
                assert_eq!(Pin::new(&mut stage).poll_next(&mut cx), Poll::Ready(None));
            }
        });
    }

    #[test]
    fn the_last_sender_to_go_ends_the_flow() {
        let (sender, mut flow) = channel(4, Overflow::Block);
        let other = sender.clone();
        sender.try_send('a').unwrap();
        drop(sender);
        assert_eq!(try_next(&mut flow), Poll::Ready(Some('a')));
        assert_eq!(try_next(&mut flow), Poll::Pending);
        other.try_send('b').unwrap();
        drop(other);
        assert_eq!(items(flow), ['b']);
    }

    #[test]
    fn a_dropped_flow_gives_senders_their_item_back_and_drops_what_is_held() {
        let (sender, flow) = channel(1, Overflow::Block);
        sender.try_send('a').unwrap();
        let mut waiting = std::pin::pin!(sender.send('b'));
        assert_eq!((&mut waiting).now_or_never(), None);
        drop(flow);
        assert!(sender.is_closed());
        assert_eq!(waiting.now_or_never(), Some(Err(SendError('b'))));
        assert_eq!(sender.try_send('c'), Err(TrySendError::Closed('c')));
        assert_eq!((sender.counts().discarded, sender.counts().add_up()), (1, true));
    }

    #[test]
    fn room_is_there_as_soon_as_an_item_of_a_small_channel_is_out() {
        let (sender, mut flow) = channel(2, Overflow::Block);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!(sender.try_send(3), Err(TrySendError::Full(3)));
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(1)));
        sender.try_send(3).unwrap();
        assert_eq!(sender.try_send(4), Err(TrySendError::Full(4)));
    }

    #[test]
    fn senders_that_wait_are_all_served_even_if_one_of_them_gives_up() {
        for taken_at_once in [1, 2, 3] {
            let got = Virtual::new().run(async {
                let (sender, mut flow) = channel(3, Overflow::Block);
                for n in 0..20 {
                    let sender = sender.clone();
                    let task = crate::Ambient::current().spawn(async move {
                        let mut sending = std::pin::pin!(sender.send(n));
                        let mut alarm = Alarm::new();
                        // Every third sender gives up at once when it has to wait.
                        let _ = poll_fn(|cx| {
                            let sent = sending.as_mut().poll(cx).map(|_| ());
                            if n % 3 == 0 && sent.is_pending() {
                                if alarm.deadline().is_none() {
                                    let due = alarm.now() + ms(n / 3);
                                    alarm.set(due);
                                }
                                return alarm.poll(cx);
                            }
                            sent
                        })
                        .await;
                    });
                    task.detach();
                }
                drop(sender);
                let mut got = Vec::new();
                let mut alarm = Alarm::new();
                loop {
                    for _ in 0..taken_at_once {
                        match poll_fn(|cx| Stage::poll_next(Pin::new(&mut flow), cx)).await {
                            Some(item) => got.push(item),
                            None => return got,
                        }
                    }
                    let due = alarm.now() + ms(2);
                    alarm.set(due);
                    poll_fn(|cx| alarm.poll(cx)).await;
                }
            });
            let patient = (0..20).filter(|n| n % 3 != 0);
            assert!(patient.clone().all(|n| got.contains(&n)), "{got:?}");
            assert!(got.iter().filter(|n| **n % 3 != 0).is_sorted(), "{got:?}");
        }
    }

    #[test]
    fn a_message_that_holds_its_own_sender_can_be_dropped_with_the_flow() {
        struct Message(#[expect(dead_code, reason = "held")] Sender<Message>);
        let (sender, flow) = channel(4, Overflow::Block);
        assert!(sender.try_send(Message(sender.clone())).is_ok());
        drop(sender);
        drop(flow);
    }

    #[test]
    fn the_policies_that_never_wait_accept_everything() {
        let (sender, flow) = channel(1, Overflow::Latest);
        for n in 0..5 {
            sender.try_send(n).unwrap();
        }
        assert_eq!(sender.counts().replaced, 4);
        drop(sender);
        assert_eq!(items(flow), [4]);

        let newest = ConflateBy::new(|x: &(char, u8)| x.0, |held, new| *held = new);
        let (sender, flow) = channel(1, newest);
        sender.try_send(('a', 1)).unwrap();
        sender.try_send(('a', 2)).unwrap();
        assert_eq!(sender.try_send(('b', 1)), Err(TrySendError::Full(('b', 1))));
        drop(sender);
        assert_eq!(items(flow), [('a', 2)]);
    }

    #[test]
    fn an_overflow_under_fail_closes_the_channel_for_its_senders() {
        let (sender, flow) = channel(1, Fail);
        sender.try_send(1).unwrap();
        sender.try_send(2).unwrap();
        assert_eq!(sender.try_send(3), Err(TrySendError::Closed(3)));
        assert_eq!(sender.counts().refused, 1);
        let got = items(flow);
        assert!(got.len() == 2 && got[0] == Ok(1) && got[1].is_err());
    }

    #[test]
    fn a_consumer_is_woken_once_for_the_items_it_waits_for() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl ArcWake for Count {
            fn wake_by_ref(this: &Arc<Self>) {
                this.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let (sender, mut flow) = channel(64, Overflow::Block);
        let wakes = Arc::new(Count(0.into()));
        let waker = futures_util::task::waker(wakes.clone());
        let polled = Stage::poll_next(Pin::new(&mut flow), &mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        for n in 0..64 {
            sender.try_send(n).unwrap();
        }
        assert_eq!(wakes.0.load(std::sync::atomic::Ordering::Relaxed), 1);
    }

    #[test]
    fn a_sender_that_is_woken_and_not_polled_keeps_nobody_from_sending() {
        let got = Virtual::new().run(async {
            let (sender, mut flow) = channel(1, Overflow::Block);
            sender.try_send('a').unwrap();
            let mut stuck = Box::pin(sender.send('b'));
            assert_eq!((&mut stuck).now_or_never(), None);
            let other = sender.clone();
            let other = crate::Ambient::current().spawn(async move {
                other.send('c').await.unwrap();
            });
            let mut got = Vec::new();
            for _ in 0..2 {
                // The task waits behind `stuck`, which is woken first.
                let mut turn = false;
                poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    if std::mem::replace(&mut turn, true) { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                got.extend(poll_fn(|cx| Stage::poll_next(Pin::new(&mut flow), cx)).await);
            }
            other.await;
            got
        });
        assert_eq!(got, ['a', 'c']);
    }

    #[test]
    fn a_sink_waits_for_room_and_loses_nothing_beside_another_sender() {
        let got = Virtual::new().run(async {
            let (sender, flow) = channel(2, Overflow::Block);
            let other = sender.clone();
            let sink = crate::iter(0..100).forward(sender.into_sink());
            let more = async move {
                for n in 100..200 {
                    other.send(n).await.unwrap();
                }
            };
            let slow = flow.map_async(1, async |x| x).collect::<Vec<_>>();
            futures::join!(sink, more, slow).2
        });
        let (ours, others): (Vec<_>, Vec<_>) = got.into_iter().partition(|n| *n < 100);
        assert!(ours.into_iter().eq(0..100) && others.into_iter().eq(100..200));
    }

    #[test]
    fn a_sink_fails_when_the_flow_is_dropped() {
        let (sender, flow) = channel::<u8, _>(2, Overflow::Block);
        let mut sink = sender.into_sink();
        let mut cx = Context::from_waker(noop_waker_ref());
        assert_eq!(Pin::new(&mut sink).poll_ready(&mut cx), Poll::Ready(Ok(())));
        drop(flow);
        assert_eq!(Pin::new(&mut sink).poll_ready(&mut cx), Poll::Ready(Err(SendError(()))));
        assert_eq!(Pin::new(&mut sink).start_send(1), Err(SendError(())));
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        TrySend(u8),
        Send(u8),
        PollSend(usize),
        GiveUp(usize),
        Take,
        Busy,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            6 => (0u8..6).prop_map(Step::TrySend),
            6 => (0u8..6).prop_map(Step::Send),
            3 => any::<usize>().prop_map(Step::PollSend),
            1 => any::<usize>().prop_map(Step::GiveUp),
            8 => Just(Step::Take),
            2 => Just(Step::Busy),
        ];
        prop::collection::vec(step, 0..200)
    }

    /// Keys, numbers, and a reference each, to count what is alive.
    type Item = (u8, u32, Arc<()>);

    fn check<P: Policy<Item>>(
        capacity: usize,
        policy: P,
        steps: &[Step],
    ) -> Result<(), TestCaseError> {
        let alive = Arc::new(());
        let (sender, mut flow) = channel(capacity, policy);
        let mut cx = Context::from_waker(noop_waker_ref());
        let mut sending = Vec::new();
        let mut number = 0;
        let mut item = |key| {
            number += 1;
            (key, number, alive.clone())
        };
        let (mut sent, mut taken) = (0, 0);
        for step in steps {
            match *step {
                Step::TrySend(key) => sent += u64::from(sender.try_send(item(key)).is_ok()),
                Step::Send(key) => {
                    let mut new = sender.send(item(key));
                    match Pin::new(&mut new).poll(&mut cx) {
                        Poll::Ready(outcome) => sent += u64::from(outcome.is_ok()),
                        Poll::Pending => sending.push(new),
                    }
                }
                Step::PollSend(at) if !sending.is_empty() => {
                    let at = at % sending.len();
                    if let Poll::Ready(outcome) = Pin::new(&mut sending[at]).poll(&mut cx) {
                        sent += u64::from(outcome.is_ok());
                        drop(sending.remove(at));
                    }
                }
                Step::GiveUp(at) if !sending.is_empty() => {
                    drop(sending.remove(at % sending.len()));
                }
                Step::Take => {
                    let polled = Stage::poll_next(Pin::new(&mut flow), &mut cx);
                    taken += u64::from(matches!(polled, Poll::Ready(Some(_))));
                }
                Step::Busy => {
                    let _ = Stage::poll_progress(Pin::new(&mut flow), &mut cx);
                }
                Step::PollSend(_) | Step::GiveUp(_) => {}
            }
            let counts = flow.counts();
            prop_assert!(counts.add_up() && sender.counts().add_up(), "{counts:?} after {step:?}");
            prop_assert_eq!(counts.accepted, sent);
            prop_assert!(counts.held <= capacity && counts.high_water <= capacity);
            prop_assert_eq!(counts.held, Arc::strong_count(&alive) - 1 - sending.len());
            // The error of an overflow was delivered, but is no item.
            prop_assert!(counts.delivered == taken || counts.refused > 0);
        }
        drop(sending);
        let held = flow.counts().held;
        drop(flow);
        prop_assert_eq!(Arc::strong_count(&alive), 1);
        let counts = sender.counts();
        prop_assert_eq!((counts.discarded, counts.add_up()), (held as u64, true));
        Ok(())
    }

    proptest! {
        #[test]
        fn under_every_policy_the_counts_add_up_to_the_items_whoever_comes_and_goes(
            steps in steps(),
            capacity in prop_oneof![1usize..5, 16usize..40],
        ) {
            check(capacity, Overflow::Block, &steps)?;
            check(capacity, Overflow::DropOldest, &steps)?;
            check(capacity, Overflow::DropNewest, &steps)?;
            check(capacity, Overflow::Latest, &steps)?;
            check(capacity, Fail, &steps)?;
            let newest = |held: &mut Item, new| *held = new;
            check(capacity, ConflateBy::new(|item: &Item| item.0, newest), &steps)?;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_senders_on_many_threads_lose_nothing() {
        for capacity in [1, 5, 64] {
            let (sender, flow) = channel(capacity, Overflow::Block);
            for _ in 0..8 {
                let sender = sender.clone();
                tokio::spawn(async move {
                    for n in 0..2_000u64 {
                        sender.send(n).await.unwrap();
                    }
                });
            }
            drop(sender);
            let sum = tokio::spawn(flow.fold(0, |sum, x| sum + x)).await.unwrap();
            assert_eq!(sum, 8 * (0..2_000).sum::<u64>());
        }
    }

    marbles!(channel, |send| {
        let (sender, flow) = channel(16, Overflow::Block);
        flow.with_background(from_future(send.into_channel(sender)))
    });

    #[test]
    #[should_panic(expected = "channel: the capacity must not be zero, at operators/src/source")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = channel::<u8, _>(0, Overflow::Block);
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::future::block_on;
    use loom::thread;

    use super::*;
    use crate::sync::{all, model, next};
    use crate::{ConflateBy, Overflow};

    #[test]
    fn what_two_senders_send_arrives_and_then_the_end() {
        model(3, || {
            let (sender, flow) = channel(1, Overflow::Block);
            let other = sender.clone();
            let task = thread::spawn(move || block_on(other.send(1)).unwrap());
            let second = thread::spawn(move || block_on(sender.send(2)).unwrap());
            let got = all(flow);
            assert!(got == [1, 2] || got == [2, 1], "{got:?}");
            task.join().unwrap();
            second.join().unwrap();
        });
    }

    #[test]
    fn a_sender_that_gives_up_while_it_is_woken_lets_the_next_one_send() {
        model(3, || {
            let (sender, mut flow) = channel(1, Overflow::Block);
            sender.try_send(0).unwrap();
            let other = sender.clone();
            let gives_up = thread::spawn(move || {
                let mut sending = Some(Box::pin(other.send(1)));
                block_on(std::future::poll_fn(|cx| {
                    if let Some(sending) = &mut sending {
                        let _ = sending.as_mut().poll(cx);
                    }
                    sending = None;
                    Poll::Ready(())
                }));
            });
            let sends = thread::spawn(move || block_on(sender.send(2)).unwrap());
            assert_eq!(next(&mut flow), Some(0));
            let rest = all(flow);
            assert!(rest.contains(&2), "{rest:?}");
            gives_up.join().unwrap();
            sends.join().unwrap();
        });
    }

    #[test]
    fn senders_that_wait_are_told_when_the_flow_is_dropped() {
        model(3, || {
            let (sender, flow) = channel(1, Overflow::Block);
            sender.try_send(0).unwrap();
            let task = thread::spawn(move || block_on(sender.send(1)));
            drop(flow);
            assert_eq!(task.join().unwrap(), Err(SendError(1)));
        });
    }

    #[test]
    fn under_conflation_a_key_that_finds_no_room_waits_for_it_and_the_newest_of_each_arrives() {
        model(3, || {
            let newest = ConflateBy::new(|x: &(char, u8)| x.0, |held: &mut _, new| *held = new);
            let (sender, flow) = channel(1, newest);
            let other = sender.clone();
            let first = thread::spawn(move || {
                block_on(other.send(('a', 1))).unwrap();
                block_on(other.send(('a', 2))).unwrap();
            });
            let second = thread::spawn(move || block_on(sender.send(('b', 1))).unwrap());
            let got = all(flow);
            let last = |key| got.iter().rfind(|x| x.0 == key).map(|x| x.1);
            assert_eq!((last('a'), last('b')), (Some(2), Some(1)), "{got:?}");
            first.join().unwrap();
            second.join().unwrap();
        });
    }
}
