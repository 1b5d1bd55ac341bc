//! [`Table`]: values by key, of which the one can be found that was used longest ago.

use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::vec;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::linked::Linked;
use crate::Timestamp;

/// A hash table that knows which of its entries was used longest ago.
///
/// One with times is a [`Linked`] table. To move an entry to the end of its list touches two others,
/// which are in no cache if there are many; so one without times only numbers the uses. When it is
/// first asked for the oldest entry it sorts all of them, and is a linked one from then on.
pub(super) struct Table<K, V> {
    hasher: DefaultHashBuilder,
    entries: Entries<K, V>,
    /// Those that are left at the end, sorted.
    last: vec::IntoIter<Entry<K, V>>,
}

enum Entries<K, V> {
    Numbered {
        table: HashTable<Entry<K, V>>,
        /// The number of the last use.
        last: u64,
    },
    Linked(Linked<K, V>),
}

struct Entry<K, V> {
    key: K,
    value: V,
    /// The number of its last use.
    used: u64,
}

impl<K: Hash + Eq, V> Table<K, V> {
    /// A table that keeps the time of the last use.
    pub(super) fn timed() -> Self {
        let hasher = DefaultHashBuilder::default();
        let entries = Entries::Linked(Linked::with_hasher(hasher.clone()));
        Self { hasher, entries, last: Vec::new().into_iter() }
    }

    /// A table without times.
    pub(super) fn untimed() -> Self {
        let entries = Entries::Numbered { table: HashTable::new(), last: 0 };
        Self { hasher: DefaultHashBuilder::default(), entries, last: Vec::new().into_iter() }
    }

    pub(super) fn len(&self) -> usize {
        let table = match &self.entries {
            Entries::Numbered { table, .. } => table.len(),
            Entries::Linked(table) => table.len(),
        };
        table + self.last.len()
    }

    #[inline]
    pub(super) fn hash(&self, key: &K) -> u64 {
        self.hasher.hash_one(key)
    }

    /// The value of a key, which counts as used now. A table without times needs none.
    #[inline]
    pub(super) fn touch(&mut self, hash: u64, key: &K, now: Timestamp) -> Option<&mut V> {
        match &mut self.entries {
            Entries::Numbered { table, last } => {
                let entry = table.find_mut(hash, |entry| entry.key == *key)?;
                *last += 1;
                entry.used = *last;
                Some(&mut entry.value)
            }
            Entries::Linked(table) => table.touch(hash, key, now),
        }
    }

    /// Adds a key that is not there yet.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V, now: Timestamp) -> &mut V {
        match &mut self.entries {
            Entries::Numbered { table, last } => {
                *last += 1;
                let entry = Entry { key, value, used: *last };
                let hasher = &self.hasher;
                let place = table.insert_unique(hash, entry, |entry| hasher.hash_one(&entry.key));
                &mut place.into_mut().value
            }
            Entries::Linked(table) => table.add(hash, key, value, now),
        }
    }

    /// When the entry was used that has not been used for longest. Only a table with times knows.
    #[inline]
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        match &self.entries {
            Entries::Numbered { .. } => None,
            Entries::Linked(table) => table.oldest(),
        }
    }

    /// Takes the entry out that has not been used for longest.
    pub(super) fn pop_oldest(&mut self) -> Option<(K, V)> {
        if let Some(Entry { key, value, .. }) = self.last.next() {
            return Some((key, value));
        }
        self.linked()?.pop_oldest()
    }

    /// Says that nothing will be added or used any more: what is left needs no list.
    pub(super) fn end(&mut self) {
        if let Entries::Numbered { table, .. } = &mut self.entries {
            self.last = sorted(table).into_iter();
        }
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.entries = Entries::Numbered { table: HashTable::new(), last: 0 };
        self.last = Vec::new().into_iter();
    }

    /// The table with its list, which is made now if there is none.
    fn linked(&mut self) -> Option<&mut Linked<K, V>> {
        if let Entries::Numbered { table, .. } = &mut self.entries {
            let mut linked = Linked::with_hasher(self.hasher.clone());
            for Entry { key, value, .. } in sorted(table) {
                linked.add(self.hasher.hash_one(&key), key, value, Timestamp::EPOCH);
            }
            self.entries = Entries::Linked(linked);
        }
        match &mut self.entries {
            Entries::Linked(table) => Some(table),
            Entries::Numbered { .. } => None,
        }
    }
}

/// Takes all entries out, in the order in which they were used last.
fn sorted<K, V>(table: &mut HashTable<Entry<K, V>>) -> Vec<Entry<K, V>> {
    let mut all: Vec<_> = table.drain().collect();
    all.sort_unstable_by_key(|entry| entry.used);
    all
}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").finish_non_exhaustive()
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
                prop_oneof![8 => (0u8..12).prop_map(Step::Use), 1 => Just(Step::Pop)],
                0..200,
            ),
            timed in any::<bool>(),
        ) {
            let mut table = if timed { Table::timed() } else { Table::untimed() };
            let mut list: Vec<(u8, u32)> = Vec::new();
            let mut times = Vec::new();
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
                        let place = list.iter().position(|entry| entry.0 == key);
                        let before = place.map_or(0, |place| {
                            times.remove(place);
                            list.remove(place).1
                        });
                        list.push((key, before + 1));
                        times.push(now);
                    }
                    Step::Pop => {
                        let expected = (!list.is_empty()).then(|| {
                            times.remove(0);
                            list.remove(0)
                        });
                        prop_assert_eq!(table.pop_oldest(), expected);
                    }
                }
                prop_assert_eq!(table.len(), list.len());
                if timed {
                    prop_assert_eq!(table.oldest(), times.first().copied());
                }
            }
            table.end();
            let left: Vec<_> = std::iter::from_fn(|| {
                let len = table.len();
                table.pop_oldest().inspect(|_| assert_eq!(table.len(), len - 1))
            })
            .collect();
            prop_assert_eq!(left, list);
        }
    }
}
