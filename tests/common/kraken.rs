//! A made-up session of books with checksums, and the rows that follow from it, computed the slow and
//! obvious way.

use std::collections::BTreeMap;
use std::fmt::Write;

/// CRC-32 as ISO 3309 has it, bit by bit.
fn crc(text: &str) -> u32 {
    let mut sum = !0_u32;
    for byte in text.bytes() {
        sum ^= u32::from(byte);
        for _ in 0..8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ 0xedb8_8320 } else { sum >> 1 };
        }
    }
    !sum
}

/// The number with so many decimals.
fn decimal(units: u64, decimals: usize) -> String {
    let digits = format!("{units:0>width$}", width = decimals + 1);
    let (whole, rest) = digits.split_at(digits.len() - decimals);
    format!("{whole}.{rest}")
}

/// The books of a venue, each with decimals of its own, and what is said about them.
#[derive(Debug)]
pub(crate) struct Session {
    depth: usize,
    /// Tenths of a millisecond since the beginning.
    tenths: u64,
    seed: u64,
    books: Vec<Pair>,
    pub(crate) lines: Vec<String>,
    pub(crate) rows: Vec<String>,
}

#[derive(Debug)]
struct Pair {
    name: &'static str,
    price_decimals: usize,
    bids: BTreeMap<u64, u64>,
    asks: BTreeMap<u64, u64>,
}

const MIDDLE: u64 = 22_890;

impl Session {
    /// A connection, a subscription, and a snapshot of each pair.
    pub(crate) fn new(depth: usize, seed: u64) -> Self {
        let pair = |(name, price_decimals)| Pair {
            name,
            price_decimals,
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
        };
        let mut session = Self {
            depth,
            tenths: 0,
            seed,
            books: [("ADA/XBT", 9), ("XBT/CHF", 1)].map(pair).into(),
            lines: Vec::new(),
            rows: Vec::new(),
        };
        session.lines.push("wss://ws.kraken.com <-> 1618678132.5".into());
        session.lines.push(
            r#"wss://ws.kraken.com <- 1618678132.75: {"event":"subscribe","subscription":{"name":"book"}}"#
                .into(),
        );
        for pair in 0..2 {
            session.snapshot(pair);
        }
        session
    }

    fn below(&mut self, end: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % end
    }

    /// As few decimals as the time has, as the recorder writes it.
    fn stamp(&mut self) -> String {
        self.tenths += 1 + self.below(500);
        let (seconds, rest) = (1_618_678_133 + self.tenths / 10_000, self.tenths % 10_000);
        let text = format!("{seconds}.{rest:04}");
        let short = text.trim_end_matches('0');
        if short.ends_with('.') { format!("{short}0") } else { short.to_owned() }
    }

    /// Prices of a side without one that the other side has.
    fn levels(&mut self, count: u64, bids: bool) -> Vec<(u64, u64)> {
        let mut levels = BTreeMap::new();
        for _ in 0..count {
            let away = 1 + self.below(60);
            let price = if bids { MIDDLE - away } else { MIDDLE + away };
            levels.insert(price, 1 + self.below(1_000_000_000));
        }
        levels.into_iter().collect()
    }

    fn text(&self, pair: usize, levels: &[(u64, u64)], again: bool) -> String {
        let mut text = String::new();
        for (index, (price, volume)) in levels.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            let price = decimal(*price, self.books[pair].price_decimals);
            let again = if again { r#","r""# } else { "" };
            write!(
                text,
                r#"{comma}["{price}","{}","1618678100.123456"{again}]"#,
                decimal(*volume, 8)
            )
            .unwrap();
        }
        format!("[{text}]")
    }

    fn snapshot(&mut self, pair: usize) {
        let depth = self.depth as u64;
        let [bids, asks] = [true, false].map(|bids| {
            let mut levels = self.levels(depth * 3, bids);
            if bids {
                levels.reverse();
            }
            levels.truncate(self.depth);
            levels
        });
        let (bid_text, ask_text) = (self.text(pair, &bids, false), self.text(pair, &asks, false));
        self.books[pair].bids = bids.into_iter().collect();
        self.books[pair].asks = asks.into_iter().collect();
        self.say(pair, &format!(r#"{{"as":{ask_text},"bs":{bid_text}}}"#), "snapshot", "");
    }

    /// An update of a random side of a random pair.
    pub(crate) fn update(&mut self) {
        let pair = self.below(2) as usize;
        let bids = self.below(2) == 0;
        let count = 1 + self.below(3);
        let mut levels = self.levels(count, bids);
        let again = self.below(5) == 0;
        if !again && self.below(2) == 0 {
            levels[0].1 = 0;
        }
        let text = self.text(pair, &levels, again);
        let book = &mut self.books[pair];
        let side = if bids { &mut book.bids } else { &mut book.asks };
        for (price, volume) in levels {
            if volume == 0 {
                side.remove(&price);
            } else {
                side.insert(price, volume);
            }
        }
        while side.len() > self.depth {
            if bids {
                side.pop_first()
            } else {
                side.pop_last()
            };
        }
        let sum = self.checksum(pair).to_string();
        let side = if bids { "b" } else { "a" };
        self.say(pair, &format!(r#"{{"{side}":{text},"c":"{sum}"}}"#), "update", &sum);
    }

    /// A message that says nothing about a market.
    pub(crate) fn heartbeat(&mut self) {
        let stamp = self.stamp();
        self.lines.push(format!(r#"{stamp}: {{"event":"heartbeat"}}"#));
    }

    fn checksum(&self, pair: usize) -> u32 {
        let book = &self.books[pair];
        let strip = |text: String| text.replace('.', "").trim_start_matches('0').to_owned();
        let mut text = String::new();
        for (price, volume) in book.asks.iter().take(10).chain(book.bids.iter().rev().take(10)) {
            text += &strip(decimal(*price, book.price_decimals));
            text += &strip(decimal(*volume, 8));
        }
        crc(&text)
    }

    fn say(&mut self, pair: usize, sides: &str, kind: &str, sum: &str) {
        let (stamp, computed) = (self.stamp(), self.checksum(pair));
        let Pair { name, price_decimals, bids, asks } = &self.books[pair];
        let best = |level: Option<(&u64, &u64)>| {
            level.map_or(",".into(), |(price, volume)| {
                format!("{},{}", decimal(*price, *price_decimals), decimal(*volume, 8))
            })
        };
        let (bid, ask) = (best(bids.last_key_value()), best(asks.first_key_value()));
        let row = format!(
            "{stamp},{name},{kind},{bid},{ask},{sum},{computed},{},{}",
            bids.len(),
            asks.len()
        );
        self.lines.push(format!(r#"{stamp}: [7,{sides},"book-{}","{name}"]"#, self.depth));
        self.rows.push(row);
    }

    /// The lines as a file has them.
    pub(crate) fn file(&self) -> String {
        self.lines.join("\n") + "\n"
    }
}
