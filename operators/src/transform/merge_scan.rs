//! `merge_scan`: a running state that flows produce, several at a time.

use super::FlatMap;
use super::flattening::Folding;
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Emits each state that the flows `f(&state, item)` produce; up to `limit` of them run at a
    /// time.
    ///
    /// ```text
    /// in   1---2-3----|
    /// out  -1---3-6---|    merge_scan(4, 0, |sum, x| after(ms(1), sum + x))
    /// ```
    ///
    /// The state is the item that was emitted last, at first `seed`, which is not emitted. `f`
    /// gets the one of the moment at which its flow starts: with `limit` 1 that is the last state
    /// of the flow before, with more of them whatever has come until then.
    ///
    /// - **Emits** an item when an inner flow has one.
    /// - **Backpressures** when downstream does, and takes no item while `limit` inner flows run.
    /// - **Ends** when the input and all inner flows have ended; each is dropped when it ends.
    /// - **On error**: a state that can fail is one of `f`'s arguments: it decides. A panic in `f`
    ///   comes out of the poll; the flow has ended then.
    /// - **Holds** the state and `limit` inner flows.
    /// - **Cost**: that of [`flat_map`](Self::flat_map), and a clone of each item.
    ///
    /// # Panics
    ///
    /// If `limit` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let sums = iter([1, 2, 3]).merge_scan(1, 0, |sum, x| iter([sum + x]));
    /// assert_eq!(sums.collect::<Vec<_>>().await, [1, 3, 6]);
    /// # });
    /// ```
    #[doc(alias("flat_scan", "scan_flow", "scan_eval"))]
    #[track_caller]
    pub fn merge_scan<A, F, I>(
        self,
        limit: usize,
        seed: A,
        f: F,
    ) -> Flow<FlatMap<S, Folding<A, F>, I>>
    where
        A: Clone,
        F: FnMut(&A, S::Item) -> I,
        I: Stage<Item = A>,
    {
        Flow::from_stage(FlatMap::new(self, limit, Folding { state: seed, f }, "merge_scan"))
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, marbles, specification};
    use crate::testing::{every_way, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, merged};

    conformance!(merge_scan, |input| input.merge_scan(2, 0, |sum, x| iter([sum ^ x.value(), *sum])), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    marbles!(merge_scan, |input: u32| {
        input.merge_scan(4, 0, |sum, x| iter([sum + x]).delay(ms(1), 1))
    });

    #[test]
    fn a_flow_starts_from_the_state_that_was_emitted_last() {
        let add = |sum: &i32, x| iter([sum + x]).delay(ms(2), 1);
        let input = || timetable([(0, 1), (1, 10), (5, 100)], 6);
        // The second starts before the first has emitted.
        let flow = input().merge_scan(2, 0, add);
        assert_eq!(timeline(flow), (vec![(2, 1), (3, 10), (7, 110)], 7));
        let flow = input().merge_scan(1, 0, add);
        assert_eq!(timeline(flow), (vec![(2, 1), (4, 11), (7, 111)], 7));
    }

    #[test]
    fn polls_and_drains_agree() {
        let flow = || iter(1..=9).merge_scan(1, 0, |sum, x| iter([sum + x, sum - x]));
        assert_eq!(every_way(flow).last(), Some(&-45));
    }

    #[test]
    #[should_panic(expected = "merge_scan: the limit must not be zero, at operators/src")]
    fn a_limit_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).merge_scan(0, 0, |sum, x| iter([sum + x]));
    }

    /// The states that follow upon this one.
    fn states(state: u32, x: u8) -> [u32; 2] {
        [state + u32::from(x) + 1, 2 * state % 9_999]
    }

    specification!(
        merge_scan,
        |input| {
            let mut inner = Inner::default();
            input.merge_scan(2, 7, move |state, x| inner.flow(x, states(*state, x)))
        },
        |input| merged(input, 2, |last, x| states(last.unwrap_or(7), x))
    );
}
