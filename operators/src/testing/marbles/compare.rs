//! Compares what came out of the flows with what the rows of a diagram say.

use std::fmt::Write;

use super::diagram::Row;
use super::grammar::Row as Kind;
use super::{Diagram, Event, Inputs, Marble, Subscription};
use crate::testing::observe::{How, Observation, record};
use crate::testing::{Timeline, draw};

impl Diagram {
    /// Compares a line with the only row.
    pub(in crate::testing) fn compare_row(&self, actual: Timeline<String>) -> Result<(), String> {
        let row = &self.rows[0];
        let (expected, actual) = self.lines(row, &self.marble(row, Kind::Output), actual);
        draw::compare(&expected, &actual).map_or(Ok(()), Err)
    }

    /// Runs the flows that `make` builds of the inputs, and panics if they are not what the rows
    /// of the outputs say.
    pub fn check<'a>(&self, make: impl FnOnce(&mut Inputs<'_>) -> Vec<Observation<'a>>) {
        if let Err(message) = self.compare(make) {
            panic!("{message}");
        }
    }

    pub(super) fn compare<'a>(
        &self,
        make: impl FnOnce(&mut Inputs<'_>) -> Vec<Observation<'a>>,
    ) -> Result<(), String> {
        let names = &self.outputs;
        let rows: Vec<_> = names.iter().filter_map(|name| self.row(name)).collect();
        let marbles: Vec<_> = rows.iter().map(|row| self.marble(row, Kind::Output)).collect();
        let ends = |(row, marble): (&&Row, &Marble)| {
            let last = row.from + marble.width() - 1;
            if marble.end().is_some() { last + 1_000 } else { last }
        };
        let horizon = rows.iter().zip(&marbles).map(ends).max().unwrap_or(0);
        let rests = self.row("busy").map(|row| widths(&row.text)).unwrap_or_default();
        let mut inputs = Inputs::of(self);
        let build = || {
            let flows = make(&mut inputs);
            assert_eq!(flows.len(), names.len(), "{}: flows for the rows {names:?}", self.title);
            let outputs = flows.into_iter().zip(rows.iter().zip(&marbles));
            let outputs = outputs.map(|(Observation(output), (row, marble))| {
                let from = (row.from + marble.start() > 0 && row.text.contains('^'))
                    .then_some(row.from + marble.start());
                let until = marble.stop().map(|stop| row.from + stop);
                (output, How { from, until, rests: rests.clone(), ..How::default() })
            });
            outputs.collect()
        };
        let lines = record(build, horizon);
        let watched = inputs.watched;
        let mut wrong = String::new();
        for ((row, marble), actual) in rows.iter().zip(&marbles).zip(lines) {
            let (expected, actual) = self.lines(row, marble, actual);
            if let Some(difference) = draw::compare(&expected, &actual) {
                let _ = writeln!(wrong, "row `{}`: {difference}", row.name);
            }
        }
        for (row, seen) in watched {
            let (from, until) = seen.span();
            let wanted = Subscription::parse(&self.rows[row].text)
                .unwrap_or_else(|error| panic!("{}, row `sub`, {error}", self.title));
            let from_column = |at: Option<i64>| at.map(|at| at + self.rows[row].from);
            let wanted = (from_column(wanted.subscribed), from_column(wanted.unsubscribed));
            if wanted != (from, until) {
                let said =
                    |at: Option<i64>| at.map_or("never".to_owned(), |at| format!("at {at} ms"));
                let _ = writeln!(
                    wrong,
                    "row `{}` below `{}`: expected to be asked first {} and let go {}, but it was \
                     asked first {} and let go {}",
                    self.rows[row].name,
                    self.rows[row - 1].name,
                    said(wanted.0),
                    said(wanted.1),
                    said(from),
                    said(until),
                );
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{wrong}", self.title)) }
    }

    /// What the row says and what came, with the same text for the same item.
    fn lines(
        &self,
        row: &Row,
        marble: &Marble,
        actual: Timeline<String>,
    ) -> (Timeline<String>, Timeline<String>) {
        let mut expected = Timeline { events: Vec::new(), end: Timeline::<String>::NEVER };
        let shift = row.from + marble.start();
        let times = self.times_below(row);
        for (at, event) in marble.events() {
            let text = match event {
                Event::Next(mark) => mark.to_string(),
                Event::Error => "#".to_owned(),
                Event::Complete => continue,
            };
            expected.events.push((at + shift, text));
        }
        if let Some(times) = times {
            self.same_number(row, &times, expected.events.len());
            for ((_, text), (_, time)) in expected.events.iter_mut().zip(&times) {
                text.push_str(&format!("@{time}"));
            }
        }
        if let Some(end) = marble.end() {
            expected.end = end + shift;
        }
        // Where nothing more is said about the row, nothing more is compared.
        let until = row.from + marble.stop().unwrap_or(marble.width());
        let seen = |at: i64| expected.end != Timeline::<String>::NEVER || at < until;
        let mut compared = Timeline { events: Vec::new(), end: actual.end };
        for (at, item) in actual.events.into_iter().filter(|(at, _)| seen(*at)) {
            let here = expected.events.iter().filter(|(when, _)| *when == at);
            let before = compared.events.iter().filter(|(when, _): &&(i64, String)| *when == at);
            // The mark that stands in its place is tried first: two marks may mean the same.
            let place = here.clone().nth(before.count()).map(|(_, mark)| mark.as_str());
            let marks =
                place.into_iter().chain(expected.events.iter().map(|(_, mark)| mark.as_str()));
            let mark = marks.into_iter().find(|mark| self.means(mark, &item)).map(str::to_owned);
            let item = if item.is_empty() { "()".to_owned() } else { item };
            compared.events.push((at, mark.unwrap_or(item)));
        }
        if compared.end >= until && !seen(compared.end) {
            compared.end = Timeline::<String>::NEVER;
        }
        (expected, compared)
    }

    /// Whether the mark of a diagram stands for an item that prints so.
    fn means(&self, mark: &str, item: &str) -> bool {
        let name = mark.chars().next().unwrap_or(' ');
        let value = self.value(name).map(draw::plain);
        if let Some((own, time)) = mark.split_once('@').filter(|(own, _)| !own.is_empty()) {
            let value = value.unwrap_or_else(|| own.to_owned());
            let nanos =
                format!("Timestamp({time}000000)").replace("Timestamp(0000000)", "Timestamp(0)");
            return [
                format!("Item({nanos},{value})"),
                format!("({nanos},{value})"),
                format!("Watermark({nanos})"),
            ]
            .iter()
            .any(|form| form == item && (own == "W") == form.starts_with("Watermark"));
        }
        let is = |value: &str| item == value || wrapped(item, "Ok(") == Some(value);
        match (mark, value) {
            ("#", None) => item.starts_with("Err("),
            ("#", Some(value)) => item == value || wrapped(item, "Err(") == Some(value.as_str()),
            (_, Some(value)) => is(&value),
            (mark, None) => is(mark),
        }
    }
}

fn wrapped<'a>(item: &'a str, open: &str) -> Option<&'a str> {
    item.strip_prefix(open)?.strip_suffix(')')
}

/// How many columns each `[..]` takes.
fn widths(text: &str) -> Vec<u8> {
    let widths = text.split(']').filter_map(|part| part.rsplit_once('['));
    widths.map(|(_, inside)| inside.chars().count() as u8 + 2).collect()
}
