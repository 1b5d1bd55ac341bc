//! `sample`: the latest item, period by period.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::OnEnd;
use super::schedule::next_tick;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Emits the latest item of each `period`; at the end, the one that waits.
    ///
    /// ```text
    /// in   -a-b---------c-|
    /// out  ----b----------(c|)    sample(4)
    /// ```
    ///
    /// This is [`sample_with`](Flow::sample_with) and [`OnEnd::Emit`]: what it says about the
    /// periods is true here too.
    ///
    /// - **Emits** the latest item of a period at its end, nothing for a period without items; at
    ///   the end of the input the item that waits.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item.
    /// - **Cost**: one clock read for each turn while an item waits, one timer operation for each
    ///   period with items.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use std::time::Duration;
    /// let last = iter([1, 2, 3]).sample(Duration::from_millis(5));
    /// assert_eq!(Virtual::new().run(last.fold(0, |sum, x| sum + x)), 3);
    /// ```
    #[doc(alias("sample_time", "throttle_last"))]
    #[track_caller]
    pub fn sample(self, period: Duration) -> Flow<Sample<S>> {
        self.sample_with(period, OnEnd::Emit)
    }

    /// Emits the latest item of each `period`.
    ///
    /// ```text
    /// in    -a-b---------c-|
    /// emit  ----b----------(c|)    sample_with(4, OnEnd::Emit)
    /// wait  ----b-----------(c|)  sample_with(4, OnEnd::Wait)
    /// drop  ----b----------|        sample_with(4, OnEnd::Drop)
    /// ```
    ///
    /// The periods follow each other from the first poll on, on a fixed schedule: a late item or
    /// a busy consumer does not shift them. An item at the very instant at which a period is over
    /// comes before the timer and belongs to that period.
    ///
    /// - **Emits** the latest item of a period at its end; nothing for a period without items.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; the item that waits goes out at once, at the end of its
    ///   period, or is dropped, as `on_end` says.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item.
    /// - **Cost**: one clock read for each turn while an item waits, one timer operation for each
    ///   period with items.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, time::OnEnd};
    /// # use std::time::Duration;
    /// let none = iter([1, 2, 3]).sample_with(Duration::from_millis(5), OnEnd::Drop);
    /// assert_eq!(Virtual::new().run(none.count()), 0);
    /// ```
    #[track_caller]
    pub fn sample_with(self, period: Duration, on_end: OnEnd) -> Flow<Sample<S>> {
        let site = Location::caller();
        assert!(!period.is_zero(), "sample: the period must not be zero, at {site}");
        Flow::from_stage(Sample {
            input: self.into_stage(),
            period,
            on_end,
            started: None,
            latest: None,
            alarm: Alarm::new(),
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::sample`] and [`Flow::sample_with`].
#[pin_project]
#[derive(Debug)]
pub struct Sample<S: Stage> {
    #[pin]
    input: S,
    period: Duration,
    on_end: OnEnd,
    started: Option<Timestamp>,
    latest: Option<S::Item>,
    /// Set to the end of the period while an item waits: silent periods cost nothing.
    alarm: Alarm,
    ended: bool,
    site: Site,
}

impl<S: Stage> Stage for Sample<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let (latest, ended) = (this.latest, this.ended);
        let mut now = None;
        if this.started.is_none() {
            *this.started = Some(*now.insert(this.alarm.now()));
        }
        while !*ended {
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if latest.is_none() {
                        let now = *now.get_or_insert_with(|| this.alarm.now());
                        let tick = next_tick(this.started.unwrap_or(now), *this.period, now);
                        this.alarm.set(tick);
                    }
                    *latest = Some(item);
                }
                Poll::Ready(None) => {
                    *ended = true;
                    match *this.on_end {
                        OnEnd::Emit => return Poll::Ready(latest.take()),
                        OnEnd::Drop => *latest = None,
                        OnEnd::Wait => {}
                    }
                }
                Poll::Pending => break,
            }
        }
        if latest.is_some() {
            ready!(match now {
                Some(now) => this.alarm.poll_at(now, cx),
                None => this.alarm.poll(cx),
            });
            return Poll::Ready(latest.take());
        }
        if *ended { Poll::Ready(None) } else { Poll::Pending }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.latest.is_some());
        let most = self.input.size_hint().1;
        let least = match self.on_end {
            OnEnd::Emit | OnEnd::Wait => waiting,
            OnEnd::Drop => 0,
        };
        (least, most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("sample", self.site)
            .parameter("period", format_args!("{:?}", self.period))
            .parameter("on_end", format_args!("{:?}", self.on_end))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use super::OnEnd;
    use crate::testing::*;
    use crate::{Flow, Stage, iter};

    marbles!(sample, |input| input.sample(ms(4)));
    marbles!(sample_with[emit], |input| input.sample_with(ms(4), OnEnd::Emit));
    marbles!(sample_with[wait], |input| input.sample_with(ms(4), OnEnd::Wait));
    marbles!(sample_with[drop], |input| input.sample_with(ms(4), OnEnd::Drop));
    conformance!(sampled_and_waited_for, |input| input.sample_with(ms(4), OnEnd::Wait));
    specification!(sample, |input| input.sample(ms(4)), |input| -> Timeline<_> {
        let mut output: Vec<(i64, u8)> = Vec::new();
        for (at, item) in input.events {
            let tick = ((at + 3) / 4 * 4).max(4).min(input.end);
            match output.last_mut() {
                Some(last) if last.0 == tick => last.1 = item,
                _ => output.push((tick, item)),
            }
        }
        Timeline::new(output, input.end)
    });

    fn feed() -> Flow<impl Stage<Item = char>> {
        timetable([(1, 'a'), (3, 'b'), (14, 'c'), (15, 'd')], 15)
    }

    #[test]
    fn the_latest_item_comes_at_the_end_of_its_period_and_a_silent_period_gives_nothing() {
        let expected = (vec![(4, 'b'), (15, 'd')], 15);
        assert_eq!(timeline(feed().sample(ms(4))), expected);
    }

    #[test]
    fn the_item_that_waits_at_the_end_can_be_dropped() {
        let flow = feed().sample_with(ms(4), OnEnd::Drop);
        assert_eq!(timeline(flow), (vec![(4, 'b')], 15));
    }

    #[test]
    fn the_item_that_waits_at_the_end_can_wait_for_the_end_of_its_period() {
        let flow = feed().sample_with(ms(4), OnEnd::Wait);
        assert_eq!(timeline(flow), (vec![(4, 'b'), (16, 'd')], 16));
        assert_eq!(timeline(timetable([(1, 'a')], 5).sample_with(ms(4), OnEnd::Wait)).1, 5);
    }

    #[test]
    fn an_item_at_the_end_of_a_period_belongs_to_it() {
        let flow = timetable([(0, 'a'), (4, 'b'), (5, 'c'), (8, 'd')], 30).sample(ms(4));
        assert_eq!(timeline(flow), (vec![(4, 'b'), (8, 'd')], 30));
    }

    #[test]
    fn periods_are_counted_from_the_first_poll_whenever_items_come() {
        let flow = timetable([(7, 'a'), (33, 'b')], 50).sample(ms(10));
        assert_eq!(timeline(flow), (vec![(10, 'a'), (40, 'b')], 50));
    }

    #[test]
    fn an_input_that_is_always_ready_gives_its_last_item() {
        assert_eq!(items(iter(0..5000).sample(ms(1))), [4999]);
    }

    #[test]
    #[should_panic(expected = "sample: the period must not be zero, at operators/src/time")]
    fn a_period_of_zero_is_refused_where_it_was_written() {
        let _ = feed().sample(ms(0));
    }

    conformance!(sample, |input| input.sample(ms(3)));
    conformance!(sample_drop, |input| input.sample_with(ms(3), OnEnd::Drop));
}
