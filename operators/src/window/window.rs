//! [`Window`]: what came of the items of a stretch of event time.

use crate::Timestamp;
use crate::aggregate::Span;

/// What came of one window.
///
/// A window is known by its key and its span. The same one can come more than once: see
/// [`Firing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window<T, K = ()> {
    /// The key of its items; `()` where there are no keys.
    pub key: K,
    /// Where it begins: the label by which bars are mostly known. That instant belongs to the
    /// window, unless it is [closed on the right](Closed::Right).
    pub start: Timestamp,
    /// Where it ends. That instant no longer belongs to the window, unless it is
    /// [closed on the right](Closed::Right), a session that an item at its end would have
    /// [joined](super::Tie::Joins), or a window that ends with its last item: one of
    /// [`threshold`](crate::Flow::threshold) or [`count_windows`](crate::Flow::count_windows).
    pub end: Timestamp,
    /// What made it come out.
    pub firing: Firing,
    /// Whether event time reached its end. A window that comes early is not complete, and the last
    /// ones are not that the end of the input closes.
    pub complete: bool,
    /// Whether the flow began within it: what happened before its first item is unknown.
    pub partial: bool,
    /// Items that were dropped since the window before, because they were too late.
    pub late: u64,
    /// The aggregate of its items.
    pub value: T,
}

impl<T, K> Window<T, K> {
    /// The stretch of event time that it is about.
    pub fn span(&self) -> Span {
        Span { start: self.start, end: self.end }
    }

    /// The same window with another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Window<U, K> {
        let Self { key, start, end, firing, complete, partial, late, value } = self;
        Window { key, start, end, firing, complete, partial, late, value: f(value) }
    }
}

/// What made a window come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Firing {
    /// Event time passed its end, or the item came that fills it.
    OnTime,
    /// It is still open; more may come.
    Early,
    /// It came out before, or would have, and a late item has changed it. This result replaces
    /// those before.
    Amended,
    /// It came out before, and no longer is: a late item has made a session longer, or joined two.
    /// The session that contains it follows: amended and at once, or on time if it is open again.
    Withdrawn,
    /// It was still open, but its place was needed: too many keys, or too many open windows.
    Evicted,
    /// The input has ended.
    End,
}

/// Which end of a window belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Closed {
    /// `[start, end)`: an item at the start belongs to it, one at the end to the next.
    #[default]
    Left,
    /// `(start, end]`: an item at the end belongs to it, one at the start to the one before.
    Right,
}

/// What comes for a window without items, between windows of the same key that have some.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Empty {
    /// Nothing.
    #[default]
    Skip,
    /// The aggregate of no items.
    Zero,
    /// What the aggregate [carries on](crate::aggregate::Aggregate::carry) from the window before;
    /// also windows with items begin with that.
    Carry,
}

/// What became of the items of a windowed flow, and of its windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowCounts {
    /// Items that came.
    pub items: u64,
    /// Items that were too late for every window.
    pub late: u64,
    /// Items that belong to no window, because windows begin further apart than they are long.
    pub outside: u64,
    /// Windows that came out, each firing counted.
    pub fired: u64,
    /// Windows that a late item changed after they had come out.
    pub amended: u64,
    /// Windows that came out because their place was needed.
    pub evicted: u64,
    /// Empty windows that were left out, because too many would have stood in a row.
    pub skipped: u64,
    /// Open states that are held now: one for a key in a slice of time.
    pub held: usize,
    /// The most that were ever held.
    pub high_water: usize,
}
