//! [`Tail`]: the slices of one key that the next window is made of.

use std::collections::VecDeque;

use crate::Timestamp;
use crate::aggregate::Aggregate;

/// Slices of time by their starts. The live ones make up the next window; those before them are
/// kept only for windows that a late item may amend.
///
/// The state of all live slices is there at any time, for O(1) merges a slice: where an aggregate
/// can be inverted, the slice that leaves is taken out of it; elsewhere two stacks are kept. `front`
/// has, for each of the older live slices, the merge of it and of all after it up to where `back`
/// begins, the one of the oldest on top; `back` is the merge of the slices after those. When
/// `front` is used up it is made anew of all that are live: each slice goes through that once.
#[derive(Debug)]
pub(super) struct Tail<W> {
    slices: VecDeque<(i64, W)>,
    /// How many of them are no longer live.
    dead: usize,
    front: Vec<W>,
    back: W,
}

impl<W: Clone> Tail<W> {
    pub(super) fn new<T>(aggregate: &impl Aggregate<T, State = W>) -> Self {
        Self { slices: VecDeque::new(), dead: 0, front: Vec::new(), back: aggregate.init() }
    }

    /// One without slices that has the memory of this one.
    pub(super) fn cleared<T>(mut self, aggregate: &impl Aggregate<T, State = W>) -> Self {
        self.slices.clear();
        self.front.clear();
        Self { dead: 0, back: aggregate.init(), ..self }
    }

    /// Adds the slice that comes next.
    pub(super) fn push<T>(
        &mut self,
        aggregate: &impl Aggregate<T, State = W>,
        start: i64,
        slice: W,
    ) {
        aggregate.merge(&mut self.back, &slice);
        self.slices.push_back((start, slice));
    }

    /// Adds an item to a slice that may lie before others.
    pub(super) fn insert<T, A: Aggregate<T, State = W>>(
        &mut self,
        aggregate: &A,
        start: i64,
        time: Timestamp,
        item: &T,
    ) {
        let at = self.slices.partition_point(|(other, _)| *other < start);
        match self.slices.get_mut(at).filter(|(other, _)| *other == start) {
            Some((_, slice)) => aggregate.add(slice, time, item),
            None => {
                let mut slice = aggregate.init();
                aggregate.add(&mut slice, time, item);
                self.slices.insert(at, (start, slice));
                self.dead += usize::from(at < self.dead);
            }
        }
        self.rebuild(aggregate);
    }

    /// Adds a slice behind those that start by then, and before others.
    pub(super) fn insert_behind<T>(
        &mut self,
        aggregate: &impl Aggregate<T, State = W>,
        start: i64,
        slice: W,
    ) {
        let at = self.slices.partition_point(|(other, _)| *other <= start);
        self.slices.insert(at, (start, slice));
        self.dead += usize::from(at < self.dead);
        self.rebuild(aggregate);
    }

    fn rebuild<T>(&mut self, aggregate: &impl Aggregate<T, State = W>) {
        self.front.clear();
        self.back = aggregate.init();
        for (_, slice) in self.slices.range(self.dead..) {
            aggregate.merge(&mut self.back, slice);
        }
    }

    /// Adds to what is there, which cannot be taken apart again.
    pub(super) fn extend<T>(
        &mut self,
        aggregate: &impl Aggregate<T, State = W>,
        start: i64,
        slice: W,
    ) {
        if self.slices.is_empty() {
            self.push(aggregate, start, slice);
        } else {
            aggregate.merge(&mut self.back, &slice);
        }
    }

    /// Slices that start before `live` leave the window, and those before `kept` are dropped.
    pub(super) fn advance<T, A: Aggregate<T, State = W>>(
        &mut self,
        aggregate: &A,
        live: i64,
        kept: i64,
    ) {
        while self.slices.get(self.dead).is_some_and(|(start, _)| *start < live) {
            self.bury(aggregate);
        }
        while self.slices.front().is_some_and(|(start, _)| *start < kept) {
            self.slices.pop_front();
            // A slice that is not even kept is not live.
            self.dead = self.dead.saturating_sub(1);
        }
    }

    /// The oldest live slice leaves the window.
    fn bury<T, A: Aggregate<T, State = W>>(&mut self, aggregate: &A) {
        if A::INVERTIBLE {
            if let Some((_, slice)) = self.slices.get(self.dead) {
                aggregate.remove(&mut self.back, slice);
            }
        } else {
            if self.front.is_empty() {
                self.flip(aggregate);
            }
            self.front.pop();
        }
        self.dead += 1;
    }

    /// Drops the oldest slice.
    pub(super) fn drop_oldest<T>(&mut self, aggregate: &impl Aggregate<T, State = W>) {
        if self.dead == 0 && self.is_live() {
            self.bury(aggregate);
        }
        if self.slices.pop_front().is_some() {
            self.dead -= 1;
        }
    }

    /// The start of the latest slice, and of the oldest live one.
    pub(super) fn ends(&self) -> Option<(i64, i64)> {
        Some((self.slices.back()?.0, self.slices.get(self.dead)?.0))
    }

    fn flip<T>(&mut self, aggregate: &impl Aggregate<T, State = W>) {
        for (_, slice) in self.slices.range(self.dead..).rev() {
            let mut merged = slice.clone();
            if let Some(after) = self.front.last() {
                aggregate.merge(&mut merged, after);
            }
            self.front.push(merged);
        }
        self.back = aggregate.init();
    }

    /// Whether a slice is live.
    pub(super) fn is_live(&self) -> bool {
        self.dead < self.slices.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// How many slices there are.
    pub(super) fn len(&self) -> usize {
        self.slices.len()
    }

    /// The state of all live slices.
    pub(super) fn live<T, R>(
        &self,
        aggregate: &impl Aggregate<T, State = W>,
        read: impl FnOnce(&W) -> R,
    ) -> R {
        match self.front.last() {
            None => read(&self.back),
            Some(front) => {
                let mut all = front.clone();
                aggregate.merge(&mut all, &self.back);
                read(&all)
            }
        }
    }

    /// The state of all slices that start within `[from, to)`.
    pub(super) fn between<T>(
        &self,
        aggregate: &impl Aggregate<T, State = W>,
        from: i64,
        to: i64,
    ) -> W {
        let mut all = aggregate.init();
        for (_, slice) in self.slices.iter().filter(|(start, _)| (from..to).contains(start)) {
            aggregate.merge(&mut all, slice);
        }
        all
    }
}
