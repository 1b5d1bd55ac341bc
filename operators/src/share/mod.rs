//! One flow to several consumers.

mod hub;
mod partition;
mod route;
#[allow(clippy::module_inception, reason = "one operator, one file")]
mod share;

use hub::{Board, Hub, Seat};
pub use route::Branch;
pub use share::{Shared, Subscription};
