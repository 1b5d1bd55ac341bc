//! [`Ohlcv`]: the trades of a window as one bar.

use serde::Serialize;

use super::{AveragePrice, Notional, Price, Side, Trade, Volume};
use crate::Timestamp;
use crate::aggregate::{Aggregate, Span};

/// Turns trades into a [`Bar`].
///
/// Open and close are the first and the last trade to arrive. Sums are exact: 128 bits hold the
/// volume of any number of trades, and notional saturates only at 1.7e22 of the quote asset.
///
/// ```
/// use aqueduct::Timestamp;
/// use aqueduct::market::{Ohlcv, Side, Trade};
/// use aqueduct::aggregate::Aggregate;
///
/// let mut bar = Ohlcv.init();
/// for (id, (price, quantity)) in [("100", "1"), ("103", "0.5"), ("99", "0.5")].iter().enumerate() {
///     Ohlcv.add(&mut bar, Timestamp::EPOCH, &Trade {
///         received: Timestamp::EPOCH,
///         time: Timestamp::EPOCH,
///         symbol: "BTCUSDT".parse()?,
///         id: id as u64,
///         price: price.parse()?,
///         quantity: quantity.parse()?,
///         taker: Side::Buy,
///     });
/// }
/// assert_eq!(bar.high.to_string(), "103.00000000");
/// assert_eq!(bar.vwap().unwrap().to_string(), "100.5000000000");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Ohlcv;

/// The trades of a window: first, highest, lowest and last price, and what was traded.
///
/// A bar without trades is all zeros, the prices too. Windows that open with their first item never
/// give one; elsewhere `trades` tells.
#[doc(alias("candle", "candlestick", "kline"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize)]
pub struct Bar {
    /// The price of the first trade.
    pub open: Price,
    /// The highest price.
    pub high: Price,
    /// The lowest price.
    pub low: Price,
    /// The price of the last trade.
    pub close: Price,
    /// How much of the base asset was traded.
    pub volume: Volume,
    /// How much of the quote asset was paid: Σ price × quantity.
    pub notional: Notional,
    /// The part of the volume whose taker bought.
    pub taker_buy_volume: Volume,
    /// How many trades there were.
    pub trades: u64,
    /// The id of the first trade.
    pub first_id: u64,
    /// The id of the last trade.
    pub last_id: u64,
}

impl Bar {
    /// Takes one more trade in, in the order of arrival.
    pub fn add(&mut self, trade: &Trade) {
        if self.trades == 0 {
            self.open = trade.price;
            self.high = trade.price;
            self.low = trade.price;
            self.first_id = trade.id;
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume += trade.quantity;
        self.notional += trade.price * trade.quantity;
        if trade.taker == Side::Buy {
            self.taker_buy_volume += trade.quantity;
        }
        self.trades += 1;
        self.last_id = trade.id;
    }

    /// Takes in the trades of a bar that follows this one.
    ///
    /// Bars of two stretches of time may have trades that arrived in between each other. Which of them
    /// arrived first and last is told by their ids, in whose order a venue sends them.
    pub fn merge(&mut self, later: &Bar) {
        if later.trades == 0 {
            return;
        }
        if self.trades == 0 {
            *self = *later;
            return;
        }
        if later.first_id < self.first_id {
            self.open = later.open;
            self.first_id = later.first_id;
        }
        if later.last_id >= self.last_id {
            self.close = later.close;
            self.last_id = later.last_id;
        }
        self.high = self.high.max(later.high);
        self.low = self.low.min(later.low);
        self.volume += later.volume;
        self.notional += later.notional;
        self.taker_buy_volume += later.taker_buy_volume;
        self.trades += later.trades;
    }

    /// A bar without trades at the closing price of this one: what stands in a chart where nothing
    /// was traded.
    #[must_use]
    pub fn flat(&self) -> Bar {
        let Bar { close, last_id, .. } = *self;
        Bar { open: close, high: close, low: close, close, last_id, ..Bar::default() }
    }

    /// The volume-weighted average price, [`Notional::vwap`]; `None` if the volume is zero.
    pub fn vwap(&self) -> Option<AveragePrice> {
        self.notional.vwap(self.volume)
    }
}

impl Aggregate<Trade> for Ohlcv {
    type State = Bar;
    type Output = Bar;

    fn init(&self) -> Bar {
        Bar::default()
    }

