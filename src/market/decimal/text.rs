//! Decimals from text and to text.

use std::fmt;

/// How many decimals a price or a quantity keeps.
const DECIMALS: usize = 8;

/// Why a text is not a price or a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecimalError {
    /// There is no text.
    #[error("an empty text is not a decimal")]
    Empty,
    /// Something else than digits with at most one point between them.
    #[error("{text:?} is not a decimal: digits with at most one point between them are expected")]
    NotDecimal {
        /// The text, at most its first 64 characters.
        text: String,
    },
    /// More decimals than are kept, zeros included.
    #[error("{text:?} has {found} decimals; at most {most} are kept")]
    TooManyDecimals {
        /// The text, at most its first 64 characters.
        text: String,
        /// How many there are.
        found: usize,
        /// How many are kept.
        most: usize,
    },
    /// Too large.
    #[error("{text:?} is out of range: the largest that is kept is {largest}")]
    OutOfRange {
        /// The text, at most its first 64 characters.
        text: String,
        /// What would have fitted.
        largest: &'static str,
    },
    /// A quantity below zero.
    #[error("{text:?} is negative; a quantity is not")]
    Negative {
        /// The text, at most its first 64 characters.
        text: String,
    },
}

/// The beginning of `text`, for a message: enough to find it in the input, never the whole of a
/// damaged line.
fn quoted(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The largest price: 64 bits.
const LARGEST_PRICE: &str = "92233720368.54775807";
/// The largest quantity: 17 digits before the point.
const LARGEST_QUANTITY: &str = "99999999999999999.99999999";
const QUANTITIES: i128 = 10_i128.pow(17 + DECIMALS as u32);

/// A price: `text` in units of 1e-8.
pub(super) fn parse(text: &str) -> Result<i64, DecimalError> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    // What every venue sends; the rest pays for checks.
    if let Some(units) = short(digits.as_bytes()) {
        return Ok(if negative { -units } else { units });
    }
    let units = checked(text, digits, DECIMALS, LARGEST_PRICE)?;
    let units = if negative { -units } else { units };
    units.try_into().map_err(|_| out_of_range(text, LARGEST_PRICE))
}

/// A quantity: `text`, without a sign, in units of 1e-8.
pub(super) fn parse_unsigned(text: &str) -> Result<i128, DecimalError> {
    if let Some(units) = short(text.as_bytes()) {
        return Ok(units.into());
    }
    if let Some(digits) = text.strip_prefix('-') {
        checked(text, digits, DECIMALS, LARGEST_QUANTITY)?;
        return Err(DecimalError::Negative { text: quoted(text) });
    }
    match checked(text, text, DECIMALS, LARGEST_QUANTITY)? {
        units if units < QUANTITIES => Ok(units),
        _ => Err(out_of_range(text, LARGEST_QUANTITY)),
    }
}

fn out_of_range(text: &str, largest: &'static str) -> DecimalError {
    DecimalError::OutOfRange { text: quoted(text), largest }
}

/// The usual text, alone.
fn short(text: &[u8]) -> Option<i64> {
    leading(text).filter(|(_, length)| *length == text.len()).map(|(units, _)| units)
}

/// The usual text at the beginning of a longer one, and its length: an integer part of at most nine
/// digits, which cannot overflow, a point and eight decimals.
pub(in crate::market) fn leading(text: &[u8]) -> Option<(i64, usize)> {
    let mut integer = 0;
    let mut digits = 0;
    while let Some(digit @ b'0'..=b'9') = text.get(digits) {
        integer = integer * 10 + i64::from(digit - b'0');
        digits += 1;
        if digits > 9 {
            return None;
        }
    }
    let (b'.', decimals) = text.get(digits..)?.split_first()? else {
        return None;
    };
    let decimals = eight_digits(decimals.first_chunk()?)?;
    (digits > 0).then_some((integer * 100_000_000 + i64::from(decimals), digits + 1 + DECIMALS))
}

/// The number that eight digits are, if they are.
///
/// Neighbours are joined within one word, digits to pairs, pairs to fours and those to the whole:
/// three multiplications one after the other instead of eight.
pub(in crate::market) fn eight_digits(text: &[u8; DECIMALS]) -> Option<u32> {
    // The first digit is in the lowest byte. A byte is above nine if it, or it plus 0x76, has its
    // highest bit set; the first byte that is above cannot have come so by a carry.
    let digits = u64::from_le_bytes(*text) ^ 0x3030_3030_3030_3030;
    let above = digits | digits.wrapping_add(0x7676_7676_7676_7676);
    if above & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    Some((fours * 10_000 + (fours >> 32)) as u32)
}

