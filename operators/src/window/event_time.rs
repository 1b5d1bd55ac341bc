//! `event_time`: gives items their event time, and the flow its watermarks.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::Timed;
use crate::{Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Takes each item's event time from the item, and tells downstream how far time has come.
    ///
    /// ```text
    /// in    --1----3---2-|
    /// out   --(1W)-(3W)2-|    event_time(|x| x.time, 1)
    /// time    1 0  3 2 2
    /// ```
    ///
    /// The watermark follows the latest time seen at a distance of `disorder`: an item may come
    /// up to `disorder` after one that is later. Items that come later still are passed on; the
    /// operators behind count them as late.
    ///
    /// - **Emits** each item with its time, and a watermark after each item that moves it on.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `time` comes out of the poll; the flow has ended then.
    /// - **Holds** 1 watermark.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timed, Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let mut flow = iter([7, 9]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
    /// assert_eq!(flow.next().await, Some(Timed::Item(Timestamp::from_secs(7), 7)));
    /// assert_eq!(flow.next().await, Some(Timed::Watermark(Timestamp::from_secs(7))));
    /// # });
    /// ```
    #[doc(alias("assign_timestamps", "watermark", "timestamped_by"))]
    #[track_caller]
    pub fn event_time<F>(self, time: F, disorder: Duration) -> Flow<EventTime<S, F>>
    where
        F: FnMut(&S::Item) -> Timestamp,
    {
        Flow::from_stage(EventTime {
            input: self.into_stage(),
            time,
            disorder,
            watermark: Timestamp::MIN,
            due: false,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::event_time`].
#[pin_project]
#[derive(Debug)]
pub struct EventTime<S, F> {
    #[pin]
    input: S,
    time: F,
    disorder: Duration,
    watermark: Timestamp,
    /// Whether the watermark has moved and downstream does not know yet.
    due: bool,
    site: Site,
}

/// Moves the watermark on; `true` if it moved.
fn advance(watermark: &mut Timestamp, to: Timestamp) -> bool {
    let moved = to > *watermark;
    if moved {
        *watermark = to;
    }
    moved
}

impl<S: Stage, F: FnMut(&S::Item) -> Timestamp> Stage for EventTime<S, F> {
    type Item = Timed<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Timed<S::Item>>> {
        let this = self.project();
        if std::mem::take(this.due) {
            return Poll::Ready(Some(Timed::Watermark(*this.watermark)));
        }
        let Some(item) = ready!(this.input.poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let time = (this.time)(&item);
        *this.due = advance(this.watermark, time - *this.disorder);
        Poll::Ready(Some(Timed::Item(time, item)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Timed<S::Item>) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        if std::mem::take(this.due)
            && let broke @ ControlFlow::Break(_) = each(Timed::Watermark(*this.watermark))
        {
            return Poll::Ready(broke);
        }
        let (time_of, disorder) = (this.time, *this.disorder);
        let (watermark, due) = (this.watermark, this.due);
        this.input.poll_drain(cx, &mut |item| {
            let time = time_of(&item);
            let moved = advance(watermark, time - disorder);
            if let broke @ ControlFlow::Break(_) = each(Timed::Item(time, item)) {
                *due = moved;
                return broke;
            }
            if moved { each(Timed::Watermark(*watermark)) } else { ControlFlow::Continue(()) }
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let due = usize::from(self.due);
        let (least, most) = self.input.size_hint();
        let most = most.and_then(|most| most.checked_mul(2)?.checked_add(due));
        (least.saturating_add(due), most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("event_time", self.site)
            .parameter("disorder", format_args!("{:?}", self.disorder))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iter;
    use crate::testing::*;

    #[test]
    fn the_watermark_follows_the_latest_time_and_never_goes_back() {
        let times = iter([1, 3, 2, 5]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let seen: Vec<_> = items(times)
            .into_iter()
            .map(|element| match element {
                Timed::Item(_, s) => format!("{s}"),
                Timed::Watermark(t) => format!("W{}", t.as_secs()),
            })
            .collect();
        assert_eq!(seen, ["1", "W1", "3", "W3", "2", "5", "W5"]);
    }

    #[test]
    fn a_drain_that_breaks_at_an_item_still_owes_its_watermark() {
        let times = iter([4]).event_time(|s| Timestamp::from_secs(*s), Duration::from_secs(1));
        let mut times = std::pin::pin!(times);
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(times.as_mut().poll_drain(&mut cx, &mut |_| ControlFlow::Break(())).is_ready());
        let next = Stage::poll_next(times, &mut cx);
        assert_eq!(next, Poll::Ready(Some(Timed::Watermark(Timestamp::from_secs(3)))));
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(event_time, |input| input.event_time(value_as_time, ms(1)));

    marbles!(event_time, |input: i64| input.event_time(|x| Timestamp::from_millis(*x), ms(1)));

    specification!(
        event_time,
        at_any_pace,
        |input: i64| input.event_time(|x| Timestamp::from_millis(*x), ms(1)),
        |input| {
            let mut latest = None;
            input.flat_map(|_, x| {
                let moved = latest.is_none_or(|latest| latest < x);
                latest = latest.max(Some(x));
                let mark = moved.then_some(Timed::Watermark(Timestamp::from_millis(x - 1)));
                [Timed::Item(Timestamp::from_millis(x), x)].into_iter().chain(mark)
            })
        }
    );
}
