//! Where everything is on the screen.

use std::collections::BTreeMap;

use aqueduct::market::feed::ProblemKind;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders};

use super::candles::Candles;
use super::ladder::Ladder;
use super::stages::Stages;
use super::tape::Tape;
use super::text::short;
use crate::screen::Shown;

/// The only colours, as the terminal's own palette has them: it fits them to a dark or a light
/// background. All else is the terminal's own ink: dim, bold or reversed.
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

/// A part of the screen: a line with the title and a note, and no other border.
pub(super) fn panel(title: &'static str, note: Span<'static>) -> Block<'static> {
    let mut title = Line::from_iter([Span::raw(title).bold(), " ".into()]);
    if !note.content.is_empty() {
        title.extend([note, " ".into()]);
    }
    let ink = Style::new().not_dim();
    Block::new().borders(Borders::TOP).border_style(DIM).title_style(ink).title(title)
}

/// Draws everything that there is room for.
pub(super) fn draw(frame: &mut Frame<'_>, shown: &Shown, view: &mut View) {
    let screen = frame.area();
    let [body, foot] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(screen);
    let lower = if body.height < HIGH { 0 } else { view.stages.height().min(body.height / 2) };
    let right = match screen.width {
        0..NARROW => 0,
        NARROW..WIDE => 29,
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
    let [hours, minutes, seconds] = [seconds / 3600, seconds / 60 % 60, seconds % 60];
    let (messages, rate) = view.stages.messages();
    let rate = short(rate);
    let hint = if view.stopping { "ending, q leaves at once" } else { "q quits" };
    let mut line = Line::from_iter([
        Span::raw(hint).bold(),
        format!("  {hours:02}:{minutes:02}:{seconds:02}").into(),
        format!("  {messages} messages, {rate}/s  ").into(),
    ]);
    let kinds = view.problems.iter().map(|(kind, times)| format!("{times} x {kind}"));
    let kinds = kinds.collect::<Vec<_>>().join(", ");
    if kinds.is_empty() {
        line.push_span("no problems");
    } else {
        let all: u64 = view.problems.values().sum();
        line.push_span(Span::raw(format!("{all} problems: ")).bold().fg(FALL));
        line.push_span(kinds);
    }
    line
}
