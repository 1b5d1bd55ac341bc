//! Exact decimals: [`Price`] and [`Quantity`] as a venue sends them, what sums of them give, and
//! [`Decimal`] where the number of decimals differs.
//!
//! All are integers that count a fixed fraction, so that sums are exact and the same in every
//! order. Text is read digit by digit; a binary fraction never stands between.

mod notional;
mod price;
mod ratio;
mod text;
mod written;

pub use notional::{AveragePrice, Notional, Ratio, Volume};
pub use price::{Price, Quantity};
pub(super) use ratio::ratio;
pub use text::DecimalError;
pub(super) use text::{eight_digits, leading};
pub use written::Decimal;
