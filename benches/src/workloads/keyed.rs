//! A sum for each key, after each item: 64 keys, and 100,000, whose table fits no near cache.

use std::hint::black_box;
use std::time::Duration;

use aqueduct::keyed::KeyLimits;
use hashbrown::HashMap;

use crate::data::{Data, Tick, mix64};
use crate::workload::Workload;

const MANY: u32 = 100_000;

/// Over the ticks `base`, by their symbols.
pub(crate) fn few(data: &Data) -> Workload {
    workload(data.base(), 64)
}

/// Over the same with symbols from 0 to 99,999 in no order.
pub(crate) fn many(data: &Data) -> Workload {
    let symbol = |index: usize| (mix64(index as u64) % u64::from(MANY)) as u32;
    let ticks = data.base().iter().enumerate();
    let ticks: Vec<_> =
        ticks.map(|(index, tick)| Tick { symbol: symbol(index), ..*tick }).collect();
    workload(ticks.leak(), MANY)
}

fn workload(ticks: &'static [Tick], keys: u32) -> Workload {
    let limits = KeyLimits::new(keys as usize);
    let idle = limits.idle(Duration::from_secs(3_600));
    Workload::new(ticks.len() as u64, [answer(ticks, keys)])
        .with("hash map by hand", || [by_hand(black_box(ticks))])
        .with("aqueduct key_by, scan", move || [scan(black_box(ticks), limits)])
        .with("aqueduct key_by, scan_map", move || [scan_map(black_box(ticks), limits)])
        .with("aqueduct keyed", move || [keyed(black_box(ticks), limits)])
        .with("aqueduct key_by, scan, idle time", move || [timed(black_box(ticks), idle)])
}

/// What is made of the sums, so that none can be left out, nor come in another order.
fn mix(all: u64, sum: u64) -> u64 {
    all.rotate_left(1) ^ sum
}

/// With an array in place of a hash table.
fn answer(ticks: &[Tick], keys: u32) -> u64 {
    let mut sums = vec![0_u64; keys as usize];
    ticks.iter().fold(0, |all, tick| {
        let sum = &mut sums[tick.symbol as usize];
        *sum = sum.wrapping_add(tick.value());
        mix(all, *sum)
    })
}

fn by_hand(ticks: &[Tick]) -> u64 {
    let mut sums = HashMap::<u32, u64>::new();
    let mut all = 0;
    for tick in ticks {
        let sum = sums.entry(tick.symbol).or_insert(0);
        *sum = sum.wrapping_add(tick.value());
        all = mix(all, *sum);
    }
    all
}

fn scan(ticks: &[Tick], limits: KeyLimits) -> u64 {
    let sums = aqueduct::iter(ticks)
        .key_by(limits, |tick| tick.symbol)
        .scan(0_u64, |sum, tick| sum.wrapping_add(tick.value()));
    futures::executor::block_on(sums.fold(0, |all, (_, sum)| mix(all, sum)))
}

/// The same where keys go after a time, on tokio, whose timers that needs.
fn timed(ticks: &[Tick], limits: KeyLimits) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.unwrap_or_else(|error| panic!("no runtime: {error}"));
    let sums = aqueduct::iter(ticks)
        .key_by(limits, |tick| tick.symbol)
        .scan(0_u64, |sum, tick| sum.wrapping_add(tick.value()));
    runtime.block_on(sums.fold(0, |all, (_, sum)| mix(all, sum)))
}

fn scan_map(ticks: &[Tick], limits: KeyLimits) -> u64 {
    let sums =
        aqueduct::iter(ticks).key_by(limits, |tick| tick.symbol).scan_map(0_u64, |sum, tick| {
            *sum = sum.wrapping_add(tick.value());
            Some(*sum)
        });
    futures::executor::block_on(sums.fold(0, |all, (_, sum)| mix(all, sum)))
}

fn keyed(ticks: &[Tick], limits: KeyLimits) -> u64 {
    let sums = aqueduct::iter(ticks).keyed(
        limits,
        |tick| tick.symbol,
        |_| 0_u64,
        |sum, tick| {
            *sum = sum.wrapping_add(tick.value());
            Some(*sum)
        },
        |_, _, _| None,
    );
    futures::executor::block_on(sums.fold(0, mix))
}
