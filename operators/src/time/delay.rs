//! `delay`: every item later by the same time.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Emits each item `by` later than it came, in order.
    ///
    /// ```text
    /// in   a-b---c|
    /// out  ---a-b---(c|)    delay(3, 8)
    /// ```
    ///
    /// At most `capacity` items are on their way at once; then the input has to wait, and what it
    /// brings later is delayed from then on. The clock starts when the delay takes an item, so it
    /// should be polled while items come.
    ///
    /// - **Emits** each item `by` after it was taken.
    /// - **Backpressures** when `capacity` items are on their way.
    /// - **Ends** when the input has ended and the last item is out.
    /// - **On error**: an error is an item here and is delayed like one.
    /// - **Holds** `capacity` items.
    /// - **Cost**: one clock read for each turn in which items came and one for each item that goes
    ///   out, no allocation once the queue has grown.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Clock, Virtual, iter};
    /// # use std::time::Duration;
    /// let late = iter(["tick"]).delay(Duration::from_secs(60), 1);
    /// let at = Virtual::new().run(async {
    ///     late.count().await;
    ///     Clock::current().now()
    /// });
    /// assert_eq!(at.as_secs(), 60);
    /// ```
    #[doc(alias("delay_elements", "delay_by"))]
    #[track_caller]
    pub fn delay(self, by: Duration, capacity: usize) -> Flow<Delay<S>> {
        let site = Location::caller();
        let Some(capacity) = NonZeroUsize::new(capacity) else {
            panic!("delay: the capacity must not be zero, at {site}")
        };
        Flow::from_stage(Delay {
            input: self.into_stage(),
            by,
            capacity,
            waiting: VecDeque::new(),
            ended: false,
            alarm: Alarm::new(),
            site,
        })
    }
}

/// The stage behind [`Flow::delay`].
#[pin_project]
#[derive(Debug)]
pub struct Delay<S: Stage> {
    #[pin]
    input: S,
    by: Duration,
    capacity: NonZeroUsize,
    /// Each item with the time at which it may go, earliest first.
    waiting: VecDeque<(Timestamp, S::Item)>,
    ended: bool,
    /// Set to the time of the first item that waits.
    alarm: Alarm,
    site: Site,
}

impl<S: Stage> Delay<S> {
    fn fill(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let mut due = None;
        while !*this.ended && this.waiting.len() < this.capacity.get() {
            match this.input.as_mut().poll_next(cx) {
                Poll::Pending => break,
                Poll::Ready(None) => *this.ended = true,
                Poll::Ready(Some(item)) => {
                    let due = *due.get_or_insert_with(|| this.alarm.now() + *this.by);
                    this.waiting.push_back((due, item));
                }
            }
        }
    }
}

impl<S: Stage> Stage for Delay<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.as_mut().fill(cx);
        let this = self.project();
        let Some((due, _)) = this.waiting.front() else {
            return if *this.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        if this.alarm.deadline() != Some(*due) {
            this.alarm.set(*due);
        }
        if this.alarm.poll(cx).is_pending() {
            if this.waiting.len() == this.capacity.get() {
                // The input was not asked, so what is in flight above goes on only if it is driven.
                let _ = this.input.poll_progress(cx);
            }
            return Poll::Pending;
        }
        Poll::Ready(this.waiting.pop_front().map(|(_, item)| item))
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_mut().fill(cx);
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let waiting = self.waiting.len();
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("delay", self.site)
            .parameter("by", format_args!("{:?}", self.by))
            .parameter("capacity", self.capacity)
            .holds(Bound::Items(self.capacity.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    #[test]
    fn every_item_is_shifted_by_the_same_time_and_so_is_the_end() {
        let flow = timetable([(1, 'a'), (3, 'b')], 4).delay(ms(10), 8);
        assert_eq!(timeline(flow), (vec![(11, 'a'), (13, 'b')], 13));
    }

    #[test]
    fn a_full_delay_makes_its_input_wait() {
        let flow = timetable([(0, 'a'), (1, 'b'), (2, 'c')], 2).delay(ms(10), 1);
        assert_eq!(timeline(flow), (vec![(10, 'a'), (20, 'b'), (30, 'c')], 30));
    }

    #[test]
    #[should_panic(expected = "delay: the capacity must not be zero, at operators/src/time")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = timetable([(0, 'a')], 1).delay(ms(1), 0);
    }

    conformance!(delay, |input| input.delay(ms(3), 100));
    conformance!(delay_that_is_full, |input| input.delay(ms(3), 2));

    marbles!(delay, |input| input.delay(ms(3), 8));

    specification!(delay, |input| input.delay(ms(5), 1_000), |input| -> Timeline<_> {
        let late: Vec<_> = input.events.iter().map(|(at, item)| (at + 5, *item)).collect();
        let end = late.last().map_or(input.end, |(at, _)| input.end.max(*at));
        Timeline::new(late, end)
    });
}
