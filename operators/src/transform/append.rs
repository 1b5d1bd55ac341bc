//! `append`: items after the last.

use crate::combine::Chain;
use crate::source::Iter;
use crate::{Flow, Stage, iter};

impl<S: Stage> Flow<S> {
    /// Emits `items` after those of the input.
    ///
    /// ```text
    /// in   --a--b--|
    /// out  --a--b--(xy|)    append(['x', 'y'])
    /// ```
    ///
    /// It is the input [chained](Self::chain) to `iter(items)`, and the outline shows it so.
    ///
    /// - **Emits** each item of the input, then each of `items`.
    /// - **Backpressures** when downstream does; the iterator is not asked before the input ended.
    /// - **Ends** when `items` are out.
    /// - **On error**: an error is an item here, and `items` follow all the same; they do not
    ///   follow a panic.
    /// - **Holds** the iterator, no item.
    /// - **Cost**: no allocation; while `items` last, a clock read in each turn and every 1,024 of
    ///   them (see [`Budget`](crate::Budget)).
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let prices = aqueduct_operators::iter([101, 102]).append([0]);
    /// assert_eq!(prices.collect::<Vec<_>>().await, [101, 102, 0]);
    /// # });
    /// ```
    #[doc(alias("end_with", "concat_with_values", "ending_with"))]
    #[track_caller]
    pub fn append<I>(self, items: I) -> Flow<Chain<S, Iter<I::IntoIter>>>
    where
        I: IntoIterator<Item = S::Item>,
    {
        self.chain(iter(items))
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use crate::testing::{conformance, every_way, marbles, specification, timeline, timetable};
    use crate::{Stage, iter};

    #[test]
    fn the_items_follow_those_of_the_input() {
        assert_eq!(every_way(|| iter([3, 4]).append([1, 2])), [3, 4, 1, 2]);
    }

    #[test]
    fn the_items_come_with_the_end_of_the_input() {
        let flow = timetable([(5, 'a')], 6).append(['x']);
        assert_eq!(timeline(flow), (vec![(5, 'a'), (6, 'x')], 6));
    }

    #[test]
    fn nothing_follows_a_panic() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut flow = pin!(iter([0]).inspect(|_| panic!("bad item")).append([1]));
        let polled = AssertUnwindSafe(|| Stage::poll_next(flow.as_mut(), &mut cx));
        assert!(catch_unwind(polled).is_err());
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(None));
    }

    marbles!(append, |input| input.append(['x', 'y']));

    specification!(append, |input| input.append([7, 8]), |input| {
        let mut all = input.clone();
        all.events.extend([(input.end, 7), (input.end, 8)]);
        all
    });

    conformance!(append, |input| input.map(|x| x.value()).append([50, 51]));
}
