//! [`Price`] and [`Quantity`]: fixed point with eight decimals.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::text::{self, DecimalError};

/// A price of one unit of the base asset in the quote asset, in steps of 1e-8.
///
/// Prices below zero are legal (calendar spreads and power trade there); a venue's spot market
/// never sends one. As text it always has eight decimals.
///
/// ```
/// use aqueduct::market::Price;
///
/// let price: Price = "61837.63".parse()?;
/// assert_eq!(price.units(), 6_183_763_000_000);
/// assert_eq!(price.to_string(), "61837.63000000");
/// assert!("0.000000001".parse::<Price>().is_err()); // nine decimals
/// # Ok::<(), aqueduct::market::DecimalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Price(i64);

/// An amount of the base asset, in steps of 1e-8.
///
/// One read from text is never negative, and has at most 17 digits before the point: tokens that
/// trade by the trillion fit. As text it always has eight decimals.
///
/// ```
/// use aqueduct::market::{Price, Quantity};
///
/// let price: Price = "61837.63".parse()?;
/// let quantity: Quantity = "0.02".parse()?;
/// assert_eq!((price * quantity).to_string(), "1236.7526000000000000");
/// assert!("-0.02".parse::<Quantity>().is_err());
/// # Ok::<(), aqueduct::market::DecimalError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Quantity(i128);

macro_rules! fixed_point {
    ($name:ident, $units:ident, $parse:path, $expecting:literal) => {
        impl $name {
            /// Nothing.
            pub const ZERO: Self = Self(0);

            /// From a count of 1e-8.
            pub const fn from_units(units: $units) -> Self {
                Self(units)
            }

            /// The count of 1e-8.
            pub const fn units(self) -> $units {
                self.0
            }

            /// Whether it is zero.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// The nearest binary fraction, for statistics and charts; sums of it are not exact.
            pub fn to_f64(self) -> f64 {
                self.0 as f64 / 1e8
            }

            /// The sum, unless it is out of range.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(units) => Some(Self(units)),
                    None => None,
                }
            }

            /// The difference, unless it is out of range.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(units) => Some(Self(units)),
                    None => None,
                }
            }
        }

        impl FromStr for $name {
            type Err = DecimalError;

            fn from_str(text: &str) -> Result<Self, DecimalError> {
                $parse(text).map(Self)
            }
        }

        /// Always with eight decimals.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                text::write(f, self.0.into(), 8)
            }
        }

        /// As text with eight decimals.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        /// From text; a JSON number is refused, because it has passed through binary elsewhere.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

fixed_point!(Price, i64, text::parse, "a price as text");
fixed_point!(Quantity, i128, text::parse_unsigned, "a quantity as text");
