//! [`Marble`] and [`Subscription`]: rows that were read.

use std::fmt;
use std::str::FromStr;

use super::grammar::{self, Mark, Problem, Row, Token};
use crate::Flow;
use crate::testing::{Feed, Timeline};

/// What happens in one frame of a [`Marble`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// An item.
    Next(char),
    /// `#`
    Error,
    /// `|`
    Complete,
}

/// A row of marbles that was read: what happens, and in which frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marble {
    events: Vec<(i64, Event)>,
    start: i64,
    width: i64,
    stop: Option<i64>,
    /// Whether time passes after the last event.
    goes_on: bool,
}

/// A mistake in a marble, with the place and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarbleError {
    text: String,
    /// The column of the mistake: characters, from 0.
    pub column: usize,
    /// What is wrong there.
    pub problem: Problem,
}

impl fmt::Display for MarbleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { text, column, problem } = self;
        let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        writeln!(f, "column {column}: {}", problem.message())?;
        write!(f, "  {line}\n  {:>1$}", '^', column + 1)
    }
}

impl std::error::Error for MarbleError {}

fn checked(text: &str, row: Row) -> Result<(), MarbleError> {
    match grammar::check(text.as_bytes(), row) {
        None => Ok(()),
        Some((at, problem)) => {
            let column = text[..at].chars().count();
            Err(MarbleError { text: text.to_owned(), column, problem })
        }
    }
}

impl Marble {
    /// Reads a row: items, `|`, `#`, groups, times, and `^` if it is that of a hot source.
    ///
    /// ```
    /// use aqueduct_operators::testing::{Event, Marble};
    ///
    /// let marble = Marble::parse("--a 5ms (b|)")?;
    /// assert_eq!(marble.events(), [(2, Event::Next('a')), (8, Event::Next('b')), (8, Event::Complete)]);
    ///
    /// let wrong = Marble::parse("--a-(b|").unwrap_err();
    /// assert_eq!(wrong.column, 4);
    /// # Ok::<(), aqueduct_operators::testing::MarbleError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, MarbleError> {
        Self::read(text, Row::Flow)
    }

    /// The row of [`marble!`](crate::marble), which has been checked.
    #[doc(hidden)]
    #[track_caller]
    pub fn validated(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn read(text: &str, row: Row) -> Result<Self, MarbleError> {
        checked(text, row)?;
        let bytes = text.as_bytes();
        let mut marble = Self { events: Vec::new(), start: 0, width: 0, stop: None, goes_on: true };
        let (mut at, mut frame, mut group) = (0, 0, None);
        while at < bytes.len() {
            let Token { mark, bytes: taken } = grammar::token(bytes, at);
            let now = group.unwrap_or(frame);
            let mut push = |event| marble.events.push((now, event));
            match mark {
                Mark::Item => text[at..].chars().take(1).for_each(|item| push(Event::Next(item))),
                Mark::Error => push(Event::Error),
                Mark::End => push(Event::Complete),
                Mark::Open => group = Some(frame),
                Mark::Close => group = None,
                Mark::Start => marble.start = now,
                Mark::Stop => marble.stop = Some(now),
                Mark::Blank | Mark::Dash | Mark::Time(_) | Mark::Wrong(_) => {}
            }
            marble.goes_on = match mark {
                Mark::Item | Mark::Error | Mark::End => false,
                Mark::Dash | Mark::Time(_) => true,
                _ => marble.goes_on,
            };
            frame += match mark {
                Mark::Blank => 0,
                Mark::Time(millis) => millis,
                _ => 1,
            };
            at += taken;
        }
        marble.width = frame;
        for (at, _) in &mut marble.events {
            *at -= marble.start;
        }
        Ok(marble)
    }

    /// What happens, each with its frame: the milliseconds since the begin or, if there is a `^`,
    /// since that; what stands before it has negative frames.
    pub fn events(&self) -> &[(i64, Event)] {
        &self.events
    }

    /// Columns before the `^`.
    pub(super) fn start(&self) -> i64 {
        self.start
    }

    /// Columns in all.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// Columns before the `!`.
    pub(super) fn stop(&self) -> Option<i64> {
        self.stop
    }

    /// When it ends: at `|`, or at a `#` that is the last mark of the row.
    pub(super) fn end(&self) -> Option<i64> {
        match self.events.last() {
            Some((at, Event::Complete)) => Some(*at),
            Some((at, Event::Error)) if !self.goes_on => Some(*at),
            _ => None,
        }
    }

    /// The items as a timeline. `value` gives each its item; `None` stands for `#`.
    ///
    /// What stands before a `^` is left out, as nobody sees it.
    pub fn timeline<T>(&self, mut value: impl FnMut(Option<char>) -> T) -> Timeline<T> {
        let seen = self.events.iter().filter(|(at, _)| *at >= 0);
        let items = seen.filter_map(|(at, event)| match event {
            Event::Next(item) => Some((*at, value(Some(*item)))),
            Event::Error => Some((*at, value(None))),
            Event::Complete => None,
        });
        Timeline { events: items.collect(), end: self.end().unwrap_or(Timeline::<T>::NEVER) }
    }

    /// A flow of the characters under virtual time. `#` is the item `'#'`.
    #[track_caller]
    pub fn flow(&self) -> Flow<Feed<char>> {
        self.flow_of(|item| item.unwrap_or('#'))
    }

    /// A flow of what `value` gives for the characters; `None` stands for `#`.
    #[track_caller]
    pub fn flow_of<T>(&self, value: impl FnMut(Option<char>) -> T) -> Flow<Feed<T>> {
        Feed::flow(self.timeline(value), 0)
    }
}

impl FromStr for Marble {
    type Err = MarbleError;

    fn from_str(text: &str) -> Result<Self, MarbleError> {
        Self::parse(text)
    }
}

/// A row that says when somebody subscribed and left: `--^----!`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Subscription {
    /// The frame of `^`.
    pub subscribed: Option<i64>,
    /// The frame of `!`.
    pub unsubscribed: Option<i64>,
}

impl Subscription {
    /// Reads a subscription row.
    ///
    /// ```
    /// use aqueduct_operators::testing::Subscription;
    ///
    /// let row = Subscription::parse("--^----!")?;
    /// assert_eq!((row.subscribed, row.unsubscribed), (Some(2), Some(7)));
    /// # Ok::<(), aqueduct_operators::testing::MarbleError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, MarbleError> {
        let row = Marble::read(text, Row::Subscription)?;
        let subscribed = text.contains('^').then_some(row.start);
        Ok(Self { subscribed, unsubscribed: row.stop })
    }
}

impl FromStr for Subscription {
    type Err = MarbleError;

    fn from_str(text: &str) -> Result<Self, MarbleError> {
        Self::parse(text)
    }
}
