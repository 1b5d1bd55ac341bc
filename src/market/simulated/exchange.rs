//! [`Exchange`]: a book in which orders arrive, rest, trade and leave.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Random;
use crate::market::Side;

/// What rests at a price: price in ticks, quantity in lots.
pub(super) type Resting = (i64, i64);

/// Orders never take a side below this, so that there is always a best.
const FEWEST: usize = 2;
/// More than this never rests at one price.
const MOST: i64 = 1 << 32;

/// One side, and where it changed since the last difference.
#[derive(Debug, Clone, Default)]
pub(super) struct Half {
    pub(super) levels: BTreeMap<i64, i64>,
    changed: BTreeSet<i64>,
}

impl Half {
    /// What changed, and forgets it: each price with what rests there now.
    pub(super) fn take_changes(&mut self) -> impl DoubleEndedIterator<Item = Resting> {
        let levels = &self.levels;
        let quantity = |price| (price, levels.get(&price).copied().unwrap_or_default());
        std::mem::take(&mut self.changed).into_iter().map(quantity)
    }
}

/// A fill: of which resting order, and whose order was the taker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fill {
    pub(super) price: i64,
    pub(super) quantity: i64,
    pub(super) taker: Side,
}

/// Prices count ticks and quantities lots. Bids are always below asks, and neither side is empty.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) bids: Half,
    pub(super) asks: Half,
    /// Every change of a level has a number; this is the last.
    pub(super) update_id: u64,
    /// How many levels a side tends to have.
    usual: usize,
    random: Random,
}

impl Exchange {
    /// A book with `levels` on each side of `middle`, fewer bids if there is no room above zero.
    pub(super) fn new(mut random: Random, middle: i64, levels: usize, update_id: u64) -> Self {
        let mut bids = BTreeMap::new();
        let mut asks = BTreeMap::new();
        let (mut bid, mut ask) = (middle, middle.saturating_add(1));
        for _ in 0..levels.max(FEWEST) {
            if bid > 0 {
                bids.insert(bid, lots(&mut random));
            }
            asks.insert(ask, lots(&mut random));
            bid = bid.saturating_sub(1 + random.below(4));
            ask = ask.saturating_add(1 + random.below(4));
        }
        let half = |levels| Half { levels, changed: BTreeSet::new() };
        Self { bids: half(bids), asks: half(asks), update_id, usual: levels, random }
    }

    pub(super) fn best_bid(&self) -> Option<Resting> {
        let best = self.bids.levels.last_key_value();
        best.map(|(price, quantity)| (*price, *quantity))
    }

    pub(super) fn best_ask(&self) -> Option<Resting> {
        let best = self.asks.levels.first_key_value();
        best.map(|(price, quantity)| (*price, *quantity))
    }

    /// A limit order comes or a resting one leaves.
    pub(super) fn order(&mut self) {
        let side = self.side();
        let few = self.half(side).levels.len() < self.usual;
        // Pulls the number of levels towards the usual one.
        if self.random.below(10) < if few { 6 } else { 4 } {
            self.limit(side);
        } else {
            self.cancel(side);
        }
    }

    /// A market order takes the best of the other side, level by level, and says what it got.
    pub(super) fn market_order(&mut self, fill: &mut impl FnMut(Fill)) {
        let taker = self.side();
        let maker = opposite(taker);
        let mut wanted = lots(&mut self.random);
        while wanted > 0 && self.half(maker).levels.len() > FEWEST {
            let best = match maker {
                Side::Buy => self.best_bid(),
                Side::Sell => self.best_ask(),
            };
            let Some((price, there)) = best else { return };
            let quantity = wanted.min(there);
            wanted -= quantity;
            self.set(maker, price, there - quantity);
            fill(Fill { price, quantity, taker });
        }
    }

    fn limit(&mut self, side: Side) {
        let (Some((bid, _)), Some((ask, _))) = (self.best_bid(), self.best_ask()) else {
            return;
        };
        let better = match self.random.below(8) {
            // Into the spread, where there is one.
            0..2 => 1 + self.random.below(ask - bid - 1),
            2..4 => 0,
            // Deeper; the smaller of two, so more often near the best.
            _ => {
                let deep = 3 * self.usual as i64;
                -self.random.below(deep).min(self.random.below(deep))
            }
        };
        let price = match side {
            Side::Buy => (bid + better).min(ask - 1),
            Side::Sell => (ask - better).max(bid + 1),
        };
        if price > 0 {
            let there = self.half(side).levels.get(&price).copied();
            let more = lots(&mut self.random);
            self.set(side, price, (there.unwrap_or_default() + more).min(MOST));
        }
    }

    fn cancel(&mut self, side: Side) {
        let levels = &self.half(side).levels;
        let (Some((&low, _)), Some((&high, _))) =
            (levels.first_key_value(), levels.last_key_value())
        else {
            return;
        };
        let best = match side {
            Side::Buy => high,
            Side::Sell => low,
        };
        let near = match self.random.once_in(4) {
            true => best,
            false => low + self.random.below(high - low + 1),
        };
        let levels = &self.half(side).levels;
        let Some((&price, &there)) = levels.range(near..).next() else {
            return;
        };
        let all = levels.len() > FEWEST && self.random.once_in(2);
        let left = if all { 0 } else { 1 + self.random.below(there) };
        if left != there {
            self.set(side, price, left);
        }
    }

    fn set(&mut self, side: Side, price: i64, quantity: i64) {
        let half = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        match quantity {
            0 => half.levels.remove(&price),
            quantity => half.levels.insert(price, quantity),
        };
        half.changed.insert(price);
        self.update_id += 1;
    }

    fn half(&self, side: Side) -> &Half {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }

    fn side(&mut self) -> Side {
        match self.random.once_in(2) {
            true => Side::Buy,
            false => Side::Sell,
        }
    }
}

fn opposite(side: Side) -> Side {
    match side {
        Side::Buy => Side::Sell,
        Side::Sell => Side::Buy,
    }
}

/// The size of an order: mostly small, rarely very large.
fn lots(random: &mut Random) -> i64 {
    let largest = 1 << (4 + random.below(14));
    1 + random.below(largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_book_is_never_crossed_or_empty(seed: u64, middle in 2_i64..200, levels in 1_usize..50) {
            let mut exchange = Exchange::new(Random::new(seed), middle, levels, 0);
            for turn in 0..500 {
                let before = exchange.update_id;
                let mut fills = 0;
                if turn % 5 == 0 {
                    exchange.market_order(&mut |fill| {
                        assert!(fill.quantity > 0);
                        fills += 1;
                    });
                    prop_assert_eq!(exchange.update_id - before, fills);
                } else {
                    exchange.order();
                    prop_assert!(exchange.update_id - before <= 1);
                }
                let bid = exchange.best_bid().unwrap();
                let ask = exchange.best_ask().unwrap();
                prop_assert!(0 < bid.0 && bid.0 < ask.0, "{bid:?} {ask:?}");
                let mut quantities = exchange.bids.levels.values().chain(exchange.asks.levels.values());
                prop_assert!(quantities.all(|quantity| *quantity > 0));
            }
        }
    }

    #[test]
    fn a_book_keeps_about_as_many_levels_as_it_began_with() {
        let mut exchange = Exchange::new(Random::new(3), 100_000, 200, 0);
        for _ in 0..100_000 {
            exchange.order();
        }
        for half in [&exchange.bids, &exchange.asks] {
            assert!((100..400).contains(&half.levels.len()), "{}", half.levels.len());
        }
    }
}
