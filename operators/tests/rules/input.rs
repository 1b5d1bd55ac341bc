//! The input of every check: a stage that keeps to its contract, does what is hardest on the
//! operator below it, and panics when it is polled after its end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, ready};

use aqueduct_operators::{Alarm, Flow, Outline, Stage, Timestamp};

/// The value of an item that panics when a closure looks at it.
pub(crate) const POISON: u32 = 666;

/// What happened to an input and to its items.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Items that live, copies included.
    pub(crate) alive: AtomicIsize,
    /// How often work in flight was driven.
    pub(crate) driven: AtomicUsize,
    /// Whether the input has ended or was dropped.
    pub(crate) released: AtomicBool,
}

/// An item that is counted as long as it lives.
pub(crate) struct Item {
    value: u32,
    log: Arc<Log>,
}

impl Item {
    fn new(value: u32, log: &Arc<Log>) -> Self {
        log.alive.fetch_add(1, Relaxed);
        Self { value, log: log.clone() }
    }

    /// For closures of operators.
    pub(crate) fn value(&self) -> u32 {
        assert_ne!(self.value, POISON, "the closure panics");
        self.value
    }
}

impl Clone for Item {
    fn clone(&self) -> Self {
        Self::new(self.value, &self.log)
    }
}

impl PartialEq for Item {
    fn eq(&self, other: &Self) -> bool {
        self.value() == other.value()
    }
}

impl fmt::Debug for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl Drop for Item {
    fn drop(&mut self) {
        self.log.alive.fetch_sub(1, Relaxed);
    }
}

/// Items with the milliseconds of virtual time at which they come, and the time of the end.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    pub(crate) items: Vec<(i64, u32)>,
    pub(crate) end: i64,
    /// Whether it is pending once before each item, without any time passing, and wakes itself.
    pub(crate) stutters: bool,
}

impl Script {
    pub(crate) fn new(items: impl IntoIterator<Item = (i64, u32)>, end: i64) -> Self {
        Self { items: items.into_iter().collect(), end, stutters: false }
    }

    /// The flow of these items, with an exact size hint.
    pub(crate) fn flow(&self, log: &Arc<Log>) -> Flow<Input> {
        Flow::from_stage(Input {
            script: self.clone(),
            next: 0,
            stutter: self.stutters,
            alarm: Alarm::for_source(),
            log: log.clone(),
        })
    }
}

pub(crate) struct Input {
    script: Script,
    next: usize,
    /// Whether the next poll is pending without a reason.
    stutter: bool,
    alarm: Alarm,
    log: Arc<Log>,
}

impl Stage for Input {
    type Item = Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        let this = &mut *self;
        assert!(!this.log.released.load(Relaxed), "the input was polled after its end");
        if this.stutter {
            this.stutter = false;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let item = this.script.items.get(this.next).copied();
        let due = Timestamp::from_millis(item.map_or(this.script.end, |(due, _)| due));
        if this.alarm.now() < due {
            if this.alarm.deadline() != Some(due) {
                this.alarm.set(due);
            }
            ready!(this.alarm.poll(cx));
        }
        this.stutter = this.script.stutters;
        this.next += 1;
        let Some((_, value)) = item else {
            this.log.released.store(true, Relaxed);
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Item::new(value, &this.log)))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.log.driven.fetch_add(1, Relaxed);
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.script.items.len().saturating_sub(self.next);
        (left, Some(left))
    }

    fn describe(&self, _: &mut Outline) {}
}

impl Drop for Input {
    fn drop(&mut self) {
        self.log.released.store(true, Relaxed);
    }
}
