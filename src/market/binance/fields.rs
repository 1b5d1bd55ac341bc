//! [`Fields`]: the fields of any message, read in one pass and in any order.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor,
};

use super::level::Offer;
use crate::market::{Price, Quantity, Symbol};

/// What `"e"` says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Trade,
    Quote,
    Depth,
    Unknown(String),
}

/// Every field that some kind of message has. Filling one flat struct and judging it afterwards
/// costs nothing over a struct for each kind, and works whether the kind is said first or last.
#[derive(Debug, Default)]
pub(super) struct Fields {
    /// The field that is being read, for a message about it.
    pub(super) at: &'static str,
    /// What `"stream"` says, if it is a partial book: the best levels only, again and again.
    pub(super) partial: Option<String>,
    pub(super) kind: Option<Kind>,
    pub(super) event_time: Option<u64>,
    pub(super) time: Option<u64>,
    pub(super) symbol: Option<Symbol>,
    pub(super) id: Option<u64>,
    pub(super) price: Option<Price>,
    pub(super) quantity: Option<Quantity>,
    pub(super) buyer_is_maker: Option<bool>,
    pub(super) first_id: Option<u64>,
    pub(super) last_id: Option<u64>,
    pub(super) previous_id: Option<u64>,
    pub(super) bid: Option<Offer>,
    pub(super) ask: Option<Offer>,
    pub(super) bid_quantity: Option<Quantity>,
    pub(super) ask_quantity: Option<Quantity>,
    pub(super) snapshot_id: Option<u64>,
    pub(super) bids: Option<Offer>,
    pub(super) asks: Option<Offer>,
}

/// Reads an object into [`Fields`]: the message itself or what is wrapped in it.
pub(super) struct Message<'a> {
    pub(super) fields: &'a mut Fields,
    /// Inside `"data"`, where no further wrapper is expected.
    pub(super) unwrapped: bool,
}

impl<'de> DeserializeSeed<'de> for Message<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Message<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let fields = self.fields;
        while let Some(key) = map.next_key::<Key>()? {
            if matches!(fields.kind, Some(Kind::Unknown(_))) {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match key {
                Key::Stream if !self.unwrapped => {
                    fields.at = "stream";
                    fields.partial = map.next_value::<Partial>()?.0;
                }
                Key::Data if !self.unwrapped => {
                    fields.at = "data";
                    map.next_value_seed(Message { fields, unwrapped: true })?;
                }
                Key::Kind => read(&mut map, &mut fields.at, "e", &mut fields.kind)?,
                Key::EventTime => read(&mut map, &mut fields.at, "E", &mut fields.event_time)?,
                Key::Time => read(&mut map, &mut fields.at, "T", &mut fields.time)?,
                Key::Symbol => read(&mut map, &mut fields.at, "s", &mut fields.symbol)?,
                Key::Id => read(&mut map, &mut fields.at, "t", &mut fields.id)?,
                Key::Price => read(&mut map, &mut fields.at, "p", &mut fields.price)?,
                Key::Quantity => read(&mut map, &mut fields.at, "q", &mut fields.quantity)?,
                Key::Maker => read(&mut map, &mut fields.at, "m", &mut fields.buyer_is_maker)?,
                Key::FirstId => read(&mut map, &mut fields.at, "U", &mut fields.first_id)?,
                Key::LastId => read(&mut map, &mut fields.at, "u", &mut fields.last_id)?,
                Key::PreviousId => read(&mut map, &mut fields.at, "pu", &mut fields.previous_id)?,
                Key::Bid => read(&mut map, &mut fields.at, "b", &mut fields.bid)?,
                Key::Ask => read(&mut map, &mut fields.at, "a", &mut fields.ask)?,
                Key::BidQuantity => read(&mut map, &mut fields.at, "B", &mut fields.bid_quantity)?,
                Key::AskQuantity => read(&mut map, &mut fields.at, "A", &mut fields.ask_quantity)?,
                Key::SnapshotId => {
                    read(&mut map, &mut fields.at, "lastUpdateId", &mut fields.snapshot_id)?;
                }
                Key::Bids => read(&mut map, &mut fields.at, "bids", &mut fields.bids)?,
                Key::Asks => read(&mut map, &mut fields.at, "asks", &mut fields.asks)?,
                Key::Stream | Key::Data | Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

/// Reads the value of `name` into `place`.
fn read<'de, A: MapAccess<'de>, T: Deserialize<'de>>(
    map: &mut A,
    at: &mut &'static str,
    name: &'static str,
    place: &mut Option<T>,
) -> Result<(), A::Error> {
    *at = name;
    let value = map.next_value()?;
    if place.replace(value).is_some() {
        return Err(A::Error::custom("it is there twice"));
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Key {
    Stream,
    Data,
    Kind,
    EventTime,
    Time,
    Symbol,
    Id,
    Price,
    Quantity,
    Maker,
    FirstId,
    LastId,
    PreviousId,
    Bid,
    Ask,
    BidQuantity,
    AskQuantity,
    SnapshotId,
    Bids,
    Asks,
    Other,
}

/// Implements `Deserialize` from text by a function.
macro_rules! from_text {
    ($name:ty, $expecting:literal, $from:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E>(self, text: &str) -> Result<$name, E> {
                        Ok(($from)(text))
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

// Byte by byte, because that compiles to a jump table.
from_text!(Key, "a key", |text: &str| match text.as_bytes() {
    b"stream" => Key::Stream,
    b"data" => Key::Data,
    b"e" => Key::Kind,
    b"E" => Key::EventTime,
    b"T" => Key::Time,
    b"s" => Key::Symbol,
    b"t" => Key::Id,
    b"p" => Key::Price,
    b"q" => Key::Quantity,
    b"m" => Key::Maker,
    b"U" => Key::FirstId,
    b"u" => Key::LastId,
    b"pu" => Key::PreviousId,
    b"b" => Key::Bid,
    b"a" => Key::Ask,
    b"B" => Key::BidQuantity,
    b"A" => Key::AskQuantity,
    b"lastUpdateId" => Key::SnapshotId,
    b"bids" => Key::Bids,
    b"asks" => Key::Asks,
    _ => Key::Other,
});

from_text!(Kind, "the kind of the message", |text: &str| match text {
    "trade" => Kind::Trade,
    "bookTicker" => Kind::Quote,
    "depthUpdate" => Kind::Depth,
    other => Kind::Unknown(other.to_owned()),
});

/// What follows the symbol in the name of a stream, if it is `depth5`, `depth10` or `depth20`: such
/// a message looks like a whole book or like a difference, and is neither.
struct Partial(Option<String>);

from_text!(Partial, "the name of a stream", |text: &str| {
    let kind = text.split_once('@').map_or("", |(_, kind)| kind);
    let levels = kind.strip_prefix("depth").unwrap_or_default();
    Partial(levels.starts_with(|first: char| first.is_ascii_digit()).then(|| kind.to_owned()))
});
