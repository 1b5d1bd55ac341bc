//! Numbers and times as text.

use aqueduct::Timestamp;
use aqueduct::market::{Level, Price, Quantity};

/// The decimal places of the units of prices and quantities.
const MOST: u32 = 8;
/// Fewer look odd in a column of prices.
const FEWEST: u32 = 2;

/// How many decimal places show all of `units` exactly.
fn places(units: impl Iterator<Item = i128>) -> usize {
    let needed = |units: i128| {
        (FEWEST..MOST).find(|places| units % 10_i128.pow(MOST - places) == 0).unwrap_or(MOST)
    };
    units.map(needed).max().unwrap_or(FEWEST) as usize
}

/// How many decimal places show all of the prices exactly.
pub(super) fn price_places(prices: impl Iterator<Item = Price>) -> usize {
    places(prices.map(|price| price.units().into()))
}

/// How many decimal places show all of the quantities exactly.
pub(super) fn quantity_places(quantities: impl Iterator<Item = Quantity>) -> usize {
    places(quantities.map(Quantity::units))
}

/// The decimal places of the prices and the quantities of levels.
pub(super) fn level_places<'a>(levels: impl Iterator<Item = &'a Level> + Clone) -> (usize, usize) {
    let prices = price_places(levels.clone().map(|level| level.price));
    (prices, quantity_places(levels.map(|level| level.quantity)))
}

/// The time of day, UTC.
pub(super) fn time(at: Timestamp) -> String {
    let second = at.as_secs().rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

/// The time of day, UTC, with milliseconds.
pub(super) fn time_millis(at: Timestamp) -> String {
    format!("{}.{:03}", time(at), at.as_millis().rem_euclid(1000))
}

/// A number in at most 5 characters, up to 999 billion.
pub(super) fn short(number: f64) -> String {
    let (scaled, suffix) = match number.abs() {
        small if small < 999.5 => return format!("{number:.0}"),
        thousands if thousands < 999.5e3 => (number / 1e3, "k"),
        millions if millions < 999.5e6 => (number / 1e6, "M"),
        _ => (number / 1e9, "G"),
    };
    let places = match scaled.abs() {
        one if one < 9.995 => 2,
        ten if ten < 99.95 => 1,
        _ => 0,
    };
    format!("{scaled:.places$}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_has_the_places_of_its_finest_number() {
        let price = |text: &str| text.parse::<Price>().unwrap();
        assert_eq!(price_places([price("100")].into_iter()), 2);
        assert_eq!(price_places([price("100.5"), price("0.0625")].into_iter()), 4);
        assert_eq!(price_places([price("0.00000001")].into_iter()), 8);
    }

    #[test]
    fn times_before_the_epoch_are_times_of_day_too() {
        assert_eq!(time_millis(Timestamp::from_millis(3_723_004)), "01:02:03.004");
        assert_eq!(time(Timestamp::from_secs(-1)), "23:59:59");
    }

    #[test]
    fn short_numbers_stay_within_five_characters() {
        let texts = [0.0, 999.4, 999.6, 9_994.0, 9_996.0, 123_456.0, 999_600.0, 2.5e9].map(short);
        assert_eq!(texts, ["0", "999", "1.00k", "9.99k", "10.0k", "123k", "1.00M", "2.50G"]);
    }
}
