//! `chunks_when`: items by the vector, each with a signal of its own.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::chunk::{Chunk, Empty, Filled};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Collects items into vectors; each is emitted when the flow that `closing` made for it has
    /// its first item.
    ///
    /// ```text
    /// in   -a-b---c-d--|
    /// out  -----A----B-(C|)    chunks_when(|| timer(5), 9, Empty::Emit)
    /// where  A = [a, b], B = [c, d], C = []
    /// ```
    ///
    /// `closing` is called at the first poll and whenever a vector is out. A vector that has `max`
    /// items does not wait. A closing flow that ends without an item leaves its vector open until
    /// then. If an item and the closing are ready together, the item comes first. Where all take
    /// equally long, [`chunks_every`](Self::chunks_every) is cheaper.
    ///
    /// - **Emits** what has been collected when the closing has an item, or when there are `max`
    ///   items; at the end what there is. `empty` says what becomes of a vector without items.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and the last vector is out.
    /// - **On error**: an error of the input is an item here and is collected like one; one of a
    ///   closing closes.
    /// - **Holds** `max` items, and what the closing holds.
    /// - **Cost**: one allocation and one call of `closing` for each vector, no clock read.
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, never, transform::Empty};
    /// # futures::executor::block_on(async {
    /// let all = iter(1..=5).chunks_when(never::<()>, 3, Empty::Skip);
    /// assert_eq!(all.collect::<Vec<_>>().await, [vec![1, 2, 3], vec![4, 5]]);
    /// # });
    /// ```
    #[doc(alias("buffer_when"))]
    #[track_caller]
    pub fn chunks_when<W, F>(
        self,
        closing: F,
        max: usize,
        empty: Empty,
    ) -> Flow<ChunksWhen<S, W, F>>
    where
        W: Stage,
        F: FnMut() -> Flow<W>,
    {
        let site = Location::caller();
        Flow::from_stage(ChunksWhen {
            input: self.into_stage(),
            make: closing,
            closing: None,
            open: false,
            chunk: Chunk::new(max, empty, "chunks_when", site),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks_when`].
#[pin_project]
#[derive(Debug)]
pub struct ChunksWhen<S: Stage, W, F> {
    #[pin]
    input: S,
    make: F,
    /// `None` also when it has ended without an item.
    #[pin]
    closing: Option<Flow<W>>,
    /// Whether the chunk has got its closing.
    open: bool,
    chunk: Chunk<S::Item>,
    ended: bool,
    site: Site,
}

impl<S, W, F> Stage for ChunksWhen<S, W, F>
where
    S: Stage,
    W: Stage,
    F: FnMut() -> Flow<W>,
{
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        while !*this.ended {
            if !*this.open {
                let closing = (this.make)();
                this.closing.set(Some(closing));
                *this.open = true;
            }
            match this.chunk.fill(this.input.as_mut(), cx) {
                Filled::Waiting => {
                    let Some(closing) = this.closing.as_mut().as_pin_mut() else {
                        return Poll::Pending;
                    };
                    let closed = ready!(closing.poll_next(cx));
                    this.closing.set(None);
                    if closed.is_none() {
                        return Poll::Pending;
                    }
                }
                Filled::Full => this.closing.set(None),
                Filled::Ended => {
                    this.closing.set(None);
                    *this.ended = true;
                }
            }
            *this.open = false;
            if let chunk @ Some(_) = this.chunk.cut() {
                return Poll::Ready(chunk);
            }
        }
        Poll::Ready(None)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let closing = this.closing.as_pin_mut();
        let closing = closing.map_or(Poll::Ready(()), |closing| closing.poll_progress(cx));
        if this.input.poll_progress(cx).is_pending() { Poll::Pending } else { closing }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if self.ended {
            return (0, Some(0));
        }
        (self.chunk.least(self.input.size_hint().0), None)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("chunks_when", self.site)
            .parameter("max", self.chunk.max)
            .parameter("empty", format_args!("{:?}", self.chunk.empty))
            .holds(Bound::Items(self.chunk.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::Empty;
    use crate::testing::*;
    use crate::transform::flattening::inner::{millis, nanos};
    use crate::{empty, iter, never, timer};
    use std::time::Duration;

    marbles!(chunks_when, |input| input.chunks_when(|| timer(ms(5)), 9, Empty::Emit));
    conformance!(chunks_when, |input| {
        // Never at the instant of an item: there the order of two sources decides.
        input.chunks_when(|| timer(Duration::from_micros(2_490)), 3, Empty::Emit)
    }, except [
        NoAllocation: "a vector for each chunk",
    ]);

    #[test]
    fn a_closing_that_ends_without_an_item_closes_nothing() {
        let flow = timetable([(1, 'a'), (2, 'b'), (7, 'c')], 9);
        let flow = flow.chunks_when(empty::<()>, 2, Empty::Skip);
        assert_eq!(timeline(flow), (vec![(2, vec!['a', 'b']), (9, vec!['c'])], 9));
    }

    #[test]
    fn a_full_chunk_takes_its_closing_with_it() {
        let flow = timetable([(1, 'a'), (2, 'b'), (3, 'c')], 20);
        let flow = flow.chunks_when(|| timer(ms(4)), 2, Empty::Skip);
        assert_eq!(timeline(flow), (vec![(2, vec!['a', 'b']), (6, vec!['c'])], 20));
    }

    #[test]
    #[should_panic(expected = "chunks_when: the most items of a chunk must not be zero, at ")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_when(never::<()>, 0, Empty::Skip);
    }

    // Never at the instant of an item.
    const SPAN: i64 = 4_490_007;

    specification!(
        chunks_when,
        |input| {
            let span = Duration::from_nanos(SPAN.unsigned_abs());
            input.chunks_when(move || timer(span), 3, Empty::Emit)
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut chunk, mut due) = (Vec::new(), SPAN);
            let mut output = Timeline::new([], input.end);
            let end = (input.end, None);
            for (at, item) in input.events.into_iter().map(|(at, x)| (at, Some(x))).chain([end]) {
                while due < at {
                    output.events.push((due, std::mem::take(&mut chunk)));
                    due += SPAN;
                }
                chunk.extend(item);
                if item.is_none() || chunk.len() == 3 {
                    output.events.push((at, std::mem::take(&mut chunk)));
                    due = at + SPAN;
                }
            }
            millis(output)
        }
    );
}
