//! [`ConflateBy`]: one item for each key, the newest merged into the one that waits.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::num::NonZeroUsize;

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{Bound, Site};

use super::{Counts, Offer, Overflowed, Policy, Store};

/// Holds one item for each key; an item whose key is held already is merged into that one.
///
/// ```text
/// held before   a1 b1     (capacity 2)
/// a2 arrives    a2 b1     merged; a keeps its turn
/// c1 arrives    a2 b1     c1 waits, and with it the input
/// ```
///
/// Keys leave in the order in which they first changed, so that a busy key cannot starve a quiet
/// one. `capacity` is the number of keys; an item with a key beyond it waits, so the edge holds
/// one item more than that. `key` and `merge` run while the edge is locked: they must be short and
/// must not use the edge themselves. Finding a key takes one hash, however many are held.
///
/// ```
/// use aqueduct_operators::buffer::{ConflateBy, Policy, Store};
/// use std::num::NonZeroUsize;
/// use std::panic::Location;
///
/// let newest = ConflateBy::new(|q: &(u8, f64)| q.0, |held, new| *held = new);
/// let mut quotes = newest.into_store(NonZeroUsize::MIN, Location::caller());
/// let _ = quotes.offer((1, 99.5));
/// let _ = quotes.offer((1, 99.7));
/// assert_eq!(quotes.take(), Some((1, 99.7)));
/// ```
#[derive(Clone, Copy)]
#[doc(alias("conflate", "debounce_by_key", "latest_by_key"))]
pub struct ConflateBy<K, M> {
    key: K,
    merge: M,
}

impl<K, M> ConflateBy<K, M> {
    /// `key` tells the key of an item, `merge` brings a new item into the one that is held.
    pub fn new<T, Q>(key: K, merge: M) -> Self
    where
        K: FnMut(&T) -> Q,
        M: FnMut(&mut T, T),
    {
        Self { key, merge }
    }
}

impl<K, M> fmt::Debug for ConflateBy<K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConflateBy").finish_non_exhaustive()
    }
}

impl<T, Q, K, M> Policy<T> for ConflateBy<K, M>
where
    K: FnMut(&T) -> Q,
    Q: Hash + Eq,
    M: FnMut(&mut T, T),
{
    type Out = T;
    type Store = Conflating<T, Q, K, M>;

    fn name(&self) -> &'static str {
        "ConflateBy"
    }

    fn bound(&self, capacity: NonZeroUsize) -> Bound {
        Bound::Items(capacity.get()).and(Bound::Items(1))
    }

    fn into_store(self, capacity: NonZeroUsize, _: Site) -> Self::Store {
        Conflating {
            slots: VecDeque::new(),
            first: 0,
            index: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            policy: self,
            capacity,
            counts: Counts::default(),
            item: PhantomData,
        }
    }

    fn item(item: T) -> T {
        item
    }

    fn failure(_: Overflowed) -> Option<T> {
        None
    }
}

/// The store of [`ConflateBy`].
pub struct Conflating<T, Q, K, M> {
    /// In the order in which the keys first changed: slots are added at the back and leave at the
    /// front, so the number of a slot, counted from the beginning of time, finds it.
    slots: VecDeque<Slot<T, Q>>,
    /// The number of the slot at the front.
    first: u64,
    /// The numbers of the slots, by the hash of their key.
    index: HashTable<u64>,
    hasher: DefaultHashBuilder,
    policy: ConflateBy<K, M>,
    capacity: NonZeroUsize,
    /// Without `held`, which is the number of slots.
    counts: Counts,
    item: PhantomData<fn(&T)>,
}

struct Slot<T, Q> {
    hash: u64,
    key: Q,
    item: T,
}

impl<T, Q, K, M> fmt::Debug for Conflating<T, Q, K, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conflating")
            .field("held", &self.slots.len())
            .field("capacity", &self.capacity)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<T, Q, K, M> Store<T> for Conflating<T, Q, K, M>
