//! [`Subject`]: a share that other code feeds.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::hub::Board;
use super::{Reset, Share, Shared, Slow, Subscription};
use crate::buffer::checked;
use crate::{Flow, Outline, Site, Stage};

/// A shared flow of what is emitted into it; clones emit into the same flow.
///
/// ```text
/// emit    --a-b-c---x    the last Subject is dropped
/// first   --a-b-c---|
/// second      ^-c---|    subscribed at ^
/// ```
///
/// One ring for all consumers, as in a [share](Flow::share), with the same policies. An item for
/// which there is no room, because a consumer that blocks is `capacity` items behind, waits or
/// comes back; and so does one without consumers, unless the
/// [configuration](super::Share::no_consumers) says that it is dropped or kept. Nothing is lost
/// unless that was asked for.
///
/// - **Emits** to each consumer what is replayed and what is emitted after it subscribed.
/// - **Backpressures** whoever emits, as said.
/// - **Ends** when it is [completed](Self::complete), or the last `Subject` is dropped, and what
///   is held is out.
/// - **On error**: an error is an item here, unless the configuration says that it ends the flow.
/// - **Holds** `capacity` items for all consumers together.
/// - **Cost**: one lock to emit an item, one lock and one clone for an item and consumer, for a
///   batch of items where a flow is drained.
///
/// ```
/// # use aqueduct_operators::{Virtual, share::{Subject, TryEmitError}};
/// let prices = Subject::new(16);
/// assert_eq!(prices.try_emit(1), Err(TryEmitError::NoConsumers(1)));
/// let (all, sum) = (prices.subscribe(), prices.subscribe());
/// prices.try_emit(2).unwrap();
/// prices.try_emit(3).unwrap();
/// prices.complete();
/// assert_eq!(prices.try_emit(4), Err(TryEmitError::Closed(4)));
/// assert_eq!(Virtual::new().run(all.collect::<Vec<_>>()), [2, 3]);
/// assert_eq!(Virtual::new().run(sum.fold(0, |sum, x| sum + x)), 5);
/// ```
#[doc(alias("Sinks", "MutableSharedFlow", "Topic", "BroadcastProcessor", "PublishSubject", "Hub"))]
pub struct Subject<T: Clone> {
    owner: Arc<Owner<T>>,
}

/// Shared by all handles: dropped with the last one.
struct Owner<T: Clone> {
    shared: Shared<Fed<T>>,
}

impl<T: Clone> Owner<T> {
    fn complete(&self) {
        self.shared.hub().stop(|board, waste| {
            if board.is_live() {
                board.end(waste);
            }
            true
        });
    }
}

impl<T: Clone> Drop for Owner<T> {
    fn drop(&mut self) {
        self.complete();
    }
}

impl<T: Clone> Clone for Subject<T> {
    fn clone(&self) -> Self {
        Self { owner: self.owner.clone() }
    }
}

impl<T: Clone> fmt::Debug for Subject<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").field("shared", &self.owner.shared).finish()
    }
}

/// Why an item was not emitted; it is handed back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TryEmitError<T> {
    /// A consumer that blocks is as many items behind as may be held, or as many are kept for the
    /// first consumer.
    #[error("the subject is full; wait with `emit`, or give it more room or another policy")]
    Full(T),
    /// It was completed, or ended with an error.
    #[error("the subject was completed")]
    Closed(T),
    /// Nobody is subscribed, and the policy is to wait.
    #[error("the subject has no consumers; wait with `emit`, or let it drop or keep items")]
    NoConsumers(T),
}

/// The subject was completed before the item was emitted: here it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the subject was completed")]
pub struct Closed<T>(pub T);

