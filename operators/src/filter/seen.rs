//! [`Seen`]: a bounded set of keys that forgets the one that was seen longest ago.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::num::NonZeroUsize;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{Alarm, Timestamp};

/// How many keys, and for how long, [`Flow::distinct`](crate::Flow::distinct) remembers.
///
/// A number is a memory of that many keys without a limit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    capacity: usize,
    forget_after: Option<Duration>,
}

impl Memory {
    /// Remembers `capacity` keys. When one more comes, the one that was seen longest ago is
    /// forgotten.
    pub fn of(capacity: usize) -> Self {
        Self { capacity, forget_after: None }
    }

    /// Forgets a key when this time has passed since an item with it came out, however often it
    /// was seen since: so that no key is dropped for ever, and none comes out twice within the
    /// time.
    #[must_use]
    pub fn forget_after(self, time: Duration) -> Self {
        Self { forget_after: Some(time), ..self }
    }
}

impl From<usize> for Memory {
    fn from(capacity: usize) -> Self {
        Self::of(capacity)
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.capacity)?;
        match self.forget_after {
            Some(time) => write!(f, " for {time:?}"),
            None => Ok(()),
        }
    }
}

/// The keys, in a list from the one that was seen last to the one that was seen longest ago.
pub(super) struct Seen<K> {
    memory: Memory,
    capacity: NonZeroUsize,
    entries: Vec<Entry<K>>,
    /// The entries by the hash of their key.
    index: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// The ends of the list, if there are entries.
    newest: usize,
    oldest: usize,
    /// Read only with a limit of time.
    clock: Alarm,
    forgotten: u64,
}

struct Entry<K> {
    key: K,
    hash: u64,
    /// When an item with this key came out.
    passed: Option<Timestamp>,
    newer: usize,
    older: usize,
}

impl<K: Hash + Eq> Seen<K> {
    /// `None` if the memory has no room.
    pub(super) fn new(memory: Memory) -> Option<Self> {
        Some(Self {
            memory,
            capacity: NonZeroUsize::new(memory.capacity)?,
            entries: Vec::new(),
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            newest: 0,
            oldest: 0,
            clock: Alarm::new(),
            forgotten: 0,
        })
    }

    pub(super) fn memory(&self) -> Memory {
        self.memory
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity.get()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How many keys were forgotten because others came.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    pub(super) fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
    }

    /// Whether the key is not remembered, which it is from now on.
    pub(super) fn is_new(&mut self, key: K) -> bool {
        let now = self.memory.forget_after.map(|time| (self.clock.now(), time));
        let hash = self.hasher.hash_one(&key);
        let found = self.index.find(hash, |&at| self.entries[at].key == key).copied();
        if let Some(at) = found {
            self.unlink(at);
            self.link(at);
            let entry = &mut self.entries[at];
            let expired = now.zip(entry.passed).is_some_and(|((now, time), at)| now - at >= time);
            if expired {
                entry.passed = now.map(|now| now.0);
            }
            return expired;
        }
        let entry = Entry { key, hash, passed: now.map(|now| now.0), newer: 0, older: 0 };
        let at = if self.entries.len() < self.capacity.get() {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let at = self.oldest;
            self.unlink(at);
            let before = std::mem::replace(&mut self.entries[at], entry);
            if let Ok(entry) = self.index.find_entry(before.hash, |&other| other == at) {
                entry.remove();
            }
            self.forgotten += 1;
            at
        };
        self.link(at);
        self.index.insert_unique(hash, at, |&at| self.entries[at].hash);
        true
    }

    /// Takes an entry out of the list.
    fn unlink(&mut self, at: usize) {
        let (newer, older) = (self.entries[at].newer, self.entries[at].older);
        if at == self.newest {
            self.newest = older;
        } else {
            self.entries[newer].older = older;
        }
        if at == self.oldest {
            self.oldest = newer;
        } else {
            self.entries[older].newer = newer;
        }
    }

    /// Puts an entry that is in no list at its new end.
    fn link(&mut self, at: usize) {
        let alone = self.entries.len() == 1;
        if alone {
            self.oldest = at;
        } else {
            self.entries[self.newest].newer = at;
            self.entries[at].older = self.newest;
        }
        self.newest = at;
    }
}

impl<K> fmt::Debug for Seen<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seen")
            .field("memory", &self.memory)
            .field("held", &self.entries.len())
            .field("forgotten", &self.forgotten)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_remembers_what_a_list_would(
            capacity in 1..6_usize,
            keys in prop::collection::vec(0..9_u8, 0..200),
            clear_at in 0..200_usize,
        ) {
            let mut seen = Seen::new(Memory::of(capacity)).unwrap();
            // The newest last.
            let mut list: Vec<u8> = Vec::new();
            for (index, key) in keys.into_iter().enumerate() {
                if index == clear_at {
                    seen.clear();
                    list.clear();
                }
                let before = list.iter().position(|other| *other == key);
                before.map(|at| list.remove(at));
                list.push(key);
                if list.len() > capacity {
                    list.remove(0);
                }
                prop_assert_eq!(seen.is_new(key), before.is_none());
                prop_assert_eq!(seen.entries.len(), list.len());
                prop_assert_eq!(seen.index.len(), list.len());
            }
        }
    }

    #[test]
    fn a_memory_without_room_is_none() {
        assert!(Seen::<u8>::new(Memory::of(0)).is_none());
    }
}
