//! `timeout_with`: an end for what takes too long.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::time_limits::Watch;
use super::{Elapsed, TimeLimits};
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Passes items on as `Ok`; when one of the limits is passed, reports it as `Err` and ends.
    ///
    /// ```text
    /// in   a-b--------c-|
    /// out  a-b---(x|)    timeout_with(TimeLimits::new().each(4))
    /// ```
    ///
    /// In the diagram x is the report. The time for an item counts as in
    /// [`timeout`](Self::timeout), while the flow is asked and has none; at the very instant at
    /// which it is over an item comes before the report, and so does the end.
    ///
    /// - **Emits** each item, in the same poll; a report when a time is over.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends, or with the report; the input is dropped before that comes
    ///   out, and for a consumer that is too slow while it is still busy.
    /// - **On error**: an error of the input is an item here and comes out within `Ok`.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each turn in which items came, and with a limit for the
    ///   demand one for each item that is taken alone; no timer operation for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, never, time::TimeLimits};
    /// # use std::time::Duration;
    /// let limits = TimeLimits::new().first(Duration::from_secs(30));
    /// let first = Virtual::new().run(never::<u32>().timeout_with(limits).first());
    /// let report = first.unwrap().unwrap_err().to_string();
    /// assert!(report.starts_with("timeout: no first item for 30s"));
    /// ```
    #[doc(alias(
        "initial_timeout",
        "idle_timeout",
        "completion_timeout",
        "backpressure_timeout",
        "timeout_fail"
    ))]
    #[track_caller]
    pub fn timeout_with(self, limits: TimeLimits) -> Flow<TimeoutWith<S>> {
        Flow::from_stage(TimeoutWith::new(self, limits, Location::caller()))
    }
}

/// The stage behind [`Flow::timeout_with`].
#[pin_project]
#[derive(Debug)]
pub struct TimeoutWith<S> {
    /// `None` once this has ended.
    #[pin]
    pub(super) input: Option<S>,
    pub(super) watch: Watch,
    /// The consumer was too slow, and has not been told.
    report: Option<Elapsed>,
    site: Site,
}

impl<S: Stage> TimeoutWith<S> {
    pub(super) fn new(input: Flow<S>, limits: TimeLimits, site: Site) -> Self {
        let watch = Watch::new(limits, site);
        Self { input: Some(input.into_stage()), watch, report: None, site }
    }
}

