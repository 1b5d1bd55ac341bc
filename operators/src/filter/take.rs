//! `take`: the first items.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::ended_or_broke;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets pass the first `n` items, and ends with the last of them.
    ///
    /// ```text
    /// in   --a--b----c--d--|
    /// out  --a--(b|)          take(2)
    /// ```
    ///
    /// - **Emits** each of the first `n` items, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** after item `n`, with which the input is dropped, or when the input ends.
    ///   `take(0)` ends without polling the input.
    /// - **On error**: an error is an item here and counts.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let three = aqueduct_operators::iter(1..).take(3);
    /// assert_eq!(three.collect::<Vec<_>>().await, [1, 2, 3]);
    /// # });
    /// ```
    #[doc(alias("limit", "take_first"))]
    #[track_caller]
    pub fn take(self, n: usize) -> Flow<Take<S>> {
        Flow::from_stage(Take {
            input: Some(self.into_stage()),
            n,
            left: n,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::take`].
#[pin_project]
#[derive(Debug)]
pub struct Take<S> {
    /// `None` once this has ended.
    #[pin]
    input: Option<S>,
    n: usize,
    left: usize,
    site: Site,
}

impl<S: Stage> Stage for Take<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let item = match this.input.as_mut().as_pin_mut() {
            Some(input) if *this.left > 0 => ready!(input.poll_next(cx)),
            _ => None,
        };
        *this.left = this.left.saturating_sub(1);
        if *this.left == 0 || item.is_none() {
            this.input.set(None);
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        // In a local, so that the loop keeps it in a register.
        let mut left = *this.left;
        let drained = match this.input.as_mut().as_pin_mut() {
            Some(input) if left > 0 => input.poll_drain(cx, &mut |item| {
                left -= 1;
                match each(item) {
                    ControlFlow::Break(value) => ControlFlow::Break(Some(value)),
                    ControlFlow::Continue(()) if left == 0 => ControlFlow::Break(None),
                    ControlFlow::Continue(()) => ControlFlow::Continue(()),
                }
            }),
            _ => Poll::Ready(ControlFlow::Continue(())),
        };
        *this.left = left;
        let (drained, ended) = ended_or_broke(drained);
        if left == 0 || ended {
            this.input.set(None);
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let Some((least, most)) = self.input.as_ref().map(Stage::size_hint) else {
            return (0, Some(0));
        };
        let most = most.map_or(self.left, |most| most.min(self.left));
        (least.min(self.left), Some(most))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("take", self.site).parameter("n", self.n);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::poll_fn;
    use std::ops::ControlFlow;
    use std::pin::pin;
    use std::rc::Rc;

    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, specification, timeline, timetable,
    };
    use crate::{Stage, Virtual, iter};

    #[test]
    fn the_first_items_pass() {
        assert_eq!(every_way(|| iter(0..).take(5)), [0, 1, 2, 3, 4]);
        assert_eq!(every_way(|| iter(0..2).take(5)), [0, 1]);
    }

    #[test]
    fn the_end_comes_with_the_last_item() {
        let flow = timetable([(1, 'a'), (4, 'b'), (9, 'c')], 20).take(2);
        assert_eq!(timeline(flow), (vec![(1, 'a'), (4, 'b')], 4));
    }

    #[test]
    fn no_item_more_is_asked_for() {
        let asked = Cell::new(0);
        items(iter(0..).inspect(|_| asked.set(asked.get() + 1)).take(3));
        assert_eq!(asked.get(), 3);
        items(iter(0..).inspect(|_| panic!("polled")).take(0));
    }

    #[test]
    fn the_input_is_dropped_with_the_last_item() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let mut flow = pin!(iter(0..).map(move |x| (x, owned.clone()).0).take(2));
        Virtual::new().run(async {
            for held in [1, 0] {
                poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await;
                assert_eq!(watch.strong_count(), held);
            }
        });
    }

    #[test]
    fn a_drain_that_is_broken_off_at_the_last_item_drops_the_input_too() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let mut flow = pin!(iter(0..).map(move |x| (x, owned.clone()).0).take(1));
        let drained =
            Virtual::new().run(poll_fn(|cx| flow.as_mut().poll_drain(cx, &mut ControlFlow::Break)));
        assert_eq!((drained, watch.strong_count()), (ControlFlow::Break(0), 0));
    }

    conformance!(take, |input| input.take(4));
    conformance!(take_more_than_there_is, |input| input.take(usize::MAX));

    marbles!(take, |input| input.take(2));

    specification!(take, |input| input.take(3), |input| {
        let end = input.events.get(2).map_or(input.end, |(third, _)| *third);
        Timeline::new(input.events.into_iter().take(3), end)
    });
}
