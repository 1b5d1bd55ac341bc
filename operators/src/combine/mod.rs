//! Operators with several inputs.

mod chain;

pub use chain::Chain;
