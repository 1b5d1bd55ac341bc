//! `flatten`: items that are flows themselves, one after the other.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage<Item: Stage>> Flow<S> {
    /// Emits the items of each inner flow, one flow after the other.
    ///
    /// ```text
    /// in   --+-------+--|
    ///        |       \-----d-|
    ///        \--a-b----c-|
    /// out  -----a-b----c-----d-|
    /// ```
    ///
    /// The next flow is taken when the one before has ended, so that the order is theirs and at
    /// most one runs. Work in flight inside it goes on while downstream is busy. Streams come in
    /// through [`flow`](crate::flow()): `.map(flow).flatten()`.
    ///
    /// - **Emits** each item of each inner flow.
    /// - **Backpressures** when downstream does, and takes no flow before the previous one has
    ///   ended.
    /// - **Ends** when the input and the last inner flow have ended; each inner flow is dropped
    ///   when it ends.
    /// - **On error**: an error is an item here and passes; the inner flow goes on after it.
    /// - **Holds** 1 inner flow, which holds what its own outline says.
    /// - **Cost**: no allocation; a clock read in each turn and every 1,024 items, because one
    ///   flow can make endless ones, and empty flows none at all (see [`Budget`]).
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let days = iter([iter(["mon 9:00", "mon 9:01"]), iter(["tue 9:00", "tue 9:01"])]);
    /// assert_eq!(days.flatten().last().await, Some("tue 9:01"));
    /// # });
    /// ```
    #[doc(alias(
        "concat_all",
        "flatten_concat",
        "flat_map_concat",
        "concat_map",
        "switch_on_completed"
    ))]
    #[track_caller]
    pub fn flatten(self) -> Flow<Flatten<S, S::Item>> {
        Flow::from_stage(Flatten {
            input: self.into_stage(),
            inner: None,
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::flatten`].
#[pin_project]
#[derive(Debug)]
pub struct Flatten<S, I> {
    #[pin]
    input: S,
    /// Until it ends.
    #[pin]
    inner: Option<I>,
    /// One unit for each item, and for each inner flow without any.
    budget: Budget,
    site: Site,
}

impl<S: Stage<Item = I>, I: Stage> Stage for Flatten<S, I> {
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let mut this = self.project();
        loop {
            if let Some(inner) = this.inner.as_mut().as_pin_mut() {
                if !this.budget.spend(cx) {
                    return Poll::Pending;
                }
                match inner.poll_next(cx) {
                    Poll::Ready(None) => this.inner.set(None),
                    Poll::Ready(item) => return Poll::Ready(item),
                    Poll::Pending => {
                        this.budget.rest();
                        return Poll::Pending;
                    }
                }
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(next) => this.inner.set(next),
                Poll::Pending => {
                    this.budget.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        loop {
            if let Some(inner) = this.inner.as_mut().as_pin_mut() {
                let granted = this.budget.left(cx);
                if granted == 0 {
                    return Poll::Pending;
                }
                let mut left = granted;
                let drained = inner.poll_drain(cx, &mut |item| {
                    left -= 1;
                    match each(item) {
                        ControlFlow::Break(value) => ControlFlow::Break(Some(value)),
                        ControlFlow::Continue(()) if left == 0 => ControlFlow::Break(None),
                        ControlFlow::Continue(()) => ControlFlow::Continue(()),
                    }
                });
                match drained {
                    Poll::Ready(ControlFlow::Break(None)) => {
                        this.budget.used(granted);
                        continue;
                    }
                    Poll::Ready(ControlFlow::Continue(())) => {
                        this.budget.used((granted - left).max(1));
                        this.inner.set(None);
                    }
                    Poll::Ready(ControlFlow::Break(Some(value))) => {
                        this.budget.rest();
                        return Poll::Ready(ControlFlow::Break(value));
                    }
                    Poll::Pending => {
                        this.budget.rest();
                        return Poll::Pending;
                    }
                }
            }
            let Poll::Ready(next) = this.input.as_mut().poll_next(cx) else {
                this.budget.rest();
                return Poll::Pending;
            };
            if next.is_none() {
                return Poll::Ready(ControlFlow::Continue(()));
            }
            this.inner.set(next);
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let inner = this.inner.as_pin_mut();
        let driven = inner.map_or(Poll::Ready(()), |inner| inner.poll_progress(cx));
        ready!(this.input.poll_progress(cx));
        driven
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = match &self.inner {
            Some(inner) => inner.size_hint(),
            None => (0, Some(0)),
        };
        match self.input.size_hint() {
            (_, Some(0)) => (least, most),
            _ => (least, None),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("flatten", self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use futures::stream;
    use tokio::sync::oneshot;

    use crate::testing::{every_way, timeline, timetable};
    use crate::{Stage, Virtual, empty, flow, iter};

    #[test]
    fn the_items_of_each_flow_follow_one_another() {
        let flow = || iter([2, 0, 3]).map(|n| iter(0..n)).flatten();
        assert_eq!(every_way(flow), [0, 1, 0, 1, 2]);
    }

    #[test]
    fn one_inner_flow_may_make_more_than_a_slice_of_items() {
        let flow = || iter([3000, 0, 2048]).map(|n| iter(0..n)).flatten();
        assert!(every_way(flow).into_iter().eq((0..3000).chain(0..2048)));
    }

    #[test]
    fn streams_come_in_through_flow() {
        let streams = || iter([stream::iter([1, 2]), stream::iter([3, 4])]);
        assert_eq!(every_way(|| streams().map(flow).flatten()), [1, 2, 3, 4]);
    }

    #[test]
    fn the_next_flow_starts_when_the_one_before_has_ended() {
        let inner = |name| timetable([(2, (name, 2)), (4, (name, 4))], 6);
        let flow = timetable([(1, inner('a')), (3, inner('b'))], 9).flatten();
        // Everything of the second is overdue at the end of the first.
        let expected = vec![(2, ('a', 2)), (4, ('a', 4)), (6, ('b', 2)), (6, ('b', 4))];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn endless_flows_share_the_event_loop() {
        let mut cx = Context::from_waker(Waker::noop());
        Virtual::new().run(async {
            let short = || iter(std::iter::repeat_with(|| iter(0..10))).flatten();
            let seen = Cell::new(0);
            let mut endless = pin!(short().inspect(|_| seen.set(seen.get() + 1)).count());
            assert!(endless.as_mut().poll(&mut cx).is_pending());
            assert_eq!(seen.get(), 1024);
            let empties = || iter(std::iter::repeat_with(empty::<u8>)).flatten();
            assert!(pin!(empties().count()).as_mut().poll(&mut cx).is_pending());
            let mut pulled = pin!(empties());
            assert!(Stage::poll_next(pulled.as_mut(), &mut cx).is_pending());
        });
    }

    #[test]
    fn work_in_flight_in_the_inner_flow_is_driven_and_no_item_is_taken() {
        let mut cx = Context::from_waker(Waker::noop());
        let (sender, receiver) = oneshot::channel();
        let (done, taken) = (Cell::new(false), Cell::new(false));
        let inner = iter([receiver])
            .map_async(1, async |receiver| {
                done.set(receiver.await.is_ok());
            })
            .inspect(|()| taken.set(true));
        let mut flow = pin!(iter([inner]).flatten());
        assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
        assert!(flow.as_mut().poll_progress(&mut cx).is_pending());
        sender.send(()).unwrap();
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!((done.get(), taken.get()), (true, false));
    }

    #[test]
    fn an_inner_flow_is_dropped_when_it_ends() {
        let alive = std::rc::Rc::new(());
        let inner = (iter([1]), alive.clone());
        let first = iter([inner]).map(|(flow, alive)| flow.map(move |x| (x, alive.clone()).0));
        let mut flow = pin!(first.flatten());
        let mut cx = Context::from_waker(Waker::noop());
        for holders in [2, 1] {
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_ready());
            assert_eq!(std::rc::Rc::strong_count(&alive), holders);
        }
    }
}
