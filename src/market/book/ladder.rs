//! [`Ladder`]: the levels of one side of a book.

use std::collections::BTreeMap;

use crate::market::{Level, Price, Quantity, Side};

/// The levels of one side, from the worst to the best.
///
/// A B-tree, because a snapshot and its updates leave thousands of levels, and a sorted vector moves
/// half of them for each level that comes or goes far from the best.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    side: Side,
    /// Quantities by rank.
    levels: BTreeMap<i64, Quantity>,
}

impl Ladder {
    pub(super) fn new(side: Side) -> Self {
        Self { side, levels: BTreeMap::new() }
    }

    /// Puts `level` in the place of what was at its price; a quantity of zero takes that away.
    /// Nothing being there is normal: a venue deletes levels that it never showed.
    pub(super) fn set(&mut self, level: Level) {
        let rank = self.rank(level.price.units());
        if level.quantity.is_zero() {
            self.levels.remove(&rank);
        } else {
            self.levels.insert(rank, level.quantity);
        }
    }

    /// Forgets all and takes `levels`.
    pub(super) fn replace(&mut self, levels: &[Level]) {
        self.levels.clear();
        levels.iter().for_each(|level| self.set(*level));
    }

    /// The best first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Level> + DoubleEndedIterator {
        self.levels.iter().rev().map(|(rank, quantity)| Level {
            price: Price::from_units(self.rank(*rank)),
            quantity: *quantity,
        })
    }

    pub(super) fn best(&self) -> Option<Level> {
        self.iter().next()
    }

    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }

    /// A number that grows towards the best, from the units of a price, and back again. The
    /// complement turns the order of all of `i64` around; a minus would overflow at its end.
    fn rank(&self, units: i64) -> i64 {
        match self.side {
            Side::Buy => units,
            Side::Sell => !units,
        }
    }
}
