//! Flow, Stage, the clock and every operator of [aqueduct]; no I/O.
//!
//! Users depend on the crate `aqueduct`, which re-exports all of this. A stage of your own needs
//! only [`Stage`] and [`Flow::from_stage`].
//!
//! [aqueduct]: https://docs.rs/aqueduct

mod clock;
mod flow;
mod outline;
mod stage;
mod sync;
mod util;
mod wake_set;

pub mod aggregate;
pub mod buffer;
pub mod combine;
pub mod concurrency;
pub mod error;
pub mod filter;
pub mod keyed;
pub mod lifecycle;
pub mod share;
pub mod source;
pub mod terminal;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod time;
pub mod transform;
pub mod window;

pub use buffer::{ConflateBy, Fail, Overflow};
pub use clock::{
    Alarm, Ambient, Budget, Clock, Driven, InAmbient, Job, Stalled, Task, Timestamp, Virtual,
};
pub use combine::{merge, merge_sorted};
pub use flow::Flow;
pub use outline::{Bound, Node, Outline, Site};
pub use share::Shared;
pub use source::{
    Sender, channel, cycle, defer, empty, fail, flow, from_callback, from_dynamic_set, from_future,
    from_stream_future, generator, interval, interval_after, interval_at, iter, never, once,
    paginate, poll_every, repeat, repeat_value, repeat_when, timer, try_generator, unfold,
    unfold_async, using,
};
pub use stage::Stage;
pub use window::{Timed, merge_timed};

/// So that the unit tests see what operators allocate.
#[cfg(test)]
#[global_allocator]
static ALLOCATOR: testing::CountingAllocator = testing::CountingAllocator;
