//! map → filter → map → fold over numbers in memory.

use std::hint::black_box;

use crate::data::{Data, Draws};
use crate::workload::Workload;

/// Odd, so that a product keeps what the lowest bits of its factor tell.
const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;

fn scale(x: u64) -> u64 {
    x.wrapping_mul(FACTOR)
}

/// Keeps three of four.
fn keep(x: u64) -> bool {
    x & 3 != 0
}

fn fold_halves(x: u64) -> u64 {
    x ^ (x >> 32)
}

/// Every fourth is dropped.
pub(crate) fn predictable(data: &Data) -> Workload {
    let n = data.sized(10_000_000, 1_000_000);
    let answer = data.sized(1_047_880_889_069_259_464, 3_884_295_085_968_505_931);
    workload((0..n).collect(), answer)
}

/// One of four is dropped, and nobody knows which.
pub(crate) fn unpredictable(data: &Data) -> Workload {
    let n = data.sized(10_000_000, 1_000_000);
    let answer = data.sized(12_047_997_443_686_121_831, 6_576_119_856_148_750_785);
    let mut draws = Draws::new(7);
    workload((0..n).map(|_| draws.draw()).collect(), answer)
}

fn workload(numbers: Vec<u64>, answer: u64) -> Workload {
    let numbers: &'static [u64] = numbers.leak();
    Workload::new(numbers.len() as u64, [answer])
        .with("loop by hand", || [by_hand(black_box(numbers))])
        .with("aqueduct, fold", || [fold(black_box(numbers))])
        .with("aqueduct, next in a loop", || [next(black_box(numbers))])
        .with("aqueduct, futures' fold over it", || [polled(black_box(numbers))])
        .with("futures", || [futures(black_box(numbers))])
        .with("tokio-stream", || [tokio_stream(black_box(numbers))])
}

fn by_hand(numbers: &[u64]) -> u64 {
    let mut sum = 0_u64;
    for x in numbers {
        let x = scale(*x);
        if keep(x) {
            sum = sum.wrapping_add(fold_halves(x));
        }
    }
    sum
}

fn fold(numbers: &[u64]) -> u64 {
    let flow = aqueduct::iter(numbers).map(|x| scale(*x)).filter(|x| keep(*x)).map(fold_halves);
    futures::executor::block_on(flow.fold(0, u64::wrapping_add))
}

fn next(numbers: &[u64]) -> u64 {
    let mut flow = aqueduct::iter(numbers).map(|x| scale(*x)).filter(|x| keep(*x)).map(fold_halves);
    futures::executor::block_on(async {
        let mut sum = 0_u64;
        while let Some(x) = flow.next().await {
            sum = sum.wrapping_add(x);
        }
        sum
    })
}

fn polled(numbers: &[u64]) -> u64 {
    use futures::future::ready;
    use futures::stream::StreamExt;
    let flow = aqueduct::iter(numbers).map(|x| scale(*x)).filter(|x| keep(*x)).map(fold_halves);
    let add = |sum: u64, x| ready(sum.wrapping_add(x));
    futures::executor::block_on(StreamExt::fold(flow, 0, add))
}

fn futures(numbers: &[u64]) -> u64 {
    use futures::future::ready;
    use futures::stream::{StreamExt, iter};
    let stream = iter(numbers).map(|x| scale(*x)).filter(|x| ready(keep(*x))).map(fold_halves);
    futures::executor::block_on(stream.fold(0, |sum: u64, x| ready(sum.wrapping_add(x))))
}

fn tokio_stream(numbers: &[u64]) -> u64 {
    use tokio_stream::{StreamExt, iter};
    let stream = iter(numbers).map(|x| scale(*x)).filter(|x| keep(*x)).map(fold_halves);
    futures::executor::block_on(stream.fold(0, u64::wrapping_add))
}
