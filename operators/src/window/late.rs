//! [`Late`]: what came too late, and what an operator in event time does with it.

use either::Either;

use crate::Timestamp;

/// An item that came when event time had passed it, out of an operator
/// [`with_late`](crate::Flow::with_late).
///
/// The element that carries it has the time that had been reached then, because no element should be
/// earlier than the watermark before it; the item's own time is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Late<T> {
    /// When it happened.
    pub time: Timestamp,
    /// The item.
    pub item: T,
}

/// What becomes of items that are too late: they are [dropped](DropLate), or [handed
/// out](EmitLate) beside the results.
pub trait LatePolicy<T>: sealed::Sealed {
    /// What comes out where results are `R`.
    type Out<R>;

    /// A result.
    fn result<R>(result: R) -> Self::Out<R>;
    /// A late item.
    fn late<R>(late: Late<T>) -> Option<Self::Out<R>>;
}

/// Late items are dropped; the operator counts them.
#[derive(Debug, Clone, Copy, Default)]
pub struct DropLate;

impl<T> LatePolicy<T> for DropLate {
    type Out<R> = R;

    #[inline]
    fn result<R>(result: R) -> R {
        result
    }

    fn late<R>(_: Late<T>) -> Option<R> {
        None
    }
}

/// Late items come out on the right, results on the left.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmitLate;

impl<T> LatePolicy<T> for EmitLate {
    type Out<R> = Either<R, Late<T>>;

    #[inline]
    fn result<R>(result: R) -> Either<R, Late<T>> {
        Either::Left(result)
    }

    fn late<R>(late: Late<T>) -> Option<Either<R, Late<T>>> {
        Some(Either::Right(late))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::DropLate {}
    impl Sealed for super::EmitLate {}
}
