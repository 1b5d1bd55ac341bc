//! `play`: each item at its own recorded time.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Emits each item when the clock of the run shows the time that the item says.
    ///
    /// ```text
    /// in     a-b-c-----|
    /// out    ---a-(bc)-|    play(|x| Some(x.time))
    /// where  a = (3, x), b = (5, y), c = (4, z)
    /// ```
    ///
    /// So a recording keeps its rhythm, and the run decides the speed: at once where time is
    /// virtual, in real time or faster under [`Clock::paced`](crate::Clock::paced). The schedule
    /// is absolute, so that delays do not add up. An item without a time, or whose time has
    /// passed, comes at once; order is kept. The items of a `play` are those of a source: at one
    /// instant they come before the timers of operators.
    ///
    /// - **Emits** each item at its time, or at once if that has passed.
    /// - **Backpressures** while an item waits for its time.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `time` comes out of the poll; the flow has ended then.
    /// - **Holds** 1 item.
    /// - **Cost**: one clock read and at most one timer operation for an item; no allocation.
    ///
    /// ```
    /// # use aqueduct_operators::{Clock, Timestamp, Virtual, iter};
    /// let tape = iter([5, 3600]).play(|s| Some(Timestamp::from_secs(*s)));
    /// let ended = Virtual::new().run(async {
    ///     tape.count().await;
    ///     Clock::current().now()
    /// });
    /// assert_eq!(ended, Timestamp::from_secs(3600));
    /// ```
    #[doc(alias("throttle_by_timestamp", "historical_scheduler", "delay_until"))]
    #[track_caller]
    pub fn play<F>(self, time: F) -> Flow<Play<S, F>>
    where
        F: FnMut(&S::Item) -> Option<Timestamp>,
    {
        Flow::from_stage(Play {
            input: self.into_stage(),
            time,
            waiting: None,
            alarm: Alarm::for_source(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::play`].
#[pin_project]
#[derive(Debug)]
pub struct Play<S: Stage, F> {
    #[pin]
    input: S,
    time: F,
    /// The item whose time has not come. The alarm is set while there is one.
    waiting: Option<S::Item>,
    alarm: Alarm,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item) -> Option<Timestamp>> Stage for Play<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if this.waiting.is_none() {
            let Some(item) = ready!(this.input.as_mut().poll_next(cx)) else {
                return Poll::Ready(None);
            };
            match (this.time)(&item) {
                Some(due) if due > this.alarm.now() => this.alarm.set(due),
                _ => return Poll::Ready(Some(item)),
            }
            *this.waiting = Some(item);
        }
        if this.alarm.poll(cx).is_pending() {
            // The input is not asked meanwhile, but what is in flight above goes on.
            let _ = this.input.poll_progress(cx);
            return Poll::Pending;
        }
        Poll::Ready(this.waiting.take())
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let waiting = usize::from(self.waiting.is_some());
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("play", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Timestamp, iter};

    #[test]
    fn items_come_at_their_times_and_never_out_of_order() {
        let tape = iter([3, 5, 4, 9]).play(|ms| Some(Timestamp::from_millis(*ms)));
        assert_eq!(timeline(tape), (vec![(3, 3), (5, 5), (5, 4), (9, 9)], 9));
    }

    #[test]
    fn an_item_without_a_time_comes_at_once() {
        let tape = iter([2, 0, 7]).play(|ms| (*ms > 0).then(|| Timestamp::from_millis(*ms)));
        assert_eq!(timeline(tape), (vec![(2, 2), (2, 0), (7, 7)], 7));
    }

    conformance!(play, |input| {
        input.play(|x| Some(Timestamp::from_millis(i64::from(x.value()))))
    });

    marbles!(play, |input: (i64, char)| {
        input.play(|(time, _)| Some(Timestamp::from_millis(*time)))
    });

    specification!(
        play,
        |input| input.play(|x| Some(Timestamp::from_millis(i64::from(*x)))),
        |input| {
            let mut latest = 0;
            let output = input.events.iter().map(|(at, item)| {
                latest = latest.max(*at).max(i64::from(*item));
                (latest, *item)
            });
            let output: Vec<_> = output.collect();
            Timeline::new(output, input.end.max(latest))
        }
    );
}
