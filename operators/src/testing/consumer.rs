//! One run of an operator, polled in some hostile way, and everything that shows on the way.

use std::fmt::{self, Debug};
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use super::Rule;
use super::input::{Aborted, Input, Script};
use super::polled::Polled;
use super::record::{Asked, Event, Record, What};
use crate::{Alarm, Bound, Clock, Flow, Virtual};

/// Makes the operator over its inputs.
pub(super) type Make<'a> = dyn Fn(Vec<Flow<Input>>) -> Pin<Box<dyn Polled + 'a>> + 'a;

/// What the consumer does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Next,
    /// Drains as many at most.
    Drain(usize),
    /// Drives work in flight.
    Progress,
}

/// How a flow is polled. Each poll has a waker of its own, and those of earlier polls are dead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Way {
    /// Over and over.
    pub(super) steps: Vec<Step>,
    /// How often it is polled again after `Pending` although nobody was woken.
    pub(super) again: usize,
    /// Whether the consumer is busy after each item: for 2 ms, and until nothing is in flight.
    pub(super) busy: bool,
    /// Dropped after so many turns.
    pub(super) drop_after: Option<usize>,
}

impl Way {
    pub(super) fn new(steps: &[Step]) -> Self {
        Self { steps: steps.to_vec(), again: 0, busy: false, drop_after: None }
    }

    pub(super) fn pulled() -> Self {
        Self::new(&[Step::Next])
    }

    /// Whether it does something that an operator may answer by taking other items.
    pub(super) fn drives(&self) -> bool {
        self.steps.contains(&Step::Progress) || self.busy
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.steps.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            match step {
                Step::Next => f.write_str("poll_next")?,
                Step::Drain(usize::MAX) => f.write_str("poll_drain")?,
                Step::Drain(most) => write!(f, "poll_drain of {most}")?,
                Step::Progress => f.write_str("poll_progress")?,
            }
        }
        if self.again > 0 {
            write!(f, "; {} times again after Pending", self.again)?;
        }
        if self.busy {
            f.write_str("; busy after each item")?;
        }
        if let Some(turns) = self.drop_after {
            write!(f, "; dropped after {turns} turns")?;
        }
        Ok(())
    }
}

/// The inputs and the way of a run: all that decides what happens in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) scripts: Vec<Arc<Script>>,
    pub(super) way: Way,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, script) in self.scripts.iter().enumerate() {
            writeln!(f, "  input {index}: {script}")?;
        }
        writeln!(f, "  polled: {}", self.way)
    }
}

/// What came of a run.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The items and when they came.
    pub(super) lines: Vec<(i64, String)>,
    pub(super) end: End,
    pub(super) breaches: Vec<(Rule, String)>,
    pub(super) events: Vec<Event>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    At(i64),
    /// Nothing would ever wake it.
    Stalled,
    /// It brought so much that the rest was not waited for, or it was dropped as planned.
    Cut,
    /// It has shown something so wrong that it was given up.
    Aborted,
    /// It would have been polled for ever.
    Exhausted,
    Panicked(String),
}

/// What ends a run that would not end.
struct Exhausted;

/// Of an endless operator so many items are looked at.
const ITEMS: usize = 400;
/// More polls than any run needs that goes on.
const POLLS: usize = 5_000;

/// Wakes the task as long as it is the waker of the latest poll.
struct Latest {
    task: Waker,
    live: AtomicBool,
    wakes: AtomicUsize,
    record: Arc<Record>,
}

impl Wake for Latest {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.record.wakes.fetch_add(1, Relaxed);
        self.record.event(|| What::Woken);
        if self.live.load(Relaxed) {
            self.task.wake_by_ref();
        }
    }
}

/// A flow that is being polled in some way.
struct Consumer<'a, 'm> {
    flow: Pin<Box<dyn Polled + 'm>>,
    case: &'a Case,
    record: Arc<Record>,
    latest: Option<Arc<Latest>>,
    bound: Option<usize>,
    step: usize,
    turns: usize,
    polls: usize,
    /// Polls that were pending, woke their own waker, and had no reason to.
    restless: usize,
    pause: Alarm,
    lines: &'a mut Vec<(i64, String)>,
    hints: Vec<(usize, (usize, Option<usize>))>,
    live_reads: usize,
}

