//! [`decode`]: a message as a change of a book.

use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};

use crate::Timestamp;
use crate::market::{Decimal, DecodeError, Symbol};

/// The start of a book, or a change of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookMessage {
    /// The line of the input that it came from, counted from zero over all files.
    pub line: u64,
    /// When the message arrived, by the receiver's clock.
    pub received: Timestamp,
    /// The instrument.
    pub pair: Symbol,
    /// How many levels of each side are kept.
    pub depth: usize,
    /// Whether the levels are all there are.
    pub kind: Kind,
    /// Bids, in the order in which they are to be applied.
    pub bids: Vec<Level>,
    /// Asks, in the order in which they are to be applied.
    pub asks: Vec<Level>,
    /// The checksum of the book after this message; a snapshot has none.
    pub checksum: Option<u32>,
}

/// What the levels of a [`BookMessage`] are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole book.
    Snapshot,
    /// Levels that changed.
    Update,
}

/// A price and how much rests there; nothing rests at a level that is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// The price.
    pub price: Decimal,
    /// How much of the base asset.
    pub volume: Decimal,
}

/// Decodes one message; `None` if it says nothing about a market: a heartbeat, or the state of a
/// connection or subscription.
///
/// `line` is the index of the message in its input and `received` when it came.
///
/// # Errors
///
/// [`DecodeError`]: not JSON, a channel that is not decoded, a subscription that the venue refused, or
/// a field that is missing or wrong.
pub fn decode(
    line: u64,
    received: Timestamp,
    json: &[u8],
) -> Result<Option<BookMessage>, DecodeError> {
    let Ok(text) = std::str::from_utf8(json) else {
        return Err(DecodeError::not_text(json));
    };
    let mut message = Message { at: "message", ..Message::default() };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let read = (&mut message).deserialize(&mut deserializer);
    if let Err(error) = read.and_then(|()| deserializer.end()) {
        return Err(match other_channel(text) {
            Some(kind) => DecodeError::UnknownKind { kind },
            None => DecodeError::json(&error, message.at),
        });
    }
    if let Some(event) = message.event {
        return event.check().map(|()| None);
    }
    let channel = message.channel.unwrap_or_default();
    let Some(depth) = channel.strip_prefix("book-") else {
        return Err(DecodeError::UnknownKind { kind: channel });
    };
    let depth = depth.parse().map_err(|_| {
        DecodeError::field("channel", format!("{channel:?} does not say how deep the book is"))
    })?;
    let Some(pair) = message.pair else {
        return Err(DecodeError::field("pair", "it is missing"));
    };
    let kind = match (message.snapshot, message.update) {
        (true, false) => Kind::Snapshot,
        (false, true) => Kind::Update,
        (true, true) => {
            return Err(DecodeError::field("as", "a snapshot and an update in one message"));
        }
        (false, false) => return Err(DecodeError::field("a", "there are no levels")),
    };
    let (bids, asks, checksum) = (message.bids, message.asks, message.checksum);
    Ok(Some(BookMessage { line, received, pair, depth, kind, bids, asks, checksum }))
}

/// The channel of a message that could not be read, if it is none of ours. Reads the message again, at
/// leisure.
fn other_channel(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    let parts = value.as_array()?;
    let channel = parts.get(parts.len().checked_sub(2)?)?.as_str()?;
    (!channel.starts_with("book-")).then(|| channel.to_owned())
}

/// What a message says, read in one pass.
#[derive(Debug, Default)]
struct Message {
    /// The field that is being read, for a message about it.
    at: &'static str,
    event: Option<Event>,
    bids: Vec<Level>,
    asks: Vec<Level>,
    snapshot: bool,
    update: bool,
    checksum: Option<u32>,
    channel: Option<String>,
    pair: Option<Symbol>,
}

/// A message that is an object.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event: Option<String>,
    status: Option<String>,
    error_message: Option<String>,
    /// How other venues name what a message is.
    #[serde(alias = "stream")]
    r#type: Option<String>,
}

