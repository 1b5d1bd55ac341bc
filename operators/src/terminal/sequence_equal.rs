//! `sequence_equal`: whether two flows bring the same items.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Budget, Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs two flows in step until they differ.
    ///
    /// ```text
    /// in     --a--b--|
    /// other  a-----b----c--
    /// out    -----------(f|)    sequence_equal(other)
    /// where  f = false
    /// ```
    ///
    /// The times at which items come do not count. The faster flow waits for the slower one: no
    /// more than one item of it is taken ahead, and its work in flight goes on meanwhile.
    ///
    /// - **Emits** `false` with the first items that differ, or when one flow has an item and the
    ///   other has ended; `true` when both have ended.
    /// - **Backpressures** the flow that is ahead.
    /// - **Ends** with the answer, and drops both flows then.
    /// - **On error**: an error is an item here. A panic in a comparison comes out of the future,
    ///   which must not be polled again.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation; a clock read in each long turn and every 1,024 items.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// assert!(iter([1, 2]).sequence_equal(iter([1, 2])).await);
    /// assert!(!iter([1, 2]).sequence_equal(iter([1, 2, 3])).await);
    /// # });
    /// ```
    #[doc(alias("eq", "equals"))]
    pub fn sequence_equal<O>(self, other: Flow<O>) -> SequenceEqual<S, O>
    where
        O: Stage,
        S::Item: PartialEq<O::Item>,
    {
        SequenceEqual {
            flows: Some(Flows {
                left: Side { flow: self, next: None },
                right: Side { flow: other, next: None },
            }),
            budget: Budget::new(),
        }
    }
}

/// The future behind [`Flow::sequence_equal`].
#[pin_project]
#[must_use = "a flow does nothing until it is polled"]
pub struct SequenceEqual<S: Stage, O: Stage> {
    /// `None` once the future is over.
    #[pin]
    flows: Option<Flows<S, O>>,
    budget: Budget,
}

impl<S: Stage, O: Stage> fmt::Debug for SequenceEqual<S, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SequenceEqual").field("over", &self.flows.is_none()).finish_non_exhaustive()
    }
}

#[pin_project]
struct Flows<S: Stage, O: Stage> {
    #[pin]
    left: Side<S>,
    #[pin]
    right: Side<O>,
}

#[pin_project]
struct Side<S: Stage> {
    #[pin]
    flow: Flow<S>,
    /// What it brought, an item or its end, until the other side has something too.
    next: Option<Option<S::Item>>,
}

impl<S: Stage> Side<S> {
    /// Takes what comes next, unless that was taken before.
    fn fill(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if this.next.is_none()
            && let Poll::Ready(next) = Stage::poll_next(this.flow, cx)
        {
            *this.next = Some(next);
        }
    }

    /// Drives the flow if it is the one that waits.
    fn drive(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        if this.next.is_some() {
            let _ = this.flow.poll_progress(cx);
        }
    }
}

impl<S, O> Flows<S, O>
where
    S: Stage<Item: PartialEq<O::Item>>,
    O: Stage,
{
    fn poll_equal(self: Pin<&mut Self>, budget: &mut Budget, cx: &mut Context<'_>) -> Poll<bool> {
        let mut this = self.project();
        loop {
            if !budget.spend(cx) {
                return Poll::Pending;
            }
            this.left.as_mut().fill(cx);
            this.right.as_mut().fill(cx);
            let (left, right) =
                (this.left.as_mut().project().next, this.right.as_mut().project().next);
            match (&*left, &*right) {
                (Some(None), Some(None)) => return Poll::Ready(true),
                (Some(None), Some(Some(_))) | (Some(Some(_)), Some(None)) => {
                    return Poll::Ready(false);
                }
                (Some(Some(a)), Some(Some(b))) => {
                    if a != b {
                        return Poll::Ready(false);
                    }
                    (*left, *right) = (None, None);
                }
                (None, _) | (_, None) => {
                    this.left.as_mut().drive(cx);
                    this.right.as_mut().drive(cx);
                    budget.rest();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<S, O> Future for SequenceEqual<S, O>
where
    S: Stage<Item: PartialEq<O::Item>>,
    O: Stage,
{
    type Output = bool;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut this = self.project();
        let Some(flows) = this.flows.as_mut().as_pin_mut() else {
            panic!("sequence_equal: polled again after it was over")
        };
        let equal = flows.poll_equal(this.budget, cx);
        if equal.is_ready() {
            this.flows.set(None);
        }
        equal
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Clock, Flow, Stage, Virtual, cycle, empty, from_future, iter, never};

    fn equal<S: Stage<Item = char>>(
        left: Flow<S>,
        right: Flow<impl Stage<Item = char>>,
    ) -> (bool, i64) {
        Virtual::new().run(async {
            let equal = left.sequence_equal(right).await;
            (equal, Clock::current().now().as_millis())
        })
    }

    #[test]
    fn the_same_items_at_other_times_are_equal_when_both_have_ended() {
        let left = || timetable([(1, 'a'), (2, 'b')], 3);
        assert_eq!(equal(left(), timetable([(5, 'a'), (5, 'b')], 9)), (true, 9));
        assert_eq!(equal(timetable([(5, 'a'), (5, 'b')], 9), left()), (true, 9));
        assert_eq!(equal(empty(), empty()), (true, 0));
    }

    #[test]
    fn the_first_difference_gives_the_answer() {
        let left = || timetable([(1, 'a'), (2, 'b')], 30);
        assert_eq!(equal(left(), timetable([(5, 'a'), (6, 'c')], 40)), (false, 6));
        assert_eq!(equal(left(), timetable([(5, 'a')], 9)), (false, 9));
        assert_eq!(equal(timetable([(5, 'a')], 9), left()), (false, 9));
    }

    #[test]
    fn the_flow_that_is_ahead_waits_and_its_work_in_flight_goes_on() {
        let made = std::cell::Cell::new(0);
        let ahead = iter(['a', 'b', 'c']).map_async(2, async |item| {
            iter([()]).delay(ms(1), 1).drain().await;
            made.set(made.get() + 1);
            item
        });
        let stuck = ahead.sequence_equal(timetable([(10, 'x')], 10)).map(|_| made.get());
        assert_eq!(Virtual::new().run(stuck), 3);
    }

    #[test]
    fn two_flows_that_are_always_ready_let_others_run() {
        assert!(cycle([1]).sequence_equal(cycle([1])).now_or_never().is_none());
        assert!(iter([1]).sequence_equal(never()).now_or_never().is_none());
    }

    marbles!(sequence_equal, |input, other| input.sequence_equal(other));

    specification!(sequence_equal, |a, b| a.sequence_equal(b), |a, b| -> Timeline<bool> {
        for index in 0.. {
            let (left, right) = (a.events.get(index), b.events.get(index));
            let known = left.map_or(a.end, |(at, _)| *at).max(right.map_or(b.end, |(at, _)| *at));
            if left.is_none() && right.is_none() {
                return Timeline::new([(known, true)], known);
            }
            if left.map(|(_, item)| item) != right.map(|(_, item)| item) {
                return Timeline::new([(known, false)], known);
            }
        }
        unreachable!("a timeline has an end")
    });

    conformance!(sequence_equal, |a, b| {
        from_future(a.sequence_equal(b))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
