//! `exhaust_map`: a flow that is left to run, and what comes meanwhile is dropped.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::flattening::{By, Project, Turn, size_hint, turn};
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the items of the flow that `f` makes of an item, and drops the items that come before
    /// this flow has ended.
    ///
    /// ```text
    /// in   a--b-----c----|
    /// a    --1--2|
    /// c             --3|
    /// out  --1--2-----3--|    exhaust_map(f)
    /// ```
    ///
    /// The inner flow is asked first, and an item is dropped when it is found while that one is
    /// pending, be it only to share the event loop. While downstream is busy nobody looks at the
    /// input: what waits there then is dropped later, or makes a flow if the inner one has ended.
    /// `f` is not called for a dropped item, and [`dropped`](Flow::dropped) counts them.
    ///
    /// - **Emits** an item when the inner flow has one.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input and the last inner flow have ended; an inner flow is dropped when
    ///   it ends.
    /// - **On error**: an error is an item here, and is dropped like one during an inner flow. A
    ///   panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** 1 inner flow, which holds what its own outline says.
    /// - **Cost**: no allocation; a clock read in each turn and every 1,024 items.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// // A flow that is ready is never found pending: nothing is dropped.
    /// let all = iter([1, 2]).exhaust_map(|x| iter([x, 10 * x]));
    /// assert_eq!(all.collect::<Vec<_>>().await, [1, 10, 2, 20]);
    /// # });
    /// ```
    #[doc(alias("switch_first", "exhaust_all", "flat_map_drop", "flat_map_first"))]
    #[track_caller]
    pub fn exhaust_map<F, I>(self, f: F) -> Flow<ExhaustMap<S, By<F>, I>>
    where
        F: FnMut(S::Item) -> I,
        I: Stage,
    {
        Flow::from_stage(ExhaustMap {
            input: Some(self.into_stage()),
            project: By(f),
            inner: None,
            dropped: 0,
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

impl<S, P, I> Flow<ExhaustMap<S, P, I>>
where
    ExhaustMap<S, P, I>: Stage,
{
    /// How many items came during an inner flow and were dropped.
    pub fn dropped(&self) -> u64 {
        self.stage().dropped
    }
}

/// The stage behind [`Flow::exhaust_map`].
#[pin_project]
#[derive(Debug)]
pub struct ExhaustMap<S, P, I> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    project: P,
    #[pin]
    inner: Option<I>,
    dropped: u64,
    /// One unit for each item, and for each inner flow without any.
    budget: Budget,
    site: Site,
}

impl<S, P, I> ExhaustMap<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    /// Drops all that the input has ready.
    fn drop_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        this.budget.rest();
        if let Some(input) = this.input.as_mut().as_pin_mut() {
            let drained = input.poll_drain(cx, &mut |_| {
                *this.dropped += 1;
                ControlFlow::<()>::Continue(())
            });
            if drained.is_ready() {
                this.input.set(None);
            }
        }
    }

    /// Waits for an item and starts its flow. Ready and false if the input has ended.
    fn poll_start(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(false);
        };
        match ready!(input.poll_next(cx)) {
            Some(item) => this.inner.set(Some(this.project.start(item))),
            None => this.input.set(None),
        }
        Poll::Ready(this.inner.is_some())
    }
}

