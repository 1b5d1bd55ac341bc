//! Operators for items that are `Result`s, and sources that start again.

mod backoff;
mod catch;
mod retry;

pub use backoff::Backoff;
pub use catch::Catch;
pub use retry::{Retry, retry};