    fn add(&self, bar: &mut Bar, _: Timestamp, trade: &Trade) {
        bar.add(trade);
    }

    fn merge(&self, bar: &mut Bar, later: &Bar) {
        bar.merge(later);
    }

    fn finish(&self, bar: &Bar, _: Span) -> Bar {
        *bar
    }

    fn carry(&self, before: &Bar) -> Bar {
        before.flat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;
    use crate::market::Quantity;
    use proptest::prelude::*;

    fn trade(id: u64, price: i64, quantity: i64, taker: Side) -> Trade {
        Trade {
            received: Timestamp::EPOCH,
            time: Timestamp::EPOCH,
            symbol: "X".parse().unwrap(),
            id,
            price: Price::from_units(price),
            quantity: Quantity::from_units(quantity.into()),
            taker,
        }
    }

    fn bar(trades: &[Trade]) -> Bar {
        let mut bar = Ohlcv.init();
        trades.iter().for_each(|trade| Ohlcv.add(&mut bar, trade.time, trade));
        bar
    }

    #[test]
    fn prices_below_zero_have_a_high_and_a_low() {
        let bar = bar(&[trade(4, -5, 1, Side::Buy), trade(5, -7, 1, Side::Sell)]);
        let units = [bar.open, bar.high, bar.low, bar.close].map(Price::units);
        assert_eq!(units, [-5, -5, -7, -7]);
    }

    #[test]
    fn only_what_the_taker_buys_is_taker_buy_volume() {
        let bar = bar(&[trade(4, 1, 10, Side::Buy), trade(5, 1, 3, Side::Sell)]);
        assert_eq!(bar.volume, Volume::from_units(13));
        assert_eq!(bar.taker_buy_volume, Volume::from_units(10));
        assert_eq!((bar.trades, bar.first_id, bar.last_id), (2, 4, 5));
    }

    #[test]
    fn volume_outgrows_a_quantity_without_loss() {
        let most = trade(1, 1, i64::MAX, Side::Buy);
        let bar = bar(&[most; 3]);
        assert_eq!(bar.volume.units(), 3 * i128::from(i64::MAX));
        assert_eq!(bar.vwap(), Some(AveragePrice::from_units(100)));
    }

    #[test]
    fn stretches_of_time_merge_into_the_order_of_arrival() {
        // The third trade to arrive is of the first stretch.
        let trades = [5, 6, 7, 8].map(|id| trade(id, id as i64 * 10, 1, Side::Buy));
        let mut merged = bar(&[trades[1], trades[2]]);
        merged.merge(&bar(&[trades[0], trades[3]]));
        assert_eq!(merged, bar(&trades));
        let mut merged = bar(&[trades[0], trades[3]]);
        merged.merge(&bar(&[trades[1], trades[2]]));
        assert_eq!(merged, bar(&trades));
    }

    #[test]
    fn without_volume_there_is_no_average() {
        assert_eq!(bar(&[]).vwap(), None);
        assert_eq!(bar(&[trade(1, 5, 0, Side::Buy)]).vwap(), None);
    }

    proptest! {
        #[test]
        fn a_bar_agrees_with_its_trades(
            trades in prop::collection::vec((any::<i32>(), 0..i64::from(i32::MAX), any::<bool>()), 1..50),
        ) {
            let trades: Vec<Trade> = (7..)
                .zip(trades)
                .map(|(id, (price, quantity, buy))| {
                    let taker = if buy { Side::Buy } else { Side::Sell };
                    trade(id, i64::from(price), quantity, taker)
                })
                .collect();
            let bar = bar(&trades);
            let prices = || trades.iter().map(|trade| trade.price);
            prop_assert_eq!(Some(bar.open), prices().next());
            prop_assert_eq!(Some(bar.close), prices().next_back());
            prop_assert_eq!(Some(bar.high), prices().max());
            prop_assert_eq!(Some(bar.low), prices().min());
            prop_assert_eq!(bar.volume, trades.iter().map(|trade| trade.quantity).sum());
            let notional = trades.iter().map(|trade| trade.price * trade.quantity).sum();
            prop_assert_eq!(bar.notional, notional);
            prop_assert_eq!(bar.last_id - bar.first_id + 1, bar.trades);
            if let Some(vwap) = bar.vwap() {
                let range = i128::from(bar.low.units()) * 100..=i128::from(bar.high.units()) * 100;
                prop_assert!(range.contains(&vwap.units()));
            }
        }
    }
}
