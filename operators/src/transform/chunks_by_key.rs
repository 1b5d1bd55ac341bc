//! `chunks_by_key`: a vector for each run of items with one key.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::chunks::chunks_between;
use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Gathers neighbours with the same key into a vector, up to `max` of them.
    ///
    /// ```text
    /// in   --1--1--2-------1--|
    /// out  --------x-------y--(z|)    chunks_by_key(9, |x| *x)
    /// where  x = (1, [1, 1]), y = (2, [2]), z = (1, [1])
    /// ```
    ///
    /// A run ends with the first item of the next one, and so comes out with it; one that has
    /// grown to `max` items comes out at once, and what follows with the same key is a run of its
    /// own. To compare neighbours instead of keys, see [`group_adjacent`](Self::group_adjacent).
    ///
    /// - **Emits** `(key, items)` when a run is over.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the last run is out.
    /// - **On error**: an error is an item here and has a key. A panic in `key` comes out of the
    ///   poll; the flow has ended then.
    /// - **Holds** `max` items.
    /// - **Cost**: one vector for a run, no clock read.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let runs = aqueduct_operators::iter([10, 12, 25, 11]).chunks_by_key(100, |x| x / 10);
    /// let expected = [(1, vec![10, 12]), (2, vec![25]), (1, vec![11])];
    /// assert_eq!(runs.collect::<Vec<_>>().await, expected);
    /// # });
    /// ```
    #[doc(alias("buffer_until_changed", "group_adjacent_by", "chunked_on", "chunk_by_group"))]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    #[track_caller]
    pub fn chunks_by_key<K, F>(
        self,
        max: usize,
        key: F,
    ) -> Flow<Stepped<S, ChunksByKey<K, S::Item, F>>>
    where
        K: PartialEq,
        F: FnMut(&S::Item) -> K,
    {
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("chunks_by_key: the maximum must not be zero, at {}", Location::caller())
        };
        self.step(ChunksByKey { max, key, run: None })
    }
}

/// The step behind [`Flow::chunks_by_key`].
#[derive(Debug)]
pub struct ChunksByKey<K, T, F> {
    max: NonZeroUsize,
    key: F,
    /// Begun, and not full.
    run: Option<(K, Vec<T>)>,
}

impl<K: PartialEq, T, F: FnMut(&T) -> K> Step<T> for ChunksByKey<K, T, F> {
    type Out = (K, Vec<T>);

    fn step(&mut self, item: T, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        let key = (self.key)(&item);
        let (key, mut items) = match self.run.take() {
            Some(run) if run.0 == key => run,
            before => {
                before.into_iter().for_each(&mut *out);
                (key, Vec::new())
            }
        };
        items.push(item);
        if items.len() == self.max.get() {
            out((key, items));
        } else {
            self.run = Some((key, items));
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Self::Out)) {
        self.run.take().into_iter().for_each(out);
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        chunks_between(self.run.as_ref().map_or(0, |run| run.1.len()), self.max, input)
    }

    fn name(&self) -> &'static str {
        "chunks_by_key"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("max", self.max).holds(Bound::Items(self.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn neighbours_with_one_key_are_together_and_the_last_run_comes_at_the_end() {
        let flow = || iter([10, 12, 25, 11]).chunks_by_key(9, |x| x / 10);
        assert_eq!(every_way(flow), [(1, vec![10, 12]), (2, vec![25]), (1, vec![11])]);
    }

    #[test]
    fn a_run_is_cut_when_it_is_full_and_no_empty_one_follows() {
        let flow = || iter([1, 1, 1, 2, 2]).chunks_by_key(2, |x| *x);
        assert_eq!(every_way(flow), [(1, vec![1, 1]), (1, vec![1]), (2, vec![2, 2])]);
    }

    #[test]
    fn a_full_run_does_not_wait_for_the_next_item() {
        let feed = [(1, 'a'), (2, 'a'), (5, 'b'), (7, 'c')];
        let flow = timetable(feed, 9).chunks_by_key(2, |c| *c);
        let expected =
            vec![(2, ('a', vec!['a', 'a'])), (7, ('b', vec!['b'])), (9, ('c', vec!['c']))];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    #[should_panic(expected = "chunks_by_key: the maximum must not be zero, at operators/src/tr")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_by_key(0, |x| *x);
    }

    marbles!(chunks_by_key, |input: u32| input.chunks_by_key(9, |x| *x));

    conformance!(chunks_by_key, |input| input.chunks_by_key(3, |x| x.value() / 2), except [
        NoAllocation: "each chunk is a vector of its own",
    ]);

    specification!(chunks_by_key, |input| input.chunks_by_key(2, |x| x % 2), |input| {
        let mut runs: Vec<(i64, (u8, Vec<u8>))> = Vec::new();
        for (at, x) in input.events {
            match runs.last_mut().filter(|(_, run)| run.1.len() < 2) {
                Some((out, run)) if run.0 == x % 2 => {
                    run.1.push(x);
                    *out = at;
                }
                before => {
                    before.into_iter().for_each(|run| run.0 = at);
                    runs.push((input.end, (x % 2, vec![x])));
                }
            }
        }
        Timeline::new(runs, input.end)
    },);
}
