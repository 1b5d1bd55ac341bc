//! [`Order`]: which of two items is the earlier one.

use std::fmt::Debug;

use crate::Timestamp;

/// What [`first`](super::first()), [`last`](super::last()) and [`ohlc`](super::ohlc()) go by.
pub trait Order: sealed::Sealed {
    /// What is compared.
    type Key: Copy + PartialOrd + Debug;

    /// The key of an item with that time.
    fn key(time: Timestamp) -> Self::Key;
}

/// The order in which items arrive. Parts of a window that are merged count as one after the other,
/// as they do in hopping windows, whatever arrived between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByArrival;

/// The order of their times; items of the same time in the order in which they arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByTime;

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::ByArrival {}
    impl Sealed for super::ByTime {}
}

impl Order for ByArrival {
    /// All the same: of equal keys the first to arrive is the first.
    type Key = ();

    #[inline]
    fn key(_: Timestamp) {}
}

impl Order for ByTime {
    type Key = Timestamp;

    #[inline]
    fn key(time: Timestamp) -> Timestamp {
        time
    }
}
