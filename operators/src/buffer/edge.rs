//! [`Edge`]: a store between tasks, and who waits at it.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use crate::Budget;
use crate::sync::{Mutex, MutexGuard, lock};

use super::{Counts, Offer, Overflowed, Store};

/// A store that producers fill and one consumer, its [`Outlet`], empties.
///
/// The lock is held for a few instructions, or for one call of a user's `merge`; wakers run and
/// the items of a consumer that left are dropped outside of it. Somebody is woken only if they
/// said that they wait.
#[derive(Debug)]
pub(crate) struct Edge<T, S> {
    state: Mutex<State<T, S>>,
}

#[derive(Debug)]
struct State<T, S> {
    store: S,
    item: PhantomData<fn(T)>,
    /// Items that the outlet took in a batch and has not handed out: they still need their room.
    lent: usize,
    /// With what was lent, which the store knows nothing about.
    high_water: usize,
    /// Nothing will come any more.
    closed: bool,
    /// Nothing will be taken any more.
    abandoned: bool,
    /// Set while the consumer waits for an item.
    consumer: Option<Waker>,
    /// Producers that wait for room, the next one at the front. Each place that becomes free wakes
    /// one, which is no promise: another producer may be faster, so that one which is woken and
    /// not polled keeps nobody from sending.
    producers: VecDeque<(u64, Waker)>,
    tickets: u64,
}

/// The place of a producer among those that wait; one for each producer.
#[derive(Debug, Default)]
pub(crate) struct Ticket(Option<u64>);

/// What became of an item that was offered to an edge.
#[derive(Debug)]
pub(crate) enum Offered<T> {
    Accepted,
    Full(T),
    /// The store failed with this item, which is gone.
    Failed,
    Closed(T),
}

impl<T, S: Store<T>> State<T, S> {
    /// How many items a lossless store takes now; without a bound for the others.
    fn room(&self) -> usize {
        if self.store.is_lossless() {
            let held = self.store.len() + self.lent;
            self.store.capacity().get().saturating_sub(held)
        } else {
            usize::MAX
        }
    }

    /// What became of the items, if the outlet still has `lent` of them.
    fn counts(&self, lent: usize) -> Counts {
        let mut counts = self.store.counts();
        counts.high_water = self.high_water;
        counts.delivered -= lent as u64;
        if self.abandoned {
            counts.discarded += lent as u64;
        } else {
            counts.held += lent;
        }
        counts
    }

    fn next_producer(&mut self) -> Option<Waker> {
        if self.producers.is_empty() || self.room() == 0 {
            return None;
        }
        self.producers.pop_front().map(|(_, waker)| waker)
    }

    fn offer(&mut self, item: T) -> Offered<T> {
        if self.abandoned || self.closed {
            return Offered::Closed(item);
        }
        if self.room() == 0 {
            return Offered::Full(item);
        }
        match self.store.offer(item) {
            Offer::Accepted => {
                self.high_water = self.high_water.max(self.store.len() + self.lent);
                Offered::Accepted
            }
            Offer::Full(item) => Offered::Full(item),
            Offer::Failed => {
                self.closed = true;
                Offered::Failed
            }
        }
    }

    fn wait(&mut self, ticket: &mut Ticket, cx: &Context<'_>) {
        let waiting = ticket.0.and_then(|id| self.producers.iter_mut().find(|entry| entry.0 == id));
        if let Some((_, waker)) = waiting {
            waker.clone_from(cx.waker());
            return;
        }
        let entry = (self.tickets, cx.waker().clone());
        // Woken, but another producer was faster: it keeps its turn.
        if ticket.0.is_some() {
            self.producers.push_front(entry);
        } else {
            self.producers.push_back(entry);
        }
        ticket.0 = Some(self.tickets);
        self.tickets += 1;
    }