impl<T: Clone> Subject<T> {
    /// A subject whose slowest consumer, at most `capacity` items behind, sets the pace.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        let site = Location::caller();
        Self::at(Share::of(checked(capacity, "subject", site), Slow::Block), site)
    }

    /// A subject with this configuration. It begins at once, is never idle, and its resets are
    /// [`AtOnce`](Reset::AtOnce) or never: of the configuration the capacity, the policies, the
    /// replay and what newcomers see after the end are used.
    #[track_caller]
    pub fn with(config: Share<T>) -> Self {
        Self::at(config, Location::caller())
    }

    fn at(config: Share<T>, site: Site) -> Self {
        let at_once = |reset| if let Reset::AtOnce = reset { reset } else { Reset::Never };
        let config = Share {
            on_idle: Reset::Never,
            on_end: at_once(config.on_end),
            on_error: at_once(config.on_error),
            ..config
        };
        let fed = Fed { site, item: PhantomData };
        let shared = Shared::new(fed, "subject", config, None, site);
        shared.connect();
        Self { owner: Arc::new(Owner { shared }) }
    }

    /// Emits an item without waiting.
    pub fn try_emit(&self, item: T) -> Result<(), TryEmitError<T>> {
        let hub = self.owner.shared.hub();
        let last = hub.put(&mut Vec::new(), |board, waste| {
            let Some(board) = board.filter(|board| board.is_live()) else {
                return (Err(TryEmitError::Closed(item)), false);
            };
            if board.room() == 0 {
                let refused = if board.waits_for_consumers() {
                    TryEmitError::NoConsumers(item)
                } else {
                    TryEmitError::Full(item)
                };
                return (Err(refused), false);
            }
            let last = board.is_last().is_some_and(|is_last| is_last(&item));
            board.put(item, waste);
            if last {
                board.end(waste);
            }
            (Ok(last), true)
        })?;
        if last {
            hub.stop(|_, _| true);
        }
        Ok(())
    }

    /// Emits an item; waits for room, and for a consumer if that is the policy. A future that is
    /// dropped while it waits has emitted nothing.
    pub fn emit(&self, item: T) -> Emitting<'_, T> {
        Emitting { subject: self, item: Some(item), ticket: None }
    }

    /// Ends the flow for everybody, after what is held.
    pub fn complete(&self) {
        self.owner.complete();
    }

    /// A consumer of what is emitted from now on, and before that of what is replayed.
    pub fn subscribe(&self) -> Flow<Subscription<Fed<T>>> {
        self.owner.shared.subscribe()
    }

    /// The share, for consumers of other kinds. It does not keep the subject open.
    pub fn shared(&self) -> &Shared<Fed<T>> {
        &self.owner.shared
    }

    /// How many consumers there are.
    pub fn consumers(&self) -> usize {
        self.owner.shared.consumers()
    }
}

/// The future behind [`Subject::emit`].
#[derive(Debug)]
#[must_use = "nothing is emitted before the future is polled"]
pub struct Emitting<'a, T: Clone> {
    subject: &'a Subject<T>,
    /// `None` once it is emitted.
    item: Option<T>,
    ticket: Option<u64>,
}

// The item is never pinned.
impl<T: Clone> Unpin for Emitting<'_, T> {}

impl<T: Clone> Future for Emitting<'_, T> {
    type Output = Result<(), Closed<T>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // The second time after it is registered: room that comes from then on wakes this task.
        for registered in [false, true] {
            let Some(item) = this.item.take() else {
                panic!("emit: polled again after it was over")
            };
            match this.subject.try_emit(item) {
                Ok(()) => return Poll::Ready(Ok(())),
                Err(TryEmitError::Closed(item)) => return Poll::Ready(Err(Closed(item))),
                Err(TryEmitError::Full(item) | TryEmitError::NoConsumers(item)) => {
                    this.item = Some(item);
                }
            }
            if !registered {
                let hub = this.subject.owner.shared.hub();
                hub.waiting().register_producer(&mut this.ticket, cx.waker());
            }
        }
        Poll::Pending
    }
}

impl<T: Clone> Drop for Emitting<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.subject.owner.shared.hub().waiting().forget_producer(ticket);
        }
    }
}

/// The input of a [`Subject`]: it gives nothing, because its items go to the consumers directly.
pub struct Fed<T> {
    site: Site,
    item: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for Fed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fed").finish_non_exhaustive()
    }
}

impl<T> Stage for Fed<T> {
    type Item = T;

