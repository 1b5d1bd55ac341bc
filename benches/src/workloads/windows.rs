//! W2, W2d and W9: bars and sums of each symbol over windows of event time.

use std::collections::VecDeque;
use std::hint::black_box;
use std::time::Duration;

use aqueduct::aggregate::{Aggregate, Span};
use aqueduct::keyed::KeyLimits;
use aqueduct::window::{Watermarks, Window};
use aqueduct::{Flow, Stage, Timed, Timestamp, iter};
use hashbrown::HashMap;

use crate::data::{Data, Tick, mix64};
use crate::workload::Workload;

const MS: u64 = 1_000_000;
const LENGTH: Duration = Duration::from_millis(1);
/// How far times go back.
const DISORDER: u64 = 100_000;

/// W2: bars of 1 ms over the ticks `base`.
pub(crate) fn bars(data: &Data) -> Workload {
    let ticks = data.base();
    let answer = if data.sized(1, 0) == 1 {
        [640_000, 215_215_157_011_912_756, 5_047_941_958_170, 6_398_663_292_489]
    } else {
        [64_000, 13_825_472_875_339_171_601, 505_882_292_904, 641_111_181_195]
    };
    Workload::new(ticks.len() as u64, answer)
        .with("hash map by hand", || by_hand(black_box(ticks), symbol))
        .with("aqueduct, by key and tumbling", || {
            totals(timed(black_box(ticks), 0).by_key(KeyLimits::new(64), symbol))
        })
        .with("aqueduct, watermarks 0.1 ms apart", || {
            totals(marked(black_box(ticks), apart(0)).by_key(KeyLimits::new(64), symbol))
        })
}

/// W2d: the same where times go back, so that two windows of a symbol can be open.
pub(crate) fn disordered(data: &Data) -> Workload {
    let ticks = data.disordered();
    let answer = if data.sized(1, 0) == 1 {
        [640_000, 4_155_939_768_815_206_326, 5_047_941_958_170, 6_398_663_137_820]
    } else {
        [64_000, 15_001_656_026_190_491_459, 505_882_292_904, 641_111_216_248]
    };
    Workload::new(ticks.len() as u64, answer)
        .with("hash maps by hand", || by_hand_disordered(black_box(ticks)))
        .with("aqueduct, by key and tumbling", || {
            totals(timed(black_box(ticks), DISORDER).by_key(KeyLimits::new(64), symbol))
        })
        .with("aqueduct, watermarks 0.1 ms apart", || {
            totals(marked(black_box(ticks), apart(DISORDER)).by_key(KeyLimits::new(64), symbol))
        })
}

/// As W2, with 100,000 keys in windows of 100 ms.
pub(crate) fn many_keys(data: &Data) -> Workload {
    let ticks = data.base();
    let answer = by_hand_in(ticks, many, 100 * MS);
    let length = Duration::from_millis(100);
    Workload::new(ticks.len() as u64, answer)
        .with("hash map by hand", || by_hand_in(black_box(ticks), many, 100 * MS))
        .with("aqueduct, by key and tumbling", move || {
            let by_key = timed(black_box(ticks), 0).by_key(KeyLimits::new(100_000), many);
            totals_of(by_key.tumbling(length, Bars).values())
        })
}

/// W9: sums over 10 ms, every 1 ms.
pub(crate) fn hopping(data: &Data) -> Workload {
    let ticks = data.base();
    let answer = if data.sized(1, 0) == 1 {
        [640_000, 536_338_248_928_081_175, 5_046_754_545]
    } else {
        [64_000, 5_971_071_450_710_357_196, 502_715_555]
    };
    Workload::new(ticks.len() as u64, answer)
        .with("panes by hand", || panes_by_hand(black_box(ticks)))
        .with("aqueduct, by key and hopping", || sums(timed(black_box(ticks), 0)))
        .with("aqueduct, watermarks 0.1 ms apart", || sums(marked(black_box(ticks), apart(0))))
}

fn sums(ticks: Flow<impl Stage<Item = Timed<Tick>>>) -> [u64; 3] {
    let sums = ticks.by_key(KeyLimits::new(64), symbol).hopping(10 * LENGTH, LENGTH, Sums);
    let totals = sums.values().fold([0; 3], |totals, window| match window.start.as_nanos() {
        // Windows that begin before the data are not asked for.
        ..0 => totals,
        start => add_sum(totals, window.key, start as u64, window.value),
    });
    futures::executor::block_on(totals)
}

