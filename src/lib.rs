//! aqueduct.

pub mod market;
pub mod sink;
pub mod source;

pub use aqueduct_operators::*;
