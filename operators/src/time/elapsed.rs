//! `elapsed`: each item with the time since the one before.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Clock, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Puts before each item the time that has passed since the one before it, on the run's clock.
    ///
    /// ```text
    /// in   --a---b-|
    /// out  --x---y-|    elapsed()
    /// where  x = (2ms, a), y = (4ms, b)
    /// ```
    ///
    /// Before the first item it is the time since the first poll.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and has its time too.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed};
    /// # use std::time::Duration;
    /// let second = Duration::from_secs(1);
    /// let gaps = interval(second, Missed::Skip).elapsed().map(|(gap, _)| gap);
    /// assert_eq!(Virtual::new().run(gaps.first()), Some(second));
    /// ```
    #[doc(alias("time_interval"))]
    #[track_caller]
    pub fn elapsed(self) -> Flow<Gaps<S>> {
        let site = Location::caller();
        Flow::from_stage(Gaps { input: self.into_stage(), started: None, site })
    }
}

/// The stage behind [`Flow::elapsed`].
#[pin_project]
#[derive(Debug)]
pub struct Gaps<S> {
    #[pin]
    input: S,
    started: Option<Last>,
    site: Site,
}

/// The clock of the run which first polls, and what it showed last.
#[derive(Debug)]
struct Last {
    clock: Clock,
    at: Timestamp,
}

impl Last {
    fn start() -> Self {
        let clock = Clock::current();
        Self { at: clock.now(), clock }
    }

    fn gap(&mut self) -> Duration {
        let before = std::mem::replace(&mut self.at, self.clock.now());
        self.at - before
    }
}

impl<S: Stage> Stage for Gaps<S> {
    type Item = (Duration, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let last = this.started.get_or_insert_with(Last::start);
        this.input.poll_next(cx).map(|item| item.map(|item| (last.gap(), item)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let last = this.started.get_or_insert_with(Last::start);
        this.input.poll_drain(cx, &mut |item| each((last.gap(), item)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("elapsed", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;

    marbles!(elapsed, |input| input.elapsed());
    specification!(elapsed, |input| input.elapsed(), |input| -> Timeline<_> {
        let mut last = 0;
        let events = input.events.into_iter().map(|(at, item)| {
            let gap = at - std::mem::replace(&mut last, at);
            (at, (ms(gap.unsigned_abs()), item))
        });
        Timeline::new(events, input.end)
    });
    conformance!(gaps, |input| input.elapsed());

    #[test]
    fn each_item_has_the_time_since_the_one_before_and_the_first_since_the_first_poll() {
        let flow = timetable([(2, 'a'), (2, 'b'), (7, 'c')], 9).elapsed();
        let expected = vec![(2, (ms(2), 'a')), (2, (ms(0), 'b')), (7, (ms(5), 'c'))];
        assert_eq!(timeline(flow), (expected, 9));
        every_way(|| iter(0..5).elapsed());
    }
}
