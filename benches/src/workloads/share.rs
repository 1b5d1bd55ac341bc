//! Price · quantity of each tick to four consumers, which sum it up; at most 1,024 items behind.

use std::collections::VecDeque;
use std::hint::black_box;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinHandle;

use crate::data::{Data, Tick};
use crate::workload::Workload;

type Ticks = &'static [Tick];

/// How far a consumer may be behind.
const CAPACITY: usize = 1024;
/// How many there are.
const CONSUMERS: usize = 4;

/// All tasks on one thread.
pub(crate) fn one_thread(data: &Data) -> Workload {
    workload(data, || Builder::new_current_thread().build())
}

/// The consumers on two workers.
pub(crate) fn two_threads(data: &Data) -> Workload {
    workload(data, || Builder::new_multi_thread().worker_threads(2).build())
}

fn workload(data: &Data, build: fn() -> std::io::Result<Runtime>) -> Workload {
    let ticks = data.base();
    let answer = data.sized(5_047_941_958_170, 505_882_292_904);
    let on_runtime = |run: fn(&Runtime, Ticks) -> [u64; CONSUMERS]| {
        let runtime = build().expect("the machine lets a runtime start");
        move || run(&runtime, black_box(ticks))
    };
    Workload::new(ticks.len() as u64, [answer; CONSUMERS])
        .with("queue filled by hand, read by each", move || by_hand(black_box(ticks)))
        .with("aqueduct share", on_runtime(share))
        .with("tokio broadcast, paced", on_runtime(tokio_broadcast))
}

fn by_hand(ticks: Ticks) -> [u64; CONSUMERS] {
    let mut queue = VecDeque::with_capacity(CAPACITY);
    let mut sums = [0_u64; CONSUMERS];
    for turn in ticks.chunks(CAPACITY) {
        queue.clear();
        queue.extend(turn.iter().map(Tick::value));
        for sum in &mut sums {
            *sum = black_box(&queue).iter().fold(*sum, |sum, value| sum.wrapping_add(*value));
        }
    }
    sums
}

fn share(runtime: &Runtime, ticks: Ticks) -> [u64; CONSUMERS] {
    runtime.block_on(async {
        let shared = aqueduct::iter(ticks).map(Tick::value).share(CAPACITY);
        let flows = [(); CONSUMERS].map(|()| shared.subscribe());
        joined(flows.map(|flow| tokio::spawn(flow.fold(0, u64::wrapping_add)))).await
    })
}

/// Its sender never waits, so that it has to look how far the slowest receiver has come.
fn tokio_broadcast(runtime: &Runtime, ticks: Ticks) -> [u64; CONSUMERS] {
    runtime.block_on(async {
        let (sender, _) = tokio::sync::broadcast::channel(CAPACITY);
        let sums = [(); CONSUMERS].map(|()| {
            let mut receiver = sender.subscribe();
            tokio::spawn(async move {
                let mut sum = 0_u64;
                loop {
                    match receiver.recv().await {
                        Ok(value) => sum = sum.wrapping_add(value),
                        Err(RecvError::Closed) => return sum,
                        // Makes the answer wrong.
                        Err(RecvError::Lagged(_)) => return 0,
                    }
                }
            })
        });
        for turn in ticks.chunks(CAPACITY / 4) {
            while sender.len() > CAPACITY - CAPACITY / 4 {
                tokio::task::yield_now().await;
            }
            for tick in turn {
                if sender.send(tick.value()).is_err() {
                    break;
                }
            }
        }
        drop(sender);
        joined(sums).await
    })
}

async fn joined(tasks: [JoinHandle<u64>; CONSUMERS]) -> [u64; CONSUMERS] {
    let mut sums = [0; CONSUMERS];
    for (sum, task) in sums.iter_mut().zip(tasks) {
        *sum = task.await.unwrap_or_default();
    }
    sums
}
