//! [`WireLines`]: the messages of a [`SimulatedVenue`], in the order of arrival.

use std::collections::VecDeque;
use std::fmt;
use std::iter::FusedIterator;
use std::time::Duration;

use super::SimulatedVenue;
use super::exchange::{Exchange, Resting};
use super::random::Random;
use super::wire::Wire;
use crate::Timestamp;

/// The id of the book at the start.
const FIRST_UPDATE: u64 = 50_000_000_000;
/// How often the venue sends a depth update.
const DEPTH_EVERY: Duration = Duration::from_millis(100);
/// When the venue takes the snapshot: between two depth updates, so that one of them contains it.
const SNAPSHOT_TAKEN: Duration = Duration::from_millis(250);
/// When it sends the snapshot: two updates later.
const SNAPSHOT_SENT: Duration = Duration::from_millis(430);

/// A message as it arrives.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WireLine {
    /// When it arrives. Later than the line before.
    pub received: Timestamp,
    /// The message.
    pub json: String,
}

/// As in a recording: nanoseconds since the Unix epoch, a space, the message.
impl fmt::Display for WireLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.received.as_nanos(), self.json)
    }
}

/// The iterator behind [`SimulatedVenue::lines`]. It never ends.
#[derive(Debug, Clone)]
pub struct WireLines {
    exchange: Exchange,
    wire: Wire,
    random: Random,
    latency: Duration,
    /// The mean time between two orders, in nanoseconds, if there are any.
    between_orders: Option<i64>,
    /// The same of market orders.
    between_market_orders: Option<i64>,
    next_order: Timestamp,
    next_market_order: Timestamp,
    next_depth: Timestamp,
    next_snapshot: Timestamp,
    /// The snapshot between its taking and its sending.
    snapshot: Option<String>,
    trade_id: u64,
    /// The first change that the next depth update contains.
    first_id: u64,
    /// The best that was sent last.
    quoted: Option<(Resting, Resting)>,
    received: Timestamp,
    ready: VecDeque<WireLine>,
}

impl WireLines {
    pub(super) fn new(venue: SimulatedVenue) -> Self {
        let mut random = Random::new(venue.seed);
        let middle = venue.price.units() / venue.tick.units();
        let mut lines = Self {
            exchange: Exchange::new(random.split(), middle, venue.levels, FIRST_UPDATE),
            wire: Wire { symbol: venue.symbol, tick: venue.tick, lot: venue.lot },
            random,
            latency: venue.latency,
            between_orders: mean(venue.orders),
            between_market_orders: mean(venue.market_orders),
            next_order: Timestamp::MAX,
            next_market_order: Timestamp::MAX,
            next_depth: venue.start + DEPTH_EVERY,
            next_snapshot: venue.start + SNAPSHOT_TAKEN,
            snapshot: None,
            trade_id: 1,
            first_id: FIRST_UPDATE + 1,
            quoted: None,
            received: Timestamp::MIN,
            ready: VecDeque::new(),
        };
        lines.next_order = lines.after(venue.start, lines.between_orders);
        lines.next_market_order = lines.after(venue.start, lines.between_market_orders);
        lines
    }

    /// The next thing that happens at the venue, which may cause no message or several.
    fn step(&mut self) {
        let now = (self.next_order)
            .min(self.next_market_order)
            .min(self.next_depth)
            .min(self.next_snapshot);
        if now == self.next_market_order {
            self.next_market_order = self.after(now, self.between_market_orders);
            let mut fills = Vec::new();
            self.exchange.market_order(&mut |fill| fills.push(fill));
            for fill in fills {
                self.send(now, self.wire.trade(self.trade_id, now, fill));
                self.trade_id += 1;
            }
            self.quote(now);
        } else if now == self.next_order {
            self.next_order = self.after(now, self.between_orders);
            self.exchange.order();
            self.quote(now);
        } else if now == self.next_depth {
            self.next_depth = now + DEPTH_EVERY;
            self.depth(now);
        } else {
            self.snapshot(now);
        }
    }

    /// A quote, if the best has changed.
    fn quote(&mut self, now: Timestamp) {
        let best = self.exchange.best_bid().zip(self.exchange.best_ask());
        if let Some((bid, ask)) = best.filter(|_| best != self.quoted) {
            self.quoted = best;
            self.send(now, self.wire.quote(self.exchange.update_id, bid, ask));
        }
    }

    /// A depth update, if anything has changed.
    fn depth(&mut self, now: Timestamp) {
        let ids = (self.first_id, self.exchange.update_id);
        if ids.0 > ids.1 {
            return;
        }
        self.first_id = ids.1 + 1;
        let bids = self.exchange.bids.take_changes().rev();
        let asks = self.exchange.asks.take_changes();
        let json = self.wire.update(now, ids, bids, asks);
        self.send(now, json);
    }

    /// Takes the snapshot the first time and sends it the second.
    fn snapshot(&mut self, now: Timestamp) {
        if let Some(json) = self.snapshot.take() {
            self.next_snapshot = Timestamp::MAX;
            return self.send(now, json);
        }
        self.next_snapshot = now + (SNAPSHOT_SENT - SNAPSHOT_TAKEN);
        let own = |(price, quantity): (&i64, &i64)| (*price, *quantity);
        let bids = self.exchange.bids.levels.iter().rev().map(own);
        let asks = self.exchange.asks.levels.iter().map(own);
        self.snapshot = Some(self.wire.snapshot(self.exchange.update_id, bids, asks));
    }

    fn send(&mut self, now: Timestamp, json: String) {
        let latency = i64::try_from(self.latency.as_nanos()).unwrap_or(i64::MAX);
        let jitter = Duration::from_nanos(self.random.below(latency / 4).unsigned_abs());
        // One connection: messages do not overtake each other.
        let soonest = self.received + Duration::from_nanos(1);
        self.received = soonest.max(now + self.latency + jitter);
        self.ready.push_back(WireLine { received: self.received, json });
    }

    /// A time after `now`, on average by `mean`; never without one.
    fn after(&mut self, now: Timestamp, mean: Option<i64>) -> Timestamp {
        let Some(mean) = mean else {
            return Timestamp::MAX;
        };
        now + Duration::from_nanos(1 + self.random.below(2 * mean).unsigned_abs())
    }
}

/// The nanoseconds between two of what happens so often in a second.
fn mean(per_second: u32) -> Option<i64> {
    1_000_000_000_i64.checked_div(i64::from(per_second))
}

impl Iterator for WireLines {
    type Item = WireLine;

    fn next(&mut self) -> Option<WireLine> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            self.step();
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }
}

impl FusedIterator for WireLines {}

#[cfg(test)]
mod tests;
