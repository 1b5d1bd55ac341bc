//! `delay_until`: each item once a signal of its own has come.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::concurrency::MapAsync;
use crate::{Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Holds each item until the flow that `gate` made of it has its first item.
    ///
    /// ```text
    /// in   3-1-----|
    /// out  ---(31)-|    delay_until(8, |x| timer(x))
    /// ```
    ///
    /// Items come out as their gates open, not in the order in which they came; for that there is
    /// [`map_async`](Self::map_async). A gate that ends without an item drops its item. Up to
    /// `limit` items wait at once; then the input does. Where all items wait equally long,
    /// [`delay`](Self::delay) is cheaper and keeps their order.
    ///
    /// - **Emits** an item when its gate opens; of those that open together, the one that came
    ///   first.
    /// - **Backpressures** when `limit` items wait.
    /// - **Ends** when the input has ended and no item waits.
    /// - **On error**: an error is an item here and has a gate; one of a gate opens it.
    /// - **Holds** `limit` items, and what their gates hold.
    /// - **Cost**: two allocations for each of `limit` at construction, none for an item.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, timer};
    /// # use std::time::Duration;
    /// let sorted = iter([3, 1, 2]).delay_until(8, |s| timer(Duration::from_secs(*s)));
    /// assert_eq!(Virtual::new().run(sorted.collect::<Vec<_>>()), [1, 2, 3]);
    /// ```
    #[doc(alias("delay_when"))]
    #[track_caller]
    #[allow(clippy::type_complexity, reason = "the stage stands on another one")]
    pub fn delay_until<W, G>(
        self,
        limit: usize,
        mut gate: G,
    ) -> Flow<DelayUntil<MapAsync<S, impl FnMut(S::Item) -> Gated<W, S::Item>, Gated<W, S::Item>>>>
    where
        W: Stage,
        G: FnMut(&S::Item) -> Flow<W>,
    {
        let site = Location::caller();
        assert!(limit > 0, "delay_until: the limit must not be zero, at {site}");
        let gated = self.map_async_unordered(limit, move |item| {
            let gate = gate(&item);
            Gated { gate, item: Some(item) }
        });
        Flow::from_stage(DelayUntil { input: gated.into_stage(), budget: Budget::new(), site })
    }
}

/// An item of [`Flow::delay_until`] and its gate.
#[pin_project]
#[derive(Debug)]
pub struct Gated<W, T> {
    #[pin]
    gate: Flow<W>,
    item: Option<T>,
}

impl<W: Stage, T> Future for Gated<W, T> {
    /// `None` if the gate has ended without opening.
    type Output = Option<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        let opened = ready!(this.gate.poll_next(cx)).is_some();
        Poll::Ready(this.item.take().filter(|_| opened))
    }
}

/// The stage behind [`Flow::delay_until`].
#[pin_project]
#[derive(Debug)]
pub struct DelayUntil<M> {
    #[pin]
    input: M,
    /// Gates that end at once give nothing to hand out.
    budget: Budget,
    site: Site,
}

impl<T, M: Stage<Item = Option<T>>> Stage for DelayUntil<M> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        loop {
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(None)) => {}
                Poll::Ready(Some(item)) => return Poll::Ready(item),
                Poll::Ready(None) => return Poll::Ready(None),
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
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.project()
            .input
            .poll_drain(cx, &mut |item| item.map_or(ControlFlow::Continue(()), &mut *each))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.input.size_hint().1)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("delay_until", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{empty, iter, timer};

    marbles!(delay_until, |input: u32| input.delay_until(8, |x| timer(ms((*x).into()))));
    specification!(
        delay_until,
        |input| input.delay_until(100, |_| timer(ms(5))),
        |input| -> Timeline<_> {
            let late: Vec<_> = input.events.iter().map(|(at, item)| (at + 5, *item)).collect();
            let end = late.last().map_or(input.end, |(at, _)| input.end.max(*at));
            Timeline::new(late, end)
        }
    );
    conformance!(delay_until, |input| input.delay_until(3, |x| timer(ms(x.value().into()))));

    #[test]
    fn an_item_whose_gate_ends_without_opening_is_dropped() {
        let flow = timetable([(1, 'a'), (2, 'b')], 3).delay_until(2, |_| empty::<u8>());
        assert_eq!(timeline(flow), (vec![], 3));
    }

    #[test]
    fn beyond_the_limit_the_input_waits() {
        let flow = timetable([(0, 'a'), (0, 'b'), (0, 'c')], 1).delay_until(2, |_| timer(ms(5)));
        assert_eq!(timeline(flow), (vec![(5, 'a'), (5, 'b'), (10, 'c')], 10));
    }

    #[test]
    #[should_panic(expected = "delay_until: the limit must not be zero, at operators/src/time")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).delay_until(0, |_| timer(ms(1)));
    }
}
