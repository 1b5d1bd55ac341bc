//! `sample_by`: the latest item whenever a signal says so.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::OnEnd;
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the latest item for each item of `signal`, and at the end does with the one that waits
    /// what `on_end` says.
    ///
    /// ```text
    /// in      a-b-----c-d--|
    /// signal  ---x-x---x-----x|
    /// out     ---b-----c---(d|)    sample_by(signal, OnEnd::Emit)
    /// ```
    ///
    /// An item comes out once: a signal after which no new one came gives nothing. If both
    /// are ready, the item comes first. That the signal ends means nothing; with `OnEnd::Wait` the
    /// item that waits is dropped if the signal ends without another item.
    ///
    /// - **Emits** the latest item when the signal has one.
    /// - **Backpressures** never while it is polled: both are taken as fast as they come.
    /// - **Ends** when the input ends; the item that waits goes out at once, with the next signal,
    ///   or is dropped, as `on_end` says.
    /// - **On error**: an error of the input is an item here and may be dropped like one; one of
    ///   the signal is a signal.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, never, time::OnEnd};
    /// # futures::executor::block_on(async {
    /// let last = iter([1, 2, 3]).sample_by(never::<()>(), OnEnd::Emit);
    /// assert_eq!(last.fold(0, |sum, x| sum + x).await, 3);
    /// # });
    /// ```
    #[doc(alias("sample_on", "sample_with_signal"))]
    #[track_caller]
    pub fn sample_by<O: Stage>(self, signal: Flow<O>, on_end: OnEnd) -> Flow<SampleBy<S, O>> {
        Flow::from_stage(SampleBy {
            input: self.into_stage(),
            signal: Some(signal.into_stage()),
            on_end,
            latest: None,
            ended: false,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::sample_by`].
#[pin_project]
#[derive(Debug)]
pub struct SampleBy<S: Stage, O> {
    #[pin]
    input: S,
    /// `None` once it has ended or is of no more use.
    #[pin]
    signal: Option<O>,
    on_end: OnEnd,
    latest: Option<S::Item>,
    ended: bool,
    site: Site,
}

impl<S: Stage, O: Stage> Stage for SampleBy<S, O> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        while !*this.ended {
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => *this.latest = Some(item),
                Poll::Ready(None) => {
                    *this.ended = true;
                    if *this.on_end != OnEnd::Wait {
                        this.signal.set(None);
                        let waited = this.latest.take();
                        return Poll::Ready(waited.filter(|_| *this.on_end == OnEnd::Emit));
                    }
                }
                Poll::Pending => break,
            }
        }
        let over = *this.ended && this.latest.is_none();
        while !over && let Some(signal) = this.signal.as_mut().as_pin_mut() {
            match signal.poll_next(cx) {
                Poll::Ready(Some(_)) => {
                    if let item @ Some(_) = this.latest.take() {
                        return Poll::Ready(item);
                    }
                }
                Poll::Ready(None) => this.signal.set(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        if !*this.ended {
            return Poll::Pending;
        }
        this.signal.set(None);
        *this.latest = None;
        Poll::Ready(None)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let signal = this.signal.as_pin_mut();
        let signal = signal.map_or(Poll::Ready(()), |signal| signal.poll_progress(cx));
        if this.input.poll_progress(cx).is_pending() { Poll::Pending } else { signal }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.latest.is_some());
        let least = if self.on_end == OnEnd::Emit { waiting } else { 0 };
        (least, self.input.size_hint().1.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        let signal = self.signal.as_ref().map(Outline::of);
        outline
            .join("sample_by", self.site, [Outline::of(&self.input)].into_iter().chain(signal))
            .parameter("on_end", format_args!("{:?}", self.on_end))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use super::OnEnd;
    use crate::testing::*;

    marbles!(sample_by, |input, signal| input.sample_by(signal, OnEnd::Emit));
    conformance!(sample_by_emit, |input, signal| input.sample_by(signal, OnEnd::Emit), except [
        Invariance: "which of two inputs that are ready at one instant comes first decides",
    ]);
    conformance!(sample_by_wait, |input, signal| input.sample_by(signal, OnEnd::Wait), except [
        Invariance: "which of two inputs that are ready at one instant comes first decides",
    ]);

    #[test]
    fn an_item_comes_before_a_signal_of_the_same_instant_and_only_once() {
        let signal = || timetable([(1, ()), (2, ()), (5, ())], 6);
        let flow = timetable([(1, 'a'), (4, 'b')], 4).sample_by(signal(), OnEnd::Wait);
        assert_eq!(timeline(flow), (vec![(1, 'a'), (5, 'b')], 5));
        let flow = timetable([(1, 'a'), (4, 'b')], 4).sample_by(signal(), OnEnd::Drop);
        assert_eq!(timeline(flow), (vec![(1, 'a')], 4));
    }

    #[test]
    fn a_signal_that_ends_means_nothing() {
        let flow = timetable([(3, 'a')], 7).sample_by(timetable([(1, ())], 2), OnEnd::Emit);
        assert_eq!(timeline(flow), (vec![(7, 'a')], 7));
        let flow = timetable([(3, 'a')], 7).sample_by(timetable([(1, ())], 9), OnEnd::Wait);
        assert_eq!(timeline(flow), (vec![], 9));
    }

    /// The latest items at the signals, and at the end what waits.
    fn sampled(input: &Timeline<u8>, signal: &Timeline<u8>) -> (Timeline<u8>, Option<u8>) {
        let mut output = Timeline::new([], input.end);
        let mut since = -1;
        let latest = |after: i64, until: i64| {
            input.events.iter().rfind(|(at, _)| after < *at && *at <= until).map(|(_, x)| *x)
        };
        // At one instant the input stands before the signal, and its end does as well.
        for (at, _) in signal.events.iter().filter(|(at, _)| *at < input.end) {
            output.events.extend(latest(since, *at).map(|item| (*at, item)));
            since = *at;
        }
        (output, latest(since, input.end))
    }

    specification!(
        sample_by,
        |input, signal| input.sample_by(signal, OnEnd::Emit),
        |input, signal| -> Timeline<_> {
            let (mut output, waiting) = sampled(&input, &signal);
            output.events.extend(waiting.map(|item| (input.end, item)));
            output
        }
    );
    specification!(
        sample_by_dropping,
        |input, signal| input.sample_by(signal, OnEnd::Drop),
        |input, signal| sampled(&input, &signal).0
    );
    specification!(
        sample_by_waiting,
        |input, signal| input.sample_by(signal, OnEnd::Wait),
        |input, signal| -> Timeline<_> {
            let (mut output, waiting) = sampled(&input, &signal);
            if let Some(item) = waiting {
                let next = signal.events.iter().find(|(at, _)| *at >= input.end);
                output.events.extend(next.map(|(at, _)| (*at, item)));
                output.end = next.map_or(signal.end.max(input.end), |(at, _)| *at);
            }
            output
        }
    );
}
