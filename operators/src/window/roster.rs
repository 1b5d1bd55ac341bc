//! [`Roster`]: values by key, in places that stay.

use slab::Slab;

use super::Index;

/// Values by key. A place is that of its key until the key is taken out. Memory is allocated only
/// while there are more keys than ever before.
#[derive(Debug)]
pub(super) struct Roster<K, V, I> {
    index: I,
    members: Slab<Member<K, V>>,
    /// How many have come.
    came: u64,
}

#[derive(Debug)]
pub(super) struct Member<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    hash: u64,
    /// How many came before it. That tells it from those that had its place before.
    pub(super) came: u64,
}

impl<K, V, I: Default> Default for Roster<K, V, I> {
    fn default() -> Self {
        Self { index: I::default(), members: Slab::new(), came: 0 }
    }
}

impl<K: Eq, V, I: Index> Roster<K, V, I> {
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    #[inline]
    pub(super) fn find(&self, hash: u64, key: &K) -> Option<usize> {
        self.index.find(hash, |place| self.members[place].key == *key)
    }

    #[inline]
    pub(super) fn get(&mut self, place: usize) -> &mut Member<K, V> {
        &mut self.members[place]
    }

    /// The member that came as this one, if it is still there.
    pub(super) fn still(&mut self, place: usize, came: u64) -> Option<&mut Member<K, V>> {
        self.members.get_mut(place).filter(|member| member.came == came)
    }

    /// Adds a key that is not there yet.
    pub(super) fn add(&mut self, hash: u64, key: K, value: V) -> usize {
        let place = self.members.insert(Member { key, value, hash, came: self.came });
        self.came += 1;
        let members = &self.members;
        self.index.insert(hash, place, |place| members[place].hash);
        place
    }

    pub(super) fn remove(&mut self, place: usize) -> Member<K, V> {
        let member = self.members.remove(place);
        self.index.remove(member.hash, place);
        member
    }
}
