//! [`Outcome`]: what a join makes of an item with a match, and of one without.

use either::Either;

/// What comes out of a join.
pub trait Outcome<L, T> {
    /// The item that comes out.
    type Out;

    /// Whether every left item gives one.
    const KEEPS_UNMATCHED: bool;

    /// For a left item and its match.
    fn pair(left: L, right: T) -> Self::Out;

    /// For a left item without one.
    fn alone(left: L) -> Option<Self::Out>;

    /// For a right item without one.
    fn alone_right(_right: T) -> Option<Self::Out> {
        None
    }
}

/// Pairs `(left, right)`; an item without a match gives nothing.
#[derive(Debug, Clone, Copy)]
pub struct Matched;

impl<L, T> Outcome<L, T> for Matched {
    type Out = (L, T);

    const KEEPS_UNMATCHED: bool = false;

    fn pair(left: L, right: T) -> (L, T) {
        (left, right)
    }

    fn alone(_: L) -> Option<(L, T)> {
        None
    }
}

/// Pairs `(left, Some(right))`, and `(left, None)`.
#[derive(Debug, Clone, Copy)]
pub struct Padded;

impl<L, T> Outcome<L, T> for Padded {
    type Out = (L, Option<T>);

    const KEEPS_UNMATCHED: bool = true;

    fn pair(left: L, right: T) -> (L, Option<T>) {
        (left, Some(right))
    }

    fn alone(left: L) -> Option<(L, Option<T>)> {
        Some((left, None))
    }
}

/// `Left((left, right))`, and `Right(left)` for an item without a match.
#[derive(Debug, Clone, Copy)]
pub struct Split;

impl<L, T> Outcome<L, T> for Split {
    type Out = Either<(L, T), L>;

    const KEEPS_UNMATCHED: bool = true;

    fn pair(left: L, right: T) -> Self::Out {
        Either::Left((left, right))
    }

    fn alone(left: L) -> Option<Self::Out> {
        Some(Either::Right(left))
    }
}

/// Pairs `(Some(left), Some(right))`, and each side alone.
#[derive(Debug, Clone, Copy)]
pub struct Full;

impl<L, T> Outcome<L, T> for Full {
    type Out = (Option<L>, Option<T>);

    const KEEPS_UNMATCHED: bool = true;

    fn pair(left: L, right: T) -> Self::Out {
        (Some(left), Some(right))
    }

    fn alone(left: L) -> Option<Self::Out> {
        Some((Some(left), None))
    }

    fn alone_right(right: T) -> Option<Self::Out> {
        Some((None, Some(right)))
    }
}
