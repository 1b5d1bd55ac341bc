//! The top of a book whose numbers are as the venue wrote them.

use aqueduct::market::kraken::{Kind, Top};
use aqueduct::market::{Decimal, Symbol};

use super::row;

row! {
    /// The top of a book after a message, and the checksums of the venue and of the book.
    KrakenRow {
        recv_ts: Decimal,
        pair: Symbol,
        kind: Kind,
        bid_px: Option<Decimal>,
        bid_qty: Option<Decimal>,
        ask_px: Option<Decimal>,
        ask_qty: Option<Decimal>,
        venue_crc: Option<u32>,
        computed_crc: u32,
        n_bids: usize,
        n_asks: usize,
    }
}

impl From<(Decimal, Top)> for KrakenRow {
    fn from((recv_ts, top): (Decimal, Top)) -> Self {
        Self {
            recv_ts,
            pair: top.pair,
            kind: top.kind,
            bid_px: top.best_bid.map(|level| level.price),
            bid_qty: top.best_bid.map(|level| level.volume),
            ask_px: top.best_ask.map(|level| level.price),
            ask_qty: top.best_ask.map(|level| level.volume),
            venue_crc: top.venue_checksum,
            computed_crc: top.checksum,
            n_bids: top.bids,
            n_asks: top.asks,
        }
    }
}
