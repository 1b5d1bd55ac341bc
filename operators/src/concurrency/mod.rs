//! Operators that keep several pieces of work in flight.

mod adaptive;
mod gate;
mod gradient;
mod in_flight;
mod map_async;
mod map_async_adaptive;
mod map_async_by_key;
mod map_async_unordered;
mod with_background;

pub use adaptive::{Adaptive, AdaptiveGate, AdaptiveLimit, Measured};
pub use gate::{Gated, PauseGate};
pub(crate) use in_flight::Order;
pub use map_async::{AlwaysOpen, Gate, MapAsync};
pub use map_async_by_key::MapAsyncByKey;
pub use with_background::WithBackground;
