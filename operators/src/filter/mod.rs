//! Operators that let some of the items pass.

mod dedup;
mod dedup_by;
mod dedup_by_key;
mod distinct;
mod filter;
mod filter_async;
mod filter_map;
mod filter_not;
mod ignore_items;
mod limit_guard;
mod seen;
mod signal;
mod skip;
mod skip_until;
mod skip_while;
mod spike;
mod spike_filter;
mod take;
mod take_last;
mod take_until;
mod take_while;

use std::ops::ControlFlow;
use std::task::Poll;

pub use dedup::Dedup;
pub use dedup_by::DedupBy;
pub use dedup_by_key::DedupByKey;
pub use distinct::{Distinct, DistinctFlushed, Whole};
pub use filter::Filter;
pub use filter_async::FilterAsync;
pub use filter_map::FilterMap;
pub use filter_not::FilterNot;
pub use ignore_items::IgnoreItems;
pub use limit_guard::{LimitExceeded, LimitGuard};
pub use seen::Memory;
pub use skip::Skip;
pub use skip_until::SkipUntil;
pub use skip_while::SkipWhile;
pub use spike::SpikeRule;
pub use spike_filter::{MarkSpikes, Marked, MarksByKey, SpikeCounts, SpikeFilter, SpikesByKey};
pub use take::Take;
pub use take_last::{SkipLast, TakeLast};
pub use take_until::TakeUntil;
pub use take_while::TakeWhile;

/// Reads the drain of an input whose closure breaks with `Some` when downstream does, and with
/// `None` when the stage ends by itself: the drain of the stage, and whether that or its input
/// has ended.
fn ended_or_broke<B>(drained: Poll<ControlFlow<Option<B>>>) -> (Poll<ControlFlow<B>>, bool) {
    match drained {
        Poll::Pending => (Poll::Pending, false),
        Poll::Ready(ControlFlow::Break(Some(value))) => {
            (Poll::Ready(ControlFlow::Break(value)), false)
        }
        Poll::Ready(ControlFlow::Break(None) | ControlFlow::Continue(())) => {
            (Poll::Ready(ControlFlow::Continue(())), true)
        }
    }
}
