//! `merge` of two flows of different types: the items of both, as they come.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::Halt;
use super::rounds::TURN;
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
    /// - **Ends** when both have ended, or as [`halt`](Flow::halt) says; each is dropped as soon as
    ///   it ends.
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
            halt: Halt::All,
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

impl<A: Stage, B: Stage<Item = A::Item>> Flow<Merge2<A, B>> {
    /// Which end of the two ends the merge; the other is dropped in the poll in which it does.
    /// Without this it ends when both have.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, combine::Halt, iter};
    /// let (trades, heartbeats) = (iter([1, 2]), iter(std::iter::repeat(0)));
    /// let merged = trades.merge(heartbeats).halt(Halt::First);
    /// assert!(Virtual::new().run(merged.count()) < 1_000);
    /// ```
    #[doc(alias("merge_halt_left", "merge_halt_either", "merge_halt_both"))]
    pub fn halt(self, halt: Halt) -> Self {
        Self::from_stage(Merge2 { halt, ..self.into_stage() })
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
    halt: Halt,
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

/// Whether one has ended that ends both; both are dropped then.
fn is_over<A, B>(
    halt: Halt,
    mut input: Pin<&mut Option<A>>,
    mut other: Pin<&mut Option<B>>,
) -> bool {
    let over = input.is_none() && halt.ends_with(0) || other.is_none() && halt.ends_with(1);
    if over {
        input.set(None);
        other.set(None);
    }
    over
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
            if is_over(*this.halt, input.as_mut(), other.as_mut()) {
                return Poll::Ready(None);
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
            if is_over(*this.halt, input.as_mut(), other.as_mut()) {
                return Poll::Ready(ControlFlow::Continue(()));
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
        let least = if self.halt == Halt::All { input.0.saturating_add(other.0) } else { 0 };
        (least, input.1.zip(other.1).and_then(|(a, b)| a.checked_add(b)))
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        let node = outline.join("merge", self.site, input.into_iter().chain(other));
        if self.halt != Halt::All {
            node.parameter("halt", format_args!("{:?}", self.halt));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::testing::{
        Timeline, conformance, items, marbles, specification, timeline, timetable,
    };
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
    fn it_ends_with_the_one_that_it_was_told() {
        let merged = |halt| {
            let a = timetable([(1, 'a'), (5, 'b')], 6);
            a.merge(timetable([(2, 'x')], 3)).halt(halt)
        };
        assert_eq!(timeline(merged(Halt::Any)), (vec![(1, 'a'), (2, 'x')], 3));
        assert_eq!(timeline(merged(Halt::First)), (vec![(1, 'a'), (2, 'x'), (5, 'b')], 6));
        let shorter_first = iter(0..2).merge(iter(0..)).halt(Halt::First);
        assert_eq!(items(shorter_first), [0, 1]);
        let shorter_second = iter(0..).merge(iter(0..0)).halt(Halt::Any);
        assert!(items(shorter_second).len() <= TURN);
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

    conformance!(merge_with, |a, b| a.merge(b), except [
        Invariance: "which of the items that are ready at one instant comes first is not promised",
    ]);

    marbles!(merge, |input, other| input.merge(other));

    specification!(merge, |a, b| a.merge(b), |a, b| {
        let mut output = Timeline::new(a.events.into_iter().chain(b.events), a.end.max(b.end));
        // A stable order: at one instant `a` comes first.
        output.events.sort_by_key(|(at, _)| *at);
        output
    });
}
