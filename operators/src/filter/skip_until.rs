//! `skip_until`: the items after a signal.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::signal::Signal;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Drops items until `signal` is ready.
    ///
    /// ```text
    /// in      --a--b----c--d--|
    /// signal  ---------x
    /// out     ----------c--d--|    skip_until(signal)
    /// ```
    ///
    /// The signal is any future, and is looked at before each item is asked for: when both are
    /// there, the signal comes first. At one instant of virtual time an item comes before a timer,
    /// as everywhere, and is dropped. A signal that is a stream should not be ready when the
    /// stream ends without an item: see [`take_until`](Self::take_until) for such a future.
    ///
    /// - **Emits** each item after the signal, in the same poll.
    /// - **Backpressures** when downstream does; before the signal the input is taken as fast as
    ///   it comes.
    /// - **Ends** when the input ends. A signal that never comes lets nothing pass.
    /// - **On error**: an error is an item here. What the signal gives is dropped, an error too.
    /// - **Holds** nothing.
    /// - **Cost**: one load for an item until the signal, one allocation when it is assembled, no
    ///   clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (begin, begun) = futures::channel::oneshot::channel();
    /// let mut begin = Some(begin);
    /// let flow = aqueduct_operators::iter(1..=4)
    ///     .inspect(|x| if *x == 2 { begin.take().unwrap().send(()).unwrap() })
    ///     .skip_until(begun);
    /// assert_eq!(flow.collect::<Vec<_>>().await, [3, 4]);
    /// # });
    /// ```
    #[doc(alias("skip_until_other", "drop_until", "delay_subscription"))]
    #[track_caller]
    pub fn skip_until<F>(self, signal: F) -> Flow<SkipUntil<S, F>>
    where
        F: Future,
    {
        Flow::from_stage(SkipUntil {
            input: self.into_stage(),
            signal: Some(Signal::new(signal)),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::skip_until`].
#[pin_project]
#[derive(Debug)]
pub struct SkipUntil<S, F> {
    #[pin]
    input: S,
    /// `None` once it has come.
    #[pin]
    signal: Option<Signal<F>>,
    site: Site,
}

/// Whether the signal has come; then it is dropped.
fn has_come<F: Future>(signal: &mut Pin<&mut Option<Signal<F>>>) -> bool {
    let came = signal.as_mut().as_pin_mut().is_none_or(|signal| signal.is_ready());
    if came {
        signal.set(None);
    }
    came
}

/// As [`has_come`], and wakes the task of `cx` when that may have changed.
fn poll_signal<F: Future>(
    signal: &mut Pin<&mut Option<Signal<F>>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if signal.as_mut().as_pin_mut().is_some_and(|signal| !signal.poll(cx)) {
        return Poll::Pending;
    }
    signal.set(None);
    Poll::Ready(())
}

impl<S: Stage, F: Future> Stage for SkipUntil<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        loop {
            let open = has_come(&mut this.signal);
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(_)) if !open => {}
                Poll::Pending => {
                    let _ = poll_signal(&mut this.signal, cx);
                    return Poll::Pending;
                }
                item => return item,
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let signal = &mut this.signal;
        let mut open = has_come(signal);
        let drained = this.input.poll_drain(cx, &mut |item| {
            if !open {
                // As if each item were asked for by itself.
                open = has_come(signal);
                return ControlFlow::Continue(());
            }
            each(item)
        });
        if drained.is_pending() {
            let _ = poll_signal(signal, cx);
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let came = poll_signal(&mut this.signal, cx);
        ready!(this.input.poll_progress(cx));
        came
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        (if self.signal.is_none() { least } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("skip_until", self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn, ready};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use futures::channel::oneshot;

    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };
    use crate::{Alarm, Stage, Timestamp, iter};

    /// A timer, as a signal.
    async fn at(millis: i64) {
        let mut alarm = Alarm::new();
        alarm.set(Timestamp::from_millis(millis));
        poll_fn(|cx| alarm.poll(cx)).await;
    }

    #[test]
    fn items_pass_after_the_signal() {
        let flow = timetable([(1, 'a'), (4, 'b'), (9, 'c')], 20).skip_until(at(3));
        assert_eq!(timeline(flow), (vec![(4, 'b'), (9, 'c')], 20));
    }

    #[test]
    fn an_item_at_the_instant_of_a_timer_is_dropped() {
        let flow = timetable([(1, 'a'), (4, 'b'), (9, 'c')], 20).skip_until(at(4));
        assert_eq!(timeline(flow), (vec![(9, 'c')], 20));
    }

    #[test]
    fn without_the_signal_nothing_passes_and_the_end_does() {
        let flow = timetable([(1, 'a')], 7).skip_until(pending::<()>());
        assert_eq!(timeline(flow), (vec![], 7));
        assert!(every_way(|| iter(0..9).skip_until(pending::<()>())).is_empty());
    }

    #[test]
    fn a_signal_that_is_there_from_the_start_changes_nothing() {
        assert_eq!(every_way(|| iter([1, 2]).skip_until(ready(()))), [1, 2]);
    }

    #[test]
    fn a_signal_between_two_items_that_are_ready_lets_the_second_pass() {
        let flow = || {
            let (begin, begun) = oneshot::channel();
            let mut begin = Some(begin);
            iter(0..7)
                .inspect(move |x| {
                    if let Some(begin) = begin.take_if(|_| *x == 3) {
                        begin.send(()).unwrap();
                    }
                })
                .skip_until(begun)
        };
        assert_eq!(every_way(flow), [4, 5, 6]);
    }

    #[test]
    fn the_signal_is_noticed_even_while_downstream_is_busy() {
        let polls = Cell::new(0);
        let signal = poll_fn(|_| {
            polls.set(polls.get() + 1);
            Poll::Ready(())
        });
        let mut flow = pin!(iter([1]).skip_until(signal));
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
            assert_eq!(polls.get(), 1);
        }
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(Some(1)));
    }

    marbles!(skip_until, |input, signal| input.skip_until(signal.first()));

    conformance!(skip_until, |input| input.skip_until(at(5)));

    specification!(skip_until, |input| input.skip_until(at(5)), |input| {
        Timeline::new(input.events.into_iter().filter(|(at, _)| *at > 5), input.end)
    });
}
