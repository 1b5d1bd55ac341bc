//! [`Decimal`]: a number with as many decimals as its text has.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use super::text::{self, DecimalError};

/// How many decimals there can be.
const MOST_DECIMALS: usize = 18;
/// The largest number without decimals; each decimal takes one digit.
const LARGEST: &str = "170141183460469231731687303715884105727";

/// A number as it was written: the digits and how many of them stand behind the point.
///
/// For venues that give each instrument decimals of its own, and that mean the text: their checksums
/// are taken over the digits. As text it is what was read, but for zeros in front of the integer part.
/// Numbers compare by value, whatever their decimals.
///
/// ```
/// use aqueduct::market::Decimal;
///
/// let price: Decimal = "0.000022890".parse()?;
/// assert_eq!(price.to_string(), "0.000022890");
/// assert_eq!((price.units(), price.decimals()), (22_890, 9));
/// assert_eq!(price, "0.00002289".parse()?);
/// # Ok::<(), aqueduct::market::DecimalError>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Decimal {
    units: i128,
    decimals: u8,
}

impl Decimal {
    /// A count of 1e-`decimals`; `None` if there are more than 18 decimals.
    pub const fn new(units: i128, decimals: u8) -> Option<Self> {
        if decimals as usize > MOST_DECIMALS {
            return None;
        }
        Some(Self { units, decimals })
    }

    /// All digits as one number: how many times 1e-`decimals`.
    pub const fn units(self) -> i128 {
        self.units
    }

    /// How many digits stand behind the point.
    pub const fn decimals(self) -> u8 {
        self.decimals
    }

    /// Whether it is nothing, with whatever decimals.
    pub const fn is_zero(self) -> bool {
        self.units == 0
    }

    /// The integer part, and what is left in steps of 1e-18. Neither can overflow.
    fn parts(self) -> (i128, i128) {
        let one = 10_i128.pow(self.decimals.into());
        let finest = 10_i128.pow(MOST_DECIMALS as u32 - u32::from(self.decimals));
        (self.units.div_euclid(one), self.units.rem_euclid(one) * finest)
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.decimals == other.decimals {
            self.units.cmp(&other.units)
        } else {
            self.parts().cmp(&other.parts())
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Decimal {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Decimal {}

impl FromStr for Decimal {
    type Err = DecimalError;

    fn from_str(text: &str) -> Result<Self, DecimalError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let decimals = digits.bytes().rev().position(|byte| byte == b'.').unwrap_or(0);
        let units = text::checked(text, digits, decimals.min(MOST_DECIMALS), LARGEST)?;
        // No more than 18, or it would have been refused.
        let decimals = decimals as u8;
        Ok(Self { units: if digits.len() < text.len() { -units } else { units }, decimals })
    }
}

/// As it was written.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write(f, self.units, self.decimals.into())
    }
}

/// As text.
impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// From text; a JSON number is refused, because it has passed through binary elsewhere.
impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a decimal as text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_number_keeps_the_decimals_that_were_written() {
        for text in ["0.000022890", "56119.00000", "7", "0", "0.0", "-1.50", "-3", "10"] {
            assert_eq!(decimal(text).to_string(), text);
        }
        assert_eq!(decimal("007.10").to_string(), "7.10");
    }

    #[test]
    fn numbers_compare_by_value_whatever_their_decimals() {
        assert_eq!(decimal("1.0"), decimal("1.000"));
        assert!(decimal("1.01") > decimal("1.009"));
        assert!(decimal("-1.01") < decimal("-1.009"));
        assert!(decimal("-0.5") < decimal("0"));
        assert!(decimal(LARGEST) > decimal("0.000000000000000001"));
    }

    #[test]
    fn what_does_not_fit_is_refused_and_quoted() {
        let refused = |text: &str| text.parse::<Decimal>().unwrap_err().to_string();
        assert!(refused("0.0000000000000000001").contains("has 19 decimals; at most 18"));
        assert!(refused(&format!("{LARGEST}.0")).contains("out of range"));
        for odd in ["", "-", ".", "1.", ".5", "1.2.3", "1e5", "+1", "--1"] {
            assert!(odd.parse::<Decimal>().is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn every_decimal_survives_its_text(units: i64, decimals in 0_u8..=18) {
            let decimal = Decimal::new(units.into(), decimals).unwrap();
            let read: Decimal = decimal.to_string().parse().unwrap();
            prop_assert_eq!((read.units(), read.decimals()), (decimal.units(), decimals));
        }

        #[test]
        fn order_is_that_of_the_numbers_on_one_scale(
            a: i64, b: i64, a_decimals in 0_u8..=18, b_decimals in 0_u8..=18,
        ) {
            let scaled = |units: i64, decimals: u8| {
                i128::from(units) * 10_i128.pow(18 - u32::from(decimals))
            };
            let order = scaled(a, a_decimals).cmp(&scaled(b, b_decimals));
            let new = |units: i64, decimals| Decimal::new(units.into(), decimals).unwrap();
            prop_assert_eq!(new(a, a_decimals).cmp(&new(b, b_decimals)), order);
        }
    }
}
