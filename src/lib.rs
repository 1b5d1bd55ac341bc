//! aqueduct.

pub use aqueduct_operators::*;
