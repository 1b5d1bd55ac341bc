//! `merge_either`: the items of two flows without a common type.

use either::Either;

use super::Merge2;
use crate::transform::Map;
use crate::{Flow, Stage};

/// What [`Flow::merge_either`] gives.
pub type MergeEither<A, B> = Flow<Merge2<Tagged<A, A, B>, Tagged<B, A, B>>>;

/// One side of a [`Flow::merge_either`].
type Tagged<S, A, B> = Map<S, fn(<S as Stage>::Item) -> Sided<A, B>>;
type Sided<A, B> = Either<<A as Stage>::Item, <B as Stage>::Item>;

impl<S: Stage> Flow<S> {
    /// The items of two flows of different types, as they come, each with its side.
    ///
    /// ```text
    /// in     --1-----2-----|
    /// other  ----x-----y|
    /// out    --a-b---c-d---|    merge_either(other)
    ///
    /// where  a = Left(1), b = Right(x), c = Left(2), d = Right(y)
    /// ```
    ///
    /// It is [`merge`](Flow::merge()) for flows whose items have no common type; for three and more
    /// kinds, `map` each flow into an enum of your own and merge those.
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
    /// use aqueduct_operators::{combine::Either, iter};
    /// let events = iter([1, 2]).merge_either(iter(["tick"]));
    /// let numbers = events.filter_map(|event| match event {
    ///     Either::Left(number) => Some(number),
    ///     Either::Right(_) => None,
    /// });
    /// assert_eq!(numbers.collect::<Vec<_>>().await, [1, 2]);
    /// # });
    /// ```
    #[doc(alias("merge_tagged", "either", "choice"))]
    #[track_caller]
    pub fn merge_either<O: Stage>(self, other: Flow<O>) -> MergeEither<S, O>
    where
        S: Sized,
    {
        let left: fn(S::Item) -> _ = Either::Left;
        let right: fn(O::Item) -> _ = Either::Right;
        self.map(left).merge(other.map(right))
    }
}

#[cfg(test)]
mod tests {
    use either::Either::{Left, Right};

    use crate::testing::{Timeline, timeline, timetable};
    use crate::{conformance, marbles, specification};

    conformance!(merge_either, |a, b| a.map(|x| x.value()).merge_either(b), except [
        Invariance: "which of two ready inputs comes first is not promised",
    ]);
    marbles!(merge_either, |input: u8, other| input.merge_either(other));
    specification!(merge_either, |a, b| a.merge_either(b), |a, b| {
        let mut all = a.map(Left);
        all.events.extend(b.events.into_iter().map(|(at, item)| (at, Right(item))));
        all.events.sort_by_key(|(at, _)| *at);
        Timeline::new(all.events, all.end.max(b.end))
    });

    #[test]
    fn each_item_says_from_which_side_it_is() {
        let flow = timetable([(1, 'a'), (4, 'b')], 5).merge_either(timetable([(1, 7), (3, 8)], 9));
        let expected = vec![(1, Left('a')), (1, Right(7)), (3, Right(8)), (4, Left('b'))];
        assert_eq!(timeline(flow), (expected, 9));
    }
}
