//! `buffer`: items that wait for a consumer that is busy, in the same task.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

use super::{Counts, Offer, Policy, Store, checked};

impl<S: Stage> Flow<S> {
    /// Takes what the input has ready, holds up to `capacity` items, and applies `policy` to an
    /// item that finds no room.
    ///
    /// ```text
    /// in    a-b-c-d---------|
    /// busy  [a    ][c   ][d   ]
    /// out   a------c-----d-----|    buffer(2, Overflow::DropOldest)
    /// ```
    ///
    /// Nothing runs beside the consumer: each poll first takes everything that the input has
    /// ready and then delivers, and the buffer fills while the body of a terminal is pending. For
    /// an input that should run while the consumer computes there is [`hop`](Self::hop).
    ///
    /// - **Emits** what is held, in the order of the policy; under [`Fail`](super::Fail) as
    ///   `Result`s.
    /// - **Backpressures** under `Block` when `capacity` items are held, under `ConflateBy` when a
    ///   new key finds no room; else never.
    /// - **Ends** when the input has ended and what is held is out; under `Fail` after the error.
    /// - **On error**: an error is an item here and is held like one. An overflow under `Fail`
    ///   drops the input at once.
    /// - **Holds** `capacity` items; under `ConflateBy` one for each of `capacity` keys and one
    ///   that waits.
    /// - **Cost**: no allocation once the queue has grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, iter};
    /// # futures::executor::block_on(async {
    /// // All four are ready at the first poll; two find room.
    /// let newest = iter([1, 2, 3, 4]).buffer(2, Overflow::DropOldest);
    /// assert_eq!(newest.fold(0, |sum, x| sum + x).await, 7);
    /// # });
    /// ```
    #[doc(alias("on_backpressure_buffer", "on_overflow", "conflate", "latest"))]
    #[track_caller]
    pub fn buffer<P>(self, capacity: usize, policy: P) -> Flow<Buffer<S, P>>
    where
        P: Policy<S::Item>,
    {
        let site = Location::caller();
        let capacity = checked(capacity, "buffer", site);
        Flow::from_stage(Buffer::new("buffer", self.into_stage(), capacity, policy, site))
    }
}

impl<S: Stage, P: Policy<S::Item>> Flow<Buffer<S, P>> {
    /// What became of the items so far.
    pub fn counts(&self) -> Counts {
        self.stage().store.counts()
    }
}

/// The stage behind [`Flow::buffer`] and [`Flow::conflate_by_key`].
#[pin_project]
#[derive(Debug)]
pub struct Buffer<S: Stage, P: Policy<S::Item>> {
    /// `None` when it has ended or the store failed.
    #[pin]
    input: Option<S>,
    store: P::Store,
    /// Handed back by the store: it has a key for which there is no room yet.
    waiting: Option<S::Item>,
    /// Filling stops in the middle of what the input has ready, and then its own slice is no
    /// bound.
    budget: Budget,
    operator: &'static str,
    policy: &'static str,
    bound: Bound,
    site: Site,
}

impl<S: Stage, P: Policy<S::Item>> Buffer<S, P> {
    pub(crate) fn new(
        operator: &'static str,
        input: S,
        capacity: NonZeroUsize,
        policy: P,
        site: Site,
    ) -> Self {
        Self {
            input: Some(input),
            waiting: None,
            budget: Budget::new(),
            operator,
            policy: policy.name(),
            bound: policy.bound(capacity),
            store: policy.into_store(capacity, site),
            site,
        }
    }

    /// Takes what the input has ready. `Pending` if it wants more from the input.
    fn fill(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let (store, waiting) = (this.store, this.waiting);
        if let Some(item) = waiting.take()
            && let Offer::Full(item) = store.offer(item)
        {
            *waiting = Some(item);
            return Poll::Ready(());
        }
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        if !store.has_room() {
            return Poll::Ready(());
        }
        let mut failed = false;
        let drained = input.poll_drain(cx, &mut |item| match store.offer(item) {
            Offer::Accepted if store.has_room() => ControlFlow::Continue(()),
            Offer::Accepted => ControlFlow::Break(()),
            Offer::Full(item) => {
                *waiting = Some(item);
                ControlFlow::Break(())
            }
            Offer::Failed => {
                failed = true;
                ControlFlow::Break(())
            }
        });
        match drained {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(ControlFlow::Break(())) if !failed => {}
            Poll::Ready(_) => this.input.set(None),
        }
        Poll::Ready(())
    }

