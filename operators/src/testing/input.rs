//! [`Input`]: what the checks feed an operator with. It keeps to the contract of a stage, does
//! what is hardest on the operator below it, and notes when it is polled after its end.

use std::fmt;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::Rule;
use super::record::{Asked, Record, Said, What};
use super::tracked::Tracked;
use crate::{Alarm, Budget, Flow, Outline, Stage, Timestamp};

/// The value of an item that panics when a closure looks at it.
pub(super) const POISON: u32 = 666;

/// What an input brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// Milliseconds and values.
    pub(super) items: Vec<(i64, u32)>,
    /// So often: with items at 0 ms, a long input.
    pub(super) rounds: usize,
    pub(super) end: i64,
    /// Whether it is pending once before each item, without any time passing, and wakes itself.
    pub(super) stutters: bool,
}

impl Script {
    pub(super) fn new(items: impl IntoIterator<Item = (i64, u32)>, end: i64) -> Self {
        Self { items: items.into_iter().collect(), rounds: 1, end, stutters: false }
    }

    /// Items that are all there at once.
    pub(super) fn long(values: &[u32], rounds: usize) -> Self {
        Self { rounds, ..Self::new(values.iter().map(|value| (0, *value)), 0) }
    }

    pub(super) fn len(&self) -> usize {
        self.items.len().saturating_mul(self.rounds)
    }

    fn get(&self, index: usize) -> Option<(i64, u32)> {
        (index < self.len()).then(|| self.items[index % self.items.len()])
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in &self.items {
            write!(f, "{value} at {at}, ")?;
        }
        if self.rounds > 1 {
            write!(f, "{} times, ", self.rounds)?;
        }
        write!(f, "end at {} ms", self.end)?;
        if self.stutters {
            f.write_str(", pending once before each")?;
        }
        Ok(())
    }
}

/// The input of an operator that is checked: a source of [`Tracked`] items.
pub struct Input {
    index: usize,
    script: Arc<Script>,
    next: usize,
    /// Whether the next poll is pending without a reason.
    stutter: bool,
    alarm: Alarm,
    /// As every source has one. `None` for an input of somebody who knows none.
    budget: Option<Budget>,
    record: Arc<Record>,
}

/// Ends a run that has already shown what is wrong. Silent: no panic hook runs.
pub(super) fn abort() -> ! {
    resume_unwind(Box::new(Aborted))
}

/// What [`abort`] unwinds with.
pub(super) struct Aborted;

impl Input {
    pub(super) fn flow(
        index: usize,
        script: &Arc<Script>,
        budget: bool,
        record: &Arc<Record>,
    ) -> Flow<Self> {
        Flow::from_stage(Self {
            index,
            script: script.clone(),
            next: 0,
            stutter: script.stutters,
            alarm: Alarm::for_source(),
            budget: budget.then(Budget::new),
            record: record.clone(),
        })
    }

    fn note(&self, said: Said) {
        self.record.change(self.index, |state| {
            state.polls += 1;
            state.driven_since = false;
            state.asked = match said {
                Said::Item(_) | Said::End => Asked::Ready,
                Said::Pending | Said::Stutter => Asked::Pending,
            };
            state.taken += usize::from(matches!(said, Said::Item(_)));
            state.stutters += usize::from(said == Said::Stutter);
            state.ended |= said == Said::End;
        });
        self.record.event(|| What::Input(self.index, said));
    }

    /// The value that is due, or `None` at the end.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Option<u32>> {
        if self.stutter {
            self.stutter = false;
            cx.waker().wake_by_ref();
            self.note(Said::Stutter);
            return Poll::Pending;
        }
        if let Some(budget) = &mut self.budget
            && !budget.spend(cx)
        {
            self.note(Said::Stutter);
            return Poll::Pending;
        }
        let item = self.script.get(self.next);
        let due = Timestamp::from_millis(item.map_or(self.script.end, |(due, _)| due));
        if self.alarm.now() < due || self.alarm.deadline().is_some() {
            if self.alarm.deadline() != Some(due) {
                self.alarm.set(due);
            }
            if self.alarm.poll(cx).is_pending() {
                if let Some(budget) = &mut self.budget {
                    budget.rest();
                }
                self.note(Said::Pending);
                return Poll::Pending;
            }
        }
        Poll::Ready(item.map(|(_, value)| value))
    }
}

impl Stage for Input {
    type Item = Tracked;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Tracked>> {
        let this = &mut *self;
        let here = 0u8;
        this.record.stack(&raw const here as usize);
        if this.record.input(this.index).ended {
            let index = this.index;
            if this.record.is_over() {
                // Asked by somebody who was asked after the end.
                this.record.breach(Rule::Fused, "it polls an input after its own end");
                return Poll::Ready(None);
            }
            this.record.breach(
                Rule::UpstreamDiscipline,
                format_args!("input {index} was polled after its end"),
            );
            abort();
        }
        let due = ready!(this.poll_due(cx));
        this.stutter = this.script.stutters;
        this.next += 1;
        let Some(value) = due else {
            this.note(Said::End);
            return Poll::Ready(None);
        };
        this.note(Said::Item(value));
        let ledger = &this.record.ledger;
        Poll::Ready(Some(match value {
            POISON => Tracked::poison(value, ledger),
            value => Tracked::new(value, ledger),
        }))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        self.record.change(self.index, |state| state.driven_since = true);
        self.record.event(|| What::Driven(self.index));
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.script.len().saturating_sub(self.next);
        (left, Some(left))
    }

    fn describe(&self, _: &mut Outline) {}
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input").field("index", &self.index).finish_non_exhaustive()
    }
}

impl Drop for Input {
    fn drop(&mut self) {
        self.record.change(self.index, |state| state.dropped = true);
        self.record.event(|| What::Dropped(self.index));
    }
}
