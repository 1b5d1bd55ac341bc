//! W4: eight sources that are always ready, merged in any order.

use std::hint::black_box;

use crate::data::{Data, Tick};
use crate::workload::Workload;

type Sources = &'static [Vec<Tick>];

/// Count and Σ price · quantity.
pub(crate) type Totals = [u64; 2];

/// Adds a tick.
pub(crate) fn add([count, sum]: Totals, tick: &Tick) -> Totals {
    [count + 1, sum.wrapping_add(tick.value())]
}

/// What all sources add up to.
pub(crate) fn answer(data: &Data) -> Totals {
    [data.sized(8_000_000, 800_000), data.sized(4_042_147_499_955, 404_407_126_787)]
}

/// Over the ticks of all sources.
pub(crate) fn workload(data: &Data) -> Workload {
    let sources = data.sources();
    let answer = answer(data);
    Workload::new(answer[0], answer)
        .with("loop by hand, 64 of each in turn", || by_hand(black_box(sources)))
        .with("aqueduct, fold", || fold(black_box(sources)))
        .with("aqueduct, futures' fold over it", || polled(black_box(sources)))
        .with("futures select_all", || select_all(black_box(sources)))
        .with("tokio-stream StreamMap", || stream_map(black_box(sources)))
}

fn by_hand(sources: Sources) -> Totals {
    let mut totals = [0; 2];
    let mut turns: Vec<_> = sources.iter().map(|source| source.chunks(64)).collect();
    while !turns.is_empty() {
        turns.retain_mut(|turns| {
            let turn = turns.next();
            totals = turn.into_iter().flatten().fold(totals, add);
            turn.is_some()
        });
    }
    totals
}

fn fold(sources: Sources) -> Totals {
    let merged = aqueduct::combine::merge(sources.iter().map(aqueduct::iter));
    futures::executor::block_on(merged.fold([0; 2], add))
}

fn polled(sources: Sources) -> Totals {
    use futures::stream::StreamExt;
    let merged = aqueduct::combine::merge(sources.iter().map(aqueduct::iter));
    let add = |totals, tick| futures::future::ready(add(totals, tick));
    futures::executor::block_on(StreamExt::fold(merged, [0; 2], add))
}

fn select_all(sources: Sources) -> Totals {
    use futures::stream::{StreamExt, iter, select_all};
    let merged = select_all(sources.iter().map(iter));
    let totals = merged.fold([0; 2], |totals, tick| futures::future::ready(add(totals, tick)));
    futures::executor::block_on(totals)
}

fn stream_map(sources: Sources) -> Totals {
    use tokio_stream::{StreamExt, StreamMap, iter};
    let merged: StreamMap<_, _> = sources.iter().map(iter).enumerate().collect();
    futures::executor::block_on(merged.fold([0; 2], |totals, (_, tick)| add(totals, tick)))
}
