//! `merge_sorted`: the items of many sorted flows in the order of a key.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Bound, Flow, Outline, Site, Stage};

/// The items of all `inputs` in the order of `key`, if each input is in that order.
///
/// ```text
/// a    --1-----4-------|
/// b    ----2-3-----5--|
/// out  ----1---(23)4---(5|)    merge_sorted([a, b], |x| *x)
/// ```
///
/// Of equal keys the input that stands first in `inputs` comes first; items of one input keep
/// their order. An input that is not sorted makes the output unsorted, and loses nothing.
///
/// The next item is known only when every input has brought one or has ended. So an input that is
/// idle holds all others back: where that can happen, as with live feeds, it takes event time and
/// watermarks instead, or a plain [`merge`](crate::merge()).
///
/// - **Emits** the least of the first items of all inputs, when all have one.
/// - **Backpressures** every input that is ahead of the slowest by one item.
/// - **Ends** when all inputs have ended; each is dropped as soon as it ends.
/// - **On error**: an error is an item here and needs a key like one.
/// - **Holds** 1 item for each input.
/// - **Cost**: two allocations for each input at construction, none afterwards; about log2 of the
///   number of inputs comparisons for an item, no clock read. Only inputs that were woken or whose
///   item was emitted are polled.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{iter, merge_sorted};
/// let days = [iter([1, 4, 9]), iter([2, 3, 8])];
/// let text = merge_sorted(days, |x| *x).fold(String::new(), |text, x| format!("{text}{x}"));
/// assert_eq!(text.await, "123489");
/// # });
/// ```
#[doc(alias("merge_comparing", "merge_ordered", "interleave_ordered", "merge_by_key"))]
#[track_caller]
pub fn merge_sorted<S, K, F>(
    inputs: impl IntoIterator<Item = Flow<S>>,
    key: F,
) -> Flow<MergeSorted<S, K, F>>
where
    S: Stage,
    K: Ord,
    F: FnMut(&S::Item) -> K,
{
    let inputs = Inputs::new(inputs);
    let len = inputs.len();
    Flow::from_stage(MergeSorted {
        inputs,
        heads: (0..len).map(|_| None).collect(),
        order: BinaryHeap::with_capacity(len),
        emitted: None,
        asked: Bits::full(len),
        key,
        site: Location::caller(),
    })
}

/// The stage behind [`merge_sorted`].
pub struct MergeSorted<S: Stage, K, F> {
    inputs: Inputs<S>,
    /// The next item of each input. Apart from the keys, so that items stay where they are.
    heads: Box<[Option<S::Item>]>,
    /// The key of each head with the index of its input, the least on top.
    order: BinaryHeap<Reverse<(K, usize)>>,
    /// The input whose head was emitted last; its key is still on top, to be replaced by the next.
    emitted: Option<usize>,
    /// The inputs to look at when heads are missing: those that were woken.
    asked: Bits,
    key: F,
    site: Site,
}

// Items, keys and the closure are never pinned; inputs are pinned in boxes of their own.
impl<S: Stage, K, F> Unpin for MergeSorted<S, K, F> {}

impl<S, K, F> MergeSorted<S, K, F>
where
    S: Stage,
    K: Ord,
    F: FnMut(&S::Item) -> K,
{
    /// Asks the input that was emitted last for its next head, and puts the key in the place of
    /// the old one, which takes half of the comparisons of a removal and an insertion.
    ///
    /// All others have their heads, so if this one has to wait, everything has. That it was woken
    /// meanwhile means that it wants to give way, which it does by going through the task.
    fn replace_emitted(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(index) = self.emitted.take() else {
            return Poll::Ready(());
        };
        let polled = self.inputs.poll_next(index);
        if let Poll::Ready(Some(item)) = polled {
            let key = (self.key)(&item);
            self.heads[index] = Some(item);
            if let Some(mut top) = self.order.peek_mut() {
                *top = Reverse((key, index));
            }
            return Poll::Ready(());
        }
        self.order.pop();
        match polled {
            Poll::Pending => self.wait(cx),
            Poll::Ready(_) => Poll::Ready(()),
        }
    }

    /// Waits until every input has a head or has ended.
    fn poll_heads(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.order.len() == self.inputs.open() {
            return Poll::Ready(());
        }
        self.inputs.take_woken(&mut self.asked);
        while let Some(index) = self.asked.pop_first() {
            if self.heads[index].is_some() {
                continue;
            }
            if let Poll::Ready(Some(item)) = self.inputs.poll_next(index) {
                self.order.push(Reverse(((self.key)(&item), index)));
                self.heads[index] = Some(item);
            }
        }
        if self.order.len() == self.inputs.open() {
            return Poll::Ready(());
        }
        self.wait(cx)
    }

    /// The inputs that have heads have to wait for the others, but their work in flight must not.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.inputs.drive();
        self.inputs.park(cx);
        Poll::Pending
    }
}

impl<S, K, F> Stage for MergeSorted<S, K, F>
where
    S: Stage,
    K: Ord,
    F: FnMut(&S::Item) -> K,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = &mut *self;
        ready!(this.replace_emitted(cx));
        ready!(this.poll_heads(cx));
        let Some(Reverse((_, index))) = this.order.peek() else {
            return Poll::Ready(None);
        };
        this.emitted = Some(*index);
        Poll::Ready(this.heads[*index].take())
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.inputs.poll_progress(cx, &mut this.asked)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let heads = self.order.len() - usize::from(self.emitted.is_some());
        let (least, most) = self.inputs.size_hint();
        (least.saturating_add(heads), most.and_then(|most| most.checked_add(heads)))
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join("merge_sorted", self.site, self.inputs.outlines())
            .holds(Bound::Items(self.inputs.len()));
    }
}

