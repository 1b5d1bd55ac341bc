//! [`Linked`]: values by key, in the order in which they were used last.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use crate::Timestamp;

/// A hash table whose entries also form a list, from the one that was used longest ago to the one
/// that was used last. Every operation takes one hash or none, however many entries there are, and
/// memory is allocated only while the number of entries grows.
pub(crate) struct Linked<K, V> {
    entries: Slab<Entry<K, V>>,
    index: HashTable<u32>,
    hasher: DefaultHashBuilder,
    /// The ends of the list; `NONE` if it is empty.
    oldest: u32,
    newest: u32,
}

const NONE: u32 = u32::MAX;

struct Entry<K, V> {
    key: K,
    value: V,
    used: Timestamp,
    older: u32,
    newer: u32,
}

impl<K: Hash + Eq, V> Linked<K, V> {
    pub(crate) fn new() -> Self {
        Self::with_hasher(DefaultHashBuilder::default())
    }

    pub(crate) fn with_hasher(hasher: DefaultHashBuilder) -> Self {
        let (entries, index) = (Slab::new(), HashTable::new());
        Self { entries, index, hasher, oldest: NONE, newest: NONE }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    #[inline]
    pub(crate) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    #[inline]
    fn find(&self, hash: u64, key: &K) -> Option<u32> {
        let entries = &self.entries;
        self.index.find(hash, |&at| entries[at as usize].key == *key).copied()
    }

    /// The value of a key.
    #[inline]
    pub(crate) fn get(&mut self, hash: u64, key: &K) -> Option<&mut V> {
        let at = self.find(hash, key)?;
        self.entries.get_mut(at as usize).map(|entry| &mut entry.value)
    }

    /// The value of a key, which counts as used now.
    #[inline]
    pub(crate) fn touch(&mut self, hash: u64, key: &K, now: Timestamp) -> Option<&mut V> {
        let at = self.find(hash, key)?;
        if at != self.newest {
            self.unlink(at);
            self.link(at);
        }
        let entry = &mut self.entries[at as usize];
        entry.used = now;
        Some(&mut entry.value)
    }

    /// Adds a key that is not there yet.
    pub(crate) fn add(&mut self, hash: u64, key: K, value: V, now: Timestamp) -> &mut V {
        let entry = Entry { key, value, used: now, older: NONE, newer: NONE };
        // `KeyLimits` allows fewer keys than `NONE`.
        let at = self.entries.insert(entry) as u32;
        let (entries, hasher) = (&self.entries, &self.hasher);
        self.index.insert_unique(hash, at, |&at| hasher.hash_one(&entries[at as usize].key));
        self.link(at);
        &mut self.entries[at as usize].value
    }

    /// The value that was used last.
    pub(crate) fn newest(&mut self) -> Option<&mut V> {
        self.entries.get_mut(self.newest as usize).map(|entry| &mut entry.value)
    }

    /// When the entry was used that has not been used for longest.
    #[inline]
    pub(crate) fn oldest(&self) -> Option<Timestamp> {
        self.entries.get(self.oldest as usize).map(|entry| entry.used)
    }

    /// The value of that entry.
    pub(crate) fn oldest_mut(&mut self) -> Option<&mut V> {
        self.entries.get_mut(self.oldest as usize).map(|entry| &mut entry.value)
    }

    /// The same, and the entry counts as used now.
    pub(crate) fn renew_oldest(&mut self, now: Timestamp) -> Option<&mut V> {
        let at = self.oldest;
        self.entries.get_mut(at as usize)?.used = now;
        self.unlink(at);
        self.link(at);
        self.entries.get_mut(at as usize).map(|entry| &mut entry.value)
    }

    /// Takes that entry out.
    pub(crate) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let at = self.oldest;
        let hash = self.hasher.hash_one(&self.entries.get(at as usize)?.key);
        Some(self.take(hash, at))
    }

    /// Takes an entry out.
    pub(crate) fn remove(&mut self, hash: u64, key: &K) -> Option<(K, V)> {
        let at = self.find(hash, key)?;
        Some(self.take(hash, at))
    }

    fn take(&mut self, hash: u64, at: u32) -> (K, V) {
        self.unlink(at);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == at) {
            entry.remove();
        }
        let entry = self.entries.remove(at as usize);
        (entry.key, entry.value)
    }

    /// Takes an entry out of the list.
    fn unlink(&mut self, at: u32) {
        let (older, newer) = (self.entries[at as usize].older, self.entries[at as usize].newer);
        match self.entries.get_mut(older as usize) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer as usize) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    /// Puts it at the new end.
    fn link(&mut self, at: u32) {
        let last = std::mem::replace(&mut self.newest, at);
        match self.entries.get_mut(last as usize) {
            Some(entry) => entry.newer = at,
            None => self.oldest = at,
        }
        let entry = &mut self.entries[at as usize];
        (entry.older, entry.newer) = (last, NONE);
    }
}

impl<K, V> fmt::Debug for Linked<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Linked").field("len", &self.entries.len()).finish_non_exhaustive()
    }
}