fn symbol(tick: &Tick) -> u32 {
    tick.symbol
}

/// One of 100,000 keys.
fn many(tick: &Tick) -> u32 {
    (mix64(tick.time) % 100_000) as u32
}

fn timed(ticks: &'static [Tick], disorder: u64) -> Flow<impl Stage<Item = Timed<Tick>>> {
    marked(ticks, Watermarks::disorder(Duration::from_nanos(disorder)))
}

fn marked(ticks: &'static [Tick], marks: Watermarks) -> Flow<impl Stage<Item = Timed<Tick>>> {
    let time = |tick: &Tick| Timestamp::from_nanos(tick.time as i64);
    iter(ticks.iter().copied()).event_time(time, marks)
}

/// Not one with every tick.
fn apart(disorder: u64) -> Watermarks {
    Watermarks::disorder(Duration::from_nanos(disorder)).at_least_apart(LENGTH / 10)
}

fn totals<F: FnMut(&Tick) -> u32>(
    by_key: aqueduct::keyed::TimedByKey<impl Stage<Item = Timed<Tick>>, F>,
) -> [u64; 4] {
    totals_of(by_key.tumbling(LENGTH, Bars).values())
}

fn totals_of(bars: Flow<impl Stage<Item = Window<Bar, u32>>>) -> [u64; 4] {
    let add = |totals, bar: Window<Bar, u32>| {
        bar.value.add_to(totals, bar.key, bar.start.as_nanos() as u64)
    };
    futures::executor::block_on(bars.fold([0; 4], add))
}

/// Open and close are the first and the last by time and arrival.
#[derive(Debug, Clone, Copy)]
struct Bar {
    first: u64,
    last: u64,
    open: u64,
    high: u64,
    low: u64,
    close: u64,
    volume: u64,
    value: u64,
}

impl Bar {
    const EMPTY: Self = Self {
        first: u64::MAX,
        last: 0,
        open: 0,
        high: 0,
        low: u64::MAX,
        close: 0,
        volume: 0,
        value: 0,
    };

    #[inline]
    fn add(&mut self, tick: &Tick) {
        if tick.time < self.first {
            (self.first, self.open) = (tick.time, tick.price);
        }
        if tick.time >= self.last {
            (self.last, self.close) = (tick.time, tick.price);
        }
        self.high = self.high.max(tick.price);
        self.low = self.low.min(tick.price);
        self.volume += u64::from(tick.quantity);
        self.value += tick.value();
    }

    fn add_to(&self, totals: [u64; 4], symbol: u32, start: u64) -> [u64; 4] {
        let fields = [u64::from(symbol), start, self.open, self.high, self.low, self.close];
        let [count, hash, value, vwap] = totals;
        [
            count + 1,
            hash.wrapping_add(hash_of(fields.into_iter().chain([self.volume]))),
            value + self.value,
            vwap + self.value * 1_000 / self.volume,
        ]
    }
}

struct Bars;

impl Aggregate<Tick> for Bars {
    type State = Bar;
    type Output = Bar;

    fn init(&self) -> Bar {
        Bar::EMPTY
    }

    #[inline]
    fn add(&self, bar: &mut Bar, _: Timestamp, tick: &Tick) {
        bar.add(tick);
    }

    fn merge(&self, _: &mut Bar, _: &Bar) {
        unreachable!("tumbling windows are not merged")
    }

    fn finish(&self, bar: &Bar, _: Span) -> Bar {
        *bar
    }
}

struct Sums;

impl Aggregate<Tick> for Sums {
    type State = u64;
    type Output = u64;

    const INVERTIBLE: bool = true;

    fn init(&self) -> u64 {
        0
    }

    #[inline]
    fn add(&self, sum: &mut u64, _: Timestamp, tick: &Tick) {
        *sum += u64::from(tick.quantity);
    }

    fn merge(&self, sum: &mut u64, later: &u64) {
        *sum += later;
    }

    fn finish(&self, sum: &u64, _: Span) -> u64 {
        *sum
    }

    fn remove(&self, sum: &mut u64, oldest: &u64) {
        *sum -= oldest;
    }
}

