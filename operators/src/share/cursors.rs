//! [`Cursors`]: one ring of items, and how far each consumer has come.

use std::collections::VecDeque;
use std::sync::Arc;

use slab::Slab;

use super::hub::{BATCH, Board};
use super::{Dropped, NoConsumers, Reset, Share, Slow, Start};
use crate::{Clock, Timestamp};

/// The board of a share.
///
/// The items in the ring are numbered from the beginning of time. Each knows how many consumers
/// still want it, so that nobody has to look through all consumers: that number never falls from
/// the front to the back, because who wants an item wants all later ones as well. Those in front
/// that nobody wants any more are kept to be replayed, or for the first consumer to come.
#[derive(Debug)]
pub(crate) struct Cursors<T> {
    slots: VecDeque<Slot<T>>,
    /// The number of the first slot.
    first: u64,
    /// How many slots somebody wants: the last ones.
    wanted: usize,
    seats: Slab<Cursor>,
    /// How many of the consumers block.
    blocking: u32,
    config: Arc<Share<T>>,
    /// The input may be polled.
    open: bool,
    phase: Phase,
    /// From here on all items are kept, because nobody is subscribed.
    kept: Option<u64>,
    /// The error with which the input ended.
    error: Option<u64>,
    /// What a reset waits for.
    pending: Option<Pending>,
    resets: u64,
    /// Dropped because nobody was subscribed.
    unseen: u64,
    /// Of the run in which the first item came; only to tell how old one is.
    clock: Option<Clock>,
}

#[derive(Debug)]
struct Slot<T> {
    /// `None` if the last one who wants it has it in a batch.
    item: Option<T>,
    /// How many consumers want it, and how many of these block.
    wanted: u32,
    blocking: u32,
    came: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Cursor {
    /// The number of the item that comes next. It may be gone, if the consumer lags.
    next: u64,
    /// Items before it that are in a batch of the consumer.
    lent: usize,
    missed: u64,
    slow: Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Live,
    /// The input has ended.
    Ended,
    /// Everything is forgotten.
    Reset,
}

/// Why a share may be reset soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Idle,
    End,
    Error,
}

/// A reset that waits, with a number of its own.
pub(crate) type Pending = (u64, Why);

impl<T> Cursors<T> {
    pub(super) fn new(config: Arc<Share<T>>) -> Self {
        let kept = (config.no_consumers != NoConsumers::Drop).then_some(0);
        Self {
            slots: VecDeque::new(),
            first: 0,
            wanted: 0,
            seats: Slab::new(),
            blocking: 0,
            config,
            open: false,
            phase: Phase::Live,
            kept,
            error: None,
            pending: None,
            resets: 0,
            unseen: 0,
            clock: None,
        }
    }

    /// The number of the item that comes next.
    fn head(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// The number of the first item that somebody wants.
    fn floor(&self) -> u64 {
        self.head() - self.wanted as u64
    }

    /// Items from here on are kept, whether somebody wants them or not.
    fn keep_from(&self) -> u64 {
        let head = self.head();
        if self.phase == Phase::Reset {
            return head;
        }
        let replay = head.saturating_sub(self.config.replay as u64);
        replay.min(self.kept.unwrap_or(head)).min(self.error.unwrap_or(head))
    }

    fn replay_from(&self) -> u64 {
        let mut from = self.keep_from().max(self.first);
        if let (Some(ttl), Some(clock)) = (self.config.replay_for, &self.clock) {
            let now = clock.now();
            let old = |slot: &Slot<T>| slot.came.is_some_and(|came| now - came > ttl);
            let error = self.error.unwrap_or(u64::MAX);
            let kept = self.kept.unwrap_or(u64::MAX).min(error);
            while from < kept && self.slots.get((from - self.first) as usize).is_some_and(old) {
                from += 1;
            }
        }
        from
    }

    pub(super) fn join(&mut self, slow: Slow) -> usize {
        let next = self.replay_from();
        self.kept = None;
        if matches!(self.pending, Some((_, Why::Idle))) {
            self.pending = None;
        }
        let from = (next - self.first) as usize;
        for slot in self.slots.iter_mut().skip(from) {
            slot.wanted += 1;
            slot.blocking += u32::from(slow == Slow::Block);
        }
        self.wanted = self.wanted.max(self.slots.len() - from);
        self.blocking += u32::from(slow == Slow::Block);
        let seat = self.seats.insert(Cursor { next, lent: 0, missed: 0, slow });
        self.open |= match self.config.start {
            Start::First => true,
            Start::Consumers(n) => self.seats.len() >= n.get(),
            Start::Connect => false,
        };
        seat
    }

    pub(super) fn connect(&mut self) {
        self.open = true;
    }

    /// How many items came before the one that was taken last, and were missed.
    pub(super) fn missed_before(&self, seat: usize) -> u64 {
        self.seats[seat].missed
    }

    pub(super) fn missed(&self, seat: usize) -> u64 {
        let cursor = self.seats[seat];
        cursor.missed + self.floor().saturating_sub(cursor.next)
    }

    /// How many items are sure to come out.
    pub(super) fn behind(&self, seat: usize) -> usize {
        let cursor = self.seats[seat];
        let behind = (self.head() - cursor.next.max(self.floor())) as usize;
        if cursor.slow == Slow::Latest { behind.min(1) } else { behind }
    }

    pub(super) fn consumers(&self) -> usize {
        self.seats.len()
    }

    /// Whether there is no room because nobody is subscribed.
    pub(super) fn waits_for_consumers(&self) -> bool {
        self.seats.is_empty() && self.config.no_consumers == NoConsumers::Block
    }

    pub(super) fn unseen(&self) -> u64 {
        self.unseen
    }

    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }

