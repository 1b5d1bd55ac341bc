//! `merge`: the items of many flows, as they come.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Budget, Flow, Outline, Site, Stage};

/// The items one input may give before the next one has its turn.
pub(super) const TURN: usize = 64;

/// The items of all `inputs`, as they come.
///
/// ```text
/// a    --1-----2-----|
/// b    ----x-----y|
/// out  --1-x---2-y---|    merge([a, b])
/// ```
///
/// Every input has its own waker, and only those that were woken are polled: a thousand silent
/// inputs cost nothing. The inputs that are ready have turns in the order of `inputs`, round after
/// round; a turn ends after 64 items, or when the input has no more. So between two items of an
/// input that is always ready come at most 64 of each other one, and which items come next depends
/// only on which inputs are ready. For two flows of different types there is
/// [`Flow::merge`]; inputs of many types are [`boxed`](Flow::boxed) first.
///
/// - **Emits** an item when an input has one.
/// - **Backpressures** when downstream does.
/// - **Ends** when all inputs have ended; each is dropped as soon as it ends.
/// - **On error**: an error is an item here; the other inputs go on.
/// - **Holds** nothing.
/// - **Cost**: two allocations for each input at construction, none afterwards; at most one clock
///   read for 64 items.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{iter, merge};
/// let all = merge([iter(1..=2), iter(10..=20)]);
/// assert_eq!(all.count().await, 13);
/// # });
/// ```
#[doc(alias("select_all", "merge_all", "interleave", "union"))]
#[track_caller]
pub fn merge<S: Stage>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<Merge<S>> {
    let inputs = Inputs::new(inputs);
    let len = inputs.len();
    Flow::from_stage(Merge {
        inputs,
        round: Bits::full(len),
        next_round: Bits::new(len),
        current: 0,
        left: 0,
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`merge`].
#[derive(Debug)]
pub struct Merge<S> {
    inputs: Inputs<S>,
    /// The inputs that have their turn in this round, after the current one.
    round: Bits,
    /// Those that have one in the next round, beside those that are woken until then.
    next_round: Bits,
    /// Whose turn it is, if `left` is not zero.
    current: usize,
    /// The items left in this turn.
    left: usize,
    /// Needed beside the budgets of the inputs: see [`Budget::left`].
    budget: Budget,
    site: Site,
}

impl<S: Stage> Merge<S> {
    /// The input whose turn it is in this round.
    fn turn(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.current = self.round.pop_first()?;
            // A waker may outlive its input.
            if self.inputs.is_open(self.current) {
                self.left = TURN;
            }
        }
        Some(self.current)
    }

    fn begin_round(&mut self) {
        std::mem::swap(&mut self.round, &mut self.next_round);
        self.inputs.take_woken(&mut self.round);
    }

    /// Counts items of the current turn.
    fn took(&mut self, items: usize) {
        self.left -= items;
        if self.left == 0 {
            self.next_round.insert(self.current);
            self.inputs.took_from(self.current);
        }
    }

    /// Drops the current input, which has ended.
    fn end(&mut self) {
        self.inputs.end(self.current);
        self.left = 0;
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.budget.rest();
        self.inputs.park(cx);
        Poll::Pending
    }
}

impl<S: Stage> Stage for Merge<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = &mut *self;
        // The rest of a round that was begun earlier, and then a whole one. An input that is woken
        // again within that one wants to give way, which it does by going through the task.
        for new_round in [false, true] {
            if new_round {
                this.begin_round();
            }
            while let Some(index) = this.turn() {
                if !this.budget.spend(cx) {
                    return Poll::Pending;
                }
                match this.inputs.with(index, |input, cx| input.poll_next(cx)) {
                    Some(Poll::Ready(Some(item))) => {
                        this.took(1);
                        return Poll::Ready(Some(item));
                    }
                    Some(Poll::Pending) => this.left = 0,
                    Some(Poll::Ready(None)) | None => this.end(),
                }
            }
            if this.inputs.open() == 0 {
                return Poll::Ready(None);
            }
        }
        this.wait(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = &mut *self;
        // As in `poll_next`; a round that gave items counts as the rest of an earlier one.
        let mut new_round = false;
        loop {
            while let Some(index) = this.turn() {
                let most = this.budget.left(cx).min(this.left);
                if most == 0 {
                    return Poll::Pending;
                }
                let mut items = 0;
                let drained = this.inputs.with(index, |input, cx| {
                    input.poll_drain(cx, &mut |item| {
                        items += 1;
                        match each(item) {
                            ControlFlow::Break(broke) => ControlFlow::Break(Some(broke)),
                            ControlFlow::Continue(()) if items == most => ControlFlow::Break(None),
                            ControlFlow::Continue(()) => ControlFlow::Continue(()),
                        }
                    })
                });
                // A turn without items took its time too.
                this.budget.used(items.max(1));
                new_round &= items == 0;
                match drained {
                    Some(Poll::Ready(ControlFlow::Break(broke))) => {
                        this.took(items);
                        if let Some(broke) = broke {
                            return Poll::Ready(ControlFlow::Break(broke));
                        }
                    }
                    Some(Poll::Pending) => this.left = 0,
                    Some(Poll::Ready(ControlFlow::Continue(()))) | None => this.end(),
                }
            }
            if this.inputs.open() == 0 {
                return Poll::Ready(ControlFlow::Continue(()));
            }
            if new_round {
                return this.wait(cx);
            }
            new_round = true;
            this.begin_round();
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        if this.left > 0 {
            this.inputs.took_from(this.current);
        }
        this.inputs.poll_progress(cx, &mut this.next_round)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inputs.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        outline.join("merge", self.site, self.inputs.outlines());
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::testing::{items, ms, timeline, timetable};
    use crate::{Virtual, flow, iter};
    use futures::channel::mpsc;
    use futures::{FutureExt, SinkExt, StreamExt};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn items_come_in_the_order_of_time_and_at_one_instant_of_the_inputs() {
        let a = timetable(vec![(1, 'a'), (5, 'b')], 6);
        let b = timetable(vec![(1, 'x'), (3, 'y'), (5, 'z')], 9);
        // Both are of one type, as the inputs of `merge` have to be.
        let flow = merge([a.boxed(), b.boxed()]);
        let expected = vec![(1, 'a'), (1, 'x'), (3, 'y'), (5, 'b'), (5, 'z')];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn no_inputs_end_at_once() {
        assert_eq!(items(merge::<crate::source::Iter<std::ops::Range<i32>>>([])), []);
    }

    #[test]
    fn inputs_that_are_always_ready_take_turns_of_64_items() {
        let sources = merge((0..3).map(|source| iter(std::iter::repeat_n(source, 1_000))));
        let all = items(sources);
        assert_eq!(all.len(), 3_000);
        for (turn, chunk) in all.chunks(64).enumerate().take(45) {
            assert!(chunk.iter().all(|source| *source == turn % 3), "turn {turn}");
        }
    }

    #[test]
    fn draining_and_polling_in_any_mixture_give_the_same_order() {
        let sources = || merge((0..5).map(|source| iter((0..300).map(move |x| source * 300 + x))));
        let drained = items(sources());
        for stride in [1, 7, 64, 65] {
            let mut flow = std::pin::pin!(sources());
            let mut mixed = Vec::new();
            Virtual::new().run(std::future::poll_fn(|cx| {
                loop {
                    let Poll::Ready(item) = Stage::poll_next(flow.as_mut(), cx) else {
                        return Poll::Pending;
                    };
                    mixed.extend(item);
                    let mut left = stride;
                    let drained = flow.as_mut().poll_drain(cx, &mut |item| {
                        mixed.push(item);
                        left -= 1;
                        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    });
                    match drained {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(ControlFlow::Break(())) => {}
                        Poll::Ready(ControlFlow::Continue(())) => return Poll::Ready(()),
                    }
                }
            }));
            assert_eq!(mixed, drained, "stride {stride}");
        }
    }

    #[test]
    fn an_idle_input_is_not_polled() {
        let polls: Vec<_> = (0..4_096).map(|_| Rc::new(Cell::new(0))).collect();
        let mut senders = Vec::new();
        let inputs: Vec<_> = polls
            .iter()
            .map(|polls| {
                let (tx, mut rx) = mpsc::channel(8);
                senders.push(tx);
                let polls = polls.clone();
                flow(futures::stream::poll_fn(move |cx| {
                    polls.set(polls.get() + 1);
                    rx.poll_next_unpin(cx)
                }))
            })
            .collect();
        let mut merged = merge(inputs);
        Virtual::new().run(async {
            for turn in 0..100 {
                let sender = &mut senders[turn % 8 * 500];
                let (_, item) = futures::join!(sender.send(turn), merged.next());
                assert_eq!(item, Some(turn));
            }
        });
        let idle = polls.iter().filter(|polls| polls.get() == 1).count();
        assert_eq!(idle, 4_088);
        let busy: i32 = polls.iter().map(|polls| polls.get()).filter(|n| *n > 1).sum();
        assert!(busy <= 8 + 3 * 100, "{busy} polls for 100 items");
    }

    #[test]
    fn the_latest_waker_is_woken_from_another_thread() {
        let (tx, rx) = mpsc::channel(8);
        let mut merged = merge([flow(rx)]);
        let sender = std::thread::spawn(move || {
            futures::executor::block_on(async move {
                let mut tx = tx;
                for x in 0..10_000 {
                    tx.send(x).await.unwrap();
                }
            })
        });
        let mut sum = 0u64;
        // A new task, and with it a new waker, for every item.
        while let Some(x) = futures::executor::block_on(async { merged.next().await }) {
            sum += x;
        }
        sender.join().unwrap();
        assert_eq!(sum, 10_000 * 9_999 / 2);
    }

    #[test]
    fn an_input_that_has_ended_is_dropped_while_the_others_go_on() {
        let guards = [Rc::new(()), Rc::new(())];
        let input = |items, guard: &Rc<()>| {
            let guard = guard.clone();
            iter(0..items).map(move |x| (x, Rc::strong_count(&guard)).0)
        };
        let mut merged = merge([input(1, &guards[0]), input(100, &guards[1])]);
        Virtual::new().run(async {
            for _ in 0..2 {
                merged.next().await;
            }
        });
        assert_eq!(Rc::strong_count(&guards[0]), 1);
        assert_eq!(Rc::strong_count(&guards[1]), 2);
    }

    #[test]
    fn inputs_without_items_give_way_to_other_tasks() {
        let nothing = || iter(std::iter::repeat(0)).filter(|_| false);
        let mut merged = merge([nothing(), nothing()]);
        assert_eq!(merged.next().now_or_never(), None);
        assert!(merged.count().now_or_never().is_none());
    }

    #[test]
    fn work_in_flight_of_every_input_goes_on_while_the_consumer_is_busy() {
        let finished = Rc::new(Cell::new(0));
        let input = || {
            let finished = finished.clone();
            iter(0..2).map_async(2, move |_| {
                let finished = finished.clone();
                async move {
                    sleep(1).await;
                    finished.set(finished.get() + 1);
                }
            })
        };
        let merged = merge([input(), input()]);
        Virtual::new().run(merged.for_each_async(async |()| {
            sleep(10).await;
            assert_eq!(finished.get(), 4);
        }));
    }
}
