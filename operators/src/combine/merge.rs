//! `merge`: the items of many flows, as they come.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Halt;
use super::rounds::{NoMore, Rounds};
use crate::{Flow, Outline, Site, Stage};

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
/// - **Ends** when all inputs have ended, or as [`halt`](Flow::halt) says; each is dropped as soon
///   as it ends.
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
    Flow::from_stage(Merge { rounds: Rounds::new(inputs), site: Location::caller() })
}

impl<S: Stage> Flow<Merge<S>> {
    /// Which end of an input ends the merge; the others are dropped in the poll in which it does.
    /// Without this it ends when all have.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, combine::Halt, iter, merge};
    /// # use std::time::Duration;
    /// let ticks = iter(0..).delay(Duration::from_secs(1), 1);
    /// let shift = iter(0..0).delay(Duration::from_secs(9), 1);
    /// let merged = merge([shift.boxed(), ticks.boxed()]).halt(Halt::First);
    /// assert_eq!(Virtual::new().run(merged.count()), 0);
    /// ```
    pub fn halt(self, halt: Halt) -> Self {
        let mut stage = self.into_stage();
        stage.rounds.set_halt(halt);
        Self::from_stage(stage)
    }
}

/// The stage behind [`merge`].
#[derive(Debug)]
pub struct Merge<S> {
    rounds: Rounds<S>,
    site: Site,
}

impl<S: Stage> Stage for Merge<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.rounds.poll_next(cx, &mut NoMore)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.rounds.poll_drain(cx, &mut NoMore, each)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let driven = self.rounds.drive();
        if driven.is_pending() {
            self.rounds.park(cx);
        }
        driven
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.rounds.inputs().size_hint();
        (if self.rounds.halt() == Halt::All { least } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        let node = outline.join("merge", self.site, self.rounds.inputs().outlines());
        if self.rounds.halt() != Halt::All {
            node.parameter("halt", format_args!("{:?}", self.rounds.halt()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::testing::*;
    use crate::{Virtual, flow, iter};
    use futures::channel::mpsc;
    use futures::{FutureExt, SinkExt, StreamExt};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    conformance!(merge, |a, b, c| merge([a, b, c]), except [
        Invariance: "which of the items that are ready at one instant comes first is not promised",
    ]);

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
    fn it_ends_with_the_input_that_it_was_told() {
        let merged = |halt| {
            let a = timetable(vec![(1, 'a'), (5, 'b')], 6);
            let b = timetable(vec![(2, 'x')], 3);
            merge([a, b]).halt(halt)
        };
        assert_eq!(timeline(merged(Halt::All)), (vec![(1, 'a'), (2, 'x'), (5, 'b')], 6));
        assert_eq!(timeline(merged(Halt::Any)), (vec![(1, 'a'), (2, 'x')], 3));
        assert_eq!(timeline(merged(Halt::First)).1, 6);
        let instant = merge([iter(0..2), iter(0..100)]).halt(Halt::First);
        assert_eq!(items(instant), [0, 1]);
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

    marbles!(merge, |a, b| crate::merge([a, b]));

    specification!(merge, |a, b, c| crate::merge([a, b, c]), |a, b, c| {
        let end = a.end.max(b.end).max(c.end);
        let all = a.events.into_iter().chain(b.events).chain(c.events);
        let mut output = Timeline::new(all, end);
        // A stable order: at one instant `a` comes first.
        output.events.sort_by_key(|(at, _)| *at);
        output
    });
}
