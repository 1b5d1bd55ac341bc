//! Event time: items that carry timestamps, watermarks between them, windows over them.

mod aggregate;
mod as_of;
mod event_time;
mod timed;
mod tumbling;
mod values;

pub use aggregate::Aggregate;
pub use as_of::{AsOf, AsOfJoin};
pub use event_time::EventTime;
pub use timed::Timed;
pub use tumbling::{Tumbling, Window};
pub use values::Values;
