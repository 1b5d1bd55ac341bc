//! [`Reach`]: which right items a left item joins.

use std::ops::Range;

use super::Slot;
use crate::{Node, Timestamp};

/// Which right items a left item joins, and when nothing more can change that.
///
/// A left item has a target, from which its reach is measured. Targets grow with the times of the
/// items. The places of the right items of a key are numbered: 0 is the last one that fell behind,
/// if the join keeps it, and those behind that are in the order of time and arrival.
pub trait Reach<L> {
    /// The name of the operator.
    const NAME: &'static str;

    /// Whether there is at most one match.
    const ONE: bool;

    /// Where the reach of an item at this time is measured from.
    fn target(&self, time: Timestamp) -> Timestamp;

    /// Whether the last item that fell behind stays known.
    fn keeps_last(&self) -> bool;

    /// The time before which right items are behind: no item with a target of `low` or later
    /// reaches them, or only the last one of them.
    fn behind(&self, low: Timestamp) -> Timestamp;

    /// How far the right side has to come for an item with this target in any case. It may say
    /// less than [`has_passed`](Self::has_passed), and costs less.
    fn needed(&self, target: Timestamp) -> Timestamp;

    /// Whether the right side has come as far as the target in any case has to wait for.
    fn has_passed(&self, target: Timestamp, reached: Timestamp) -> bool;

    /// Whether items after the target count, and so it may depend on them how far the right side
    /// has to come: see [`is_settled`](Self::is_settled).
    fn looks_ahead(&self) -> bool {
        false
    }

    /// Whether no item at `reached` or later can change what [`find`](Self::find) finds.
    fn is_settled<T>(
        &self,
        _target: Timestamp,
        _slot: Option<&Slot<T>>,
        _reached: Timestamp,
    ) -> bool {
        true
    }

    /// The places of the matches; `late` if items that are forgotten might have been among them.
    fn find<T>(&self, target: Timestamp, slot: &Slot<T>, late: bool) -> Range<usize>;

    /// The left item for one more match than one.
    fn again(&self, left: &L) -> Option<L>;

    /// Its parameters.
    fn describe(&self, node: &mut Node);
}
