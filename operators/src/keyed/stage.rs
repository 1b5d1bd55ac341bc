//! [`Keyed`]: the stage behind every operator that keeps a state for each key.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::table::Table;
use super::{KeyLimits, KeyStep};
use crate::{Alarm, Budget, Flow, Outline, Site, Stage, Timestamp};

/// Why the state of a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evicted {
    /// A new key needed its place, and no other had been silent for longer.
    Full,
    /// No item has come for the key for too long.
    Idle,
    /// The input has ended.
    End,
}

/// What became of the keys of a flow with a state for each. At every instant
/// `opened = full + idle + ended + held`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// States that were made.
    pub opened: u64,
    /// States that went because a new key needed the place.
    pub full: u64,
    /// States that went because their key was silent.
    pub idle: u64,
    /// States that went at the end.
    pub ended: u64,
    /// States that are held now.
    pub held: usize,
}

/// The stage behind [`Flow::keyed`], and behind the operators that are a [`KeyStep`].
#[pin_project]
pub struct Keyed<S: Stage, K, F, M: KeyStep<S::Item, K>> {
    #[pin]
    input: S,
    keys: Keys<K, M::State, F, M>,
    /// What one item, or the end of a key, made beyond what was asked for.
    beyond: VecDeque<M::Out>,
    ended: bool,
    /// Set to the time at which the next key goes.
    alarm: Alarm,
    /// Keys that go without leaving anything make no item.
    budget: Budget,
    site: Site,
}

pub(super) struct Keys<K, V, F, M> {
    limits: KeyLimits,
    key: F,
    table: Table<K, V>,
    step: M,
    /// Without `held`.
    counts: KeyCounts,
}

impl<K: Hash + Eq + Clone, V, F, M> Keys<K, V, F, M> {
    /// Gives an item to the state of its key.
    #[inline]
    fn step<I>(&mut self, item: I, now: Timestamp, out: &mut impl FnMut(M::Out))
    where
        F: FnMut(&I) -> K,
        M: KeyStep<I, K, State = V>,
    {
        let key = (self.key)(&item);
        let hash = self.table.hash(&key);
        match self.table.touch(hash, &key, now) {
            Some(state) => self.step.step(key, state, item, out),
            None => self.first(hash, key, item, now, out),
        }
    }

    /// Gives the first item of a key to a new state.
    fn first<I>(&mut self, hash: u64, key: K, item: I, now: Timestamp, out: &mut impl FnMut(M::Out))
    where
        M: KeyStep<I, K, State = V>,
    {
        if self.table.len() >= self.limits.max_keys() {
            self.close(Evicted::Full, out);
        }
        let state = self.step.open(&key);
        self.counts.opened += 1;
        let state = self.table.add(hash, key.clone(), state, now);
        self.step.step(key, state, item, out);
    }

    /// Lets the key go that has been silent for longest. `false` if there is none.
    fn close<I>(&mut self, why: Evicted, out: &mut impl FnMut(M::Out)) -> bool
    where
        M: KeyStep<I, K, State = V>,
    {
        let Some((key, state)) = self.table.pop_oldest() else {
            return false;
        };
        match why {
            Evicted::Full => self.counts.full += 1,
            Evicted::Idle => self.counts.idle += 1,
            Evicted::End => self.counts.ended += 1,
        }
        self.step.close(key, state, why, out);
        true
    }

    /// Says that the input has ended.
    fn end<I>(&mut self)
    where
        M: KeyStep<I, K, State = V>,
    {
        if self.step.leaves() {
            self.table.end();
        } else {
            self.counts.ended += self.table.len() as u64;
            self.table.clear();
        }
    }

    /// When the next key goes for its silence.
    fn due(&self) -> Option<Timestamp> {
        Some(self.table.oldest()? + self.limits.idle_time()?)
    }
}

