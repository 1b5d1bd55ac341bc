//! [`Grouping`]: one state for all items, or one for each key.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::keyed::KeyLimits;

/// How items are grouped before they are put into windows: [`Whole`] or [`ByKey`].
pub trait Grouping<T> {
    /// What the items of a group have in common.
    type Key: Clone + Eq + Hash;
    /// Finds the place of a key.
    type Index: Index;

    /// The key of an item.
    fn key(&mut self, item: &T) -> Self::Key;
    /// Its hash, which the index is asked with.
    fn hash(&self, key: &Self::Key) -> u64;
    /// How many keys there may be at once, and for how long.
    fn limits(&self) -> KeyLimits;
}

/// Finds the place of a key in a list by the hash of the key.
pub trait Index: Default {
    /// The place with this hash for which `is` holds.
    fn find(&self, hash: u64, is: impl FnMut(usize) -> bool) -> Option<usize>;
    /// Adds a place. `hash_of` gives the hashes of the places that are there already.
    fn insert(&mut self, hash: u64, place: usize, hash_of: impl Fn(usize) -> u64);
    /// Takes a place out.
    fn remove(&mut self, hash: u64, place: usize);
    /// Takes all places out and keeps the memory.
    fn clear(&mut self);
}

/// All items are one group.
#[derive(Debug, Clone, Copy)]
pub struct Whole;

impl<T> Grouping<T> for Whole {
    type Key = ();
    type Index = Only;

    #[inline]
    fn key(&mut self, _: &T) {}

    #[inline]
    fn hash(&self, (): &()) -> u64 {
        0
    }

    fn limits(&self) -> KeyLimits {
        KeyLimits::new(1)
    }
}

/// The index of a list that has one place at most.
#[derive(Debug, Default)]
pub struct Only {
    there: bool,
}

impl Index for Only {
    #[inline]
    fn find(&self, _: u64, _: impl FnMut(usize) -> bool) -> Option<usize> {
        self.there.then_some(0)
    }

    fn insert(&mut self, _: u64, _: usize, _: impl Fn(usize) -> u64) {
        self.there = true;
    }

    fn remove(&mut self, _: u64, _: usize) {
        self.there = false;
    }

    fn clear(&mut self) {
        self.there = false;
    }
}

/// Items with equal keys are a group.
pub struct ByKey<F> {
    key: F,
    limits: KeyLimits,
    hasher: DefaultHashBuilder,
}

impl<F> ByKey<F> {
    pub(crate) fn new(limits: KeyLimits, key: F) -> Self {
        Self { key, limits, hasher: DefaultHashBuilder::default() }
    }
}

impl<F> fmt::Debug for ByKey<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<T, K: Hash + Eq + Clone, F: FnMut(&T) -> K> Grouping<T> for ByKey<F> {
    type Key = K;
    type Index = Hashed;

    #[inline]
    fn key(&mut self, item: &T) -> K {
        (self.key)(item)
    }

    #[inline]
    fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    fn limits(&self) -> KeyLimits {
        self.limits
    }
}

/// A hash table of places.
#[derive(Debug, Default)]
pub struct Hashed {
    places: HashTable<u32>,
}

impl Index for Hashed {
    #[inline]
    fn find(&self, hash: u64, mut is: impl FnMut(usize) -> bool) -> Option<usize> {
        self.places.find(hash, |&place| is(place as usize)).map(|&place| place as usize)
    }

    fn insert(&mut self, hash: u64, place: usize, hash_of: impl Fn(usize) -> u64) {
        // There are no more places than keys, and `KeyLimits` allows 2³² of those.
        self.places.insert_unique(hash, place as u32, |&place| hash_of(place as usize));
    }

    fn remove(&mut self, hash: u64, place: usize) {
        if let Ok(found) = self.places.find_entry(hash, |&other| other as usize == place) {
            found.remove();
        }
    }

    fn clear(&mut self) {
        self.places.clear();
    }
}

/// A list of values by key, in the order in which the keys came. Memory is allocated only while it
/// grows beyond what it ever held.
#[derive(Debug)]
pub(super) struct Slots<K, V, I> {
    index: I,
    slots: Vec<Slot<K, V>>,
}

#[derive(Debug)]
pub(super) struct Slot<K, V> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
}

impl<K, V, I: Default> Default for Slots<K, V, I> {
    fn default() -> Self {
        Self { index: I::default(), slots: Vec::new() }
    }
}

impl<K: Eq, V, I: Index> Slots<K, V, I> {
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        self.index.find(hash, |place| self.slots[place].key == *key)
    }

    #[inline]
    pub(super) fn find_mut(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        let place = self.find(hash, key)?;
        self.slots.get_mut(place).map(|slot| &mut slot.value)
    }

    #[inline]
    pub(super) fn get(&mut self, place: usize) -> &mut V {
        &mut self.slots[place].value
    }

    #[inline]
    pub(super) fn slot(&mut self, place: usize) -> &mut Slot<K, V> {
        &mut self.slots[place]
    }

    /// Adds a key that is not there yet.
    pub(super) fn push(&mut self, hash: u64, key: K, value: V) -> usize {
        let place = self.slots.len();
        self.slots.push(Slot { hash, key, value });
        let slots = &self.slots;
        self.index.insert(hash, place, |place| slots[place].hash);
        place
    }

    /// Puts a key that is not there yet into the place of another, which is returned.
    pub(super) fn replace(&mut self, place: usize, hash: u64, key: K, value: V) -> Slot<K, V> {
        let slots = &mut self.slots;
        self.index.remove(slots[place].hash, place);
        let old = std::mem::replace(&mut slots[place], Slot { hash, key, value });
        self.index.insert(hash, place, |place| slots[place].hash);
        old
    }

    /// Takes a key out; the last one moves to its place.
    pub(super) fn swap_remove(&mut self, place: usize) -> Slot<K, V> {
        let last = self.slots.len() - 1;
        self.index.remove(self.slots[place].hash, place);
        if place != last {
            let hash = self.slots[last].hash;
            self.index.remove(hash, last);
            let slots = &self.slots;
            self.index.insert(hash, place, |place| slots[place].hash);
        }
        self.slots.swap_remove(place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.slots.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Slot<K, V>> {
        self.slots.iter_mut()
    }

    /// Takes all keys out, in the order in which they came.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = Slot<K, V>> + '_ {
        self.index.clear();
        self.slots.drain(..)
    }

    /// Takes all keys out.
    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.slots.clear();
    }
}
