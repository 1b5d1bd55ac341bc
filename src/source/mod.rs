//! The async event-source layer: where events come from.
//!
//! Sources that need no I/O (iterators, streams, channels, intervals) are part of the operators
//! and appear here too.

mod framing;
mod replay;

pub use aqueduct_operators::source::*;
pub use framing::{Framing, Origin};
pub use replay::{Line, Place, Replay, ReplayError, replay};
