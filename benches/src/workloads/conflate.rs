//! The newest price and the whole volume of each of 64 symbols, for a consumer that takes what has
//! gathered whenever 256 ticks have come.

use std::collections::HashMap;
use std::hint::black_box;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use aqueduct::{Flow, Outline, Stage};

use crate::data::{Data, Tick};
use crate::workload::Workload;

/// How many ticks come at a time.
const BURST: usize = 256;

/// How many ticks went out, Σ price · quantity of them, and Σ quantity.
type Totals = [u64; 3];

fn add([count, sum, volume]: Totals, tick: &Tick) -> Totals {
    [count + 1, sum.wrapping_add(tick.value()), volume + u64::from(tick.quantity)]
}

/// The new price with the volume of both.
fn merge(held: &mut Tick, new: Tick) {
    *held = Tick { quantity: held.quantity + new.quantity, ..new };
}

pub(crate) fn workload(data: &Data) -> Workload {
    let ticks = data.base();
    Workload::new(ticks.len() as u64, answer(ticks))
        .with("hash map and order by hand", || by_hand(black_box(ticks)))
        .with("aqueduct conflate_by_key", || conflated(black_box(ticks)))
}

/// With an array in place of a hash table, which needs symbols that are small numbers.
fn answer(ticks: &[Tick]) -> Totals {
    let mut totals = [0; 3];
    for burst in ticks.chunks(BURST) {
        let mut newest = [None; 64];
        for tick in burst {
            match &mut newest[tick.symbol as usize] {
                Some(held) => merge(held, *tick),
                empty => *empty = Some(*tick),
            }
        }
        totals = newest.iter().flatten().fold(totals, add);
    }
    totals
}

fn by_hand(ticks: &[Tick]) -> Totals {
    let mut places: HashMap<u32, usize> = HashMap::new();
    let mut order: Vec<Tick> = Vec::new();
    let mut totals = [0; 3];
    for burst in ticks.chunks(BURST) {
        for tick in burst {
            let place = *places.entry(tick.symbol).or_insert(order.len());
            match order.get_mut(place) {
                Some(held) => merge(held, *tick),
                None => order.push(*tick),
            }
        }
        places.clear();
        totals = black_box(&mut order).drain(..).fold(totals, |totals, tick| add(totals, &tick));
    }
    totals
}

fn conflated(ticks: &'static [Tick]) -> Totals {
    let bursts = Flow::from_stage(Bursts { ticks, left: BURST });
    let newest = bursts.conflate_by_key(64, |tick| tick.symbol, merge);
    futures::executor::block_on(newest.fold([0; 3], |totals, tick| add(totals, &tick)))
}

/// Ticks that are ready a burst at a time.
struct Bursts {
    ticks: &'static [Tick],
    left: usize,
}

impl Stage for Bursts {
    type Item = Tick;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Tick>> {
        let Some((first, rest)) = self.ticks.split_first() else {
            return Poll::Ready(None);
        };
        if self.left == 0 {
            self.left = BURST;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.left -= 1;
        self.ticks = rest;
        Poll::Ready(Some(*first))
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Tick) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let burst = self.left.min(self.ticks.len());
        for (n, tick) in self.ticks[..burst].iter().enumerate() {
            if let broke @ ControlFlow::Break(_) = each(*tick) {
                self.ticks = &self.ticks[n + 1..];
                self.left -= n + 1;
                return Poll::Ready(broke);
            }
        }
        self.ticks = &self.ticks[burst..];
        self.left = BURST;
        if self.ticks.is_empty() {
            return Poll::Ready(ControlFlow::Continue(()));
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, _: &mut Outline) {}
}
