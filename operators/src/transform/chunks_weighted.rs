//! `chunks_weighted`: vectors of a limited weight.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::chunks::chunks_between;
use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Gathers items into vectors that together weigh at most `max_weight` and are at most `max`.
    ///
    /// ```text
    /// in   --1--2--3--9-----4--|
    /// out  --------x--(yz)-----(u|)    chunks_weighted(5, 100, |x| *x)
    /// where  x = [1, 2], y = [3], z = [9], u = [4]
    /// ```
    ///
    /// A chunk comes out as soon as it can take no more: when it weighs `max_weight`, when it has
    /// `max` items, or with the first item that is too heavy for what is left, which begins the
    /// next one. An item that alone weighs more than `max_weight` is a chunk alone. `max` bounds
    /// what items without weight can heap up.
    ///
    /// - **Emits** a chunk when it can take no more; at the end the rest, if there is any.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the rest is out.
    /// - **On error**: an error is an item here and has a weight. A panic in `weight` comes out of
    ///   the poll; the flow has ended then.
    /// - **Holds** `max` items.
    /// - **Cost**: one vector for a chunk, no clock read.
    ///
    /// # Panics
    ///
    /// If `max_weight` or `max` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let packets = aqueduct_operators::iter(["abc", "de", "f"]).chunks_weighted(4, 9, |s| s.len());
    /// assert_eq!(packets.collect::<Vec<_>>().await, [vec!["abc"], vec!["de", "f"]]);
    /// # });
    /// ```
    #[doc(alias("grouped_weighted", "batch_weighted", "chunk_min"))]
    #[track_caller]
    pub fn chunks_weighted<F>(
        self,
        max_weight: usize,
        max: usize,
        weight: F,
    ) -> Flow<Stepped<S, ChunksWeighted<S::Item, F>>>
    where
        F: FnMut(&S::Item) -> usize,
    {
        let site = Location::caller();
        let Some(max_weight) = NonZeroUsize::new(max_weight) else {
            panic!("chunks_weighted: the weight must not be zero, at {site}")
        };
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("chunks_weighted: the maximum must not be zero, at {site}")
        };
        self.step(ChunksWeighted { max_weight, max, weight, weighs: 0, chunk: Vec::new() })
    }
}

/// The step behind [`Flow::chunks_weighted`].
#[derive(Debug)]
pub struct ChunksWeighted<T, F> {
    max_weight: NonZeroUsize,
    max: NonZeroUsize,
    weight: F,
    /// What the chunk weighs; between two items always less than it may.
    weighs: usize,
    chunk: Vec<T>,
}

impl<T, F: FnMut(&T) -> usize> Step<T> for ChunksWeighted<T, F> {
    type Out = Vec<T>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Vec<T>)) -> ControlFlow<()> {
        let weight = (self.weight)(&item);
        let max_weight = self.max_weight.get();
        if self.weighs.saturating_add(weight) > max_weight {
            self.end(out);
        }
        self.weighs = self.weighs.saturating_add(weight);
        self.chunk.push(item);
        if self.weighs >= max_weight || self.chunk.len() == self.max.get() {
            self.end(out);
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Vec<T>)) {
        self.weighs = 0;
        if !self.chunk.is_empty() {
            out(mem::take(&mut self.chunk));
        }
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        chunks_between(self.chunk.len(), self.max, input)
    }

    fn name(&self) -> &'static str {
        "chunks_weighted"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("max_weight", self.max_weight)
            .parameter("max", self.max)
            .holds(Bound::Items(self.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn no_chunk_weighs_too_much_and_a_heavy_item_is_alone() {
        let flow = || iter([1, 2, 3, 9, 4, 1, 5]).chunks_weighted(5, 9, |x| *x);
        let expected = [vec![1, 2], vec![3], vec![9], vec![4, 1], vec![5]];
        assert_eq!(every_way(flow), expected);
    }

    #[test]
    fn items_without_weight_are_bounded_by_their_number() {
        let flow = || iter([0; 5]).chunks_weighted(5, 2, |x| *x);
        assert_eq!(every_way(flow), [vec![0, 0], vec![0, 0], vec![0]]);
    }

    #[test]
    fn weights_that_overflow_are_heavy() {
        let flow = || iter([1, usize::MAX, usize::MAX]).chunks_weighted(5, 9, |x| *x);
        assert_eq!(every_way(flow), [[1], [usize::MAX], [usize::MAX]]);
    }

    #[test]
    fn a_chunk_that_can_take_no_more_does_not_wait() {
        let flow = timetable([(1, 2), (2, 3), (4, 1)], 9).chunks_weighted(5, 9, |x| *x);
        assert_eq!(timeline(flow), (vec![(2, vec![2, 3]), (9, vec![1])], 9));
    }

    #[test]
    #[should_panic(expected = "chunks_weighted: the weight must not be zero, at operators/src/tr")]
    fn a_weight_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_weighted(0, 1, |x| *x);
    }

    #[test]
    #[should_panic(expected = "chunks_weighted: the maximum must not be zero, at operators/src/t")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_weighted(1, 0, |x| *x);
    }

    marbles!(chunks_weighted, |input: usize| input.chunks_weighted(5, 100, |x| *x));

    conformance!(chunks_weighted, |input| input.chunks_weighted(9, 4, |x| x.value() as usize),
        except [NoAllocation: "each chunk is a vector of its own"]);

    specification!(
        chunks_weighted,
        |input| input.chunks_weighted(5, 3, |x| usize::from(*x)),
        |input| {
            let weight = |chunk: &[u8]| chunk.iter().map(|x| u32::from(*x)).sum::<u32>();
            let is_full = |chunk: &[u8]| weight(chunk) >= 5 || chunk.len() == 3;
            let mut chunks: Vec<(i64, Vec<u8>)> = Vec::new();
            for (at, x) in input.events {
                match chunks.last_mut().filter(|(_, chunk)| !is_full(chunk)) {
                    Some((out, chunk)) if weight(chunk) + u32::from(x) <= 5 => {
                        chunk.push(x);
                        *out = if is_full(chunk) { at } else { input.end };
                    }
                    before => {
                        before.into_iter().for_each(|chunk| chunk.0 = at);
                        chunks.push((if is_full(&[x]) { at } else { input.end }, vec![x]));
                    }
                }
            }
            Timeline::new(chunks, input.end)
        },
    );
}