    pub(super) fn is_reset(&self) -> bool {
        self.phase == Phase::Reset
    }

    pub(super) fn pending(&self) -> Option<Pending> {
        self.pending
    }

    pub(super) fn policy(&self, why: Why) -> &Reset {
        match why {
            Why::Idle => &self.config.on_idle,
            Why::End => &self.config.on_end,
            Why::Error => &self.config.on_error,
        }
    }

    /// Whether the keeper has to drive the input.
    pub(super) fn is_alone(&self) -> bool {
        self.seats.is_empty() && self.open && self.is_live() && self.config.goes_on_alone()
    }

    /// The wait is over; says whether the input has to go.
    pub(super) fn decide(&mut self, pending: Pending, reset: bool, waste: &mut Vec<T>) -> bool {
        if self.pending != Some(pending) {
            return false;
        }
        self.pending = None;
        if reset {
            self.reset(waste);
        }
        reset
    }

    fn reset(&mut self, waste: &mut Vec<T>) {
        self.phase = Phase::Reset;
        (self.kept, self.error, self.pending) = (None, None, None);
        self.trim(waste);
    }

    /// A reason to be reset; says whether that is done at once.
    fn consider(&mut self, why: Why, waste: &mut Vec<T>) -> bool {
        match self.policy(why) {
            Reset::Never => {}
            Reset::AtOnce => {
                self.reset(waste);
                return true;
            }
            Reset::After(_) | Reset::When(_) => {
                self.resets += 1;
                self.pending = Some((self.resets, why));
            }
        }
        false
    }

    /// Drops what nobody wants and is not to be kept.
    fn trim(&mut self, waste: &mut Vec<T>) {
        if self.wanted == self.slots.len() {
            return;
        }
        let keep_from = self.keep_from().min(self.floor());
        while self.first < keep_from {
            let Some(slot) = self.slots.pop_front() else {
                return;
            };
            self.first += 1;
            waste.extend(slot.item);
        }
    }

    /// A consumer does not want these any more; the first ones that it wanted.
    fn release(&mut self, from: u64, to: u64, slow: Slow) {
        let range = (from - self.first) as usize..(to - self.first) as usize;
        let blocking = u32::from(slow == Slow::Block);
        let mut left = 0;
        for slot in self.slots.range_mut(range) {
            slot.wanted -= 1;
            slot.blocking -= blocking;
            left += usize::from(slot.wanted == 0);
        }
        self.wanted -= left;
    }

    /// The first item that somebody wants gives way: all who still do lag.
    fn evict(&mut self) {
        let at = self.slots.len() - self.wanted;
        if let Some(slot) = self.slots.get_mut(at) {
            slot.wanted = 0;
            self.wanted -= 1;
        }
    }

    /// The place of the item that comes next for this consumer, after what it misses.
    fn skip(&mut self, seat: usize) -> usize {
        let (floor, head) = (self.floor(), self.head());
        let cursor = &mut self.seats[seat];
        cursor.missed += floor.saturating_sub(cursor.next);
        cursor.next = cursor.next.max(floor);
        let Cursor { next, slow, .. } = *cursor;
        if slow == Slow::Latest && next + 1 < head {
            cursor.missed += head - 1 - next;
            cursor.next = head - 1;
            self.release(next, head - 1, slow);
        }
        (self.seats[seat].next - self.first) as usize
    }
}

impl<T: Clone> Cursors<T> {
    /// The item at a place, for somebody who wants it: without a clone if nobody else will.
    fn copy(&mut self, place: usize) -> Option<T> {
        let last = self.first + (place as u64) < self.keep_from();
        let slot = self.slots.get_mut(place)?;
        if last && slot.wanted == 1 { slot.item.take() } else { slot.item.clone() }
    }
}

