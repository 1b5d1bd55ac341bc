//! [`OnEnd`]: what becomes of an item that waits when the input ends.

/// What becomes of the item that waits for its time when the input ends.
///
/// A parameter of every operator that thins a flow out, such as
/// [`throttle_with`](crate::Flow::throttle_with) and [`sample_with`](crate::Flow::sample_with).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnEnd {
    /// It comes out, at once.
    Emit,
    /// It comes out when its time has come, and the end after it: the promise of a rate is kept.
    Wait,
    /// It is dropped.
    Drop,
}
