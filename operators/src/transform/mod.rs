//! Operators that make other items of the items.

mod boxed;
mod boxed_local;
mod chunks;
mod enumerate;
mod flat_map_iter;
mod flatten;
mod inspect;
mod map;
mod pairwise;
mod prepend;
mod scan;
mod scan_map;

pub use boxed::Boxed;
pub use boxed_local::BoxedLocal;
pub use chunks::Chunks;
pub use enumerate::Enumerate;
pub use flat_map_iter::FlatMapIter;
pub use flatten::Flatten;
pub use inspect::Inspect;
pub use map::Map;
pub use pairwise::Pairwise;
pub use scan::Scan;
pub use scan_map::{NoEnd, ScanMap};
