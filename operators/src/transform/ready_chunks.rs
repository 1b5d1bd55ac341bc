//! `ready_chunks`: by the vector what is there.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::chunks::chunks_between;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Gathers the items that are ready, up to `max` at a time, and waits for none.
    ///
    /// ```text
    /// in   --(abc)---d--|
    /// out  --(xy)----z--|    ready_chunks(2)
    /// where  x = [a, b], y = [c], z = [d]
    /// ```
    ///
    /// A consumer that keeps up gets single items; one that is behind gets the more at a time the
    /// further it is. Which items are ready at once is not promised: only their order is. For
    /// chunks that do not depend on it, see [`chunks`](Self::chunks).
    ///
    /// - **Emits** a chunk of at least one item when one is ready, without delay.
    /// - **Backpressures** when downstream does; nothing is taken between two chunks.
    /// - **Ends** when the input has ended and the last chunk is out.
    /// - **On error**: an error is an item here and part of its chunk.
    /// - **Holds** `max` items, within one poll.
    /// - **Cost**: one vector for a chunk; a clock read in each turn and every 1,024 items (see
    ///   [`Budget`]).
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let batches = aqueduct_operators::iter(0..5).ready_chunks(3).map(|batch| batch.len());
    /// assert_eq!(batches.fold(0, |sum, len| sum + len).await, 5);
    /// # });
    /// ```
    #[doc(alias("conflate_chunks", "aggregate_async", "batch_ready"))]
    #[track_caller]
    pub fn ready_chunks(self, max: usize) -> Flow<ReadyChunks<S>> {
        let site = Location::caller();
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("ready_chunks: the maximum must not be zero, at {site}")
        };
        Flow::from_stage(ReadyChunks {
            input: Some(self.into_stage()),
            max,
            chunk: Vec::new(),
            budget: Budget::new(),
            site,
        })
    }
}

/// The stage behind [`Flow::ready_chunks`].
#[pin_project]
#[derive(Debug)]
pub struct ReadyChunks<S: Stage> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    max: NonZeroUsize,
    /// Empty between two polls.
    chunk: Vec<S::Item>,
    /// While there are chunks, that the input gives way does not show.
    budget: Budget,
    site: Site,
}

impl<S: Stage> Stage for ReadyChunks<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if gather(input, this.chunk, *this.max, this.budget, cx) == Gathered::End {
            this.input.set(None);
        } else if this.chunk.is_empty() {
            return Poll::Pending;
        }
        Poll::Ready((!this.chunk.is_empty()).then(|| mem::take(this.chunk)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let input = self.input.as_ref().map_or((0, Some(0)), Stage::size_hint);
        chunks_between(0, self.max, input)
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline
            .stage("ready_chunks", self.site)
            .parameter("max", self.max)
            .holds(Bound::Items(self.max.get()));
    }
}

/// Why no more items were gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gathered {
    Full,
    /// The input is pending, or gives way to others; the waker is registered.
    Ready,
    End,
}

/// Takes what is ready, up to `max` items in all.
pub(super) fn gather<S: Stage>(
    input: Pin<&mut S>,
    chunk: &mut Vec<S::Item>,
    max: NonZeroUsize,
    budget: &mut Budget,
    cx: &mut Context<'_>,
) -> Gathered {
    if budget.left(cx) == 0 {
        return Gathered::Ready;
    }
    let before = chunk.len();
    let drained = input.poll_drain(cx, &mut |item| {
        chunk.push(item);
        if chunk.len() == max.get() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    budget.used(chunk.len() - before);
    match drained {
        Poll::Ready(ControlFlow::Break(())) => Gathered::Full,
        Poll::Ready(ControlFlow::Continue(())) => Gathered::End,
        Poll::Pending => {
            // With a chunk it is asked again at once: it may only have given way.
            if chunk.is_empty() {
                budget.rest();
            }
            Gathered::Ready
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        conformance, every_way, items, marbles, specification, timeline, timetable,
    };

    #[test]
    fn what_is_ready_comes_at_once_and_nothing_waits() {
        let feed = [(2, 'a'), (2, 'b'), (2, 'c'), (8, 'd')];
        let flow = timetable(feed, 11).ready_chunks(2);
        let expected = vec![(2, vec!['a', 'b']), (2, vec!['c']), (8, vec!['d'])];
        assert_eq!(timeline(flow), (expected, 11));
    }

    #[test]
    fn no_chunk_is_larger_than_it_may_be_and_none_is_empty() {
        assert_eq!(every_way(|| iter(0..5).ready_chunks(2)), [vec![0, 1], vec![2, 3], vec![4]]);
        assert_eq!(every_way(|| iter(0..4).ready_chunks(2)), [[0, 1], [2, 3]]);
        assert!(items(timetable::<u8>([], 3).ready_chunks(2)).is_empty());
    }

    #[test]
    #[should_panic(expected = "ready_chunks: the maximum must not be zero, at operators/src/tran")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).ready_chunks(0);
    }

    marbles!(ready_chunks, |input| input.ready_chunks(2));

    conformance!(ready_chunks, |input| input.ready_chunks(3), except [
        NoAllocation: "each chunk is a vector of its own",
        Invariance: "which items are ready at once is not promised",
    ]);

    specification!(
        ready_chunks,
        |input| input.ready_chunks(3).inspect(|chunk| assert!(chunk.len() <= 3)).flatten_chunks(),
        |input| input,
    );
}
