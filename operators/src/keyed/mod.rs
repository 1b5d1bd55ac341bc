//! State by key: bounded, without flows inside.

#[allow(clippy::module_inception, reason = "the operator is the folder's first word")]
mod keyed;
mod table;

pub use keyed::{Evicted, Fns, KeyCounts, KeyLimits, Keyed};
