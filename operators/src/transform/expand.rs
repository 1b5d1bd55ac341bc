//! `expand`: items that lead to further items, such as the folders of a tree.

use std::collections::VecDeque;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::flattening::Outer;
use crate::buffer::checked;
use crate::combine::{Feed, Rounds};
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits each item, and then treats the items of the flow `f(&item)` in the same way; up to
    /// `limit` of these flows run at a time.
    ///
    /// ```text
    /// in   1|
    /// out  1-2-3-|    expand(4, 64, |x| after(ms(2), x + 1).filter(|x| *x < 4))
    /// ```
    ///
    /// An item is emitted when its flow starts. Until then it waits in a list of `capacity` items,
    /// first come, first served: the tree is walked breadth first. The input may fill half of the
    /// list. If the flows bring an item that finds no room in it, that item is emitted at once and
    /// **not expanded**, because to wait for room would be to wait for oneself;
    /// [`unexpanded`](Flow::unexpanded) counts them. A list for the widest level of the tree loses
    /// nothing.
    ///
    /// - **Emits** every item of the input and of all flows.
    /// - **Backpressures** when downstream does, and takes no item of the input while half of the
    ///   list is full.
    /// - **Ends** when the input and all flows have ended and the list is empty; each flow is
    ///   dropped when it ends.
    /// - **On error**: an error is an item here: `f` decides, and returns an empty flow for it. A
    ///   panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** `capacity` items and `limit` flows.
    /// - **Cost**: that of [`flat_map`](Self::flat_map); no allocation once the list has grown.
    ///
    /// # Panics
    ///
    /// If `limit` or `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let halves = iter([8]).expand(1, 16, |x| iter(if x % 2 == 0 { vec![x / 2] } else { vec![] }));
    /// assert_eq!(halves.collect::<Vec<_>>().await, [8, 4, 2, 1]);
    /// # });
    /// ```
    #[doc(alias("expand_deep", "recurse", "paginate", "traverse"))]
    #[track_caller]
    pub fn expand<F, I>(self, limit: usize, capacity: usize, f: F) -> Flow<Expand<S, F, I>>
    where
        F: FnMut(&S::Item) -> I,
        I: Stage<Item = S::Item>,
    {
        let site = Location::caller();
        assert!(limit > 0, "expand: the limit must not be zero, at {site}");
        Flow::from_stage(Expand {
            outer: Outer::new(self.into_stage()),
            f,
            inner: Rounds::vacant(limit),
            waiting: VecDeque::new(),
            unexpanded: 0,
            budget: Budget::new(),
            limit,
            capacity: checked(capacity, "expand", site).get(),
            site,
        })
    }
}

impl<S: Stage, F, I> Flow<Expand<S, F, I>>
where
    Expand<S, F, I>: Stage,
{
    /// How many items found no room to wait for their expansion.
    pub fn unexpanded(&self) -> u64 {
        self.stage().unexpanded
    }
}

/// The stage behind [`Flow::expand`].
#[pin_project]
#[derive(Debug)]
pub struct Expand<S: Stage, F, I> {
    #[pin]
    outer: Outer<S>,
    f: F,
    inner: Rounds<I>,
    /// Items that are not emitted yet.
    waiting: VecDeque<S::Item>,
    unexpanded: u64,
    limit: usize,
    capacity: usize,
    /// One unit for each item: while some wait, that the input gives way does not show.
    budget: Budget,
    site: Site,
}

/// The flows are started between the rounds.
struct Later {
    more: bool,
}

impl<I: Stage> Feed<I> for Later {
    fn refill(&mut self, _: &mut Rounds<I>) -> bool {
        self.more
    }
}

impl<S, F, I> Expand<S, F, I>
where
    S: Stage,
    F: FnMut(&S::Item) -> I,
    I: Stage<Item = S::Item>,
{
    /// Takes what the input has ready, up to its half of the list. Whether it may bring more.
    fn fill(self: Pin<&mut Self>) -> bool {
        let mut this = self.project();
        if this.inner.take_feed_wake() {
            this.outer.as_mut().wake();
        }
        while this.waiting.len() < this.capacity.div_ceil(2) {
            match this.outer.as_mut().poll_next(this.inner.feed_waker()) {
                Poll::Ready(Some(item)) => this.waiting.push_back(item),
                Poll::Ready(None) => return false,
                Poll::Pending => break,
            }
        }
        true
    }
}

