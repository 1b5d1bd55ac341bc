//! `take_for`: the items of the first while.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Lets items pass for a time of `span`, then ends.
    ///
    /// ```text
    /// in   -a-b-c-d-|
    /// out  -a-b-(c|)    take_for(5)
    /// ```
    ///
    /// The time counts from the first poll. An item at the very instant at which it is over comes
    /// before the timer and still passes: [`skip_for`](Self::skip_for) skips just the items that
    /// pass here.
    ///
    /// - **Emits** each item within the time, in the same poll.
    /// - **Backpressures** when downstream does; the time goes on.
    /// - **Ends** when the time is over, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: one clock read for each turn, and one timer operation.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, interval, source::Missed};
    /// # use std::time::Duration;
    /// let ticks = interval(Duration::from_secs(1), Missed::Skip);
    /// assert_eq!(Virtual::new().run(ticks.take_for(Duration::from_secs(60)).count()), 60);
    /// ```
    #[doc(alias("take_within", "interrupt_after", "take_until_time"))]
    #[track_caller]
    pub fn take_for(self, span: Duration) -> Flow<TakeFor<S>> {
        Flow::from_stage(TakeFor {
            input: Some(self.into_stage()),
            span,
            until: None,
            alarm: Alarm::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::take_for`].
#[pin_project]
#[derive(Debug)]
pub struct TakeFor<S> {
    /// `None` once this has ended.
    #[pin]
    input: Option<S>,
    span: Duration,
    /// The last instant, once the first poll has told it.
    until: Option<Timestamp>,
    alarm: Alarm,
    site: Site,
}

/// The time, and whether the last instant is over.
fn look(alarm: &mut Alarm, until: &mut Option<Timestamp>, span: Duration) -> (Timestamp, bool) {
    let now = alarm.now();
    let until = *until.get_or_insert_with(|| {
        alarm.set(now + span);
        now + span
    });
    (now, now > until)
}

impl<S: Stage> Stage for TakeFor<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let (now, over) = look(this.alarm, this.until, *this.span);
        let mut polled = Poll::Ready(None);
        if !over {
            polled = input.poll_next(cx);
            if polled.is_pending() && this.alarm.poll_at(now, cx).is_ready() {
                polled = Poll::Ready(None);
            }
        }
        if let Poll::Ready(None) = polled {
            this.input.set(None);
        }
        polled
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let (now, over) = look(this.alarm, this.until, *this.span);
        let mut drained = Poll::Ready(ControlFlow::Continue(()));
        if !over {
            // A turn is short: a source yields after about 100 µs.
            drained = input.poll_drain(cx, each);
            if drained.is_pending() && this.alarm.poll_at(now, cx).is_ready() {
                drained = Poll::Ready(ControlFlow::Continue(()));
            }
        }
        if let Poll::Ready(ControlFlow::Continue(())) = drained {
            this.input.set(None);
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.input.as_ref().map_or(Some(0), |input| input.size_hint().1))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("take_for", self.site).parameter("span", format_args!("{:?}", self.span));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Virtual, iter, never};
    use std::rc::Rc;

    marbles!(take_for, |input| input.take_for(ms(5)));
    conformance!(taken, |input| input.take_for(ms(5)));
    specification!(take_for, |input| input.take_for(ms(5)), |input| -> Timeline<_> {
        let events = input.events.into_iter().filter(|(at, _)| *at <= 5);
        Timeline::new(events, input.end.min(5))
    });

    #[test]
    fn it_ends_when_the_time_is_over_and_not_before_an_item_of_that_instant() {
        let flow = timetable([(1, 'a'), (5, 'b'), (6, 'c')], 9).take_for(ms(5));
        assert_eq!(timeline(flow), (vec![(1, 'a'), (5, 'b')], 5));
    }

    #[test]
    fn it_ends_with_an_input_that_ends_earlier() {
        let flow = timetable([(1, 'a')], 3).take_for(ms(5));
        assert_eq!(timeline(flow), (vec![(1, 'a')], 3));
        every_way(|| iter(0..9).take_for(ms(1)));
    }

    #[test]
    fn a_consumer_that_comes_too_late_gets_nothing_more() {
        let flow = timetable([(1, 'a'), (2, 'b')], 3).take_for(ms(5));
        Virtual::new().run(async {
            let mut flow = std::pin::pin!(flow);
            assert_eq!(flow.next().await, Some('a'));
            iter([()]).delay(ms(5), 1).count().await;
            assert_eq!(flow.next().await, None);
        });
    }

    #[test]
    fn the_input_is_dropped_in_the_poll_that_ends_it() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let input = never::<u8>().map(move |x| (x, owned.clone()).0);
        Virtual::new().run(async {
            let mut flow = std::pin::pin!(input.take_for(ms(1)));
            assert_eq!(flow.next().await, None);
            assert_eq!(watch.strong_count(), 0);
        });
    }
}
