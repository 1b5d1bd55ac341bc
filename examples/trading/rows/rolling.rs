//! Averages and rolling statistics after each trade.

use aqueduct::market::{AveragePrice, Bar, Price, Trade, Volume};

use super::row;

row! {
    /// What is known after a trade. The columns with `ms` go by the venue's clock, the others by the
    /// receiver's.
    RollingRow {
        trade_id: u64,
        ema_span20: Option<f64>,
        ema_hl1s: Option<f64>,
        roll10s_count: u64,
        roll10s_qty: Volume,
        roll10s_vwap: Option<AveragePrice>,
        roll10s_min: Price,
        roll10s_max: Price,
        roll10s_ms_count_seen: u64,
        roll10s_ms_qty_seen: Volume,
    }
}

/// A trade and the averages up to it.
pub type Averaged = (Trade, (Option<f64>, Option<f64>));

impl RollingRow {
    /// The row of a trade with the averages up to it, and the bars of the time before it by both
    /// clocks.
    pub fn new((((trade, averages), recent), by_venue): ((Averaged, Bar), Bar)) -> Self {
        Self {
            trade_id: trade.id,
            ema_span20: averages.0,
            ema_hl1s: averages.1,
            roll10s_count: recent.trades,
            roll10s_qty: recent.volume,
            roll10s_vwap: recent.vwap(),
            roll10s_min: recent.low,
            roll10s_max: recent.high,
            roll10s_ms_count_seen: by_venue.trades,
            roll10s_ms_qty_seen: by_venue.volume,
        }
    }
}
