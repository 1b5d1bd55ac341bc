//! `chunks_toggle`: chunks that are opened and closed by signals, and may overlap.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::chunk::{Chunk, Empty};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage<Item: Clone>> Flow<S> {
    /// Opens a vector for each item of `openings` and collects into it until the flow that
    /// `closing` made of that item has its first item.
    ///
    /// ```text
    /// in        -a-b-c-d-e-f-|
    /// openings  --o---o-------
    /// out       ------A---B--|    chunks_toggle(openings, |_| timer(4), 2, 9)
    /// where  A = [b, c], B = [d, e]
    /// ```
    ///
    /// At most `open` vectors are open at once; openings beyond that wait. An item goes into each
    /// that is open: a copy into all but one. One that has `max` items is emitted without waiting
    /// for its closing. A closing that ends without an item leaves its vector open until the end.
    /// Of what is ready together the items come first, then the closings, then the openings. That
    /// the openings end means nothing.
    ///
    /// - **Emits** a vector when it is closed or full, also one without items; at the end those
    ///   that are open, in the order in which they were opened.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and the last vector is out.
    /// - **On error**: an error of the input is an item here and is collected like one; one of the
    ///   openings or closings is a signal.
    /// - **Holds** `max` items in each of `open` vectors, and what their closings hold.
    /// - **Cost**: two allocations for each vector, a copy of the item for each but one that is
    ///   open; no clock read.
    ///
    /// # Panics
    ///
    /// If `open` or `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, never, once};
    /// # futures::executor::block_on(async {
    /// let all = iter([1, 2]).chunks_toggle(once(()), |()| never::<()>(), 1, 10);
    /// // At one instant the items come first, and nothing was open for them.
    /// assert_eq!(all.collect::<Vec<_>>().await, [[0; 0]; 0]);
    /// # });
    /// ```
    #[doc(alias("buffer_toggle"))]
    #[track_caller]
    pub fn chunks_toggle<O, W, F>(
        self,
        openings: Flow<O>,
        closing: F,
        open: usize,
        max: usize,
    ) -> Flow<ChunksToggle<S, O, W, F>>
    where
        O: Stage,
        W: Stage,
        F: FnMut(O::Item) -> Flow<W>,
    {
        let site = Location::caller();
        let Some(most_open) = NonZeroUsize::new(open) else {
            panic!("chunks_toggle: the number of open chunks must not be zero, at {site}")
        };
        let Chunk { max, .. } = Chunk::<S::Item>::new(max, Empty::Emit, "chunks_toggle", site);
        Flow::from_stage(ChunksToggle {
            input: self.into_stage(),
            openings: Some(openings.into_stage()),
            closing,
            open: VecDeque::new(),
            most_open,
            max,
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks_toggle`].
#[pin_project]
#[derive(Debug)]
pub struct ChunksToggle<S: Stage, O, W, F> {
    #[pin]
    input: S,
    /// `None` once it has ended or is of no more use.
    #[pin]
    openings: Option<O>,
    closing: F,
    /// The one that was opened first is at the front, and has the most items.
    open: VecDeque<Open<S::Item, W>>,
    most_open: NonZeroUsize,
    max: NonZeroUsize,
    ended: bool,
    site: Site,
}

#[derive(Debug)]
struct Open<T, W> {
    chunk: Vec<T>,
    /// `None` if it has ended without an item.
    closing: Option<Pin<Box<Flow<W>>>>,
}

impl<T, W: Stage> Open<T, W> {
    fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(closing) = &mut self.closing else {
            return Poll::Pending;
        };
        match closing.as_mut().poll_next(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(_)) => Poll::Ready(()),
            Poll::Ready(None) => {
                self.closing = None;
                Poll::Pending
            }
        }
    }
}

impl<S, O, W, F> Stage for ChunksToggle<S, O, W, F>
where
    S: Stage<Item: Clone>,
    O: Stage,
    W: Stage,
    F: FnMut(O::Item) -> Flow<W>,
{
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let (open, max) = (this.open, this.max.get());
        loop {
            let is_full = open.front().is_some_and(|first| first.chunk.len() >= max);
            if is_full || *this.ended {
                return Poll::Ready(open.pop_front().map(|first| first.chunk));
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    // Each but the last gets a copy.
                    for other in open.iter_mut().rev().skip(1).rev() {
                        other.chunk.push(item.clone());
                    }
                    if let Some(last) = open.back_mut() {
                        last.chunk.push(item);
                    }
                    continue;
                }
                Poll::Ready(None) => {
                    *this.ended = true;
                    this.openings.set(None);
                    for open in &mut *open {
                        open.closing = None;
                    }
                    continue;
                }
                Poll::Pending => {}
            }
            if let Some(at) = open.iter_mut().position(|open| open.poll_closed(cx).is_ready()) {
                return Poll::Ready(open.remove(at).map(|closed| closed.chunk));
            }
            let Some(openings) = this.openings.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            if open.len() >= this.most_open.get() {
                // Not asked, so what is in flight there goes on only if it is driven.
                let _ = openings.poll_progress(cx);
                return Poll::Pending;
            }
            match openings.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => this.openings.set(None),
                // Its closing is polled in the next round.
                Poll::Ready(Some(opening)) => {
                    let closing = Some(Box::pin((this.closing)(opening)));
                    open.push_back(Open { chunk: Vec::new(), closing });
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let openings = this.openings.as_pin_mut();
        let mut idle = openings.is_none_or(|openings| openings.poll_progress(cx).is_ready());
        for closing in this.open.iter_mut().filter_map(|open| open.closing.as_mut()) {
            idle &= closing.as_mut().poll_progress(cx).is_ready();
        }
        idle &= this.input.poll_progress(cx).is_ready();
        if idle { Poll::Ready(()) } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let open = self.open.len();
        (open, self.ended.then_some(open))
    }

    fn describe(&self, outline: &mut Outline) {
        let openings = self.openings.as_ref().map(Outline::of);
        outline
            .join(
                "chunks_toggle",
                self.site,
                [Outline::of(&self.input)].into_iter().chain(openings),
            )
            .parameter("open", self.most_open)
            .parameter("max", self.max)
            .holds(Bound::Items(self.most_open.saturating_mul(self.max).get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::transform::flattening::inner::{millis, nanos};
    use crate::{empty, iter, never, once, timer};
    use std::time::Duration;

    marbles!(chunks_toggle, |input, openings| {
        input.chunks_toggle(openings, |_| timer(ms(4)), 2, 9)
    });
    conformance!(chunks_toggle, |input, openings| {
        input.chunks_toggle(openings, |_| timer(Duration::from_micros(2_490)), 2, 2)
    }, except [
        Invariance: "which of two inputs that are ready at one instant comes first decides",
    ]);

    #[test]
    fn an_item_goes_into_every_chunk_that_is_open() {
        let feed = timetable([(1, 'a'), (3, 'b'), (5, 'c'), (7, 'd')], 9);
        let openings = timetable([(0, ()), (2, ()), (4, ())], 5);
        let flow = feed.chunks_toggle(openings, |()| timer(ms(4)), 9, 9);
        let expected = vec![(4, vec!['a', 'b']), (6, vec!['b', 'c']), (8, vec!['c', 'd'])];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn openings_beyond_the_limit_wait() {
        let feed = timetable([(1, 'a'), (3, 'b'), (5, 'c'), (7, 'd')], 9);
        let openings = timetable([(0, ()), (2, ())], 5);
        let flow = feed.chunks_toggle(openings, |()| timer(ms(4)), 1, 9);
        let expected = vec![(4, vec!['a', 'b']), (8, vec!['c', 'd'])];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn a_full_chunk_does_not_wait_and_what_is_open_at_the_end_comes_out() {
        let feed = timetable([(1, 'a'), (3, 'b'), (5, 'c')], 9);
        let openings = timetable([(0, ()), (4, ()), (8, ())], 8);
        let flow = feed.chunks_toggle(openings, |()| empty::<u8>(), 9, 2);
        let expected = vec![(3, vec!['a', 'b']), (9, vec!['c']), (9, vec![])];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    #[should_panic(expected = "chunks_toggle: the number of open chunks must not be zero, at ")]
    fn room_for_no_chunk_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_toggle(once(()), |()| never::<()>(), 0, 1);
    }

    #[test]
    #[should_panic(expected = "chunks_toggle: the most items of a chunk must not be zero, at ")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_toggle(once(()), |()| never::<()>(), 1, 0);
    }

    // Never at the instant of an item.
    const SPAN: i64 = 6_490_007;

    /// What comes of chunks that are open for `SPAN`, where not both `open` and `max` are reached.
    fn toggled(
        input: Timeline<u8>,
        openings: Timeline<u8>,
        open: usize,
        max: usize,
    ) -> Timeline<Vec<u8>> {
        let (input, openings) = (nanos(input), nanos(openings));
        let mut closed: Vec<i64> = Vec::new();
        let mut output = Timeline::new([], input.end);
        for (at, _) in openings.events {
            // One that finds no room waits until the one before which it has to wait is closed.
            let room = closed.len().checked_sub(open).map_or(0, |before| closed[before]);
            let opened = at.max(room);
            // At one instant the items and the end stand before the opening.
            if opened >= input.end {
                break;
            }
            closed.push(opened + SPAN);
            let inside = |at: &i64| opened < *at && *at < opened + SPAN;
            let chunk = input.events.iter().filter(|(at, _)| inside(at)).take(max);
            let (times, chunk): (Vec<_>, Vec<_>) = chunk.copied().unzip();
            let full = (chunk.len() == max).then(|| times[max - 1]);
            output.events.push((full.unwrap_or((opened + SPAN).min(input.end)), chunk));
        }
        output.events.sort_by_key(|(at, _)| *at);
        millis(output)
    }

    fn span() -> Duration {
        Duration::from_nanos(SPAN.unsigned_abs())
    }

    specification!(
        chunks_toggle,
        |input, openings| input.chunks_toggle(openings, |_| timer(span()), 2, 99),
        |input, openings| toggled(input, openings, 2, 99)
    );
    specification!(
        chunks_toggle_full,
        |input, openings| input.chunks_toggle(openings, |_| timer(span()), 99, 3),
        |input, openings| toggled(input, openings, 99, 3)
    );
}
