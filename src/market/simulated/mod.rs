//! [`SimulatedVenue`]: an exchange that a seed decides, for tests and demonstrations without a feed.

mod exchange;
mod lines;
mod random;
mod wire;

use std::panic::Location;
use std::time::Duration;

pub use lines::{WireLine, WireLines};

use super::{Price, Quantity, Symbol};
use crate::Timestamp;

/// An exchange with one instrument, whose messages speak the format of Binance's combined spot
/// streams: trades, best bid and ask after each change of either, a depth update every 100 ms, and
/// one snapshot, which arrives after the first updates, as the answer to a request would.
///
/// Behind the messages is a book in which limit orders come and go and market orders trade; every
/// message agrees with it, and it is never crossed. The same seed and settings give the same lines
/// on every platform. The defaults give about 200 messages a second.
///
/// ```
/// use aqueduct::market::{SimulatedVenue, binance};
///
/// let mut trades = 0;
/// for (index, line) in SimulatedVenue::new(42).lines().take(1_000).enumerate() {
///     let event = binance::decode(index as u64, line.received, line.json.as_bytes())?;
///     trades += usize::from(event.trade().is_some());
/// }
/// assert!(trades > 50);
/// # Ok::<(), binance::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a venue says nothing until its lines are taken"]
pub struct SimulatedVenue {
    seed: u64,
    symbol: Symbol,
    start: Timestamp,
    price: Price,
    tick: Price,
    lot: Quantity,
    levels: usize,
    orders: u32,
    market_orders: u32,
    latency: Duration,
}

impl SimulatedVenue {
    /// A venue with the default settings.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            symbol: const { Symbol::from_static("BTCUSDT") },
            start: Timestamp::from_secs(1_700_000_000),
            price: Price::from_units(60_000 * 100_000_000),
            tick: Price::from_units(1_000_000),
            lot: Quantity::from_units(1_000),
            levels: 1_000,
            orders: 300,
            market_orders: 20,
            latency: Duration::from_millis(5),
        }
    }

    /// The name of the instrument; `BTCUSDT` otherwise.
    pub fn symbol(mut self, symbol: Symbol) -> Self {
        self.symbol = symbol;
        self
    }

    /// The venue's time at the start; 2023-11-14 22:13:20 UTC otherwise.
    pub fn starting_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// The price around which the first orders rest; 60,000 otherwise.
    pub fn start_price(mut self, price: Price) -> Self {
        self.price = price;
        self
    }

    /// The step between prices; 0.01 otherwise.
    pub fn tick_size(mut self, tick: Price) -> Self {
        self.tick = tick;
        self
    }

    /// The step between quantities; 0.00001 otherwise.
    pub fn lot_size(mut self, lot: Quantity) -> Self {
        self.lot = lot;
        self
    }

    /// How many levels each side of the book has at the start and about keeps; 1,000 otherwise.
    pub fn levels(mut self, levels: usize) -> Self {
        self.levels = levels;
        self
    }

    /// How many limit orders and cancellations come in a second on average; 300 otherwise. About
    /// two in five change the best bid or ask.
    pub fn orders_per_second(mut self, orders: u32) -> Self {
        self.orders = orders;
        self
    }

    /// How many market orders come in a second on average; 20 otherwise. Each gives one trade for
    /// every level that it takes from.
    pub fn market_orders_per_second(mut self, orders: u32) -> Self {
        self.market_orders = orders;
        self
    }

    /// How long a message travels at least; 5 ms otherwise. A quarter of it is added at random.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// The messages, without end, in the order of arrival.
    ///
    /// # Panics
    ///
    /// If the tick size, the lot size, the number of levels or the rate of orders is not positive,
    /// or the start price less than two ticks.
    #[track_caller]
    pub fn lines(self) -> WireLines {
        let site = Location::caller();
        let positive = |name: &str, value: bool| {
            assert!(value, "SimulatedVenue: {name} must not be zero, at {site}");
        };
        positive("the tick size", self.tick > Price::ZERO);
        positive("the lot size", self.lot > Quantity::ZERO);
        positive("the number of levels", self.levels > 0);
        positive("the rate of orders", self.orders > 0);
        assert!(
            self.price.units() / self.tick.units() >= 2,
            "SimulatedVenue: the start price must be two ticks at least, at {site}"
        );
        WireLines::new(self)
    }
}

impl IntoIterator for SimulatedVenue {
    type Item = WireLine;
    type IntoIter = WireLines;

    #[track_caller]
    fn into_iter(self) -> WireLines {
        self.lines()
    }
}
