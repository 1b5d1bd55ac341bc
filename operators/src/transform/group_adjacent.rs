//! `group_adjacent`: a vector for each run of items that belong together.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::chunks::chunks_between;
use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Gathers neighbours into a vector as long as `same(previous, item)`, up to `max` of them.
    ///
    /// ```text
    /// in   --1--2--5-------6--|
    /// out  --------x----------(y|)    group_adjacent(9, |a, b| b - a == 1)
    /// where  x = [1, 2], y = [5, 6]
    /// ```
    ///
    /// Each item is compared with the one before it, not with the first of its run. A run comes
    /// out with the first item of the next one, and at once when it has `max` items; what follows
    /// that is a run of its own. For runs with one key, see
    /// [`chunks_by_key`](Self::chunks_by_key).
    ///
    /// - **Emits** a vector when a run is over.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the last run is out.
    /// - **On error**: an error is an item here and is compared like one. A panic in `same` comes
    ///   out of the poll; the flow has ended then.
    /// - **Holds** `max` items.
    /// - **Cost**: one vector for a run, no clock read.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let rising = aqueduct_operators::iter([1, 3, 2, 5]).group_adjacent(100, |a, b| a < b);
    /// assert_eq!(rising.collect::<Vec<_>>().await, [[1, 3], [2, 5]]);
    /// # });
    /// ```
    #[doc(alias("dedup_runs", "chunk_by", "chunked_by", "chunk_while", "slice_when"))]
    #[track_caller]
    pub fn group_adjacent<F>(
        self,
        max: usize,
        same: F,
    ) -> Flow<Stepped<S, GroupAdjacent<S::Item, F>>>
    where
        F: FnMut(&S::Item, &S::Item) -> bool,
    {
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("group_adjacent: the maximum must not be zero, at {}", Location::caller())
        };
        self.step(GroupAdjacent { max, same, run: Vec::new() })
    }
}

/// The step behind [`Flow::group_adjacent`].
#[derive(Debug)]
pub struct GroupAdjacent<T, F> {
    max: NonZeroUsize,
    same: F,
    /// Never full between two items.
    run: Vec<T>,
}

impl<T, F: FnMut(&T, &T) -> bool> Step<T> for GroupAdjacent<T, F> {
    type Out = Vec<T>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Vec<T>)) -> ControlFlow<()> {
        if self.run.last().is_some_and(|last| !(self.same)(last, &item)) {
            out(mem::take(&mut self.run));
        }
        self.run.push(item);
        if self.run.len() == self.max.get() {
            out(mem::take(&mut self.run));
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Vec<T>)) {
        if !self.run.is_empty() {
            out(mem::take(&mut self.run));
        }
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        chunks_between(self.run.len(), self.max, input)
    }

    fn name(&self) -> &'static str {
        "group_adjacent"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("max", self.max).holds(Bound::Items(self.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Timeline, conformance, every_way, marbles, specification};

    #[test]
    fn each_item_is_compared_with_the_one_before_it() {
        let flow = || iter([1, 2, 3, 5, 6, 9]).group_adjacent(9, |a, b| b - a == 1);
        assert_eq!(every_way(flow), [vec![1, 2, 3], vec![5, 6], vec![9]]);
    }

    #[test]
    fn a_run_is_cut_when_it_is_full() {
        let flow = || iter(0..5).group_adjacent(2, |_, _| true);
        assert_eq!(every_way(flow), [vec![0, 1], vec![2, 3], vec![4]]);
    }

    #[test]
    fn runs_of_one_item_come_out_at_once() {
        let flow = || iter(0..3).group_adjacent(1, |_, _| false);
        assert_eq!(every_way(flow), [[0], [1], [2]]);
    }

    #[test]
    fn nothing_comes_of_nothing() {
        assert!(every_way(|| iter(0..0).group_adjacent(2, |_, _| true)).is_empty());
    }

    #[test]
    #[should_panic(expected = "group_adjacent: the maximum must not be zero, at operators/src/tr")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).group_adjacent(0, |_, _| true);
    }

    marbles!(group_adjacent, |input: u32| input.group_adjacent(9, |a, b| b - a == 1));

    specification!(group_adjacent, |input| input.group_adjacent(3, |a, b| a <= b), |input| {
        let mut runs: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut open = false;
        for (at, item) in input.events {
            let last = runs.last_mut().filter(|_| open);
            match last {
                Some((out, run)) if run.last() <= Some(&item) => {
                    (*out, open) = (at, run.len() < 2);
                    run.push(item);
                }
                before => {
                    before.into_iter().for_each(|run| run.0 = at);
                    runs.push((at, vec![item]));
                    open = true;
                }
            }
        }
        runs.last_mut().filter(|_| open).into_iter().for_each(|run| run.0 = input.end);
        Timeline::new(runs, input.end)
    },);

    conformance!(group_adjacent, |input| input.group_adjacent(3, |a, b| a.value() < b.value()),
        except [NoAllocation: "each chunk is a vector of its own"]);
}
