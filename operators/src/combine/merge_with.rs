//! `merge` of two flows of different types: the items of both, as they come.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::merge::TURN;
use crate::{Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// The items of both flows, as they come.
    ///
    /// ```text
    /// in     --1-----2-----|
    /// other  ----x-----y|
    /// out    --1-x---2-y---|    merge(other)
    /// ```
    ///
    /// At one instant the input comes first. If both have items without end, each has a turn of at
    /// most 64 items and then the other. Both are polled whenever one of them is woken; to merge
    /// many flows, the function [`merge`](crate::merge()) polls only those.
    ///
    /// - **Emits** an item when one of them has one.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when both have ended; each is dropped as soon as it ends.
    /// - **On error**: an error is an item here; the other flow goes on.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation; at most one clock read for 64 items.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let both = iter([1, 2]).merge(iter([3]).map(|x| x * 10));
    /// assert_eq!(both.fold(0, |sum, x| sum + x).await, 33);
    /// # });
    /// ```
    #[doc(alias("merge_with", "select", "interleave", "union"))]
    #[track_caller]
    pub fn merge<O>(self, other: Flow<O>) -> Flow<Merge2<S, O>>
    where
        O: Stage<Item = S::Item>,
    {
        Flow::from_stage(Merge2 {
            input: Some(self.into_stage()),
            other: Some(other.into_stage()),
            turn: Turn::Input,
            left: TURN,
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::merge`].
#[pin_project]
#[derive(Debug)]
pub struct Merge2<A, B> {
    /// Each is `None` once it has ended.
    #[pin]
    input: Option<A>,
    #[pin]
    other: Option<B>,
    turn: Turn,
    /// The items left in this turn.
    left: usize,
    /// Needed beside the budgets of the inputs: see [`Budget::left`].
    budget: Budget,
    site: Site,
}

#[derive(Debug, Clone, Copy)]
enum Turn {
    Input,
    Other,
}

impl Turn {
    fn pass(&mut self, left: &mut usize) {
        *left = TURN;
        *self = match self {
            Self::Input => Self::Other,
            Self::Other => Self::Input,
        };
    }
}

/// Polls one of the two; `Pending` also if it has ended.
fn poll_one<S: Stage>(mut input: Pin<&mut Option<S>>, cx: &mut Context<'_>) -> Poll<S::Item> {
    let Some(stage) = input.as_mut().as_pin_mut() else {
        return Poll::Pending;
    };
    match stage.poll_next(cx) {
        Poll::Pending => Poll::Pending,
        Poll::Ready(Some(item)) => Poll::Ready(item),
        Poll::Ready(None) => {
            input.set(None);
            Poll::Pending
        }
    }
}

/// As `poll_one`: hands over at most `most` items, and says whether `each` broke.
fn drain_one<S: Stage, B>(
    mut input: Pin<&mut Option<S>>,
    cx: &mut Context<'_>,
    most: usize,
    items: &mut usize,
    each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
) -> ControlFlow<B> {
    let Some(stage) = input.as_mut().as_pin_mut() else {
        return ControlFlow::Continue(());
    };
    let drained = stage.poll_drain(cx, &mut |item| {
        *items += 1;
        match each(item) {
            ControlFlow::Break(broke) => ControlFlow::Break(Some(broke)),
            ControlFlow::Continue(()) if *items == most => ControlFlow::Break(None),
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
        }
    });
    match drained {
        Poll::Ready(ControlFlow::Break(Some(broke))) => return ControlFlow::Break(broke),
        Poll::Ready(ControlFlow::Continue(())) => input.set(None),
        Poll::Ready(ControlFlow::Break(None)) | Poll::Pending => {}
    }
    ControlFlow::Continue(())
}

impl<A: Stage, B: Stage<Item = A::Item>> Merge2<A, B> {
    /// After both had nothing: the input comes first again at the next instant.
    fn rest(self: Pin<&mut Self>) -> Poll<()> {
        let this = self.project();
        *this.turn = Turn::Input;
        *this.left = TURN;
        this.budget.rest();
        if this.input.is_none() && this.other.is_none() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl<A: Stage, B: Stage<Item = A::Item>> Stage for Merge2<A, B> {
    type Item = A::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A::Item>> {
        let this = self.as_mut().project();
        let (mut input, mut other) = (this.input, this.other);
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        for _ in 0..2 {
            let polled = match this.turn {
                Turn::Input => poll_one(input.as_mut(), cx),
                Turn::Other => poll_one(other.as_mut(), cx),
            };
            if let Poll::Ready(item) = polled {
                *this.left -= 1;
                if *this.left == 0 {
                    this.turn.pass(this.left);
                }
                return Poll::Ready(Some(item));
            }
            this.turn.pass(this.left);
        }
        self.rest().map(|()| None)
    }

    fn poll_drain<C>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(A::Item) -> ControlFlow<C>,
    ) -> Poll<ControlFlow<C>> {
        let this = self.as_mut().project();
        let (mut input, mut other) = (this.input, this.other);
        let mut idle = 0;
        while idle < 2 {
            let most = this.budget.left(cx).min(*this.left);
            if most == 0 {
                return Poll::Pending;
            }
            let mut items = 0;
            let drained = match this.turn {
                Turn::Input => drain_one(input.as_mut(), cx, most, &mut items, each),
                Turn::Other => drain_one(other.as_mut(), cx, most, &mut items, each),
            };
            this.budget.used(items.max(1));
            *this.left -= items;
            if items < most && drained.is_continue() || *this.left == 0 {
                this.turn.pass(this.left);
            }
            if drained.is_break() {
                return Poll::Ready(drained);
            }
            // Only one that was left with nothing to give has its waker registered.
            idle = match items {
                0 => idle + 1,
                _ if items < most => 1,
                _ => 0,
            };
        }
        self.rest().map(ControlFlow::Continue)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let input = this.input.as_pin_mut();
        let other = this.other.as_pin_mut();
        let input = input.is_none_or(|input| input.poll_progress(cx).is_ready());
        let other = other.is_none_or(|other| other.poll_progress(cx).is_ready());
        if input && other { Poll::Ready(()) } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let input = self.input.as_ref().map_or((0, Some(0)), Stage::size_hint);
        let other = self.other.as_ref().map_or((0, Some(0)), Stage::size_hint);
        (input.0.saturating_add(other.0), input.1.zip(other.1).and_then(|(a, b)| a.checked_add(b)))
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        outline.join("merge", self.site, input.into_iter().chain(other));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::testing::{items, timeline, timetable};
    use crate::{flow, iter};
    use futures::FutureExt;
    use futures::channel::mpsc;

    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn items_come_in_the_order_of_time_and_at_one_instant_the_input_first() {
        let a = timetable([(1, 'a'), (5, 'b')], 6);
        let b = timetable([(1, 'x'), (3, 'y'), (5, 'z')], 9);
        let expected = vec![(1, 'a'), (1, 'x'), (3, 'y'), (5, 'b'), (5, 'z')];
        assert_eq!(timeline(a.merge(b)), (expected, 9));
    }

    #[test]
    fn two_that_are_always_ready_take_turns_of_64_items() {
        let all = items(iter(vec!['a'; 1_000]).merge(iter(['b'; 1_000])));
        assert_eq!(all.len(), 2_000);
        for (turn, chunk) in all.chunks(64).enumerate().take(30) {
            let whose = if turn % 2 == 0 { 'a' } else { 'b' };
            assert!(chunk.iter().all(|x| *x == whose), "turn {turn}");
        }
    }

    #[test]
    fn polling_gives_the_order_of_draining() {
        let merged = || iter(0..500).merge(iter(1_000..1_300).map(|x| x + 1));
        // A stream takes the items one by one.
        let polled = items(flow(futures::StreamExt::map(merged(), |x| x)));
        assert_eq!(polled, items(merged()));
    }

    #[test]
    fn flows_without_end_give_way_to_other_tasks() {
        let endless = || iter(std::iter::repeat(1));
        assert!(endless().merge(endless()).count().now_or_never().is_none());
    }

    #[test]
    fn after_a_drain_that_waits_both_can_wake_it() {
        let (mut a_tx, a) = mpsc::channel(1);
        let (mut b_tx, b) = mpsc::channel(1);
        a_tx.try_send(1).unwrap();
        b_tx.try_send(2).unwrap();
        let mut merged = std::pin::pin!(flow(a).merge(flow(b).map(|x| x)));
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut seen = Vec::new();
        let mut drain = |cx: &mut Context<'_>| {
            let drained = merged.as_mut().poll_drain(cx, &mut |x| {
                seen.push(x);
                ControlFlow::<()>::Continue(())
            });
            assert!(drained.is_pending());
        };
        drain(&mut cx);
        a_tx.try_send(3).unwrap();
        assert_eq!(wakes.0.swap(0, Ordering::Relaxed), 1);
        drain(&mut cx);
        b_tx.try_send(4).unwrap();
        assert_eq!(wakes.0.swap(0, Ordering::Relaxed), 1);
        drain(&mut cx);
        assert_eq!(seen, [1, 2, 3, 4]);
    }
}
