//! [`Store`]: what holds the items of an edge, and [`Counts`]: what became of them.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use super::Overflowed;

/// Holds the items of one edge according to its policy; made by
/// [`Policy::into_store`](super::Policy::into_store).
///
/// A store is a plain data structure: it neither waits nor wakes. Whoever owns the edge does.
pub trait Store<T> {
    /// Brings an item. It is handed back only if it has to wait.
    fn offer(&mut self, item: T) -> Offer<T>;

    /// The item whose turn it is.
    fn take(&mut self) -> Option<T>;

    /// The error with which the edge ends: once, after the last item that was held is out.
    fn failure(&mut self) -> Option<Overflowed>;

    /// `false` if every item would be handed back, so that there is no use in asking the input
    /// for one. A store by key says `true` although it may hand back an item with a new key.
    fn has_room(&self) -> bool;

    /// Drops everything that is held, because nobody will take it any more.
    fn discard(&mut self);

    /// How many items are held.
    fn len(&self) -> usize;

    /// Whether nothing is held.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many items may be held.
    fn capacity(&self) -> NonZeroUsize;

    /// What became of the items so far.
    fn counts(&self) -> Counts;

    /// Whether items only ever wait. Then they can leave in batches: none that is on its way out
    /// could still have been dropped or replaced.
    fn is_lossless(&self) -> bool {
        false
    }

    /// Offers items from the front until one is handed back; what was not accepted stays in
    /// `items`, in order.
    fn offer_all(&mut self, items: &mut VecDeque<T>) {
        while self.has_room() {
            let Some(item) = items.pop_front() else {
                return;
            };
            if let Offer::Full(item) = self.offer(item) {
                items.push_front(item);
                return;
            }
        }
    }

    /// Takes every item that is held and appends it to `into`.
    fn take_all(&mut self, into: &mut VecDeque<T>) {
        while let Some(item) = self.take() {
            into.push_back(item);
        }
    }
}

/// What a store did with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a store that is full hands the item back"]
pub enum Offer<T> {
    /// The policy was applied: the item is held, was merged, or was dropped and counted.
    Accepted,
    /// There is no room, and the policy is to wait.
    Full(T),
    /// There is no room, and the policy is to fail: the item was dropped and counted, and so will
    /// be every other.
    Failed,
}

/// What became of the items of an edge. At every instant they add up:
///
/// ```text
/// accepted = delivered + dropped_oldest + dropped_newest + replaced + refused + discarded + held
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Items that came, without those that were handed back to wait.
    pub accepted: u64,
    /// Items that went out.
    pub delivered: u64,
    /// Items dropped because a newer one needed their place.
    pub dropped_oldest: u64,
    /// Items dropped on arrival because there was no place for them.
    pub dropped_newest: u64,
    /// Items that gave way to a newer one, or were merged with it.
    pub replaced: u64,
    /// Items dropped on arrival because the edge had failed, among them the one that made it
    /// fail.
    pub refused: u64,
    /// Items dropped because their consumer was gone.
    pub discarded: u64,
    /// Items that are held now.
    pub held: usize,
    /// The most items that were ever held at once.
    pub high_water: usize,
}

impl Counts {
    /// Items that came and will never go out.
    pub fn lost(&self) -> u64 {
        self.dropped_oldest + self.dropped_newest + self.replaced + self.refused + self.discarded
    }

    /// Whether every item that came is accounted for.
    pub fn add_up(&self) -> bool {
        self.accepted == self.delivered + self.lost() + self.held as u64
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;
    use std::rc::Rc;

    use proptest::prelude::*;

    use super::*;
    use crate::buffer::{ConflateBy, Fail, Overflow, Policy};

    /// An item that can be counted: each holds one more reference.
    #[derive(Debug, Clone)]
    struct Item {
        key: u8,
        number: u32,
        _alive: Rc<()>,
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Offer(u8),
        OfferAll(u8),
        Take,
        TakeAll,
        Discard,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            8 => (0u8..6).prop_map(Step::Offer),
            2 => (1u8..6).prop_map(Step::OfferAll),
            6 => Just(Step::Take),
            1 => Just(Step::TakeAll),
            1 => Just(Step::Discard),
        ];
        prop::collection::vec(step, 0..80)
    }

    /// Takes the steps, and looks after each whether the counts are those of the items that came,
    /// went, and are still alive inside.
    fn check<S: Store<Item>>(mut store: S, steps: &[Step]) -> Result<(), TestCaseError> {
        let alive = Rc::new(());
        let mut number = 0;
        let mut item = |key: u8| {
            number += 1;
            Item { key, number, _alive: alive.clone() }
        };
        let (mut came, mut went, mut high_water) = (0, 0, 0);
        let mut last = 0;
        for step in steps {
            match *step {
                Step::Offer(key) => match store.offer(item(key)) {
                    Offer::Accepted | Offer::Failed => came += 1,
                    Offer::Full(_) => prop_assert_eq!(store.len(), store.capacity().get()),
                },
                Step::OfferAll(n) => {
                    let mut batch: VecDeque<_> = (0..n).map(&mut item).collect();
                    store.offer_all(&mut batch);
                    came += u64::from(n) - batch.len() as u64;
                }
                Step::Take => went += u64::from(store.take().is_some()),
                Step::TakeAll => {
                    let mut all = VecDeque::new();
                    store.take_all(&mut all);
                    went += all.len() as u64;
                    prop_assert!(store.is_empty());
                    if store.is_lossless() {
                        for item in all {
                            prop_assert!(item.number > last);
                            last = item.number;
                        }
                    }
                }
                Step::Discard => store.discard(),
            }
            let counts = store.counts();
            high_water = high_water.max(store.len());
            prop_assert!(counts.add_up(), "{counts:?} after {step:?}");
            prop_assert_eq!((counts.accepted, counts.delivered), (came, went));
            prop_assert_eq!(counts.held, Rc::strong_count(&alive) - 1);
            prop_assert_eq!(counts.held, store.len());
            prop_assert!(store.len() <= store.capacity().get());
            prop_assert_eq!(store.is_empty(), store.len() == 0);
            prop_assert!(counts.high_water >= high_water);
            prop_assert!(counts.high_water <= store.capacity().get());
        }
        Ok(())
    }

    fn store<P: Policy<Item>>(policy: P, capacity: usize) -> P::Store {
        policy.into_store(NonZeroUsize::new(capacity).unwrap(), Location::caller())
    }

    proptest! {
        #[test]
        fn under_every_policy_the_counts_add_up_to_the_items_after_every_step(
            steps in steps(),
            capacity in 1usize..5,
        ) {
            check(store(Overflow::Block, capacity), &steps)?;
            check(store(Overflow::DropOldest, capacity), &steps)?;
            check(store(Overflow::DropNewest, capacity), &steps)?;
            check(store(Overflow::Latest, capacity), &steps)?;
            check(store(Fail, capacity), &steps)?;
            let merge = |held: &mut Item, new: Item| *held = new;
            check(store(ConflateBy::new(|item: &Item| item.key, merge), capacity), &steps)?;
        }
    }
}
