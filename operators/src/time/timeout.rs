//! `timeout`: silence made visible.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::Limit;
use crate::{Alarm, Flow, Outline, Site, Stage};

/// Something took too long: see [`Flow::timeout`] and [`Flow::timeout_with`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("timeout: {limit} {after:?}, at {site}")]
pub struct Elapsed {
    /// What took too long.
    pub limit: Limit,
    /// How long it was allowed to take.
    pub after: Duration,
    /// Where the timeout was assembled.
    pub site: Site,
}

impl<S: Stage> Flow<S> {
    /// Passes items on as `Ok`, and reports once as `Err` when none came for a time of `after`.
    ///
    /// ```text
    /// in   a-b--------c-|
    /// out  a-b---#----c-|    timeout(4)
    /// ```
    ///
    /// A silence gives one report, however long it lasts; then the flow goes on listening, and
    /// the next silence is measured after the next item. To end at the first report there is
    /// [`timeout_with`](Flow::timeout_with), which knows other limits too; to go on with another
    /// flow [`timeout_to`](Flow::timeout_to).
    ///
    /// The time that counts is that in which the flow is asked for an item and has none: a
    /// consumer that is busy is not a silent input. An item at the very instant at which the time
    /// is over comes before the report, and there is none then.
    ///
    /// - **Emits** each item, in the same poll; a report `after` the silence began.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error of the input is an item here and comes out within `Ok`.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each turn in which items came, no timer operation for an
    ///   item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, never};
    /// # use futures::StreamExt;
    /// # use std::time::Duration;
    /// let mut silent = never::<u32>().timeout(Duration::from_secs(30));
    /// let first = Virtual::new().run(silent.next());
    /// assert!(first.unwrap().unwrap_err().to_string().starts_with("timeout: no item for 30s"));
    /// ```
    #[doc(alias("idle_timeout", "timeout_each"))]
    #[track_caller]
    pub fn timeout(self, after: Duration) -> Flow<Timeout<S>> {
        Flow::from_stage(Timeout {
            input: self.into_stage(),
            silence: Silence {
                after,
                state: State::Unmeasured,
                alarm: Alarm::new(),
                site: Location::caller(),
            },
        })
    }
}

/// The stage behind [`Flow::timeout`].
#[pin_project]
#[derive(Debug)]
pub struct Timeout<S> {
    #[pin]
    input: S,
    silence: Silence,
}

#[derive(Debug)]
struct Silence {
    after: Duration,
    state: State,
    alarm: Alarm,
    site: Site,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The last poll gave an item: the clock runs from the next one that gives none.
    Unmeasured,
    /// The alarm is set.
    Measured,
    /// The report is out.
    Reported,
}

impl Silence {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Elapsed> {
        match self.state {
            State::Unmeasured => {
                let now = self.alarm.now();
                self.alarm.set(now + self.after);
                self.state = State::Measured;
                ready!(self.alarm.poll_at(now, cx));
            }
            State::Measured => ready!(self.alarm.poll(cx)),
            State::Reported => return Poll::Pending,
        }
        self.state = State::Reported;
        Poll::Ready(Elapsed { limit: Limit::Each, after: self.after, site: self.site })
    }
}

impl<S: Stage> Stage for Timeout<S> {
    type Item = Result<S::Item, Elapsed>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if let Poll::Ready(item) = this.input.poll_next(cx) {
            this.silence.state = State::Unmeasured;
            return Poll::Ready(item.map(Ok));
        }
        this.silence.poll(cx).map(|elapsed| Some(Err(elapsed)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let state = &mut this.silence.state;
        let drained = this.input.poll_drain(cx, &mut |item| {
            *state = State::Unmeasured;
            each(Ok(item))
        });
        if drained.is_ready() {
            return drained;
        }
        match each(Err(ready!(this.silence.poll(cx)))) {
            ControlFlow::Continue(()) => Poll::Pending,
            broke => Poll::Ready(broke),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // Before each item and before the end there may be one report.
        let (least, most) = self.input.size_hint();
        let report = usize::from(self.silence.state != State::Reported);
        let most = most.and_then(|most| most.checked_mul(2)?.checked_add(report));
        (least, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("timeout", self.silence.site)
            .parameter("after", format_args!("{:?}", self.silence.after));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Alarm, Flow, Stage, Virtual, iter};
    use std::cell::RefCell;
    use std::future::poll_fn;

    /// Each item, or `'x'` for a report.
    fn shown<S: Stage<Item = char>>(flow: Flow<S>) -> Flow<impl Stage<Item = char>> {
        flow.timeout(ms(4)).map(|item| item.unwrap_or('x'))
    }

    #[test]
    fn a_silence_is_reported_once_and_the_next_one_after_the_next_item() {
        let flow = timetable([(1, 'a'), (20, 'b')], 40);
        let expected = vec![(1, 'a'), (5, 'x'), (20, 'b'), (24, 'x')];
        assert_eq!(timeline(shown(flow)), (expected, 40));
    }

    #[test]
    fn the_time_to_the_first_item_counts_too() {
        let flow = timetable([(5, 'a')], 6);
        assert_eq!(timeline(shown(flow)), (vec![(4, 'x'), (5, 'a')], 6));
    }

    #[test]
    fn an_item_at_the_instant_of_the_timer_comes_first_and_nothing_is_reported() {
        let flow = timetable([(4, 'a'), (8, 'b')], 12);
        assert_eq!(timeline(shown(flow)), (vec![(4, 'a'), (8, 'b')], 12));
    }

    #[test]
    fn a_busy_consumer_is_not_a_silent_input() {
        let flow = timetable([(0, 'a'), (1, 'b'), (2, 'c')], 3);
        let seen = RefCell::new(String::new());
        Virtual::new().run(shown(flow).for_each_async(async |item| {
            seen.borrow_mut().push(item);
            let mut busy = Alarm::new();
            let until = busy.now() + ms(10);
            busy.set(until);
            poll_fn(|cx| busy.poll(cx)).await;
        }));
        assert_eq!(seen.into_inner(), "abc");
    }

    #[test]
    fn the_size_hint_counts_a_report_before_every_item_and_before_the_end() {
        assert_eq!(iter(0..3).timeout(ms(1)).size_hint(), (3, Some(7)));
        assert_eq!(items(iter(0..3).timeout(ms(1))).len(), 3);
    }

    conformance!(timeout, |input| input.timeout(ms(3)));

    marbles!(timeout, |input| input.timeout(ms(4)));

    specification!(timeout, |input| input.timeout(ms(4)).map(Result::ok), |input| {
        let mut heard = 0;
        let mut output = Vec::new();
        let end = [(input.end, None)];
        for (at, item) in input.events.into_iter().map(|(at, item)| (at, Some(item))).chain(end) {
            output.extend((heard + 4 < at).then_some((heard + 4, None)));
            output.extend(item.map(|item| (at, Some(item))));
            heard = at;
        }
        Timeline::new(output, input.end)
    });
}
