//! State by key: bounded, without flows inside.

mod by_key;
mod conflate;
mod dedup;
mod detect_stale;
mod key_by;
mod key_step;
mod keyed;
mod limits;
mod linked;
mod pairwise;
mod scan;
mod scan_map;
mod stage;
mod table;
mod throttle;
mod with_evicted;

pub use by_key::TimedByKey;
pub use dedup::{Dedup, DedupByKey};
pub use detect_stale::DetectStale;
pub use key_by::KeyedFlow;
pub use key_step::KeyStep;
pub use keyed::Fns;
pub use limits::KeyLimits;
pub(crate) use linked::Linked;
pub use pairwise::Pairwise;
pub use scan::Scan;
pub use scan_map::ScanMap;
pub use stage::{Evicted, KeyCounts, Keyed};
pub use throttle::{Throttle, ThrottleCounts};
pub use with_evicted::{Gone, WithEvicted};
