//! Operators that let some of the items pass.

mod filter;

pub use filter::Filter;
