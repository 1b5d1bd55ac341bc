//! W5: price · quantity of each tick through one hop from task to task, of capacity 1,024.

use std::collections::VecDeque;
use std::hint::black_box;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicU64, AtomicUsize};

use aqueduct::Overflow;
use futures::SinkExt;
use tokio::runtime::{Builder, Runtime};

use crate::data::{Data, Tick};
use crate::workload::Workload;

type Ticks = &'static [Tick];

/// The capacity of the hop.
const CAPACITY: usize = 1024;
/// What is handed over at a time by hand.
const BATCH: usize = 256;

/// Both tasks on one thread.
pub(crate) fn one_thread(data: &Data) -> Workload {
    workload(data, "queue filled and emptied by hand", in_turn, || {
        Builder::new_current_thread().build()
    })
}

/// The consumer on this thread, the producer on the only worker.
pub(crate) fn two_threads(data: &Data) -> Workload {
    workload(data, "ring by hand, spinning", by_ring, || {
        Builder::new_multi_thread().worker_threads(1).build()
    })
}

fn workload(
    data: &Data,
    bound_name: &'static str,
    bound: fn(Ticks) -> u64,
    build: fn() -> std::io::Result<Runtime>,
) -> Workload {
    let ticks = data.base();
    let answer = data.sized(5_047_941_958_170, 505_882_292_904);
    let on_runtime = |run: fn(&Runtime, Ticks) -> u64| {
        let runtime = build().expect("the machine lets a runtime start");
        move || [run(&runtime, black_box(ticks))]
    };
    Workload::new(ticks.len() as u64, [answer])
        .with(bound_name, move || [bound(black_box(ticks))])
        .with("aqueduct hop", on_runtime(hop))
        .with("tokio mpsc", on_runtime(tokio_mpsc))
        .with("futures mpsc", on_runtime(futures_mpsc))
}

fn in_turn(ticks: Ticks) -> u64 {
    let mut queue = VecDeque::with_capacity(CAPACITY);
    let mut sum = 0_u64;
    for turn in ticks.chunks(CAPACITY) {
        queue.extend(turn.iter().map(Tick::value));
        sum = black_box(&mut queue).drain(..).fold(sum, u64::wrapping_add);
    }
    sum
}

/// A ring of numbers; both sides move their index once a batch, and spin while they wait.
fn by_ring(ticks: Ticks) -> u64 {
    let ring: Vec<AtomicU64> = (0..CAPACITY).map(|_| AtomicU64::new(0)).collect();
    let (written, read) = (Index::default(), Index::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut at = 0;
            for batch in ticks.chunks(BATCH) {
                while at + batch.len() - read.0.load(Acquire) > CAPACITY {
                    std::thread::yield_now();
                }
                for tick in batch {
                    ring[at % CAPACITY].store(tick.value(), Relaxed);
                    at += 1;
                }
                written.0.store(at, Release);
            }
        });
        let (mut at, mut sum) = (0, 0_u64);
        while at < ticks.len() {
            let end = written.0.load(Acquire);
            if at == end {
                std::thread::yield_now();
            }
            while at < end {
                sum = sum.wrapping_add(ring[at % CAPACITY].load(Relaxed));
                at += 1;
            }
            read.0.store(at, Release);
        }
        sum
    })
}

/// On a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Index(AtomicUsize);

fn hop(runtime: &Runtime, ticks: Ticks) -> u64 {
    let hop = aqueduct::iter(ticks).map(Tick::value).hop(CAPACITY, Overflow::Block);
    runtime.block_on(hop.fold(0, u64::wrapping_add))
}

fn tokio_mpsc(runtime: &Runtime, ticks: Ticks) -> u64 {
    runtime.block_on(async {
        let (sender, mut receiver) = tokio::sync::mpsc::channel(CAPACITY);
        tokio::spawn(async move {
            for tick in ticks {
                if sender.send(tick.value()).await.is_err() {
                    break;
                }
            }
        });
        let mut sum = 0_u64;
        while let Some(value) = receiver.recv().await {
            sum = sum.wrapping_add(value);
        }
        sum
    })
}

fn futures_mpsc(runtime: &Runtime, ticks: Ticks) -> u64 {
    use futures::StreamExt;
    runtime.block_on(async {
        // Each sender has a place of its own beside the buffer.
        let (mut sender, mut receiver) = futures::channel::mpsc::channel(CAPACITY - 1);
        tokio::spawn(async move {
            for tick in ticks {
                if sender.feed(tick.value()).await.is_err() {
                    break;
                }
            }
            sender.close().await
        });
        let mut sum = 0_u64;
        while let Some(value) = receiver.next().await {
            sum = sum.wrapping_add(value);
        }
        sum
    })
}
