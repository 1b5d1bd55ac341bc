//! W4, the variant of one bounded channel for each of the eight sources, all on one thread.

use aqueduct::{Overflow, combine};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::merge::{Totals, add, answer};
use crate::data::{Data, Tick};
use crate::workload::Workload;

type Sources = &'static [Vec<Tick>];

/// The capacity of each channel.
const CAPACITY: usize = 1024;

/// Over the ticks of all sources.
pub(crate) fn workload(data: &Data) -> Workload {
    let sources = data.sources();
    let answer = answer(data);
    let on_runtime = |run: fn(&Runtime, Sources) -> Totals| {
        let runtime = Builder::new_current_thread().build();
        let runtime = runtime.expect("the machine lets a runtime start");
        move || run(&runtime, std::hint::black_box(sources))
    };
    Workload::new(answer[0], answer)
        .with("queues filled and emptied by hand", move || by_hand(std::hint::black_box(sources)))
        .with("aqueduct merge of hops", on_runtime(merge_of_hops))
        .with("aqueduct merge of tokio's", on_runtime(merge_of_channels))
        .with("futures select_all of tokio's", on_runtime(select_all))
        .with("tokio-stream StreamMap of tokio's", on_runtime(stream_map))
}

fn by_hand(sources: Sources) -> Totals {
    let mut totals = [0; 2];
    let mut queue = std::collections::VecDeque::with_capacity(CAPACITY);
    let mut turns: Vec<_> = sources.iter().map(|source| source.chunks(CAPACITY)).collect();
    while !turns.is_empty() {
        turns.retain_mut(|turns| {
            let turn = turns.next();
            queue.extend(turn.into_iter().flatten());
            totals = std::hint::black_box(&mut queue).drain(..).fold(totals, add);
            turn.is_some()
        });
    }
    totals
}

fn merge_of_hops(runtime: &Runtime, sources: Sources) -> Totals {
    let hop = |source| aqueduct::iter(source).hop(CAPACITY, Overflow::Block);
    runtime.block_on(combine::merge(sources.iter().map(hop)).fold([0; 2], add))
}

/// Starts a task that sends the ticks of a source.
fn channel(source: &'static [Tick]) -> ReceiverStream<&'static Tick> {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    tokio::spawn(async move {
        for tick in source {
            if sender.send(tick).await.is_err() {
                break;
            }
        }
    });
    receiver.into()
}

fn merge_of_channels(runtime: &Runtime, sources: Sources) -> Totals {
    runtime.block_on(async {
        let channels = sources.iter().map(|source| aqueduct::flow(channel(source)));
        combine::merge(channels).fold([0; 2], add).await
    })
}

fn select_all(runtime: &Runtime, sources: Sources) -> Totals {
    use futures::stream::{StreamExt, select_all};
    runtime.block_on(async {
        let merged = select_all(sources.iter().map(|source| channel(source)));
        let totals = merged.fold([0; 2], |totals, tick| futures::future::ready(add(totals, tick)));
        totals.await
    })
}

fn stream_map(runtime: &Runtime, sources: Sources) -> Totals {
    use tokio_stream::{StreamExt, StreamMap};
    runtime.block_on(async {
        let channels = sources.iter().map(|source| channel(source)).enumerate();
        let merged: StreamMap<_, _> = channels.collect();
        merged.fold([0; 2], |totals, (_, tick)| add(totals, tick)).await
    })
}
