//! `take_while` and `take_through`: the items before, or up to, the first that fails a predicate.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::ended_or_broke;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets items pass until the first for which `keep` says `false`; that one is dropped.
    ///
    /// ```text
    /// in   --1--2----9--1--|
    /// out  --1--2----|         take_while(|x| *x < 5)
    /// ```
    ///
    /// To let it pass, see [`take_through`](Self::take_through).
    ///
    /// - **Emits** each item as long as all have satisfied `keep`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** at the first item that fails, with which the input is dropped, or when the input
    ///   ends.
    /// - **On error**: a panic in `keep` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let small = aqueduct_operators::iter([1, 2, 9, 1]).take_while(|x| *x < 5);
    /// assert_eq!(small.collect::<Vec<_>>().await, [1, 2]);
    /// # });
    /// ```
    #[track_caller]
    pub fn take_while<F>(self, keep: F) -> Flow<TakeWhile<S, F>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        Flow::from_stage(TakeWhile {
            input: Some(self.into_stage()),
            keep,
            through: false,
            site: Location::caller(),
        })
    }

    /// Lets items pass up to and with the first for which `keep` says `false`.
    ///
    /// ```text
    /// in   --1--2----9--1--|
    /// out  --1--2----(9|)      take_through(|x| *x < 5)
    /// ```
    ///
    /// - **Emits** each item up to the first that fails `keep`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** with the first item that fails, with which the input is dropped, or when the
    ///   input ends.
    /// - **On error**: a panic in `keep` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let small = aqueduct_operators::iter([1, 2, 9, 1]).take_through(|x| *x < 5);
    /// assert_eq!(small.collect::<Vec<_>>().await, [1, 2, 9]);
    /// # });
    /// ```
    #[doc(alias("take_while_inclusive", "transform_while", "take_until"))]
    #[track_caller]
    pub fn take_through<F>(self, keep: F) -> Flow<TakeWhile<S, F>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        Flow::from_stage(TakeWhile {
            input: Some(self.into_stage()),
            keep,
            through: true,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::take_while`] and [`Flow::take_through`].
#[pin_project]
#[derive(Debug)]
pub struct TakeWhile<S, F> {
    /// `None` once this has ended.
    #[pin]
    input: Option<S>,
    keep: F,
    /// Whether the first item that fails passes.
    through: bool,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item) -> bool> Stage for TakeWhile<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = ready!(input.poll_next(cx));
        if item.as_ref().is_some_and(this.keep) {
            return Poll::Ready(item);
        }
        this.input.set(None);
        Poll::Ready(item.filter(|_| *this.through))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let keep = this.keep;
        let mut failed = false;
        let drained = input.poll_drain(cx, &mut |item| {
            failed = !keep(&item);
            if !failed {
                return each(item).map_break(Some);
            }
            if *this.through
                && let ControlFlow::Break(value) = each(item)
            {
                return ControlFlow::Break(Some(value));
            }
            ControlFlow::Break(None)
        });
        let (drained, ended) = ended_or_broke(drained);
        if failed || ended {
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
        match self.input.as_ref().map(Stage::size_hint) {
            // Even the first item may fail, and then none is left but that one.
            Some((least, most)) if self.through => (least.min(1), most),
            Some((_, most)) => (0, most),
            None => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        let name = if self.through { "take_through" } else { "take_while" };
        outline.stage(name, self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::ops::ControlFlow;
    use std::pin::pin;
    use std::rc::Rc;

    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };
    use crate::{Stage, Virtual, iter};

    #[test]
    fn the_first_item_that_fails_is_dropped_by_take_while() {
        let flow = || iter([1, 2, 3, 9, 1]).take_while(|x| *x < 5);
        assert_eq!(every_way(flow), [1, 2, 3]);
    }

    #[test]
    fn the_first_item_that_fails_passes_take_through() {
        let flow = || iter([1, 2, 3, 9, 1]).take_through(|x| *x < 5);
        assert_eq!(every_way(flow), [1, 2, 3, 9]);
    }

    #[test]
    fn without_an_item_that_fails_everything_passes() {
        assert_eq!(every_way(|| iter(0..4).take_while(|_| true)), [0, 1, 2, 3]);
        assert_eq!(every_way(|| iter(0..4).take_through(|_| true)), [0, 1, 2, 3]);
    }

    #[test]
    fn the_end_comes_with_the_item_that_fails() {
        let input = || timetable([(1, 'a'), (4, 'x'), (9, 'b')], 20);
        let (items, end) = timeline(input().take_while(|c| *c != 'x'));
        assert_eq!((items, end), (vec![(1, 'a')], 4));
        let (items, end) = timeline(input().take_through(|c| *c != 'x'));
        assert_eq!((items, end), (vec![(1, 'a'), (4, 'x')], 4));
    }

    #[test]
    fn the_input_is_dropped_with_the_item_that_fails() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let input = iter(0..).map(move |x| (x, owned.clone()).0);
        let mut flow = input.take_through(|x| *x < 1);
        Virtual::new().run(async {
            assert_eq!((flow.next().await, watch.strong_count()), (Some(0), 1));
            assert_eq!((flow.next().await, watch.strong_count()), (Some(1), 0));
        });
    }

    #[test]
    fn a_drain_that_is_broken_off_at_the_item_that_fails_drops_the_input_too() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let input = iter(5..).map(move |x| (x, owned.clone()).0);
        let mut flow = pin!(input.take_through(|x| *x < 1));
        let drained =
            Virtual::new().run(poll_fn(|cx| flow.as_mut().poll_drain(cx, &mut ControlFlow::Break)));
        assert_eq!((drained, watch.strong_count()), (ControlFlow::Break(5), 0));
    }

    conformance!(take_through, |input| input.take_through(|x| x.value() < 7));
    conformance!(take_while, |input| input.take_while(|x| x.value() < 7));

    marbles!(take_while, |input: u32| input.take_while(|x| *x < 5));
    marbles!(take_through, |input: u32| input.take_through(|x| *x < 5));

    specification!(take_while, |input| input.take_while(|x| *x < 3), |input| {
        let last = input.events.iter().find(|(_, x)| *x >= 3);
        let end = last.map_or(input.end, |(at, _)| *at);
        Timeline::new(input.events.into_iter().take_while(|(_, x)| *x < 3), end)
    });
    specification!(take_through, |input| input.take_through(|x| *x < 3), |input| {
        let last = input.events.iter().position(|(_, x)| *x >= 3);
        match last {
            None => input,
            Some(last) => {
                let end = input.events[last].0;
                Timeline::new(input.events.into_iter().take(last + 1), end)
            }
        }
    });
}