impl Event {
    fn check(self) -> Result<(), DecodeError> {
        match (self.event.as_deref(), self.status.as_deref()) {
            (Some("subscriptionStatus"), Some("error")) => {
                let why = self.error_message.unwrap_or_default();
                Err(DecodeError::field("status", format!("the venue refused: {why:?}")))
            }
            (Some("heartbeat" | "systemStatus" | "subscriptionStatus" | "pong"), _) => Ok(()),
            _ => {
                let kind = self.event.or(self.r#type).unwrap_or_default();
                Err(DecodeError::UnknownKind { kind })
            }
        }
    }
}

impl<'de> DeserializeSeed<'de> for &mut Message {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for &mut Message {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array or an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        self.at = "event";
        let event = Event::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
        self.event = Some(event);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        self.at = "channel id";
        if parts.next_element::<u64>()?.is_none() {
            return Err(A::Error::invalid_length(0, &"a channel id"));
        }
        while parts.next_element_seed(Part(self))?.is_some() {}
        Ok(())
    }
}

/// A part of a message behind the channel id: sides of the book, then the names of channel and pair.
struct Part<'a>(&'a mut Message);

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sides of a book, or the name of a channel and of a pair")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let Message { at, channel, pair, .. } = self.0;
        if channel.is_none() {
            *channel = Some(text.to_owned());
        } else if pair.is_none() {
            *at = "pair";
            *pair = Some(text.parse().map_err(E::custom)?);
        } else {
            return Err(E::custom("more than the names of a channel and of a pair"));
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let message = self.0;
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Asks => levels(&mut map, &mut message.at, "a", &mut message.asks)?,
                Key::Bids => levels(&mut map, &mut message.at, "b", &mut message.bids)?,
                Key::AllAsks => levels(&mut map, &mut message.at, "as", &mut message.asks)?,
                Key::AllBids => levels(&mut map, &mut message.at, "bs", &mut message.bids)?,
                Key::Checksum => {
                    message.at = "c";
                    let text: &str = map.next_value()?;
                    let checksum = text.parse().map_err(|_| {
                        A::Error::custom(format!("{text:?} is not a checksum of 32 bits"))
                    })?;
                    message.checksum = Some(checksum);
                }
                Key::Other => drop(map.next_value::<IgnoredAny>()?),
            }
            match key {
                Key::AllAsks | Key::AllBids => message.snapshot = true,
                Key::Asks | Key::Bids => message.update = true,
                Key::Checksum | Key::Other => {}
            }
        }
        Ok(())
    }
}

/// Adds the levels of a side.
fn levels<'de, A: MapAccess<'de>>(
    map: &mut A,
    at: &mut &'static str,
    name: &'static str,
    side: &mut Vec<Level>,
) -> Result<(), A::Error> {
    *at = name;
    if side.is_empty() {
        *side = map.next_value()?;
    } else {
        side.append(&mut map.next_value()?);
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, serde::Deserialize)]
enum Key {
    #[serde(rename = "a")]
    Asks,
    #[serde(rename = "b")]
    Bids,
    #[serde(rename = "as")]
    AllAsks,
    #[serde(rename = "bs")]
    AllBids,
    #[serde(rename = "c")]
    Checksum,
    #[serde(other)]
    Other,
}

