//! `conflate_with` and `batch_when_busy`: what came while the consumer was busy, as one.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::checked;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Brings what comes while the consumer is busy into one value.
    ///
    /// ```text
    /// in    1-2-3---4-------|
    /// busy  [1    ][5   ][4   ]
    /// out   1------5-----4-----|    conflate_with(|x| x, |sum, x| *sum += x)
    /// ```
    ///
    /// `seed` makes a value of the first item, `f` brings the next ones into it. Where
    /// [`latest`](Self::latest) forgets what lies between, a sum, a high and a low, or a count of
    /// everything is kept here, in one place however long the consumer takes. A consumer that keeps
    /// up gets a value for each item.
    ///
    /// - **Emits** the value of everything that is ready.
    /// - **Backpressures** never while it is polled or driven.
    /// - **Ends** when the input has ended and the value that is held is out.
    /// - **On error**: an error is an item here, and is given to `seed` or `f`; a panic in one of
    ///   them comes out of the poll.
    /// - **Holds** 1 value.
    /// - **Cost**: no allocation, no clock read but for sharing the event loop (see [`Budget`]).
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// // All are ready at the first poll: one bar of low and high.
    /// let bars = iter([3, 1, 4]).conflate_with(|x| (x, x), |(low, high), x| {
    ///     *low = x.min(*low);
    ///     *high = x.max(*high);
    /// });
    /// assert_eq!(bars.collect::<Vec<_>>().await, [(1, 4)]);
    /// # });
    /// ```
    #[doc(alias("conflate_with_seed", "on_backpressure_reduce"))]
    #[track_caller]
    pub fn conflate_with<A, I, F>(self, seed: I, f: F) -> Flow<ConflateWith<S, A, I, F>>
    where
        I: FnMut(S::Item) -> A,
        F: FnMut(&mut A, S::Item),
    {
        Flow::from_stage(ConflateWith::new(self, None, seed, f, Location::caller()))
    }

    /// Brings what comes while the consumer is busy into one value, of at most `max` items; then
    /// the input has to wait.
    ///
    /// ```text
    /// in    1-2-3-4---------|
    /// busy  [1    ][5   ][4   ]
    /// out   1------5-----4-----|    batch_when_busy(2, |x| x, |sum, x| *sum += x)
    /// ```
    ///
    /// As [`conflate_with`](Self::conflate_with), for values that grow with what is in them, such
    /// as a batch for a database: one by one while the consumer keeps up, larger and larger the
    /// more slowly it does, and never larger than `max`.
    ///
    /// - **Emits** the value of everything that is ready, of up to `max` items.
    /// - **Backpressures** when `max` items are in the value.
    /// - **Ends** when the input has ended and the value that is held is out.
    /// - **On error**: an error is an item here, and is given to `seed` or `f`; a panic in one of
    ///   them comes out of the poll.
    /// - **Holds** 1 value of `max` items.
    /// - **Cost**: no allocation of its own, no clock read but for sharing the event loop (see
    ///   [`Budget`]).
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let batches = iter(0..10).batch_when_busy(4, |x| vec![x], Vec::push);
    /// let sizes = batches.map(|batch| batch.len()).collect::<Vec<_>>();
    /// assert_eq!(sizes.await, [4, 4, 2]);
    /// # });
    /// ```
    #[doc(alias("batch", "batch_weighted", "aggregate_async"))]
    #[track_caller]
    pub fn batch_when_busy<A, I, F>(
        self,
        max: usize,
        seed: I,
        f: F,
    ) -> Flow<ConflateWith<S, A, I, F>>
    where
        I: FnMut(S::Item) -> A,
        F: FnMut(&mut A, S::Item),
    {
        let site = Location::caller();
        let max = checked(max, "batch_when_busy", site);
        Flow::from_stage(ConflateWith::new(self, Some(max), seed, f, site))
    }
}

/// The stage behind [`Flow::conflate_with`] and [`Flow::batch_when_busy`].
#[pin_project]
#[derive(Debug)]
pub struct ConflateWith<S, A, I, F> {
    #[pin]
    input: S,
    max: Option<NonZeroUsize>,
    seed: I,
    f: F,
    value: Option<A>,
    /// How many items are in the value; counted only if there is a `max`.
    inside: usize,
    ended: bool,
    budget: Budget,
    site: Site,
}

