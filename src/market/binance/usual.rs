//! The fast path: messages exactly as the venue spells them, keys in their usual order and nothing
//! between them.
//!
//! A general reader of JSON looks up every key and keeps every field until the kind of the message
//! is known, which is most of what a replay costs. Here each next byte is known beforehand and is
//! compared; only values are read. What deviates by a byte, or is wrong in any way, gives `None`, and
//! the general reader decides about it alone. So all that must stay true is this: what is
//! accepted here, the general reader accepts with the same result.

use super::{BookMessage, DepthUpdate, Level, MarketEvent, Quote, Side, Trade, book, millis};
use crate::Timestamp;
use crate::market::{Price, Quantity, decimal};

/// The event, if the message is one of the three frequent kinds in its usual spelling.
pub(super) fn read(line: u64, received: Timestamp, json: &str) -> Option<MarketEvent> {
    let mut reader = Reader { rest: json };
    let wrapped = reader.skips(r#"{"stream":""#);
    if wrapped {
        reader.stream()?;
        reader.skip(r#","data":"#)?;
    }
    let event = if reader.skips(r#"{"u":"#) {
        MarketEvent::Quote(reader.quote(received)?)
    } else if reader.skips(r#"{"e":"trade","E":"#) {
        MarketEvent::Trade(reader.trade(received)?)
    } else if reader.skips(r#"{"e":"depthUpdate","E":"#) {
        book(BookMessage::Update(reader.update(line, received)?))
    } else {
        reader.skip(r#"{"e":"bookTicker","u":"#)?;
        MarketEvent::Quote(reader.quote(received)?)
    };
    reader.skip(if wrapped { "}}" } else { "}" })?;
    reader.rest.is_empty().then_some(event)
}

/// What of the message is not read yet.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    /// From the value of `"u"`. Futures add two times, and spot has none.
    fn quote(&mut self, received: Timestamp) -> Option<Quote> {
        let update_id = self.number()?;
        self.skip(r#","s":""#)?;
        let symbol = self.text()?.parse().ok()?;
        self.skip(r#","b":""#)?;
        let bid_price = self.price()?;
        self.skip(r#","B":""#)?;
        let bid_quantity = self.quantity()?;
        self.skip(r#","a":""#)?;
        let ask_price = self.price()?;
        self.skip(r#","A":""#)?;
        let ask_quantity = self.quantity()?;
        let time = match self.skips(r#","T":"#) {
            true => Some(millis("T", self.number()?).ok()?),
            false => None,
        };
        if time.is_some() {
            self.skip(r#","E":"#)?;
            self.number()?;
        }
        Some(Quote {
            received,
            time,
            symbol,
            update_id,
            bid: Level { price: bid_price, quantity: bid_quantity },
            ask: Level { price: ask_price, quantity: ask_quantity },
        })
    }

    /// From the value of `"E"`. Futures have `"T"` earlier than spot and add `"X"`, spot adds `"M"`.
    fn trade(&mut self, received: Timestamp) -> Option<Trade> {
        self.number()?;
        let early = match self.skips(r#","T":"#) {
            true => Some(self.number()?),
            false => None,
        };
        self.skip(r#","s":""#)?;
        let symbol = self.text()?.parse().ok()?;
        self.skip(r#","t":"#)?;
        let id = self.number()?;
        self.skip(r#","p":""#)?;
        let price = self.price()?;
        self.skip(r#","q":""#)?;
        let quantity = self.quantity()?;
        let time = match early {
            Some(time) => time,
            None => {
                self.skip(r#","T":"#)?;
                self.number()?
            }
        };
        if self.skips(r#","X":""#) {
            self.text()?;
        }
        self.skip(r#","m":"#)?;
        let taker = match self.boolean()? {
            true => Side::Sell,
            false => Side::Buy,
        };
        if self.skips(r#","M":"#) {
            self.boolean()?;
        }
        let time = millis("T", time).ok()?;
        Some(Trade { received, time, symbol, id, price, quantity, taker })
    }

    /// From the value of `"E"`. Futures add `"T"` and `"pu"`.
    fn update(&mut self, line: u64, received: Timestamp) -> Option<DepthUpdate> {
        let time = millis("E", self.number()?).ok()?;
        if self.skips(r#","T":"#) {
            self.number()?;
        }
        self.skip(r#","s":""#)?;
        let symbol = self.text()?.parse().ok()?;
        self.skip(r#","U":"#)?;
        let first_id = self.number()?;
        self.skip(r#","u":"#)?;
        let last_id = self.number()?;
        if first_id > last_id {
            return None;
        }
        let previous_id = match self.skips(r#","pu":"#) {
            true => Some(self.number()?),
            false => None,
        };
        self.skip(r#","b":["#)?;
        let bids = self.levels()?;
        self.skip(r#","a":["#)?;
        let asks = self.levels()?;
        Some(DepthUpdate {
            line,
            received,
            time,
            symbol,
            first_id,
            last_id,
            previous_id,
            bids,
            asks,
        })
    }

    /// One side, from behind its bracket.
    fn levels(&mut self) -> Option<Vec<Level>> {
        // One allocation of the right size: there is no letter in a side, so it ends before the
        // next key, and each of its levels has one opening bracket.
        let rest = self.rest.as_bytes();
        let side = memchr::memchr(b'a', rest).map_or(rest, |end| &rest[..end]);
        let count = memchr::memchr_iter(b'[', side).count();
        let mut levels = Vec::with_capacity(count);
        if self.skips("]") {
            return Some(levels);
        }
        loop {
            self.skip(r#"[""#)?;
            let price = self.price()?;
            self.skip(r#",""#)?;
            let quantity = self.quantity()?;
            levels.push(Level { price, quantity });
            if !self.skips("],") {
                self.skip("]]")?;
                return Some(levels);
            }
        }
    }

    /// The name of a stream. Its kind decides whether the message means what it seems to mean: only
    /// those are accepted that do.
    fn stream(&mut self) -> Option<()> {
        let (_, kind) = self.text()?.split_once('@')?;
        let usual = matches!(
            kind,
            "trade"
                | "bookTicker"
                | "depth"
                | "depth@0ms"
                | "depth@100ms"
                | "depth@250ms"
                | "depth@500ms"
        );
        usual.then_some(())
    }

    /// A text of which nothing is escaped, and its closing quote.
    fn text(&mut self) -> Option<&'a str> {
        let text = self.quoted()?;
        text.bytes().all(|byte| byte >= b' ' && byte != b'\\').then_some(text)
    }

    /// A price, and its closing quote.
    fn price(&mut self) -> Option<Price> {
        self.decimal().map(Price::from_units).or_else(|| self.quoted()?.parse().ok())
    }

    /// A quantity, and its closing quote.
    fn quantity(&mut self) -> Option<Quantity> {
        let units = self.decimal().map(i128::from);
        units.map(Quantity::from_units).or_else(|| self.quoted()?.parse().ok())
    }

    /// A decimal with eight decimals, and its closing quote, which need not be searched for then.
    fn decimal(&mut self) -> Option<i64> {
        let (units, length) = decimal::leading(self.rest.as_bytes())?;
        self.rest = self.rest.get(length..)?.strip_prefix('"')?;
        Some(units)
    }

    /// What comes before the next quote; moves behind it.
    fn quoted(&mut self) -> Option<&'a str> {
        let end = memchr::memchr(b'"', self.rest.as_bytes())?;
        let (text, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.get(1..)?;
        Some(text)
    }

    /// A whole number of at most 19 digits, which always fit.
    fn number(&mut self) -> Option<u64> {
        let bytes = self.rest.as_bytes();
        let mut number = 0;
        let mut digits = 0;
        // Times and ids have more than eight.
        if let Some(first) = bytes.first_chunk().and_then(decimal::eight_digits) {
            number = u64::from(first);
            digits = 8;
        }
        while let Some(digit @ b'0'..=b'9') = bytes.get(digits) {
            if digits == 19 {
                return None;
            }
            number = number * 10 + u64::from(digit - b'0');
            digits += 1;
        }
        // JSON has no leading zeros.
        if digits == 0 || (digits > 1 && bytes[0] == b'0') {
            return None;
        }
        self.rest = self.rest.get(digits..)?;
        Some(number)
    }

    fn boolean(&mut self) -> Option<bool> {
        if self.skips("true") {
            return Some(true);
        }
        self.skip("false").map(|()| false)
    }

    /// Moves behind `expected`, which must come next.
    fn skip(&mut self, expected: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(expected)?;
        Some(())
    }

    /// Moves behind `optional`, if it comes next.
    fn skips(&mut self, optional: &str) -> bool {
        self.skip(optional).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode_any;
    use super::*;
    use proptest::prelude::*;

    const RECEIVED: Timestamp = Timestamp::from_nanos(1_723_161_254_087_896_568);

    fn number() -> impl Strategy<Value = String> {
        prop_oneof![
            4 => (1_700_000_000_000_u64..1_800_000_000_000).prop_map(|number| number.to_string()),
            4 => (0_u64..100_000_000_000).prop_map(|number| number.to_string()),
            1 => "(0|[1-9][0-9]{0,20})",
            1 => "[0-9]{1,20}",
        ]
    }

    fn decimal() -> impl Strategy<Value = String> {
        prop_oneof![8 => "[0-9]{1,9}\\.[0-9]{8}", 4 => "[0-9]{1,6}(\\.[0-9]{1,8})?", 1 => "[-0-9.]{0,20}"]
    }

    fn side() -> impl Strategy<Value = String> {
        prop::collection::vec((decimal(), decimal()), 0..5).prop_map(|levels| {
            let levels: Vec<_> = levels
                .iter()
                .map(|(price, quantity)| format!(r#"["{price}","{quantity}"]"#))
                .collect();
            format!("[{}]", levels.join(","))
        })
    }

    /// The members of a message of each kind, spot and futures; rarely one that is wrong.
    fn members() -> impl Strategy<Value = Vec<String>> {
        let numbers = prop::array::uniform4(number());
        let decimals = prop::array::uniform4(decimal());
        let symbol = prop_oneof![8 => "[A-Z]{3,12}", 1 => "[A-Z\\\\\u{1}é]{0,22}"];
        (0..5, numbers, decimals, [side(), side()], symbol, any::<bool>()).prop_map(
            |(kind, [n, m, i, j], [p, q, r, t], [bids, asks], symbol, flag)| {
                let symbol = format!(r#""s":"{symbol}""#);
                let (low, high) = if i.len() < j.len() { (i, j) } else { (j, i) };
                let quote = [
                    format!(r#""u":{n}"#),
                    symbol.clone(),
                    format!(r#""b":"{p}""#),
                    format!(r#""B":"{q}""#),
                    format!(r#""a":"{r}""#),
                    format!(r#""A":"{t}""#),
                ];
                let times = [format!(r#""T":{m}"#), format!(r#""E":{low}"#)];
                let kind_is = |kind: &str| format!(r#""e":"{kind}""#);
                let event = format!(r#""E":{n}"#);
                let ids = [format!(r#""U":{low}"#), format!(r#""u":{high}"#)];
                let sides = [format!(r#""b":{bids}"#), format!(r#""a":{asks}"#)];
                let trade =
                    [format!(r#""t":{low}"#), format!(r#""p":"{p}""#), format!(r#""q":"{q}""#)];
                let maker = format!(r#""m":{flag}"#);
                let [time, _] = &times;
                match kind {
                    0 => quote.to_vec(),
                    1 => [&[kind_is("bookTicker")][..], &quote, &times].concat(),
                    2 => {
                        let rest = [time.clone(), maker, r#""M":true"#.to_owned()];
                        [&[kind_is("trade"), event, symbol][..], &trade, &rest].concat()
                    }
                    3 => {
                        let first = [kind_is("trade"), event, time.clone(), symbol];
                        let rest = [r#""X":"MARKET""#.to_owned(), maker];
                        [&first[..], &trade, &rest].concat()
                    }
                    _ if flag => {
                        [&[kind_is("depthUpdate"), event, symbol][..], &ids, &sides].concat()
                    }
                    _ => {
                        let first = [kind_is("depthUpdate"), event, time.clone(), symbol];
                        [&first[..], &ids, &[format!(r#""pu":{m}"#)], &sides].concat()
                    }
                }
            },
        )
    }

    fn stream() -> impl Strategy<Value = Option<String>> {
        let kinds = "(btcusdt@)?(trade|bookTicker|depth|depth@100ms|depth5|depth20@100ms|kline_1m)";
        prop::option::of(kinds)
    }

    fn whole(members: &[String], stream: Option<&str>) -> String {
        let data = members.join(",");
        match stream {
            Some(stream) => format!(r#"{{"stream":"{stream}","data":{{{data}}}}}"#),
            None => format!("{{{data}}}"),
        }
    }

    /// What the fast path accepts must be what the general reader makes of it.
    fn agrees(json: &str) -> Result<(), TestCaseError> {
        if let Some(event) = read(7, RECEIVED, json) {
            prop_assert_eq!(Ok(event), decode_any(7, RECEIVED, json), "{}", json);
        }
        Ok(())
    }

    #[test]
    fn every_kind_in_its_usual_spelling_is_accepted() {
        for data in [
            r#"{"u":5,"s":"BTCUSDT","b":"61837.63000000","B":"2","a":"1.6","A":"3"}"#,
            r#"{"e":"bookTicker","u":5,"s":"B","b":"1.5","B":"2","a":"1.6","A":"3","T":10,"E":11}"#,
            r#"{"e":"trade","E":1723161255343,"s":"B","t":42,"p":"1","q":"2","T":0,"m":true,"M":true}"#,
            r#"{"e":"trade","E":1,"T":1,"s":"B","t":42,"p":"1","q":"2","X":"MARKET","m":false}"#,
            r#"{"e":"depthUpdate","E":9,"s":"B","U":3,"u":6,"b":[["1.5","0"],["1.4","7"]],"a":[]}"#,
            r#"{"e":"depthUpdate","E":9,"T":8,"s":"B","U":3,"u":6,"pu":2,"b":[],"a":[["1.5","0"]]}"#,
        ] {
            for json in [data.to_owned(), format!(r#"{{"stream":"b@depth@100ms","data":{data}}}"#)]
            {
                let event = read(7, RECEIVED, &json);
                assert_eq!(event, decode_any(7, RECEIVED, &json).ok(), "{json}");
                assert!(event.is_some(), "{json}");
            }
        }
    }

    #[test]
    fn a_side_is_one_allocation_of_its_size() {
        let json = r#"{"e":"depthUpdate","E":9,"s":"B","U":3,"u":6,"b":[["1","2"],["3","4"],["5","6"]],"a":[["7","8"]]}"#;
        let message = read(7, RECEIVED, json).unwrap().book().unwrap();
        let BookMessage::Update(update) = &*message else { panic!("{message:?}") };
        assert_eq!((update.bids.capacity(), update.asks.capacity()), (3, 1));
    }

    #[test]
    fn the_best_levels_of_a_book_are_left_to_the_general_reader() {
        let data = r#"{"e":"depthUpdate","E":9,"s":"B","U":3,"u":6,"b":[],"a":[]}"#;
        for kind in ["depth5", "depth10@100ms", "depth20", "depth@100ms@1"] {
            let json = format!(r#"{{"stream":"b@{kind}","data":{data}}}"#);
            assert_eq!(read(7, RECEIVED, &json), None, "{json}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        #[test]
        fn what_is_accepted_is_what_the_general_reader_reads(
            members in members(),
            stream in stream(),
        ) {
            agrees(&whole(&members, stream.as_deref()))?;
        }

        #[test]
        fn no_damage_is_accepted_that_the_general_reader_refuses_or_reads_otherwise(
            members in members(),
            stream in stream(),
            swap: (prop::sample::Index, prop::sample::Index),
            at: prop::sample::Index,
            length in 1_usize..4,
            byte in prop_oneof![prop::sample::select(b" \"\\{}[]:,.-+0159eEa\x01\xc3".to_vec()), any::<u8>()],
        ) {
            let stream = stream.as_deref();
            let json = whole(&members, stream).into_bytes();
            let at = at.index(json.len());
            let end = (at + length).min(json.len());
            let with = |range: std::ops::Range<usize>, bytes: &[u8]| {
                let mut json = json.clone();
                json.splice(range, bytes.iter().copied());
                json
            };
            for damaged in [
                with(at..at + 1, &[byte]),
                with(at..end, &[]),
                with(at..at, &[byte]),
                with(at..at, b" "),
                with(at..json.len(), &[]),
                with(json.len()..json.len(), &[byte]),
            ] {
                if let Ok(json) = std::str::from_utf8(&damaged) {
                    agrees(json)?;
                }
            }
            let mut swapped = members.clone();
            swapped.swap(swap.0.index(members.len()), swap.1.index(members.len()));
            agrees(&whole(&swapped, stream))?;
            let mut doubled = members.clone();
            doubled.insert(swap.0.index(members.len()), swap.1.get(&members).clone());
            agrees(&whole(&doubled, stream))?;
        }
    }
}
