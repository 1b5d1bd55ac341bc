//! Ticks of the clock as a flow.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::time::schedule::next_tick;
use crate::{Alarm, Budget, Flow, Outline, Site, Stage, Timestamp};

/// What an [`interval`] does about ticks that nobody took in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Missed {
    /// They follow without a pause until the schedule is caught up: no tick is lost.
    Burst,
    /// Only the first of them comes, late; the next tick is the next one on the schedule that
    /// lies in the future.
    Skip,
    /// The first of them comes, late, and the schedule starts anew from there: two ticks are
    /// never less than a period apart.
    Delay,
}

/// A tick each `period`, the first one a period after the first poll.
///
/// ```text
/// out    ---a--b--c--    interval(3, ..)
/// where  a = Timestamp(3000000), b = Timestamp(6000000), c = Timestamp(9000000)
/// ```
///
/// An item is the time for which the tick was scheduled, on the clock of the run. The schedule is
/// absolute: a tick that comes late does not shift the next one, except with [`Missed::Delay`].
///
/// - **Emits** a tick when its time has come and it is asked for.
/// - **Backpressures** when downstream does; `missed` says what becomes of the ticks.
/// - **Ends** never.
/// - **On error**: it has none.
/// - **Holds** nothing.
/// - **Cost**: one clock read and one timer operation for each tick.
///
/// # Panics
///
/// If `period` is zero.
///
/// ```
/// # use aqueduct_operators::{Virtual, interval, source::Missed};
/// # use futures::StreamExt;
/// # use std::time::Duration;
/// let mut seconds = interval(Duration::from_secs(1), Missed::Skip);
/// let first = Virtual::new().run(seconds.next());
/// assert_eq!(first.unwrap().as_secs(), 1);
/// ```
#[doc(alias("tick", "ticks", "fixed_rate", "awake_every"))]
#[track_caller]
pub fn interval(period: Duration, missed: Missed) -> Flow<Interval> {
    Flow::from_stage(Interval::new(Start::Period, period, missed, Location::caller()))
}

/// A tick each `period`, the first one at `start`; otherwise as [`interval`].
///
/// ```text
/// out    -----a--b--c    interval_at(5, 3, ..)
/// where  a = Timestamp(5000000), b = Timestamp(8000000), c = Timestamp(11000000)
/// ```
///
/// Ticks of a `start` in the past are missed ones.
///
/// - **Emits** a tick when its time has come and it is asked for.
/// - **Backpressures** when downstream does; `missed` says what becomes of the ticks.
/// - **Ends** never.
/// - **On error**: it has none.
/// - **Holds** nothing.
/// - **Cost**: one clock read and one timer operation for each tick.
///
/// # Panics
///
/// If `period` is zero.
///
/// ```
/// # use aqueduct_operators::{Timestamp, Virtual, interval_at, source::Missed};
/// # use futures::StreamExt;
/// # use std::time::Duration;
/// let minute = Timestamp::from_secs(60);
/// let mut minutes = interval_at(minute, Duration::from_secs(60), Missed::Skip);
/// assert_eq!(Virtual::new().run(minutes.next()), Some(minute));
/// ```
#[track_caller]
pub fn interval_at(start: Timestamp, period: Duration, missed: Missed) -> Flow<Interval> {
    let start = Start::At(start);
    Flow::from_stage(Interval::new(start, period, missed, Location::caller()))
}

/// A tick each `period`, the first one `after` the first poll; otherwise as [`interval`].
///
/// ```text
/// out    -a--b--c--    interval_after(1, 3, ..)
/// where  a = Timestamp(1000000), b = Timestamp(4000000), c = Timestamp(7000000)
/// ```
///
/// - **Emits** a tick when its time has come and it is asked for.
/// - **Backpressures** when downstream does; `missed` says what becomes of the ticks.
/// - **Ends** never.
/// - **On error**: it has none.
/// - **Holds** nothing.
/// - **Cost**: one clock read and one timer operation for each tick.
///
/// # Panics
///
/// If `period` is zero.
///
/// ```
/// # use aqueduct_operators::{Virtual, interval_after, source::Missed};
/// # use std::time::Duration;
/// let mut ticks = interval_after(Duration::ZERO, Duration::from_secs(60), Missed::Skip);
/// assert_eq!(Virtual::new().run(ticks.next()).unwrap().as_secs(), 0);
/// ```
#[doc(alias("timer", "initial_delay"))]
#[track_caller]
pub fn interval_after(after: Duration, period: Duration, missed: Missed) -> Flow<Interval> {
    let start = Start::After(after);
    Flow::from_stage(Interval::new(start, period, missed, Location::caller()))
}

/// When the first tick is due.
#[derive(Debug, Clone, Copy)]
enum Start {
    At(Timestamp),
    /// This long after the first poll.
    After(Duration),
    /// A period after the first poll.
    Period,
}

/// The stage behind [`interval`], [`interval_at`] and [`interval_after`].
#[derive(Debug)]
pub struct Interval {
    start: Start,
    period: Duration,
    missed: Missed,
    /// The alarm is set to the next tick from the first poll on.
    alarm: Alarm,
    budget: Budget,
    site: Site,
}

impl Interval {
    fn new(start: Start, period: Duration, missed: Missed, site: Site) -> Self {
        assert!(!period.is_zero(), "interval: the period must not be zero, at {site}");
        Self { start, period, missed, alarm: Alarm::for_source(), budget: Budget::new(), site }
    }

