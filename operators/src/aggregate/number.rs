//! [`Number`]: what can be summed.

use std::fmt::Debug;

/// A number that aggregates take: every integer of the standard library but `u128`, and the floats.
///
/// Integers add up in `i128`, floats in `f64`. A newtype around a number joins in with three lines:
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Number, Span, sum};
///
/// /// In steps of 1e-8.
/// #[derive(Clone, Copy)]
/// struct Quantity(i64);
///
/// impl Number for Quantity {
///     type Total = i128;
///
///     fn total(self) -> i128 {
///         self.0.into()
///     }
/// }
///
/// let span = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let items = [(Timestamp::EPOCH, Quantity(150)), (Timestamp::EPOCH, Quantity(50))];
/// assert_eq!(sum(|quantity: &Quantity| *quantity).over(span, items), 200);
/// ```
pub trait Number: Copy {
    /// What such numbers add up to.
    type Total: Total;

    /// The number itself, in the type of their sum.
    fn total(self) -> Self::Total;
}

/// What numbers add up to: `i128` or `f64`.
///
/// Sums in `i128` are exact: it holds those of 2⁶⁴ integers of 64 bits, and the product of any two.
/// Beyond its range it wraps around.
pub trait Total: Copy + PartialEq + Debug + sealed::Sealed {
    /// Whether to add and to subtract again gives what was there before.
    const EXACT: bool;

    /// Nothing.
    const ZERO: Self;

    /// `self + other`.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// `self - other`.
    #[must_use]
    fn minus(self, other: Self) -> Self;

    /// `self * other`.
    #[must_use]
    fn times(self, other: Self) -> Self;

    /// The nearest total to a natural number.
    fn from_u64(number: u64) -> Self;

    /// The nearest float.
    fn to_f64(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for i128 {}
    impl Sealed for f64 {}
}

impl Total for i128 {
    const EXACT: bool = true;
    const ZERO: Self = 0;

    #[inline]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }

    #[inline]
    fn times(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }

    #[inline]
    fn from_u64(number: u64) -> Self {
        number.into()
    }

    #[inline]
    fn to_f64(self) -> f64 {
        self as f64
    }
}

impl Total for f64 {
    const EXACT: bool = false;
    const ZERO: Self = 0.0;

    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    #[inline]
    fn times(self, other: Self) -> Self {
        self * other
    }

    #[inline]
    fn from_u64(number: u64) -> Self {
        number as f64
    }

    #[inline]
    fn to_f64(self) -> f64 {
        self
    }
}

macro_rules! numbers {
    ($($number:ty => $total:ty;)+) => { $(
        impl Number for $number {
            type Total = $total;

            #[inline]
            fn total(self) -> $total {
                self as $total
            }
        }
    )+ };
}

numbers! {
    i8 => i128; i16 => i128; i32 => i128; i64 => i128; i128 => i128; isize => i128;
    u8 => i128; u16 => i128; u32 => i128; u64 => i128; usize => i128;
    f32 => f64; f64 => f64;
}

/// The float nearest to a number, for what is computed in floats whatever comes in.
#[inline]
pub(super) fn float(number: impl Number) -> f64 {
    number.total().to_f64()
}

/// Whether a value can be compared at all: a float that is not a number cannot.
#[inline]
pub(super) fn compares<V: PartialOrd>(value: &V) -> bool {
    value.partial_cmp(value).is_some()
}