    /// Who emits or completes wakes the consumers.
    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("emit", self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::task::Waker;

    use futures::FutureExt;
    use futures_util::future::join_all;

    use super::*;
    use crate::share::NoConsumers;
    use crate::testing::items;
    use crate::{Ambient, Virtual};

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn what_is_emitted_comes_out_for_all_who_are_subscribed() {
        let subject = Subject::new(4);
        let mut first = subject.subscribe();
        subject.try_emit('a').unwrap();
        let second = subject.subscribe();
        assert_eq!(try_next(&mut first), Poll::Ready(Some('a')));
        subject.clone().try_emit('b').unwrap();
        drop(subject);
        assert_eq!((items(first), items(second)), (vec!['b'], vec!['b']));
    }

    #[test]
    fn an_item_without_room_comes_back() {
        let subject = Subject::new(2);
        let mut flow = subject.subscribe();
        subject.try_emit(1).unwrap();
        subject.try_emit(2).unwrap();
        assert_eq!(subject.try_emit(3), Err(TryEmitError::Full(3)));
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(1)));
        subject.try_emit(3).unwrap();
        drop(flow);
        assert_eq!(subject.try_emit(4), Err(TryEmitError::NoConsumers(4)));
        assert_eq!(subject.consumers(), 0);
    }

    #[test]
    fn without_consumers_items_are_dropped_or_kept_if_that_was_said() {
        let two = NonZeroUsize::new(2).unwrap();
        let subject = Subject::with(Share::new(1).no_consumers(NoConsumers::Drop));
        subject.try_emit(1).unwrap();
        assert_eq!(subject.shared().unseen(), 1);
        assert_eq!(try_next(&mut subject.subscribe()), Poll::Pending);

        let subject = Subject::with(Share::new(1).no_consumers(NoConsumers::Buffer(two)));
        subject.try_emit(1).unwrap();
        subject.try_emit(2).unwrap();
        assert_eq!(subject.try_emit(3), Err(TryEmitError::Full(3)));
        let flow = subject.subscribe();
        drop(subject);
        assert_eq!(items(flow), [1, 2]);
    }

    #[test]
    fn who_emits_waits_for_a_consumer_and_for_room() {
        let got = Virtual::new().run(async {
            let subject = Subject::new(1);
            let emitter = subject.clone();
            let task = Ambient::current().spawn(async move {
                for n in 0..50 {
                    emitter.emit(n).await.unwrap();
                }
            });
            let all = join_all(
                [subject.subscribe(), subject.subscribe()]
                    .map(|flow| Ambient::current().spawn(flow.collect::<Vec<_>>())),
            );
            task.await;
            drop(subject);
            all.await
        });
        assert!(got.iter().all(|got| got.iter().copied().eq(0..50)), "{got:?}");
    }

    #[test]
    fn an_emission_that_is_given_up_has_emitted_nothing() {
        let subject = Subject::new(1);
        let flow = subject.subscribe();
        subject.try_emit(1).unwrap();
        assert_eq!(subject.emit(2).now_or_never(), None);
        let mut waiting = Box::pin(subject.emit(3));
        assert_eq!(waiting.as_mut().now_or_never(), None);
        subject.complete();
        assert_eq!(waiting.now_or_never(), Some(Err(Closed(3))));
        assert_eq!(items(flow), [1]);
    }

    #[test]
    fn an_error_ends_it_for_everybody_and_newcomers_get_it_if_that_was_said() {
        let subject = Subject::with(Share::new(4).on_error(Reset::Never));
        let flow = subject.subscribe();
        subject.try_emit(Ok(1)).unwrap();
        subject.try_emit(Err("x")).unwrap();
        assert_eq!(subject.try_emit(Ok(2)), Err(TryEmitError::Closed(Ok(2))));
        assert_eq!(items(flow), [Ok(1), Err("x")]);
        assert_eq!(items(subject.subscribe()), [Err("x")]);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_who_emit_on_several_threads_lose_nothing() {
        let subject = Subject::new(3);
        let sums = [subject.subscribe(), subject.subscribe()]
            .map(|flow| tokio::spawn(flow.fold(0, |sum, x| sum + x)));
        let tasks = (0..4).map(|_| {
            let subject = subject.clone();
            tokio::spawn(async move {
                for n in 0..500u64 {
                    subject.emit(n).await.unwrap();
                }
            })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
        drop(subject);
        for sum in join_all(sums).await {
            assert_eq!(sum.unwrap(), 4 * (0..500).sum::<u64>());
        }
    }

    #[test]
    #[should_panic(expected = "subject: the capacity must not be zero, at operators/src/share")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = Subject::<u8>::new(0);
    }
}