fn now() -> i64 {
    Clock::current().now().as_millis()
}

impl Consumer<'_, '_> {
    /// Polls with a fresh waker and looks at everything that has to hold after any poll.
    fn poll<R>(
        &mut self,
        cx: &Context<'_>,
        name: &'static str,
        poll: impl FnOnce(Pin<&mut (dyn Polled + '_)>, &mut Context<'_>, &Record) -> Poll<R>,
    ) -> Poll<R> {
        self.polls += 1;
        if self.polls > POLLS {
            self.record.breach(Rule::NoHotLoop, format_args!("{POLLS} polls, and no end"));
            resume_unwind(Box::new(Exhausted));
        }
        let fresh = Arc::new(Latest {
            task: cx.waker().clone(),
            live: AtomicBool::new(true),
            wakes: AtomicUsize::new(0),
            record: self.record.clone(),
        });
        if let Some(stale) = self.latest.replace(fresh.clone()) {
            stale.live.store(false, Relaxed);
        }
        self.record.event(|| What::Call(name));
        let stutters = self.record.stutters();
        let waker = Waker::from(fresh.clone());
        let reads = crate::clock::live_reads();
        let polled = poll(self.flow.as_mut(), &mut Context::from_waker(&waker), &self.record);
        self.live_reads += crate::clock::live_reads() - reads;
        if polled.is_pending() {
            self.record.event(|| What::Pending);
            let woken = fresh.wakes.load(Relaxed) > 0;
            if woken && self.record.stutters() == stutters {
                self.restless += 1;
            }
            if !woken && name != "poll_progress" {
                self.check_drive();
            }
        }
        if let Some(bound) = self.bound {
            let held = self.record.ledger.held();
            if held > bound {
                let how = format_args!("it holds {held} items and declares {bound}");
                self.record.breach(Rule::DeclaredBound, how);
            }
        }
        polled
    }

    /// After `Pending`, an input that still lives either has been asked to the point where it was
    /// pending, or was driven.
    fn check_drive(&self) {
        for (index, input) in self.record.inputs().iter().enumerate() {
            if !input.released() && input.asked != Asked::Pending && !input.driven_since {
                let how = format_args!(
                    "it is pending, and input {index} was neither asked until it was pending nor \
                     driven with poll_progress"
                );
                self.record.breach(Rule::NoSnooze, how);
            }
        }
    }

    /// Takes what there is, up to the end.
    fn turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        loop {
            if self.lines.len() >= ITEMS
                || self.case.way.drop_after.is_some_and(|turns| self.turns >= turns)
            {
                return Poll::Ready(());
            }
            if self.case.way.busy {
                let driven = self.poll(cx, "poll_progress", |flow, cx, _| flow.poll_progress(cx));
                if self.pause.deadline().is_some() {
                    ready!(self.pause.poll(&mut Context::from_waker(cx.waker())));
                    continue;
                }
                ready!(driven);
            }
            self.hints.push((self.lines.len(), self.flow.size_hint()));
            let before = self.lines.len();
            self.turns += 1;
            let step = self.case.way.steps[self.step % self.case.way.steps.len()];
            let ended = match step {
                Step::Progress => {
                    let _ = self.poll(cx, "poll_progress", |flow, cx, _| flow.poll_progress(cx));
                    self.step += 1;
                    continue;
                }
                Step::Next => self.next(cx).map(|item| item.is_none()),
                Step::Drain(most) => self.drain(cx, most).map(|flow| flow.is_continue()),
            };
            if ended.is_ready() || self.lines.len() > before {
                self.step += 1;
            }
            if self.case.way.drop_after.is_some_and(|turns| self.turns >= turns) {
                return Poll::Ready(());
            }
            if ready!(ended) {
                return Poll::Ready(());
            }
            if self.case.way.busy {
                let until = self.pause.now() + Duration::from_millis(2);
                self.pause.set(until);
            }
        }
    }

