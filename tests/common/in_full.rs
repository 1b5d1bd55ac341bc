//! What `--all` has to write for a session, computed the slow and obvious way.

use std::collections::BTreeMap;

use super::answers::{divide, fixed};
use super::recording::{Entry, Said};

#[derive(Debug, Clone, Copy)]
struct Trade {
    received: i64,
    ms: i64,
    id: u64,
    price: i128,
    quantity: i128,
    bought: bool,
}

fn trades(entries: &[Entry]) -> Vec<Trade> {
    let trade = |entry: &Entry| match entry.said {
        Said::Trade { id, ms, price, quantity, buyer_is_maker } => Some(Trade {
            received: entry.received,
            ms,
            id,
            price: price.into(),
            quantity: quantity.into(),
            bought: !buyer_is_maker,
        }),
        _ => None,
    };
    entries.iter().filter_map(trade).collect()
}

/// The columns from `open` to `last_id`.
fn bar(trades: &[Trade]) -> String {
    let prices = || trades.iter().map(|trade| trade.price);
    let volume: i128 = trades.iter().map(|trade| trade.quantity).sum();
    let bought: i128 = trades.iter().filter(|trade| trade.bought).map(|trade| trade.quantity).sum();
    let notional: i128 = trades.iter().map(|trade| trade.price * trade.quantity).sum();
    [
        fixed(trades[0].price, 8),
        fixed(prices().max().unwrap(), 8),
        fixed(prices().min().unwrap(), 8),
        fixed(trades[trades.len() - 1].price, 8),
        fixed(volume, 8),
        fixed(notional, 16),
        fixed(divide(notional * 100, volume), 10),
        fixed(bought, 8),
        trades.len().to_string(),
        trades[0].id.to_string(),
        trades[trades.len() - 1].id.to_string(),
    ]
    .join(",")
}

/// The rows of the bars that end with the trade that fills them.
pub(crate) fn runs(entries: &[Entry], weight: fn(i128, i128) -> i128, limit: i128) -> Vec<String> {
    let mut rows = Vec::new();
    let mut open: Vec<Trade> = Vec::new();
    let row = |trades: &[Trade], complete: u8| {
        format!("{},{},{},{complete}", trades[0].ms, trades[trades.len() - 1].ms, bar(trades))
    };
    for trade in trades(entries) {
        open.push(trade);
        if open.iter().map(|trade| weight(trade.price, trade.quantity)).sum::<i128>() >= limit {
            rows.push(row(&open, 1));
            open.clear();
        }
    }
    if !open.is_empty() {
        rows.push(row(&open, 0));
    }
    rows
}

/// The rows of the windows of ten seconds.
pub(crate) fn sliding(entries: &[Entry]) -> Vec<String> {
    let trades = trades(entries);
    let Some(last) = trades.iter().map(|trade| trade.ms).max() else { return Vec::new() };
    let first = trades.iter().map(|trade| trade.ms).min().unwrap();
    let mut rows = Vec::new();
    for start in (first / 1000 - 10..=last / 1000).map(|second| second * 1000) {
        let inside = |trade: &Trade| (start..start + 10_000).contains(&trade.ms);
        let inside: Vec<_> = trades.iter().copied().filter(inside).collect();
        if !inside.is_empty() {
            rows.push(format!("{start},{},{}", bar(&inside), u8::from(start + 10_000 <= last)));
        }
    }
    rows
}

/// The rows of the rolling statistics: id, the two averages, and the other columns.
pub(crate) fn rolling(entries: &[Entry]) -> Vec<(String, [f64; 2], String)> {
    let trades = trades(entries);
    let mut averages: Option<(i64, [f64; 2])> = None;
    let mut rows = Vec::new();
    for (index, trade) in trades.iter().enumerate() {
        let price = trade.price as f64 / 1e8;
        let now = match averages {
            None => [price; 2],
            // One that is not later than those before it has no weight where time decides.
            Some((before, averages)) => {
                let seconds = (trade.received - before).max(0) as f64 / 1e9;
                let weights = [2.0 / 21.0, 1.0 - 0.5_f64.powf(seconds)];
                [0, 1].map(|n| averages[n] + weights[n] * (price - averages[n]))
            }
        };
        let latest = averages.map_or(trade.received, |(latest, _)| latest.max(trade.received));
        averages = Some((latest, now));
        let seen = &trades[..=index];
        let recent = |other: &&Trade| {
            other.received > trade.received - 10_000_000_000 && other.received <= trade.received
        };
        let recent: Vec<_> = seen.iter().filter(recent).collect();
        let by_venue = |other: &&Trade| other.ms > trade.ms - 10_000 && other.ms <= trade.ms;
        let by_venue: Vec<_> = seen.iter().filter(by_venue).collect();
        let volume: i128 = recent.iter().map(|other| other.quantity).sum();
        let notional: i128 = recent.iter().map(|other| other.price * other.quantity).sum();
        let rest = [
            recent.len().to_string(),
            fixed(volume, 8),
            fixed(divide(notional * 100, volume), 10),
            fixed(recent.iter().map(|other| other.price).min().unwrap(), 8),
            fixed(recent.iter().map(|other| other.price).max().unwrap(), 8),
            by_venue.len().to_string(),
            fixed(by_venue.iter().map(|other| other.quantity).sum(), 8),
        ];
        rows.push((trade.id.to_string(), now, rest.join(",")));
    }
    rows
}

#[derive(Debug, Clone, Copy)]
struct Quote {
    received: i64,
    update: u64,
    bid: i128,
    ask: i128,
    bids: i128,
    asks: i128,
}

