//! What prices and quantities add up to: [`Notional`], [`Volume`] and [`AveragePrice`].

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, SubAssign};

use serde::ser::{Serialize, Serializer};

use super::ratio::ratio;
use super::{Price, Quantity, text};

/// An amount of the quote asset, price × quantity, in steps of 1e-16: exact.
///
/// Sums saturate at about ±1.7e22, which no market reaches. As text it always has sixteen decimals.
///
/// ```
/// use aqueduct::market::{Notional, Price, Quantity, Volume};
///
/// let fills: [(Price, Quantity); 2] =
///     [("100.00".parse()?, "1.0".parse()?), ("101.00".parse()?, "0.5".parse()?)];
/// let notional: Notional = fills.iter().map(|(price, quantity)| *price * *quantity).sum();
/// let volume: Volume = fills.iter().map(|(_, quantity)| *quantity).sum();
/// assert_eq!(notional.to_string(), "150.5000000000000000");
/// assert_eq!(notional.vwap(volume).unwrap().to_string(), "100.3333333333");
/// # Ok::<(), aqueduct::market::DecimalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Notional(i128);

/// A sum of quantities, in steps of 1e-8: exact, and wide enough for any number of them.
///
/// As text it always has eight decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Volume(i128);

/// A price that comes of a division, in steps of 1e-10: the exact ratio, rounded to the nearest step,
/// halves to the even one.
///
/// As text it always has ten decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct AveragePrice(i128);

/// A number without a unit, in steps of 1e-10, rounded to the nearest step, halves to the even one.
///
/// As text it always has ten decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ratio(i128);

impl Notional {
    /// The volume-weighted average price of a set of trades whose prices × quantities sum up to
    /// this: Σ(pᵢ·qᵢ) / Σqᵢ, after Berkowitz, Logue and Noser, "The Total Cost of Transactions on
    /// the NYSE", Journal of Finance 43 (1988).
    ///
    /// `None` if the volume is not positive, or so far beyond any market that the ratio does not
    /// fit.
    pub fn vwap(self, volume: impl Into<Volume>) -> Option<AveragePrice> {
        // Both are integers: notional / volume counts 1e-8, a hundred times that counts 1e-10.
        ratio(self.0, 100, volume.into().0).map(AveragePrice)
    }
}

/// Saturates at the ends of the range, 1.7e22 of the quote asset.
impl Mul<Quantity> for Price {
    type Output = Notional;

    fn mul(self, quantity: Quantity) -> Notional {
        Notional(i128::from(self.units()).saturating_mul(quantity.units()))
    }
}

impl From<Quantity> for Volume {
    fn from(quantity: Quantity) -> Self {
        Self(quantity.units())
    }
}

impl AddAssign<Quantity> for Volume {
    fn add_assign(&mut self, quantity: Quantity) {
        *self += Self::from(quantity);
    }
}

impl SubAssign<Quantity> for Volume {
    fn sub_assign(&mut self, quantity: Quantity) {
        self.0 = self.0.saturating_sub(quantity.units());
    }
}

impl Sum<Quantity> for Volume {
    fn sum<I: Iterator<Item = Quantity>>(quantities: I) -> Self {
        quantities.map(Self::from).sum()
    }
}

macro_rules! wide {
    ($name:ident, $unit:literal, $decimals:literal, $scale:literal) => {
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            #[doc = concat!("From a count of ", $unit, ".")]
            pub const fn from_units(units: i128) -> Self {
                Self(units)
            }

            #[doc = concat!("The count of ", $unit, ".")]
            pub const fn units(self) -> i128 {
                self.0
            }

            /// The nearest binary fraction, for statistics and charts; sums of it are not exact.
            pub fn to_f64(self) -> f64 {
                self.0 as f64 / $scale
            }
        }

        #[doc = concat!("Always with ", $decimals, " decimals.")]
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                text::write(f, self.0, $decimals)
            }
        }

        #[doc = concat!("As text with ", $decimals, " decimals.")]
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    };
}

wide!(Notional, "1e-16", 16, 1e16);
wide!(Volume, "1e-8", 8, 1e8);
wide!(AveragePrice, "1e-10", 10, 1e10);
wide!(Ratio, "1e-10", 10, 1e10);

macro_rules! sums {
    ($name:ident) => {
        /// Saturates at the ends of the range.
        impl Add for $name {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }

        /// Saturates at the ends of the range.
        impl AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self = *self + other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
                parts.fold(Self::ZERO, Self::add)
            }
        }
    };
}

sums!(Notional);
sums!(Volume);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vwap(notional: i128, volume: i128) -> Option<i128> {
        Notional(notional).vwap(Volume::from_units(volume)).map(AveragePrice::units)
    }

    #[test]
    fn halves_go_to_the_even_step() {
        // 100 * notional / volume is 0.5, 1.5, 2.5, and the same below zero.
        for (notional, expected) in [(1, 0), (3, 2), (5, 2), (-1, 0), (-3, -2), (-5, -2)] {
            assert_eq!(vwap(notional, 200), Some(expected), "{notional}/200");
        }
        assert_eq!(vwap(201, 20_000), Some(1));
        assert_eq!(vwap(101, 20_000), Some(1));
        assert_eq!(vwap(99, 20_000), Some(0));
    }

    #[test]
    fn no_volume_has_no_average() {
        assert_eq!(vwap(1, 0), None);
        assert_eq!(vwap(1, -1), None);
    }

    #[test]
    fn what_does_not_fit_has_no_average_rather_than_a_wrong_one() {
        assert_eq!(vwap(i128::MAX, 1), None);
        assert_eq!(vwap(i128::MAX - 1, i128::MAX), None);
    }

    #[test]
    fn sums_stop_at_the_end_of_the_range() {
        let most = Notional::from_units(i128::MAX);
        assert_eq!(most + Notional::from_units(1), most);
    }

    proptest! {
        #[test]
        fn the_average_is_the_nearest_step(notional in -1_i128 << 110..1_i128 << 110, volume in 1_i128..1 << 100) {
            let average = vwap(notional, volume).unwrap();
            let twice_off = (notional * 200 - average * 2 * volume).abs();
            prop_assert!(twice_off < volume || (twice_off == volume && average % 2 == 0));
        }

        #[test]
        fn equal_prices_average_to_themselves(price in 1_i64..1 << 60, quantity in 1_i64..1 << 60) {
            let (price, quantity) = (Price::from_units(price), Quantity::from_units(quantity.into()));
            let average = (price * quantity).vwap(quantity).unwrap();
            prop_assert_eq!(average.units(), i128::from(price.units()) * 100);
        }
    }
}
