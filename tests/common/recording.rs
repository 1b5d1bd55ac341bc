//! A made-up session of a venue whose messages fit together, and the truth behind each line.

use std::collections::BTreeMap;
use std::fmt::Write;

/// What a line says. Prices and quantities are whole numbers of 1e-8.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Trade { id: u64, ms: i64, price: i64, quantity: i64, buyer_is_maker: bool },
    Quote { update: u64, bid: i64, ask: i64, bids: i64, asks: i64 },
    Diff { ms: i64, first: u64, last: u64, bids: Vec<(i64, i64)>, asks: Vec<(i64, i64)> },
    Snapshot { last: u64, bids: Vec<(i64, i64)>, asks: Vec<(i64, i64)> },
}

/// A line of a recording.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) received: i64,
    pub(crate) json: String,
    pub(crate) said: Said,
}

impl Entry {
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.received, self.json)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Venue {
    Spot,
    Futures,
}

/// The lines as a file has them.
pub(crate) fn text(entries: &[Entry]) -> String {
    entries.iter().map(|entry| entry.line() + "\n").collect()
}

/// When the first line was received, Unix nanoseconds.
pub(crate) const START: i64 = 1_700_000_000_000_000_000;
pub(crate) const SYMBOL: &str = "XUSDT";
const UNIT: i64 = 100_000_000;

/// A small generator of numbers that look random (Vigna's splitmix64).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn below(&mut self, end: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as i64
    }
}

/// A session of `lines` lines: a snapshot after the first updates, then trades, quotes and
/// updates without a gap.
pub(crate) fn session(venue: Venue, seed: u64, lines: usize) -> Vec<Entry> {
    let mut session = Session {
        venue,
        random: Random(seed),
        received: START,
        middle: 1_000 * UNIT,
        trade: 5_000,
        update: 90_000,
        before: 89_999,
    };
    (0..lines).map(|line| session.next(line)).collect()
}

struct Session {
    venue: Venue,
    random: Random,
    received: i64,
    /// Bids lie below, asks above.
    middle: i64,
    trade: u64,
    /// The last change of the book so far, and the last one of the update before.
    update: u64,
    before: u64,
}

impl Session {
    fn next(&mut self, line: usize) -> Entry {
        self.received += 1 + self.random.below(120_000_000);
        self.middle += (self.random.below(21) - 10) * (UNIT / 10);
        let said = match line {
            3 => self.snapshot(),
            0..6 => self.diff(),
            _ => match self.random.below(10) {
                0..4 => self.trade(),
                4..7 => self.quote(),
                _ => self.diff(),
            },
        };
        Entry { received: self.received, json: self.json(&said), said }
    }

    /// The venue's clock is ahead, as that of the real recording is.
    fn ms(&self) -> i64 {
        self.received / 1_000_000 + 1_270
    }

    fn price(&mut self, side: i64) -> i64 {
        self.middle + side * (UNIT / 10) * (1 + self.random.below(40))
    }

    fn quantity(&mut self) -> i64 {
        (1 + self.random.below(5_000)) * (UNIT / 1_000)
    }

    fn trade(&mut self) -> Said {
        self.trade += 1;
        let side = if self.random.below(2) == 0 { 1 } else { -1 };
        Said::Trade {
            id: self.trade,
            ms: self.ms(),
            price: self.price(side),
            quantity: self.quantity(),
            buyer_is_maker: self.random.below(2) == 0,
        }
    }

    fn quote(&mut self) -> Said {
        Said::Quote {
            update: self.update,
            bid: self.price(-1),
            ask: self.price(1),
            bids: self.quantity(),
            asks: self.quantity(),
        }
    }

    fn levels(&mut self, side: i64, most: i64) -> Vec<(i64, i64)> {
        let count = self.random.below(most + 1);
        let level = |this: &mut Self| {
            let gone = this.random.below(4) == 0;
            (this.price(side), if gone { 0 } else { this.quantity() })
        };
        (0..count).map(|_| level(self)).collect()
    }

