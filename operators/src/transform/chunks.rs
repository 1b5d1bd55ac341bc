//! `chunks`: items by the vector.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

/// The most room a chunk is given before the first item needs it: a size of millions must not
/// cost its memory where a few items come.
const ROOM: usize = 1024;

impl<S: Stage> Flow<S> {
    /// Gathers `size` items at a time into vectors.
    ///
    /// ```text
    /// in     --a--b----c--d---e---|
    /// out    -----x-------y-------(z|)    chunks(2)
    /// where  x = [a, b], y = [c, d], z = [e]
    /// ```
    ///
    /// A chunk that is not full waits as long as it takes for more items.
    ///
    /// - **Emits** a chunk with its last item; at the end the rest, if there is any.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the rest is out.
    /// - **On error**: an error is an item here and part of its chunk.
    /// - **Holds** `size` items.
    /// - **Cost**: one vector for a chunk, no clock read.
    ///
    /// # Panics
    ///
    /// If `size` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let rows = aqueduct_operators::iter(1..=5).chunks(2).map(|row| row.len());
    /// assert_eq!(rows.collect::<Vec<_>>().await, [2, 2, 1]);
    /// # });
    /// ```
    #[doc(alias("buffer_count", "grouped", "chunked", "batch", "chunk_n"))]
    #[track_caller]
    pub fn chunks(self, size: usize) -> Flow<Chunks<S>> {
        let site = Location::caller();
        let Some(size) = NonZeroUsize::new(size) else {
            panic!("chunks: the size must not be zero, at {site}")
        };
        Flow::from_stage(Chunks {
            input: self.into_stage(),
            size,
            chunk: Vec::new(),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks`].
#[pin_project]
#[derive(Debug)]
pub struct Chunks<S: Stage> {
    #[pin]
    input: S,
    size: NonZeroUsize,
    /// Never full between two polls.
    chunk: Vec<S::Item>,
    ended: bool,
    site: Site,
}

/// The chunk, if this item fills it.
fn fill<T>(chunk: &mut Vec<T>, size: NonZeroUsize, item: T) -> Option<Vec<T>> {
    if chunk.capacity() == 0 {
        chunk.reserve_exact(size.get().min(ROOM));
    }
    chunk.push(item);
    (chunk.len() == size.get()).then(|| mem::take(chunk))
}

/// What is left at the end.
fn rest<T>(chunk: &mut Vec<T>) -> Option<Vec<T>> {
    (!chunk.is_empty()).then(|| mem::take(chunk))
}

/// Bounds on the chunks to come where `held` items are in one that is not full, and a chunk has
/// between one item and `max`.
pub(super) fn chunks_between(
    held: usize,
    max: NonZeroUsize,
    (least, most): (usize, Option<usize>),
) -> (usize, Option<usize>) {
    let begun = usize::from(held > 0);
    (least.saturating_add(held).div_ceil(max.get()), most.and_then(|most| most.checked_add(begun)))
}

impl<S: Stage> Stage for Chunks<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while !*this.ended {
            match ready!(this.input.as_mut().poll_next(cx)) {
                Some(item) => {
                    if let full @ Some(_) = fill(this.chunk, *this.size, item) {
                        return Poll::Ready(full);
                    }
                }
                None => *this.ended = true,
            }
        }
        Poll::Ready(rest(this.chunk))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let (size, chunk) = (*this.size, this.chunk);
        if !*this.ended {
            let drained = this.input.poll_drain(cx, &mut |item| match fill(chunk, size, item) {
                Some(full) => each(full),
                None => ControlFlow::Continue(()),
            });
            if let broke @ ControlFlow::Break(_) = ready!(drained) {
                return Poll::Ready(broke);
            }
            *this.ended = true;
        }
        Poll::Ready(rest(chunk).map_or(ControlFlow::Continue(()), each))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let (size, held) = (self.size.get(), self.chunk.len());
        (
            least.saturating_add(held).div_ceil(size),
            most.and_then(|most| Some(most.checked_add(held)?.div_ceil(size))),
        )
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("chunks", self.site)
            .parameter("size", self.size)
            .holds(Bound::Items(self.size.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_last_chunk_may_be_smaller() {
        let flow = || iter(1..=7).chunks(3);
        assert_eq!(every_way(flow), [vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
    }

    #[test]
    fn no_empty_chunk_follows_a_full_one() {
        assert_eq!(every_way(|| iter(1..=2).chunks(2)), [[1, 2]]);
    }

    #[test]
    fn a_chunk_comes_with_its_last_item_and_the_rest_with_the_end() {
        let flow = timetable([(1, 'a'), (2, 'b'), (5, 'c')], 9).chunks(2);
        let expected = vec![(2, vec!['a', 'b']), (9, vec!['c'])];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    #[should_panic(expected = "chunks: the size must not be zero, at operators/src/transform")]
    fn a_size_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks(0);
    }

    conformance!(chunks, |input| input.chunks(3), except [
        NoAllocation: "each chunk is a vector of its own",
    ]);

    marbles!(chunks, |input| input.chunks(2));

    specification!(chunks, at_any_pace, |input| input.chunks(3), |input| {
        let chunks = input.events.chunks(3).map(|chunk| {
            let last = if chunk.len() == 3 { chunk[2].0 } else { input.end };
            (last, chunk.iter().map(|(_, item)| *item).collect::<Vec<_>>())
        });
        Timeline::new(chunks, input.end)
    });
}
