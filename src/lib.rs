//! aqueduct.

pub mod market;

pub use aqueduct_operators::*;
