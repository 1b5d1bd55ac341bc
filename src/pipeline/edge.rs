//! The edge between two nodes: a bounded store with a policy, a task on either side.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::buffer::{Counts, Offer, Overflow, Overflowed, Policy, Store};
use crate::{Bound, Budget, Clock, Outline, Site, Stage, Timed, Timestamp};

use super::run::Failure;

/// An item on an edge, with the time of its node.
pub(super) type Stamped<T> = (Timestamp, T);

/// What one side tells the other.
struct State<T, P: Policy<Stamped<T>>> {
    store: Option<EdgeStore<T, P>>,
    /// The time that the node has reached: no item that follows is earlier.
    reached: Timestamp,
    /// The node has ended: what is held is the rest.
    closed: bool,
    /// The consumer is gone: nobody will take anything.
    abandoned: bool,
    /// Who waits for an item, and whether a mere passing of time would do.
    consumer: Option<Waker>,
    /// Who waits for room, since when, and how long it waited before, on the live clock.
    producer: Option<Waker>,
    blocked_since: Option<Timestamp>,
    blocked: Duration,
}

/// The store of the run: that of the policy, or a lossless one.
enum EdgeStore<T, P: Policy<Stamped<T>>> {
    Policy(P::Store),
    Lossless(<Overflow as Policy<Stamped<T>>>::Store),
}

impl<T, P: Policy<Stamped<T>>> EdgeStore<T, P> {
    fn get(&mut self) -> &mut dyn Store<Stamped<T>> {
        match self {
            Self::Policy(store) => store,
            Self::Lossless(store) => store,
        }
    }

    fn counts(&self) -> Counts {
        match self {
            Self::Policy(store) => store.counts(),
            Self::Lossless(store) => store.counts(),
        }
    }
}

/// One edge, shared by its two sides and by the report.
pub(super) struct Edge<T, P: Policy<Stamped<T>>> {
    pub(super) id: usize,
    pub(super) from: &'static str,
    pub(super) name: &'static str,
    capacity: NonZeroUsize,
    policy: Mutex<Option<P>>,
    site: Site,
    /// Whether the consumer wants to know how far time has come, beside the items.
    timed: bool,
    state: Mutex<State<T, P>>,
    failure: Arc<Failure>,
}

/// What the pipeline asks of an edge whatever it carries.
pub(super) trait AnyEdge: Send + Sync {
    /// Makes the store for a run.
    fn open(&self, lossless: bool);
    fn counts(&self) -> Counts;
    /// For how long the node waited for room here.
    fn blocked(&self) -> Duration;
}

impl<T, P: Policy<Stamped<T>>> Edge<T, P> {
    #[expect(clippy::too_many_arguments, reason = "one caller, which has just these at hand")]
    pub(super) fn new(
        id: usize,
        from: &'static str,
        name: &'static str,
        capacity: NonZeroUsize,
        policy: P,
        timed: bool,
        failure: Arc<Failure>,
        site: Site,
    ) -> Self {
        let state = State {
            store: None,
            reached: Timestamp::MIN,
            closed: false,
            abandoned: false,
            consumer: None,
            producer: None,
            blocked_since: None,
            blocked: Duration::ZERO,
        };
        let (policy, state) = (Mutex::new(Some(policy)), Mutex::new(state));
        Self { id, from, name, capacity, policy, site, timed, state, failure }
    }

    fn state(&self) -> MutexGuard<'_, State<T, P>> {
        // The policy may call closures of the user under this lock. One that panics ends the run
        // and leaves the store in order, as every store promises.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send, P: Policy<Stamped<T>, Store: Send> + Send> AnyEdge for Edge<T, P> {
    fn open(&self, lossless: bool) {
        let policy = self.policy.lock().unwrap_or_else(PoisonError::into_inner).take();
        let store = match policy {
            Some(policy) if !lossless => {
                EdgeStore::Policy(policy.into_store(self.capacity, self.site))
            }
            _ => {
                let (capacity, site) = (self.capacity, self.site);
                EdgeStore::Lossless(Policy::into_store(Overflow::Block, capacity, site))
            }
        };
        self.state().store = Some(store);
    }

    fn counts(&self) -> Counts {
        self.state().store.as_ref().map_or_else(Counts::default, EdgeStore::counts)
    }

