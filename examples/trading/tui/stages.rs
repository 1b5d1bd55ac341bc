//! The stages of the pipeline: how fast they are, and what waits for what.

use std::mem;
use std::time::Duration;

use aqueduct::pipeline::{Kind, Report, StageReport};
use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Span, Text};
use ratatui::widgets::{Row, Table, Widget};

use super::draw::{DIM, FALL, panel};
use super::text::short;

/// How long it measures a rate.
const MEASURE: Duration = Duration::from_secs(1);

/// A column of the table.
#[derive(Debug)]
struct Column {
    name: &'static str,
    width: u16,
    /// The table has the column if it is at least so wide.
    least: u16,
}

const fn column(name: &'static str, width: u16, least: u16) -> Column {
    Column { name, width, least }
}

/// The first is as wide as the longest name, and the texts of the first two begin at the left.
const COLUMNS: [Column; 8] = [
    column("", 0, 0),
    column("kind", 6, 72),
    column("in/s", 5, 0),
    column("out/s", 5, 72),
    column("queue", 9, 0),
    column("lost", 5, 49),
    column("blocked", 7, 49),
    column("busy", 4, 49),
];

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
        let mut sum = (0, 0.0);
        let stages = self.now.iter().flat_map(|report| &report.stages);
        for (row, source) in stages.enumerate().filter(|(_, stage)| stage.kind == Kind::Source) {
            sum.0 += source.items_in;
            sum.1 += self.rates.get(row).map_or(0.0, |rate| rate.items_in);
        }
        sum
    }

    /// Draws as many rows as fit.
    pub(super) fn render(&mut self, area: Rect, buf: &mut Buffer) {
        let Some(report) = &self.now else { return };
        let (all, fit) = (report.stages.len(), usize::from(area.height.saturating_sub(2)));
        self.above = self.above.min(all.saturating_sub(fit));
        let shown = self.above..all.min(self.above + fit);
        let note = if shown.len() < all && fit > 0 {
            format!("{} to {} of {all}, ↑ ↓", shown.start + 1, shown.end)
        } else {
            String::new()
        };

        let longest = report.stages.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
        let longest = u16::try_from(longest).unwrap_or(u16::MAX);
        let columns: Vec<_> =
            COLUMNS.iter().enumerate().filter(|(_, it)| it.least <= area.width).collect();
        let rows = shown.map(|row| {
            let mut cells = cells(&report.stages[row], self.rates.get(row));
            Row::new(columns.iter().map(|(column, _)| mem::take(&mut cells[*column])))
        });
        let head = columns.iter().map(|(column, it)| match column {
            0 | 1 => Text::from(it.name),
            _ => Text::from(it.name).right_aligned(),
        });
        let head = Row::new(head).style(DIM);
        let widths = columns.iter().map(|(column, it)| match column {
            0 => Constraint::Length(longest),
            _ => Constraint::Length(it.width),
        });
        let block = panel("stages", Span::styled(note, DIM));
        let table = Table::new(rows, widths).header(head).block(block);
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
    let queue = stage.capacity.map_or_else(Text::default, |capacity| {
        let style = if stage.held * 2 > capacity { bold } else { Style::new() };
        number(format!("{}/{capacity}", stage.held), style)
    });
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
