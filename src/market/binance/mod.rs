//! The messages of Binance, spot and futures, as market events.
//!
//! Understood are, bare or in the wrapper of a combined stream (`{"stream":…,"data":…}`):
//!
//! | message | spot | futures add |
//! |---|---|---|
//! | `trade` | `s t p q T m` | |
//! | `bookTicker` | `u s b B a A`, without `e` | `e E T` |
//! | `depthUpdate` | `E s U u b a` | `T pu` |
//! | the answer to a request for the book | `lastUpdateId bids asks` | `E T` |
//!
//! Keys come in any order; those not listed are passed over. Times are milliseconds, the default of
//! the venue. The best levels that `depth5`, `depth10` and `depth20` streams repeat are neither a whole
//! book nor a difference and are refused by the name of their stream; without the wrapper they cannot
//! be told from a whole book, so such a stream must not be subscribed to bare. The sources are the venue's own pages: "WebSocket Streams" and "Market Data Endpoints"
//! of its spot API, and the same of its USDⓈ-M futures API.

mod fields;
mod level;
mod usual;

use std::sync::Arc;

use serde::de::DeserializeSeed;
use serde_json::Value;

pub use super::error::DecodeError;

use self::fields::{Fields, Kind, Message};
use self::level::Offer;
use super::{BookMessage, DepthUpdate, Level, MarketEvent, Price, Quote, Side, Snapshot, Trade};
use crate::Timestamp;

/// Decodes one message.
///
/// `line` is the index of the message in its input and `received` when it came; both pass into the
/// event. Prices and quantities with more than eight decimals, numbers beyond 64 bits and negative
/// ids are errors that name the field; nothing is rounded and nothing wraps.
///
/// One pass over the borrowed text, fastest when it is spelled as the venue does: keys in their usual
/// order, without spaces. A trade or a quote costs no allocation, a book message one for itself and
/// one for each side; spelled otherwise, a side grows by doubling.
///
/// ```
/// use aqueduct::Timestamp;
/// use aqueduct::market::{Side, binance};
///
/// let json = br#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT",
///     "t":3735683259,"p":"61837.63","q":"0.02","T":1723161255342,"m":true,"M":true}}"#;
/// let trade = binance::decode(0, Timestamp::EPOCH, json)?.trade().unwrap();
/// assert_eq!(trade.price.to_string(), "61837.63000000");
/// assert_eq!(trade.taker, Side::Sell); // the buyer was the maker
/// # Ok::<(), binance::DecodeError>(())
/// ```
///
/// # Errors
///
/// [`DecodeError`]: not JSON, a kind that is not decoded, or a field that is missing or wrong.
pub fn decode(line: u64, received: Timestamp, json: &[u8]) -> Result<MarketEvent, DecodeError> {
    // Checked once for the whole line; serde_json would check every text in it.
    let Ok(text) = std::str::from_utf8(json) else {
        return Err(DecodeError::not_text(json));
    };
    match usual::read(line, received, text) {
        Some(event) => Ok(event),
        None => decode_any(line, received, text),
    }
}