impl<S, P, I> Stage for ExhaustMap<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        loop {
            let mut this = self.as_mut().project();
            if let Some(inner) = this.inner.as_mut().as_pin_mut() {
                if !this.budget.spend(cx) {
                    return Poll::Pending;
                }
                match inner.poll_next(cx) {
                    Poll::Ready(None) => this.inner.set(None),
                    Poll::Ready(item) => return Poll::Ready(item),
                    Poll::Pending => {
                        self.drop_ready(cx);
                        return Poll::Pending;
                    }
                }
            }
            if !ready!(self.as_mut().poll_start(cx)) {
                return Poll::Ready(None);
            }
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            let mut this = self.as_mut().project();
            if let Some(inner) = this.inner.as_mut().as_pin_mut() {
                match turn(inner, cx, this.budget, usize::MAX, each) {
                    Turn::Over => continue,
                    Turn::Ended => this.inner.set(None),
                    Turn::Broke(value) => return Poll::Ready(ControlFlow::Break(value)),
                    Turn::Yields => return Poll::Pending,
                    Turn::Waits => {
                        self.drop_ready(cx);
                        return Poll::Pending;
                    }
                }
            }
            if !ready!(self.as_mut().poll_start(cx)) {
                return Poll::Ready(ControlFlow::Continue(()));
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let input = this.input.as_pin_mut();
        let input = input.is_none_or(|input| input.poll_progress(cx).is_ready());
        let inner = this.inner.as_pin_mut();
        let inner = inner.is_none_or(|inner| inner.poll_progress(cx).is_ready());
        if input && inner { Poll::Ready(()) } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        size_hint(self.input.as_ref(), self.inner.as_ref())
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("exhaust_map", self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::FutureExt;

    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::testing::{every_way, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, millis, nanos, pair};
    use crate::{Virtual, iter};

    conformance!(exhaust_map, |input| input.exhaust_map(|x| iter(std::iter::repeat_n(x.clone(), x.value() as usize % 3))), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    conformance!(exhaust_map_of_pending_flows, |input| input.exhaust_map(|x| iter([x.value()]).delay(ms(1), 1)), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    marbles!(exhaust_map, |input, a, c| {
        let mut inner = [a, c].into_iter();
        input.exhaust_map(move |_| inner.next().unwrap())
    });

    #[test]
    fn items_that_come_during_a_flow_are_dropped_and_make_none() {
        let calls = Cell::new(0);
        let input = timetable([(0, 'a'), (2, 'b'), (4, 'c'), (5, 'd'), (8, 'e')], 9);
        let flow = input.exhaust_map(|name| {
            calls.set(calls.get() + 1);
            iter([name]).delay(ms(3), 1)
        });
        assert_eq!(timeline(flow), (vec![(3, 'a'), (7, 'c'), (11, 'e')], 11));
        assert_eq!(calls.get(), 3);
    }

    #[test]
    fn dropped_items_are_counted() {
        let input = timetable([(0, 'a'), (1, 'b'), (2, 'c'), (9, 'd')], 10);
        Virtual::new().run(async {
            let mut flow = std::pin::pin!(input.exhaust_map(|x| iter([x]).delay(ms(3), 1)));
            for (item, dropped) in [(Some('a'), 2), (Some('d'), 2), (None, 2)] {
                assert_eq!(futures::StreamExt::next(&mut flow).await, item);
                assert_eq!(flow.dropped(), dropped);
            }
        });
    }

    #[test]
    fn polls_and_drains_agree() {
        let flow = || iter([300, 0, 5]).exhaust_map(|n| iter(0..n));
        assert!(every_way(flow).into_iter().eq((0..300).chain(0..5)));
    }

    #[test]
    fn endless_flows_share_the_event_loop() {
        let dropping = iter(0..).exhaust_map(|_| crate::never::<u8>());
        assert!(dropping.count().now_or_never().is_none());
        let empties = iter(0..).exhaust_map(|_| crate::empty::<u8>());
        assert!(empties.count().now_or_never().is_none());
    }

    specification!(
        exhaust_map,
        |input| {
            let mut inner = Inner::default();
            input.exhaust_map(move |x| inner.flow(x, pair(x)))
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut inner, mut output) = (Inner::default(), Timeline::new([], 0));
            for (at, x) in input.events {
                if at >= output.end {
                    let line = inner.line(x, pair(x), at);
                    output.events.extend(line.events);
                    output.end = line.end;
                }
            }
            output.end = output.end.max(input.end);
            millis(output)
        }
    );
}
