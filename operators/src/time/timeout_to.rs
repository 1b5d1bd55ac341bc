//! `timeout_to`: another flow for one that takes too long.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::{TimeLimits, TimeoutWith};
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Goes on with `fallback` when one of the limits is passed.
    ///
    /// ```text
    /// in        a-b--------c-|
    /// fallback        y-z|
    /// out       a-b---y-z|    timeout_to(TimeLimits::new().each(4), fallback)
    /// ```
    ///
    /// The input is dropped then, and the fallback is not polled before. It has no limits itself.
    /// For what counts see [`timeout_with`](Self::timeout_with).
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends in time, or else the fallback.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each turn in which items came, and with a limit for the
    ///   demand one for each item that is taken alone; no timer operation for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, never, once, time::TimeLimits};
    /// # use std::time::Duration;
    /// let limits = TimeLimits::new().first(Duration::from_secs(1));
    /// let quote = never().timeout_to(limits, once("from the cache"));
    /// assert_eq!(Virtual::new().run(quote.first()), Some("from the cache"));
    /// ```
    #[doc(alias("timeout_switch", "if_no_item"))]
    #[track_caller]
    pub fn timeout_to<O>(self, limits: TimeLimits, fallback: Flow<O>) -> Flow<TimeoutTo<S, O>>
    where
        O: Stage<Item = S::Item>,
    {
        let site = Location::caller();
        let input = TimeoutWith::new(self, limits, site);
        let fallback = Some(fallback.into_stage());
        Flow::from_stage(TimeoutTo { input: Some(input), fallback, site })
    }
}

/// The stage behind [`Flow::timeout_to`].
#[pin_project]
#[derive(Debug)]
pub struct TimeoutTo<S, O> {
    /// `None` once it took too long or has ended.
    #[pin]
    input: Option<TimeoutWith<S>>,
    /// `None` once it has ended or is of no more use.
    #[pin]
    fallback: Option<O>,
    site: Site,
}

impl<S: Stage, O: Stage<Item = S::Item>> Stage for TimeoutTo<S, O> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if let Some(input) = this.input.as_mut().as_pin_mut() {
            match ready!(input.poll_next(cx)) {
                Some(Ok(item)) => return Poll::Ready(Some(item)),
                Some(Err(_)) => {}
                None => this.fallback.set(None),
            }
            this.input.set(None);
        }
        let Some(fallback) = this.fallback.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = ready!(fallback.poll_next(cx));
        if item.is_none() {
            this.fallback.set(None);
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        if let Some(input) = this.input.as_mut().as_pin_mut() {
            let drained = input.poll_drain(cx, &mut |item| match item.map(&mut *each) {
                Ok(ControlFlow::Continue(())) => ControlFlow::Continue(()),
                Ok(ControlFlow::Break(value)) => ControlFlow::Break(Some(value)),
                Err(_) => ControlFlow::Break(None),
            });
            match ready!(drained) {
                ControlFlow::Break(Some(value)) => return Poll::Ready(ControlFlow::Break(value)),
                ControlFlow::Break(None) => {}
                ControlFlow::Continue(()) => this.fallback.set(None),
            }
            this.input.set(None);
        }
        let Some(fallback) = this.fallback.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let drained = ready!(fallback.poll_drain(cx, each));
        if drained.is_continue() {
            this.fallback.set(None);
        }
        Poll::Ready(drained)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // A fallback that has not been polled has nothing in flight.
        match (this.input.as_pin_mut(), this.fallback.as_pin_mut()) {
            (Some(input), _) => input.poll_progress(cx),
            (None, Some(fallback)) => fallback.poll_progress(cx),
            (None, None) => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let fallback = self.fallback.as_ref().map_or((0, Some(0)), Stage::size_hint);
        let Some(input) = &self.input else {
            return fallback;
        };
        let most = input.size_hint().1.zip(fallback.1);
        (0, most.and_then(|(input, fallback)| input.checked_add(fallback)))
    }

    fn describe(&self, outline: &mut Outline) {
        let limited = self.input.as_ref();
        let input = limited.and_then(|limited| limited.input.as_ref()).map(Outline::of);
        let fallback = self.fallback.as_ref().map(Outline::of);
        let node = outline.join("timeout_to", self.site, input.into_iter().chain(fallback));
        if let Some(limited) = limited {
            limited.watch.describe(node);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::TimeLimits;
    use crate::testing::*;

    marbles!(timeout_to, |input, fallback| {
        input.timeout_to(TimeLimits::new().each(ms(4)), fallback)
    });
    conformance!(timeout_to, |input, fallback| {
        input.timeout_to(TimeLimits::new().each(ms(3)), fallback)
    }, except [
        NoSnooze: "the fallback is not driven before it is needed",
    ]);

    #[test]
    fn an_input_that_ends_in_time_never_needs_the_fallback() {
        let fallback = timetable([(0, 'y')], 9);
        let flow = timetable([(1, 'a')], 3).timeout_to(TimeLimits::new().each(ms(3)), fallback);
        assert_eq!(timeline(flow), (vec![(1, 'a')], 3));
    }

    #[test]
    fn the_fallback_has_no_limits() {
        let fallback = timetable([(20, 'y')], 40);
        let flow = timetable([(9, 'a')], 9).timeout_to(TimeLimits::new().each(ms(3)), fallback);
        assert_eq!(timeline(flow), (vec![(20, 'y')], 40));
    }

    specification!(
        timeout_to,
        |input, fallback| input.timeout_to(TimeLimits::new().each(ms(3)), fallback),
        |input, fallback| -> Timeline<_> {
            let (mut output, mut last) = (Timeline::new([], input.end), 0);
            let end = (input.end, None);
            for (at, item) in input.events.into_iter().map(|(at, x)| (at, Some(x))).chain([end]) {
                if at > last + 3 {
                    let late = |at: i64| at.max(last + 3);
                    let instead = fallback.events.into_iter().map(|(at, x)| (late(at), x));
                    output.events.extend(instead);
                    output.end = late(fallback.end);
                    break;
                }
                output.events.extend(item.map(|item| (at, item)));
                last = at;
            }
            output
        }
    );
}
