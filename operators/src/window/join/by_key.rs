//! [`Index`]: where the right items are that a left item can join: all in one place, or by key.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;

use super::Slots;
use crate::Node;

/// Finds the slots of items.
pub trait Index<L, T> {
    /// What items have to have in common.
    type Key;

    /// All slots.
    fn slots(&self) -> &Slots<Self::Key, T>;

    /// All slots.
    fn slots_mut(&mut self) -> &mut Slots<Self::Key, T>;

    /// The slot in which a left item finds what it joins, if there is one.
    fn left(&mut self, left: &L) -> Option<usize>;

    /// The slot of a right item; `capacity` items may be ahead.
    fn right(&mut self, right: &T, capacity: NonZeroUsize) -> usize;

    /// How many slots there may be, if `capacity` items may be ahead.
    fn most(&self, capacity: NonZeroUsize) -> usize;

    /// Its parameters.
    fn describe(&self, node: &mut Node);
}

/// Every item joins every other.
pub struct Whole<T> {
    slots: Slots<(), T>,
}

impl<T> Whole<T> {
    pub(in crate::window) fn new() -> Self {
        Self { slots: Slots::new() }
    }
}

impl<T> fmt::Debug for Whole<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Whole").field("slots", &self.slots).finish()
    }
}

impl<L, T> Index<L, T> for Whole<T> {
    type Key = ();

    #[inline]
    fn slots(&self) -> &Slots<(), T> {
        &self.slots
    }

    #[inline]
    fn slots_mut(&mut self) -> &mut Slots<(), T> {
        &mut self.slots
    }

    #[inline]
    fn left(&mut self, _: &L) -> Option<usize> {
        Some(self.slots.only())
    }

    #[inline]
    fn right(&mut self, _: &T, _: NonZeroUsize) -> usize {
        self.slots.only()
    }

    fn most(&self, _: NonZeroUsize) -> usize {
        1
    }

    fn describe(&self, _: &mut Node) {}
}

/// An item joins those with the same key.
pub struct ByKey<K, T, LeftKey, RightKey> {
    slots: Slots<K, T>,
    left: LeftKey,
    right: RightKey,
    /// `None`: as many as items may be ahead. Of those a slot without any can always go.
    max_keys: Option<NonZeroUsize>,
}

impl<K, T, LeftKey, RightKey> ByKey<K, T, LeftKey, RightKey> {
    pub(in crate::window) fn new(
        left: LeftKey,
        right: RightKey,
        max_keys: Option<NonZeroUsize>,
    ) -> Self {
        Self { slots: Slots::new(), left, right, max_keys }
    }
}

impl<K, T, LeftKey, RightKey> fmt::Debug for ByKey<K, T, LeftKey, RightKey> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByKey").field("slots", &self.slots).finish_non_exhaustive()
    }
}

impl<L, T, K, LeftKey, RightKey> Index<L, T> for ByKey<K, T, LeftKey, RightKey>
where
    K: Hash + Eq,
    LeftKey: FnMut(&L) -> K,
    RightKey: FnMut(&T) -> K,
{
    type Key = K;

    #[inline]
    fn slots(&self) -> &Slots<K, T> {
        &self.slots
    }

    #[inline]
    fn slots_mut(&mut self) -> &mut Slots<K, T> {
        &mut self.slots
    }

    #[inline]
    fn left(&mut self, left: &L) -> Option<usize> {
        self.slots.find(&(self.left)(left))
    }

    #[inline]
    fn right(&mut self, right: &T, capacity: NonZeroUsize) -> usize {
        self.slots.find_or_open((self.right)(right), self.max_keys, capacity)
    }

    fn most(&self, capacity: NonZeroUsize) -> usize {
        self.max_keys.unwrap_or(capacity).get()
    }

    fn describe(&self, node: &mut Node) {
        if let Some(max_keys) = self.max_keys {
            node.parameter("max_keys", max_keys);
        }
    }
}