    fn blocked(&self) -> Duration {
        let state = self.state();
        let since = state.blocked_since.map_or(Duration::ZERO, |since| Clock::live().now() - since);
        state.blocked + since
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Whether a port can take the next item of its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Room {
    /// It can.
    Free,
    /// Its consumer is gone; it takes items and drops them.
    Gone,
}

/// Drops an item for which nobody is left, and counts it.
fn lose<T>(store: &mut dyn Store<T>, item: T) {
    // The store is empty since its consumer went, so that it has room.
    let _ = store.offer(item);
    store.discard();
}

/// The end of an edge at its node, for items `T` of the node.
pub(super) trait Port<T>: Send {
    /// Ready when one more item has room; until then the node waits.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Room>;
    /// Brings an item of the node and its time. `true` if it is one for this edge.
    fn bring(&mut self, time: Timestamp, item: &T) -> bool;
    /// The node has ended.
    fn close(&mut self);
}

/// A port that selects what of an item goes over its edge.
pub(super) struct Selecting<F, U, P: Policy<Stamped<U>>> {
    pub(super) select: F,
    pub(super) edge: Arc<Edge<U, P>>,
    /// An item for which a store by key had no room.
    in_hand: Option<Stamped<U>>,
    /// How many more items have room for certain, as the last look found. Spares the lock for each.
    credit: usize,
}

/// After so many items of the node a port looks again, also for whether its consumer is still there.
const LOOK: usize = 64;

impl<F, U, P: Policy<Stamped<U>>> Selecting<F, U, P> {
    pub(super) fn new(select: F, edge: Arc<Edge<U, P>>) -> Self {
        Self { select, edge, in_hand: None, credit: 0 }
    }
}

impl<T, U, F, P> Port<T> for Selecting<F, U, P>
where
    F: FnMut(&T) -> Option<U> + Send,
    U: Send,
    P: Policy<Stamped<U>, Store: Send> + Send,
{
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Room> {
        if self.credit > 0 {
            self.credit -= 1;
            return Poll::Ready(Room::Free);
        }
        let mut state = self.edge.state();
        if state.abandoned {
            if let (Some(item), Some(store)) = (self.in_hand.take(), &mut state.store) {
                lose(store.get(), item);
            }
            return Poll::Ready(Room::Gone);
        }
        let Some(store) = &mut state.store else {
            return Poll::Ready(Room::Gone);
        };
        let store = store.get();
        let mut moved = false;
        if let Some(item) = self.in_hand.take() {
            match store.offer(item) {
                Offer::Full(item) => self.in_hand = Some(item),
                Offer::Accepted | Offer::Failed => moved = true,
            }
        }
        let free = self.in_hand.is_none() && store.has_room();
        if free {
            let room =
                if store.is_lossless() { store.capacity().get() - store.len() } else { LOOK };
            self.credit = room.min(LOOK) - 1;
        }
        if !free {
            state.producer = Some(cx.waker().clone());
            state.blocked_since.get_or_insert_with(|| Clock::live().now());
        } else if let Some(since) = state.blocked_since.take() {
            state.blocked += Clock::live().now() - since;
        }
        let consumer = moved.then(|| state.consumer.take()).flatten();
        drop(state);
        wake(consumer);
        if free { Poll::Ready(Room::Free) } else { Poll::Pending }
    }

    fn bring(&mut self, time: Timestamp, item: &T) -> bool {
        let selected = (self.select)(item);
        let taken = selected.is_some();
        if !taken && !self.edge.timed {
            return false;
        }
        let mut state = self.edge.state();
        state.reached = state.reached.max(time);
        let abandoned = state.abandoned;
        if let (Some(item), Some(store)) = (selected, &mut state.store) {
            let (store, item) = (store.get(), (time, item));
            if abandoned {
                lose(store, item);
                self.credit = 0;
            } else if let Offer::Full(item) = store.offer(item) {
                self.in_hand = Some(item);
                self.credit = 0;
            }
        }
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
        taken
    }

    fn close(&mut self) {
        let mut state = self.edge.state();
        state.closed = true;
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
    }
}

/// A node that is dropped, by its end or because the run was stopped, has ended for its edges.
impl<F, U, P: Policy<Stamped<U>>> Drop for Selecting<F, U, P> {
    fn drop(&mut self) {
        let mut state = self.edge.state();
        state.closed = true;
        let consumer = state.consumer.take();
        drop(state);
        wake(consumer);
    }
}

/// The other end of an edge: the stage from which its consumer reads.
pub struct Branch<T, P: Policy<Stamped<T>>> {
    pub(super) edge: Arc<Edge<T, P>>,
    /// The time of which the consumer was told last, and that of the latest item it has got: the
    /// items come in order, so it is told of that too.
    pub(super) told: Timestamp,
    pub(super) got: Timestamp,
    pub(super) budget: Budget,
}

impl<T, P: Policy<Stamped<T>>> std::fmt::Debug for Branch<T, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Branch({}.{})", self.edge.from, self.edge.name)
    }
}

impl<T, P: Policy<Stamped<T>>> Stage for Branch<T, P> {
    type Item = Timed<T>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Timed<T>>> {
        let this = &mut *self;
        if this.edge.timed && this.got > this.told {
            this.told = this.got;
            return Poll::Ready(Some(Timed::Watermark(this.told)));
        }
        // On another thread the node may refill the edge as fast as it is emptied.
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        let mut state = this.edge.state();
        let Some(store) = &mut state.store else {
            return Poll::Ready(None);
        };
        let store = store.get();
        if let Some((time, item)) = store.take() {
            let producer = state.producer.take();
            drop(state);
            wake(producer);
            this.got = this.got.max(time);
            return Poll::Ready(Some(Timed::Item(time, item)));
        }
        if let Some(Overflowed { capacity, .. }) = store.failure() {
            drop(state);
            this.edge.failure.edge(this.edge.from, this.edge.name, capacity, this.edge.site);
            return Poll::Ready(None);
        }
        if this.edge.timed && state.reached > this.told {
            this.told = state.reached;
            return Poll::Ready(Some(Timed::Watermark(this.told)));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        match &mut state.consumer {
            Some(consumer) => consumer.clone_from(cx.waker()),
            consumer => *consumer = Some(cx.waker().clone()),
        }
        this.budget.rest();
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .stage(BRANCH, self.edge.site)
            .parameter("from", self.edge.from)
            .parameter("name", self.edge.name)
            .parameter(EDGE, self.edge.id)
            .holds(Bound::Items(0));
    }
}

/// How a branch is called in an outline, and the parameter that tells which edge it reads.
pub(super) const BRANCH: &str = "branch";
pub(super) const EDGE: &str = "edge";

impl<T, P: Policy<Stamped<T>>> Drop for Branch<T, P> {
    fn drop(&mut self) {
        let mut state = self.edge.state();
        state.abandoned = true;
        if let Some(store) = &mut state.store {
            store.get().discard();
        }
        let producer = state.producer.take();
        drop(state);
        wake(producer);
    }
}
