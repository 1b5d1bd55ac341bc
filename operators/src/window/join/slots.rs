//! [`Slots`]: the right items that left items can still reach, by key.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::collections::binary_heap::{BinaryHeap, PeekMut};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::Timestamp;

/// The right items of one key.
#[derive(Debug)]
pub struct Slot<T> {
    /// The last item that fell behind, if the join keeps it.
    pub(in crate::window) known: Option<(Timestamp, T)>,
    /// Those that have not, by time and arrival.
    pub(in crate::window) ahead: VecDeque<(Timestamp, T)>,
    /// The latest time of those that fell behind and are not kept.
    gone: Timestamp,
    hash: u64,
}

impl<T> Slot<T> {
    fn new(hash: u64) -> Self {
        Self { known: None, ahead: VecDeque::new(), gone: Timestamp::MIN, hash }
    }

    /// The time of the latest item there ever was.
    fn last(&self) -> Timestamp {
        let known = self.known.as_ref().map_or(self.gone, |(time, _)| *time);
        self.ahead.back().map_or(known, |(time, _)| *time)
    }

    pub(super) fn get(&self, place: usize) -> Option<&T> {
        let found = match place.checked_sub(1) {
            None => self.known.as_ref(),
            Some(index) => self.ahead.get(index),
        };
        found.map(|(_, item)| item)
    }
}

/// All of them. What is ahead is counted and comes out in the order of time, whatever its key.
///
/// A slot is never taken apart: a new key takes over the one whose last item is the oldest.
pub struct Slots<K, T> {
    slots: Vec<Slot<T>>,
    /// The slot of each key.
    index: HashTable<(K, usize)>,
    hasher: DefaultHashBuilder,
    /// What is ahead: times and slots. What was ahead in a slot that has a new key since is still
    /// here until its time.
    ahead: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// No item that fell behind is later.
    latest_behind: Timestamp,
    /// Each slot of a key with a time that its last item is not before, once keys have to go.
    oldest: BinaryHeap<Reverse<(Timestamp, usize)>>,
    /// Whether `oldest` is kept.
    ages: bool,
    evicted: u64,
}

impl<K, T> Slots<K, T> {
    pub(super) fn new() -> Self {
        Self {
            slots: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            ahead: BinaryHeap::new(),
            latest_behind: Timestamp::MIN,
            oldest: BinaryHeap::new(),
            ages: false,
            evicted: 0,
        }
    }

    #[inline]
    pub(super) fn get(&self, slot: usize) -> Option<&Slot<T>> {
        self.slots.get(slot)
    }

    /// How many items are ahead.
    #[inline]
    pub(super) fn ahead(&self) -> usize {
        self.ahead.len()
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.index.clear();
        self.ahead.clear();
        self.oldest.clear();
    }

    /// Keeps an item that is behind as the last one of its slot; `false` if a later one is there.
    #[inline]
    pub(super) fn put_behind(&mut self, slot: usize, time: Timestamp, item: T) -> bool {
        let Some(slot) = self.slots.get_mut(slot) else {
            return false;
        };
        if time >= self.latest_behind {
            // In order, so that nothing has to be looked at.
            self.latest_behind = time;
        } else if slot.known.as_ref().is_some_and(|(known, _)| *known > time) {
            return false;
        }
        slot.known = Some((time, item));
        true
    }

    /// Keeps an item that is ahead.
    pub(super) fn put_ahead(&mut self, slot: usize, time: Timestamp, item: T) {
        let Some(kept) = self.slots.get_mut(slot) else {
            return;
        };
        match kept.ahead.back() {
            Some((last, _)) if *last > time => {
                let at = kept.ahead.partition_point(|(other, _)| *other <= time);
                kept.ahead.insert(at, (time, item));
            }
            _ => kept.ahead.push_back((time, item)),
        }
        self.ahead.push(Reverse((time, slot)));
    }

