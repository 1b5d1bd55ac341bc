//! W7: trades joined with the last quote of their symbol, at or before their time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::hint::black_box;
use std::time::Duration;

use aqueduct::keyed::KeyLimits;
use aqueduct::window::AsOf;
use aqueduct::{Flow, Stage, Timed, Timestamp};
use hashbrown::HashMap;

use crate::data::{Data, Tick};
use crate::workload::Workload;

type Ticks = &'static [Tick];

/// How many trades found a quote, Σ quote price · trade quantity, and Σ trade time − quote time.
type Totals = [u64; 3];

/// By key, as the trades of a market are joined with its quotes.
pub(crate) fn by_key(data: &Data) -> Workload {
    let (trades, quotes) = (data.trades(), data.quotes());
    workload(data)
        .with("merge and hash map by hand", || by_hand(black_box(trades), black_box(quotes)))
        .with("aqueduct as_of_by", || joined(black_box(trades), black_box(quotes), 0))
        .with("aqueduct as_of_by, next in a loop", || pulled(black_box(trades), black_box(quotes)))
}

/// The same if a tick may come up to 100 µs after a later one, so that both sides have to wait.
pub(crate) fn disordered(data: &Data) -> Workload {
    let (trades, quotes) = (data.trades(), data.quotes());
    workload(data)
        .with("heaps and hash map by hand", || {
            disordered_by_hand(black_box(trades), black_box(quotes))
        })
        .with("aqueduct as_of_by", || joined(black_box(trades), black_box(quotes), DISORDER))
}

/// In nanoseconds.
const DISORDER: u64 = 100_000;

fn workload(data: &Data) -> Workload {
    let answer = [
        data.sized(1_999_987, 499_987),
        data.sized(1_011_110_520_354, 253_492_005_109),
        data.sized(127_141_776_340, 31_787_770_378),
    ];
    Workload::new((data.trades().len() + data.quotes().len()) as u64, answer)
}

fn add([matched, value, age]: Totals, trade: &Tick, quote: Option<&Tick>) -> Totals {
    match quote {
        None => [matched, value, age],
        Some(quote) => [
            matched + 1,
            value.wrapping_add(quote.price.wrapping_mul(trade.quantity.into())),
            age + (trade.time - quote.time),
        ],
    }
}

fn by_hand(trades: Ticks, quotes: Ticks) -> Totals {
    let mut last: HashMap<u32, &Tick> = HashMap::new();
    let mut quotes = quotes.iter().peekable();
    let mut totals = [0; 3];
    for trade in trades {
        while let Some(quote) = quotes.next_if(|quote| quote.time <= trade.time) {
            last.insert(quote.symbol, quote);
        }
        totals = add(totals, trade, last.get(&trade.symbol).copied());
    }
    totals
}

/// Both sides wait in the order of time until nothing earlier can come.
fn disordered_by_hand(trades: Ticks, quotes: Ticks) -> Totals {
    let mut last: HashMap<u32, &Tick> = HashMap::new();
    let mut quotes = quotes.iter().enumerate();
    let mut known: BinaryHeap<Reverse<(u64, usize, ByTime)>> = BinaryHeap::new();
    let mut waiting: BinaryHeap<Reverse<(u64, usize, ByTime)>> = BinaryHeap::new();
    let (mut passed, mut reached) = (0, 0);
    let mut totals = [0; 3];
    let ticks = trades.iter().enumerate().map(Some);
    for next in ticks.chain([None]) {
        match next {
            Some((n, trade)) => {
                waiting.push(Reverse((trade.time, n, ByTime(trade))));
                passed = passed.max(trade.time.saturating_sub(DISORDER));
            }
            None => passed = u64::MAX,
        }
        while let Some(Reverse((time, ..))) = waiting.peek()
            && *time < passed
            && let Some(Reverse((time, _, ByTime(trade)))) = waiting.pop()
        {
            while reached <= time
                && let Some((n, quote)) = quotes.next()
            {
                known.push(Reverse((quote.time, n, ByTime(quote))));
                reached = reached.max(quote.time.saturating_sub(DISORDER));
            }
            while let Some(Reverse((quoted, ..))) = known.peek()
                && *quoted <= time
                && let Some(Reverse((_, _, ByTime(quote)))) = known.pop()
            {
                last.insert(quote.symbol, quote);
            }
            totals = add(totals, trade, last.get(&trade.symbol).copied());
        }
    }
    totals
}

/// A tick whose place was decided already.
struct ByTime(&'static Tick);

impl PartialEq for ByTime {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByTime {}

impl PartialOrd for ByTime {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByTime {
    fn cmp(&self, _: &Self) -> Ordering {
        Ordering::Equal
    }
}

fn timed(ticks: Ticks, disorder: Duration) -> Flow<impl Stage<Item = Timed<&'static Tick>>> {
    aqueduct::iter(ticks).event_time(|tick| Timestamp::from_nanos(tick.time as i64), disorder)
}

fn pairs(
    trades: Ticks,
    quotes: Ticks,
    disorder: Duration,
) -> Flow<impl Stage<Item = (&'static Tick, Option<&'static Tick>)>> {
    let symbol = |tick: &&Tick| tick.symbol;
    let limits = KeyLimits::new(64);
    timed(trades, disorder)
        .as_of_by(timed(quotes, disorder), symbol, symbol, AsOf::backward(), limits)
        .values()
}

fn joined(trades: Ticks, quotes: Ticks, disorder: u64) -> Totals {
    let pairs = pairs(trades, quotes, Duration::from_nanos(disorder));
    let totals = pairs.fold([0; 3], |totals, (trade, quote)| add(totals, trade, quote));
    futures::executor::block_on(totals)
}

fn pulled(trades: Ticks, quotes: Ticks) -> Totals {
    let mut pairs = std::pin::pin!(pairs(trades, quotes, Duration::ZERO));
    futures::executor::block_on(async {
        let mut totals = [0; 3];
        while let Some((trade, quote)) = futures::StreamExt::next(&mut pairs).await {
            totals = add(totals, trade, quote);
        }
        totals
    })
}
