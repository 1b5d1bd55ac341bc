//! Market data: exact prices and quantities, trades, quotes and books, and the venue's decoder.

mod bars;
pub mod binance;
mod book;
mod decimal;
mod event;
mod simulated;
mod symbol;

pub use bars::{Bar, Ohlcv};
pub use book::{BookEvent, BookState, OrderBook, TopOfBook};
pub use decimal::{AveragePrice, DecimalError, Notional, Price, Quantity, Volume};
pub use event::{BookMessage, DepthUpdate, Level, MarketEvent, Quote, Side, Snapshot, Trade};
pub use simulated::{SimulatedVenue, WireLine, WireLines};
pub use symbol::{Symbol, SymbolError};
