//! `rate`: how much came in each period.

use std::mem;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::OnEnd;
use crate::{Alarm, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the number of items of each `period`; zero for a period without any.
    ///
    /// ```text
    /// in   -a-bc--------d|
    /// out  ----3---0---0-(1|)    rate(4)
    /// ```
    ///
    /// This is [`aggregate_per`](Self::aggregate_per) with a counter and `OnEnd::Emit`.
    ///
    /// - **Emits** the number of items of a period at its end.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; what was counted in the last period goes out before, at
    ///   once.
    /// - **On error**: an error is an item here and is counted.
    /// - **Holds** a number, no item.
    /// - **Cost**: one clock read for each turn, one timer operation for each period.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed};
    /// # use std::time::Duration;
    /// let ms = Duration::from_millis;
    /// let per_second = interval(ms(10), Missed::Burst).rate(ms(1000));
    /// assert_eq!(Virtual::new().run(per_second.first()), Some(100));
    /// ```
    #[doc(alias("per_second_rate", "throughput", "with_rate"))]
    #[track_caller]
    #[allow(clippy::type_complexity, reason = "both closures are plain functions")]
    pub fn rate(self, period: Duration) -> Flow<Rate<S, u64, fn() -> u64, fn(&mut u64, S::Item)>> {
        let (seed, site) = ((|| 0) as fn() -> u64, Location::caller());
        let count: fn(&mut u64, S::Item) = |count, _| *count += 1;
        Flow::from_stage(Rate::new("rate", self, period, OnEnd::Emit, (seed, count), site))
    }

    /// Brings the items of each `period` into one value and emits it when the period is over;
    /// `seed()` as it is for a period without items.
    ///
    /// ```text
    /// in   -1-23--------4|
    /// out  ----6---0---0-(4|)    aggregate_per(4, OnEnd::Emit, || 0, |sum, x| *sum += x)
    /// ```
    ///
    /// The periods follow each other from the first poll on, on a fixed schedule. An item belongs
    /// to the period in which it is taken; at the very instant at which one is over the items come
    /// before the timer and belong to it. A consumer that was busy gets the periods that it missed
    /// in a burst. What happens in the last period, which the end cuts short, is decided by
    /// `on_end`: without items it never comes out.
    ///
    /// - **Emits** the value of a period at its end.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; a value begun goes out at once, at the end of its period, or
    ///   is dropped, as `on_end` says.
    /// - **On error**: an error is an item here and is given to `f`; a panic in it comes out of the
    ///   poll.
    /// - **Holds** one value, no item.
    /// - **Cost**: one clock read for each turn, one timer operation for each period.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, time::OnEnd};
    /// # use std::time::Duration;
    /// let highs = iter([3, 5, 4])
    ///     .aggregate_per(Duration::from_secs(1), OnEnd::Emit, || 0, |high, x| *high = x.max(*high));
    /// assert_eq!(Virtual::new().run(highs.collect::<Vec<_>>()), [5]);
    /// ```
    #[track_caller]
    pub fn aggregate_per<A, I, F>(
        self,
        period: Duration,
        on_end: OnEnd,
        seed: I,
        f: F,
    ) -> Flow<Rate<S, A, I, F>>
    where
        I: FnMut() -> A,
        F: FnMut(&mut A, S::Item),
    {
        let site = Location::caller();
        Flow::from_stage(Rate::new("aggregate_per", self, period, on_end, (seed, f), site))
    }
}

/// The stage behind [`Flow::rate`] and [`Flow::aggregate_per`].
#[pin_project]
#[derive(Debug)]
pub struct Rate<S, A, I, F> {
    #[pin]
    input: S,
    period: Duration,
    on_end: OnEnd,
    seed: I,
    f: F,
    /// `None` before the first item of a period.
    value: Option<A>,
    /// Set to the end of the period from the first poll on.
    alarm: Alarm,
    /// Periods that were missed come without waiting.
    budget: Budget,
    ended: bool,
    operator: &'static str,
    site: Site,
}

impl<S, A, I: FnMut() -> A, F> Rate<S, A, I, F> {
    fn new(
        operator: &'static str,
        input: Flow<S>,
        period: Duration,
        on_end: OnEnd,
        (seed, f): (I, F),
        site: Site,
    ) -> Self
    where
        S: Stage,
    {
        assert!(!period.is_zero(), "{operator}: the period must not be zero, at {site}");
        Self {
            input: input.into_stage(),
            period,
            on_end,
            seed,
            f,
            value: None,
            alarm: Alarm::new(),
            budget: Budget::new(),
            ended: false,
            operator,
            site,
        }
    }
}

