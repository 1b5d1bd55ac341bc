//! Operators with several inputs.

mod chain;

pub use chain::Chain;
mod combine_latest;
mod inputs;
mod merge;
mod merge_sorted;
mod merge_with;
mod with_latest_from;
mod with_latest_from_optional;
mod zip;

pub use combine_latest::CombineLatest;
pub use merge::{Merge, merge};
pub use merge_sorted::{MergeSorted, merge_sorted};
pub use merge_with::Merge2;
pub use with_latest_from::WithLatestFrom;
pub use with_latest_from_optional::WithLatestFromOptional;
pub use zip::Zip;
