//! Market data: exact prices and quantities, trades, quotes and books, bars, and the venue's decoder.
//!
//! A line from a venue becomes a [`MarketEvent`] by [`binance::decode`]; from there trades sum up to
//! bars ([`Ohlcv`]) and book messages to a book ([`OrderBook`]). [`SimulatedVenue`] gives lines where
//! there is no feed and no recording. Nothing here reads a clock or does I/O.
//!
//! ```
//! use aqueduct::market::{BookEvent, OrderBook, SimulatedVenue, binance};
//!
//! let mut book = OrderBook::new(1_024);
//! for (index, line) in SimulatedVenue::new(7).lines().take(2_000).enumerate() {
//!     let event = binance::decode(index as u64, line.received, line.json.as_bytes())?;
//!     if let Some(message) = event.book() {
//!         book.apply(&message, &mut |event| {
//!             if let BookEvent::Top(top) = event {
//!                 assert!(top.best_bid.unwrap().price < top.best_ask.unwrap().price);
//!             }
//!         });
//!     }
//! }
//! assert_eq!(book.depth(5).0.len(), 5);
//! # Ok::<(), binance::DecodeError>(())
//! ```

mod bars;
pub mod binance;
mod book;
mod decimal;
mod error;
mod event;
mod faults;
pub mod feed;
pub mod kraken;
mod quotes;
mod signs;
mod simulated;
mod symbol;

pub use bars::{Bar, Ohlcv};
pub use book::{BookEvent, BookState, OrderBook, TopOfBook};
pub use decimal::{AveragePrice, Decimal, DecimalError, Notional, Price, Quantity, Ratio, Volume};
pub use error::DecodeError;
pub use event::{BookMessage, DepthUpdate, Level, MarketEvent, Quote, Side, Snapshot, Trade};
pub use faults::Faults;
pub use quotes::{QuoteState, QuoteStats, QuoteSummary, order_flow};
pub use signs::{Sign, TickRule, quote_rule};
pub use simulated::{SimulatedVenue, WireLine, WireLines};
pub use symbol::{Symbol, SymbolError};