    /// The earliest time of what is ahead.
    #[inline]
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.ahead.peek().map(|Reverse((time, _))| *time)
    }

    /// What is ahead and the earliest falls behind; if `keep`, it is what is known then.
    pub(super) fn fall_behind(&mut self, keep: bool) {
        let Some(Reverse((time, slot))) = self.ahead.pop() else {
            return;
        };
        self.latest_behind = self.latest_behind.max(time);
        let Some(slot) = self.slots.get_mut(slot) else {
            return;
        };
        // Another time is that of a key which took the slot over.
        if slot.ahead.front().is_some_and(|(first, _)| *first == time) {
            let item = slot.ahead.pop_front();
            if keep {
                slot.known = item;
            } else {
                slot.gone = time;
            }
        }
    }

    /// The slot whose last item is the oldest, without its key and what it kept.
    fn take_oldest(&mut self) -> Option<usize> {
        if !self.ages {
            self.ages = true;
            let all = self.slots.iter().enumerate();
            self.oldest.extend(all.map(|(slot, kept)| Reverse((kept.last(), slot))));
        }
        loop {
            let mut oldest = self.oldest.peek_mut()?;
            let Reverse((time, slot)) = *oldest;
            let kept = self.slots.get_mut(slot)?;
            if kept.last() > time {
                *oldest = Reverse((kept.last(), slot));
                continue;
            }
            PeekMut::pop(oldest);
            if let Ok(entry) = self.index.find_entry(kept.hash, |(_, other)| *other == slot) {
                entry.remove();
            }
            let known = kept.known.take().is_some();
            self.evicted += u64::from(known || !kept.ahead.is_empty());
            kept.ahead.clear();
            return Some(slot);
        }
    }
}

impl<T> Slots<(), T> {
    /// The one slot there is.
    #[inline]
    pub(super) fn only(&mut self) -> usize {
        if self.slots.is_empty() {
            self.slots.push(Slot::new(0));
        }
        0
    }
}

impl<K: Hash + Eq, T> Slots<K, T> {
    /// The slot of a key.
    #[inline]
    pub(super) fn find(&self, key: &K) -> Option<usize> {
        self.find_hashed(self.hasher.hash_one(key), key)
    }

    #[inline]
    fn find_hashed(&self, hash: u64, key: &K) -> Option<usize> {
        self.index.find(hash, |(other, _)| other == key).map(|(_, slot)| *slot)
    }

    /// The slot of a key, which takes the place of another one if there are `max_keys` already;
    /// without that, as many as the `capacity`.
    #[inline]
    pub(super) fn find_or_open(
        &mut self,
        key: K,
        max_keys: Option<NonZeroUsize>,
        capacity: NonZeroUsize,
    ) -> usize {
        let hash = self.hasher.hash_one(&key);
        match self.find_hashed(hash, &key) {
            Some(slot) => slot,
            None => self.open(hash, key, max_keys.unwrap_or(capacity).get()),
        }
    }

    #[cold]
    fn open(&mut self, hash: u64, key: K, most: usize) -> usize {
        let taken = if self.slots.len() >= most { self.take_oldest() } else { None };
        let slot = match taken.and_then(|at| Some((at, self.slots.get_mut(at)?))) {
            Some((at, slot)) => {
                (slot.hash, slot.gone) = (hash, Timestamp::MIN);
                at
            }
            None => {
                self.slots.push(Slot::new(hash));
                self.slots.len() - 1
            }
        };
        if self.ages {
            self.oldest.push(Reverse((Timestamp::MIN, slot)));
        }
        let slots = &self.slots;
        let hash_of = |(_, slot): &(K, usize)| slots.get(*slot).map_or(0, |slot| slot.hash);
        self.index.insert_unique(hash, (key, slot), hash_of);
        slot
    }
}

impl<K, T> fmt::Debug for Slots<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("keys", &self.slots.len())
            .field("ahead", &self.ahead.len())
            .finish_non_exhaustive()
    }
}
