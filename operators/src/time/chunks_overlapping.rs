//! `chunks_overlapping`: items by the vector, by time, where vectors may share items.

use std::collections::VecDeque;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::schedule::next_tick;
use crate::buffer::checked;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage<Item: Clone>> Flow<S> {
    /// Opens a vector `every` so often, collects into it for a time of `span`, and emits it.
    ///
    /// ```text
    /// in   -a---b-c---d--|
    /// out  -----A---B---C(D|)    chunks_overlapping(5, 4, 9)
    /// where  A = [a, b], B = [b, c], C = [d], D = []
    /// ```
    ///
    /// With a `span` longer than `every` vectors overlap, and an item goes into each that is open;
    /// with a shorter one there are gaps, and what comes there is dropped. The first opens with
    /// the first poll, the others on a fixed schedule; one that a consumer missed because it was
    /// busy is not opened. At one instant the items come first, then vectors are closed, then one
    /// is opened. One that has `max` items is emitted without waiting. For vectors that follow each
    /// other there is [`chunks_every`](Self::chunks_every).
    ///
    /// - **Emits** a vector when its span is over or it is full, also one without items; at the
    ///   end those that are open, in the order in which they were opened.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and the last vector is out.
    /// - **On error**: an error is an item here and is collected like one.
    /// - **Holds** `max` items in each vector that is open: `span / every` of them, rounded up.
    /// - **Cost**: one allocation for each vector, a copy of the item for each but one that is
    ///   open; one clock read for each turn, one timer operation for each opening and closing.
    ///
    /// # Panics
    ///
    /// If `span`, `every` or `max` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed};
    /// # use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let ticks = interval(ms(400), Missed::Burst).take(5);
    /// let sizes = ticks.chunks_overlapping(ms(1000), ms(500), 100).map(|ticks| ticks.len());
    /// assert_eq!(Virtual::new().run(sizes.collect::<Vec<_>>()), [2, 2, 3, 2]);
    /// ```
    #[doc(alias("buffer_time", "sliding_time", "hopping"))]
    #[track_caller]
    pub fn chunks_overlapping(
        self,
        span: Duration,
        every: Duration,
        max: usize,
    ) -> Flow<ChunksOverlapping<S>> {
        let site = Location::caller();
        assert!(!span.is_zero(), "chunks_overlapping: the span must not be zero, at {site}");
        assert!(!every.is_zero(), "chunks_overlapping: the distance must not be zero, at {site}");
        let max = checked(max, "chunks_overlapping", site).get();
        Flow::from_stage(ChunksOverlapping {
            input: self.into_stage(),
            span,
            every,
            max,
            next: None,
            open: VecDeque::new(),
            alarm: Alarm::new(),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::chunks_overlapping`].
#[pin_project]
#[derive(Debug)]
pub struct ChunksOverlapping<S: Stage> {
    #[pin]
    input: S,
    span: Duration,
    every: Duration,
    max: usize,
    /// When the next one opens, from the first poll on.
    next: Option<Timestamp>,
    /// With the end of their spans. The one that was opened first is at the front, and has the
    /// most items.
    open: VecDeque<(Timestamp, Vec<S::Item>)>,
    /// Set to the next opening or closing.
    alarm: Alarm,
    ended: bool,
    site: Site,
}

impl<S: Stage<Item: Clone>> Stage for ChunksOverlapping<S> {
    type Item = Vec<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let (open, span, every) = (this.open, *this.span, *this.every);
        let now = this.alarm.now();
        let pop = |open: &mut VecDeque<_>| open.pop_front().map(|(_, chunk)| chunk);
        loop {
            if *this.ended || open.front().is_some_and(|(_, first)| first.len() >= *this.max) {
                return Poll::Ready(pop(open));
            }
            let next = match *this.next {
                Some(next) => next,
                None => {
                    open.push_back((now + span, Vec::new()));
                    *this.next.insert(now + every)
                }
            };
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    // Each but the last gets a copy.
                    for (_, other) in open.iter_mut().rev().skip(1).rev() {
                        other.push(item.clone());
                    }
                    if let Some((_, last)) = open.back_mut() {
                        last.push(item);
                    }
                    continue;
                }
                Poll::Ready(None) => {
                    *this.ended = true;
                    continue;
                }
                Poll::Pending => {}
            }
            let closes = open.front().map(|(due, _)| *due);
            let due = closes.map_or(next, |closes| closes.min(next));
            if this.alarm.deadline() != Some(due) {
                this.alarm.set(due);
            }
            ready!(this.alarm.poll_at(now, cx));
            if closes == Some(due) {
                return Poll::Ready(pop(open));
            }
            open.push_back((next + span, Vec::new()));
            let after = now.max(next) + Duration::from_nanos(1);
            *this.next = Some(next_tick(next, every, after));
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let open = self.open.len();
        (open, self.ended.then_some(open))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let open = self.span.as_nanos().div_ceil(self.every.as_nanos());
        let open = usize::try_from(open).unwrap_or(usize::MAX);
        outline
            .stage("chunks_overlapping", self.site)
            .parameter("span", format_args!("{:?}", self.span))
            .parameter("every", format_args!("{:?}", self.every))
            .parameter("max", self.max)
            .holds(Bound::Items(open.saturating_mul(self.max)));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::*;

    marbles!(chunks_overlapping, |input| input.chunks_overlapping(ms(5), ms(4), 9));
    conformance!(chunks_overlapping, |input| input.chunks_overlapping(ms(5), ms(3), 3));
    specification!(
        chunks_overlapping,
        |input| input.chunks_overlapping(ms(5), ms(3), 99),
        |input| -> Timeline<_> {
            // An item at the instant of an opening comes before it.
            let within = |opened: i64, closed: i64| -> Vec<u8> {
                let since = if opened == 0 { -1 } else { opened };
                let events = input.events.iter().filter(|(at, _)| since < *at && *at <= closed);
                events.map(|(_, item)| *item).collect()
            };
            let openings = (0..input.end.max(1)).step_by(3);
            let chunks = openings.map(|opened| {
                let closed = (opened + 5).min(input.end);
                (closed, within(opened, closed))
            });
            Timeline::new(chunks, input.end)
        }
    );

    #[test]
    fn with_a_distance_longer_than_the_span_there_are_gaps() {
        let feed = timetable([(1, 'a'), (3, 'b'), (6, 'c')], 7);
        let flow = feed.chunks_overlapping(ms(2), ms(5), 9);
        assert_eq!(timeline(flow), (vec![(2, vec!['a']), (7, vec!['c'])], 7));
    }

    #[test]
    fn chunks_that_are_full_do_not_wait() {
        let feed = timetable([(1, 'a'), (4, 'b'), (5, 'c')], 6);
        let flow = feed.chunks_overlapping(ms(9), ms(3), 2);
        let expected = vec![(4, vec!['a', 'b']), (5, vec!['b', 'c'])];
        assert_eq!(timeline(flow), (expected, 6));
    }

    #[test]
    #[should_panic(expected = "chunks_overlapping: the distance must not be zero, at operators/")]
    fn a_distance_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).chunks_overlapping(ms(1), ms(0), 1);
    }
}
