//! [`Ladder`]: the levels of one side of a book.

use crate::market::{Level, Price, Quantity, Side};

/// Levels sorted from the worst to the best: changes cluster towards the best, so at the end of the
/// vectors, where an insertion moves less. Two vectors, because a search reads only ranks.
///
/// On a recorded session of 300,000 changes to 2,000 levels a side a change takes 72 ns. A B-tree
/// takes 60 ns, but allocates and frees nodes all the time; one vector of pairs takes 140 ns.
#[derive(Debug, Clone)]
pub(super) struct Ladder {
    side: Side,
    ranks: Vec<i64>,
    quantities: Vec<Quantity>,
}

impl Ladder {
    pub(super) fn new(side: Side) -> Self {
        Self { side, ranks: Vec::new(), quantities: Vec::new() }
    }

    /// Puts `level` in the place of what was at its price; a quantity of zero takes that away.
    /// Nothing being there is normal: a venue deletes levels that it never showed.
    pub(super) fn set(&mut self, level: Level) {
        let rank = self.rank(level.price.units());
        let at = self.ranks.partition_point(|other| *other < rank);
        let found = self.ranks.get(at) == Some(&rank);
        match (found, level.quantity.is_zero()) {
            (true, false) => self.quantities[at] = level.quantity,
            (true, true) => {
                self.ranks.remove(at);
                self.quantities.remove(at);
            }
            (false, false) => {
                self.ranks.insert(at, rank);
                self.quantities.insert(at, level.quantity);
            }
            (false, true) => {}
        }
    }

    /// Forgets all and takes `levels`, which come best first from every venue.
    pub(super) fn replace(&mut self, levels: &[Level]) {
        self.ranks.clear();
        self.quantities.clear();
        // Backwards each one lands at the end; any other order is only slower.
        levels.iter().rev().for_each(|level| self.set(*level));
    }

    /// The best first.
    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = Level> + DoubleEndedIterator {
        let levels = self.ranks.iter().zip(&self.quantities);
        levels.rev().map(|(rank, quantity)| Level {
            price: Price::from_units(self.rank(*rank)),
            quantity: *quantity,
        })
    }

    pub(super) fn best(&self) -> Option<Level> {
        self.iter().next()
    }

    pub(super) fn len(&self) -> usize {
        self.ranks.len()
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
