//! State by key: bounded, without flows inside.

mod keyed;
mod table;

pub use keyed::{Evicted, Fns, KeyCounts, KeyLimits, Keyed};
