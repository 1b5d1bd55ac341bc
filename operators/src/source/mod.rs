//! Where flows begin, as far as no I/O is needed.

mod from_stream;
mod iter;

pub use from_stream::{FromStream, flow};
pub use iter::{Iter, iter};
