//! The tasks of a pipeline: one for each source and stage, one for each sink.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project::pin_project;

use crate::{Clock, Flow, Stage, Timestamp};

use super::edge::{Port, Room};
use super::stats::NodeStats;

/// Tells the time of an item; `None`: it is the time at which the item comes.
pub(super) type TimeOf<T> = Option<Box<dyn FnMut(&T) -> Timestamp + Send>>;

/// Drives a flow and hands each item to the edges that want it.
#[pin_project]
pub(super) struct Driver<S: Stage> {
    #[pin]
    pub(super) flow: Flow<S>,
    pub(super) ports: Vec<Box<dyn Port<S::Item>>>,
    pub(super) time_of: TimeOf<S::Item>,
    pub(super) clock: Option<Clock>,
    /// The latest time so far: what an edge is told never goes back.
    pub(super) reached: Timestamp,
    pub(super) stats: Arc<NodeStats>,
}

impl<S: Stage> Future for Driver<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            let (mut blocked, mut wanted) = (false, false);
            for port in this.ports.iter_mut() {
                match port.poll_room(cx) {
                    Poll::Ready(Room::Free) => wanted = true,
                    Poll::Ready(Room::Gone) => {}
                    Poll::Pending => blocked = true,
                }
            }
            this.stats.waits_for_room(blocked);
            if blocked {
                // The edge wakes this task; what is in flight above it goes on meanwhile.
                let _ = this.flow.as_mut().poll_progress(cx);
                return Poll::Pending;
            }
            if !wanted {
                return Poll::Ready(());
            }
            let Some(item) = ready!(Stage::poll_next(this.flow.as_mut(), cx)) else {
                this.ports.iter_mut().for_each(|port| port.close());
                return Poll::Ready(());
            };
            let time = match this.time_of {
                Some(time_of) => time_of(&item),
                None => this.clock.get_or_insert_with(Clock::current).now(),
            };
            *this.reached = (*this.reached).max(time);
            let mut routed = false;
            for port in this.ports.iter_mut() {
                routed |= port.bring(*this.reached, &item);
            }
            match routed {
                true => this.stats.give(),
                false => this.stats.unrouted(),
            }
        }
    }
}

/// Drives a flow into a sink. Unlike [`Flow::forward`] it does not flush whenever the input
/// pauses, only at the end: when to write is the sink's affair.
#[pin_project]
pub(super) struct Feed<S: Stage, K> {
    #[pin]
    pub(super) flow: Flow<S>,
    #[pin]
    pub(super) sink: K,
    pub(super) ended: bool,
    pub(super) stats: Arc<NodeStats>,
}

impl<S: Stage, K: Sink<S::Item>> Future for Feed<S, K> {
    type Output = Result<(), K::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            if *this.ended {
                return this.sink.poll_close(cx);
            }
            let ready = this.sink.as_mut().poll_ready(cx)?;
            this.stats.waits_for_room(ready.is_pending());
            if ready.is_pending() {
                let _ = this.flow.as_mut().poll_progress(cx);
                return Poll::Pending;
            }
            match ready!(Stage::poll_next(this.flow.as_mut(), cx)) {
                Some(item) => {
                    this.sink.as_mut().start_send(item)?;
                    this.stats.give();
                }
                None => *this.ended = true,
            }
        }
    }
}
