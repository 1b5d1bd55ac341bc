//! [`Ring`]: the store of every policy that treats all items alike.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use crate::Site;

use super::{Counts, Offer, Overflow, Overflowed, Store};

/// A bounded queue: the store of [`Overflow`] and of [`Fail`](super::Fail).
///
/// ```
/// use aqueduct_operators::buffer::{Offer, Overflow, Ring, Store};
/// use std::num::NonZeroUsize;
///
/// let mut ring = Ring::new(Overflow::DropOldest, NonZeroUsize::MIN);
/// assert_eq!(ring.offer('a'), Offer::Accepted);
/// assert_eq!(ring.offer('b'), Offer::Accepted);
/// assert_eq!(ring.take(), Some('b'));
/// assert_eq!(ring.counts().dropped_oldest, 1);
/// ```
#[derive(Debug)]
pub struct Ring<T> {
    items: VecDeque<T>,
    capacity: NonZeroUsize,
    when_full: WhenFull,
    /// Without `held`, which is the length of `items`.
    counts: Counts,
}

#[derive(Debug, Clone, Copy)]
enum WhenFull {
    Overflow(Overflow),
    Fail(Site),
    /// It failed; the error is not out yet.
    Failed(Site),
    /// It failed, and the error is out.
    Over,
}

impl<T> Ring<T> {
    /// An empty queue. Memory grows with what is held, up to the capacity, and is kept.
    pub fn new(overflow: Overflow, capacity: NonZeroUsize) -> Self {
        Self::with(WhenFull::Overflow(overflow), capacity)
    }

    /// An empty queue that fails when it is full: see [`Fail`](super::Fail).
    pub fn failing(capacity: NonZeroUsize, site: Site) -> Self {
        Self::with(WhenFull::Fail(site), capacity)
    }

    fn with(when_full: WhenFull, capacity: NonZeroUsize) -> Self {
        Self { items: VecDeque::new(), capacity, when_full, counts: Counts::default() }
    }

    fn push(&mut self, item: T) {
        self.counts.accepted += 1;
        self.items.push_back(item);
        self.counts.high_water = self.counts.high_water.max(self.items.len());
    }

    fn is_full(&self) -> bool {
        self.items.len() >= self.capacity.get()
    }
}

impl<T> Store<T> for Ring<T> {
    fn offer(&mut self, item: T) -> Offer<T> {
        let overflow = match self.when_full {
            WhenFull::Failed(_) | WhenFull::Over => {
                self.counts.accepted += 1;
                self.counts.refused += 1;
                return Offer::Failed;
            }
            WhenFull::Overflow(Overflow::Block) if self.is_full() => return Offer::Full(item),
            WhenFull::Fail(site) if self.is_full() => {
                self.counts.accepted += 1;
                self.counts.refused += 1;
                self.when_full = WhenFull::Failed(site);
                return Offer::Failed;
            }
            WhenFull::Overflow(overflow) if self.is_full() => overflow,
            WhenFull::Overflow(_) | WhenFull::Fail(_) => {
                self.push(item);
                return Offer::Accepted;
            }
        };
        match overflow {
            Overflow::Block | Overflow::DropNewest => {
                self.counts.accepted += 1;
                self.counts.dropped_newest += 1;
            }
            Overflow::DropOldest => {
                self.counts.dropped_oldest += 1;
                // Dropped only when the new one is in its place: its drop may panic.
                let _oldest = self.items.pop_front();
                self.push(item);
            }
            Overflow::Latest => {
                self.counts.replaced += self.items.len() as u64;
                self.items.clear();
                self.push(item);
            }
        }
        Offer::Accepted
    }

    fn take(&mut self) -> Option<T> {
        let item = self.items.pop_front()?;
        self.counts.delivered += 1;
        Some(item)
    }

    fn failure(&mut self) -> Option<Overflowed> {
        let WhenFull::Failed(site) = self.when_full else {
            return None;
        };
        if !self.items.is_empty() {
            return None;
        }
        self.when_full = WhenFull::Over;
        Some(Overflowed { capacity: self.capacity, site })
    }

    fn has_room(&self) -> bool {
        !(self.is_lossless() && self.is_full())
    }

    fn discard(&mut self) {
        self.counts.discarded += self.items.len() as u64;
        self.items.clear();
    }

    fn len(&self) -> usize {
        self.items.len()
    }

    fn capacity(&self) -> NonZeroUsize {
        self.capacity
    }

    fn counts(&self) -> Counts {
        Counts { held: self.items.len(), ..self.counts }
    }

    fn is_lossless(&self) -> bool {
        matches!(self.when_full, WhenFull::Overflow(Overflow::Block))
    }

    fn offer_all(&mut self, items: &mut VecDeque<T>) {
        if self.is_lossless() && items.len() <= self.capacity.get() - self.items.len() {
            self.counts.accepted += items.len() as u64;
            if self.items.is_empty() {
                // Both keep the memory they have: batches move without a copy.
                std::mem::swap(&mut self.items, items);
            } else {
                self.items.append(items);
            }
            self.counts.high_water = self.counts.high_water.max(self.items.len());
            return;
        }
        while self.has_room() {
            let Some(item) = items.pop_front() else {
                return;
            };
            // With room there is nothing that could come back.
            let _ = self.offer(item);
        }
    }

    fn take_all(&mut self, into: &mut VecDeque<T>) {
        self.counts.delivered += self.items.len() as u64;
        if into.is_empty() {
            std::mem::swap(&mut self.items, into);
        } else {
            into.append(&mut self.items);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::*;

    fn ring(overflow: Overflow, items: impl IntoIterator<Item = char>) -> Ring<char> {
        let mut ring = Ring::new(overflow, NonZeroUsize::new(3).unwrap());
        for item in items {
            let _ = ring.offer(item);
        }
        ring
    }

    fn held(mut ring: Ring<char>) -> String {
        std::iter::from_fn(|| ring.take()).collect()
    }

    #[test]
    fn each_policy_keeps_what_its_table_says() {
        assert_eq!(held(ring(Overflow::Block, "abcd".chars())), "abc");
        assert_eq!(held(ring(Overflow::DropOldest, "abcd".chars())), "bcd");
        assert_eq!(held(ring(Overflow::DropNewest, "abcd".chars())), "abc");
        assert_eq!(held(ring(Overflow::Latest, "abcd".chars())), "d");
    }

    #[test]
    fn only_a_full_ring_that_blocks_hands_an_item_back() {
        let mut full = ring(Overflow::Block, "abc".chars());
        assert!(!full.has_room());
        assert_eq!(full.offer('d'), Offer::Full('d'));
        assert_eq!(full.counts().accepted, 3);
        full.take();
        assert!(full.has_room());
        assert_eq!(full.offer('d'), Offer::Accepted);
    }

    #[test]
    fn a_failure_shows_once_and_after_what_was_held() {
        let (capacity, site) = (NonZeroUsize::MIN, Location::caller());
        let mut ring = Ring::failing(capacity, site);
        assert_eq!(ring.offer('a'), Offer::Accepted);
        assert_eq!(ring.offer('b'), Offer::Failed);
        assert_eq!(ring.failure(), None);
        assert_eq!(ring.take(), Some('a'));
        assert_eq!(ring.offer('c'), Offer::Failed);
        assert_eq!(ring.failure(), Some(Overflowed { capacity, site }));
        assert_eq!(ring.failure(), None);
        assert_eq!(ring.offer('d'), Offer::Failed);
        assert_eq!((ring.take(), ring.counts().refused), (None, 3));
    }
}
