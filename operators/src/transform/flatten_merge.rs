//! `flatten_merge`: items that are flows themselves, several at a time.

use super::FlatMap;
use super::flattening::Itself;
use crate::{Flow, Stage};

impl<S: Stage<Item: Stage>> Flow<S> {
    /// Emits the items of the inner flows as they come; up to `limit` of them run at a time.
    ///
    /// ```text
    /// in   a---b-----|
    /// a    -1---2-3|
    /// b        --4|
    /// out  -1---243--|    flatten_merge(2)
    /// ```
    ///
    /// It is [`flat_map`](Self::flat_map) for items that are flows, such as the connections of a
    /// listener; [`flatten`](Self::flatten) runs them one after the other, `switch_map(|flow|
    /// flow)` and `exhaust_map(|flow| flow)` keep one and let the other go. For a fixed set of
    /// flows there is the function [`merge`](crate::merge()).
    ///
    /// - **Emits** an item when an inner flow has one.
    /// - **Backpressures** when downstream does, and takes no flow while `limit` of them run.
    /// - **Ends** when the input and all inner flows have ended; each is dropped when it ends.
    /// - **On error**: an error is an item here; the other inner flows go on.
    /// - **Holds** `limit` inner flows, each of which holds what its own outline says.
    /// - **Cost**: that of [`flat_map`](Self::flat_map).
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let connections = iter([iter(1..=2), iter(10..=11)]);
    /// assert_eq!(connections.flatten_merge(16).fold(0, |sum, x| sum + x).await, 24);
    /// # });
    /// ```
    #[doc(alias("merge_all", "flatten_unordered", "par_join", "merge_hub"))]
    #[track_caller]
    pub fn flatten_merge(self, limit: usize) -> Flow<FlatMap<S, Itself, S::Item>> {
        Flow::from_stage(FlatMap::new(self, limit, Itself, "flatten_merge"))
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, marbles, specification};
    use crate::testing::{timeline, timetable};
    use crate::transform::flattening::inner::{Inner, merged, pair};

    conformance!(flatten_merge, |input| input.map(|x| iter(std::iter::repeat_n(x.clone(), x.value() as usize % 3))).flatten_merge(2), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    marbles!(flatten_merge, |input, a, b| {
        let mut inner = [a, b].into_iter();
        input.map(move |_| inner.next().unwrap()).flatten_merge(2)
    });

    #[test]
    fn the_flows_run_at_the_same_time_up_to_the_limit() {
        let inner = |name| timetable([(2, (name, 2)), (4, (name, 4))], 4);
        let flow = timetable([(1, inner('a')), (1, inner('b')), (1, inner('c'))], 2);
        let expected = vec![
            (2, ('a', 2)),
            (2, ('b', 2)),
            (4, ('a', 4)),
            // In the place of the first, and with everything overdue.
            (4, ('c', 2)),
            (4, ('c', 4)),
            (4, ('b', 4)),
        ];
        assert_eq!(timeline(flow.flatten_merge(2)), (expected, 4));
    }

    #[test]
    #[should_panic(expected = "flatten_merge: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([iter([1])]).flatten_merge(0);
    }

    specification!(
        flatten_merge,
        |input| {
            let mut inner = Inner::default();
            input.map(move |x| inner.flow(x, pair(x))).flatten_merge(3)
        },
        |input| merged(input, 3, |_, x| pair(x))
    );
}
