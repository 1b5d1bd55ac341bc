//! Operators that hold items between two sides that run at different speeds.
//!
//! Every edge has a capacity and a [`Policy`]: [`Overflow`], [`Fail`] or [`ConflateBy`]. What is
//! held lies in a [`Store`], which counts what became of every item: see [`Counts`].

mod buffer;
mod conflate_by_key;
mod conflate_with;
mod conflating;
mod edge;
mod hop;
mod latest;
mod policy;
mod prefetch;
mod ring;
mod store;

use std::num::NonZeroUsize;

pub use buffer::Buffer;
pub use conflate_with::ConflateWith;
pub use conflating::{ConflateBy, Conflating};
pub(crate) use edge::{Edge, Offered, Outlet, Ticket};
pub use hop::Hop;
pub use policy::{Fail, Overflow, Overflowed, Policy};
pub use ring::Ring;
pub use store::{Counts, Offer, Store};

use crate::Site;

/// The capacity that an operator was given.
pub(crate) fn checked(capacity: usize, operator: &str, site: Site) -> NonZeroUsize {
    let Some(capacity) = NonZeroUsize::new(capacity) else {
        panic!("{operator}: the capacity must not be zero, at {site}")
    };
    capacity
}