impl<S, A, I, F> ConflateWith<S, A, I, F>
where
    S: Stage,
    I: FnMut(S::Item) -> A,
    F: FnMut(&mut A, S::Item),
{
    fn new(input: Flow<S>, max: Option<NonZeroUsize>, seed: I, f: F, site: Site) -> Self {
        Self {
            input: input.into_stage(),
            max,
            seed,
            f,
            value: None,
            inside: 0,
            ended: false,
            budget: Budget::new(),
            site,
        }
    }

    /// Takes what the input has ready, and says whether it may have more. `Pending` if others have
    /// to run first; the task is woken.
    fn fill(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let this = self.project();
        // What the input gives is brought together, and the consumer sees one item of it: only
        // this can tell how many it was.
        let granted = this.budget.left(cx);
        if granted == 0 {
            return Poll::Pending;
        }
        let (value, inside, seed, f) = (this.value, this.inside, this.seed, this.f);
        let max = this.max.map_or(usize::MAX, NonZeroUsize::get);
        if *this.ended || *inside >= max {
            this.budget.used(1);
            return Poll::Ready(false);
        }
        let limited = this.max.is_some();
        let mut taken = 0;
        let drained = this.input.poll_drain(cx, &mut |item| {
            taken += 1;
            match value.as_mut() {
                Some(value) => f(value, item),
                None => *value = Some(seed(item)),
            }
            *inside += usize::from(limited);
            if *inside < max && taken < granted {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        this.budget.used(taken.max(1));
        *this.ended = matches!(drained, Poll::Ready(ControlFlow::Continue(())));
        Poll::Ready(*inside < max && matches!(drained, Poll::Ready(ControlFlow::Break(()))))
    }
}

impl<S, A, I, F> Stage for ConflateWith<S, A, I, F>
where
    S: Stage,
    I: FnMut(S::Item) -> A,
    F: FnMut(&mut A, S::Item),
{
    type Item = A;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A>> {
        if self.as_mut().fill(cx).is_pending() {
            return Poll::Pending;
        }
        let this = self.project();
        if let value @ Some(_) = this.value.take() {
            *this.inside = 0;
            return Poll::Ready(value);
        }
        this.budget.rest();
        if *this.ended { Poll::Ready(None) } else { Poll::Pending }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while let Poll::Ready(true) = self.as_mut().fill(cx) {}
        let this = self.project();
        let above = this.input.poll_progress(cx);
        let full = this.max.is_some_and(|max| *this.inside >= max.get());
        // As long as there is room, what the input brings is taken.
        if *this.ended || full { above } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.value.is_some());
        let (least, most) = self.input.size_hint();
        let least = match self.max {
            Some(max) => least.saturating_add(self.inside).div_ceil(max.get()).max(held),
            None => held.max(usize::from(least > 0)),
        };
        (least, most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        match self.max {
            Some(max) => outline
                .stage("batch_when_busy", self.site)
                .parameter("max", max)
                .holds(Bound::Items(max.get())),
            None => outline.stage("conflate_with", self.site).holds(Bound::Items(1)),
        };
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Alarm, Virtual, iter};
    use std::future::poll_fn;

    marbles!(conflate_with, |input: u32| input.conflate_with(|x| x, |sum, x| *sum += x));
    marbles!(batch_when_busy, |input: u32| { input.batch_when_busy(2, |x| x, |sum, x| *sum += x) });
    conformance!(conflate_with, |input| input.conflate_with(|x| x, |held, x| {
        x.value();
        *held = x;
    }), except [
        Invariance: "what is in a value depends on how fast the consumer is",
    ]);
    conformance!(batch_when_busy, |input| input.batch_when_busy(2, |x| vec![x], Vec::push), except [
        Invariance: "what is in a batch depends on how fast the consumer is",
        NoAllocation: "the vectors are made by the closure",
    ]);

    specification!(
        conflate_with,
        |input| glances(input.conflate_with(|x| vec![x], Vec::push)),
        |input| at_glances(input, std::mem::take)
    );
    specification!(
        batch_when_busy,
        |input| glances(input.batch_when_busy(3, |x| vec![x], Vec::push)),
        |input| at_glances(input, |held| held.drain(..held.len().min(3)).collect::<Vec<_>>())
    );

    /// What a consumer gets that works for 10 ms on each value.
    fn slowly<S: crate::Stage>(flow: crate::Flow<S>) -> Vec<S::Item> {
        let mut got = Vec::new();
        Virtual::new().run(flow.for_each_async(|item| {
            got.push(item);
            async {
                let mut alarm = Alarm::new();
                let until = alarm.now() + ms(10);
                alarm.set(until);
                poll_fn(|cx| alarm.poll(cx)).await;
            }
        }));
        got
    }

    #[test]
    fn nothing_is_missing_in_the_values_of_a_busy_consumer() {
        let feed = || timetable((0..40).map(|n| (i64::from(n), n)), 40);
        let sums = slowly(feed().conflate_with(
            |x| (1, x),
            |(n, sum), x| {
                *n += 1;
                *sum += x;
            },
        ));
        assert_eq!(sums, [(1, 0), (10, 55), (10, 155), (10, 255), (9, 315)]);
        let batches = slowly(feed().batch_when_busy(4, |x| vec![x], Vec::push));
        assert!(batches.iter().skip(1).all(|batch| batch.len() <= 4));
        assert!(batches.concat().into_iter().eq(0..40));
    }

    #[test]
    fn a_consumer_that_keeps_up_gets_a_value_for_each_item() {
        let feed = || timetable([(1, 'a'), (2, 'b'), (3, 'c')], 4);
        let flow = feed().batch_when_busy(9, String::from, String::push);
        let expected = [(1, "a"), (2, "b"), (3, "c")].map(|(at, x)| (at, x.to_owned()));
        assert_eq!(timeline(flow), (expected.to_vec(), 4));
    }

    #[test]
    #[should_panic(expected = "batch_when_busy: the capacity must not be zero, at operators/src")]
    fn a_batch_of_nothing_is_refused_where_it_was_written() {
        let _ = iter([1]).batch_when_busy(0, |x| x, |held, x| *held = x);
    }
}