impl<'de> Deserialize<'de> for Level {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = Level;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a level: a price, a volume and a time")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Level, A::Error> {
                let Some(price) = parts.next_element()? else {
                    return Err(A::Error::invalid_length(0, &self));
                };
                let Some(volume) = parts.next_element()? else {
                    return Err(A::Error::invalid_length(1, &self));
                };
                // When it changed, and whether it is published again: neither changes the book.
                while parts.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Level { price, volume })
            }
        }
        deserializer.deserialize_seq(Parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Option<BookMessage>, DecodeError> {
        decode(3, Timestamp::from_secs(7), json.as_bytes())
    }

    fn message(json: &str) -> BookMessage {
        read(json).unwrap().unwrap()
    }

    fn texts(levels: &[Level]) -> Vec<(String, String)> {
        levels.iter().map(|level| (level.price.to_string(), level.volume.to_string())).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(price, volume)| ((*price).into(), (*volume).into())).collect()
    }

    #[test]
    fn a_snapshot_has_both_sides_and_no_checksum() {
        let message = message(
            r#"[1360,{"as":[["0.000022900","13355.87450757","1618678123.481570"]],"bs":[["0.000022890","31.75709827","1.5"]]},"book-1000","ADA/XBT"]"#,
        );
        assert_eq!((message.line, message.received), (3, Timestamp::from_secs(7)));
        assert_eq!((message.pair.as_str(), message.depth), ("ADA/XBT", 1000));
        assert_eq!((message.kind, message.checksum), (Kind::Snapshot, None));
        assert_eq!(texts(&message.asks), pairs(&[("0.000022900", "13355.87450757")]));
        assert_eq!(texts(&message.bids), pairs(&[("0.000022890", "31.75709827")]));
    }

    #[test]
    fn an_update_may_have_its_sides_in_two_objects_and_levels_again() {
        let message = message(
            r#"[1920,{"a":[["0.5","2","1.1"],["0.6","0","1.2","r"]]},{"b":[["0.4","3","1.3"]],"c":"4105471083"},"book-25","SC/EUR"]"#,
        );
        assert_eq!((message.kind, message.depth), (Kind::Update, 25));
        assert_eq!(texts(&message.asks), pairs(&[("0.5", "2"), ("0.6", "0")]));
        assert_eq!(texts(&message.bids), pairs(&[("0.4", "3")]));
        assert_eq!(message.checksum, Some(4_105_471_083));
    }

    #[test]
    fn what_says_nothing_about_a_market_is_nothing() {
        for event in [
            r#"{"event":"heartbeat"}"#,
            r#"{"connectionID":17843232920108168701,"event":"systemStatus","status":"online","version":"1.8.3"}"#,
            r#"{"channelID":1,"channelName":"book-10","event":"subscriptionStatus","pair":"A/B","status":"subscribed"}"#,
        ] {
            assert_eq!(read(event), Ok(None));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (json, said) in [
            ("", "not JSON"),
            ("[1,{", "not JSON"),
            ("7", "not JSON|field \"message\""),
            (r#"[1,{"a":[["1","1","1"]],"c":"1"},"book-10"]"#, "field \"pair\": it is missing"),
            (r#"[1,{"c":"1"},"book-10","A/B"]"#, "there are no levels"),
            (r#"[1,{"a":[["1"]],"c":"1"},"book-10","A/B"]"#, "field \"a\": invalid length 1"),
            (r#"[1,{"b":[["1x","1","1"]],"c":"1"},"book-10","A/B"]"#, "field \"b\": \"1x\""),
            (r#"[1,{"b":[[1,"1","1"]],"c":"1"},"book-10","A/B"]"#, "field \"b\": invalid type"),
            (r#"[1,{"b":[["1","1","1"]],"c":"x"},"book-10","A/B"]"#, "field \"c\": \"x\""),
            (r#"[1,{"b":[["1","1","1"]],"c":"4294967296"},"book-10","A/B"]"#, "checksum"),
            (r#"[1,{"b":[["1","1","1"]]},"book-x","A/B"]"#, "how deep"),
            (r#"[1,{"b":[]},"spread","A/B"]"#, "kind \"spread\""),
            (r#"[1,[["1","1"]],"trade","A/B"]"#, "kind \"trade\""),
            (r#"{"event":"addOrderStatus"}"#, "kind \"addOrderStatus\""),
            (r#"{"type":"l2update","changes":[]}"#, "kind \"l2update\""),
            (r#"{"stream":"x@trade","data":{}}"#, "kind \"x@trade\""),
            ("{}", "kind \"\""),
            (
                r#"{"event":"subscriptionStatus","status":"error","errorMessage":"Pair"}"#,
                "the venue refused: \"Pair\"",
            ),
        ] {
            let error = read(json).unwrap_err().to_string();
            assert!(said.split('|').any(|said| error.contains(said)), "{json}: {error}");
        }
    }
}
