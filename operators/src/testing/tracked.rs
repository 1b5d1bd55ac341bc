//! [`Tracked`]: items that are counted as long as they live.

use std::cmp::Ordering as Order;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};

use crate::util::lock;

/// The account of a set of [`Tracked`] values. Clones are the same account.
#[derive(Debug, Clone, Default)]
pub struct Ledger(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    /// Living copies of each original.
    copies: Vec<u32>,
    alive: usize,
    held: usize,
    high_water: usize,
}

impl Ledger {
    /// An empty account.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty account with room for so many values: counting them allocates nothing.
    pub fn with_capacity(values: usize) -> Self {
        let counts = Counts { copies: Vec::with_capacity(values), ..Counts::default() };
        Self(Arc::new(Mutex::new(counts)))
    }

    /// How many values live, copies included.
    pub fn alive(&self) -> usize {
        lock(&self.0).alive
    }

    /// How many values live, where a value and its copies count once.
    pub fn held(&self) -> usize {
        lock(&self.0).held
    }

    /// The most that were ever held at once.
    pub fn high_water(&self) -> usize {
        lock(&self.0).high_water
    }

    /// How many values were made, copies not included.
    pub fn made(&self) -> usize {
        lock(&self.0).copies.len()
    }

    fn add(&self) -> usize {
        let mut counts = lock(&self.0);
        counts.copies.push(1);
        counts.alive += 1;
        counts.held += 1;
        counts.high_water = counts.high_water.max(counts.held);
        counts.copies.len() - 1
    }
}

/// An item that is counted as long as it lives, so that a test sees leaks and high-water marks.
///
/// ```
/// use aqueduct_operators::iter;
/// use aqueduct_operators::testing::{Ledger, Tracked, items};
///
/// let ledger = Ledger::new();
/// let three = [1, 2, 3].map(|value| Tracked::new(value, &ledger));
/// let last = items(iter(three).skip(2));
/// assert_eq!((last[0].value(), ledger.alive()), (3, 1));
/// drop(last);
/// assert_eq!(ledger.alive(), 0);
/// ```
pub struct Tracked<T = u32> {
    value: T,
    poison: bool,
    id: usize,
    ledger: Ledger,
}

impl<T> Tracked<T> {
    /// A value that is counted in `ledger` until it is dropped.
    pub fn new(value: T, ledger: &Ledger) -> Self {
        Self { value, poison: false, id: ledger.add(), ledger: ledger.clone() }
    }

    /// As [`new`](Self::new); [`value`](Self::value) and comparisons panic.
    pub fn poison(value: T, ledger: &Ledger) -> Self {
        Self { value, poison: true, id: ledger.add(), ledger: ledger.clone() }
    }

    /// The value, by reference.
    ///
    /// # Panics
    ///
    /// If it is a [`poison`](Self::poison). The panic is silent: it prints nothing.
    pub fn get(&self) -> &T {
        if self.poison {
            resume_unwind(Box::new("a closure looked at a poison value"));
        }
        &self.value
    }

    /// The value.
    ///
    /// # Panics
    ///
    /// As [`get`](Self::get).
    pub fn value(&self) -> T
    where
        T: Clone,
    {
        self.get().clone()
    }
}

impl<T: Clone> Clone for Tracked<T> {
    fn clone(&self) -> Self {
        let mut counts = lock(&self.ledger.0);
        counts.copies[self.id] += 1;
        counts.alive += 1;
        drop(counts);
        let (value, ledger) = (self.value.clone(), self.ledger.clone());
        Self { value, poison: self.poison, id: self.id, ledger }
    }
}

impl<T> Drop for Tracked<T> {
    fn drop(&mut self) {
        let mut counts = lock(&self.ledger.0);
        counts.alive -= 1;
        counts.copies[self.id] -= 1;
        counts.held -= usize::from(counts.copies[self.id] == 0);
    }
}

impl<T: PartialEq> PartialEq for Tracked<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for Tracked<T> {}

impl<T: PartialOrd> PartialOrd for Tracked<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        self.get().partial_cmp(other.get())
    }
}

impl<T: Ord> Ord for Tracked<T> {
    fn cmp(&self, other: &Self) -> Order {
        self.get().cmp(other.get())
    }
}

impl<T: Hash> Hash for Tracked<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}

impl<T: fmt::Debug> fmt::Debug for Tracked<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}