/// h of WORKLOADS.
fn hash_of(fields: impl Iterator<Item = u64>) -> u64 {
    let fold = |hash: u64, field| hash.wrapping_mul(0x100_0000_01B3).wrapping_add(field);
    mix64(fields.fold(0, fold))
}

/// The windows of a symbol follow each other: the next tick closes the one before.
fn by_hand(ticks: &[Tick], key: fn(&Tick) -> u32) -> [u64; 4] {
    by_hand_in(ticks, key, MS)
}

fn by_hand_in(ticks: &[Tick], key: impl Fn(&Tick) -> u32, length: u64) -> [u64; 4] {
    let mut open: HashMap<u32, (u64, Bar)> = HashMap::new();
    let mut totals = [0; 4];
    let mut window = 0..length;
    for tick in ticks {
        if !window.contains(&tick.time) {
            let start = tick.time / length * length;
            window = start..start + length;
        }
        let key = key(tick);
        let (start, bar) = open.entry(key).or_insert((window.start, Bar::EMPTY));
        if *start != window.start {
            totals = bar.add_to(totals, key, *start);
            (*start, *bar) = (window.start, Bar::EMPTY);
        }
        bar.add(tick);
    }
    open.iter().fold(totals, |totals, (key, (start, bar))| bar.add_to(totals, *key, *start))
}

/// A hash map for each open window; those that have passed are used again.
fn by_hand_disordered(ticks: &[Tick]) -> [u64; 4] {
    let mut open: VecDeque<(u64, HashMap<u32, Bar>)> = VecDeque::new();
    let mut spare: Vec<HashMap<u32, Bar>> = Vec::new();
    let (mut totals, mut latest) = ([0; 4], 0);
    for tick in ticks {
        let start = tick.time / MS * MS;
        let place = match open.iter().rposition(|(other, _)| *other <= start) {
            Some(place) if open[place].0 == start => place,
            before => {
                let place = before.map_or(0, |before| before + 1);
                open.insert(place, (start, spare.pop().unwrap_or_default()));
                place
            }
        };
        open[place].1.entry(tick.symbol).or_insert(Bar::EMPTY).add(tick);
        latest = latest.max(tick.time);
        while open.front().is_some_and(|(start, _)| start + MS + DISORDER <= latest) {
            let Some((start, mut bars)) = open.pop_front() else { break };
            for (symbol, bar) in bars.drain() {
                totals = bar.add_to(totals, symbol, start);
            }
            spare.push(bars);
        }
    }
    for (start, bars) in &open {
        for (symbol, bar) in bars {
            totals = bar.add_to(totals, *symbol, *start);
        }
    }
    totals
}

fn add_sum([count, hash, total]: [u64; 3], symbol: u32, start: u64, sum: u64) -> [u64; 3] {
    let hash = hash.wrapping_add(hash_of([u64::from(symbol), start, sum].into_iter()));
    [count + 1, hash, total + sum]
}

/// A ring of the sums of the last ten milliseconds for each symbol.
fn panes_by_hand(ticks: &[Tick]) -> [u64; 3] {
    #[derive(Clone, Copy, Default)]
    struct Ring {
        /// By the millisecond modulo ten.
        panes: [u64; 10],
        sum: u64,
    }
    fn close(rings: &mut HashMap<u32, Ring>, pane: u64, totals: &mut [u64; 3]) {
        for (symbol, ring) in rings {
            if ring.sum > 0 && pane >= 9 {
                *totals = add_sum(*totals, *symbol, (pane - 9) * MS, ring.sum);
            }
            let oldest = &mut ring.panes[((pane + 1) % 10) as usize];
            ring.sum -= *oldest;
            *oldest = 0;
        }
    }
    let mut rings: HashMap<u32, Ring> = HashMap::new();
    let (mut totals, mut pane) = ([0; 3], 0);
    for tick in ticks {
        while tick.time >= (pane + 1) * MS {
            close(&mut rings, pane, &mut totals);
            pane += 1;
        }
        let ring = rings.entry(tick.symbol).or_default();
        ring.panes[(pane % 10) as usize] += u64::from(tick.quantity);
        ring.sum += u64::from(tick.quantity);
    }
    for pane in pane..pane + 10 {
        close(&mut rings, pane, &mut totals);
    }
    totals
}
