use super::*;
use crate::market::{Quantity, Symbol};
use proptest::prelude::*;

const RECEIVED: Timestamp = Timestamp::from_nanos(1_723_161_254_087_896_568);

fn decoded(json: &str) -> Result<MarketEvent, DecodeError> {
    decode(7, RECEIVED, json.as_bytes())
}

fn refused(json: &str) -> String {
    decoded(json).unwrap_err().to_string()
}

fn level(price: &str, quantity: &str) -> Level {
    Level { price: price.parse().unwrap(), quantity: quantity.parse().unwrap() }
}

fn btcusdt() -> Symbol {
    "BTCUSDT".parse().unwrap()
}

const TRADE: &str = r#"{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":42,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}"#;

fn trade() -> Trade {
    Trade {
        received: RECEIVED,
        time: Timestamp::from_millis(1_723_161_255_342),
        symbol: btcusdt(),
        id: 42,
        price: "61837.63".parse().unwrap(),
        quantity: "0.02".parse().unwrap(),
        taker: Side::Sell,
    }
}

#[test]
fn a_trade_is_read_bare_and_wrapped_with_either_key_first() {
    for json in [
        TRADE.to_owned(),
        format!(r#"{{"stream":"btcusdt@trade","data":{TRADE}}}"#),
        format!(r#"{{"data":{TRADE},"stream":"btcusdt@trade"}}"#),
        format!(" {TRADE}\r\n"),
    ] {
        assert_eq!(decoded(&json), Ok(MarketEvent::Trade(trade())), "{json}");
    }
}

#[test]
fn order_numbers_of_old_trades_are_not_taken_for_prices() {
    let old = TRADE.replace(r#""m":true"#, r#""b":88,"a":50,"m":true"#);
    assert_eq!(decoded(&old), Ok(MarketEvent::Trade(trade())));
    let reversed = TRADE.replace(r#""e":"trade""#, r#""b":88,"a":50,"e":"trade""#);
    assert_eq!(decoded(&reversed), Ok(MarketEvent::Trade(trade())));
}

#[test]
fn a_spot_quote_has_no_kind_and_no_time() {
    let json = r#"{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3"}}"#;
    let quote = decoded(json).unwrap().quote().unwrap();
    assert_eq!(quote.time, None);
    assert_eq!(quote.update_id, 5);
    assert_eq!((quote.bid, quote.ask), (level("1.5", "2"), level("1.6", "3")));
}

#[test]
fn a_futures_quote_has_the_time_of_its_transaction() {
    let json = r#"{"e":"bookTicker","u":5,"s":"BTCUSDT","b":"1.5","B":"2","a":"1.6","A":"3","T":10,"E":11}"#;
    let quote = decoded(json).unwrap().quote().unwrap();
    assert_eq!(quote.time, Some(Timestamp::from_millis(10)));
}

#[test]
fn a_depth_update_keeps_its_ids_and_levels() {
    let json = r#"{"e":"depthUpdate","E":9,"T":8,"s":"BTCUSDT","U":3,"u":6,"pu":2,"b":[["1.5","0"],["1.4","7.25"]],"a":[]}"#;
    let update = DepthUpdate {
        line: 7,
        received: RECEIVED,
        time: Timestamp::from_millis(9),
        symbol: btcusdt(),
        first_id: 3,
        last_id: 6,
        previous_id: Some(2),
        bids: vec![level("1.5", "0"), level("1.4", "7.25")],
        asks: vec![],
    };
    let message = decoded(json).unwrap().book().unwrap();
    assert_eq!(*message, BookMessage::Update(update));
}

#[test]
fn a_snapshot_is_told_from_the_best_levels_by_its_stream() {
    let json = r#"{"lastUpdateId":160,"bids":[["0.0024","10",[]]],"asks":[["0.0026","100"]]}"#;
    let message = decoded(json).unwrap().book().unwrap();
    let BookMessage::Snapshot(snapshot) = &*message else {
        panic!("{message:?}");
    };
    assert_eq!((snapshot.last_id, snapshot.symbol), (160, None));
    assert_eq!(snapshot.bids, [level("0.0024", "10")]);

    let wrapped = format!(r#"{{"stream":"btcusdt@depth","data":{json}}}"#);
    assert!(decoded(&wrapped).unwrap().book().is_some());
    let partial = format!(r#"{{"data":{json},"stream":"btcusdt@depth20@100ms"}}"#);
    let kind = "depth20@100ms".to_owned();
    let unknown = Err(DecodeError::UnknownKind { kind });
    assert_eq!(decoded(&partial), unknown);
    // Futures send the best levels as if they were a difference.
    let best = r#"{"e":"depthUpdate","E":9,"s":"B","U":3,"u":6,"pu":2,"b":[],"a":[]}"#;
    let partial = format!(r#"{{"stream":"b@depth20@100ms","data":{best}}}"#);
    assert_eq!(decoded(&partial), unknown);
}

#[test]
fn other_kinds_are_unknown_and_not_defective() {
    for (kind, json) in [
        ("aggTrade", r#"{"e":"aggTrade","a":5933014,"p":"0.001"}"#),
        ("aggTrade", r#"{"p":17,"a":5933014,"e":"aggTrade"}"#),
        ("kline", r#"{"stream":"b@kline_1m","data":{"e":"kline","k":{"t":1}}}"#),
        ("ticker@arr", r#"{"stream":"!x@ticker@arr","data":[{"e":"24hrTicker"}]}"#),
        ("ticker@arr", r#"{"data":[1],"stream":"!x@ticker@arr"}"#),
        ("", r#"{"result":null,"id":1}"#),
        ("", "{}"),
    ] {
        let kind = kind.to_owned();
        assert_eq!(decoded(json), Err(DecodeError::UnknownKind { kind }), "{json}");
    }
}

#[test]
fn damaged_json_says_where() {
    assert_eq!(refused(&TRADE[..40]), "not JSON: EOF while parsing a string at column 40");
    assert_eq!(
        refused(&format!("{TRADE}x")),
        format!("not JSON: trailing characters at column {}", TRADE.len() + 1)
    );
    assert!(matches!(decoded(""), Err(DecodeError::NotJson { .. })));
}

#[test]
fn a_field_that_is_wrong_is_named_and_quoted() {
    for (from, to, message) in [
        ("61837.63000000", "1.123456789", r#"field "p": "1.123456789" has 9 decimals; at most 8"#),
        ("\"0.02000000\"", "\"-1\"", r#"field "q": "-1" is negative"#),
        ("\"0.02000000\"", "1.5", r#"field "q": invalid type: floating point `1.5`"#),
        ("\"t\":42", "\"t\":-42", r#"field "t": invalid value: integer `-42`"#),
        ("\"t\":42", "\"t\":18446744073709551616", r#"field "t": invalid type: floating point"#),
        ("\"t\":42", "\"t\":42,\"t\":42", r#"field "t": it is there twice"#),
        ("\"t\":42,", "", r#"field "t": it is missing"#),
        ("1723161255342", "1723161255342000", r#"field "T": 1723161255342000 is no time in mill"#),
        ("\"BTCUSDT\"", "\"\"", r#"field "s": "" is not a symbol"#),
        ("\"m\":true", "\"m\":1", r#"field "m": invalid type: integer `1`"#),
    ] {
        let json = TRADE.replace(from, to);
        assert_ne!(json, TRADE);
        assert!(refused(&json).starts_with(message), "{}", refused(&json));
    }
}

#[test]
fn a_wrong_level_is_named_by_its_side() {
    let update = |levels: &str| {
        format!(r#"{{"e":"depthUpdate","E":9,"s":"B","U":3,"u":6,"b":[],"a":{levels}}}"#)
    };
    assert_eq!(
        refused(&update(r#"[["1.5","0.0000000001"]]"#)),
        r#"field "a": "0.0000000001" has 10 decimals; at most 8 are kept at column 78"#
    );
    assert!(refused(&update(r#"[["1.5"]]"#)).contains("expected a level"));
    assert_eq!(refused(&update("17")), r#"field "a": levels are expected"#);
    assert_eq!(refused(&update(r#""1.5""#)), r#"field "a": levels are expected"#);
}

#[test]
fn ids_that_run_backwards_are_refused() {
    let json = r#"{"e":"depthUpdate","E":9,"s":"B","U":7,"u":6,"b":[],"a":[]}"#;
    assert!(decoded(&json.replace("\"u\":6", "\"u\":7")).is_ok());
    assert!(refused(json).starts_with(r#"field "U": the first change, 7,"#));
}

#[test]
fn what_is_no_object_is_refused() {
    for json in ["[]", "17", "null", r#"{"data":17}"#, r#"{"stream":"b@trade","data":[]}"#] {
        let error = decoded(json).unwrap_err();
        assert!(matches!(error, DecodeError::Field { .. }), "{json}: {error}");
    }
}

/// The fields of one message of each kind, with some that are passed over.
fn messages() -> impl Strategy<Value = Vec<String>> {
    let fields = |fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect();
    let trade: Vec<String> = fields(&[
        r#""e":"trade""#,
        r#""E":11"#,
        r#""s":"BTCUSDT""#,
        r#""t":42"#,
        r#""p":"61837.63""#,
        r#""q":"0.02""#,
        r#""T":10"#,
        r#""m":false"#,
        r#""M":true"#,
        r#""X":{"e":[1]}"#,
    ]);
    let quote = fields(&[
        r#""u":5"#,
        r#""s":"BTCUSDT""#,
        r#""b":"1.5""#,
        r#""B":"2""#,
        r#""a":"1.6""#,
        r#""A":"3""#,
        r#""x":null"#,
    ]);
    let update = fields(&[
        r#""e":"depthUpdate""#,
        r#""E":9"#,
        r#""s":"BTCUSDT""#,
        r#""U":3"#,
        r#""u":6"#,
        r#""b":[["1.5","0"]]"#,
        r#""a":[["1.6","1"],["1.7","2"]]"#,
        r#""ps":"BTC""#,
    ]);
    let snapshot = fields(&[
        r#""lastUpdateId":160"#,
        r#""E":9"#,
        r#""T":8"#,
        r#""bids":[["1.5","1"]]"#,
        r#""asks":[]"#,
    ]);
    prop::sample::select(vec![trade, quote, update, snapshot])
}

proptest! {
    #[test]
    fn the_order_of_keys_does_not_matter(
        (plain, shuffled) in messages().prop_flat_map(|fields| {
            (Just(fields.join(",")), Just(fields).prop_shuffle())
        }),
        wrapped: bool,
    ) {
        let shuffled = shuffled.join(",");
        let shuffled = match wrapped {
            true => format!(r#"{{"data":{{{shuffled}}},"stream":"s"}}"#),
            false => format!("{{{shuffled}}}"),
        };
        let plain = decoded(&format!("{{{plain}}}"));
        prop_assert!(plain.is_ok());
        prop_assert_eq!(decoded(&shuffled), plain);
    }

    #[test]
    fn prices_and_ids_arrive_as_sent(price in 0_i64.., quantity in 0_i64.., id: u64) {
        let (price, quantity) = (Price::from_units(price), Quantity::from_units(quantity.into()));
        let json = format!(
            r#"{{"e":"trade","s":"B","t":{id},"p":"{price}","q":"{quantity}","T":0,"m":false}}"#
        );
        let trade = decoded(&json).unwrap().trade().unwrap();
        prop_assert_eq!((trade.id, trade.price, trade.quantity), (id, price, quantity));
    }

    #[test]
    fn a_damaged_message_never_panics(at in 0..TRADE.len(), byte: u8) {
        let mut json = TRADE.as_bytes().to_vec();
        json[at] = byte;
        let _ = decode(0, RECEIVED, &json);
        let _ = decode(0, RECEIVED, &json[..at]);
    }
}
