//! [`Branches`]: capacity and policy of each branch.

use std::num::NonZeroUsize;

use super::Dropped;
use crate::Site;
use crate::buffer::{Overflow, checked};

/// How a flow is split: how many branches, what each holds and does when it is full, and what it
/// means that one is dropped. For [`Flow::route_with`](crate::Flow::route_with).
///
/// ```
/// # use aqueduct_operators::{Overflow, Virtual, iter, share::{Branches, Dropped}};
/// let branches = Branches::new(2, 1024)
///     .branch(1, 64, Overflow::DropOldest)
///     .dropped(Dropped::End);
/// let mut split = iter(0..1000).route_with(branches, |x| x % 2);
/// let odd = split.remove(1);
/// assert_eq!(Virtual::new().run(split.remove(0).count()), 500);
/// assert_eq!(odd.counts().dropped_oldest, 500 - 64);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a configuration does nothing until a flow is split with it"]
pub struct Branches {
    edges: Vec<(usize, Overflow)>,
    dropped: Dropped,
}

impl Branches {
    /// So many branches, each of which holds `capacity` items and then stops the input; what would
    /// have gone to one that was dropped is discarded.
    pub fn new(n: usize, capacity: usize) -> Self {
        Self { edges: vec![(capacity, Overflow::Block); n], dropped: Dropped::Discard }
    }

    /// What one of them holds and does when it is full.
    ///
    /// # Panics
    ///
    /// If there is no such branch.
    #[track_caller]
    pub fn branch(mut self, index: usize, capacity: usize, policy: Overflow) -> Self {
        let n = self.edges.len();
        assert!(index < n, "Branches::branch: there is no branch {index} among {n}");
        self.edges[index] = (capacity, policy);
        self
    }

    /// What it means to the others that one is dropped.
    pub fn dropped(self, dropped: Dropped) -> Self {
        Self { dropped, ..self }
    }

    /// The capacities and policies, checked, and what it means that one is dropped.
    pub(super) fn checked(
        self,
        operator: &'static str,
        site: Site,
    ) -> (Vec<(NonZeroUsize, Overflow)>, Dropped) {
        let n = self.edges.len();
        assert!(n > 0, "{operator}: the number of branches must not be zero, at {site}");
        let edges = self.edges.into_iter();
        let edges = edges.map(|(capacity, policy)| (checked(capacity, operator, site), policy));
        (edges.collect(), self.dropped)
    }
}