    /// What comes next without the input: an item that is held, or the error.
    fn take(self: Pin<&mut Self>) -> Option<P::Out> {
        let store = self.project().store;
        match store.take() {
            Some(item) => Some(P::item(item)),
            None => store.failure().and_then(P::failure),
        }
    }
}

impl<S: Stage, P: Policy<S::Item>> Stage for Buffer<S, P> {
    type Item = P::Out;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<P::Out>> {
        if !self.as_mut().project().budget.spend(cx) {
            return Poll::Pending;
        }
        let filled = self.as_mut().fill(cx);
        match self.as_mut().take() {
            // The input is all that can bring another item: what is held is out.
            None if filled.is_pending() => {
                self.project().budget.rest();
                Poll::Pending
            }
            item => Poll::Ready(item),
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(P::Out) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            let filled = self.as_mut().fill(cx);
            let mut came = false;
            loop {
                if !self.as_mut().project().budget.spend(cx) {
                    return Poll::Pending;
                }
                let Some(item) = self.as_mut().take() else {
                    break;
                };
                came = true;
                if let broke @ ControlFlow::Break(_) = each(item) {
                    return Poll::Ready(broke);
                }
            }
            match filled {
                Poll::Pending => {
                    self.project().budget.rest();
                    return Poll::Pending;
                }
                Poll::Ready(()) if came => {}
                Poll::Ready(()) => return Poll::Ready(ControlFlow::Continue(())),
            }
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let filled = self.as_mut().fill(cx);
        let above = match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        };
        if filled.is_pending() { filled } else { above }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.store.len() + usize::from(self.waiting.is_some());
        let (least, most) = match &self.input {
            Some(input) => input.size_hint(),
            None => (0, Some(0)),
        };
        if self.store.is_lossless() {
            let most = most.and_then(|most| most.checked_add(held));
            return (least.saturating_add(held), most);
        }
        // Of the items some may be lost, though not the last one; an error may be added.
        let most = most.and_then(|most| most.checked_add(held + 1));
        (usize::from(held > 0), most)
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline
            .stage(self.operator, self.site)
            .parameter("capacity", self.store.capacity())
            .parameter("policy", self.policy)
            .holds(self.bound);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::num::NonZeroUsize;
    use std::ops::ControlFlow;

    use crate::testing::*;
    use crate::{Alarm, Clock, Fail, Overflow, Stage, Timestamp, Virtual, iter};

    /// What a consumer gets that works for 10 ms on each item.
    fn slowly<S: Stage>(flow: crate::Flow<S>) -> Vec<(i64, S::Item)> {
        let mut got = Vec::new();
        Virtual::new().run(flow.for_each_async(|item| {
            got.push((Clock::current().now().as_millis(), item));
            async {
                let mut alarm = Alarm::new();
                let due = alarm.now() + ms(10);
                alarm.set(due);
                poll_fn(|cx| alarm.poll(cx)).await;
            }
        }));
        got
    }

    #[test]
    fn it_fills_while_the_body_of_the_consumer_is_pending() {
        let input = || timetable([(0, 'a'), (2, 'b'), (4, 'c'), (6, 'd')], 7);
        let got = slowly(input().buffer(2, Overflow::DropOldest));
        assert_eq!(got, [(0, 'a'), (10, 'c'), (20, 'd')]);
        let got = slowly(input().buffer(2, Overflow::DropNewest));
        assert_eq!(got, [(0, 'a'), (10, 'b'), (20, 'c')]);
        let got = slowly(input().buffer(2, Overflow::Latest));
        assert_eq!(got, [(0, 'a'), (10, 'd')]);
        let got = slowly(input().buffer(2, Overflow::Block));
        assert_eq!(got, [(0, 'a'), (10, 'b'), (20, 'c'), (30, 'd')]);
    }

    #[test]
    fn an_overflow_under_fail_comes_after_what_was_held_and_ends_the_flow() {
        let got = items(iter([1, 2, 3]).buffer(2, Fail));
        assert_eq!(got[..2], [Ok(1), Ok(2)]);
        let overflowed = got[2].unwrap_err();
        assert_eq!((got.len(), overflowed.capacity), (3, NonZeroUsize::new(2).unwrap()));
        assert!(overflowed.site.file().ends_with("buffer.rs"));
    }

    #[test]
    fn under_fail_an_input_that_fits_comes_out_whole() {
        assert_eq!(items(iter([1, 2]).buffer(2, Fail)), [Ok(1), Ok(2)]);
    }

    #[test]
    fn polls_and_drains_in_any_mixture_give_the_same_items() {
        for (capacity, stride) in [(1, 1), (3, 2), (64, 5)] {
            let got = Virtual::new().run(async {
                let mut flow = Box::pin(iter(0..3_000).buffer(capacity, Overflow::Block));
                let mut got = Vec::new();
                while let Some(item) = poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await {
                    got.push(item);
                    let mut left = stride;
                    let drained = poll_fn(|cx| {
                        Stage::poll_drain(flow.as_mut(), cx, &mut |item| {
                            got.push(item);
                            left -= 1;
                            if left == 0 {
                                ControlFlow::Break(())
                            } else {
                                ControlFlow::Continue(())
                            }
                        })
                    });
                    let _ = drained.await;
                }
                got
            });
            assert!(got.into_iter().eq(0..3_000), "capacity {capacity}");
        }
    }

    #[test]
    fn an_endless_input_is_taken_in_slices() {
        let got = Virtual::new().run(async {
            let mut flow = std::pin::pin!(iter(0u64..).buffer(1, Overflow::Latest));
            poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await
        });
        assert!(got.is_some());
    }

    #[test]
    fn a_consumer_that_always_finds_an_item_lets_others_run() {
        let flow = || iter(0u64..).buffer(8, Overflow::Block);
        Virtual::new().run(async {
            let mut drained = Box::pin(flow().count());
            assert!(futures::poll!(&mut drained).is_pending());
            let mut polled = Box::pin(flow().for_each_async(async |_| ()));
            assert!(futures::poll!(&mut polled).is_pending());
        });
    }

    #[test]
    fn counts_add_up_and_the_outline_names_the_policy() {
        let mut flow = Box::pin(iter(0..10).buffer(3, Overflow::DropNewest));
        assert!(flow.outline().to_string().contains("buffer(capacity: 3, policy: DropNewest)"));
        Virtual::new().run(poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)));
        let counts = flow.counts();
        assert_eq!((counts.accepted, counts.dropped_newest, counts.held), (10, 7, 2));
        assert!(counts.add_up());
    }

    #[test]
    fn time_passes_while_nothing_comes() {
        let flow = timetable([(3, 'a')], 5).buffer(1, Overflow::Block);
        let (got, end) = crate::testing::timeline(flow);
        assert_eq!((got, end), (vec![(3, 'a')], Timestamp::from_millis(5).as_millis()));
    }

    #[test]
    #[should_panic(expected = "buffer: the capacity must not be zero, at operators/src/buffer")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).buffer(0, Overflow::Block);
    }

    conformance!(buffer, |input| input.buffer(2, Overflow::Block));
    conformance!(buffer_drop_oldest, |input| input.buffer(2, Overflow::DropOldest), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);
    conformance!(buffer_drop_newest, |input| input.buffer(2, Overflow::DropNewest), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);
    conformance!(buffer_latest, |input| input.buffer(2, Overflow::Latest), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);
    conformance!(buffer_fail, |input| input.buffer(2, Fail), except [
        Invariance: "what comes out depends on which items are there at once",
    ]);

    marbles!(buffer, |input| input.buffer(2, Overflow::DropOldest));

    specification!(buffer, at_any_pace, |input| input.buffer(64, Overflow::Block), |input| input);
}
