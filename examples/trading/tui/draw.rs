//! Where everything is on the screen.

use std::collections::BTreeMap;

use aqueduct::market::feed::ProblemKind;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use super::candles::Candles;
use super::ladder::Ladder;
use super::stages::Stages;
use super::tape::Tape;
use super::text::short;
use crate::screen::Shown;

/// Only these two colours of the terminal's own palette can be read on dark and on light; all
/// else is the terminal's own ink: dim, bold or reversed.
pub(super) const RISE: Color = Color::Green;
pub(super) const FALL: Color = Color::Red;
/// What is there to be looked up, not to be looked at.
pub(super) const DIM: Style = Style::new().add_modifier(Modifier::DIM);

/// A width that has room for book and trades beside each other.
const WIDE: u16 = 140;
/// A width that has room for book and trades above each other.
const NARROW: u16 = 50;
/// A height that has room for two panels above each other.
const HIGH: u16 = 15;

/// What there is to see beside the market.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The stages of the pipeline.
    pub(super) stages: Stages,
    /// What was wrong so far.
    pub(super) problems: BTreeMap<ProblemKind, u64>,
    /// Whether the feed was told to end.
    pub(super) stopping: bool,
}

/// A part of the screen: a line with the title, and no other border.
pub(super) fn panel(title: &'static str) -> Block<'static> {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let title = Line::from_iter([Span::styled(title, bold), Span::raw(" ")]);
    Block::new().borders(Borders::TOP).border_style(DIM).title(title)
}

/// Draws everything that there is room for.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown, view: &mut View) {
    let screen = frame.area();
    let [body, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(screen);
    let lower = if body.height < HIGH { 0 } else { view.stages.height().min(body.height / 2) };
    let right = match screen.width {
        0..NARROW => 0,
        NARROW..WIDE => 28,
        WIDE.. => 66,
    };
    let [left, right] = beside(body, right);
    let [candles, stages] = above(left, lower);
    let [ladder, tape] = if screen.width < WIDE { above(right, lower) } else { beside(right, 34) };
    frame.render_widget(Candles(&shown.bars), candles);
    frame.render_widget(Ladder(shown), ladder);
    frame.render_widget(Tape(&shown.tape), tape);
    view.stages.render(stages, frame.buffer_mut());
    frame.render_widget(totals(view), foot);
}

/// Cuts `right` columns off, and one between.
fn beside(area: Rect, right: u16) -> [Rect; 2] {
    let between = u16::from(right > 0);
    Layout::horizontal([Constraint::Fill(1), Constraint::Length(right)])
        .spacing(between)
        .areas(area)
}

/// Cuts `lower` rows off.
fn above(area: Rect, lower: u16) -> [Rect; 2] {
    Layout::vertical([Constraint::Fill(1), Constraint::Length(lower)]).areas(area)
}

fn totals(view: &View) -> Line<'static> {
    let seconds = view.stages.elapsed().as_secs();
    let (messages, rate) = view.stages.messages();
    let mut line = Line::from(format!(
        "{:02}:{:02}:{:02}  {messages} messages, {}/s  ",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        short(rate)
    ));
    let bold = Style::new().add_modifier(Modifier::BOLD);
    if view.stopping {
        line.push_span(Span::styled("ending; q leaves at once", bold));
    } else {
        line.push_span(Span::styled("q", bold));
        line.push_span(" quits");
    }
    let problems: u64 = view.problems.values().sum();
    if problems > 0 {
        let kinds = view.problems.iter().map(|(kind, times)| format!("{times} x {kind}"));
        let kinds = kinds.collect::<Vec<_>>().join(", ");
        line.push_span(Span::styled(format!("  {problems} problems: "), bold.fg(FALL)));
        line.push_span(kinds);
    } else {
        line.push_span("  0 problems");
    }
    line
}
