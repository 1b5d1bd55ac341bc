//! Operators with several inputs.

mod chain;

pub use chain::Chain;
mod merge;
mod merge_with;

pub use merge::{Merge, merge};
pub use merge_with::Merge2;
