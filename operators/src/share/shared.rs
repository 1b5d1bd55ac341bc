//! [`Shared`]: the handle of a share, and [`Subscription`]: a consumer of it.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::hub::{Make, Origin};
use super::keeper::Tend;
use super::{Cursors, Hub, Seat, Share, Slow};
use crate::sync::{Mutex, lock};
use crate::{Flow, Outline, Site, Stage};

/// A flow that several consumers [`subscribe`](Self::subscribe) to: see [`Flow::share`]. Clones
/// stand for the same flow.
#[must_use = "a shared flow does nothing until a subscription is polled"]
pub struct Shared<S: Stage> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: Stage> {
    /// Another one after each reset, if there is a factory.
    hub: Mutex<Arc<Hub<S, Cursors<S::Item>>>>,
    make: Option<Make<S>>,
    /// What starts the task of a hub; `None` if none is needed.
    tend: Option<Tend<S>>,
    config: Arc<Share<S::Item>>,
    operator: &'static str,
    site: Site,
}

/// Where a share stands: see [`Shared::state`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShareState {
    /// The input was not polled yet, or everything is forgotten and the next consumer starts it
    /// anew.
    Waiting,
    /// The input is there.
    Running,
    /// The input has ended or was dropped: new consumers get what is replayed, and the end.
    Ended,
}

impl<S: Stage> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone() }
    }
}

impl<S: Stage> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("operator", &self.inner.operator)
            .field("site", &self.inner.site)
            .finish_non_exhaustive()
    }
}

impl<S: Stage<Item: Clone>> Shared<S> {
    pub(super) fn new(
        input: S,
        operator: &'static str,
        config: Share<S::Item>,
        tend: Option<Tend<S>>,
        site: Site,
    ) -> Self {
        let above = Outline::of(&input);
        Self::of(Origin::Made(Box::pin(input)), above, operator, config, tend, site)
    }

    /// `tend` is asked for only if the configuration needs a keeper.
    pub(super) fn of(
        origin: Origin<S>,
        above: Outline,
        operator: &'static str,
        config: Share<S::Item>,
        tend: Option<Tend<S>>,
        site: Site,
    ) -> Self {
        let make = match &origin {
            Origin::Made(_) => None,
            Origin::Unmade(make) => Some(make.clone()),
        };
        let tend = tend.filter(|_| config.needs_keeper());
        let config = Arc::new(config);
        let hub = Mutex::new(Hub::of(origin, above, Cursors::new(config.clone())));
        Self { inner: Arc::new(Inner { hub, make, tend, config, operator, site }) }
    }

    /// A consumer that gets every item that is taken from now on, and before them what is
    /// replayed.
    pub fn subscribe(&self) -> Flow<Subscription<S>> {
        self.subscribe_as(self.inner.config.slow)
    }

    /// A consumer that does this if it is slow, whatever the others do.
    pub fn subscribe_as(&self, slow: Slow) -> Flow<Subscription<S>> {
        let seat = self.join(|hub| hub.seat(|board| board.join(slow)));
        Flow::from_stage(Subscription {
            seat,
            tend: self.inner.tend,
            config: self.inner.config.clone(),
            slow,
            operator: self.inner.operator,
            site: self.inner.site,
        })
    }

    /// Lets a share with [`Start::Connect`](super::Start::Connect) begin.
    ///
    /// # Panics
    ///
    /// If a task is needed because the input goes on without consumers, outside a tokio runtime
    /// and a run under virtual time.
    pub fn connect(&self) {
        self.join(|hub| {
            hub.change(|board, _| board.connect());
            if let Some(tend) = self.inner.tend {
                hub.keep(tend);
            }
        });
    }

    /// Where it stands now.
    pub fn state(&self) -> ShareState {
        let hub = lock(&self.inner.hub).clone();
        let over = hub.is_over();
        hub.look(|board| match over {
            true if board.is_reset() && self.inner.make.is_some() => ShareState::Waiting,
            true => ShareState::Ended,
            false if board.is_open() => ShareState::Running,
            false => ShareState::Waiting,
        })
    }

    /// How many consumers there are, without those of an input that was reset.
    pub fn consumers(&self) -> usize {
        self.hub().look(Cursors::consumers)
    }

    /// How many items were dropped because nobody was subscribed, since the last reset.
    pub fn unseen(&self) -> u64 {
        self.hub().look(Cursors::unseen)
    }

    pub(super) fn hub(&self) -> Arc<Hub<S, Cursors<S::Item>>> {
        lock(&self.inner.hub).clone()
    }

    /// Calls the hub that is not reset, if there can be one.
    fn join<R>(&self, call: impl FnOnce(&Arc<Hub<S, Cursors<S::Item>>>) -> R) -> R {
        let mut hub = lock(&self.inner.hub);
        let before = match &self.inner.make {
            Some(make) if hub.look(Cursors::is_reset) => {
                let board = Cursors::new(self.inner.config.clone());
                let new = Hub::of(Origin::Unmade(make.clone()), hub.above(), board);
                Some(std::mem::replace(&mut *hub, new))
            }
            _ => None,
        };
        let hub = {
            let current = hub.clone();
            drop(hub);
            current
        };
        drop(before);
        call(&hub)
    }
}

/// The stage behind [`Shared::subscribe`].
pub struct Subscription<S: Stage<Item: Clone>> {
    seat: Seat<S, Cursors<S::Item>>,
    /// `None` once the task of the hub is started, or if it needs none.
    tend: Option<Tend<S>>,
    config: Arc<Share<S::Item>>,
    slow: Slow,
    operator: &'static str,
    site: Site,
}

// The input lies pinned in the hub.
impl<S: Stage<Item: Clone>> Unpin for Subscription<S> {}

impl<S: Stage<Item: Clone>> fmt::Debug for Subscription<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("seat", &self.seat)
            .field("slow", &self.slow)
            .finish_non_exhaustive()
    }
}

impl<S: Stage<Item: Clone>> Subscription<S> {
    /// How many items this consumer was too slow for, so far.
    pub fn lagged(&self) -> u64 {
        self.seat.look(Cursors::missed)
    }

    pub(super) fn look<R>(&self, look: impl FnOnce(&Cursors<S::Item>, usize) -> R) -> R {
        self.seat.look(look)
    }

    pub(super) fn site(&self) -> Site {
        self.site
    }

    fn start(&mut self) {
        if let Some(tend) = self.tend.take() {
            self.seat.hub().keep(tend);
        }
    }
}

impl<S: Stage<Item: Clone>> Flow<Subscription<S>> {
    /// How many items this consumer was too slow for, so far.
    pub fn lagged(&self) -> u64 {
        self.stage().lagged()
    }
}

impl<S: Stage<Item: Clone>> Stage for Subscription<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.start();
        self.seat.poll_next(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.start();
        self.seat.poll_drain(cx, each)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.start();
        self.seat.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // What is held for this consumer can only be lost if it may lag, and then to newer items.
        (self.seat.look(Cursors::behind) + self.seat.batched(), None)
    }

    fn describe(&self, outline: &mut Outline) {
        let above = self.seat.hub().above();
        self.config.describe(self.operator, self.site, above, self.slow, outline);
    }
}
