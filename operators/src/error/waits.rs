//! [`Waits`]: the plan of [`retry`](super::retry) and [`restart`](super::restart).

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Backoff;
use super::attempts::{Next, Plan};
use crate::{Alarm, Node, Timestamp};

/// Waits as a [`Backoff`] says, as often as it says.
#[derive(Debug)]
pub struct Waits<E> {
    name: &'static str,
    backoff: Backoff,
    /// Whether an end without an error counts as one with.
    after_end: bool,
    /// Attempts since the last healthy one that followed another, and of all.
    row: u64,
    drawn: u64,
    /// When the first one of the row was over.
    row_since: Option<Timestamp>,
    /// When the last ones began to be waited for, as many as are allowed within some time.
    recent: VecDeque<Timestamp>,
    /// When the first item of the attempt came.
    up_since: Option<Timestamp>,
    /// Set from the end of an attempt until the next one.
    alarm: Alarm,
    /// There is no next one: what comes instead.
    given_up: Option<Option<E>>,
}

// Nothing in it is ever pinned.
impl<E> Unpin for Waits<E> {}

impl<E> Waits<E> {
    pub(super) fn new(name: &'static str, backoff: Backoff, after_end: bool) -> Self {
        Self {
            name,
            backoff,
            after_end,
            row: 0,
            drawn: 0,
            row_since: None,
            recent: VecDeque::new(),
            up_since: None,
            alarm: Alarm::new(),
            given_up: None,
        }
    }

    /// Sets the alarm to the next attempt, or gives up.
    fn over(&mut self, error: Option<E>) {
        let now = self.alarm.now();
        let healthy = |since| now - since >= self.backoff.min_uptime();
        if self.up_since.take().is_some_and(healthy) {
            self.row = 0;
            self.row_since = None;
        }
        match self.next(now) {
            // Without a wait the next attempt comes before anything else of this instant.
            Some(due) if due <= now => self.alarm.clear(),
            Some(due) => self.alarm.set(due),
            None => self.given_up = Some(error),
        }
    }

    fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        let due = now + self.backoff.wait(self.row, self.drawn)?;
        let row_since = *self.row_since.get_or_insert(now);
        if self.backoff.elapses().is_some_and(|most| due - row_since > most) {
            return None;
        }
        if let Some((most, within)) = self.backoff.density() {
            while self.recent.front().is_some_and(|first| now - *first >= within) {
                self.recent.pop_front();
            }
            if self.recent.len() >= most {
                return None;
            }
            self.recent.push_back(now);
        }
        self.row += 1;
        self.drawn += 1;
        Some(due)
    }
}

impl<E> Plan for Waits<E> {
    type Error = E;

    fn item_came(mut self: Pin<&mut Self>) {
        if self.up_since.is_none() {
            self.up_since = Some(self.alarm.now());
        }
    }

    fn failed(mut self: Pin<&mut Self>, error: E) {
        self.over(Some(error));
    }

    fn ended(mut self: Pin<&mut Self>) -> bool {
        if self.after_end {
            self.over(None);
        }
        self.after_end
    }

    fn poll_decided(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Without a deadline it has rung.
        if self.given_up.is_some() || self.alarm.deadline().is_none() {
            return Poll::Ready(());
        }
        self.alarm.poll(cx)
    }

    fn decision(mut self: Pin<&mut Self>) -> Next<E> {
        match self.given_up.take() {
            None => Next::Attempt,
            Some(None) => Next::End,
            Some(Some(error)) => Next::Error(error),
        }
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("backoff", self.backoff);
    }
}
