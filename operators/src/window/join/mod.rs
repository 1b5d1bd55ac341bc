//! What the joins in event time share.
//!
//! A join of this kind answers the elements of its left side in the order in which they came: an
//! item waits until the watermark of the right side says that nothing more can change its answer,
//! and a watermark waits for the items in front of it. So what comes out does not depend on which
//! side is faster. Right items are kept as long as a left item can reach them.

mod by_key;
mod core;
mod counts;
mod outcome;
#[cfg(test)]
pub(super) mod random;
mod reach;
mod sides;
mod slots;
mod stage;
mod waiting;

pub use self::core::Core;
pub use by_key::{ByKey, Index, Whole};
pub use counts::JoinCounts;
pub use outcome::{Full, Matched, Outcome, Padded, Split};
pub use reach::Reach;
pub(super) use sides::{drive, poll_side};
pub use slots::{Slot, Slots};
pub use stage::Join;
