//! `latest`: the newest item for a consumer that cannot keep up.

use std::num::NonZeroUsize;
use std::panic::Location;

use super::{Buffer, Overflow};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Holds the newest item while the consumer is busy; the one before gives way to it.
    ///
    /// ```text
    /// in    a-b-c---d-------|
    /// busy  [a    ][c   ][d   ]
    /// out   a------c-----d-----|    latest()
    /// ```
    ///
    /// It is [`buffer`](Self::buffer) with one place and [`Overflow::Latest`]. The last item always
    /// comes out. To lose nothing of those between there is [`conflate_with`](Self::conflate_with),
    /// to keep one for each key [`conflate_by_key`](Self::conflate_by_key).
    ///
    /// - **Emits** the newest item.
    /// - **Backpressures** never while it is polled or driven.
    /// - **Ends** when the input has ended and the item that is held is out.
    /// - **On error**: an error is an item here, and gives way like one.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// // All are ready at the first poll.
    /// let mut newest = iter([1, 2, 3]).latest();
    /// assert_eq!(newest.next().await, Some(3));
    /// assert_eq!(newest.counts().replaced, 2);
    /// # });
    /// ```
    #[doc(alias("conflate", "conflated", "on_backpressure_latest", "buffering_newest"))]
    #[track_caller]
    pub fn latest(self) -> Flow<Buffer<S, Overflow>> {
        let (policy, site) = (Overflow::Latest, Location::caller());
        let one = NonZeroUsize::MIN;
        Flow::from_stage(Buffer::new("latest", self.into_stage(), one, policy, site))
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;

    marbles!(latest, |input| input.latest());
    conformance!(latest, |input| input.latest(), except [
        Invariance: "what is lost depends on how fast the consumer is",
    ]);

    specification!(latest, |input| glances(input.latest()), |input| {
        at_glances(input, |held| held.drain(..).next_back())
    }
    .flat_map(|_, newest| newest));

    #[test]
    fn a_consumer_that_keeps_up_gets_every_item_and_another_the_newest() {
        let feed = || timetable([(1, 'a'), (2, 'b')], 3).latest();
        assert_eq!(timeline(feed()), (vec![(1, 'a'), (2, 'b')], 3));
        assert_eq!(items(iter(0..9).latest()), [8]);
    }
}
