//! The workloads, one file each.

mod chain;
mod conflate;
mod hop;
mod merge;
mod merge_channels;
mod share;
mod values;

use crate::data::Data;
use crate::workload::Workload;

/// The name of a workload, and what makes it.
type Entry = (&'static str, fn(&Data) -> Workload);

/// All of them.
pub(crate) const ALL: [Entry; 10] = [
    ("chain, predictable filter", chain::predictable),
    ("chain, unpredictable filter", chain::unpredictable),
    ("W1 values of ticks", values::workload),
    ("W4 merge of 8 ready sources", merge::workload),
    ("W4 merge of 8 channels, 1 thread", merge_channels::workload),
    ("conflation by key, 64 keys", conflate::workload),
    ("W5 hop, 1 thread", hop::one_thread),
    ("W5 hop, 2 threads", hop::two_threads),
    ("share among 4 consumers, 1 thread", share::one_thread),
    ("share among 4 consumers, 2 threads", share::two_threads),
];
