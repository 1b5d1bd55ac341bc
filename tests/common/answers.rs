//! What the demo has to write for a session, computed the slow and obvious way.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::recording::{Entry, Said, Venue};

pub(crate) fn fixed(units: i128, decimals: u32) -> String {
    let one = 10u128.pow(decimals);
    let (sign, units) = (if units < 0 { "-" } else { "" }, units.unsigned_abs());
    format!("{sign}{}.{:0width$}", units / one, units % one, width = decimals as usize)
}

pub(crate) fn eight(units: i64) -> String {
    fixed(units.into(), 8)
}

/// Rounded to the nearest whole, a half to the even one.
pub(crate) fn divide(dividend: i128, divisor: i128) -> i128 {
    let (whole, rest) = (dividend.div_euclid(divisor), dividend.rem_euclid(divisor));
    match (2 * rest).cmp(&divisor) {
        Ordering::Less => whole,
        Ordering::Greater => whole + 1,
        Ordering::Equal => whole + whole.rem_euclid(2),
    }
}

/// The rows of `bars_1s.csv` and `bars_1m.csv`.
pub(crate) fn bars(entries: &[Entry], length_ms: i64) -> Vec<String> {
    let mut windows: BTreeMap<i64, Vec<(u64, i64, i64, bool)>> = BTreeMap::new();
    for entry in entries {
        if let Said::Trade { id, ms, price, quantity, buyer_is_maker } = entry.said {
            let trades = windows.entry(ms - ms % length_ms).or_default();
            trades.push((id, price, quantity, buyer_is_maker));
        }
    }
    let last = windows.keys().next_back().copied();
    let row = |(start, trades): (i64, Vec<(u64, i64, i64, bool)>)| {
        let prices = || trades.iter().map(|trade| trade.1);
        let volume: i128 = trades.iter().map(|trade| i128::from(trade.2)).sum();
        let taker: i128 =
            trades.iter().filter(|trade| !trade.3).map(|trade| i128::from(trade.2)).sum();
        let notional: i128 =
            trades.iter().map(|trade| i128::from(trade.1) * i128::from(trade.2)).sum();
        [
            start.to_string(),
            eight(trades[0].1),
            eight(prices().max().unwrap()),
            eight(prices().min().unwrap()),
            eight(trades[trades.len() - 1].1),
            fixed(volume, 8),
            fixed(notional, 16),
            fixed(divide(notional * 100, volume), 10),
            fixed(taker, 8),
            trades.len().to_string(),
            trades[0].0.to_string(),
            trades[trades.len() - 1].0.to_string(),
            u8::from(Some(start) != last).to_string(),
        ]
        .join(",")
    };
    windows.into_iter().map(row).collect()
}

/// The rows of `asof.csv`.
pub(crate) fn as_of(entries: &[Entry]) -> Vec<String> {
    let mut rows = Vec::new();
    let (mut last_price, mut tick) = (None, 0);
    for (index, entry) in entries.iter().enumerate() {
        let Said::Trade { id, price, buyer_is_maker, .. } = entry.said else { continue };
        // Of equal times the last to arrive counts, also if it came after the trade.
        let known = entries.iter().enumerate().filter_map(|(at, other)| match other.said {
            Said::Quote { update, bid, ask, .. } if other.received <= entry.received => {
                Some(((other.received, at), (update, bid, ask)))
            }
            _ => None,
        });
        let quote = known.max_by_key(|(time, _)| *time);
        if let Some(before) = last_price
            && before != price
        {
            tick = if price > before { 1 } else { -1 };
        }
        last_price = Some(price);
        let (columns, by_quote) = match quote {
            None => (",,,,".into(), 0),
            Some(((time, at), (update, bid, ask))) => {
                assert!(at != index);
                let age = entry.received - time;
                let columns = format!("{update},{time},{},{},{age}", eight(bid), eight(ask));
                (columns, (2 * price).cmp(&(bid + ask)) as i32)
            }
        };
        let guess = if by_quote == 0 { tick } else { by_quote };
        let truth = if buyer_is_maker { -1 } else { 1 };
        let key = entry.received;
        rows.push(format!("{id},{key},{columns},{by_quote},{tick},{guess},{truth}"));
    }
    rows
}

/// The rows of `book_top.csv`, if no update is missing. `lines` are the places in the input.
pub(crate) fn book_top(venue: Venue, entries: &[(usize, &Entry)]) -> Vec<String> {
    let snapshot =
        entries.iter().position(|(_, entry)| matches!(entry.said, Said::Snapshot { .. }));
    let Some(snapshot) = snapshot else { return Vec::new() };
    let Said::Snapshot { last, bids, asks } = &entries[snapshot].1.said else { unreachable!() };
    let mut bid_levels: BTreeMap<i64, i64> = bids.iter().copied().collect();
    let mut ask_levels: BTreeMap<i64, i64> = asks.iter().copied().collect();
    let set = |levels: &mut BTreeMap<i64, i64>, changes: &[(i64, i64)]| {
        for (price, quantity) in changes {
            match quantity {
                0 => levels.remove(price),
                _ => levels.insert(*price, *quantity),
            };
        }
    };
    let mut rows = Vec::new();
    for (line, entry) in entries {
        let Said::Diff { ms, first, last: end, bids, asks } = &entry.said else { continue };
        // A snapshot of a futures venue may lie at the very end of the first update behind it.
        if end < last || (end == last && venue == Venue::Spot) {
            continue;
        }
        set(&mut bid_levels, bids);
        set(&mut ask_levels, asks);
        let level = |level: Option<(&i64, &i64)>| match level {
            Some((price, quantity)) => format!("{},{}", eight(*price), eight(*quantity)),
            None => ",".into(),
        };
        rows.push(format!(
            "{line},{},{ms},{first},{end},{},{},{},{}",
            entry.received,
            level(bid_levels.last_key_value()),
            level(ask_levels.first_key_value()),
            bid_levels.len(),
            ask_levels.len(),
        ));
    }
    rows
}
