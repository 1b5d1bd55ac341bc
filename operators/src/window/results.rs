//! [`Results`]: windows as they come out, with what they carry on and those that are empty.

use std::marker::PhantomData;

use super::grouping::{Grouping, Slots};
use super::{Empty, Firing, Late, LatePolicy, Timed, Window, WindowCounts, Windows};
use crate::Timestamp;
use crate::aggregate::{Aggregate, Span};
use crate::clock::nanos;
use crate::keyed::KeyLimits;

/// Makes the results of [windows](super::TimeWindows).
pub(super) struct Results<T, A: Aggregate<T>, G: Grouping<T>, L> {
    pub(super) windows: Windows,
    pub(super) name: &'static str,
    pub(super) aggregate: A,
    pub(super) max_keys: usize,
    /// How long a key is remembered without items.
    pub(super) idle: i64,
    /// The last window of each key, where windows without items come out too.
    pub(super) known: Slots<G::Key, Known<A::State>, G::Index>,
    /// Which of them goes when one more has no place.
    pub(super) known_victim: usize,
    /// How many windows in a row had no items at all.
    pub(super) blank: u32,
    /// The time of the earliest item.
    pub(super) earliest: i64,
    /// Some time in the slice of the latest one, or before it where items are outside.
    pub(super) latest: i64,
    /// The time at which windows come out early.
    pub(super) now: i64,
    /// Late items since the window before.
    pub(super) late: u64,
    pub(super) counts: WindowCounts,
    pub(super) types: PhantomData<fn(T) -> L>,
}

#[derive(Debug)]
pub(super) struct Known<W> {
    state: W,
    /// The ends of its last window, and of the last one with items.
    end: i64,
    used: i64,
}

pub(super) type Output<T, A, G, L> =
    Timed<<L as LatePolicy<T>>::Out<Window<<A as Aggregate<T>>::Output, <G as Grouping<T>>::Key>>>;

impl<T, A, G, L> Results<T, A, G, L>
where
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    pub(super) fn new(
        name: &'static str,
        windows: Windows,
        aggregate: A,
        limits: KeyLimits,
    ) -> Self {
        Self {
            windows,
            name,
            aggregate,
            max_keys: limits.max_keys(),
            idle: limits.idle_time().map_or(i64::MAX, nanos),
            known: Slots::default(),
            known_victim: 0,
            blank: 0,
            earliest: i64::MAX,
            latest: i64::MIN,
            now: i64::MIN,
            late: 0,
            counts: WindowCounts::default(),
            types: PhantomData,
        }
    }

    /// The window that ends here, with this state.
    pub(super) fn window(
        &mut self,
        key: G::Key,
        end: i64,
        state: &A::State,
        firing: Firing,
    ) -> Output<T, A, G, L> {
        self.slice(key, end.saturating_sub(self.windows.length()), end, state, firing)
    }

    pub(super) fn slice(
        &mut self,
        key: G::Key,
        start: i64,
        end: i64,
        state: &A::State,
        firing: Firing,
    ) -> Output<T, A, G, L> {
        let complete = match firing {
            Firing::OnTime | Firing::Amended | Firing::Withdrawn => true,
            Firing::Early => false,
            Firing::End | Firing::Evicted => end <= self.latest,
        };
        match firing {
            Firing::Amended => self.counts.amended += 1,
            Firing::Evicted => self.counts.evicted += 1,
            _ => {}
        }
        self.counts.fired += 1;
        let span = Span { start: Timestamp::from_nanos(start), end: Timestamp::from_nanos(end) };
        // What comes early is told of the time until now.
        let until = if firing == Firing::Early { self.now.clamp(start, end) } else { end };
        let so_far = Span { end: Timestamp::from_nanos(until), ..span };
        let window = Window {
            key,
            start: span.start,
            end: span.end,
            firing,
            complete,
            partial: start < self.earliest,
            late: std::mem::take(&mut self.late),
            value: self.aggregate.finish(state, so_far),
        };
        // The last instant of the window: not before any watermark that has passed.
        let last = end.saturating_sub(1).saturating_add(self.windows.shift());
        Timed::Item(Timestamp::from_nanos(last), L::result(window))
    }

    /// The window of a key with items: what it carries on from the one before is part of it.
    pub(super) fn with_items(
        &mut self,
        hash: u64,
        key: &G::Key,
        end: i64,
        state: &A::State,
        firing: Firing,
    ) -> Output<T, A, G, L> {
        if self.windows.empty == Empty::Skip {
            return self.window(key.clone(), end, state, firing);
        }
        let known = self.known.find(hash, key);
        let mut all = match known {
            Some(known) if self.windows.empty == Empty::Carry => {
                self.aggregate.carry(&self.known.get(known).state)
            }
            _ => self.aggregate.init(),
        };
        self.aggregate.merge(&mut all, state);
        let window = self.window(key.clone(), end, &all, firing);
        if firing == Firing::Early {
            return window;
        }
        let now = Known { state: all, end, used: end };
        match known {
            Some(known) => *self.known.get(known) = now,
            None if self.known.len() < self.max_keys => {
                self.known.push(hash, key.clone(), now);
            }
            None => {
                let victim = self.known_victim % self.max_keys;
                self.known_victim = victim + 1;
                self.known.replace(victim, hash, key.clone(), now);
            }
        }
        window
    }

    /// The windows that end here of all keys that have no items in them.
    pub(super) fn without_items(
        &mut self,
        end: i64,
        firing: Firing,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) {
        let mut at = 0;
        while at < self.known.len() {
            let known = self.known.get(at);
            if known.end == end {
                at += 1;
                continue;
            }
            if end.saturating_sub(known.used) > self.idle {
                self.known.swap_remove(at);
                continue;
            }
            known.end = end;
            let state = match self.windows.empty {
                Empty::Carry => self.aggregate.carry(&known.state),
                Empty::Zero | Empty::Skip => self.aggregate.init(),
            };
            known.state = state.clone();
            let key = self.known.slot(at).key.clone();
            out(self.window(key, end, &state, firing));
            at += 1;
        }
    }

    /// What becomes of an item that is too late, when the watermark is `reached`.
    pub(super) fn late(
        &mut self,
        time: Timestamp,
        item: T,
        reached: i64,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) {
        self.late += 1;
        self.counts.late += 1;
        if let Some(late) = L::late(Late { time, item }) {
            out(Timed::Item(time.max(Timestamp::from_nanos(reached)), late));
        }
    }

    pub(super) fn hold(&mut self, more: usize) {
        self.counts.held += more;
        self.counts.high_water = self.counts.high_water.max(self.counts.held);
    }
}
