//! [`Tap`]: a flow whose items also go into a sink.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project::pin_project;

use super::Dropped;
use crate::{Bound, Flow, Outline, Site, Stage};

/// The stage behind [`Flow::also_to`] and [`Flow::wire_tap`].
#[pin_project]
#[derive(Debug)]
pub struct Tap<S: Stage, Si: Sink<S::Item>> {
    /// `None` once the flow has ended.
    #[pin]
    input: Option<S>,
    /// `None` once it is closed or has failed.
    #[pin]
    sink: Option<Si>,
    /// Came, and waits for the sink.
    waiting: Option<S::Item>,
    slows: Slows,
    failure: Option<Si::Error>,
    sent: u64,
    missed: u64,
    site: Site,
}

/// What the sink does to the flow.
#[derive(Debug, Clone, Copy)]
pub(super) enum Slows {
    /// It sets the pace, and if it fails this happens.
    Yes(Dropped),
    No,
}

impl<S: Stage, Si: Sink<S::Item>> Tap<S, Si> {
    pub(super) fn new(input: S, sink: Si, slows: Slows, site: Site) -> Self {
        Self {
            input: Some(input),
            sink: Some(sink),
            waiting: None,
            slows,
            failure: None,
            sent: 0,
            missed: 0,
            site,
        }
    }

    fn fail(self: Pin<&mut Self>, error: Si::Error) {
        let mut this = self.project();
        this.sink.set(None);
        *this.failure = Some(error);
        if let Slows::Yes(Dropped::End) = this.slows {
            this.input.set(None);
        }
    }
}

impl<S: Stage<Item: Clone>, Si: Sink<S::Item>> Tap<S, Si> {
    /// Brings an item to the sink; `Pending` if it has to wait.
    fn poll_send(mut self: Pin<&mut Self>, cx: &mut Context<'_>, item: &S::Item) -> Poll<()> {
        let this = self.as_mut().project();
        let Some(mut sink) = this.sink.as_pin_mut() else {
            *this.missed += 1;
            return Poll::Ready(());
        };
        let sent = match sink.as_mut().poll_ready(cx) {
            Poll::Ready(Ok(())) => sink.start_send(item.clone()),
            Poll::Ready(failed) => failed,
            Poll::Pending => {
                if let Slows::No = this.slows {
                    *this.missed += 1;
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
        };
        match sent {
            Ok(()) => *this.sent += 1,
            Err(error) => {
                *this.missed += 1;
                self.fail(error);
            }
        }
        Poll::Ready(())
    }

    /// Flushes the sink or closes it; ready when nothing more is to be waited for.
    fn poll_sink(mut self: Pin<&mut Self>, cx: &mut Context<'_>, close: bool) -> Poll<()> {
        let this = self.as_mut().project();
        let Some(sink) = this.sink.as_pin_mut() else {
            return Poll::Ready(());
        };
        let polled = if close { sink.poll_close(cx) } else { sink.poll_flush(cx) };
        match polled {
            Poll::Ready(Ok(())) if close => self.project().sink.set(None),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => self.fail(error),
            Poll::Pending => return Poll::Pending,
        }
        Poll::Ready(())
    }
}

impl<S: Stage<Item: Clone>, Si: Sink<S::Item>> Flow<Tap<S, Si>> {
    /// How many items the sink has taken.
    pub fn sent(&self) -> u64 {
        self.stage().sent
    }

    /// How many items the sink did not get, because it was not ready or had failed.
    pub fn missed(&self) -> u64 {
        self.stage().missed
    }

    /// The error of the sink, if it has failed.
    pub fn failure(&self) -> Option<&Si::Error> {
        self.stage().failure.as_ref()
    }
}

impl<S: Stage<Item: Clone>, Si: Sink<S::Item>> Stage for Tap<S, Si> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if self.waiting.is_none() {
            let this = self.as_mut().project();
            let polled = match this.input.as_pin_mut() {
                Some(input) => input.poll_next(cx),
                None => Poll::Ready(None),
            };
            match polled {
                Poll::Ready(Some(item)) => *self.as_mut().project().waiting = Some(item),
                Poll::Ready(None) => {
                    self.as_mut().project().input.set(None);
                    let closed = self.as_mut().poll_sink(cx, true);
                    if let Slows::Yes(_) = self.slows {
                        ready!(closed);
                    }
                    self.project().sink.set(None);
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    let _ = self.poll_sink(cx, false);
                    return Poll::Pending;
                }
            }
        }
        let Some(item) = self.as_mut().project().waiting.take() else {
            return Poll::Pending;
        };
        if self.as_mut().poll_send(cx, &item).is_ready() {
            return Poll::Ready(Some(item));
        }
        let this = self.project();
        *this.waiting = Some(item);
        if let Some(input) = this.input.as_pin_mut() {
            let _ = input.poll_progress(cx);
        }
        Poll::Pending
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let flushed = self.as_mut().poll_sink(cx, false);
        let input = self.project().input.as_pin_mut();
        let driven = input.map_or(Poll::Ready(()), |input| input.poll_progress(cx));
        if driven.is_pending() { driven } else { flushed }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.waiting.is_some());
        let (least, most) = self.input.as_ref().map_or((0, Some(0)), Stage::size_hint);
        let least = match self.slows {
            // The sink may fail at any item.
            Slows::Yes(Dropped::End) => 0,
            Slows::Yes(Dropped::Discard) | Slows::No => least,
        };
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        match self.slows {
            Slows::Yes(dropped) => outline
                .stage("also_to", self.site)
                .parameter("dropped", format_args!("{dropped:?}"))
                .holds(Bound::Items(1)),
            Slows::No => outline.stage("wire_tap", self.site),
        };
    }
}

/// A sink that says what it gets, and is busy for 3 ms with each item.
#[cfg(test)]
pub(super) fn busy_sink<T>(
    mut each: impl FnMut(T),
) -> impl Sink<T, Error = std::convert::Infallible> {
    futures::sink::unfold((), move |(), item| {
        each(item);
        let mut alarm = crate::Alarm::new();
        let due = alarm.now() + std::time::Duration::from_millis(3);
        alarm.set(due);
        // Who asks at that very instant need not wait for the alarm to ring.
        std::future::poll_fn(move |cx| match alarm.now() >= due {
            true => Poll::Ready(Ok(())),
            false => alarm.poll(cx).map(Ok),
        })
    })
}
