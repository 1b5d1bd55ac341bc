//! `initial_delay`: a flow that starts later.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Leaves the input alone for a time of `by` after the first poll.
    ///
    /// ```text
    /// in   a-b-----c|
    /// out  ---(ab)-c|    initial_delay(3)
    /// ```
    ///
    /// The input is not polled before, so that one that starts something at its first poll starts
    /// it later, and one that brings items all the same (a channel) holds them until then. To have
    /// every item later there is [`delay`](Self::delay).
    ///
    /// - **Emits** each item, in the same poll, from then on.
    /// - **Backpressures** when downstream does, and until then.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: one timer operation in all; nothing for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{Clock, Virtual, iter};
    /// # use std::time::Duration;
    /// let late = iter(['a']).initial_delay(Duration::from_secs(3)).timestamp().first();
    /// assert_eq!(Virtual::new().run(late).unwrap().0.as_secs(), 3);
    /// ```
    #[doc(alias("delay_subscription", "initial_timeout"))]
    #[track_caller]
    pub fn initial_delay(self, by: Duration) -> Flow<InitialDelay<S>> {
        self.starting(Start::After(by), Location::caller())
    }

    /// Leaves the input alone until the time is `start`.
    ///
    /// ```text
    /// in   a-b-----c|
    /// out  ---(ab)-c|    initial_delay_until(3)
    /// ```
    ///
    /// If that has passed already, it starts at once. For the rest see
    /// [`initial_delay`](Self::initial_delay).
    ///
    /// ```text
    /// in   a-b-----c|
    /// out  ---(ab)-c|    initial_delay_until(Timestamp::from_millis(3))
    /// ```
    ///
    /// - **Emits** each item, in the same poll, from then on.
    /// - **Backpressures** when downstream does, and until then.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: one timer operation in all; nothing for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, Virtual, iter};
    /// let open = Timestamp::from_secs(9 * 3600);
    /// let late = iter(['a']).initial_delay_until(open).timestamp().first();
    /// assert_eq!(Virtual::new().run(late), Some((open, 'a')));
    /// ```
    #[track_caller]
    pub fn initial_delay_until(self, start: Timestamp) -> Flow<InitialDelay<S>> {
        self.starting(Start::At(start), Location::caller())
    }

    fn starting(self, start: Start, site: Site) -> Flow<InitialDelay<S>> {
        let alarm = Alarm::new();
        Flow::from_stage(InitialDelay { input: self.into_stage(), start, open: false, alarm, site })
    }
}

/// The stage behind [`Flow::initial_delay`] and [`Flow::initial_delay_until`].
#[pin_project]
#[derive(Debug)]
pub struct InitialDelay<S> {
    #[pin]
    input: S,
    start: Start,
    open: bool,
    alarm: Alarm,
    site: Site,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    After(Duration),
    At(Timestamp),
}

impl<S> InitialDelay<S> {
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Pin<&mut S>> {
        let this = self.project();
        if !*this.open {
            let now = this.alarm.now();
            if this.alarm.deadline().is_none() {
                this.alarm.set(match *this.start {
                    Start::After(by) => now + by,
                    Start::At(start) => start.max(now),
                });
            }
            ready!(this.alarm.poll_at(now, cx));
            *this.open = true;
        }
        Poll::Ready(this.input)
    }
}

impl<S: Stage> Stage for InitialDelay<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        ready!(self.wait(cx)).poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        ready!(self.wait(cx)).poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Nothing is in flight before the start, and driving it could start something.
        if *this.open { this.input.poll_progress(cx) } else { Poll::Ready(()) }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        match self.start {
            Start::After(by) => {
                outline.stage("initial_delay", self.site).parameter("by", format_args!("{by:?}"))
            }
            Start::At(start) => {
                outline.stage("initial_delay_until", self.site).parameter("start", start)
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Timestamp, iter};

    marbles!(initial_delay, |input| input.initial_delay(ms(3)));
    marbles!(initial_delay_until, |input| { input.initial_delay_until(Timestamp::from_millis(3)) });
    conformance!(delayed_start, |input| input.initial_delay(ms(3)), except [
        NoSnooze: "nothing is driven before the start",
    ]);
    specification!(initial_delay, |input| input.initial_delay(ms(4)), |input| -> Timeline<_> {
        let events = input.events.into_iter().map(|(at, item)| (at.max(4), item));
        Timeline::new(events, input.end.max(4))
    });

    #[test]
    fn a_start_that_has_passed_changes_nothing() {
        let flow = iter(['a']).initial_delay(ms(5));
        let flow = flow.initial_delay_until(Timestamp::from_millis(-3));
        assert_eq!(timeline(flow), (vec![(5, 'a')], 5));
        let flow = iter(['a']).initial_delay_until(Timestamp::from_millis(7));
        assert_eq!(timeline(flow), (vec![(7, 'a')], 7));
    }
}
