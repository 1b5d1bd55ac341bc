//! [`JoinCounts`]: what became of the items of a join.

/// What became of the items of an [`as_of`](crate::Flow::as_of) or
/// [`interval_join`](crate::Flow::interval_join), by key or not. Every item of the left side that
/// was taken is in `matched`, `unmatched` or still waits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JoinCounts {
    /// Items of the left side that found something.
    pub matched: u64,
    /// Items of the left side that found nothing, emitted or not.
    pub unmatched: u64,
    /// Of both: items that were answered before the right side had passed them, with what was
    /// known, because the history was full.
    pub forced: u64,
    /// Of both: items behind the watermark of the left side whose answer may lack what was already
    /// forgotten.
    pub late_left: u64,
    /// Items behind the watermark of the right side that no left item can reach any more.
    pub late_right: u64,
    /// Keys of the right side that were forgotten because another one needed the place.
    pub evicted: u64,
}
