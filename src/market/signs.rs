//! Who was the aggressor of a trade, as price and quote let one guess.

use std::cmp::Ordering;

use serde::{Serialize, Serializer};

use super::{Price, Quote};

/// The guessed side of the aggressor: +1 bought, −1 sold, 0 undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Sign {
    /// The aggressor sold.
    Sell = -1,
    /// Undecided.
    #[default]
    None = 0,
    /// The aggressor bought.
    Buy = 1,
}

impl Sign {
    /// +1, 0 or −1.
    pub const fn as_i8(self) -> i8 {
        self as i8
    }

    /// This sign, or the other if this is undecided.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        if self == Self::None { other } else { self }
    }
}

impl From<Ordering> for Sign {
    fn from(ordering: Ordering) -> Self {
        match ordering {
            Ordering::Less => Self::Sell,
            Ordering::Equal => Self::None,
            Ordering::Greater => Self::Buy,
        }
    }
}

impl Serialize for Sign {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i8(self.as_i8())
    }
}

/// The quote rule: a trade above the middle of bid and ask was bought, one below it sold, one at
/// the middle is undecided. (Lee and Ready, Journal of Finance 46, 1991.)
///
/// ```
/// # use aqueduct::{Timestamp, market::{Level, Quote, Sign, Symbol, quote_rule}};
/// # let level = |p: &str| Level { price: p.parse().unwrap(), quantity: "1".parse().unwrap() };
/// # let mut quote = Quote { received: Timestamp::EPOCH, time: None, update_id: 0,
/// #     symbol: "BTCUSDT".parse().unwrap(), bid: level("99.98"), ask: level("100.02") };
/// assert_eq!(quote_rule("100.01".parse().unwrap(), &quote), Sign::Buy);
/// assert_eq!(quote_rule("100.00".parse().unwrap(), &quote), Sign::None);
/// ```
pub fn quote_rule(price: Price, quote: &Quote) -> Sign {
    let twice = 2 * i128::from(price.units());
    let middle = i128::from(quote.bid.price.units()) + i128::from(quote.ask.price.units());
    twice.cmp(&middle).into()
}

/// The tick rule: the sign of the last price change that was not zero; undecided before the first.
///
/// ```
/// # use aqueduct::market::{Sign, TickRule};
/// let mut rule = TickRule::default();
/// let prices = ["100.0", "100.0", "100.1", "100.1", "99.9"];
/// let signs = prices.map(|price| rule.sign(price.parse().unwrap()).as_i8());
/// assert_eq!(signs, [0, 0, 1, 1, -1]);
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct TickRule {
    last: Option<Price>,
    sign: Sign,
}

impl TickRule {
    /// The sign of the next trade.
    pub fn sign(&mut self, price: Price) -> Sign {
        if let Some(last) = self.last.replace(price) {
            self.sign = Sign::from(price.cmp(&last)).or(self.sign);
        }
        self.sign
    }
}
