//! [`Wire`]: the exchange's numbers as the venue's JSON.

use std::fmt::Write;

use super::exchange::{Fill, Resting};
use crate::Timestamp;
use crate::market::{Price, Quantity, Side, Symbol};

/// The names and the steps of an instrument.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) symbol: Symbol,
    pub(super) tick: Price,
    pub(super) lot: Quantity,
}

impl Wire {
    pub(super) fn price(&self, ticks: i64) -> Price {
        Price::from_units(self.tick.units().saturating_mul(ticks))
    }

    pub(super) fn quantity(&self, lots: i64) -> Quantity {
        Quantity::from_units(self.lot.units().saturating_mul(lots.into()))
    }

    pub(super) fn trade(&self, id: u64, time: Timestamp, fill: Fill) -> String {
        let millis = time.as_millis();
        let (price, quantity) = (self.price(fill.price), self.quantity(fill.quantity));
        let maker = fill.taker == Side::Sell;
        let symbol = self.symbol;
        let data = format!(
            r#"{{"e":"trade","E":{millis},"s":"{symbol}","t":{id},"p":"{price}","q":"{quantity}","T":{millis},"m":{maker},"M":true}}"#
        );
        self.wrapped("trade", &data)
    }

    pub(super) fn quote(&self, update_id: u64, bid: Resting, ask: Resting) -> String {
        let symbol = self.symbol;
        let data = format!(
            r#"{{"u":{update_id},"s":"{symbol}","b":"{}","B":"{}","a":"{}","A":"{}"}}"#,
            self.price(bid.0),
            self.quantity(bid.1),
            self.price(ask.0),
            self.quantity(ask.1),
        );
        self.wrapped("bookTicker", &data)
    }

    pub(super) fn update(
        &self,
        time: Timestamp,
        (first_id, last_id): (u64, u64),
        bids: impl Iterator<Item = Resting>,
        asks: impl Iterator<Item = Resting>,
    ) -> String {
        let mut data = format!(
            r#"{{"e":"depthUpdate","E":{},"s":"{}","U":{first_id},"u":{last_id},"b":"#,
            time.as_millis(),
            self.symbol,
        );
        self.levels(&mut data, bids);
        data.push_str(r#","a":"#);
        self.levels(&mut data, asks);
        data.push('}');
        self.wrapped("depth@100ms", &data)
    }

    pub(super) fn snapshot(
        &self,
        last_id: u64,
        bids: impl Iterator<Item = Resting>,
        asks: impl Iterator<Item = Resting>,
    ) -> String {
        let mut json = format!(r#"{{"lastUpdateId":{last_id},"bids":"#);
        self.levels(&mut json, bids);
        json.push_str(r#","asks":"#);
        self.levels(&mut json, asks);
        json.push('}');
        json
    }

    fn levels(&self, json: &mut String, levels: impl Iterator<Item = Resting>) {
        let mut before = '[';
        for (price, quantity) in levels {
            let (price, quantity) = (self.price(price), self.quantity(quantity));
            // Writing to a string does not fail.
            let _ = write!(json, r#"{before}["{price}","{quantity}"]"#);
            before = ',';
        }
        json.push_str(if before == '[' { "[]" } else { "]" });
    }

    fn wrapped(&self, stream: &str, data: &str) -> String {
        let symbol = self.symbol.as_str().to_lowercase();
        format!(r#"{{"stream":"{symbol}@{stream}","data":{data}}}"#)
    }
}
