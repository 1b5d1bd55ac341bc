//! `keep_alive`: something in the silence.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits `beat()` whenever nothing has come for a time of `idle`.
    ///
    /// ```text
    /// in   a-b---------c-|
    /// out  a-b---h---h-c-|    keep_alive(4, || 'h')
    /// ```
    ///
    /// For a connection that must not look dead, and for a consumer that should notice time. The
    /// time that counts is that in which the flow is asked for an item and has none, so that
    /// nothing is put in while the consumer is busy, and no beat is ever queued. A beat never
    /// overtakes data: an item at the very instant at which the time is over comes before, and
    /// there is no beat then.
    ///
    /// - **Emits** each item, in the same poll; a beat `idle` after the silence began, and again
    ///   after each further `idle`.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here; a panic in `beat` comes out of the poll.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each turn in which items came, no timer operation for an
    ///   item.
    ///
    /// # Panics
    ///
    /// If `idle` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, never};
    /// # use std::time::Duration;
    /// let frames = never::<&str>().keep_alive(Duration::from_secs(20), || "ping");
    /// assert_eq!(Virtual::new().run(frames.first()), Some("ping"));
    /// ```
    #[doc(alias("heartbeat", "insert_heartbeat", "ping"))]
    #[track_caller]
    pub fn keep_alive<F>(self, idle: Duration, beat: F) -> Flow<KeepAlive<S, F>>
    where
        F: FnMut() -> S::Item,
    {
        let site = Location::caller();
        assert!(!idle.is_zero(), "keep_alive: the idle time must not be zero, at {site}");
        let silence = Silence { idle, measured: false, alarm: Alarm::new() };
        Flow::from_stage(KeepAlive { input: self.into_stage(), beat, silence, site })
    }
}

/// The stage behind [`Flow::keep_alive`].
#[pin_project]
#[derive(Debug)]
pub struct KeepAlive<S, F> {
    #[pin]
    input: S,
    beat: F,
    silence: Silence,
    site: Site,
}

#[derive(Debug)]
struct Silence {
    idle: Duration,
    /// Whether the alarm is set for the silence since the last item or beat.
    measured: bool,
    alarm: Alarm,
}

impl Silence {
    /// Ready when it has lasted long enough; the next one begins then.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.measured {
            ready!(self.alarm.poll(cx));
        } else {
            let now = self.alarm.now();
            self.alarm.set(now + self.idle);
            self.measured = true;
            ready!(self.alarm.poll_at(now, cx));
        }
        self.measured = false;
        Poll::Ready(())
    }
}

impl<S: Stage, F: FnMut() -> S::Item> Stage for KeepAlive<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        if let ready @ Poll::Ready(_) = this.input.poll_next(cx) {
            this.silence.measured = false;
            return ready;
        }
        ready!(this.silence.poll(cx));
        Poll::Ready(Some((this.beat)()))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let measured = &mut this.silence.measured;
        let drained = this.input.poll_drain(cx, &mut |item| {
            *measured = false;
            each(item)
        });
        if drained.is_ready() {
            return drained;
        }
        // The input was asked just now, and is awaited together with the next silence.
        while this.silence.poll(cx).is_ready() {
            if let broke @ ControlFlow::Break(_) = each((this.beat)()) {
                return Poll::Ready(broke);
            }
        }
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.input.size_hint().0, None)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("keep_alive", self.site)
            .parameter("idle", format_args!("{:?}", self.silence.idle));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;
    use crate::{Alarm, Virtual};
    use std::cell::RefCell;
    use std::future::poll_fn;

    marbles!(keep_alive, |input| input.keep_alive(ms(4), || 'h'));
    conformance!(kept_alive, |input| input.map(Some).keep_alive(ms(3), || None));
    specification!(keep_alive, |input| input.keep_alive(ms(4), || 99), |input| -> Timeline<_> {
        let mut output = Timeline::new([], input.end);
        let mut last = 0;
        let end = (input.end, None);
        for (at, item) in input.events.into_iter().map(|(at, item)| (at, Some(item))).chain([end]) {
            let beats = (last + 4..at).step_by(4);
            output.events.extend(beats.map(|beat| (beat, 99)));
            output.events.extend(item.map(|item| (at, item)));
            last = at;
        }
        output
    });

    #[test]
    fn a_busy_consumer_gets_no_beat_in_front_of_the_data() {
        let flow = timetable([(0, 'a'), (1, 'b')], 12).keep_alive(ms(4), || 'h');
        let seen = RefCell::new(String::new());
        Virtual::new().run(flow.for_each_async(async |item| {
            seen.borrow_mut().push(item);
            let mut busy = Alarm::new();
            let until = busy.now() + ms(5);
            busy.set(until);
            poll_fn(|cx| busy.poll(cx)).await;
        }));
        assert_eq!(seen.into_inner(), "ab");
    }

    #[test]
    #[should_panic(expected = "keep_alive: the idle time must not be zero, at operators/src/time")]
    fn an_idle_time_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).keep_alive(ms(0), || 1);
    }
}