    fn next(&mut self, cx: &Context<'_>) -> Poll<Option<()>> {
        let mut polled = self.next_once(cx);
        for _ in 0..self.case.way.again {
            if polled.is_ready() {
                break;
            }
            let idle = self.is_idle();
            polled = self.next_once(cx);
            if idle && matches!(polled, Poll::Ready(Some(()))) {
                let how = "it was pending, and ready when it was asked again, although nothing \
                           had happened";
                self.record.breach(Rule::Liveness, how);
            }
        }
        polled
    }

    /// Whether nothing was woken since the latest poll.
    fn is_idle(&self) -> bool {
        self.latest.as_ref().is_none_or(|latest| latest.wakes.load(Relaxed) == 0)
    }

    fn next_once(&mut self, cx: &Context<'_>) -> Poll<Option<()>> {
        let mut shown = None;
        let polled = self.poll(cx, "poll_next", |flow, cx, record| {
            flow.poll_next(cx, &mut |item| {
                let mut lines = Vec::new();
                note(&mut lines, record, item);
                shown = lines.pop();
            })
        });
        self.lines.extend(shown);
        if let Poll::Ready(None) = polled {
            self.record.event(|| What::Ended);
        }
        polled
    }

    fn drain(&mut self, cx: &Context<'_>, most: usize) -> Poll<ControlFlow<()>> {
        let mut lines = std::mem::take(self.lines);
        let mut left = most.min(ITEMS);
        let polled = self.poll(cx, "poll_drain", |flow, cx, record| {
            flow.poll_drain(cx, &mut |item| {
                note(&mut lines, record, item);
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
        });
        *self.lines = lines;
        if let Poll::Ready(ControlFlow::Continue(())) = polled {
            self.record.event(|| What::Ended);
        }
        polled
    }

    /// What has to hold once the end is out.
    fn after_the_end(&mut self, cx: &Context<'_>) {
        let record = self.record.clone();
        for (index, input) in record.inputs().iter().enumerate() {
            if !input.released() {
                let how = format_args!("it has ended, and input {index} is still there");
                record.breach(Rule::EagerRelease, how);
            }
        }
        record.note_end();
        let polls =
            |record: &Record| record.inputs().iter().map(|input| input.polls).sum::<usize>();
        let before = polls(&record);
        for _ in 0..2 {
            let next = self.poll(cx, "poll_next", |flow, cx, _| flow.poll_next(cx, &mut |_| {}));
            if !matches!(next, Poll::Ready(None)) {
                record.breach(Rule::Fused, format_args!("poll_next after the end: {next:?}"));
            }
            let _ = self.poll(cx, "poll_progress", |flow, cx, _| flow.poll_progress(cx));
            let drained = self.poll(cx, "poll_drain", |flow, cx, _| {
                flow.poll_drain(cx, &mut |_| ControlFlow::Break(()))
            });
            if !matches!(drained, Poll::Ready(ControlFlow::Continue(()))) {
                record.breach(Rule::Fused, format_args!("poll_drain after the end: {drained:?}"));
            }
            if !self.is_idle() {
                record.breach(Rule::Fused, "it wakes somebody after its end");
            }
        }
        if polls(&record) > before {
            record.breach(Rule::Fused, "it polls an input after its own end");
        }
    }

    fn check_hints(&self) {
        for (before, (least, most)) in &self.hints {
            let left = self.lines.len() - before;
            if *least > left || most.is_some_and(|most| left > most) {
                let how = format_args!(
                    "{left} items were left after {before}, and the hint was {least} to {most:?}"
                );
                self.record.breach(Rule::SizeHint, how);
            }
        }
    }
}

fn note(lines: &mut Vec<(i64, String)>, record: &Record, item: &dyn Debug) {
    let line = format!("{item:?}");
    record.event(|| What::Gave(line.clone()));
    lines.push((now(), line));
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

impl Case {
    pub(super) fn items(&self) -> usize {
        self.scripts.iter().map(|script| script.len()).sum()
    }

    pub(super) fn inputs(&self, record: &Arc<Record>, budget: bool) -> Vec<Flow<Input>> {
        let inputs = self.scripts.iter().enumerate();
        inputs.map(|(index, script)| Input::flow(index, script, budget, record)).collect()
    }

    /// Runs the operator as the case says.
    pub(super) fn run(&self, make: &Make<'_>) -> Run {
        let record = Arc::new(Record::new(self.scripts.len(), self.items()));
        let mut lines = Vec::new();
        let whole =
            AssertUnwindSafe(|| Virtual::new().try_run(self.drive(make, &record, &mut lines)));
        let end = match catch_unwind(whole) {
            Ok(Ok(end)) => end,
            Ok(Err(_)) => End::Stalled,
            Err(panic) if panic.is::<Exhausted>() => End::Exhausted,
            Err(panic) if panic.is::<Aborted>() => End::Aborted,
            Err(panic) => End::Panicked(panic_text(&*panic)),
        };
        if end == End::Stalled {
            let how = "it is pending, and nothing will ever wake the waker of the latest poll";
            record.breach(Rule::WakerRegistration, how);
        }
        if let End::Panicked(text) = &end {
            record.breach(Rule::PanicSafety, format_args!("it panicked by itself: {text}"));
        }
        if !matches!(end, End::Aborted | End::Exhausted) {
            let alive = record.ledger.alive();
            if alive > 0 {
                let how = format_args!("{alive} items are still alive after it was dropped");
                record.breach(Rule::DropAnywhere, how);
            }
            if record.any_input(|input| !input.dropped) {
                record.breach(Rule::DropAnywhere, "an input outlives it");
            }
        }
        let (breaches, events) = (record.take_breaches(), record.take_events());
        Run { lines, end, breaches, events }
    }

    async fn drive(
        &self,
        make: &Make<'_>,
        record: &Arc<Record>,
        lines: &mut Vec<(i64, String)>,
    ) -> End {
        let flow = make(self.inputs(record, true));
        let bound = match flow.outline().bound() {
            Bound::Items(items) => Some(items),
            Bound::PerKey => None,
            Bound::Unknown => {
                record.breach(Rule::DeclaredBound, "it declares no bound: Bound::Unknown");
                None
            }
        };
        let mut consumer = Consumer {
            flow,
            case: self,
            record: record.clone(),
            latest: None,
            bound,
            step: 0,
            turns: 0,
            polls: 0,
            restless: 0,
            pause: Alarm::new(),
            lines,
            hints: Vec::new(),
            live_reads: 0,
        };
        if record.any_input(|input| input.polls > 0) {
            record
                .breach(Rule::PullDiscipline, "an input was polled before anything was asked for");
        }
        poll_fn(|cx| consumer.turn(cx)).await;
        let cut = consumer.lines.len() >= ITEMS
            || self.way.drop_after.is_some_and(|turns| consumer.turns >= turns);
        let end = now();
        if !cut {
            consumer.check_hints();
            poll_fn(|cx| {
                consumer.after_the_end(cx);
                Poll::Ready(())
            })
            .await;
        }
        if consumer.restless > 2 {
            let times = consumer.restless;
            let how = format_args!("{times} times it woke itself and had nothing to do");
            record.breach(Rule::NoHotLoop, how);
        }
        if consumer.live_reads > 0 {
            record.breach(Rule::OneClock, "it reads the live clock under virtual time");
        }
        drop(consumer.flow);
        if cut {
            self.after_the_drop(record).await;
        }
        if cut { End::Cut } else { End::At(end) }
    }

    /// What was dropped early wakes nobody any more.
    async fn after_the_drop(&self, record: &Record) {
        let mut later = Alarm::new();
        // A task that it stops may wake it once more, at once.
        let settled = later.now() + Duration::from_nanos(1);
        later.set(settled);
        poll_fn(|cx| later.poll(cx)).await;
        let before = record.wakes.load(Relaxed);
        let end = self.scripts.iter().map(|script| script.end).max().unwrap_or_default();
        let until = later.now() + Duration::from_millis(end.unsigned_abs() + 1_000);
        later.set(until);
        poll_fn(|cx| later.poll(cx)).await;
        if record.wakes.load(Relaxed) > before {
            record.breach(Rule::DropAnywhere, "what it left behind goes on to wake its consumer");
        }
    }
}
