//! The top of a book.

use aqueduct::market::{Price, Quantity, TopOfBook};

use super::row;

row! {
    /// The top of the book after a diff. An empty side has empty columns.
    BookRow {
        line: u64,
        local_ns: i64,
        event_ms: i64,
        first_id: u64,
        last_id: u64,
        bid_px: Option<Price>,
        bid_qty: Option<Quantity>,
        ask_px: Option<Price>,
        ask_qty: Option<Quantity>,
        n_bids: usize,
        n_asks: usize,
    }
}

impl From<TopOfBook> for BookRow {
    fn from(top: TopOfBook) -> Self {
        Self {
            line: top.line,
            local_ns: top.received.as_nanos(),
            event_ms: top.time.as_millis(),
            first_id: top.first_id,
            last_id: top.last_id,
            bid_px: top.best_bid.map(|level| level.price),
            bid_qty: top.best_bid.map(|level| level.quantity),
            ask_px: top.best_ask.map(|level| level.price),
            ask_qty: top.best_ask.map(|level| level.quantity),
            n_bids: top.bids,
            n_asks: top.asks,
        }
    }
}
