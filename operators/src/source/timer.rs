//! One tick of the clock as a flow.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::{Alarm, Flow, Outline, Site, Stage, Timestamp};

/// One tick, `after` the first poll, and then the end.
///
/// ```text
/// out  ---(a|)    timer(3)
/// ```
///
/// The item is the time for which the tick was scheduled, on the clock of the run. For ticks that
/// go on there is [`interval_after`](crate::interval_after).
///
/// - **Emits** the tick when its time has come.
/// - **Backpressures** when downstream does; the tick then comes late.
/// - **Ends** after the tick.
/// - **On error**: it has none.
/// - **Holds** nothing.
/// - **Cost**: one clock read and one timer operation.
///
/// ```
/// # use aqueduct_operators::{Virtual, timer};
/// # use std::time::Duration;
/// let tick = Virtual::new().run(timer(Duration::from_secs(5)).first());
/// assert_eq!(tick.unwrap().as_secs(), 5);
/// ```
#[doc(alias("sleep", "after"))]
#[track_caller]
pub fn timer(after: Duration) -> Flow<Timer> {
    Flow::from_stage(Timer {
        after,
        over: false,
        alarm: Alarm::for_source(),
        site: Location::caller(),
    })
}

/// The stage behind [`timer`].
#[derive(Debug)]
pub struct Timer {
    after: Duration,
    over: bool,
    /// Set from the first poll on.
    alarm: Alarm,
    site: Site,
}

impl Stage for Timer {
    type Item = Timestamp;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Timestamp>> {
        let this = &mut *self;
        if this.over {
            return Poll::Ready(None);
        }
        let due = match this.alarm.deadline() {
            Some(due) => due,
            None => {
                let due = this.alarm.now() + this.after;
                this.alarm.set(due);
                due
            }
        };
        ready!(this.alarm.poll(cx));
        this.over = true;
        Poll::Ready(Some(due))
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = usize::from(!self.over);
        (left, Some(left))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("timer", self.site).parameter("after", format_args!("{:?}", self.after));
    }
}

#[cfg(test)]
mod tests {
    use super::timer;
    use crate::Timestamp;
    use crate::testing::{every_way, marbles, ms, timeline};

    #[test]
    fn the_tick_comes_once_at_its_time() {
        let due = Timestamp::from_millis(3);
        assert_eq!(timeline(timer(ms(3))), (vec![(3, due)], 3));
        assert_eq!(every_way(|| timer(ms(3))), [due]);
    }

    #[test]
    fn the_time_runs_from_the_first_poll() {
        let flow = timer(ms(1)).chain(timer(ms(2)));
        let ticks: Vec<_> = timeline(flow).0.into_iter().map(|(at, _)| at).collect();
        assert_eq!(ticks, [1, 3]);
    }

    #[test]
    fn no_time_at_all_is_at_once() {
        assert_eq!(timeline(timer(ms(0))), (vec![(0, Timestamp::EPOCH)], 0));
    }

    marbles!(timer, || timer(ms(3)).map(|_| 'a'));
}
