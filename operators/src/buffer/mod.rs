//! Operators that hold items between two sides that run at different speeds.
//!
//! Every edge has a capacity and a [`Policy`]: [`Overflow`], [`Fail`] or [`ConflateBy`]. What is
//! held lies in a [`Store`], which counts what became of every item: see [`Counts`].

mod conflating;
mod policy;
mod ring;
mod store;

pub use conflating::{ConflateBy, Conflating};
pub use policy::{Fail, Overflow, Overflowed, Policy};
pub use ring::Ring;
pub use store::{Counts, Offer, Store};
