//! W1: ticks → price · quantity → keep even → + 1 → sum.

use std::hint::black_box;

use crate::data::{Data, Tick};
use crate::workload::Workload;

/// Over the ticks `base`.
pub(crate) fn workload(data: &Data) -> Workload {
    let ticks = data.base();
    let answer = data.sized(3_796_601_723_678, 380_547_894_560);
    Workload::new(ticks.len() as u64, [answer])
        .with("loop by hand", || [by_hand(black_box(ticks))])
        .with("aqueduct, fold", || [fold(black_box(ticks))])
        .with("aqueduct, next in a loop", || [next(black_box(ticks))])
        .with("aqueduct, futures' fold over it", || [polled(black_box(ticks))])
        .with("futures", || [futures(black_box(ticks))])
        .with("tokio-stream", || [tokio_stream(black_box(ticks))])
}

fn even(value: u64) -> bool {
    value.is_multiple_of(2)
}

fn by_hand(ticks: &[Tick]) -> u64 {
    let mut sum = 0_u64;
    for tick in ticks {
        let value = tick.value();
        // The compiler, left alone, makes a branch of it, which costs twice as much.
        let kept = std::hint::select_unpredictable(even(value), value + 1, 0);
        sum = sum.wrapping_add(kept);
    }
    sum
}

fn fold(ticks: &[Tick]) -> u64 {
    let flow =
        aqueduct::iter(ticks).map(Tick::value).filter(|value| even(*value)).map(|value| value + 1);
    futures::executor::block_on(flow.fold(0, u64::wrapping_add))
}

fn next(ticks: &[Tick]) -> u64 {
    let mut flow =
        aqueduct::iter(ticks).map(Tick::value).filter(|value| even(*value)).map(|value| value + 1);
    futures::executor::block_on(async {
        let mut sum = 0_u64;
        while let Some(x) = flow.next().await {
            sum = sum.wrapping_add(x);
        }
        sum
    })
}

fn polled(ticks: &[Tick]) -> u64 {
    use futures::future::ready;
    use futures::stream::StreamExt;
    let flow =
        aqueduct::iter(ticks).map(Tick::value).filter(|value| even(*value)).map(|value| value + 1);
    let add = |sum: u64, x| ready(sum.wrapping_add(x));
    futures::executor::block_on(StreamExt::fold(flow, 0, add))
}

fn futures(ticks: &[Tick]) -> u64 {
    use futures::future::ready;
    use futures::stream::{StreamExt, iter};
    let stream =
        iter(ticks).map(Tick::value).filter(|value| ready(even(*value))).map(|value| value + 1);
    futures::executor::block_on(stream.fold(0, |sum: u64, x| ready(sum.wrapping_add(x))))
}

fn tokio_stream(ticks: &[Tick]) -> u64 {
    use tokio_stream::{StreamExt, iter};
    let stream = iter(ticks).map(Tick::value).filter(|value| even(*value)).map(|value| value + 1);
    futures::executor::block_on(stream.fold(0, u64::wrapping_add))
}