/// Any text: digits with at most one point between them, in units of 1e-`most`.
pub(super) fn checked(
    text: &str,
    digits: &str,
    most: usize,
    largest: &'static str,
) -> Result<i128, DecimalError> {
    if text.is_empty() {
        return Err(DecimalError::Empty);
    }
    let mut parts = digits.as_bytes().splitn(2, |byte| *byte == b'.');
    let integer = parts.next().unwrap_or_default();
    let decimals = parts.next();
    let all_digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !all_digits(integer) || !decimals.is_none_or(all_digits) {
        return Err(DecimalError::NotDecimal { text: quoted(text) });
    }
    let decimals = decimals.unwrap_or_default();
    if decimals.len() > most {
        return Err(DecimalError::TooManyDecimals {
            text: quoted(text),
            found: decimals.len(),
            most,
        });
    }
    let zeros = std::iter::repeat_n(&b'0', most - decimals.len());
    let mut digits = integer.iter().chain(decimals).chain(zeros);
    digits
        .try_fold(0_i128, |units, digit| {
            units.checked_mul(10)?.checked_add(i128::from(digit - b'0'))
        })
        .ok_or_else(|| out_of_range(text, largest))
}

/// Writes `units`, which count 1e-`decimals`, with all of its decimals.
pub(super) fn write(f: &mut fmt::Formatter<'_>, units: i128, decimals: usize) -> fmt::Result {
    // 39 digits and a point fit.
    let mut buffer = [b'0'; 48];
    let mut at = buffer.len();
    let mut wide = units.unsigned_abs();
    let mut written = 0;
    let mut put = |digit: u8| {
        if written == decimals && decimals > 0 {
            at -= 1;
            buffer[at] = b'.';
        }
        at -= 1;
        buffer[at] = b'0' + digit;
        written += 1;
        written <= decimals
    };
    let mut more = true;
    // Division of 128 bits is slow and nearly always unnecessary.
    while wide > u128::from(u64::MAX) {
        more = put((wide % 10) as u8);
        wide /= 10;
    }
    let mut narrow = wide as u64;
    while narrow > 0 || more {
        more = put((narrow % 10) as u8);
        narrow /= 10;
    }
    // Honours a width, and leaves out of account a precision, which would cut digits off.
    let digits = std::str::from_utf8(&buffer[at..]).unwrap_or_default();
    f.pad_integral(units >= 0, "", digits)
}

#[cfg(test)]
mod tests {
    use super::super::{AveragePrice, Notional, Price, Quantity, Volume};
    use super::*;
    use proptest::prelude::*;

    fn price(text: &str) -> Result<i64, DecimalError> {
        text.parse::<Price>().map(Price::units)
    }

    #[test]
    fn missing_decimals_count_as_zeros() {
        assert_eq!(price("61837.63"), Ok(6_183_763_000_000));
        assert_eq!(price("61837.63000000"), Ok(6_183_763_000_000));
        assert_eq!(price("7"), Ok(700_000_000));
        assert_eq!(price("-0.00000001"), Ok(-1));
        assert_eq!(price("000000000000000000000000001.0"), Ok(100_000_000));
    }

    #[test]
    fn the_ends_of_the_range_are_reached_and_not_passed() {
        assert_eq!(price("92233720368.54775807"), Ok(i64::MAX));
        assert_eq!(price("-92233720368.54775808"), Ok(i64::MIN));
        for beyond in ["92233720368.54775808", "-92233720368.54775809", "92233720369"] {
            assert_eq!(price(beyond), Err(out_of_range(beyond, LARGEST_PRICE)));
        }
    }

    #[test]
    fn what_is_no_decimal_is_refused_and_quoted() {
        assert_eq!(price(""), Err(DecimalError::Empty));
        for odd in [
            "-",
            ".",
            "1.",
            ".5",
            "+1",
            "1e5",
            "1.2.3",
            " 1",
            "1 ",
            "0x1",
            "1,5",
            "--1",
            "NaN",
            "١",
            "1.0000000a",
            "1.-0000000",
            "a1837.63000000",
            "6183:.63000000",
            "61837.6300000/",
        ] {
            let text = odd.to_owned();
            assert_eq!(price(odd), Err(DecimalError::NotDecimal { text }));
        }
    }

