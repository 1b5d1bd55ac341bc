//! Event time: items that carry timestamps, watermarks between them, windows over them.

mod aggregate;
mod timed;

pub use aggregate::Aggregate;
pub use timed::Timed;
