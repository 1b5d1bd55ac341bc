//! Where flows end: futures that drive a flow and give its result.

mod count;
mod fold;
mod for_each_async;

pub use count::Count;
pub use fold::Fold;
pub use for_each_async::ForEachAsync;
