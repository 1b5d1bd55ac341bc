//! Operators that keep several pieces of work in flight.

mod in_flight;
mod map_async;
mod map_async_unordered;

pub use map_async::MapAsync;
