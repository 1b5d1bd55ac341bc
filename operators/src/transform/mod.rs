//! Operators that make other items of the items.

mod boxed;
mod boxed_local;
mod map;

pub use boxed::Boxed;
pub use boxed_local::BoxedLocal;
pub use map::Map;
