//! The best levels of the book: asks above, bids below.

use aqueduct::market::{BookState, Level};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget;

use super::draw::{DIM, FALL, RISE, panel};
use super::text;
use crate::screen::Shown;

/// A row of a bar, filled by so many eighths.
const EIGHTHS: [&str; 9] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"];

/// The ladder, with the spread in the middle.
#[derive(Debug)]
pub(super) struct Ladder<'a>(pub(super) &'a Shown);

impl Widget for Ladder<'_> {
    fn render(self, area: Rect, buf: &mut Buffer) {
        let Shown { bids, asks, book, .. } = self.0;
        let block = panel("book", state(*book));
        let inner = block.inner(area);
        block.render(area, buf);
        if inner.is_empty() {
            return;
        }
        let side = usize::from((inner.height - 1) / 2);
        let (asks, bids) = (&asks[..side.min(asks.len())], &bids[..side.min(bids.len())]);
        let columns = Columns::of(asks, bids, inner.width);

        let middle = inner.y + side as u16;
        let row = |y| Rect { y, height: 1, ..inner };
        for (y, level) in (inner.y..middle).rev().zip(asks) {
            columns.line(level, FALL).render(row(y), buf);
        }
        columns.spread(asks, bids).render(row(middle), buf);
        for (y, level) in (middle + 1..inner.bottom()).zip(bids) {
            columns.line(level, RISE).render(row(y), buf);
        }
        if !matches!(book, Some(BookState::Live { .. })) {
            buf.set_style(inner, DIM);
        }
    }
}

fn state(book: Option<BookState>) -> Span<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    match book {
        None | Some(BookState::Empty) => Span::styled("empty", DIM),
        Some(BookState::Buffering) => Span::styled(" buffering ", bold.reversed()),
        Some(BookState::Live { .. }) => Span::styled("live", bold.fg(RISE)),
        Some(BookState::Gapped { .. }) => Span::styled(" gapped ", bold.fg(FALL).reversed()),
    }
}

/// How wide and how fine the columns are.
#[derive(Debug)]
struct Columns {
    price: (usize, usize),
    quantity: (usize, usize),
    /// The longest bar, and the quantity that it stands for.
    bar: (usize, f64),
}

impl Columns {
    fn of(asks: &[Level], bids: &[Level], width: u16) -> Self {
        let levels = asks.iter().chain(bids);
        let (price_places, quantity_places) = text::level_places(levels.clone());
        let widest = |value: fn(&Level) -> f64, places: usize| {
            let lengths = levels.clone().map(|level| format!("{:.places$}", value(level)).len());
            lengths.max().unwrap_or(0)
        };
        let price = widest(|level| level.price.to_f64(), price_places);
        let quantity = widest(|level| level.quantity.to_f64(), quantity_places);
        let most = levels.map(|level| level.quantity.to_f64()).fold(0.0, f64::max);
        Self {
            price: (price, price_places),
            quantity: (quantity, quantity_places),
            bar: (usize::from(width).saturating_sub(price + quantity + 3), most),
        }
    }

    fn line(&self, level: &Level, colour: Color) -> Line<'static> {
        let ((price, price_places), (quantity, quantity_places)) = (self.price, self.quantity);
        let (longest, most) = self.bar;
        let share = level.quantity.to_f64() / most.max(f64::MIN_POSITIVE);
        let eighths = (share * longest as f64 * 8.0).round() as usize;
        Line::from_iter([
            Span::styled(format!("{:price$.price_places$} ", level.price.to_f64()), colour),
            Span::raw(format!("{:quantity$.quantity_places$} ", level.quantity.to_f64())),
            Span::styled("█".repeat(eighths / 8) + EIGHTHS[eighths % 8], colour),
        ])
    }

    fn spread(&self, asks: &[Level], bids: &[Level]) -> Line<'static> {
        let (Some(ask), Some(bid)) = (asks.first(), bids.first()) else { return Line::default() };
        let (width, places) = self.price;
        let spread = ask.price.to_f64() - bid.price.to_f64();
        let style = if spread > 0.0 { DIM } else { Style::new().fg(FALL).bold() };
        Line::styled(format!("{spread:width$.places$} spread"), style)
    }
}