impl<T: Clone> Board<T> for Cursors<T> {
    type Out = T;
    type Waste = T;

    fn take(&mut self, seat: usize, waste: &mut Vec<T>) -> Option<T> {
        let place = self.skip(seat);
        let item = self.copy(place)?;
        let cursor = &mut self.seats[seat];
        let (number, slow) = (cursor.next, cursor.slow);
        cursor.next += 1;
        self.release(number, number + 1, slow);
        self.trim(waste);
        Some(item)
    }

    fn take_batch(&mut self, seat: usize, into: &mut VecDeque<T>, waste: &mut Vec<T>) {
        if self.seats[seat].slow != Slow::Block {
            // What is in a batch cannot be skipped any more.
            into.extend(self.take(seat, waste));
            return;
        }
        let place = self.skip(seat);
        let most = (self.config.capacity.get() / 2).clamp(1, BATCH);
        let end = self.slots.len().min(place + most);
        // Before these, nobody else will ask for an item that only this one wants.
        let alone = (self.keep_from().saturating_sub(self.first) as usize).clamp(place, end);
        let cursor = &mut self.seats[seat];
        for slot in self.slots.range_mut(place..alone) {
            into.extend(if slot.wanted == 1 { slot.item.take() } else { slot.item.clone() });
            cursor.next += 1;
            cursor.lent += 1;
        }
        for slot in self.slots.range(alone..end) {
            into.extend(slot.item.clone());
            cursor.next += 1;
            cursor.lent += 1;
        }
    }

    fn settle(&mut self, seat: usize, out: usize, waste: &mut Vec<T>) {
        let cursor = &mut self.seats[seat];
        if cursor.lent == 0 {
            // It does not block, and its items were given away when they were taken.
            return;
        }
        let from = cursor.next - cursor.lent as u64;
        cursor.lent -= out;
        let slow = cursor.slow;
        self.release(from, from + out as u64, slow);
        self.trim(waste);
    }

    fn room(&self) -> usize {
        if !self.open {
            return 0;
        }
        if self.seats.is_empty() {
            let kept = self.kept.map_or(0, |from| (self.head() - from.max(self.first)) as usize);
            return match self.config.no_consumers {
                NoConsumers::Block => 0,
                NoConsumers::Drop => BATCH,
                NoConsumers::Buffer(n) => n.get().saturating_sub(kept),
            };
        }
        let room = self.config.capacity.get().saturating_sub(self.wanted);
        if room > 0 {
            return room;
        }
        // Who may lag makes room, one item at a time: no more than the capacity is wanted.
        let first = self.slots.get(self.slots.len() - self.wanted);
        usize::from(first.is_some_and(|slot| slot.blocking == 0))
    }

    fn put(&mut self, item: T, waste: &mut Vec<T>) {
        let seats = self.seats.len();
        if seats > 0 && self.wanted >= self.config.capacity.get() {
            self.evict();
        }
        if self.config.is_error.is_some_and(|is_error| is_error(&item)) {
            self.error = Some(self.head());
        }
        let came =
            self.config.replay_for.map(|_| self.clock.get_or_insert_with(Clock::current).now());
        let (wanted, blocking) = (seats as u32, self.blocking);
        self.slots.push_back(Slot { item: Some(item), wanted, blocking, came });
        if seats > 0 {
            self.wanted += 1;
        } else if self.kept.is_none() {
            self.unseen += 1;
        }
        self.trim(waste);
    }

    fn is_last(&self) -> Option<fn(&T) -> bool> {
        self.config.is_error
    }

    fn end(&mut self, waste: &mut Vec<T>) {
        self.phase = Phase::Ended;
        self.pending = None;
        let why = if self.error.is_some() { Why::Error } else { Why::End };
        self.consider(why, waste);
    }

    fn leave(&mut self, seat: usize, waste: &mut Vec<T>) -> bool {
        let cursor = self.seats.remove(seat);
        self.blocking -= u32::from(cursor.slow == Slow::Block);
        let from = (cursor.next - cursor.lent as u64).max(self.floor());
        if self.seats.is_empty() && self.is_live() {
            self.kept = match self.config.no_consumers {
                NoConsumers::Drop => None,
                // What was lent may be gone.
                NoConsumers::Block => Some(cursor.next.max(from)),
                NoConsumers::Buffer(n) => {
                    let newest = self.head().saturating_sub(n.get() as u64);
                    Some(cursor.next.max(from).max(newest))
                }
            };
        }
        self.release(from, self.head(), cursor.slow);
        let mut stop = false;
        if self.is_live() && self.open {
            if self.config.dropped == Dropped::End {
                self.end(waste);
                stop = true;
            } else if self.seats.is_empty() {
                stop = self.consider(Why::Idle, waste);
            }
        }
        self.trim(waste);
        !stop
    }
}