where
    K: FnMut(&T) -> Q,
    Q: Hash + Eq,
    M: FnMut(&mut T, T),
{
    fn offer(&mut self, item: T) -> Offer<T> {
        let key = (self.policy.key)(&item);
        let hash = self.hasher.hash_one(&key);
        let (slots, first) = (&mut self.slots, self.first);
        let at = |number: u64| (number - first) as usize;
        let found = self.index.find(hash, |&number| slots[at(number)].key == key);
        if let Some(&number) = found {
            // Counted before code of the user runs, so that the counts stay true if it panics.
            self.counts.accepted += 1;
            self.counts.replaced += 1;
            (self.policy.merge)(&mut slots[at(number)].item, item);
            return Offer::Accepted;
        }
        if slots.len() >= self.capacity.get() {
            return Offer::Full(item);
        }
        let number = first + slots.len() as u64;
        slots.push_back(Slot { hash, key, item });
        self.index.insert_unique(hash, number, |&number| slots[at(number)].hash);
        self.counts.accepted += 1;
        self.counts.high_water = self.counts.high_water.max(slots.len());
        Offer::Accepted
    }

    fn take(&mut self) -> Option<T> {
        let slot = self.slots.pop_front()?;
        let number = self.first;
        if let Ok(entry) = self.index.find_entry(slot.hash, |&other| other == number) {
            entry.remove();
        }
        self.first += 1;
        self.counts.delivered += 1;
        Some(slot.item)
    }

    fn failure(&mut self) -> Option<Overflowed> {
        None
    }

    fn has_room(&self) -> bool {
        true
    }

    fn discard(&mut self) {
        self.counts.discarded += self.slots.len() as u64;
        self.first += self.slots.len() as u64;
        self.index.clear();
        self.slots.clear();
    }

    fn len(&self) -> usize {
        self.slots.len()
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    fn counts(&self) -> Counts {
        Counts { held: self.slots.len(), ..self.counts }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, Location, catch_unwind};

    use proptest::prelude::*;

    use super::*;

    type Quote = (char, u32);

    fn sums(capacity: usize) -> impl Store<Quote> {
        ConflateBy::new(|q: &Quote| q.0, |held, new| held.1 += new.1)
            .into_store(NonZeroUsize::new(capacity).unwrap(), Location::caller())
    }

    #[test]
    fn a_key_that_changes_again_is_merged_and_keeps_its_turn() {
        let mut store = sums(3);
        for quote in [('a', 1), ('b', 10), ('a', 2), ('c', 100), ('b', 20)] {
            assert_eq!(store.offer(quote), Offer::Accepted);
        }
        assert_eq!(store.take(), Some(('a', 3)));
        // Taken: the same key is new again, and last.
        assert_eq!(store.offer(('a', 4)), Offer::Accepted);
        let rest: Vec<_> = std::iter::from_fn(|| store.take()).collect();
        assert_eq!(rest, [('b', 30), ('c', 100), ('a', 4)]);
        assert_eq!(store.counts().replaced, 2);
    }

    #[test]
    fn a_key_beyond_the_capacity_is_handed_back_while_others_are_still_merged() {
        let mut store = sums(1);
        assert_eq!(store.offer(('a', 1)), Offer::Accepted);
        assert_eq!(store.offer(('b', 1)), Offer::Full(('b', 1)));
        assert_eq!(store.offer(('a', 1)), Offer::Accepted);
        assert_eq!(store.take(), Some(('a', 2)));
        assert_eq!(store.offer(('b', 1)), Offer::Accepted);
    }

    #[test]
    fn many_keys_come_and_go_and_what_they_add_up_to_stays() {
        let mut store = ConflateBy::new(|q: &(u64, u64)| q.0, |held, new| held.1 += new.1)
            .into_store(NonZeroUsize::new(1_000).unwrap(), Location::caller());
        let (mut sum, mut draw) = (0, 1u64);
        for n in 0..50_000 {
            draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
            while let Offer::Full(_) = store.offer((draw >> 53, n)) {
                sum += store.take().map_or(0, |taken| taken.1);
            }
        }
        assert!(store.counts().high_water == 1_000 && store.counts().add_up());
        sum += std::iter::from_fn(|| store.take()).map(|taken| taken.1).sum::<u64>();
        assert_eq!(sum, (0..50_000).sum());
    }

    proptest! {
        /// Beside a list that is searched from end to end.
        #[test]
        fn keys_are_merged_and_leave_in_the_order_in_which_they_first_changed(
            steps in prop::collection::vec(prop::option::weighted(0.7, 0u8..8), 0..200),
            capacity in 1usize..6,
        ) {
            let mut store = ConflateBy::new(|q: &(u8, usize)| q.0, |held, new| held.1 += new.1)
                .into_store(NonZeroUsize::new(capacity).unwrap(), Location::caller());
            let mut list: Vec<(u8, usize)> = Vec::new();
            for (n, step) in steps.into_iter().enumerate() {
                let Some(key) = step else {
                    let first = (!list.is_empty()).then(|| list.remove(0));
                    prop_assert_eq!(store.take(), first);
                    continue;
                };
                let held = list.len();
                let expected = match list.iter_mut().find(|held| held.0 == key) {
                    Some(held) => {
                        held.1 += n;
                        Offer::Accepted
                    }
                    None if held == capacity => Offer::Full((key, n)),
                    None => {
                        list.push((key, n));
                        Offer::Accepted
                    }
                };
                prop_assert_eq!(store.offer((key, n)), expected);
            }
        }
    }

    #[test]
    fn a_merge_that_panics_leaves_the_store_in_order() {
        let merge = |_: &mut u32, _: u32| panic!("merge");
        let mut store =
            ConflateBy::new(|_: &u32| (), merge).into_store(NonZeroUsize::MIN, Location::caller());
        assert_eq!(store.offer(1), Offer::Accepted);
        assert!(catch_unwind(AssertUnwindSafe(|| store.offer(2))).is_err());
        assert!(store.counts().add_up());
        assert_eq!(store.take(), Some(1));
        assert_eq!(store.offer(3), Offer::Accepted);
    }
}
