//! `timestamp`: each item with the time at which it came.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Clock, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Puts the time before each item: that of the run's clock, in nanoseconds.
    ///
    /// ```text
    /// in   --a---b-|
    /// out  --x---y-|    timestamp()
    /// where  x = (2ms, a), y = (6ms, b)
    /// ```
    ///
    /// It is the time at which the item was taken here: an item that waited further up is not
    /// younger for it. In a replay and in a test it is that of the run.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and has its time too.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each item.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, Virtual, iter};
    /// let noon = Timestamp::from_secs(43_200);
    /// let seen = iter(['a']).timestamp().first();
    /// assert_eq!(Virtual::new().starting_at(noon).run(seen), Some((noon, 'a')));
    /// ```
    #[doc(alias("timed", "with_timestamp"))]
    #[track_caller]
    pub fn timestamp(self) -> Flow<Stamp<S>> {
        let site = Location::caller();
        Flow::from_stage(Stamp { input: self.into_stage(), clock: None, site })
    }
}

/// The stage behind [`Flow::timestamp`].
#[pin_project]
#[derive(Debug)]
pub struct Stamp<S> {
    #[pin]
    input: S,
    /// That of the run which first polls.
    clock: Option<Clock>,
    site: Site,
}

impl<S: Stage> Stage for Stamp<S> {
    type Item = (Timestamp, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        let clock = this.clock.get_or_insert_with(Clock::current);
        this.input.poll_next(cx).map(|item| item.map(|item| (clock.now(), item)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let clock = this.clock.get_or_insert_with(Clock::current);
        this.input.poll_drain(cx, &mut |item| each((clock.now(), item)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("timestamp", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Timestamp, iter};

    marbles!(timestamp, |input| input.timestamp().map(|(at, item)| (at - Timestamp::EPOCH, item)));
    specification!(
        timestamp,
        |input| input.timestamp().map(|(at, item)| (at.as_millis(), item)),
        |input| -> Timeline<_> {
            let events = input.events.into_iter().map(|(at, item)| (at, (at, item)));
            Timeline::new(events, input.end)
        }
    );
    conformance!(stamp, |input| input.timestamp());

    #[test]
    fn each_item_has_the_time_at_which_it_came() {
        let flow = timetable([(1, 'a'), (4, 'b')], 6).timestamp();
        let at = Timestamp::from_millis;
        assert_eq!(timeline(flow), (vec![(1, (at(1), 'a')), (4, (at(4), 'b'))], 6));
        every_way(|| iter(0..5).timestamp());
    }
}
