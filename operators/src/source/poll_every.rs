//! A future that is run again and again.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::running::Running;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage};

/// Awaits `ask()` at the first poll and again `pause` after each item, until it gives `None`.
///
/// ```text
/// ask  --()----()----()
/// out  --a-----b-----|    poll_every(4, ask)
/// ```
///
/// How a flow is made of something that can only be asked, such as a status page. The pause
/// begins when the item is taken, so that a slow answer or a slow consumer never makes calls
/// follow on each other's heels. For calls on a schedule, map over an
/// [`interval`](crate::interval()) with [`map_async`](Flow::map_async).
///
/// - **Emits** what `ask` gives.
/// - **Backpressures** when downstream does: a call begins only when an item is asked for, and
///   then goes on while downstream is busy.
/// - **Ends** when `ask` gives `None`.
/// - **On error**: an error is an item here, and the next call follows. A panic in `ask` comes out
///   of the poll; the flow has ended then.
/// - **Holds** 1 item.
/// - **Cost**: one clock read and one timer operation for each call; no allocation.
///
/// # Panics
///
/// If `pause` is zero.
///
/// ```
/// # use aqueduct_operators::{Virtual, poll_every};
/// # use std::time::Duration;
/// let mut temperatures = [20, 21, 25].into_iter();
/// let readings = poll_every(Duration::from_secs(60), || std::future::ready(temperatures.next()));
/// assert_eq!(Virtual::new().run(readings.count()), 3);
/// ```
#[doc(alias("repeat_eval", "fixed_delay", "awake_delay", "repetition", "polling"))]
#[track_caller]
pub fn poll_every<F, Fut, T>(pause: Duration, ask: F) -> Flow<PollEvery<F, Fut>>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    let site = Location::caller();
    assert!(!pause.is_zero(), "poll_every: the pause must not be zero, at {site}");
    Flow::from_stage(PollEvery {
        pause,
        ask: Some(ask),
        running: Running::idle(),
        alarm: Alarm::for_source(),
        site,
    })
}

/// The stage behind [`poll_every`].
#[pin_project]
#[derive(Debug)]
pub struct PollEvery<F, Fut: Future> {
    pause: Duration,
    /// `None` once it has ended.
    ask: Option<F>,
    #[pin]
    running: Running<Fut>,
    /// Set during a pause.
    alarm: Alarm,
    site: Site,
}

impl<F, Fut, T> Stage for PollEvery<F, Fut>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Option<T>>,
{
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        let Some(ask) = this.ask else {
            return Poll::Ready(None);
        };
        if this.running.is_idle() {
            if this.alarm.deadline().is_some() {
                ready!(this.alarm.poll(cx));
            }
            this.running.as_mut().start(ask());
        }
        let item = ready!(this.running.poll(cx));
        if item.is_some() {
            let due = this.alarm.now() + *this.pause;
            this.alarm.set(due);
        } else {
            *this.ask = None;
        }
        Poll::Ready(item)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().running.drive(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, if self.ask.is_some() { None } else { Some(0) })
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .stage("poll_every", self.site)
            .parameter("pause", format_args!("{:?}", self.pause))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::poll_every;
    use crate::testing::{every_way, marbles, ms, timeline};
    use crate::{Virtual, iter};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).drain().await;
    }

    #[test]
    fn the_pause_begins_when_the_answer_is_taken() {
        let mut answers = ["a", "b"].into_iter();
        let flow = poll_every(ms(10), || {
            let answer = answers.next();
            async move {
                sleep(3).await;
                answer
            }
        });
        assert_eq!(timeline(flow), (vec![(3, "a"), (16, "b")], 29));
    }

    #[test]
    fn a_slow_consumer_gets_its_pause_too() {
        let mut calls = Vec::new();
        let flow = poll_every(ms(10), || {
            calls.push(crate::Clock::current().now().as_millis());
            ready((calls.len() < 4).then_some(()))
        });
        Virtual::new().run(flow.for_each_async(async |()| sleep(25).await));
        assert_eq!(calls, [0, 25, 50, 75]);
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        let five = || {
            let mut answers = 0..5;
            poll_every(ms(1), move || ready(answers.next()))
        };
        assert_eq!(every_way(five), [0, 1, 2, 3, 4]);
    }

    #[test]
    #[should_panic(expected = "poll_every: the pause must not be zero, at operators/src/source")]
    fn a_pause_of_zero_is_refused_where_it_was_written() {
        let _ = poll_every(ms(0), || ready(Some(())));
    }

    marbles!(poll_every, || {
        let mut answers = ['a', 'b'].into_iter();
        poll_every(ms(4), move || {
            let answer = answers.next();
            async move {
                sleep(2).await;
                answer
            }
        })
    });
}
