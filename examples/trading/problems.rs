//! What was wrong with the data: counted, and the first of each kind said on standard error.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use aqueduct::combine::Either;
use aqueduct::market::feed::{self, Feed, Places, Problem, ProblemKind};
use aqueduct::market::{BookEvent, Decimal, kraken};
use aqueduct::window::{Late, Window};
use futures::sink::{self, Sink};

/// How many messages of a kind are printed before the rest is only counted.
const PRINTED: u64 = 5;

/// Says a line on standard error, if anybody still reads it.
fn complain(line: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A problem on its way to the list.
#[derive(Debug, Clone)]
pub struct Notice {
    kind: ProblemKind,
    text: String,
}

impl From<&Problem> for Notice {
    fn from(problem: &Problem) -> Self {
        Self { kind: problem.kind(), text: problem.to_string() }
    }
}

/// The problem in an item of a feed, if it is one.
pub fn of_feed<E>(item: &Feed<E>) -> Option<Notice> {
    feed::problem(item).map(Notice::from)
}

/// The problem with a book that is checked by a checksum, if there is one.
pub fn of_checked(places: Places) -> impl FnMut(&(Decimal, kraken::Top)) -> Option<Notice> + Send {
    move |(_, top)| {
        let pair = top.pair;
        let (kind, what) = match top.venue_checksum {
            _ if !top.started => {
                (ProblemKind::NoSnapshot, format!("an update of {pair}, but no snapshot has come"))
            }
            Some(venue) if !top.agrees() => {
                let ours = top.checksum;
                let what = format!(
                    "the book of {pair} has the checksum {ours}, the venue says {venue}; \
                     a new subscription would heal it"
                );
                (ProblemKind::Checksum, what)
            }
            _ => return None,
        };
        Some(Notice { kind, text: format!("{}: {what}", place(&places, top.line)) })
    }
}

/// Where a line stands, for a message.
fn place(places: &Places, line: u64) -> String {
    places.find(line).map_or(format!("line {line}"), |place| place.to_string())
}

/// The problem in an event of a book, if it is one.
pub fn of_book(places: Places) -> impl FnMut(&BookEvent) -> Option<Notice> + Send {
    move |event| {
        let (kind, line, what) = match *event {
            BookEvent::Gapped { line, expected, got } => {
                let what = format!("the book expected update {expected} and got {got}");
                (ProblemKind::Gap, line, what)
            }
            BookEvent::SnapshotTooOld { line, last_id, needed } => {
                let what = format!("the snapshot ends at {last_id}, but {needed} is needed");
                (ProblemKind::SnapshotTooOld, line, what)
            }
            BookEvent::Overflowed { line, .. } => {
                let what = "dropped: too many updates wait for a snapshot".into();
                (ProblemKind::Overflowed, line, what)
            }
            _ => return None,
        };
        Some(Notice { kind, text: format!("{}: {what}", place(&places, line)) })
    }
}

/// The problems of a run, by kind. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Problems(Arc<Mutex<Counted>>);

#[derive(Debug, Default)]
struct Counted {
    kinds: BTreeMap<ProblemKind, u64>,
    /// What was said of each kind: a message may be about many problems.
    said: BTreeMap<ProblemKind, u64>,
    /// Whether the screen belongs to the view: then nothing is printed.
    quiet: bool,
}

impl Problems {
    /// Problems are only counted from now on.
    pub fn keep_quiet(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).quiet = true;
    }

    /// Takes notices at the end of a pipeline.
    pub fn sink(&self) -> impl Sink<Notice, Error = Infallible> + Send + use<> {
        let problems = self.clone();
        sink::unfold((), move |(), Notice { kind, text }| {
            problems.add(kind, 1, &text);
            ready(Ok(()))
        })
    }

    fn add(&self, kind: ProblemKind, times: u64, text: &str) {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counted.kinds.entry(kind).or_default() += times;
        if counted.quiet {
            return;
        }
        let said = counted.said.entry(kind).or_default();
        *said += 1;
        if *said <= PRINTED {
            complain(text);
        } else if *said == PRINTED + 1 {
            complain(format_args!("more of the kind `{kind}` are only counted"));
        }
    }

    /// Notes items that came too late for their window.
    pub fn late<T>(&self, items: &'static str) -> impl FnMut(&Window<T>) + Send + use<T> {
        let problems = self.clone();
        move |window| {
            if window.late > 0 {
                let before = window.start.as_millis();
                let late = window.late;
                let text = format!("{late} {items} came too late for the windows before {before}");
                problems.add(ProblemKind::Late, window.late, &text);
            }
        }
    }

    /// Notes items that came too late for a rolling statistic, and keeps the results.
    pub fn in_time<R, T>(
        &self,
        items: &'static str,
    ) -> impl FnMut(Either<R, Late<T>>) -> Option<R> + Send + use<R, T> {
        let problems = self.clone();
        move |result| match result {
            Either::Left(result) => Some(result),
            Either::Right(late) => {
                let time = late.time.as_millis();
                let text = format!("1 {items} of {time} came too late for a rolling statistic");
                problems.add(ProblemKind::Late, 1, &text);
                None
            }
        }
    }

    /// How many there were, by kind.
    pub fn counts(&self) -> BTreeMap<ProblemKind, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kinds.clone()
    }
}
