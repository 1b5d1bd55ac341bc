//! [`Feed`]: the source that marbles and timelines are played from.

use std::collections::VecDeque;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use super::Timeline;
use crate::util::lock;
use crate::{Alarm, Bound, Clock, Flow, Outline, Site, Stage, Timestamp};

/// A source that plays a [`Timeline`]: each item at its millisecond of virtual time, or as soon as
/// it is asked for if that is later. It loses nothing.
#[derive(Debug)]
pub struct Feed<T> {
    items: VecDeque<(i64, T)>,
    end: i64,
    ended: bool,
    alarm: Alarm,
    /// At which answers it says `Pending` once, with the waker woken, before it gives them.
    stumbles: Vec<bool>,
    answers: usize,
    stumbled: bool,
    seen: Arc<Seen>,
    site: Site,
}

/// When a [`Feed`] was first polled and when it was let go, in milliseconds.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<(Option<i64>, Option<i64>)>);

impl Seen {
    pub(super) fn span(&self) -> (Option<i64>, Option<i64>) {
        *lock(&self.0)
    }
}

impl<T> Feed<T> {
    /// The feed of a timeline. Of several at one instant, the one with the lower number comes
    /// first.
    #[track_caller]
    pub(super) fn flow(timeline: Timeline<T>, number: u16) -> Flow<Self> {
        Flow::from_stage(Self::new(timeline, number, Vec::new()))
    }

    #[track_caller]
    pub(super) fn new(timeline: Timeline<T>, number: u16, stumbles: Vec<bool>) -> Self {
        Self {
            items: timeline.events.into(),
            end: timeline.end,
            ended: false,
            alarm: Alarm::for_source_number(number),
            stumbles,
            answers: 0,
            stumbled: false,
            seen: Arc::default(),
            site: Location::caller(),
        }
    }

    pub(super) fn seen(&self) -> Arc<Seen> {
        self.seen.clone()
    }

    fn stumble(&mut self) -> bool {
        let due = self.stumbles.get(self.answers % self.stumbles.len().max(1));
        self.stumbled = !self.stumbled && due == Some(&true);
        self.stumbled
    }
}

impl<T> Unpin for Feed<T> {}

impl<T> Stage for Feed<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.get_mut();
        if this.ended {
            return Poll::Ready(None);
        }
        let now = this.alarm.now();
        lock(&this.seen.0).0.get_or_insert(now.as_millis());
        let due = this.items.front().map_or(this.end, |(due, _)| *due);
        if due == Timeline::<T>::NEVER {
            return Poll::Pending;
        }
        let due = Timestamp::from_millis(due);
        // Who waits for an alarm waits for his own, so that the feeds come in the order of their
        // numbers; what was due before it was asked for is there.
        if now < due || this.alarm.deadline().is_some() {
            if this.alarm.deadline() != Some(due) {
                this.alarm.set(due);
            }
            ready!(this.alarm.poll(cx));
        }
        if this.stumble() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        this.answers += 1;
        let item = this.items.pop_front();
        if item.is_none() {
            this.ended = true;
            lock(&this.seen.0).1.get_or_insert(this.alarm.now().as_millis());
        }
        Poll::Ready(item.map(|(_, item)| item))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.items.len(), Some(self.items.len()))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("feed", self.site).holds(Bound::Items(0));
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        let now = Clock::current().now().as_millis();
        let mut span = lock(&self.seen.0);
        if span.0.is_some() {
            span.1.get_or_insert(now);
        }
    }
}
