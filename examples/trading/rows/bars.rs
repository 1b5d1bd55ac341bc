//! Bars by time, and bars by what was traded.

use aqueduct::market::{AveragePrice, Bar, Notional, Price, Volume};
use aqueduct::window::Window;

use super::row;

row! {
    /// A bar of a window of time.
    BarRow {
        start_ms: i64,
        open: Price,
        high: Price,
        low: Price,
        close: Price,
        volume: Volume,
        notional: Notional,
        vwap: Option<AveragePrice>,
        taker_buy_volume: Volume,
        trades: u64,
        first_id: u64,
        last_id: u64,
        complete: u8,
    }
}

impl From<Window<Bar>> for BarRow {
    fn from(Window { start, complete, value: bar, .. }: Window<Bar>) -> Self {
        Self {
            start_ms: start.as_millis(),
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            notional: bar.notional,
            vwap: bar.vwap(),
            taker_buy_volume: bar.taker_buy_volume,
            trades: bar.trades,
            first_id: bar.first_id,
            last_id: bar.last_id,
            complete: complete.into(),
        }
    }
}

row! {
    /// A bar from its first trade to the one that has filled it.
    FilledRow {
        t_open: i64,
        t_close: i64,
        open: Price,
        high: Price,
        low: Price,
        close: Price,
        volume: Volume,
        notional: Notional,
        vwap: Option<AveragePrice>,
        taker_buy_volume: Volume,
        trades: u64,
        first_id: u64,
        last_id: u64,
        complete: u8,
    }
}

impl From<Window<Bar>> for FilledRow {
    fn from(Window { start, end, complete, value: bar, .. }: Window<Bar>) -> Self {
        Self {
            t_open: start.as_millis(),
            t_close: end.as_millis(),
            open: bar.open,
            high: bar.high,
            low: bar.low,
            close: bar.close,
            volume: bar.volume,
            notional: bar.notional,
            vwap: bar.vwap(),
            taker_buy_volume: bar.taker_buy_volume,
            trades: bar.trades,
            first_id: bar.first_id,
            last_id: bar.last_id,
            complete: complete.into(),
        }
    }
}
