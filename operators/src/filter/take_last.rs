//! `take_last` and `skip_last`: the items before the end, and all but those.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the last `n` items, at the end.
    ///
    /// ```text
    /// in   --a--b--c--|
    /// out  -----------(bc|)    take_last(2)
    /// ```
    ///
    /// - **Emits** up to `n` items when the input has ended.
    /// - **Backpressures** never before the end: the input is taken as fast as it comes.
    /// - **Ends** when the items are out. `take_last(0)` ends without polling the input.
    /// - **On error**: an error is an item here; a panic above discards what is held.
    /// - **Holds** `n` items.
    /// - **Cost**: no allocation once the queue has grown, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let last = aqueduct_operators::iter(1..=5).take_last(2);
    /// assert_eq!(last.collect::<Vec<_>>().await, [4, 5]);
    /// # });
    /// ```
    #[doc(alias("take_right", "tail"))]
    #[track_caller]
    pub fn take_last(self, n: usize) -> Flow<Stepped<S, TakeLast<S::Item>>> {
        let flow = self.step(TakeLast { n, last: VecDeque::new() });
        if n == 0 { flow.without_input() } else { flow }
    }

    /// Emits all items but the last `n`.
    ///
    /// ```text
    /// in   --a--b--c--d--|
    /// out  --------a--b--|    skip_last(2)
    /// ```
    ///
    /// An item comes out when `n` others have followed, because only then it is known not to be
    /// one of the last.
    ///
    /// - **Emits** an item with the one `n` after it.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** `n` items.
    /// - **Cost**: no allocation once the queue has grown, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let rows = aqueduct_operators::iter(["1", "2", "total"]).skip_last(1);
    /// assert_eq!(rows.collect::<Vec<_>>().await, ["1", "2"]);
    /// # });
    /// ```
    #[doc(alias("drop_right", "drop_last"))]
    #[track_caller]
    pub fn skip_last(self, n: usize) -> Flow<Stepped<S, SkipLast<S::Item>>> {
        self.step(SkipLast { n, last: VecDeque::new() })
    }
}

/// The step behind [`Flow::take_last`].
#[derive(Debug)]
pub struct TakeLast<T> {
    n: usize,
    last: VecDeque<T>,
}

impl<T> Step<T> for TakeLast<T> {
    type Out = T;

    fn step(&mut self, item: T, _: &mut impl FnMut(T)) -> ControlFlow<()> {
        if self.last.len() == self.n {
            self.last.pop_front();
        }
        self.last.push_back(item);
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(T)) {
        self.last.drain(..).for_each(out);
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let kept = |items: usize| items.saturating_add(self.last.len()).min(self.n);
        (kept(least), Some(most.map_or(self.n, kept)))
    }

    fn name(&self) -> &'static str {
        "take_last"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("n", self.n).holds(Bound::Items(self.n));
    }
}

/// The step behind [`Flow::skip_last`].
#[derive(Debug)]
pub struct SkipLast<T> {
    n: usize,
    last: VecDeque<T>,
}

impl<T> Step<T> for SkipLast<T> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        if self.last.len() < self.n {
            self.last.push_back(item);
        } else if let Some(before) = self.last.pop_front() {
            self.last.push_back(item);
            out(before);
        } else {
            out(item);
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let missing = self.n - self.last.len();
        (least.saturating_sub(missing), most.map(|most| most.saturating_sub(missing)))
    }

    fn name(&self) -> &'static str {
        "skip_last"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("n", self.n).holds(Bound::Items(self.n));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, specification, timeline, timetable,
    };
    use crate::{Stage, iter};

    #[test]
    fn the_last_items_come_at_the_end() {
        assert_eq!(every_way(|| iter(1..=5).take_last(2)), [4, 5]);
        assert_eq!(every_way(|| iter(1..=2).take_last(5)), [1, 2]);
        let flow = timetable([(1, 'a'), (2, 'b')], 7).take_last(1);
        assert_eq!(timeline(flow), (vec![(7, 'b')], 7));
    }

    #[test]
    fn the_last_none_do_not_need_the_input() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let input = iter([1]).inspect(move |_| panic!("polled {owned:?}"));
        let flow = input.take_last(0);
        assert_eq!(watch.strong_count(), 0);
        assert_eq!(Stage::size_hint(&flow), (0, Some(0)));
        assert!(items(flow).is_empty());
    }

    #[test]
    fn the_last_items_are_skipped() {
        assert_eq!(every_way(|| iter(1..=5).skip_last(2)), [1, 2, 3]);
        assert!(every_way(|| iter(1..=2).skip_last(5)).is_empty());
        assert_eq!(every_way(|| iter(1..=3).skip_last(0)), [1, 2, 3]);
    }

    #[test]
    fn an_item_comes_as_soon_as_enough_have_followed() {
        let flow = timetable([(1, 'a'), (4, 'b')], 7).skip_last(1);
        assert_eq!(timeline(flow), (vec![(4, 'a')], 7));
    }

    marbles!(take_last, |input| input.take_last(2));
    marbles!(skip_last, |input| input.skip_last(2));

    specification!(take_last, |input| input.take_last(2), |input| {
        let last = input.events.len().saturating_sub(2);
        Timeline::new(input.events[last..].iter().map(|(_, x)| (input.end, *x)), input.end)
    });

    specification!(skip_last, |input| input.skip_last(2), |input| {
        let late = input.events.iter().zip(input.events.iter().skip(2));
        Timeline::new(late.map(|((_, x), (at, _))| (*at, *x)), input.end)
    });

    conformance!(take_last, |input| input.take_last(2));
    conformance!(take_last_none, |input| input.take_last(0));
    conformance!(skip_last, |input| input.skip_last(2));
}