/// Decodes one message in whatever spelling. It alone says what is wrong with one.
fn decode_any(line: u64, received: Timestamp, text: &str) -> Result<MarketEvent, DecodeError> {
    let mut fields = Fields { at: "message", ..Fields::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let message = Message { fields: &mut fields, unwrapped: false };
    let read = message.deserialize(&mut deserializer);
    if let Err(error) = read.and_then(|()| deserializer.end()) {
        return Err(match unknown_kind(text) {
            Some(kind) => DecodeError::UnknownKind { kind },
            None => DecodeError::json(&error, fields.at),
        });
    }
    if let Some(kind) = fields.partial {
        return Err(DecodeError::UnknownKind { kind });
    }
    match &mut fields.kind {
        Some(Kind::Trade) => fields.trade(received).map(MarketEvent::Trade),
        Some(Kind::Quote) => fields.quote(received).map(MarketEvent::Quote),
        Some(Kind::Depth) => Ok(book(BookMessage::Update(fields.update(line, received)?))),
        Some(Kind::Unknown(kind)) => Err(DecodeError::UnknownKind { kind: std::mem::take(kind) }),
        None if fields.snapshot_id.is_some() => {
            Ok(book(BookMessage::Snapshot(fields.snapshot(line, received)?)))
        }
        None if fields.bid_quantity.is_some() || fields.ask_quantity.is_some() => {
            fields.quote(received).map(MarketEvent::Quote)
        }
        None => Err(DecodeError::UnknownKind { kind: unknown_kind(text).unwrap_or_default() }),
    }
}

fn book(message: BookMessage) -> MarketEvent {
    MarketEvent::Book(Arc::new(message))
}

/// The kind of a message that could not be read, if it is none of ours: then the fields that
/// looked wrong only meant something else. Reads the message again, at leisure.
fn unknown_kind(text: &str) -> Option<String> {
    let value: Value = serde_json::from_str(text).ok()?;
    let data = value.get("data").unwrap_or(&value);
    if let Some(kind) = data.get("e").and_then(Value::as_str) {
        let ours = matches!(kind, "trade" | "bookTicker" | "depthUpdate");
        return (!ours).then(|| kind.to_owned());
    }
    let stream = value.get("stream")?.as_str()?;
    let kind = stream.split_once('@').map_or(stream, |(_, kind)| kind);
    let ours = matches!(kind, "trade" | "bookTicker" | "depth") || kind.starts_with("depth@");
    (!ours).then(|| kind.to_owned())
}

impl Fields {
    fn trade(&mut self, received: Timestamp) -> Result<Trade, DecodeError> {
        Ok(Trade {
            received,
            time: millis("T", required("T", self.time)?)?,
            symbol: required("s", self.symbol)?,
            id: required("t", self.id)?,
            price: required("p", self.price)?,
            quantity: required("q", self.quantity)?,
            taker: match required("m", self.buyer_is_maker)? {
                true => Side::Sell,
                false => Side::Buy,
            },
        })
    }

    fn quote(&mut self, received: Timestamp) -> Result<Quote, DecodeError> {
        let time = match (self.time, self.event_time) {
            (Some(time), _) => Some(millis("T", time)?),
            (None, Some(time)) => Some(millis("E", time)?),
            (None, None) => None,
        };
        Ok(Quote {
            received,
            time,
            symbol: required("s", self.symbol)?,
            update_id: required("u", self.last_id)?,
            bid: Level {
                price: best("b", self.bid.take())?,
                quantity: required("B", self.bid_quantity)?,
            },
            ask: Level {
                price: best("a", self.ask.take())?,
                quantity: required("A", self.ask_quantity)?,
            },
        })
    }

    fn update(&mut self, line: u64, received: Timestamp) -> Result<DepthUpdate, DecodeError> {
        let first_id = required("U", self.first_id)?;
        let last_id = required("u", self.last_id)?;
        if first_id > last_id {
            let reason = format!("the first change, {first_id}, comes after the last, {last_id}");
            return Err(DecodeError::field("U", reason));
        }
        Ok(DepthUpdate {
            line,
            received,
            time: millis("E", required("E", self.event_time)?)?,
            symbol: required("s", self.symbol)?,
            first_id,
            last_id,
            previous_id: self.previous_id,
            bids: levels("b", self.bid.take())?,
            asks: levels("a", self.ask.take())?,
        })
    }

    fn snapshot(&mut self, line: u64, received: Timestamp) -> Result<Snapshot, DecodeError> {
        Ok(Snapshot {
            line,
            received,
            symbol: self.symbol,
            last_id: required("lastUpdateId", self.snapshot_id)?,
            bids: levels("bids", self.bids.take())?,
            asks: levels("asks", self.asks.take())?,
        })
    }
}

fn required<T>(field: &'static str, value: Option<T>) -> Result<T, DecodeError> {
    value.ok_or_else(|| DecodeError::field(field, "it is missing"))
}

fn best(field: &'static str, offer: Option<Offer>) -> Result<Price, DecodeError> {
    match required(field, offer)? {
        Offer::Best(price) => Ok(price),
        _ => Err(DecodeError::field(field, "a price as text is expected")),
    }
}

fn levels(field: &'static str, offer: Option<Offer>) -> Result<Vec<Level>, DecodeError> {
    match required(field, offer)? {
        Offer::Levels(levels) => Ok(levels),
        _ => Err(DecodeError::field(field, "levels are expected")),
    }
}

fn millis(field: &'static str, millis: u64) -> Result<Timestamp, DecodeError> {
    i64::try_from(millis)
        .ok()
        .and_then(|millis| millis.checked_mul(1_000_000))
        .map(Timestamp::from_nanos)
        .ok_or_else(|| {
            let reason =
                format!("{millis} is no time in milliseconds since 1970: past the year 2262");
            DecodeError::field(field, reason)
        })
}

#[cfg(test)]
mod tests;
