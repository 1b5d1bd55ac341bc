//! What happens in one run of a check.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;

use super::Rule;
use super::tracked::Ledger;
use crate::Clock;
use crate::util::lock;

/// The account of one run. Shared by the inputs, their items and the consumer.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) ledger: Ledger,
    /// Wakes of any waker that a poll was given.
    pub(super) wakes: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    inputs: Vec<InputState>,
    breaches: Vec<(Rule, String)>,
    events: Vec<Event>,
    /// Lowest and highest address of the stack at which an input was polled.
    stack: Option<(usize, usize)>,
    /// Whether the operator has told its end, or has panicked.
    over: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct InputState {
    pub(super) asked: Asked,
    /// Polls of any kind, and those that took an item.
    pub(super) polls: usize,
    pub(super) taken: usize,
    /// Times it was pending for no reason, and then woke its task.
    pub(super) stutters: usize,
    /// Whether it was driven since it was last asked for an item.
    pub(super) driven_since: bool,
    pub(super) ended: bool,
    pub(super) dropped: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    Never,
    Ready,
    Pending,
}

impl InputState {
    pub(super) fn released(&self) -> bool {
        self.ended || self.dropped
    }
}

/// A line of a trace: when, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    at: i64,
    what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    Input(usize, Said),
    Driven(usize),
    Dropped(usize),
    /// The consumer calls a method.
    Call(&'static str),
    /// What came of it.
    Gave(String),
    Pending,
    Ended,
    Woken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    Item(u32),
    Pending,
    Stutter,
    End,
}

/// Longer traces are cut.
const EVENTS: usize = 400;

impl Record {
    pub(super) fn new(inputs: usize, items: usize) -> Self {
        Self {
            ledger: Ledger::with_capacity(items),
            wakes: AtomicUsize::new(0),
            state: Mutex::new(State {
                inputs: vec![InputState::default(); inputs],
                breaches: Vec::new(),
                events: Vec::with_capacity(EVENTS),
                stack: None,
                over: false,
            }),
        }
    }

    pub(super) fn input(&self, index: usize) -> InputState {
        lock(&self.state).inputs[index].clone()
    }

    pub(super) fn inputs(&self) -> Vec<InputState> {
        lock(&self.state).inputs.clone()
    }

    pub(super) fn change(&self, index: usize, change: impl FnOnce(&mut InputState)) {
        change(&mut lock(&self.state).inputs[index]);
    }

    pub(super) fn any_input(&self, is: impl Fn(&InputState) -> bool) -> bool {
        lock(&self.state).inputs.iter().any(is)
    }

    pub(super) fn stutters(&self) -> usize {
        lock(&self.state).inputs.iter().map(|input| input.stutters).sum()
    }

    pub(super) fn taken(&self) -> usize {
        lock(&self.state).inputs.iter().map(|input| input.taken).sum()
    }

    /// Notes that a rule is broken; the first breach of each is enough.
    pub(super) fn breach(&self, rule: Rule, how: impl fmt::Display) {
        let breaches = &mut lock(&self.state).breaches;
        if breaches.iter().all(|(known, _)| *known != rule) {
            breaches.push((rule, how.to_string()));
        }
    }

    pub(super) fn event(&self, what: impl FnOnce() -> What) {
        let events = &mut lock(&self.state).events;
        if events.len() < EVENTS {
            let clock = Clock::current();
            // What is dropped with its task is dropped after the run.
            let at = if clock.is_virtual() { clock.now().as_millis() } else { -1 };
            events.push(Event { at, what: what() });
        }
    }

    pub(super) fn stack(&self, address: usize) {
        let stack = &mut lock(&self.state).stack;
        let (low, high) = stack.unwrap_or((address, address));
        *stack = Some((low.min(address), high.max(address)));
    }

    pub(super) fn stack_depth(&self) -> usize {
        lock(&self.state).stack.map_or(0, |(low, high)| high - low)
    }

    pub(super) fn note_end(&self) {
        lock(&self.state).over = true;
    }

    pub(super) fn is_over(&self) -> bool {
        lock(&self.state).over
    }

    pub(super) fn take_breaches(&self) -> Vec<(Rule, String)> {
        std::mem::take(&mut lock(&self.state).breaches)
    }

    pub(super) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut lock(&self.state).events)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>5} ms  ", self.at)?;
        match &self.what {
            What::Input(index, said) => {
                write!(f, "      input {index}: ")?;
                match said {
                    Said::Item(value) => write!(f, "item {value}"),
                    Said::Pending => f.write_str("pending"),
                    Said::Stutter => f.write_str("pending for no reason, and wakes"),
                    Said::End => f.write_str("the end"),
                }
            }
            What::Driven(index) => write!(f, "      input {index} is driven"),
            What::Dropped(index) => write!(f, "      input {index} is dropped"),
            What::Call(method) => write!(f, "  {method}"),
            What::Gave(item) => write!(f, "    -> {item}"),
            What::Pending => f.write_str("    -> pending"),
            What::Ended => f.write_str("    -> the end"),
            What::Woken => f.write_str("    woken"),
        }
    }
}