fn quotes(entries: &[Entry]) -> Vec<Quote> {
    let quote = |entry: &Entry| match entry.said {
        Said::Quote { update, bid, ask, bids, asks } => Some(Quote {
            received: entry.received,
            update,
            bid: bid.into(),
            ask: ask.into(),
            bids: bids.into(),
            asks: asks.into(),
        }),
        _ => None,
    };
    entries.iter().filter_map(quote).collect()
}

/// The rows of the statistics of quotes.
pub(crate) fn seconds(entries: &[Entry]) -> Vec<String> {
    const SECOND: i64 = 1_000_000_000;
    let quotes = quotes(entries);
    let (Some(first), Some(last)) = (quotes.first(), quotes.last()) else { return Vec::new() };
    let mut rows = Vec::new();
    // The last second is not over.
    for second in first.received / SECOND..last.received / SECOND {
        let (start, end) = (second * SECOND, (second + 1) * SECOND);
        let inside = |quote: &Quote| (start..end).contains(&quote.received);
        let (mut weighted, mut covered, mut flow) = (0, 0, 0);
        for pair in quotes.windows(2) {
            let (before, now) = (pair[0], pair[1]);
            let held = now.received.min(end) - before.received.max(start);
            if held > 0 {
                weighted += i128::from(held) * (before.ask - before.bid);
                covered += held;
            }
            if inside(&now) {
                let part = |counts, quantity| if counts { quantity } else { 0 };
                flow += part(now.bid >= before.bid, now.bids)
                    - part(now.bid <= before.bid, before.bids)
                    - part(now.ask <= before.ask, now.asks)
                    + part(now.ask >= before.ask, before.asks);
            }
        }
        let close = quotes.iter().rfind(|quote| quote.received < end).unwrap();
        let both = close.bids + close.asks;
        let micro = (close.ask * close.bids + close.bid * close.asks) * 100;
        rows.push(
            [
                second.to_string(),
                quotes.iter().filter(|quote| inside(quote)).count().to_string(),
                fixed(divide(weighted * 100, covered.into()), 10),
                covered.to_string(),
                fixed(flow, 8),
                fixed((close.bid + close.ask) * 50, 10),
                fixed(divide(micro, both), 10),
                fixed(divide((close.bids - close.asks) * 10_i128.pow(10), both), 10),
            ]
            .join(","),
        );
    }
    rows
}

/// The rows of the last quotes of tenths of a second.
pub(crate) fn tenths(entries: &[Entry]) -> Vec<String> {
    let tenths =
        quotes(entries).into_iter().map(|quote| (quote.received / 100_000_000, quote.update));
    // The last to come stays.
    let tenths: BTreeMap<i64, u64> = tenths.collect();
    tenths.into_iter().map(|(tenth, update)| format!("{tenth},{update}")).collect()
}

/// The rows of the silences of quotes.
pub(crate) fn silences(entries: &[Entry]) -> Vec<String> {
    let times: Vec<_> = quotes(entries).iter().map(|quote| quote.received).collect();
    let silent = |pair: &&[i64]| pair[1] - pair[0] > 500_000_000;
    times.windows(2).filter(silent).map(|pair| format!("{},{}", pair[0], pair[1])).collect()
}

/// What an unreliable line delivers of the trades.
pub(crate) fn delivered(entries: &[Entry]) -> Vec<u64> {
    // Each with the place where it comes: a half further than the item after which it comes.
    let ids: Vec<u64> = trades(entries).iter().map(|trade| trade.id).collect();
    let kept: Vec<_> = (0..ids.len()).filter(|index| index % 1009 != 500).collect();
    let mut places = Vec::new();
    for (place, index) in kept.iter().enumerate() {
        let times = if index % 97 == 13 { 2 } else { 1 };
        match index % 211 {
            100 => places.push((place as f64 + 7.5, ids[*index])),
            _ => places.extend(std::iter::repeat_n((place as f64, ids[*index]), times)),
        }
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    places.into_iter().map(|(_, id)| id).collect()
}

/// What a gap detector and a resequencer of 16 slots say.
pub(crate) fn fault_answers(delivered: &[u64]) -> Vec<String> {
    let (mut gaps, mut old, mut lost, mut dropped) = (vec![], vec![], vec![], vec![]);
    let mut highest: Option<u64> = None;
    for id in delivered {
        if highest.is_some_and(|highest| *id <= highest) {
            old.push(format!("naive_old,{id},{id}"));
        } else {
            if let Some(highest) = highest.filter(|highest| id - highest > 1) {
                gaps.push(format!("naive_gap,{},{}", highest + 1, id - 1));
            }
            highest = Some(*id);
        }
    }
    let mut due = delivered.first().copied().unwrap_or_default();
    let mut waiting: Vec<u64> = Vec::new();
    for (index, id) in delivered.iter().map(Some).chain([None]).enumerate() {
        match id {
            Some(id) if *id < due || waiting.contains(id) => {
                dropped.push(format!("reseq_drop,{id},{id}"));
            }
            Some(id) => waiting.push(*id),
            None => assert_eq!(index, delivered.len()),
        }
        loop {
            if let Some(place) = waiting.iter().position(|waits| *waits == due) {
                waiting.remove(place);
                due += 1;
            } else if waiting.len() > 16 || (id.is_none() && !waiting.is_empty()) {
                let next = *waiting.iter().min().unwrap();
                lost.push(format!("reseq_lost,{due},{}", next - 1));
                due = next;
            } else {
                break;
            }
        }
    }
    [gaps, old, lost, dropped].concat()
}