    fn after(&mut self, tick: Timestamp) -> Timestamp {
        let now = self.alarm.now();
        match self.missed {
            Missed::Burst => tick + self.period,
            Missed::Skip => next_tick(tick, self.period, now + Duration::from_nanos(1)),
            Missed::Delay => now.max(tick) + self.period,
        }
    }
}

impl Stage for Interval {
    type Item = Timestamp;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Timestamp>> {
        let this = &mut *self;
        // A schedule far behind is always ready.
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        let tick = match this.alarm.deadline() {
            Some(tick) => tick,
            None => {
                let first = match this.start {
                    Start::At(start) => start,
                    Start::After(after) => this.alarm.now() + after,
                    Start::Period => this.alarm.now() + this.period,
                };
                this.alarm.set(first);
                first
            }
        };
        if this.alarm.poll(cx).is_pending() {
            this.budget.rest();
            return Poll::Pending;
        }
        let next = this.after(tick);
        this.alarm.set(next);
        Poll::Ready(Some(tick))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::MAX, None)
    }

    fn describe(&self, outline: &mut Outline) {
        let node = outline.stage("interval", self.site);
        match self.start {
            Start::At(start) => _ = node.parameter("start", start),
            Start::After(after) => _ = node.parameter("after", format_args!("{after:?}")),
            Start::Period => {}
        }
        node.parameter("period", format_args!("{:?}", self.period))
            .parameter("missed", format_args!("{:?}", self.missed));
    }
}

#[cfg(test)]
mod tests {
    use super::{Missed, interval, interval_after, interval_at};
    use crate::testing::{Timeline, marbles, ms, specification};
    use crate::{Alarm, Clock, Flow, Stage, Timestamp, Virtual};
    use futures::StreamExt;
    use std::future::poll_fn;

    /// The ticks of a consumer that is busy for these milliseconds after each, with the
    /// milliseconds at which they came.
    fn taken<S: Stage<Item = Timestamp>>(flow: Flow<S>, busy: &[u64]) -> Vec<(i64, i64)> {
        Virtual::new().run(async {
            let mut flow = std::pin::pin!(flow);
            let mut taken = Vec::new();
            for busy in busy {
                let tick = flow.next().await.unwrap();
                taken.push((Clock::current().now().as_millis(), tick.as_millis()));
                let mut alarm = Alarm::new();
                let until = alarm.now() + ms(*busy);
                alarm.set(until);
                poll_fn(|cx| alarm.poll(cx)).await;
            }
            taken
        })
    }

    #[test]
    fn ticks_come_on_a_schedule_that_begins_with_the_first_poll() {
        let flow = interval(ms(10), Missed::Burst);
        assert_eq!(taken(flow, &[0, 3, 0]), [(10, 10), (20, 20), (30, 30)]);
    }

    #[test]
    fn missed_ticks_can_follow_in_a_burst() {
        let flow = interval(ms(10), Missed::Burst);
        let expected = [(10, 10), (45, 20), (45, 30), (45, 40), (50, 50)];
        assert_eq!(taken(flow, &[35, 0, 0, 0, 0]), expected);
    }

    #[test]
    fn missed_ticks_can_be_skipped_and_the_schedule_stays() {
        let flow = interval(ms(10), Missed::Skip);
        let expected = [(10, 10), (45, 20), (50, 50), (60, 60)];
        assert_eq!(taken(flow, &[35, 0, 0, 0]), expected);
    }

    #[test]
    fn a_tick_that_is_due_when_a_late_one_is_taken_counts_as_missed() {
        let flow = interval(ms(10), Missed::Skip);
        assert_eq!(taken(flow, &[20, 0, 0]), [(10, 10), (30, 20), (40, 40)]);
    }

    #[test]
    fn missed_ticks_can_move_the_schedule() {
        let flow = interval(ms(10), Missed::Delay);
        let expected = [(10, 10), (45, 20), (55, 55)];
        assert_eq!(taken(flow, &[35, 0, 0]), expected);
    }

    #[test]
    fn the_first_tick_comes_at_the_start_or_late_if_that_has_passed() {
        let at = Timestamp::from_millis;
        let flow = interval_at(at(25), ms(10), Missed::Burst);
        assert_eq!(taken(flow, &[0, 0]), [(25, 25), (35, 35)]);
        let flow = interval_at(at(-25), ms(10), Missed::Skip);
        assert_eq!(taken(flow, &[0, 0]), [(0, -25), (5, 5)]);
    }

    #[test]
    fn the_first_tick_can_come_sooner_or_later_than_a_period() {
        let flow = interval_after(ms(3), ms(10), Missed::Skip);
        assert_eq!(taken(flow, &[0, 0]), [(3, 3), (13, 13)]);
        let flow = interval_after(ms(0), ms(10), Missed::Burst);
        assert_eq!(taken(flow, &[0, 0]), [(0, 0), (10, 10)]);
    }

    #[test]
    #[should_panic(expected = "interval: the period must not be zero, at operators/src/source")]
    fn a_period_of_zero_is_refused_where_it_was_written() {
        let _ = interval(ms(0), Missed::Burst);
    }

    marbles!(interval, || super::interval(ms(3), Missed::Skip));
    marbles!(interval_at, || {
        super::interval_at(Timestamp::from_millis(5), ms(3), Missed::Skip)
    });
    marbles!(interval_after, || super::interval_after(ms(1), ms(3), Missed::Skip));

    specification!(interval, at_any_pace, || interval(ms(3), Missed::Burst).take(5), || {
        Timeline::new((1..=5).map(|n| (3 * n, Timestamp::from_millis(3 * n))), 15)
    });
}
