//! The hot and cold sources of a case on the virtual clock, and what happens when (FORMAT.md,
//! section 3).
//!
//! Each event is an alarm of its own, and the whole stream runs to rest before the next one rings:
//! so an event meets what the one before it has done, as in a library that pushes. At one instant
//! hot events come first, in the order in which the sources are declared; then those of cold
//! sources and the timers of operators, in the order in which they were set.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};

use aqueduct::{Alarm, Clock, Flow, Outline, Stage, Timestamp};

use crate::Item;
use crate::cell::Cell;
use crate::marble::{Frame, Subscription};
use crate::value::Value;

/// One event of a stream, as its consumer sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Next(Value),
    Error(Value),
    Complete,
}

/// What is due at an alarm.
pub enum Due {
    Subscribe(usize),
    Unsubscribe(usize),
    /// The slow consumer makes its next request.
    Request,
    Hot(usize, Event),
    Cold(Weak<Listener>, Event),
    /// Long after everything else.
    Rest,
}

/// The alarms of everything that a case says beforehand.
#[derive(Default)]
pub struct Schedule {
    all: Cell<Vec<(Alarm, Due)>>,
    /// The task that runs the case: an alarm may be added in another one.
    waker: Cell<Option<Waker>>,
}

impl Schedule {
    pub fn add(&self, mut alarm: Alarm, at: Frame, due: Due) {
        alarm.set(Timestamp::from_millis(at));
        self.all.lock().push((alarm, due));
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Arms the alarms that were added in this turn.
    pub fn arm(&self, cx: &mut Context<'_>) {
        for (alarm, _) in &mut *self.all.lock() {
            let _ = alarm.poll(cx);
        }
        *self.waker.lock() = Some(cx.waker().clone());
    }

    /// What is due now, if anything.
    pub fn poll(&self, cx: &mut Context<'_>) -> Option<Due> {
        self.waker.lock().take();
        let mut all = self.all.lock();
        let mut rang = None;
        for (index, (alarm, _)) in all.iter_mut().enumerate() {
            // Only one alarm rings in a turn.
            if alarm.poll(cx).is_ready() {
                rang = Some(index);
            }
        }
        rang.map(|index| all.remove(index).1)
    }
}

/// One subscription to a source.
pub struct Listener {
    /// What came and was not taken yet: sources do not wait.
    queue: Cell<VecDeque<Event>>,
    waker: Cell<Option<Waker>>,
    sources: Sources,
    /// The source, and its place in the log there.
    place: usize,
    entry: usize,
}

impl Listener {
    fn give(&self, event: Event) {
        if !matches!(event, Event::Next(_)) {
            self.end();
        }
        self.queue.lock().push_back(event);
        if let Some(waker) = self.waker.lock().take() {
            waker.wake();
        }
    }

    /// Closes the entry in the log, unless that is done.
    fn end(&self) {
        self.sources.0.all.lock()[self.place].log[self.entry].1.get_or_insert_with(now);
    }
}

struct Source {
    name: &'static str,
    hot: bool,
    events: Vec<(Frame, Event)>,
    log: Vec<Subscription>,
    listeners: Vec<Weak<Listener>>,
    /// A hot source that has ended ends at once for whoever comes later.
    last: Option<Event>,
}

/// All sources of a case.
#[derive(Clone, Default)]
pub struct Sources(Arc<Inner>);

#[derive(Default)]
struct Inner {
    slow_consumer: Cell<bool>,
    all: Cell<Vec<Source>>,
    schedule: Schedule,
}

impl Sources {
    pub fn add(&self, name: &'static str, hot: bool, events: Vec<(Frame, Event)>) {
        let (log, listeners) = Default::default();
        let source = Source { name, hot, events, log, listeners, last: None };
        self.0.all.lock().push(source);
    }

    /// Cold sources run from the beginning, whenever they are asked first.
    pub fn keep_for_slow_consumer(&self) {
        *self.0.slow_consumer.lock() = true;
    }

    pub fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    /// Schedules the events of the hot sources, which run whether or not anyone listens.
    pub fn start(&self) {
        for (place, source) in self.0.all.lock().iter().enumerate().filter(|(_, s)| s.hot) {
            for (frame, event) in source.events.iter().filter(|(frame, _)| *frame >= 0) {
                let due = Due::Hot(place, event.clone());
                self.0.schedule.add(Alarm::for_source(), *frame, due);
            }
        }
    }

    /// Gives an event of a hot source to those who listen.
    pub fn give(&self, place: usize, event: Event) {
        let listeners: Vec<_> = {
            let source = &mut self.0.all.lock()[place];
            if !matches!(event, Event::Next(_)) {
                source.last = Some(event.clone());
            }
            source.listeners.iter().filter_map(Weak::upgrade).collect()
        };
        for listener in listeners {
            listener.give(event.clone());
        }
    }

    /// Gives an event of a cold source to its subscription, if that lives.
    pub fn give_to(listener: &Weak<Listener>, event: Event) {
        if let Some(listener) = listener.upgrade() {
            listener.give(event);
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.0.all.lock().iter().position(|source| source.name == name)
    }

    /// The subscriptions of a source so far.
    pub fn log(&self, name: &str) -> Option<Vec<Subscription>> {
        let place = self.place(name)?;
        Some(self.0.all.lock()[place].log.clone())
    }

    /// A flow that subscribes at its first poll and leaves when it is dropped.
    pub fn flow(&self, name: &str) -> Option<Flow<Tap>> {
        let place = self.place(name)?;
        Some(Flow::from_stage(Tap { sources: self.clone(), place, state: TapState::New }))
    }

    fn subscribe(&self, place: usize) -> Arc<Listener> {
        let source = &mut self.0.all.lock()[place];
        let listener = Arc::new(Listener {
            queue: Cell::default(),
            waker: Cell::default(),
            sources: self.clone(),
            place,
            entry: source.log.len(),
        });
        source.log.push((now(), source.last.is_some().then(now)));
        listener.queue.lock().extend(source.last.clone());
        if source.hot {
            source.listeners.push(Arc::downgrade(&listener));
        } else {
            // For a slow consumer it runs from the beginning, and keeps what nobody took yet.
            let from = if *self.0.slow_consumer.lock() { 0 } else { now() };
            for (frame, event) in &source.events {
                let due = Due::Cold(Arc::downgrade(&listener), event.clone());
                self.0.schedule.add(Alarm::for_source(), from + frame, due);
            }
        }
        listener
    }
}

/// The frame at which we are.
pub fn now() -> Frame {
    Clock::current().now().as_millis()
}

/// The stage of a source.
pub struct Tap {
    sources: Sources,
    place: usize,
    state: TapState,
}

enum TapState {
    New,
    Open(Arc<Listener>),
    Ended,
}

impl Stage for Tap {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        if let TapState::New = this.state {
            this.state = TapState::Open(this.sources.subscribe(this.place));
        }
        let TapState::Open(listener) = &this.state else {
            return Poll::Ready(None);
        };
        let event = listener.queue.lock().pop_front();
        let last = match event {
            Some(Event::Next(item)) => return Poll::Ready(Some(Ok(item))),
            Some(Event::Error(error)) => Some(Err(error)),
            Some(Event::Complete) => None,
            None => {
                *listener.waker.lock() = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        this.state = TapState::Ended;
        Poll::Ready(last)
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, _: &mut Outline) {}
}

impl Drop for Tap {
    fn drop(&mut self) {
        if let TapState::Open(listener) = &self.state {
            listener.end();
        }
    }
}
