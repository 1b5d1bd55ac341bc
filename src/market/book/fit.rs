//! [`Fit`]: whether an update continues a book.

use crate::market::DepthUpdate;

/// How an update relates to a book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// The book contains it already.
    Stale,
    /// It comes next.
    Next,
    /// Something is missing between the two.
    Gap { expected: u64, got: u64 },
}

impl Fit {
    /// `last_id` is the last change that the book contains, and `fresh` says that it comes from a
    /// snapshot, not from an update.
    ///
    /// Spot numbers the changes of a book without holes. An update that overlaps what the book has
    /// is as good as one that starts right after: quantities are absolute. Futures leave holes, so
    /// that only `previous_id` can tell; a snapshot falls between two updates or into one.
    pub(super) fn of(update: &DepthUpdate, last_id: u64, fresh: bool) -> Self {
        let Some(previous_id) = update.previous_id else {
            let expected = last_id.saturating_add(1);
            return match update.first_id {
                _ if update.last_id <= last_id => Self::Stale,
                first_id if first_id <= expected => Self::Next,
                got => Self::Gap { expected, got },
            };
        };
        let expected = last_id;
        if previous_id == last_id {
            return Self::Next;
        }
        if fresh {
            return match update.first_id {
                _ if update.last_id < last_id => Self::Stale,
                first_id if first_id <= last_id => Self::Next,
                got => Self::Gap { expected, got },
            };
        }
        match previous_id {
            _ if update.last_id <= last_id => Self::Stale,
            got => Self::Gap { expected, got },
        }
    }

    /// The smallest `last_id` of a snapshot that `update` continues.
    pub(super) fn needed(update: &DepthUpdate) -> u64 {
        match update.previous_id {
            Some(previous_id) => previous_id.min(update.first_id),
            None => update.first_id.saturating_sub(1),
        }
    }
}
