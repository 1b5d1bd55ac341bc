//! The latest trades, and which side of the quote they hit.

use std::collections::VecDeque;

use aqueduct::market::{Quote, Side, Trade};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::draw::{DIM, FALL, RISE, panel};
use super::text;

/// A width that has room for milliseconds.
const WIDE: u16 = 34;

/// Trades, the latest at the top; green if the aggressor bought.
#[derive(Debug)]
pub(super) struct Tape<'a>(pub(super) &'a VecDeque<(Trade, Option<Quote>)>);

impl Widget for Tape<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let block = panel("trades", Span::default());
        let inner = block.inner(area);
        block.render(area, buf);

        let shown = self.0.iter().rev().take(inner.height.into());
        let prices = text::price_places(shown.clone().map(|(trade, _)| trade.price));
        let quantities = text::quantity_places(shown.clone().map(|(trade, _)| trade.quantity));
        let time = if area.width < WIDE { text::time } else { text::time_millis };
        for (row, (trade, quote)) in inner.rows().zip(shown) {
            let colour = match trade.taker {
                Side::Buy => RISE,
                Side::Sell => FALL,
            };
            let (price, quantity) = (trade.price.to_f64(), trade.quantity.to_f64());
            let line = Line::from_iter([
                Span::styled(time(trade.time), DIM),
                Span::styled(
                    format!(" {price:.prices$} {:<3} ", hit(trade, quote.as_ref())),
                    colour,
                ),
                Span::raw(format!("{quantity:.quantities$}")),
            ]);
            line.render(row, buf);
        }
    }
}

/// Which side of the quote the trade hit; nothing before the first quote.
fn hit(trade: &Trade, quote: Option<&Quote>) -> &'static str {
    match quote {
        None => "",
        Some(quote) if trade.price >= quote.ask.price => "ask",
        Some(quote) if trade.price <= quote.bid.price => "bid",
        Some(_) => "mid",
    }
}
