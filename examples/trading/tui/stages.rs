//! The stages of the pipeline: how fast they are, and what waits for what.

use std::time::Duration;

use aqueduct::pipeline::{Kind, Report, StageReport};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Row, Table, Widget};

use super::draw::{DIM, FALL, panel};
use super::text::short;

/// How long it measures a rate.
const MEASURE: Duration = Duration::from_secs(1);
/// A width that has room for all columns.
const WIDE: u16 = 72;

/// The rows of the table, and what they were a moment ago.
#[derive(Debug, Default)]
pub(super) struct Stages {
    now: Option<Report>,
    /// Where the next measurement starts.
    since: Option<Report>,
    /// One for each row, once there is a measurement.
    rates: Vec<Rate>,
    /// How many rows are above the first that is shown.
    above: usize,
}

/// What a stage did in the last second.
#[derive(Debug, Clone, Copy)]
struct Rate {
    /// Items per second.
    items_in: f64,
    items_out: f64,
    /// Shares of the time.
    blocked: f64,
    busy: f64,
}

impl Rate {
    fn of(now: &StageReport, since: &StageReport, seconds: f64) -> Self {
        let items = |now: u64, since: u64| now.saturating_sub(since) as f64 / seconds;
        // A wait is counted when it is over, so a second can have more than one second of it.
        let share = |now: Duration, since: Duration| {
            (now.saturating_sub(since).as_secs_f64() / seconds).min(1.0)
        };
        Self {
            items_in: items(now.items_in, since.items_in),
            items_out: items(now.items_out, since.items_out),
            blocked: share(now.blocked, since.blocked),
            busy: share(now.busy, since.busy),
        }
    }
}

impl Stages {
    /// Takes the latest report.
    pub(super) fn update(&mut self, report: Report) {
        let since = self.since.get_or_insert_with(|| report.clone());
        let elapsed = report.elapsed.saturating_sub(since.elapsed);
        if elapsed >= MEASURE {
            let pairs = report.stages.iter().zip(&since.stages);
            let rate = |(now, since)| Rate::of(now, since, elapsed.as_secs_f64());
            self.rates = pairs.map(rate).collect();
            self.since = Some(report.clone());
        }
        self.now = Some(report);
    }

    /// Moves the part that is shown, if not all of them fit.
    pub(super) fn scroll(&mut self, rows: isize) {
        self.above = self.above.saturating_add_signed(rows);
    }

    /// How many rows it would like, with title and head.
    pub(super) fn height(&self) -> u16 {
        let stages = self.now.as_ref().map_or(0, |report| report.stages.len());
        u16::try_from(stages + 2).unwrap_or(u16::MAX)
    }

    /// How long the run has lasted.
    pub(super) fn elapsed(&self) -> Duration {
        self.now.as_ref().map_or(Duration::ZERO, |report| report.elapsed)
    }

    /// Items that the sources gave so far, and per second.
    pub(super) fn messages(&self) -> (u64, f64) {
        let stages = self.now.iter().flat_map(|report| &report.stages).enumerate();
        stages.filter(|(_, stage)| stage.kind == Kind::Source).fold(
            (0, 0.0),
            |sum, (row, stage)| {
                let rate = self.rates.get(row).map_or(0.0, |rate| rate.items_in);
                (sum.0 + stage.items_in, sum.1 + rate)
            },
        )
    }

    /// Draws as many rows as fit.
    pub(super) fn render(&mut self, area: Rect, buf: &mut Buffer) {
        let Some(report) = &self.now else { return };
        let (all, fit) = (report.stages.len(), usize::from(area.height.saturating_sub(2)));
        self.above = self.above.min(all.saturating_sub(fit));
        let shown = self.above..all.min(self.above + fit);
        let mut block = panel("stages");
        if shown.len() < all && fit > 0 {
            let part = format!("{} to {} of {all}, ↑ ↓ ", shown.start + 1, shown.end);
            block = block.title(Line::styled(part, DIM));
        }

        let wide = area.width >= WIDE;
        let longest = report.stages.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
        let longest = u16::try_from(longest).unwrap_or(u16::MAX);
        let widths = [longest, 6, 6, 6, 9, 6, 7, 4].map(Constraint::Length);
        let head = ["", "kind", "in/s", "out/s", "queue", "lost", "blocked", "busy"];
        let columns = |column: usize| wide || !matches!(column, 1 | 3);
        let rows = shown.map(|row| {
            let cells = cells(&report.stages[row], self.rates.get(row));
            let cells = cells.into_iter().enumerate().filter(|(column, _)| columns(*column));
            Row::new(cells.map(|(_, cell)| cell))
        });
        let head = head.into_iter().enumerate().filter(|(column, _)| columns(*column));
        let head = head.map(|(column, name)| match column {
            0 | 1 => Text::from(name),
            _ => Text::from(name).right_aligned(),
        });
        let widths = widths.into_iter().enumerate().filter(|(column, _)| columns(*column));
        let table = Table::new(rows, widths.map(|(_, width)| width))
            .header(Row::new(head).style(DIM))
            .block(block);
        Widget::render(table, area, buf);
    }
}

fn cells(stage: &StageReport, rate: Option<&Rate>) -> [Text<'static>; 8] {
    let bold = Style::new().add_modifier(Modifier::BOLD);
    let is_edge = stage.kind == Kind::Edge;
    let number = |text: String, style: Style| Text::styled(text, style).right_aligned();
    let per_second = |items: fn(&Rate) -> f64| {
        number(rate.map_or_else(String::new, |rate| short(items(rate))), Style::new())
    };
    let percent = |share: fn(&Rate) -> f64| {
        let share = rate.map_or(0.0, share);
        let style = if share > 0.5 { bold } else { Style::new() };
        let text = if share < 0.005 { String::new() } else { format!("{:.0}%", share * 100.0) };
        number(text, style)
    };
    let queue = match stage.capacity {
        Some(capacity) if stage.held * 2 > capacity => {
            number(format!("{}/{capacity}", stage.held), bold)
        }
        Some(capacity) => number(format!("{}/{capacity}", stage.held), Style::new()),
        None => Text::default(),
    };
    // What no branch wanted is not missed by anybody.
    let missed = stage.dropped.keys().any(|reason| *reason != "unrouted");
    let lost = match stage.lost() {
        0 => Text::default(),
        lost => number(short(lost as f64), if missed { bold.fg(FALL) } else { DIM }),
    };
    [
        Text::styled(stage.name.clone(), if is_edge { Style::new() } else { bold }),
        Text::styled(stage.kind.to_string(), DIM),
        per_second(|rate| rate.items_in),
        per_second(|rate| rate.items_out),
        queue,
        lost,
        percent(|rate| rate.blocked),
        percent(|rate| rate.busy),
    ]
}
