//! `chunks_timeout`: items in vectors, by number or by time.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Bound, Flow, Outline, Site, Stage};

/// The most items that a vector has room for before any came.
const FIRST_ROOM: usize = 1024;

impl<S: Stage> Flow<S> {
    /// Collects items into vectors of `size`, each emitted at the latest `after` its first item.
    ///
    /// ```text
    /// in     a-b-c---d-----------e-|
    /// out    ----x-------y---------(z|)    chunks_timeout(3, 4)
    /// where  x = [a, b, c], y = [d], z = [e]
    /// ```
    ///
    /// A vector is never empty: its time begins with its first item, and none begins without one.
    /// An item at the very instant at which the time is over comes before the timer and belongs
    /// to the vector.
    ///
    /// - **Emits** a vector when it is full, at once; one that is not full, `after` its first
    ///   item; at the end what there is, at once.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and the last vector is out.
    /// - **On error**: an error is an item here and is collected like one.
    /// - **Holds** `size` items.
    /// - **Cost**: one allocation for each vector; one clock read for each turn that ends with a
    ///   vector begun, one timer operation for a vector that is not full within one turn.
    ///
    /// # Panics
    ///
    /// If `size` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use std::time::Duration;
    /// let batches = iter(0..10).chunks_timeout(4, Duration::from_millis(5));
    /// let sizes = batches.fold(Vec::new(), |mut all, batch| { all.push(batch.len()); all });
    /// assert_eq!(Virtual::new().run(sizes), [4, 4, 2]);
    /// ```
    #[doc(alias("buffer_timeout", "buffer_time", "grouped_within", "group_within", "batch"))]
    #[track_caller]
    pub fn chunks_timeout(self, size: usize, after: Duration) -> Flow<ChunksTimeout<S>> {
        let site = Location::caller();
        let Some(size) = NonZeroUsize::new(size) else {
            panic!("chunks_timeout: the size must not be zero, at {site}")
        };
        Flow::from_stage(ChunksTimeout {
            input: self.into_stage(),
            size,
            after,
            chunk: Vec::new(),
            alarm: Alarm::new(),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks_timeout`].
#[pin_project]
#[derive(Debug)]
pub struct ChunksTimeout<S: Stage> {
    #[pin]
    input: S,
    size: NonZeroUsize,
    after: Duration,
    chunk: Vec<S::Item>,
    /// Set while the chunk waits for more items.
    alarm: Alarm,
    ended: bool,
    site: Site,
}

impl<S: Stage> Stage for ChunksTimeout<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let (chunk, size) = (this.chunk, this.size.get());
        let drained = this.input.poll_drain(cx, &mut |item| {
            if chunk.is_empty() {
                chunk.reserve(size.min(FIRST_ROOM));
            }
            chunk.push(item);
            if chunk.len() == size { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match drained {
            Poll::Ready(ControlFlow::Break(())) => this.alarm.clear(),
            Poll::Ready(ControlFlow::Continue(())) => {
                *this.ended = true;
                if chunk.is_empty() {
                    return Poll::Ready(None);
                }
            }
            Poll::Pending if chunk.is_empty() => return Poll::Pending,
            Poll::Pending => {
                let now = this.alarm.now();
                if this.alarm.deadline().is_none() {
                    this.alarm.set(now + *this.after);
                }
                ready!(this.alarm.poll_at(now, cx));
            }
        }
        Poll::Ready(Some(std::mem::take(chunk)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let begun = self.chunk.len();
        (
            least.saturating_add(begun).div_ceil(self.size.get()),
            most.and_then(|most| most.checked_add(usize::from(begun > 0))),
        )
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("chunks_timeout", self.site)
            .parameter("size", self.size)
            .parameter("after", format_args!("{:?}", self.after))
            .holds(Bound::Items(self.size.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Stage, iter};

    #[test]
    fn a_full_chunk_goes_at_once_and_another_after_the_time_since_its_first_item() {
        let feed = [(0, 'a'), (2, 'b'), (4, 'c'), (8, 'd'), (20, 'e')];
        let flow = timetable(feed, 22).chunks_timeout(3, ms(5));
        let expected = vec![(4, vec!['a', 'b', 'c']), (13, vec!['d']), (22, vec!['e'])];
        assert_eq!(timeline(flow), (expected, 22));
    }

    #[test]
    fn the_time_of_a_full_chunk_does_not_cut_the_next_one() {
        let feed = [(0, 'a'), (1, 'b'), (2, 'c'), (6, 'd'), (30, 'e')];
        let flow = timetable(feed, 40).chunks_timeout(2, ms(5));
        let expected = vec![(1, vec!['a', 'b']), (6, vec!['c', 'd']), (35, vec!['e'])];
        assert_eq!(timeline(flow), (expected, 40));
    }

    #[test]
    fn an_item_at_the_instant_of_the_timer_belongs_to_the_chunk() {
        let flow = timetable([(0, 'a'), (5, 'b')], 30).chunks_timeout(9, ms(5));
        assert_eq!(timeline(flow), (vec![(5, vec!['a', 'b'])], 30));
    }

    #[test]
    fn no_chunk_is_ever_empty() {
        let flow = timetable([(50, 'a')], 50).chunks_timeout(1, ms(5));
        assert_eq!(timeline(flow), (vec![(50, vec!['a'])], 50));
        assert_eq!(items(iter(0..0).chunks_timeout(1, ms(5))), [[0; 0]; 0]);
    }

    #[test]
    fn the_size_hint_lies_between_full_chunks_and_single_items() {
        let flow = iter(0..10).chunks_timeout(4, ms(5));
        assert_eq!(flow.size_hint(), (3, Some(10)));
    }

    #[test]
    #[should_panic(expected = "chunks_timeout: the size must not be zero, at operators/src/time")]
    fn a_size_of_zero_is_refused_where_it_was_written() {
        let _ = iter(0..1).chunks_timeout(0, ms(5));
    }

    conformance!(chunks_timeout, |input| input.chunks_timeout(2, ms(3)), except [
        NoAllocation: "each chunk is a vector of its own",
    ]);

    marbles!(chunks_timeout, |input| input.chunks_timeout(3, ms(4)));

    specification!(chunks_timeout, |input| input.chunks_timeout(3, ms(4)), |input| {
        let mut output: Vec<(i64, Vec<u8>)> = Vec::new();
        let mut open: Option<(i64, Vec<u8>)> = None;
        for (at, item) in input.events {
            output.extend(open.take_if(|(over, _)| *over < at));
            let (_, chunk) = open.get_or_insert((at + 4, Vec::new()));
            chunk.push(item);
            output.extend(open.take_if(|(_, chunk)| chunk.len() == 3).map(|(_, full)| (at, full)));
        }
        output.extend(open.map(|(over, rest)| (over.min(input.end), rest)));
        Timeline::new(output, input.end)
    });
}
