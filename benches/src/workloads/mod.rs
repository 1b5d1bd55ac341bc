//! The workloads, one file each.

mod as_of;
mod chain;
mod conflate;
mod hop;
mod keyed;
mod merge;
mod merge_channels;
mod share;
mod values;
mod windows;

use crate::data::Data;
use crate::workload::Workload;

/// The name of a workload, and what makes it.
type Entry = (&'static str, fn(&Data) -> Workload);

/// All of them.
pub(crate) const ALL: [Entry; 18] = [
    ("chain, predictable filter", chain::predictable),
    ("chain, unpredictable filter", chain::unpredictable),
    ("W1 values of ticks", values::workload),
    ("W2 bars by key, 64 keys", windows::bars),
    ("W2d bars by key, with disorder", windows::disordered),
    ("bars by key, 100,000 keys", windows::many_keys),
    ("W9 hopping sums by key", windows::hopping),
    ("W4 merge of 8 ready sources", merge::workload),
    ("W4 merge of 8 channels, 1 thread", merge_channels::workload),
    ("W7 as_of by key, 64 keys", as_of::by_key),
    ("W7 as_of by key, 100 µs of disorder", as_of::disordered),
    ("conflation by key, 64 keys", conflate::workload),
    ("state by key, 64 keys", keyed::few),
    ("state by key, 100,000 keys", keyed::many),
    ("W5 hop, 1 thread", hop::one_thread),
    ("W5 hop, 2 threads", hop::two_threads),
    ("share among 4 consumers, 1 thread", share::one_thread),
    ("share among 4 consumers, 2 threads", share::two_threads),
];
