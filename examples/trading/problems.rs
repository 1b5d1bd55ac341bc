//! What was wrong with the data: counted, and the first of each kind said on standard error.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use aqueduct::market::BookEvent;
use aqueduct::market::feed::{Feed, Places, Problem, ProblemKind};
use aqueduct::window::Window;
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

/// The problem in an item of the feed, if it is one.
pub fn of_feed(item: &Feed) -> Option<Notice> {
    item.as_ref().err().map(Notice::from)
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
        let place = places.find(line).map_or(format!("line {line}"), |place| place.to_string());
        Some(Notice { kind, text: format!("{place}: {what}") })
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
    pub fn late<T>(&self) -> impl FnMut(&Window<T>) + Send + use<T> {
        let problems = self.clone();
        move |window| {
            if window.late > 0 {
                let before = window.start.as_millis();
                let text =
                    format!("{} trades came too late for the bars before {before}", window.late);
                problems.add(ProblemKind::Late, window.late, &text);
            }
        }
    }

    /// How many there were, by kind.
    pub fn counts(&self) -> BTreeMap<ProblemKind, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).kinds.clone()
    }
}
