//! `skip`: all but the first items.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Drops the first `n` items and lets the others pass.
    ///
    /// ```text
    /// in   --a--b----c--d--|
    /// out  ----------c--d--|    skip(2)
    /// ```
    ///
    /// - **Emits** each item after the first `n`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and counts.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let rows = aqueduct_operators::iter(["time,price", "1,100", "2,101"]).skip(1);
    /// assert_eq!(rows.count().await, 2);
    /// # });
    /// ```
    #[doc(alias = "drop")]
    #[track_caller]
    pub fn skip(self, n: usize) -> Flow<Skip<S>> {
        Flow::from_stage(Skip { input: self.into_stage(), n, left: n, site: Location::caller() })
    }
}

/// The stage behind [`Flow::skip`].
#[pin_project]
#[derive(Debug)]
pub struct Skip<S> {
    #[pin]
    input: S,
    n: usize,
    /// How many items are still to be dropped.
    left: usize,
    site: Site,
}

impl<S: Stage> Stage for Skip<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        while *this.left > 0 {
            if ready!(this.input.as_mut().poll_next(cx)).is_none() {
                return Poll::Ready(None);
            }
            *this.left -= 1;
        }
        this.input.poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        // In a drain of its own, so that the one after it has nothing to count.
        if *this.left > 0 {
            let skipped = this.input.as_mut().poll_drain(cx, &mut |_| {
                *this.left -= 1;
                match *this.left {
                    0 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                }
            });
            if ready!(skipped).is_continue() {
                return Poll::Ready(ControlFlow::Continue(()));
            }
        }
        this.input.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        (least.saturating_sub(self.left), most.map(|most| most.saturating_sub(self.left)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("skip", self.site).parameter("n", self.n);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_first_items_are_dropped() {
        assert_eq!(every_way(|| iter(0..6).skip(2)), [2, 3, 4, 5]);
        assert_eq!(every_way(|| iter(0..2).skip(0)), [0, 1]);
    }

    #[test]
    fn a_flow_that_is_too_short_gives_nothing() {
        assert!(items(iter(0..2).skip(5)).is_empty());
        assert!(every_way(|| iter(0..2).skip(2)).is_empty());
    }

    #[test]
    fn the_count_goes_on_from_poll_to_poll() {
        let flow = timetable([(1, 'a'), (4, 'b'), (9, 'c')], 20).skip(2);
        assert_eq!(timeline(flow), (vec![(9, 'c')], 20));
    }

    conformance!(skip, |input| input.skip(3));

    marbles!(skip, |input| input.skip(2));

    specification!(skip, at_any_pace, |input| input.skip(3), |input| {
        Timeline::new(input.events.into_iter().skip(3), input.end)
    });
}