impl<S, A, I, F> Stage for Rate<S, A, I, F>
where
    S: Stage,
    I: FnMut() -> A,
    F: FnMut(&mut A, S::Item),
{
    type Item = A;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A>> {
        let this = self.project();
        let (value, seed, f) = (this.value, this.seed, this.f);
        if *this.ended && value.is_none() {
            return Poll::Ready(None);
        }
        let now = this.alarm.now();
        let tick = match this.alarm.deadline() {
            Some(tick) => tick,
            None => {
                this.alarm.set(now + *this.period);
                now + *this.period
            }
        };
        // What comes now belongs to a later period than one that is over already.
        if tick >= now {
            this.budget.rest();
            if !*this.ended {
                let drained = this.input.poll_drain(cx, &mut |item| {
                    // Out of its place while code of the user has it.
                    let mut with = mem::take(value).unwrap_or_else(&mut *seed);
                    f(&mut with, item);
                    *value = Some(with);
                    ControlFlow::<()>::Continue(())
                });
                if drained.is_ready() {
                    *this.ended = true;
                    match *this.on_end {
                        OnEnd::Emit => return Poll::Ready(value.take()),
                        OnEnd::Drop => *value = None,
                        OnEnd::Wait => {}
                    }
                    if value.is_none() {
                        return Poll::Ready(None);
                    }
                }
            }
            ready!(this.alarm.poll_at(now, cx));
        } else if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        this.alarm.set(tick + *this.period);
        Poll::Ready(Some(value.take().unwrap_or_else(seed)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage(self.operator, self.site)
            .parameter("period", format_args!("{:?}", self.period))
            .parameter("on_end", format_args!("{:?}", self.on_end));
    }
}

#[cfg(test)]
mod tests {
    use super::OnEnd;
    use crate::testing::*;
    use crate::{Alarm, Clock, Virtual, iter};
    use std::cell::RefCell;
    use std::future::poll_fn;

    marbles!(rate, |input| input.rate(ms(4)));
    marbles!(aggregate_per, |input: u32| {
        input.aggregate_per(ms(4), OnEnd::Emit, || 0, |sum, x| *sum += x)
    });
    conformance!(rated, |input| input.rate(ms(3)));
    conformance!(aggregated, |input| {
        input.aggregate_per(ms(3), OnEnd::Wait, || 0, |sum, x| *sum += x.value())
    });
    specification!(rate, |input| input.rate(ms(4)), |input| -> Timeline<_> {
        let count = |from: i64, to: i64| {
            input.events.iter().filter(|(at, _)| from < *at && *at <= to).count() as u64
        };
        let ticks = (4..input.end).step_by(4);
        let mut output: Vec<_> =
            ticks.map(|tick| (tick, count(if tick == 4 { -1 } else { tick - 4 }, tick))).collect();
        let rest = count(output.last().map_or(-1, |last| last.0), input.end);
        output.extend((rest > 0).then_some((input.end, rest)));
        Timeline::new(output, input.end)
    });

    #[test]
    fn at_the_end_a_value_begun_can_wait_or_be_dropped() {
        let feed = || timetable([(1, 1), (2, 2), (5, 3)], 6);
        let sum = |on_end| feed().aggregate_per(ms(4), on_end, || 0, |sum, x| *sum += x);
        assert_eq!(timeline(sum(OnEnd::Wait)), (vec![(4, 3), (8, 3)], 8));
        assert_eq!(timeline(sum(OnEnd::Drop)), (vec![(4, 3)], 6));
        assert_eq!(timeline(sum(OnEnd::Emit)), (vec![(4, 3), (6, 3)], 6));
    }

    #[test]
    fn a_busy_consumer_gets_the_periods_that_it_missed() {
        let flow = timetable([(1, 'a'), (6, 'b')], 15).rate(ms(2));
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(flow.for_each_async(async |count| {
            seen.borrow_mut().push((Clock::current().now().as_millis(), count));
            if count == 1 {
                let mut busy = Alarm::new();
                let until = busy.now() + ms(5);
                busy.set(until);
                poll_fn(|cx| busy.poll(cx)).await;
            }
        }));
        let expected = [(2, 1), (7, 0), (7, 0), (8, 1), (13, 0), (13, 0), (14, 0)];
        assert_eq!(seen.into_inner(), expected);
    }

    #[test]
    #[should_panic(expected = "rate: the period must not be zero, at operators/src/time")]
    fn a_period_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).rate(ms(0));
    }
}