    /// A producer that may have waited does so no more; one that was woken and did not send lets
    /// the next one try.
    fn leave(&mut self, ticket: &mut Ticket, sent: bool) -> Option<Waker> {
        let id = ticket.0.take()?;
        match self.producers.iter().position(|entry| entry.0 == id) {
            Some(place) => {
                self.producers.remove(place);
                None
            }
            None if sent => None,
            None => self.next_producer(),
        }
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T, S: Store<T>> Edge<T, S> {
    /// The edge, and the end at which items come out.
    pub(crate) fn new(store: S) -> (Arc<Self>, Outlet<T, S>) {
        // A small store gains little from batches, and its producers count on every place.
        let half = store.capacity().get() / 2;
        let quantum = half.min(256);
        let lends = store.is_lossless() && quantum >= 8;
        let edge = Arc::new(Self {
            state: Mutex::new(State {
                store,
                item: PhantomData,
                lent: 0,
                high_water: 0,
                closed: false,
                abandoned: false,
                consumer: None,
                producers: VecDeque::new(),
                tickets: 0,
            }),
        });
        let outlet = Outlet {
            edge: edge.clone(),
            lends,
            batch: VecDeque::new(),
            quantum,
            unreported: 0,
            budget: Budget::new(),
        };
        (edge, outlet)
    }

    /// Brings one item, and does not wait.
    pub(crate) fn offer(&self, item: T) -> Offered<T> {
        let mut state = lock(&self.state);
        let offered = state.offer(item);
        let consumer = match offered {
            Offered::Accepted | Offered::Failed => state.consumer.take(),
            Offered::Full(_) | Offered::Closed(_) => None,
        };
        drop(state);
        wake(consumer);
        offered
    }

    /// Brings one item; if it is handed back as `Full`, the task is woken when it is worth
    /// another try.
    pub(crate) fn poll_offer(
        &self,
        item: T,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
    ) -> Offered<T> {
        let mut state = lock(&self.state);
        let offered = state.offer(item);
        let (consumer, producer) = match offered {
            Offered::Full(_) => {
                state.wait(ticket, cx);
                (None, None)
            }
            Offered::Accepted | Offered::Failed => {
                (state.consumer.take(), state.leave(ticket, true))
            }
            Offered::Closed(_) => (None, state.leave(ticket, true)),
        };
        drop(state);
        wake(consumer);
        wake(producer);
        offered
    }

    /// Brings a batch for which [`poll_room`](Self::poll_room) said that there is room, and says
    /// how much is left; only for a lossless store with one producer. `None`: nobody will take
    /// another item.
    pub(crate) fn publish(&self, batch: &mut VecDeque<T>) -> Option<usize> {
        let mut state = lock(&self.state);
        if state.abandoned {
            return None;
        }
        state.store.offer_all(batch);
        state.high_water = state.high_water.max(state.store.len() + state.lent);
        let (room, consumer) = (state.room(), state.consumer.take());
        drop(state);
        wake(consumer);
        Some(room)
    }

    /// How many items there is room for, once it is one at least; for a lossless store with one
    /// producer a promise, as [`publish`](Self::publish) needs it.
    pub(crate) fn poll_room(
        &self,
        ticket: &mut Ticket,
        cx: &mut Context<'_>,
    ) -> Poll<Option<usize>> {
        let mut state = lock(&self.state);
        if state.abandoned {
            return Poll::Ready(None);
        }
        let room = state.room();
        if room == 0 {
            state.wait(ticket, cx);
            return Poll::Pending;
        }
        // It may not have waited to be woken.
        let none = state.leave(ticket, true);
        debug_assert!(none.is_none());
        Poll::Ready(Some(room))
    }

    /// Wakes producers, one for each place that became free.
    fn wake_producers<'a>(&'a self, mut state: MutexGuard<'a, State<T, S>>, freed: usize) {
        for _ in 0..freed {
            let Some(producer) = state.next_producer() else {
                return;
            };
            let more = !state.producers.is_empty();
            drop(state);
            producer.wake();
            if !more {
                return;
            }
            state = lock(&self.state);
        }
    }

    /// A producer gives up waiting.
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        if ticket.0.is_some() {
            let next = lock(&self.state).leave(ticket, false);
            wake(next);
        }
    }

    /// Nothing will come any more.
    pub(crate) fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
    }

    /// Whether the consumer is gone, or the store failed.
    pub(crate) fn is_closed(&self) -> bool {
        let state = lock(&self.state);
        state.closed || state.abandoned
    }

    /// What became of the items so far.
    pub(crate) fn counts(&self) -> Counts {
        let state = lock(&self.state);
        state.counts(state.lent)
    }

    pub(crate) fn is_lossless(&self) -> bool {
        lock(&self.state).store.is_lossless()
    }
}

