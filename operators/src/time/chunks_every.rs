//! `chunks_every`: items by the vector, by time alone.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::schedule::next_tick;
use crate::transform::Empty;
use crate::transform::chunk::{Chunk, Filled};
use crate::{Alarm, Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Collects the items of each `span` into a vector.
    ///
    /// ```text
    /// in    ab-c--------d|
    /// emit  ----A---B---C(D|)    chunks_every(4, 9, Empty::Emit)
    /// skip  ----A-------C|       chunks_every(4, 9, Empty::Skip)
    /// where  A = [a, b, c], B = [], C = [d], D = []
    /// ```
    ///
    /// The first span begins with the first poll, the next one when a vector is out: at the end of
    /// its span, on a fixed schedule, or when it has `max` items. Where the time should begin with
    /// an item, there is [`chunks_timeout`](Self::chunks_timeout). An item at the very instant at
    /// which a span is over comes before the timer and belongs to it; what a consumer that was busy
    /// takes late belongs to the vector that is open then, and a span that it missed gives none.
    ///
    /// - **Emits** a vector at the end of each span, or when it is full; at the end what there is.
    ///   `empty` says what becomes of a vector without items.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and the last vector is out.
    /// - **On error**: an error is an item here and is collected like one.
    /// - **Holds** `max` items.
    /// - **Cost**: one allocation for each vector; one clock read for each turn, one timer operation
    ///   for each span.
    ///
    /// # Panics
    ///
    /// If `span` or `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed, transform::Empty};
    /// # use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let seconds = interval(ms(300), Missed::Burst).chunks_every(ms(1000), 100, Empty::Emit);
    /// let sizes = seconds.map(|ticks| ticks.len()).take(3).collect::<Vec<_>>();
    /// assert_eq!(Virtual::new().run(sizes), [3, 3, 4]);
    /// ```
    #[doc(alias("buffer_time", "window_time", "chunked_by_time"))]
    #[track_caller]
    pub fn chunks_every(self, span: Duration, max: usize, empty: Empty) -> Flow<ChunksEvery<S>> {
        let site = Location::caller();
        assert!(!span.is_zero(), "chunks_every: the span must not be zero, at {site}");
        Flow::from_stage(ChunksEvery {
            input: self.into_stage(),
            span,
            chunk: Chunk::new(max, empty, "chunks_every", site),
            alarm: Alarm::new(),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks_every`].
#[pin_project]
#[derive(Debug)]
pub struct ChunksEvery<S: Stage> {
    #[pin]
    input: S,
    span: Duration,
    chunk: Chunk<S::Item>,
    /// Set to the end of the span from the first poll on.
    alarm: Alarm,
    ended: bool,
    site: Site,
}

impl<S: Stage> Stage for ChunksEvery<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let mut now = None;
        if this.alarm.deadline().is_none() {
            let now = *now.insert(this.alarm.now());
            this.alarm.set(now + *this.span);
        }
        loop {
            match this.chunk.fill(this.input.as_mut(), cx) {
                Filled::Full => {
                    // Read anew: the turn may have been a long one.
                    let full = this.alarm.now();
                    this.alarm.set(full + *this.span);
                    return Poll::Ready(this.chunk.cut());
                }
                Filled::Ended => {
                    *this.ended = true;
                    return Poll::Ready(this.chunk.cut());
                }
                Filled::Waiting => {}
            }
            let now = now.take().unwrap_or_else(|| this.alarm.now());
            let due = this.alarm.deadline().unwrap_or(now);
            ready!(this.alarm.poll_at(now, cx));
            let after = now.max(due) + Duration::from_nanos(1);
            this.alarm.set(next_tick(due, *this.span, after));
            if let chunk @ Some(_) = this.chunk.cut() {
                return Poll::Ready(chunk);
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
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
            .stage("chunks_every", self.site)
            .parameter("span", format_args!("{:?}", self.span))
            .parameter("max", self.chunk.max)
            .parameter("empty", format_args!("{:?}", self.chunk.empty))
            .holds(Bound::Items(self.chunk.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;
    use crate::transform::Empty;

    marbles!(chunks_every[emit], |input| input.chunks_every(ms(4), 9, Empty::Emit));
    marbles!(chunks_every[skip], |input| input.chunks_every(ms(4), 9, Empty::Skip));
    conformance!(chunks_every, |input| input.chunks_every(ms(3), 3, Empty::Emit), except [
        NoAllocation: "a vector for each chunk",
    ]);
    conformance!(chunks_every_skipping, |input| input.chunks_every(ms(3), 3, Empty::Skip), except [
        NoAllocation: "a vector for each chunk",
    ]);
    specification!(
        chunks_every,
        |input| input.chunks_every(ms(4), 99, Empty::Emit),
        |input| -> Timeline<_> {
            let mut output: Vec<(i64, Vec<u8>)> =
                (4..input.end).step_by(4).chain([input.end]).map(|tick| (tick, vec![])).collect();
            for (at, item) in input.events {
                if let Some(chunk) = output.iter_mut().find(|(tick, _)| at <= *tick) {
                    chunk.1.push(item);
                }
            }
            Timeline::new(output, input.end)
        }
    );

    #[test]
    fn a_full_chunk_begins_a_new_span() {
        let feed = timetable([(3, 'a'), (7, 'b'), (11, 'c'), (15, 'd'), (19, 'e'), (23, 'f')], 33);
        let flow = feed.chunks_every(ms(10), 3, Empty::Emit);
        let expected =
            vec![(10, vec!['a', 'b']), (19, vec!['c', 'd', 'e']), (29, vec!['f']), (33, vec![])];
        assert_eq!(timeline(flow), (expected, 33));
    }

    #[test]
    #[should_panic(expected = "chunks_every: the span must not be zero, at operators/src/time")]
    fn a_span_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_every(ms(0), 1, Empty::Skip);
    }

    #[test]
    #[should_panic(expected = "chunks_every: the most items of a chunk must not be zero, at ")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_every(ms(1), 0, Empty::Skip);
    }
}