    #[test]
    fn a_ninth_decimal_is_refused_even_if_zero() {
        let refused = "0.100000000".parse::<Quantity>().unwrap_err();
        assert_eq!(refused.to_string(), "\"0.100000000\" has 9 decimals; at most 8 are kept");
    }

    #[test]
    fn a_quantity_has_no_sign() {
        for text in ["-1", "-0", "-0.00000000"] {
            let text = text.to_owned();
            assert_eq!(text.parse::<Quantity>(), Err(DecimalError::Negative { text }));
        }
    }

    #[test]
    fn a_quantity_of_trillions_fits_and_one_with_eighteen_digits_does_not() {
        for fits in ["92233720369.00000000", LARGEST_QUANTITY] {
            assert_eq!(
                fits.parse::<Quantity>().map(|quantity| quantity.to_string()),
                Ok(fits.into())
            );
        }
        let beyond = "100000000000000000.00000000";
        assert_eq!(beyond.parse::<Quantity>(), Err(out_of_range(beyond, LARGEST_QUANTITY)));
    }

    #[test]
    fn a_message_quotes_only_the_beginning_of_a_long_text() {
        let refused = price(&"9".repeat(1_000)).unwrap_err();
        assert!(refused.to_string().len() < 200);
    }

    #[test]
    fn text_has_all_decimals_and_honours_a_width() {
        assert_eq!(Price::from_units(-5).to_string(), "-0.00000005");
        assert_eq!(Quantity::ZERO.to_string(), "0.00000000");
        assert_eq!(format!("{:>12.2}", Price::from_units(1)), "  0.00000001");
        assert_eq!(AveragePrice::from_units(10_i128.pow(10)).to_string(), "1.0000000000");
        assert_eq!(
            Notional::from_units(i128::MIN).to_string(),
            "-17014118346046923173168.7303715884105728"
        );
    }

    #[test]
    fn serde_takes_text_and_refuses_a_number() {
        let price: Price = serde_json::from_str(r#""61837.63""#).unwrap();
        assert_eq!(serde_json::to_string(&price).unwrap(), r#""61837.63000000""#);
        // An escape makes the text one that cannot be borrowed.
        let price: Price = serde_json::from_str(r#""\u0031.5""#).unwrap();
        assert_eq!(price.to_string(), "1.50000000");
        assert!(serde_json::from_str::<Price>("61837.63").is_err());
    }

    proptest! {
        #[test]
        fn every_price_survives_its_text(units: i64) {
            let price = Price::from_units(units);
            prop_assert_eq!(price.to_string().parse(), Ok(price));
        }

        #[test]
        fn text_agrees_with_wide_arithmetic(
            integer in "[0-9]{1,14}",
            decimals in prop::option::of("[0-9]{1,10}"),
        ) {
            let text = match &decimals {
                Some(decimals) => format!("{integer}.{decimals}"),
                None => integer.clone(),
            };
            let decimals = decimals.unwrap_or_default();
            let exact = format!("{integer}{decimals:0<10}").parse::<i128>().unwrap();
            let expected = if decimals.len() > 8 {
                None
            } else {
                i64::try_from(exact / 100).ok()
            };
            prop_assert_eq!(price(&text).ok(), expected);
        }

        #[test]
        fn any_text_parses_to_what_it_says_or_not_at_all(text in "[-0-9.e+ ]{0,24}") {
            if let Ok(units) = price(&text) {
                let exact: f64 = text.parse().unwrap();
                prop_assert!((units as f64 / 1e8 - exact).abs() <= exact.abs() * 1e-15);
            }
        }

        #[test]
        fn wide_text_agrees_with_integer_formatting(units: i128) {
            let digits = format!("{:0>9}", units.unsigned_abs());
            let (integer, decimals) = digits.split_at(digits.len() - 8);
            let sign = if units < 0 { "-" } else { "" };
            let expected = format!("{sign}{integer}.{decimals}");
            prop_assert_eq!(Volume::from_units(units).to_string(), expected);
        }
    }
}
