//! Operators that let some of the items pass.

mod dedup;
mod dedup_by_key;
mod filter;
mod filter_map;
mod signal;
mod skip;
mod skip_while;
mod take;
mod take_until;
mod take_while;

use std::ops::ControlFlow;
use std::task::Poll;

pub use dedup::Dedup;
pub use dedup_by_key::DedupByKey;
pub use filter::Filter;
pub use filter_map::FilterMap;
pub use skip::Skip;
pub use skip_while::SkipWhile;
pub use take::Take;
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