impl<S: Stage, K, F> fmt::Debug for MergeSorted<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MergeSorted")
            .field("heads", &self.order.len())
            .field("emitted", &self.emitted)
            .field("site", &self.site)
            .finish_non_exhaustive()
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
    use futures::{FutureExt, SinkExt};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_output_is_the_stable_sort_of_the_inputs(
            mut inputs in prop::collection::vec(prop::collection::vec(0..20u8, 0..30), 0..9)
        ) {
            inputs.iter_mut().for_each(|input| input.sort_unstable());
            let tagged: Vec<Vec<_>> = inputs
                .iter()
                .enumerate()
                .map(|(source, input)| {
                    input.iter().enumerate().map(|(place, key)| (*key, source, place)).collect()
                })
                .collect();
            let mut expected = tagged.concat();
            expected.sort_by_key(|(key, ..)| *key);
            let merged = merge_sorted(tagged.into_iter().map(iter), |(key, ..)| *key);
            let hint = Stage::size_hint(&merged);
            prop_assert_eq!(hint, (expected.len(), Some(expected.len())));
            prop_assert_eq!(items(merged), expected);
        }
    }

    #[test]
    fn an_item_comes_when_every_input_has_brought_one_or_has_ended() {
        let a = timetable([(1, 1), (2, 4)], 3);
        let b = timetable([(5, 2), (7, 3), (9, 5)], 10);
        let expected = vec![(5, 1), (5, 2), (7, 3), (9, 4), (9, 5)];
        let merged = merge_sorted([a.boxed(), b.boxed()], |x| *x);
        assert_eq!(timeline(merged), (expected, 10));
    }

    #[test]
    fn no_inputs_end_at_once() {
        let none: [Flow<crate::source::Iter<std::ops::Range<i32>>>; 0] = [];
        assert_eq!(items(merge_sorted(none, |x| *x)), []);
    }

    #[test]
    fn an_unsorted_input_loses_nothing() {
        let merged = merge_sorted([iter(vec![5, 1, 3]), iter(vec![2, 2])], |x| *x);
        let mut all = items(merged);
        all.sort_unstable();
        assert_eq!(all, [1, 2, 2, 3, 5]);
    }

    #[test]
    fn an_input_that_has_a_head_is_not_polled_again() {
        let polls = Rc::new(Cell::new(0));
        let count = polls.clone();
        let ahead = flow(futures::stream::poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::Ready(Some(1_000))
        }));
        let (mut tx, rx) = mpsc::channel(8);
        let mut merged = merge_sorted([ahead.boxed_local(), flow(rx).boxed_local()], |x| *x);
        Virtual::new().run(async {
            for x in 0..50 {
                tx.send(x).await.unwrap();
                assert_eq!(merged.next().await, Some(x));
                assert_eq!(merged.next().now_or_never(), None);
            }
        });
        assert_eq!(polls.get(), 1);
    }

    #[test]
    fn inputs_that_are_always_ready_give_way_to_other_tasks() {
        let endless = || iter(std::iter::repeat(1));
        let merged = merge_sorted([endless(), endless()], |x| *x);
        assert_eq!(merged.count().now_or_never(), None);
    }

    #[test]
    fn work_in_flight_of_an_input_that_waits_for_others_goes_on() {
        // The second future of the input that is ahead holds what the other input waits for.
        let permit = tokio::sync::Semaphore::new(1);
        let sleep = async |millis| {
            iter([()]).delay(ms(millis), 1).count().await;
        };
        let input = |first: u64, then: u64| {
            let (permit, sleep) = (&permit, &sleep);
            iter([first, then]).map_async(2, async move |millis| {
                if millis > 0 {
                    sleep(1).await;
                    let _held = permit.acquire().await.unwrap();
                    sleep(millis).await;
                }
                millis
            })
        };
        let merged = merge_sorted([input(0, 5), input(6, 7)], |x| *x);
        assert_eq!(timeline(merged).0.into_iter().map(|(_, x)| x).max(), Some(7));
    }

    conformance!(merge_sorted, |a, b, c| merge_sorted([a, b, c], |x| x.value()));

    marbles!(merge_sorted, |a: u32, b: u32| crate::merge_sorted([a, b], |x| *x));

    specification!(
        merge_sorted,
        |a, b| crate::merge_sorted([a.scan(0, u8::max), b.scan(0, u8::max)], |x| *x),
        |a, b| {
            let sorted = |line: Timeline<u8>| {
                let mut highest = 0;
                line.map(|x| {
                    highest = highest.max(x);
                    highest
                })
            };
            let (a, b) = (sorted(a), sorted(b));
            // An item waits until the other side shows that nothing comes before it.
            let shown = |side: &Timeline<u8>, comes_after: &dyn Fn(u8) -> bool| {
                side.events.iter().find(|(_, y)| comes_after(*y)).map_or(side.end, |(at, _)| *at)
            };
            let from_a = a.events.iter().map(|(at, x)| (*x, 0, (*at).max(shown(&b, &|y| y >= *x))));
            let from_b = b.events.iter().map(|(at, x)| (*x, 1, (*at).max(shown(&a, &|y| y > *x))));
            let mut all: Vec<_> = from_a.chain(from_b).collect();
            all.sort_by_key(|(x, side, _)| (*x, *side));
            let mut latest = 0;
            let output = all.into_iter().map(|(x, _, at)| {
                latest = at.max(latest);
                (latest, x)
            });
            Timeline::new(output, a.end.max(b.end))
        }
    );
}
