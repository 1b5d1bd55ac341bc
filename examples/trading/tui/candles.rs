//! The bars of one second as candles, one column a bar.

use std::collections::VecDeque;

use aqueduct::Timestamp;
use aqueduct::market::Bar;
use aqueduct::window::Window;
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::Span;
use ratatui::widgets::Widget;

use super::draw::{DIM, FALL, RISE, panel};
use super::text;

/// A cell of a candle, by what is in its upper and in its lower half: nothing, wick or body.
const CELLS: [[&str; 3]; 3] = [[" ", "╷", "╻"], ["╵", "│", "╽"], ["╹", "╿", "┃"]];
const WICK: usize = 1;
const BODY: usize = 2;
/// A column of volume, filled by so many eighths.
const EIGHTHS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
/// Rows from one price of the axis to the next.
const PRICE_STEP: u16 = 4;
/// Seconds from one time of the axis to the next.
const TIME_STEP: i64 = 15;

/// The chart. The latest bar is at the right; a second without trades leaves its column empty.
#[derive(Debug)]
pub(super) struct Candles<'a>(pub(super) &'a VecDeque<Window<Bar>>);

impl Widget for Candles<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let block = panel("bars of 1 s", Span::default());
        let inner = block.inner(area);
        block.render(area, buf);
        if inner.is_empty() {
            return;
        }
        let Some(last) = self.0.back() else {
            "the first comes when its second is over".render(inner, buf);
            return;
        };
        let places = text::price_places(self.0.iter().map(|bar| bar.value.close));
        let label = |price: f64| format!(" {price:.places$}");
        let highest = self.0.iter().map(|bar| bar.value.high.to_f64()).fold(f64::MIN, f64::max);
        let widest = label(highest).len() as u16;
        let axis = if inner.width >= 2 * widest { widest } else { 0 };
        let volumes = if inner.height >= 8 { inner.height / 5 } else { 0 };
        let times = u16::from(inner.height >= 6);
        let [plot, axis] =
            Layout::horizontal([Constraint::Fill(1), Constraint::Length(axis)]).areas(inner);
        let rows = [Constraint::Fill(1), Constraint::Length(volumes), Constraint::Length(times)];
        let [prices, volumes, times] = Layout::vertical(rows).areas(plot);

        let shown = visible(self.0, plot);
        let Some(scale) = Scale::of(&shown, prices.height) else { return };
        let most = shown.iter().map(|(_, bar)| bar.volume.to_f64()).fold(0.0, f64::max);
        for (x, bar) in &shown {
            candle(bar, &scale, column(prices, *x), buf);
            volume(bar, most, column(volumes, *x), buf);
        }

        let mut price = |row: u16, price: f64, style: Style| {
            let (row, width) = (prices.y + row, axis.width.into());
            buf.set_stringn(axis.x, row, format!("{:<width$}", label(price)), width, style);
        };
        for row in (0..prices.height).step_by(PRICE_STEP.into()) {
            price(row, scale.price(row), DIM);
        }
        let close = last.value.close.to_f64();
        price(scale.half(close) / 2, close, Style::new().fg(colour(&last.value)).bold());
        time_axis(last.start, times, buf);
    }
}

fn column(area: Rect, x: u16) -> Rect {
    Rect { x, width: 1, ..area }
}

fn colour(bar: &Bar) -> Color {
    if bar.close < bar.open { FALL } else { RISE }
}

/// The bars for which `plot` has a column, each with its x.
fn visible(bars: &VecDeque<Window<Bar>>, plot: Rect) -> Vec<(u16, Bar)> {
    let Some(last) = bars.back() else { return Vec::new() };
    let length = last.end.saturating_since(last.start).as_nanos().max(1);
    let columns = bars.iter().rev().map_while(|bar| {
        let back = last.start.saturating_since(bar.start).as_nanos() / length;
        let back = u16::try_from(back).ok().filter(|back| *back < plot.width)?;
        Some((plot.right() - 1 - back, bar.value))
    });
    columns.filter(|(_, bar)| bar.trades > 0).collect()
}

/// Where prices are, in half rows from the top.
#[derive(Debug)]
struct Scale {
    top: f64,
    range: f64,
    halves: u16,
}

impl Scale {
    fn of(bars: &[(u16, Bar)], rows: u16) -> Option<Self> {
        let high = bars.iter().map(|(_, bar)| bar.high).max()?.to_f64();
        let low = bars.iter().map(|(_, bar)| bar.low).min()?.to_f64();
        let halves = rows.checked_mul(2).filter(|halves| *halves > 0)?;
        let range = high - low;
        // A price that never moved is in the middle.
        let (top, range) = if range > 0.0 { (high, range) } else { (high + 0.5, 1.0) };
        Some(Self { top, range, halves })
    }

    fn half(&self, price: f64) -> u16 {
        let last = f64::from(self.halves - 1);
        ((self.top - price) / self.range * last).round().clamp(0.0, last) as u16
    }

    /// The price in the middle of a row.
    fn price(&self, row: u16) -> f64 {
        let half = 2.0 * f64::from(row) + 0.5;
        self.top - half / f64::from(self.halves - 1) * self.range
    }
}

fn candle(bar: &Bar, scale: &Scale, area: Rect, buf: &mut Buffer) {
    let [open, high, low, close] =
        [bar.open, bar.high, bar.low, bar.close].map(|price| scale.half(price.to_f64()));
    let part = |half| match half {
        _ if (open.min(close)..=open.max(close)).contains(&half) => BODY,
        _ if (high..=low).contains(&half) => WICK,
        _ => 0,
    };
    for row in high / 2..=low / 2 {
        let cell = CELLS[part(2 * row)][part(2 * row + 1)];
        buf.set_string(area.x, area.y + row, cell, colour(bar));
    }
}

fn volume(bar: &Bar, most: f64, area: Rect, buf: &mut Buffer) {
    let full = f64::from(area.height) * 8.0;
    // At least one eighth: there were trades.
    let mut eighths =
        (bar.volume.to_f64() / most * full).round().clamp(1.0, full.max(1.0)) as usize;
    for y in area.rows().map(|row| row.y).rev() {
        let filled = eighths.min(8);
        buf.set_string(area.x, y, EIGHTHS[filled], colour(bar));
        eighths -= filled;
    }
}

fn time_axis(last: Timestamp, area: Rect, buf: &mut Buffer) {
    for (back, column) in (0..).zip(area.columns().rev()) {
        let second = Timestamp::from_secs(last.as_secs() - back);
        if area.height > 0 && second.as_secs() % TIME_STEP == 0 {
            let label = format!("╵{}", text::time(second));
            let room = area.right() - column.x;
            if label.chars().count() <= room.into() {
                buf.set_string(column.x, area.y, label, DIM);
            }
        }
    }
}