impl<S: Stage> Stage for TimeoutWith<S> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if let Some(report) = this.report.take() {
            return Poll::Ready(Some(Err(report)));
        }
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let report = match this.watch.asked() {
            Err(report) => report,
            Ok(()) => match input.poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    this.watch.gave();
                    return Poll::Ready(Some(Ok(item)));
                }
                Poll::Ready(None) => {
                    this.input.set(None);
                    return Poll::Ready(None);
                }
                Poll::Pending => ready!(this.watch.waits(cx)),
            },
        };
        this.input.set(None);
        Poll::Ready(Some(Err(report)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        if let Some(report) = this.report.take() {
            return Poll::Ready(each(Err(report)));
        }
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let report = match this.watch.asked() {
            Err(report) => report,
            Ok(()) => {
                let mut came = false;
                let drained = input.poll_drain(cx, &mut |item| {
                    came = true;
                    each(Ok(item))
                });
                if came {
                    this.watch.gave();
                }
                match drained {
                    // It waits for another item already, so the consumer is not busy.
                    Poll::Pending => {
                        let _ = this.watch.asked();
                        ready!(this.watch.waits(cx))
                    }
                    Poll::Ready(ControlFlow::Continue(())) => {
                        this.input.set(None);
                        return drained;
                    }
                    broke => return broke,
                }
            }
        };
        this.input.set(None);
        Poll::Ready(each(Err(report)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Poll::Ready(report) = this.watch.busy(cx)
            && this.input.is_some()
        {
            *this.report = Some(report);
            this.input.set(None);
        }
        match this.input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let report = usize::from(self.report.is_some());
        match &self.input {
            Some(input) => (0, input.size_hint().1.and_then(|most| most.checked_add(1))),
            None => (report, Some(report)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        self.watch.describe(outline.stage("timeout_with", self.site));
    }
}

#[cfg(test)]
mod tests {
    use super::TimeLimits;
    use crate::testing::*;
    use crate::time::Limit;
    use crate::{Alarm, Clock, Flow, Stage, Virtual};
    use std::cell::RefCell;
    use std::future::poll_fn;

    /// Each item, or `'x'` for a report.
    fn shown<S: Stage<Item = char>>(
        flow: Flow<S>,
        limits: TimeLimits,
    ) -> Flow<impl Stage<Item = char>> {
        flow.timeout_with(limits).map(|item| item.unwrap_or('x'))
    }

    marbles!(timeout_with, |input| shown(input, TimeLimits::new().each(ms(4))));
    conformance!(timeout_with, |input| {
        input.timeout_with(TimeLimits::new().first(ms(5)).each(ms(3)).total(ms(9)))
    });
    conformance!(timeout_of_the_demand, |input| {
        input.timeout_with(TimeLimits::new().demand(ms(100)).each(ms(3)))
    });
    specification!(
        timeout_with,
        |input| {
            let limits = TimeLimits::new().first(ms(6)).each(ms(3)).total(ms(12));
            input.timeout_with(limits).map(|item| item.map_err(|report| report.limit))
        },
        |input| -> Timeline<_> {
            let mut output = Timeline::new([], 0);
            let (mut due, mut limit) = (6, Limit::First);
            let end = (input.end, None);
            let events = input.events.into_iter().map(|(at, item)| (at, Some(item)));
            for (at, item) in events.chain([end]) {
                if at > due.min(12) {
                    let report = if due <= 12 { limit } else { Limit::Total };
                    output.events.push((due.min(12), Err(report)));
                    output.end = due.min(12);
                    break;
                }
                output.end = at;
                output.events.extend(item.map(|item| (at, Ok(item))));
                (due, limit) = (at + 3, Limit::Each);
            }
            output
        }
    );

    #[test]
    fn every_limit_has_its_own_clock() {
        let feed = || timetable([(5, 'a'), (8, 'b'), (11, 'c')], 20);
        let limits = TimeLimits::new;
        assert_eq!(timeline(shown(feed(), limits().first(ms(4)))), (vec![(4, 'x')], 4));
        let expected = vec![(5, 'a'), (8, 'b'), (11, 'c')];
        assert_eq!(timeline(shown(feed(), limits().first(ms(5)))), (expected, 20));
        let expected = vec![(5, 'a'), (8, 'b'), (9, 'x')];
        assert_eq!(timeline(shown(feed(), limits().total(ms(9)))), (expected, 9));
        let expected = vec![(5, 'a'), (7, 'x')];
        let both = limits().first(ms(9)).each(ms(2));
        assert_eq!(timeline(shown(feed(), both)), (expected, 7));
    }

    #[test]
    fn a_consumer_that_is_too_slow_loses_the_input_while_it_is_busy() {
        let owned = std::rc::Rc::new(());
        let watch = std::rc::Rc::downgrade(&owned);
        let feed = timetable([(0, 3), (0, 9), (0, 5)], 1).map(move |x| (x, owned.clone()).0);
        let seen = RefCell::new(Vec::new());
        let limits = TimeLimits::new().demand(ms(5));
        Virtual::new().run(feed.timeout_with(limits).for_each_async(async |item| {
            let began = Clock::current().now().as_millis();
            let mut busy = Alarm::new();
            let until = busy.now() + ms(item.unwrap_or(0));
            busy.set(until);
            poll_fn(|cx| busy.poll(cx)).await;
            let limit = item.map_err(|report| report.limit);
            seen.borrow_mut().push((began, limit, watch.strong_count()));
        }));
        let expected = [(0, Ok(3), 1), (3, Ok(9), 0), (12, Err(Limit::Demand), 0)];
        assert_eq!(seen.into_inner(), expected);
    }

    #[test]
    fn a_consumer_that_nobody_drives_is_found_too_slow_when_it_asks() {
        let feed = timetable([(0, 'a'), (1, 'b')], 2);
        Virtual::new().run(async {
            let mut flow = std::pin::pin!(shown(feed, TimeLimits::new().demand(ms(5))));
            assert_eq!(flow.next().await, Some('a'));
            crate::timer(ms(6)).count().await;
            assert_eq!(flow.next().await, Some('x'));
            assert_eq!(flow.next().await, None);
        });
    }
}