/// The end of an [`Edge`] at which items come out.
///
/// What only ever waits is taken in batches, everything that is there under one lock. The room of
/// a batch is given back when `quantum` items of it are out, when it is empty, and when the
/// consumer says that it is busy.
#[derive(Debug)]
pub(crate) struct Outlet<T, S: Store<T>> {
    edge: Arc<Edge<T, S>>,
    lends: bool,
    batch: VecDeque<T>,
    quantum: usize,
    /// Items handed out of the batch since the edge was last told.
    unreported: usize,
    budget: Budget,
}

impl<T, S: Store<T>> Outlet<T, S> {
    /// The next item; `None` when the edge is closed and nothing is left.
    #[inline]
    pub(crate) fn poll_item(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if !self.budget.spend(cx) {
            return Poll::Pending;
        }
        let Some(item) = self.batch.pop_front() else {
            return self.refill(cx);
        };
        self.unreported += 1;
        if self.unreported >= self.quantum || self.batch.is_empty() {
            self.report();
        }
        Poll::Ready(Some(item))
    }

    /// Hands items to `each`, as [`Stage::poll_drain`](crate::Stage::poll_drain) does.
    pub(crate) fn poll_drain<B>(
        &mut self,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            // The batch in a loop of its own, without a look at what lies behind it.
            while self.unreported < self.quantum {
                if self.batch.is_empty() {
                    break;
                }
                if !self.budget.spend(cx) {
                    return Poll::Pending;
                }
                let Some(item) = self.batch.pop_front() else {
                    break;
                };
                self.unreported += 1;
                if let broke @ ControlFlow::Break(_) = each(item) {
                    if self.batch.is_empty() {
                        self.report();
                    }
                    return Poll::Ready(broke);
                }
            }
            self.report();
            let Some(item) = ready!(self.poll_item(cx)) else {
                return Poll::Ready(ControlFlow::Continue(()));
            };
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
    }

    #[cold]
    fn refill(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut state = lock(&self.edge.state);
        let Some(item) = state.store.take() else {
            if state.closed {
                // A later poll must end as well and not give way.
                self.budget.rest();
                return Poll::Ready(None);
            }
            match &mut state.consumer {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            self.budget.rest();
            // Those that were woken may not be polled for long: the others must not wait for them.
            let room = state.store.capacity().get();
            self.edge.wake_producers(state, room);
            return Poll::Pending;
        };
        if self.lends {
            state.store.take_all(&mut self.batch);
            state.lent = self.batch.len();
        }
        self.edge.wake_producers(state, 1);
        Poll::Ready(Some(item))
    }

    /// Gives back the room of what was handed out of the batch.
    pub(crate) fn report(&mut self) {
        if self.unreported == 0 {
            return;
        }
        let freed = std::mem::take(&mut self.unreported);
        let mut state = lock(&self.edge.state);
        state.lent = self.batch.len();
        self.edge.wake_producers(state, freed);
    }

    /// The error with which the edge ended, once; after the last item.
    pub(crate) fn failure(&mut self) -> Option<Overflowed> {
        lock(&self.edge.state).store.failure()
    }

    /// What became of the items so far.
    pub(crate) fn counts(&self) -> Counts {
        lock(&self.edge.state).counts(self.batch.len())
    }

    /// How many items are sure to come out.
    pub(crate) fn len(&self) -> usize {
        let state = lock(&self.edge.state);
        if state.store.is_lossless() {
            self.batch.len() + state.store.len()
        } else {
            // Of a lossy store all but the last one may still give way.
            state.store.len().min(1)
        }
    }
}

impl<T, S: Store<T>> Drop for Outlet<T, S> {
    fn drop(&mut self) {
        let mut state = lock(&self.edge.state);
        state.abandoned = true;
        // Dropped outside of the lock, with the outlet: an item may hold a sender of this edge.
        state.store.take_all(&mut self.batch);
        state.lent = self.batch.len();
        let producers = std::mem::take(&mut state.producers);
        drop(state);
        for (_, producer) in producers {
            producer.wake();
        }
    }
}
