//! The baseline of the replay's speed target: recorded files decompressed, split into lines and
//! parsed, and nothing else.
//!
//! ```text
//! baseline FILE…
//! ```
//!
//! One thread, the decompressor and the JSON parser of the demo, and the fastest plain use of both:
//! one buffer for all lines; each message read in one pass straight into a typed struct that
//! borrows its texts from the line. Prices and quantities stay text. It prints how many messages
//! of each kind there were, so that the work can be checked, and a checksum over every field, so
//! that none of it can be left out.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail, ensure};
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

/// The block that is decompressed at a time.
const BLOCK: usize = 64 * 1024;

#[derive(Deserialize)]
struct Combined<'a, T> {
    #[serde(borrow)]
    stream: &'a str,
    data: T,
}

#[derive(Deserialize)]
struct Trade<'a> {
    e: &'a str,
    #[serde(rename = "E")]
    event_time: u64,
    s: &'a str,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: u64,
    m: bool,
}

#[derive(Deserialize)]
struct BookTicker<'a> {
    u: u64,
    s: &'a str,
    #[serde(rename = "b")]
    bid: &'a str,
    #[serde(rename = "B")]
    bid_quantity: &'a str,
    #[serde(rename = "a")]
    ask: &'a str,
    #[serde(rename = "A")]
    ask_quantity: &'a str,
}

#[derive(Deserialize)]
struct DepthUpdate<'a> {
    e: &'a str,
    #[serde(rename = "E")]
    event_time: u64,
    s: &'a str,
    #[serde(rename = "U")]
    first_id: u64,
    #[serde(rename = "u")]
    last_id: u64,
    #[serde(borrow, rename = "b")]
    bids: Vec<[&'a str; 2]>,
    #[serde(borrow, rename = "a")]
    asks: Vec<[&'a str; 2]>,
}

#[derive(Deserialize)]
struct Snapshot<'a> {
    #[serde(rename = "lastUpdateId")]
    last_id: u64,
    #[serde(borrow)]
    bids: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    asks: Vec<[&'a str; 2]>,
}

#[derive(Default)]
struct Totals {
    lines: u64,
    trades: u64,
    quotes: u64,
    updates: u64,
    snapshots: u64,
    levels: u64,
    sum: u64,
}

impl Totals {
    fn number(&mut self, number: u64) {
        self.sum = self.sum.wrapping_add(number);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64 + u64::from(text.as_bytes().last().copied().unwrap_or(0)));
    }

    fn levels(&mut self, levels: &[[&str; 2]]) {
        self.levels += levels.len() as u64;
        for [price, quantity] in levels {
            self.text(price);
            self.text(quantity);
        }
    }

    fn line(&mut self, line: &str) -> anyhow::Result<()> {
        let (received, json) = line.split_once(' ').context("no receive time")?;
        self.lines += 1;
        self.number(received.parse()?);
        match kind(json) {
            "bookTicker" => {
                let message: Combined<'_, BookTicker<'_>> = serde_json::from_str(json)?;
                self.text(message.stream);
                let quote = message.data;
                self.quotes += 1;
                self.number(quote.u);
                for text in [quote.s, quote.bid, quote.bid_quantity, quote.ask, quote.ask_quantity]
                {
                    self.text(text);
                }
            }
            "trade" => {
                let message: Combined<'_, Trade<'_>> = serde_json::from_str(json)?;
                self.text(message.stream);
                let trade = message.data;
                self.trades += 1;
                for number in [trade.event_time, trade.t, trade.time, u64::from(trade.m)] {
                    self.number(number);
                }
                for text in [trade.e, trade.s, trade.p, trade.q] {
                    self.text(text);
                }
            }
            "depth@100ms" => {
                let message: Combined<'_, DepthUpdate<'_>> = serde_json::from_str(json)?;
                self.text(message.stream);
                let update = message.data;
                self.updates += 1;
                for number in [update.event_time, update.first_id, update.last_id] {
                    self.number(number);
                }
                self.text(update.e);
                self.text(update.s);
                self.levels(&update.bids);
                self.levels(&update.asks);
            }
            "" => {
                let snapshot: Snapshot<'_> = serde_json::from_str(json)?;
                self.snapshots += 1;
                self.number(snapshot.last_id);
                self.levels(&snapshot.bids);
                self.levels(&snapshot.asks);
            }
            kind => bail!("unknown stream: {kind}"),
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> anyhow::Result<()> {
        let file = BufReader::with_capacity(BLOCK, File::open(path)?);
        let mut lines = BufReader::with_capacity(BLOCK, MultiGzDecoder::new(file));
        let mut line = String::new();
        let mut number = 0;
        while lines.read_line(&mut line)? > 0 {
            number += 1;
            self.line(line.trim_end()).with_context(|| format!("line {number}"))?;
            line.clear();
        }
        Ok(())
    }
}

/// The kind as it stands in the name of the stream: `{"stream":"btcusdt@trade",…`. The answer to
/// a request, the snapshot, has none.
fn kind(json: &str) -> &str {
    let name = json.strip_prefix(r#"{"stream":""#).and_then(|rest| rest.split('"').next());
    name.and_then(|name| name.split_once('@')).map_or("", |(_, kind)| kind)
}

fn run() -> anyhow::Result<()> {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    ensure!(!files.is_empty(), "usage: baseline FILE…");
    let mut totals = Totals::default();
    for file in &files {
        let path = Path::new(file);
        totals.file(path).with_context(|| path.display().to_string())?;
    }
    println!("lines {}", totals.lines);
    println!("bookTicker {}", totals.quotes);
    println!("trade {}", totals.trades);
    println!("depthUpdate {}", totals.updates);
    println!("snapshot {}", totals.snapshots);
    println!("levels {}", totals.levels);
    println!("checksum {}", totals.sum);
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
