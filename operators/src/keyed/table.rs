//! [`Table`]: values by key, in the order in which they were used last.

use std::fmt;
use std::hash::{BuildHasher, Hash};

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use crate::Timestamp;

/// A hash table whose entries also form a list, from the one that was used longest ago to the one
/// that was used last. Every operation takes one hash or none, however many entries there are, and
/// memory is allocated only while the number of entries grows.
pub(super) struct Table<K, V> {
    entries: Slab<Entry<K, V>>,
    index: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// The ends of the list; `NONE` if it is empty.
    oldest: usize,
    newest: usize,
}

const NONE: usize = usize::MAX;

struct Entry<K, V> {
    key: K,
    value: V,
    hash: u64,
    used: Timestamp,
    older: usize,
    newer: usize,
}

impl<K: Hash + Eq, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Self {
            entries: Slab::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            oldest: NONE,
            newest: NONE,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The value of a key, which counts as used now.
    pub(super) fn touch(&mut self, hash: u64, key: &K, now: Timestamp) -> Option<&mut V> {
        let entries = &self.entries;
        let at = *self.index.find(hash, |&at| entries[at].key == *key)?;
        if at != self.newest {
            self.unlink(at);
            self.link(at);
        }
        let entry = &mut self.entries[at];
        entry.used = now;
        Some(&mut entry.value)
    }

    /// Adds a key that is not there yet.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V, now: Timestamp) -> &mut V {
        let entry = Entry { key, value, hash, used: now, older: NONE, newer: NONE };
        let at = self.entries.insert(entry);
        let entries = &self.entries;
        self.index.insert_unique(hash, at, |&at| entries[at].hash);
        self.link(at);
        &mut self.entries[at].value
    }

    /// When the entry was used that has not been used for longest.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.entries.get(self.oldest).map(|entry| entry.used)
    }

    /// Takes that entry out.
    pub(super) fn pop_oldest(&mut self) -> Option<(K, V)> {
        let at = self.oldest;
        let hash = self.entries.get(at)?.hash;
        self.unlink(at);
        if let Ok(entry) = self.index.find_entry(hash, |&other| other == at) {
            entry.remove();
        }
        let entry = self.entries.remove(at);
        Some((entry.key, entry.value))
    }

    /// Takes an entry out of the list.
    fn unlink(&mut self, at: usize) {
        let (older, newer) = (self.entries[at].older, self.entries[at].newer);
        match self.entries.get_mut(older) {
            Some(entry) => entry.newer = newer,
            None => self.oldest = newer,
        }
        match self.entries.get_mut(newer) {
            Some(entry) => entry.older = older,
            None => self.newest = older,
        }
    }

    /// Puts it at the new end.
    fn link(&mut self, at: usize) {
        let last = std::mem::replace(&mut self.newest, at);
        match self.entries.get_mut(last) {
            Some(entry) => entry.newer = at,
            None => self.oldest = at,
        }
        let entry = &mut self.entries[at];
        (entry.older, entry.newer) = (last, NONE);
    }
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.entries.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Use(u8),
        Pop,
    }

    proptest! {
        #[test]
        fn it_does_what_a_list_does_that_is_searched_from_end_to_end(
            steps in prop::collection::vec(
                prop_oneof![4 => (0u8..12).prop_map(Step::Use), 1 => Just(Step::Pop)],
                0..200,
            ),
        ) {
            let mut table = Table::new();
            let mut list: Vec<(u8, u32)> = Vec::new();
            for (now, step) in steps.into_iter().enumerate() {
                let now = Timestamp::from_nanos(now as i64);
                match step {
                    Step::Use(key) => {
                        let hash = table.hash(&key);
                        match table.touch(hash, &key, now) {
                            Some(value) => *value += 1,
                            None => {
                                let _ = table.add(hash, key, 1, now);
                            }
                        }
                        match list.iter().position(|entry| entry.0 == key) {
                            Some(at) => {
                                let (key, value) = list.remove(at);
                                list.push((key, value + 1));
                            }
                            None => list.push((key, 1)),
                        }
                    }
                    Step::Pop => {
                        let expected = (!list.is_empty()).then(|| list.remove(0));
                        prop_assert_eq!(table.pop_oldest(), expected);
                    }
                }
                prop_assert_eq!(table.len(), list.len());
                prop_assert_eq!(table.oldest().is_some(), !list.is_empty());
            }
        }
    }
}
