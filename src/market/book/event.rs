//! [`BookEvent`]: what happened when a message met a book.

use crate::Timestamp;
use crate::market::Level;

/// The best of a book after an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TopOfBook {
    /// The line of the input that the update came from, counted from zero over all files.
    pub line: u64,
    /// When the update arrived, by the receiver's clock.
    pub received: Timestamp,
    /// When the venue made the update, by its clock.
    pub time: Timestamp,
    /// The first change of the book in the update.
    pub first_id: u64,
    /// The last change of the book in the update.
    pub last_id: u64,
    /// The highest bid, unless there is none.
    pub best_bid: Option<Level>,
    /// The lowest ask, unless there is none.
    pub best_ask: Option<Level>,
    /// How many bid levels there are.
    pub bids: usize,
    /// How many ask levels there are.
    pub asks: usize,
}

/// What happened to a book. `line` is always that of the message that the event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BookEvent {
    /// An update was applied.
    Top(TopOfBook),
    /// A snapshot was taken over; the updates that waited for it follow.
    Synced {
        /// The line of the snapshot.
        line: u64,
        /// The last change that it contains.
        last_id: u64,
    },
    /// An update does not continue the book: at least one before it is lost. The book stands still
    /// until a snapshot comes.
    Gapped {
        /// The line of the update.
        line: u64,
        /// The id that continues the book.
        expected: u64,
        /// The id that the update has in its place.
        got: u64,
    },
    /// A snapshot ends before the first update that waits, so that the two leave a gap. A newer one
    /// is needed.
    SnapshotTooOld {
        /// The line of the snapshot.
        line: u64,
        /// The last change that it contains.
        last_id: u64,
        /// The smallest last change that would do.
        needed: u64,
    },
    /// A snapshot contains nothing that a live book does not have.
    SnapshotIgnored {
        /// The line of the snapshot.
        line: u64,
        /// The last change that it contains.
        last_id: u64,
    },
    /// An update contains nothing that the book does not have, and was dropped.
    Stale {
        /// The line of the update.
        line: u64,
        /// The last change that it contains.
        last_id: u64,
    },
    /// More updates waited for a snapshot than there was room for; the oldest was dropped.
    Overflowed {
        /// The line of the update.
        line: u64,
        /// The last change that it contains.
        last_id: u64,
    },
}

impl BookEvent {
    /// The best of the book, if an update was applied.
    pub fn top(&self) -> Option<TopOfBook> {
        match self {
            Self::Top(top) => Some(*top),
            _ => None,
        }
    }
}
