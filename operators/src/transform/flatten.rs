//! `flatten`: items that are flows themselves, one after the other.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::flattening::{Itself, Project, Turn, size_hint, turn};
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage<Item: Stage>> Flow<S> {
    /// Emits the items of each inner flow, one flow after the other.
    ///
    /// ```text
    /// in   --x-------y--|
    /// x      ---a-b----c-|
    /// y                  ---d-|
    /// out  -----a-b----c----d-|    flatten()
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
    #[doc(alias("concat_all", "flatten_concat", "flat_map_concat", "switch_on_completed"))]
    #[track_caller]
    pub fn flatten(self) -> Flow<Flatten<S, Itself, S::Item>> {
        Flow::from_stage(Flatten::new(self, Itself, "flatten"))
    }
}

/// The stage behind [`Flow::flatten`] and [`Flow::concat_map`].
#[pin_project]
#[derive(Debug)]
pub struct Flatten<S, P, I> {
    #[pin]
    input: S,
    project: P,
    /// Until it ends.
    #[pin]
    inner: Option<I>,
    /// One unit for each item, and for each inner flow without any.
    budget: Budget,
    name: &'static str,
    site: Site,
}

impl<S, P, I> Flatten<S, P, I> {
    #[track_caller]
    pub(super) fn new(input: Flow<S>, project: P, name: &'static str) -> Self
    where
        S: Stage,
    {
        Self {
            input: input.into_stage(),
            project,
            inner: None,
            budget: Budget::new(),
            name,
            site: Location::caller(),
        }
    }
}

impl<S, P, I> Stage for Flatten<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
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
                        // The input was not asked since this flow came from it.
                        let _ = this.input.poll_progress(cx);
                        this.budget.rest();
                        return Poll::Pending;
                    }
                }
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Ready(Some(item)) => this.inner.set(Some(this.project.start(item))),
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
                match turn(inner, cx, this.budget, usize::MAX, each) {
                    Turn::Over => continue,
                    Turn::Ended => this.inner.set(None),
                    Turn::Broke(value) => return Poll::Ready(ControlFlow::Break(value)),
                    Turn::Yields => return Poll::Pending,
                    Turn::Waits => {
                        let _ = this.input.poll_progress(cx);
                        return Poll::Pending;
                    }
                }
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(None) => return Poll::Ready(ControlFlow::Continue(())),
                Poll::Ready(Some(item)) => this.inner.set(Some(this.project.start(item))),
                Poll::Pending => {
                    this.budget.rest();
                    return Poll::Pending;
                }
            }
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
        size_hint(Some(&self.input), self.inner.as_ref())
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage(self.name, self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::iter::repeat_n;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use futures::stream;
    use tokio::sync::oneshot;

    use crate::testing::*;
    use crate::{Stage, Virtual, empty, flow, iter};

    async fn sleep(millis: u64) {
        let mut alarm = crate::Alarm::new();
        let due = alarm.now() + ms(millis);
        alarm.set(due);
        std::future::poll_fn(|cx| alarm.poll(cx)).await;
    }

    conformance!(flatten, |input| {
        input.map(|x| iter(repeat_n(x.clone(), x.value() as usize % 3))).flatten()
    }, except [
        DeclaredBound: "an inner flow holds what its author decided",
    ]);
    conformance!(flatten_of_empty_flows, |input| {
        input.map(|x| iter([x].into_iter().take(0))).flatten()
    }, except [
        DeclaredBound: "an inner flow holds what its author decided",
    ]);
    conformance!(flatten_of_pending_flows, |input| {
        input.map(|x| iter([x]).delay(ms(1), 1)).take(99).flatten()
    }, except [
        DeclaredBound: "an inner flow holds what its author decided",
    ]);
    conformance!(flatten_of_work_in_flight, |input| {
        let slow = async |x: Tracked| {
            sleep(1).await;
            x
        };
        input.take(50).map(move |x| iter([x]).map_async(1, slow)).flatten()
    }, except [
        DeclaredBound: "an inner flow holds what its author decided",
    ]);

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

    marbles!(flatten, |input, x, y| {
        let mut inner = [Some(x), Some(y)];
        input.map(move |name| inner[usize::from(name == 'y')].take().unwrap()).flatten()
    });

    specification!(
        flatten,
        at_any_pace,
        |input| input.map(|x| iter(0..x % 4)).flatten(),
        |input| input.flat_map(|_, x| 0..x % 4)
    );
}
