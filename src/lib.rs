#![doc = include_str!("../README.md")]

pub mod market;
pub mod pipeline;
pub mod sink;
pub mod source;

pub use aqueduct_operators::*;
pub use pipeline::Pipeline;
