//! `debounce_by`: an item once it has waited as long as it says itself.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the latest item once no other has followed for the time that it decides itself.
    ///
    /// ```text
    /// in   a-b-----c--|
    /// out  -----b-----(c|)    debounce_by(|_| timer(3))
    /// ```
    ///
    /// `quiet` makes a flow of each item, and the first item of that flow lets the item go:
    /// [`timer`](crate::timer()), or any signal. A flow that ends without an item never does, so
    /// that the item waits for a later one or for the end. [`debounce`](Self::debounce) is cheaper
    /// where all items wait equally long.
    ///
    /// - **Emits** the last item of a burst when its flow says so; at the end the one that waits,
    ///   at once.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends and the item that waits is out.
    /// - **On error**: an error is an item here and waits like one.
    /// - **Holds** 1 item, and what its flow holds.
    /// - **Cost**: a call of `quiet` for each item; no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, timer};
    /// # use std::time::Duration;
    /// let last = iter([1, 2, 3]).debounce_by(|s| timer(Duration::from_secs(*s)));
    /// assert_eq!(Virtual::new().run(last.fold(0, |sum, x| sum + x)), 3);
    /// ```
    #[track_caller]
    pub fn debounce_by<W, F>(self, quiet: F) -> Flow<DebounceBy<S, W, F>>
    where
        W: Stage,
        F: FnMut(&S::Item) -> Flow<W>,
    {
        Flow::from_stage(DebounceBy {
            input: self.into_stage(),
            make: quiet,
            quiet: None,
            waiting: None,
            ended: false,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::debounce_by`].
#[pin_project]
#[derive(Debug)]
pub struct DebounceBy<S: Stage, W, F> {
    #[pin]
    input: S,
    make: F,
    /// Until it ends or lets the item that waits go.
    #[pin]
    quiet: Option<Flow<W>>,
    waiting: Option<S::Item>,
    ended: bool,
    site: Site,
}

impl<S, W, F> Stage for DebounceBy<S, W, F>
where
    S: Stage,
    W: Stage,
    F: FnMut(&S::Item) -> Flow<W>,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        while let Poll::Ready(item) = this.input.as_mut().poll_next(cx) {
            let Some(item) = item else {
                *this.ended = true;
                this.quiet.set(None);
                return Poll::Ready(this.waiting.take());
            };
            let quiet = (this.make)(&item);
            this.quiet.set(Some(quiet));
            *this.waiting = Some(item);
        }
        let Some(quiet) = this.quiet.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let over = ready!(quiet.poll_next(cx));
        this.quiet.set(None);
        match over {
            Some(_) => Poll::Ready(this.waiting.take()),
            None => Poll::Pending,
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let quiet = this.quiet.as_pin_mut();
        let quiet = quiet.map_or(Poll::Ready(()), |quiet| quiet.poll_progress(cx));
        ready!(this.input.poll_progress(cx));
        quiet
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.waiting.is_some());
        (waiting, self.input.size_hint().1.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("debounce_by", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Flow, Stage, empty, timer};
    use std::time::Duration;

    /// What comes out of a flow that is tested elsewhere.
    fn made<S: Stage>(flow: Flow<S>) -> Timeline<S::Item> {
        let (events, end) = timeline(flow);
        Timeline::new(events, end)
    }

    marbles!(debounce_by, |input| input.debounce_by(|_| timer(ms(3))));
    // Never at the instant of an item: there the order of two sources decides.
    const QUIET: Duration = Duration::from_micros(3_490);

    conformance!(debounced_by, |input| input.debounce_by(|x| {
        x.value();
        timer(QUIET)
    }));
    specification!(debounce_by, |input| input.debounce_by(|_| timer(QUIET)), |input| made(
        input.flow().debounce(QUIET)
    ));

    #[test]
    fn each_item_decides_how_long_it_waits() {
        let flow = timetable([(0, 9), (1, 2), (4, 5), (7, 1)], 30);
        let flow = flow.debounce_by(|millis| timer(ms(*millis)));
        assert_eq!(timeline(flow), (vec![(3, 2), (8, 1)], 30));
    }

    #[test]
    fn a_flow_that_ends_without_an_item_lets_nothing_go_before_the_end() {
        let flow = timetable([(0, 'a'), (5, 'b')], 9).debounce_by(|_| empty::<u8>());
        assert_eq!(timeline(flow), (vec![(9, 'b')], 9));
    }
}
