//! One flow to several consumers.

mod also_to;
mod balance;
mod branches;
mod broadcast;
mod config;
mod cursors;
mod gaps;
mod hub;
mod keeper;
mod partition;
mod partition_by_hash;
mod route;
mod share;
mod share_from;
mod shared;
mod subject;
mod tap;
#[cfg(test)]
mod tests;
mod unzip;
mod waiting;
mod watch;
mod wire_tap;

pub use balance::Worker;
pub use branches::Branches;
pub use config::{Dropped, NoConsumers, Reset, Share, Signal, Slow, Start};
use cursors::Cursors;
pub use gaps::{Gaps, Lagged, OnGap};
use hub::{Board, Hub, Seat};
pub use route::Branch;
pub use share_from::share_from;
pub use shared::{ShareState, Shared, Subscription};
pub use subject::{Closed, Emitting, Fed, Subject, TryEmitError};
pub use tap::Tap;
pub use unzip::{Half, Unzipped};
use waiting::Waiting;
pub use watch::{Changes, Watch};
