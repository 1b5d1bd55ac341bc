//! `skip_for`: nothing of the first while.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Clock, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Drops what comes within a time of `span`, then lets items pass.
    ///
    /// ```text
    /// in   -a-b-c-d-|
    /// out  -------d-|    skip_for(5)
    /// ```
    ///
    /// The time counts from the first poll. An item at the very instant at which it is over comes
    /// before the timer and is dropped: [`take_for`](Self::take_for) takes just the items that are
    /// dropped here.
    ///
    /// - **Emits** each item after the time, in the same poll.
    /// - **Backpressures** when downstream does; never while it drops.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each turn until the time is over, then none; no timer.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed};
    /// # use std::time::Duration;
    /// let ticks = interval(Duration::from_secs(1), Missed::Skip);
    /// let first = Virtual::new().run(ticks.skip_for(Duration::from_secs(60)).first());
    /// assert_eq!(first.unwrap().as_secs(), 61);
    /// ```
    #[doc(alias("drop_within", "skip_until_time"))]
    #[track_caller]
    pub fn skip_for(self, span: Duration) -> Flow<SkipFor<S>> {
        let site = Location::caller();
        Flow::from_stage(SkipFor { input: self.into_stage(), span, state: State::New, site })
    }
}

/// The stage behind [`Flow::skip_for`].
#[pin_project]
#[derive(Debug)]
pub struct SkipFor<S> {
    #[pin]
    input: S,
    span: Duration,
    state: State,
    site: Site,
}

#[derive(Debug)]
enum State {
    /// Not polled yet.
    New,
    /// Dropping, up to this instant and at it.
    Until(Clock, Timestamp),
    Over,
}

impl State {
    /// Whether an item that comes now is dropped.
    fn skips(&mut self, span: Duration) -> bool {
        match self {
            Self::Over => false,
            Self::Until(clock, until) => {
                let skips = clock.now() <= *until;
                if !skips {
                    *self = Self::Over;
                }
                skips
            }
            Self::New => {
                let clock = Clock::current();
                let until = clock.now() + span;
                *self = Self::Until(clock, until);
                true
            }
        }
    }
}

impl<S: Stage> Stage for SkipFor<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if this.state.skips(*this.span) {
            // A turn is short: a source yields after about 100 µs.
            while ready!(this.input.as_mut().poll_next(cx)).is_some() {}
            return Poll::Ready(None);
        }
        this.input.poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        if this.state.skips(*this.span) {
            return this.input.poll_drain(cx, &mut |_| ControlFlow::Continue(()));
        }
        this.input.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        (if matches!(self.state, State::Over) { least } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("skip_for", self.site).parameter("span", format_args!("{:?}", self.span));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;

    marbles!(skip_for, |input| input.skip_for(ms(5)));
    conformance!(skipped, |input| input.skip_for(ms(5)));
    specification!(skip_for, |input| input.skip_for(ms(5)), |input| -> Timeline<_> {
        let events = input.events.into_iter().filter(|(at, _)| *at > 5);
        Timeline::new(events, input.end)
    });

    #[test]
    fn what_comes_within_the_time_and_at_its_last_instant_is_dropped() {
        let flow = timetable([(1, 'a'), (5, 'b'), (6, 'c')], 9).skip_for(ms(5));
        assert_eq!(timeline(flow), (vec![(6, 'c')], 9));
    }

    #[test]
    fn an_input_that_ends_earlier_gives_nothing() {
        assert!(every_way(|| iter(0..9).skip_for(ms(1))).is_empty());
    }
}
