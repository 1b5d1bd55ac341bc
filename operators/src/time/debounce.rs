//! `debounce`: an item once the input has been silent for a while.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Bound, Flow, Outline, Site, Stage};

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
    /// - **Cost**: two clock reads for each turn in which items came, no timer operation for an
    ///   item.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use std::time::Duration;
    /// let last = iter([1, 2, 3]).debounce(Duration::from_millis(5));
    /// assert_eq!(Virtual::new().run(last.fold(0, |sum, x| sum + x)), 3);
    /// ```
    #[doc(alias("debounce_time", "throttle_with_timeout", "sample_timeout"))]
    #[track_caller]
    pub fn debounce(self, quiet: Duration) -> Flow<Debounce<S>>
    where
        S: Sized,
    {
        Flow::from_stage(Debounce {
            input: self.into_stage(),
            quiet,
            waiting: None,
            alarm: Alarm::new(),
            ended: false,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::debounce`].
#[pin_project]
#[derive(Debug)]
pub struct Debounce<S: Stage> {
    #[pin]
    input: S,
    quiet: Duration,
    waiting: Option<S::Item>,
    /// When the item that waits may go. Set while there is one.
    alarm: Alarm,
    ended: bool,
    site: Site,
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
            let due = this.alarm.now() + *this.quiet;
            this.alarm.set(due);
        }
        if this.waiting.is_some() {
            ready!(this.alarm.poll(cx));
            return Poll::Ready(this.waiting.take());
        }
        Poll::Pending
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
        outline
            .stage("debounce", self.site)
            .parameter("quiet", format_args!("{:?}", self.quiet))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{ms, timeline, timetable};

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
}
