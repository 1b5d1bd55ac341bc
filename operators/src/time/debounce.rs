//! `debounce`: an item once the input has been silent for a while.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Emits the latest item once no other has followed for `quiet`.
    ///
    /// ```text
    /// in   a-b-----c--|
    /// out  -----b-----(c|)    debounce(3)
    /// ```
    ///
    /// Items that were overtaken by a later one are dropped. An item that arrives at the very
    /// instant at which `quiet` is over comes before the timer: it replaces the one that waits.
    ///
    /// - **Emits** the last item of a burst, `quiet` after it; at the end the one that waits, at
    ///   once.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends and the item that waits is out.
    /// - **On error**: an error is an item here and waits like one.
    /// - **Holds** 1 item.
    /// - **Cost**: one clock read for each turn in which items came, no timer operation for an
    ///   item.
    ///
    /// An input that is never silent gives nothing until its end:
    /// [`debounce_max`](Self::debounce_max) sets a limit to that, and
    /// [`debounce_by`](Self::debounce_by) lets each item decide how long it waits.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use std::time::Duration;
    /// let last = iter([1, 2, 3]).debounce(Duration::from_millis(5));
    /// assert_eq!(Virtual::new().run(last.fold(0, |sum, x| sum + x)), 3);
    /// ```
    #[doc(alias("debounce_time", "throttle_with_timeout", "sample_timeout"))]
    #[track_caller]
    pub fn debounce(self, quiet: Duration) -> Flow<Debounce<S>> {
        Flow::from_stage(Debounce::new(self.into_stage(), quiet, None, Location::caller()))
    }

    /// Emits the latest item once no other has followed for `quiet`, but at the latest `max_wait`
    /// after the first that waited.
    ///
    /// ```text
    /// in   abcdefgh-----i|
    /// out  -----f----h---(i|)    debounce_max(3, 5)
    /// ```
    ///
    /// A burst begins with the first item after the last one that came out. What comes later
    /// replaces the item that waits, and not the time at which the burst began.
    ///
    /// - **Emits** the latest item, `quiet` after it or `max_wait` after the burst began, whichever
    ///   is first; at the end the one that waits, at once.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends and the item that waits is out.
    /// - **On error**: an error is an item here and waits like one.
    /// - **Holds** 1 item.
    /// - **Cost**: one clock read for each turn in which items came, no timer operation for an
    ///   item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed};
    /// # use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let restless = interval(ms(1), Missed::Burst).debounce_max(ms(2), ms(10));
    /// let first = Virtual::new().run(restless.first());
    /// assert_eq!(first.unwrap().as_millis(), 11);
    /// ```
    #[doc(alias("max_wait", "debounce_time_max"))]
    #[track_caller]
    pub fn debounce_max(self, quiet: Duration, max_wait: Duration) -> Flow<Debounce<S>> {
        let site = Location::caller();
        Flow::from_stage(Debounce::new(self.into_stage(), quiet, Some(max_wait), site))
    }
}

/// The stage behind [`Flow::debounce`] and [`Flow::debounce_max`].
#[pin_project]
#[derive(Debug)]
pub struct Debounce<S: Stage> {
    #[pin]
    input: S,
    quiet: Duration,
    max_wait: Option<Duration>,
    waiting: Option<S::Item>,
    /// The latest time for the item that waits, if there is a `max_wait`.
    limit: Option<Timestamp>,
    /// When the item that waits may go. Set while there is one.
    alarm: Alarm,
    ended: bool,
    site: Site,
}

impl<S: Stage> Debounce<S> {
    fn new(input: S, quiet: Duration, max_wait: Option<Duration>, site: Site) -> Self {
        let (alarm, waiting) = (Alarm::new(), None);
        Self { input, quiet, max_wait, waiting, limit: None, alarm, ended: false, site }
    }
}

impl<S: Stage> Stage for Debounce<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(None);
        }
        let mut came = false;
        while let Poll::Ready(item) = this.input.as_mut().poll_next(cx) {
            if item.is_none() {
                *this.ended = true;
                return Poll::Ready(this.waiting.take());
            }
            *this.waiting = item;
            came = true;
        }
        if came {
            let now = this.alarm.now();
            let quiet = now + *this.quiet;
            let due = match *this.max_wait {
                Some(max_wait) => quiet.min(*this.limit.get_or_insert(now + max_wait)),
                None => quiet,
            };
            this.alarm.set(due);
            ready!(this.alarm.poll_at(now, cx));
        } else {
            ready!(this.alarm.poll(cx));
        }
        *this.limit = None;
        Poll::Ready(this.waiting.take())
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.waiting.is_some());
        (waiting, self.input.size_hint().1.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let name = if self.max_wait.is_some() { "debounce_max" } else { "debounce" };
        let node = outline.stage(name, self.site);
        node.parameter("quiet", format_args!("{:?}", self.quiet)).holds(Bound::Items(1));
        if let Some(max_wait) = self.max_wait {
            node.parameter("max_wait", format_args!("{max_wait:?}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;

    marbles!(debounce, |input| input.debounce(ms(3)));

    marbles!(debounce_max, |input| input.debounce_max(ms(3), ms(5)));
    conformance!(debounced_max, |input| input.debounce_max(ms(3), ms(4)));

    specification!(debounce, |input| input.debounce(ms(5)), |input| -> Timeline<_> {
        let mut output = Timeline::new([], input.end);
        for (n, (at, item)) in input.events.iter().enumerate() {
            let next = input.events.get(n + 1).map_or(input.end, |(next, _)| *next);
            match input.events.get(n + 1) {
                Some(_) if next - at <= 5 => {}
                _ => output.events.push((next.min(at + 5), *item)),
            }
        }
        output
    });

    #[test]
    fn only_the_last_item_of_a_burst_comes_out_after_the_quiet_time() {
        let flow = timetable([(1, 'a'), (3, 'b'), (10, 'c'), (11, 'd')], 12).debounce(ms(5));
        assert_eq!(timeline(flow), (vec![(8, 'b'), (12, 'd')], 12));
    }

    #[test]
    fn an_item_at_the_instant_of_the_timer_comes_first_and_replaces() {
        let flow = timetable([(1, 'a'), (6, 'b')], 20).debounce(ms(5));
        assert_eq!(timeline(flow), (vec![(11, 'b')], 20));
    }

    conformance!(debounce, |input| input.debounce(ms(2)));

    #[test]
    fn a_restless_input_gives_an_item_when_the_longest_wait_is_over() {
        let flow = timetable((0..12).map(|n| (n, n)), 12).debounce_max(ms(3), ms(5));
        assert_eq!(timeline(flow), (vec![(5, 5), (11, 11)], 12));
    }

    #[test]
    fn the_longest_wait_begins_with_the_first_item_of_each_burst() {
        let flow = timetable([(0, 'a'), (1, 'b'), (20, 'c'), (22, 'd')], 40);
        let expected = (vec![(4, 'b'), (24, 'd')], 40);
        assert_eq!(timeline(flow.debounce_max(ms(3), ms(4))), expected);
    }

    #[test]
    fn a_longest_wait_shorter_than_the_quiet_time_decides_alone() {
        let flow = timetable([(0, 'a'), (1, 'b'), (9, 'c')], 40).debounce_max(ms(5), ms(2));
        assert_eq!(timeline(flow), (vec![(2, 'b'), (11, 'c')], 40));
    }
}
