//! Levels as they are sent, `["price","quantity"]`, and the two meanings of `"b"` and `"a"`.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::market::{Level, Price};

/// One `["price","quantity"]`. Elements that follow are passed over; old recordings have some.
struct Pair(Level);

impl<'de> Deserialize<'de> for Pair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(PairVisitor)
    }
}

struct PairVisitor;

impl<'de> Visitor<'de> for PairVisitor {
    type Value = Pair;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a level: a price and a quantity")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Pair, A::Error> {
        let Some(price) = parts.next_element()? else {
            return Err(A::Error::invalid_length(0, &self));
        };
        let Some(quantity) = parts.next_element()? else {
            return Err(A::Error::invalid_length(1, &self));
        };
        while parts.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Pair(Level { price, quantity }))
    }
}

/// What `"b"`, `"a"`, `"bids"` or `"asks"` holds: the kind of the message decides what is right, and
/// may be known only afterwards.
#[derive(Debug)]
pub(super) enum Offer {
    /// Of a quote.
    Best(Price),
    /// Of a depth update or a snapshot.
    Levels(Vec<Level>),
    /// Of a kind that gives the key another meaning: old trades had the ids of their orders there.
    Other,
}

impl<'de> Deserialize<'de> for Offer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfferVisitor)
    }
}

struct OfferVisitor;

impl<'de> Visitor<'de> for OfferVisitor {
    type Value = Offer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a price as text or levels")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Offer, E> {
        text.parse().map(Offer::Best).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut pairs: A) -> Result<Offer, A::Error> {
        let mut levels = Vec::new();
        while let Some(Pair(level)) = pairs.next_element()? {
            levels.push(level);
        }
        Ok(Offer::Levels(levels))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Offer, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Offer::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Offer, E> {
        Ok(Offer::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Offer, E> {
        Ok(Offer::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Offer, E> {
        Ok(Offer::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Offer, E> {
        Ok(Offer::Other)
    }

    fn visit_unit<E>(self) -> Result<Offer, E> {
        Ok(Offer::Other)
    }
}
