//! [`Timed`]: items with their event time, and watermarks between them.

use crate::Timestamp;

/// An element of a flow in event time.
///
/// Watermarks travel between the items, so that every operator keeps both in order. After
/// `Watermark(t)` every item has a time of `t` or later: what needed only earlier items can be
/// finished. An item at `t` that comes after a watermark later than `t` is late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timed<T> {
    /// An item, and when it happened.
    Item(Timestamp, T),
    /// No item that follows is earlier than this.
    Watermark(Timestamp),
}
