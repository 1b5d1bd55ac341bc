//! One flow to several consumers.

mod hub;
mod partition;
mod route;
mod share;

use hub::{Board, Hub, Seat};
pub use route::Branch;
pub use share::{Shared, Subscription};