    fn diff(&mut self) -> Said {
        self.before = self.update;
        let first = self.update + 1;
        self.update += 1 + self.random.below(9) as u64;
        let (bids, asks) = (self.levels(-1, 4), self.levels(1, 4));
        Said::Diff { ms: self.ms(), first, last: self.update, bids, asks }
    }

    /// Contains the updates so far but for part of the last one, as on a real venue.
    fn snapshot(&mut self) -> Said {
        // Each price once.
        let side = |this: &mut Self, side| {
            let levels: BTreeMap<_, _> =
                (0..20).map(|_| (this.price(side), this.quantity())).collect();
            levels.into_iter().collect()
        };
        Said::Snapshot { last: self.before + 1, bids: side(self, -1), asks: side(self, 1) }
    }

    fn json(&self, said: &Said) -> String {
        json(self.venue, said, self.before)
    }
}

/// The number with as many decimals as it needs, but at least one, as futures venues write it; or
/// with eight, as spot venues do.
pub(crate) fn decimal(venue: Venue, units: i64) -> String {
    let text = format!("{}.{:08}", units / UNIT, units % UNIT);
    match venue {
        Venue::Spot => text,
        Venue::Futures => {
            let short = text.trim_end_matches('0');
            let none = if short.ends_with('.') { "0" } else { "" };
            format!("{short}{none}")
        }
    }
}

fn pairs(venue: Venue, levels: &[(i64, i64)]) -> String {
    let mut text = String::from("[");
    for (index, (price, quantity)) in levels.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let (price, quantity) = (decimal(venue, *price), decimal(venue, *quantity));
        write!(text, r#"{comma}["{price}","{quantity}"]"#).unwrap();
    }
    text + "]"
}

/// The message as the venue sends it. `before` is the last change of the update before.
pub(crate) fn json(venue: Venue, said: &Said, before: u64) -> String {
    let futures = venue == Venue::Futures;
    let number = |units: i64| decimal(venue, units);
    let wrapped = |stream: &str, data: String| {
        format!(r#"{{"stream":"{}@{stream}","data":{{{data}}}}}"#, SYMBOL.to_lowercase())
    };
    match said {
        Said::Trade { id, ms, price, quantity, buyer_is_maker } => {
            let (price, quantity) = (number(*price), number(*quantity));
            let kind = if futures { r#""X":"MARKET""# } else { r#""M":true"# };
            wrapped(
                "trade",
                format!(
                    r#""e":"trade","E":{},"T":{ms},"s":"{SYMBOL}","t":{id},"p":"{price}","q":"{quantity}","m":{buyer_is_maker},{kind}"#,
                    ms + 1
                ),
            )
        }
        Said::Quote { update, bid, ask, bids, asks } => {
            let (bid, ask) = (number(*bid), number(*ask));
            let (bids, asks) = (number(*bids), number(*asks));
            let head = if futures { r#""e":"bookTicker","# } else { "" };
            let times = if futures { r#","T":1700000000000,"E":1700000000001"# } else { "" };
            let data = format!(
                r#"{head}"u":{update},"s":"{SYMBOL}","b":"{bid}","B":"{bids}","a":"{ask}","A":"{asks}"{times}"#
            );
            wrapped("bookTicker", data)
        }
        Said::Diff { ms, first, last, bids, asks } => {
            let (bids, asks) = (pairs(venue, bids), pairs(venue, asks));
            let time = if futures { format!(r#""T":{},"#, ms - 3) } else { String::new() };
            let previous = if futures { format!(r#""pu":{before},"#) } else { String::new() };
            let data = format!(
                r#""e":"depthUpdate","E":{ms},{time}"s":"{SYMBOL}","U":{first},"u":{last},{previous}"b":{bids},"a":{asks}"#
            );
            wrapped("depth@100ms", data)
        }
        Said::Snapshot { last, bids, asks } => {
            let (bids, asks) = (pairs(venue, bids), pairs(venue, asks));
            let times = if futures { r#""E":1700000000001,"T":1700000000000,"# } else { "" };
            format!(r#"{{"lastUpdateId":{last},{times}"bids":{bids},"asks":{asks}}}"#)
        }
    }
}
