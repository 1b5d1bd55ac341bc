//! `chunks_by`: vectors that are cut at items that mark a boundary.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::chunks::chunks_between;
use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

/// On which side of an item that marks a boundary [`Flow::chunks_by`] cuts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cut {
    /// The item begins a new chunk.
    #[doc(alias("split_when", "buffer_until"))]
    Before,
    /// The item ends its chunk.
    #[doc(alias("split_after", "buffer_until_inclusive"))]
    After,
}

impl<S: Stage> Flow<S> {
    /// Gathers items into vectors of up to `max`, cut before or after each item for which
    /// `boundary` says `true`.
    ///
    /// ```text
    /// in   --1--2-----0--3--0--|
    /// out  -----------x-----y--|    chunks_by(9, Cut::After, |x| *x == 0)
    /// where  x = [1, 2, 0], y = [3, 0]
    /// ```
    ///
    /// No item is lost: one that marks a boundary is part of a chunk. A chunk that has `max` items
    /// comes out at once. With `Cut::Before` any other comes out with the item after it, with
    /// `Cut::After` with its own last one.
    ///
    /// - **Emits** a chunk when it is cut off; at the end the rest, if there is any. None is empty.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the rest is out.
    /// - **On error**: an error is an item here and part of its chunk. A panic in `boundary` comes
    ///   out of the poll; the flow has ended then.
    /// - **Holds** `max` items.
    /// - **Cost**: one vector for a chunk, no clock read.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, transform::Cut};
    /// # futures::executor::block_on(async {
    /// let sections = iter(["# a", "x", "# b"]).chunks_by(100, Cut::Before, |x| x.starts_with('#'));
    /// assert_eq!(sections.collect::<Vec<_>>().await, [vec!["# a", "x"], vec!["# b"]]);
    /// # });
    /// ```
    #[doc(alias("split_when", "split_after", "buffer_until", "buffer_while", "aggregate_with"))]
    #[track_caller]
    pub fn chunks_by<F>(
        self,
        max: usize,
        cut: Cut,
        boundary: F,
    ) -> Flow<Stepped<S, ChunksBy<S::Item, F>>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("chunks_by: the maximum must not be zero, at {}", Location::caller())
        };
        self.step(ChunksBy { max, cut, boundary, chunk: Vec::new() })
    }
}

/// The step behind [`Flow::chunks_by`].
#[derive(Debug)]
pub struct ChunksBy<T, F> {
    max: NonZeroUsize,
    cut: Cut,
    boundary: F,
    /// Never full between two items.
    chunk: Vec<T>,
}

impl<T, F: FnMut(&T) -> bool> Step<T> for ChunksBy<T, F> {
    type Out = Vec<T>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Vec<T>)) -> ControlFlow<()> {
        let cut = (self.boundary)(&item).then_some(self.cut);
        if cut == Some(Cut::Before) {
            self.end(out);
        }
        self.chunk.push(item);
        if cut == Some(Cut::After) || self.chunk.len() == self.max.get() {
            self.end(out);
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Vec<T>)) {
        if !self.chunk.is_empty() {
            out(mem::take(&mut self.chunk));
        }
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        chunks_between(self.chunk.len(), self.max, input)
    }

    fn name(&self) -> &'static str {
        "chunks_by"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("max", self.max)
            .parameter("cut", format_args!("{:?}", self.cut))
            .holds(Bound::Items(self.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::Cut::{After, Before};
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn a_boundary_ends_its_chunk() {
        let flow = || iter([1, 2, 0, 0, 3]).chunks_by(9, After, |x| *x == 0);
        assert_eq!(every_way(flow), [vec![1, 2, 0], vec![0], vec![3]]);
    }

    #[test]
    fn a_boundary_begins_a_chunk_and_none_is_empty() {
        let flow = || iter([0, 1, 2, 0, 0]).chunks_by(9, Before, |x| *x == 0);
        assert_eq!(every_way(flow), [vec![0, 1, 2], vec![0], vec![0]]);
    }

    #[test]
    fn a_full_chunk_is_cut_without_a_boundary() {
        for cut in [Before, After] {
            let flow = || iter(1..6).chunks_by(2, cut, |_| false);
            assert_eq!(every_way(flow), [vec![1, 2], vec![3, 4], vec![5]]);
        }
        assert_eq!(every_way(|| iter(1..4).chunks_by(1, Before, |_| true)), [[1], [2], [3]]);
    }

    #[test]
    fn a_chunk_waits_for_nothing_once_it_is_known_to_be_whole() {
        let feed = || timetable([(1, 'a'), (2, 'x'), (5, 'b')], 9);
        let flow = feed().chunks_by(9, After, |c| *c == 'x');
        assert_eq!(timeline(flow), (vec![(2, vec!['a', 'x']), (9, vec!['b'])], 9));
        let flow = feed().chunks_by(9, Before, |c| *c == 'x');
        assert_eq!(timeline(flow), (vec![(2, vec!['a']), (9, vec!['x', 'b'])], 9));
    }

    #[test]
    #[should_panic(expected = "chunks_by: the maximum must not be zero, at operators/src/transf")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_by(0, After, |_| true);
    }

    marbles!(chunks_by, |input: u32| input.chunks_by(9, After, |x| *x == 0));

    specification!(chunks_by, |input| input.chunks_by(3, After, |x| *x == 0), |input| {
        let chunks = input.events.split_inclusive(|(_, x)| *x == 0);
        let chunks = chunks.flat_map(|chunk| chunk.chunks(3)).map(|chunk| {
            let (at, last) = chunk[chunk.len() - 1];
            let whole = last == 0 || chunk.len() == 3;
            let items = chunk.iter().map(|(_, x)| *x).collect::<Vec<u8>>();
            (if whole { at } else { input.end }, items)
        });
        Timeline::new(chunks, input.end)
    },);

    conformance!(chunks_by, |input| input.chunks_by(3, Before, |x| x.value() % 4 == 0), except [
        NoAllocation: "each chunk is a vector of its own",
    ]);
}