impl<S, F, I> Stage for Expand<S, F, I>
where
    S: Stage,
    F: FnMut(&S::Item) -> I,
    I: Stage<Item = S::Item>,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if !self.as_mut().project().budget.spend(cx) {
            return Poll::Pending;
        }
        let mut idle = false;
        loop {
            let open = self.as_mut().fill();
            let this = self.as_mut().project();
            if this.inner.inputs().has_room()
                && let Some(item) = this.waiting.pop_front()
            {
                let flow = (this.f)(&item);
                this.inner.start(flow);
                return Poll::Ready(Some(item));
            }
            if !open && this.waiting.is_empty() && this.inner.inputs().open() == 0 {
                return Poll::Ready(None);
            }
            if idle {
                this.budget.rest();
                this.outer.drive_unasked(this.inner.feed_waker());
                return Poll::Pending;
            }
            match this.inner.poll_next(cx, &mut Later { more: true }) {
                Poll::Ready(Some(item)) if this.waiting.len() < *this.capacity => {
                    this.waiting.push_back(item);
                }
                Poll::Ready(Some(item)) => {
                    *this.unexpanded += 1;
                    return Poll::Ready(Some(item));
                }
                // A flow that has ended may have made room, and the input may have been woken.
                Poll::Ready(None) | Poll::Pending => idle = true,
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let mut outer = this.outer;
        let inner = this.inner.drive();
        if this.inner.take_feed_wake() {
            outer.as_mut().wake();
        }
        let outer = outer.drive(this.inner.feed_waker());
        if inner.is_ready() && outer.is_ready() {
            return Poll::Ready(());
        }
        this.inner.park(cx);
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.waiting.len();
        let least = self.inner.inputs().size_hint().0.saturating_add(held);
        let over = held == 0 && self.inner.inputs().open() == 0;
        match self.outer.input().map(Stage::size_hint) {
            None if over => (0, Some(0)),
            None => (least, None),
            Some((outer, _)) => (least.saturating_add(outer), None),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = self.outer.input() {
            input.describe(outline);
        }
        outline
            .stage("expand", self.site)
            .parameter("limit", self.limit)
            .parameter("capacity", self.capacity)
            .holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt;

    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::testing::{every_way, items, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, millis, nanos};
    use crate::{Flow, Stage, iter};

    conformance!(expand, |input| input.map(|x| x.value() % 4).expand(2, 3, |x| iter(1..*x)), except [
        DeclaredBound: "the inner flows hold what they like",
        Invariance: "which of two flows that are ready comes first is not promised",
    ]);
    conformance!(expand_into_nothing, |input| input.expand(2, 3, |x| iter(std::iter::repeat_n(x.clone(), 0))), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    marbles!(expand, |input: u32| {
        input.expand(4, 64, |x| iter([x + 1]).delay(ms(2), 1).filter(|x| *x < 4))
    });

    /// A tree in which a number below 100 has the children `10 * x` and `10 * x + 1`.
    fn children(x: &u32) -> Flow<impl Stage<Item = u32> + use<>> {
        let x = *x;
        iter(0..2).map(move |child| 10 * x + child).take_while(|x| *x < 1_000)
    }

    #[test]
    fn every_item_comes_out_once_and_breadth_first() {
        let flow = || iter([1, 2]).expand(1, 64, children);
        let first = [1, 2, 10, 11, 20, 21];
        assert_eq!(items(flow())[..6], first);
        assert_eq!(every_way(flow).len(), 14);
    }

    #[test]
    fn an_item_is_emitted_when_its_flow_starts() {
        let after = |x: &u32| iter([x + 1]).filter(|x| *x < 13).delay(ms(3), 1);
        let input = || timetable([(0, 1), (2, 10)], 3);
        let one = vec![(0, 1), (3, 10), (6, 2), (9, 11)];
        let (all, _) = timeline(input().expand(1, 64, after).take(4));
        assert_eq!(all, one);
        let two = vec![(0, 1), (2, 10), (3, 2), (5, 11)];
        let (all, _) = timeline(input().expand(2, 64, after).take(4));
        assert_eq!(all, two);
    }

    #[test]
    fn an_item_without_room_comes_out_unexpanded_and_is_counted() {
        let mut flow = pin!(iter([0]).expand(1, 2, |x| iter(if *x == 0 { 1..6 } else { 0..0 })));
        let all: Vec<_> =
            futures::StreamExt::collect::<Vec<_>>(flow.as_mut()).now_or_never().unwrap();
        assert_eq!(all, [0, 3, 4, 5, 1, 2]);
        assert_eq!(flow.unexpanded(), 3);
    }

    #[test]
    fn an_endless_recursion_shares_the_event_loop() {
        let flow = iter([0u64]).expand(2, 8, |x| iter([x + 1]));
        assert!(flow.count().now_or_never().is_none());
    }

    #[test]
    #[should_panic(expected = "expand: the limit must not be zero, at operators/src/transform")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).expand(0, 1, |_| iter([]));
    }

    #[test]
    #[should_panic(expected = "expand: the capacity must not be zero, at operators/src/transform")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).expand(1, 0, |_| iter([]));
    }

    specification!(
        expand,
        |input| {
            let mut inner = Inner::default();
            input.expand(2, 9_999, move |x| inner.flow(*x, [x.wrapping_add(1); 2]))
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut inner, mut output) = (Inner::default(), Timeline::new([], input.end));
            let (mut waiting, mut places) = (input.events, [0; 2]);
            // First come, first served, and what a flow gives is put in its place of the line.
            while !waiting.is_empty() {
                let (at, x) = waiting.remove(0);
                places.sort_unstable();
                let start = at.max(places[0]);
                let line = inner.line(x, [x.wrapping_add(1); 2], start);
                places[0] = line.end;
                output.events.push((start, x));
                output.end = output.end.max(line.end);
                waiting.extend(line.events);
                waiting.sort_by_key(|(at, _)| *at);
            }
            millis(output)
        }
    );
}
