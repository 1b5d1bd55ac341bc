//! The rows of the CSV files: one column a field.

use aqueduct::market::{
    AveragePrice, Bar, Notional, Price, Quantity, Quote, Side, Sign, TickRule, TopOfBook, Trade,
    Volume, quote_rule,
};
use aqueduct::window::Window;
use serde::Serialize;

/// A row of `bars_1s.csv` and `bars_1m.csv`.
#[derive(Debug, Serialize)]
pub struct BarRow {
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

/// A row of `book_top.csv`. An empty side has empty columns.
#[derive(Debug, Serialize)]
pub struct BookRow {
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

/// A row of `asof.csv`. A trade before the first quote has empty columns.
#[derive(Debug, Serialize)]
pub struct AsOfRow {
    trade_id: u64,
    trade_key: i64,
    quote_u: Option<u64>,
    quote_key: Option<i64>,
    bid_px: Option<Price>,
    ask_px: Option<Price>,
    age: Option<i64>,
    quote_rule: Sign,
    tick_rule: Sign,
    lee_ready: Sign,
    truth: Sign,
}

impl AsOfRow {
    /// The row of the next trade and the quote that it met.
    pub fn next(ticks: &mut TickRule, (trade, quote): (Trade, Option<Quote>)) -> Option<Self> {
        let by_quote = quote.map_or(Sign::None, |quote| quote_rule(trade.price, &quote));
        let by_tick = ticks.sign(trade.price);
        let key = trade.received.as_nanos();
        Some(Self {
            trade_id: trade.id,
            trade_key: key,
            quote_u: quote.map(|quote| quote.update_id),
            quote_key: quote.map(|quote| quote.received.as_nanos()),
            bid_px: quote.map(|quote| quote.bid.price),
            ask_px: quote.map(|quote| quote.ask.price),
            age: quote.map(|quote| key - quote.received.as_nanos()),
            quote_rule: by_quote,
            tick_rule: by_tick,
            lee_ready: by_quote.or(by_tick),
            truth: match trade.taker {
                Side::Buy => Sign::Buy,
                Side::Sell => Sign::Sell,
            },
        })
    }
}