impl<S, K, F, M> Keyed<S, K, F, M>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
    M: KeyStep<S::Item, K>,
{
    pub(super) fn new(input: S, limits: KeyLimits, key: F, step: M, site: Site) -> Self {
        let table = if limits.idle_time().is_some() { Table::timed() } else { Table::untimed() };
        Self {
            input,
            keys: Keys { limits, key, table, step, counts: KeyCounts::default() },
            beyond: VecDeque::new(),
            ended: false,
            alarm: Alarm::new(),
            budget: Budget::new(),
            site,
        }
    }

    /// The step, to read what it counts.
    pub fn step(&self) -> &M {
        &self.keys.step
    }

    /// What became of the keys so far.
    pub fn counts(&self) -> KeyCounts {
        KeyCounts { held: self.keys.table.len(), ..self.keys.counts }
    }

    /// The same under another step, before anything has come.
    pub(super) fn map_step<N: KeyStep<S::Item, K>>(
        self,
        other: impl FnOnce(M) -> N,
    ) -> Keyed<S, K, F, N> {
        let Self { input, keys: Keys { limits, key, step, .. }, site, .. } = self;
        Keyed::new(input, limits, key, other(step), site)
    }

    /// Hands out what the key leaves that has been silent for longest. `None` if there is none.
    fn close<B>(
        keys: &mut Keys<K, M::State, F, M>,
        beyond: &mut VecDeque<M::Out>,
        why: Evicted,
        each: &mut impl FnMut(M::Out) -> ControlFlow<B>,
    ) -> Option<ControlFlow<B>> {
        let mut broke = ControlFlow::Continue(());
        let closed = keys.close(why, &mut |made| match broke {
            ControlFlow::Continue(()) => broke = each(made),
            ControlFlow::Break(_) => beyond.push_back(made),
        });
        closed.then_some(broke)
    }
}

impl<S, K, F, M> Stage for Keyed<S, K, F, M>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
    M: KeyStep<S::Item, K>,
{
    type Item = M::Out;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Out>> {
        let mut out = None;
        match self.as_mut().poll_drain(cx, &mut |item| {
            out = Some(item);
            ControlFlow::Break(())
        }) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(out),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(M::Out) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let (keys, beyond) = (this.keys, this.beyond);
        while let Some(item) = beyond.pop_front() {
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        let now = keys.limits.idle_time().map(|_| this.alarm.now());
        if !*this.ended {
            // A key that was due before this instant is not saved by an item that comes now.
            while now.is_some_and(|now| keys.due().is_some_and(|due| due < now)) {
                if !this.budget.spend(cx) {
                    let _ = this.input.poll_progress(cx);
                    return Poll::Pending;
                }
                if let Some(broke @ ControlFlow::Break(_)) =
                    Self::close(keys, beyond, Evicted::Idle, each)
                {
                    return Poll::Ready(broke);
                }
            }
            let used = now.unwrap_or_default();
            let drained = this.input.as_mut().poll_drain(cx, &mut |item| {
                let mut broke = ControlFlow::Continue(());
                keys.step(item, used, &mut |made| match broke {
                    ControlFlow::Continue(()) => broke = each(made),
                    ControlFlow::Break(_) => beyond.push_back(made),
                });
                broke
            });
            match drained {
                Poll::Ready(ControlFlow::Continue(())) => {
                    *this.ended = true;
                    keys.end();
                }
                Poll::Pending => {}
                broke => return broke,
            }
        }
        loop {
            let why = if *this.ended {
                Evicted::End
            } else {
                let (Some(due), Some(now)) = (keys.due(), now) else {
                    return Poll::Pending;
                };
                if this.alarm.deadline() != Some(due) {
                    this.alarm.set(due);
                }
                ready!(this.alarm.poll_at(now, cx));
                Evicted::Idle
            };
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            match Self::close(keys, beyond, why, each) {
                None => return Poll::Ready(ControlFlow::Continue(())),
                Some(broke @ ControlFlow::Break(_)) => return Poll::Ready(broke),
                Some(ControlFlow::Continue(())) => {}
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let made = self.beyond.len();
        let held = self.keys.table.len();
        let (least, most) = self.keys.step.size_hint(self.input.size_hint(), held);
        (least.saturating_add(made), most.and_then(|most| most.checked_add(made)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let Keys { limits, step, .. } = &self.keys;
        let node = outline.stage(step.name(), self.site);
        node.parameter("max_keys", limits.max_keys());
        if let Some(idle) = limits.idle_time() {
            node.parameter("idle", format_args!("{idle:?}"));
        }
        step.describe(*limits, node);
    }
}

impl<S, K, F, M> Flow<Keyed<S, K, F, M>>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
    M: KeyStep<S::Item, K>,
{
    /// What became of the keys so far.
    pub fn counts(&self) -> KeyCounts {
        self.stage().counts()
    }
}

impl<S: Stage, K, F, M: KeyStep<S::Item, K>> fmt::Debug for Keyed<S, K, F, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("limits", &self.keys.limits)
            .field("table", &self.keys.table)
            .field("counts", &self.keys.counts)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}
