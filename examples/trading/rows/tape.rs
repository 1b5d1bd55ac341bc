//! Trades and the quotes that they met.

use aqueduct::market::{Price, Quote, Side, Sign, TickRule, Trade, quote_rule};

use super::row;

row! {
    /// A trade, its quote and its signs. A trade before the first quote has empty columns.
    AsOfRow {
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
