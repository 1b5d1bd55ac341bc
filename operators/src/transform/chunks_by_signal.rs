//! `chunks_by_signal`: items by the vector, cut where a signal says so.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::chunk::{Chunk, Empty, Filled};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Collects items into vectors and emits one for each item of `signal`.
    ///
    /// ```text
    /// in      abc---------d-|
    /// signal  -----x-----x---
    /// emit    -----A-----B--(C|)    chunks_by_signal(signal, 9, Empty::Emit)
    /// skip    -----A--------(C|)    chunks_by_signal(signal, 9, Empty::Skip)
    /// where  A = [a, b, c], B = [], C = [d]
    /// ```
    ///
    /// A vector that has `max` items does not wait for the signal. If an item and the signal are
    /// ready together, the item comes first. That the signal ends means nothing.
    ///
    /// - **Emits** what has been collected when the signal has an item, or when there are `max`
    ///   items; at the end what there is. `empty` says what becomes of a vector without items.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and the last vector is out.
    /// - **On error**: an error of the input is an item here and is collected like one; one of the
    ///   signal is a signal.
    /// - **Holds** `max` items.
    /// - **Cost**: one allocation for each vector, no clock read.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, never, transform::Empty};
    /// # futures::executor::block_on(async {
    /// let all = iter(1..=5).chunks_by_signal(never::<()>(), 3, Empty::Skip);
    /// assert_eq!(all.collect::<Vec<_>>().await, [vec![1, 2, 3], vec![4, 5]]);
    /// # });
    /// ```
    #[doc(alias("buffer", "buffer_until", "chunked_by_signal"))]
    #[track_caller]
    pub fn chunks_by_signal<O: Stage>(
        self,
        signal: Flow<O>,
        max: usize,
        empty: Empty,
    ) -> Flow<ChunksBySignal<S, O>> {
        let site = Location::caller();
        Flow::from_stage(ChunksBySignal {
            input: self.into_stage(),
            signal: Some(signal.into_stage()),
            chunk: Chunk::new(max, empty, "chunks_by_signal", site),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks_by_signal`].
#[pin_project]
#[derive(Debug)]
pub struct ChunksBySignal<S: Stage, O> {
    #[pin]
    input: S,
    /// `None` once it has ended or is of no more use.
    #[pin]
    signal: Option<O>,
    chunk: Chunk<S::Item>,
    ended: bool,
    site: Site,
}

impl<S: Stage, O: Stage> Stage for ChunksBySignal<S, O> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        match this.chunk.fill(this.input.as_mut(), cx) {
            Filled::Full => return Poll::Ready(this.chunk.cut()),
            Filled::Ended => {
                *this.ended = true;
                this.signal.set(None);
                return Poll::Ready(this.chunk.cut());
            }
            Filled::Waiting => {}
        }
        while let Some(signal) = this.signal.as_mut().as_pin_mut() {
            if ready!(signal.poll_next(cx)).is_none() {
                this.signal.set(None);
            } else if let chunk @ Some(_) = this.chunk.cut() {
                return Poll::Ready(chunk);
            }
        }
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let signal = this.signal.as_pin_mut();
        let signal = signal.map_or(Poll::Ready(()), |signal| signal.poll_progress(cx));
        if this.input.poll_progress(cx).is_pending() { Poll::Pending } else { signal }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.chunk.least(self.input.size_hint().0), None)
    }

    fn describe(&self, outline: &mut Outline) {
        let signal = self.signal.as_ref().map(Outline::of);
        outline
            .join(
                "chunks_by_signal",
                self.site,
                [Outline::of(&self.input)].into_iter().chain(signal),
            )
            .parameter("max", self.chunk.max)
            .parameter("empty", format_args!("{:?}", self.chunk.empty))
            .holds(Bound::Items(self.chunk.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::Empty;
    use crate::testing::*;
    use crate::{iter, never};

    marbles!(chunks_by_signal[emit], |input, signal| input.chunks_by_signal(
        signal,
        9,
        Empty::Emit
    ));
    marbles!(chunks_by_signal[skip], |input, signal| input.chunks_by_signal(
        signal,
        9,
        Empty::Skip
    ));
    conformance!(chunks_by_signal, |input, signal| {
        input.chunks_by_signal(signal, 3, Empty::Skip)
    }, except [
        Invariance: "which of two inputs that are ready at one instant comes first decides",
        NoAllocation: "a vector for each chunk",
    ]);

    #[test]
    fn a_full_chunk_does_not_wait_and_the_end_of_the_signal_means_nothing() {
        let signal = || timetable([(4, ())], 5);
        let feed = || timetable([(1, 'a'), (2, 'b'), (3, 'c'), (9, 'd')], 10);
        let flow = feed().chunks_by_signal(signal(), 2, Empty::Emit);
        let expected = vec![(2, vec!['a', 'b']), (4, vec!['c']), (10, vec!['d'])];
        assert_eq!(timeline(flow), (expected, 10));
    }

    #[test]
    fn without_items_the_end_gives_an_empty_chunk_or_none() {
        let flow = |empty| iter([0; 0]).chunks_by_signal(never::<()>(), 2, empty);
        assert_eq!(every_way(|| flow(Empty::Emit)), [[0; 0]]);
        assert!(every_way(|| flow(Empty::Skip)).is_empty());
    }

    #[test]
    #[should_panic(expected = "chunks_by_signal: the most items of a chunk must not be zero, at ")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_by_signal(never::<()>(), 0, Empty::Skip);
    }

    /// The chunks of at most three, with those that are empty.
    fn cut(input: Timeline<u8>, signal: Timeline<u8>) -> Timeline<Vec<u8>> {
        let items = input.events.into_iter().map(|(at, x)| (at, Some(x)));
        let signals = signal.events.into_iter().map(|(at, _)| (at, None));
        // At one instant the items stand before the signal, and the end does as well.
        let mut all: Vec<_> = items.chain(signals.filter(|(at, _)| *at < input.end)).collect();
        all.sort_by_key(|(at, _)| *at);
        let (mut chunk, mut output) = (Vec::new(), Timeline::new([], input.end));
        for (at, item) in all {
            chunk.extend(item);
            if item.is_none() || chunk.len() == 3 {
                output.events.push((at, std::mem::take(&mut chunk)));
            }
        }
        output.events.push((input.end, chunk));
        output
    }

    specification!(
        chunks_by_signal_all,
        |input, signal| input.chunks_by_signal(signal, 3, Empty::Emit),
        |input, signal| cut(input, signal)
    );
    specification!(
        chunks_by_signal,
        |input, signal| input.chunks_by_signal(signal, 3, Empty::Skip),
        |input, signal| -> Timeline<_> {
            let mut output = cut(input, signal);
            output.events.retain(|(_, chunk)| !chunk.is_empty());
            output
        }
    );
}
