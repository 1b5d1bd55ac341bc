//! The input rows of a diagram as flows.

use std::any::type_name;
use std::sync::Arc;

use super::diagram::Row;
use super::grammar::Row as Kind;
use super::{Diagram, MarbleItem};
use crate::testing::feed::Seen;
use crate::testing::{Feed, Timeline};
use crate::{Flow, Timestamp};

/// The input rows of a diagram, in order.
#[doc(hidden)]
#[derive(Debug)]
pub struct Inputs<'a> {
    diagram: &'a Diagram,
    next: usize,
    number: u16,
    /// Rows that say when an input is subscribed to.
    pub(super) watched: Vec<(usize, Arc<Seen>)>,
}

impl<'a> Inputs<'a> {
    pub(super) fn of(diagram: &'a Diagram) -> Self {
        Self { diagram, next: 0, number: 0, watched: Vec::new() }
    }

    /// The flow of the next input row.
    #[track_caller]
    pub fn flow<T: MarbleItem>(&mut self, argument: &str) -> Flow<Feed<T>> {
        let Diagram { title, rows, outputs, .. } = self.diagram;
        let Some(row) = rows.get(self.next).filter(|row| !outputs.contains(&row.name)) else {
            panic!("{title}: there is no input row for the argument `{argument}`");
        };
        self.next += 1;
        let times = self.diagram.times_below(row);
        self.next += usize::from(times.is_some());
        let sub = rows.get(self.next).filter(|row| row.name == "sub");
        let marble = self.diagram.marble(row, Kind::Flow);
        let read = |mark: Option<char>| {
            let name = mark.unwrap_or('#');
            let mut own = [0; 4];
            let text = self.diagram.value(name).unwrap_or(name.encode_utf8(&mut own));
            let item = if mark.is_some() { T::read(text) } else { T::error(text) };
            item.unwrap_or_else(|| {
                let item = type_name::<T>();
                panic!(
                    "{title}, row `{}`: `{text}` is no {item}; give the argument its type, as in \
                     `|{argument}: u32|`, or say in a line `where  {name} = ..` what it is",
                    row.name
                )
            })
        };
        let mut line = marble.timeline(read);
        let shift = row.from + marble.start();
        if line.end != Timeline::<T>::NEVER {
            line.end += shift;
        }
        line.events.iter_mut().for_each(|(at, _)| *at += shift);
        if let Some(times) = times {
            line.events = self.diagram.with_times(row, &times, line.events);
        }
        let feed = Feed::new(line, self.number, Vec::new());
        if sub.is_some() {
            self.watched.push((self.next, feed.seen()));
            self.next += 1;
        }
        self.number += 1;
        Flow::from_stage(feed)
    }
}

impl Diagram {
    /// The numbers in the row `time` below a row, each with its column.
    pub(super) fn times_below(&self, row: &Row) -> Option<Vec<(i64, String)>> {
        let place = self.rows.iter().position(|other| std::ptr::eq(other, row))?;
        let times = self.rows.get(place + 1).filter(|row| row.name == "time")?;
        let mut numbers: Vec<(i64, String)> = Vec::new();
        let mut before = ' ';
        for (at, c) in (times.from..).zip(times.text.chars()) {
            match (c, numbers.last_mut()) {
                ('0'..='9', Some((_, number))) if before.is_ascii_digit() => number.push(c),
                ('0'..='9', _) => numbers.push((at, c.to_string())),
                _ => {}
            }
            before = c;
        }
        Some(numbers)
    }

    pub(super) fn same_number(&self, row: &Row, times: &[(i64, String)], items: usize) {
        let times = times.len();
        let Self { title, .. } = self;
        assert!(times == items, "{title}: {times} times below the {items} items of `{}`", row.name);
    }

    /// Gives each item the number that stands below it.
    fn with_times<T: MarbleItem>(
        &self,
        row: &Row,
        times: &[(i64, String)],
        events: Vec<(i64, T)>,
    ) -> Vec<(i64, T)> {
        self.same_number(row, times, events.len());
        let timed = events.into_iter().zip(times).map(|((at, item), (_, time))| {
            let time = Timestamp::from_millis(time.parse().unwrap_or(i64::MAX));
            let item = item.at(time).unwrap_or_else(|| {
                panic!("{}: a {} carries no event time", self.title, type_name::<T>())
            });
            (at, item)
        });
        timed.collect()
    }
}
