//! Exact decimals: [`Price`] and [`Quantity`] as a venue sends them, and what sums of them give.
//!
//! All are integers that count a fixed fraction, so that sums are exact and the same in every
//! order. Text is read digit by digit; a binary fraction never stands between.

mod notional;
mod price;
mod text;

pub use notional::{AveragePrice, Notional, Volume};
pub use price::{Price, Quantity};
pub use text::DecimalError;
pub(super) use text::{eight_digits, leading};
