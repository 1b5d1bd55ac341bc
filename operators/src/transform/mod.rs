//! Operators that make other items of the items.

mod map;

pub use map::Map;
