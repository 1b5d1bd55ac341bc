//! `take_until`: the items before a signal.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::ended_or_broke;
use super::signal::Signal;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets items pass until `signal` is ready.
    ///
    /// ```text
    /// in      --a--b----c--d--|
    /// signal  ---------s
    /// out     --a--b---|           take_until(signal)
    /// ```
    ///
    /// The signal is any future: a token's `cancelled()`, a channel's `recv()`, a timer. It is
    /// looked at before each item is asked for: when both are there, the signal comes first. At
    /// one instant of virtual time an item comes before a timer, as everywhere.
    ///
    /// Ready is ready: the receiver of a oneshot channel is so too when its sender is dropped.
    /// For a signal that is a stream only its items should count, not its end. A future that does
    /// not become ready when the stream ends without an item is
    ///
    /// ```
    /// # async fn signal(stop: aqueduct_operators::Flow<impl aqueduct_operators::Stage>) {
    /// if stop.first().await.is_none() {
    ///     std::future::pending::<()>().await;
    /// }
    /// # }
    /// ```
    ///
    /// - **Emits** each item until the signal, in the same poll.
    /// - **Backpressures** when downstream does; the signal is awaited all the same.
    /// - **Ends** when the signal is ready, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here. What the signal gives is dropped, an error too.
    /// - **Holds** nothing.
    /// - **Cost**: one load for an item, one allocation when it is assembled, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (stop, stopped) = futures::channel::oneshot::channel();
    /// let mut ticks = aqueduct_operators::iter(1..).take_until(stopped);
    /// assert_eq!(ticks.next().await, Some(1));
    /// stop.send(()).unwrap();
    /// assert_eq!(ticks.next().await, None);
    /// # });
    /// ```
    #[doc(alias("take_until_other", "interrupt_when", "halt_when", "kill_switch"))]
    #[track_caller]
    pub fn take_until<F>(self, signal: F) -> Flow<TakeUntil<S, F>>
    where
        F: Future,
    {
        Flow::from_stage(TakeUntil {
            input: Some(self.into_stage()),
            signal: Some(Signal::new(signal)),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::take_until`].
#[pin_project]
#[derive(Debug)]
pub struct TakeUntil<S, F> {
    /// `None` once this has ended; the signal goes with it.
    #[pin]
    input: Option<S>,
    #[pin]
    signal: Option<Signal<F>>,
    site: Site,
}

impl<S: Stage, F: Future> Stage for TakeUntil<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let Some((input, mut signal)) = both(this.input.as_mut(), this.signal.as_mut()) else {
            return Poll::Ready(None);
        };
        let mut polled = Poll::Ready(None);
        if !signal.as_mut().is_ready() {
            polled = input.poll_next(cx);
            if polled.is_pending() && signal.poll(cx) {
                polled = Poll::Ready(None);
            }
        }
        if let Poll::Ready(None) = polled {
            this.input.set(None);
            this.signal.set(None);
        }
        polled
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let Some((input, mut signal)) = both(this.input.as_mut(), this.signal.as_mut()) else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let mut drained = Poll::Ready(ControlFlow::Continue(()));
        if !signal.as_mut().is_ready() {
            drained = input.poll_drain(cx, &mut |item| match each(item) {
                ControlFlow::Break(value) => ControlFlow::Break(Some(value)),
                ControlFlow::Continue(()) if signal.as_mut().is_ready() => ControlFlow::Break(None),
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
            });
            if drained.is_pending() && signal.poll(cx) {
                drained = Poll::Ready(ControlFlow::Continue(()));
            }
        }
        let (drained, ended) = ended_or_broke(drained);
        if ended {
            this.input.set(None);
            this.signal.set(None);
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some((input, signal)) = both(this.input.as_mut(), this.signal.as_mut()) else {
            return Poll::Ready(());
        };
        if signal.poll(cx) {
            this.input.set(None);
            this.signal.set(None);
            return Poll::Ready(());
        }
        // The signal is in flight, whatever the input says.
        let _ = input.poll_progress(cx);
        Poll::Pending
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.input.as_ref().map(|input| input.size_hint().1);
        (0, most.unwrap_or(Some(0)))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("take_until", self.site);
    }
}

/// The two, which go together.
fn both<'a, S, F>(
    input: Pin<&'a mut Option<S>>,
    signal: Pin<&'a mut Option<Signal<F>>>,
) -> Option<(Pin<&'a mut S>, Pin<&'a mut Signal<F>>)> {
    input.as_pin_mut().zip(signal.as_pin_mut())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn, ready};
    use std::pin::pin;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Poll, Wake, Waker};

    use futures::channel::oneshot;

    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Alarm, Stage, Timestamp, flow, iter};

    /// A timer, as a signal.
    async fn at(millis: i64) {
        let mut alarm = Alarm::new();
        alarm.set(Timestamp::from_millis(millis));
        poll_fn(|cx| alarm.poll(cx)).await;
    }

    #[test]
    fn the_signal_ends_the_flow_at_once() {
        let flow = timetable([(1, 'a'), (4, 'b'), (9, 'c')], 20).take_until(at(6));
        assert_eq!(timeline(flow), (vec![(1, 'a'), (4, 'b')], 6));
    }

    #[test]
    fn an_item_at_the_instant_of_a_timer_still_passes() {
        let flow = timetable([(1, 'a'), (6, 'b'), (9, 'c')], 20).take_until(at(6));
        assert_eq!(timeline(flow), (vec![(1, 'a'), (6, 'b')], 6));
    }

    #[test]
    fn a_signal_that_is_there_from_the_start_lets_nothing_pass() {
        let flow = iter([1]).inspect(|_| panic!("polled")).take_until(ready(()));
        assert!(items(flow).is_empty());
    }

    #[test]
    fn a_signal_that_never_comes_changes_nothing() {
        let flow = || iter([1, 2, 3]).take_until(pending::<()>());
        assert_eq!(every_way(flow), [1, 2, 3]);
    }

    #[test]
    fn a_signal_between_two_items_that_are_ready_stops_the_second() {
        let flow = || {
            let (stop, stopped) = oneshot::channel();
            let mut stop = Some(stop);
            iter(1..)
                .inspect(move |x| {
                    if let Some(stop) = stop.take_if(|_| *x == 4) {
                        stop.send(()).unwrap();
                    }
                })
                .take_until(stopped)
        };
        assert_eq!(every_way(flow), [1, 2, 3, 4]);
    }

    #[test]
    fn the_signal_is_polled_only_when_it_asked_for_it() {
        let polls = Cell::new(0);
        let signal = poll_fn(|_| -> Poll<()> {
            polls.set(polls.get() + 1);
            Poll::Pending
        });
        assert_eq!(items(iter(0..100).take_until(signal)).len(), 100);
        assert_eq!(polls.get(), 1);
    }

    /// Counts how often it was woken.
    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_task_that_polled_last_is_woken_by_the_signal() {
        let (stop, stopped) = oneshot::channel::<()>();
        let mut flow = pin!(flow(futures::stream::pending::<u8>()).take_until(stopped));
        let tasks = [(); 2].map(|()| Arc::new(Woken::default()));
        for task in &tasks {
            let waker = task.clone().into();
            let mut cx = Context::from_waker(&waker);
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
        }
        stop.send(()).unwrap();
        assert_eq!(tasks.map(|task| task.0.load(Ordering::SeqCst)), [0, 1]);
    }

    #[test]
    fn the_input_is_dropped_with_the_signal_even_while_downstream_is_busy() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let (stop, stopped) = oneshot::channel();
        let input = iter(1..).map(move |x| (x, owned.clone()).0);
        let mut flow = pin!(input.take_until(stopped));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(Some(1)));
        assert!(flow.as_mut().poll_progress(&mut cx).is_pending());
        stop.send(()).unwrap();
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(watch.strong_count(), 0);
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(None));
    }

    async fn sleep(millis: u64) {
        let mut alarm = crate::Alarm::new();
        let due = alarm.now() + ms(millis);
        alarm.set(due);
        std::future::poll_fn(|cx| alarm.poll(cx)).await;
    }

    conformance!(take_until, |input| input.take_until(sleep(5)));

    marbles!(take_until, |input, signal| input.take_until(signal.first()));

    specification!(
        take_until,
        |input, signal| input.take_until(signal.first()),
        |input, signal| {
            let signal = signal.events.first().map_or(signal.end, |(at, _)| *at);
            let end = input.end.min(signal);
            // Of what comes at one instant the input comes first; at the begin both are there, and
            // the signal is looked at first.
            let in_time = |at: i64| at < signal || at == signal && at > 0;
            Timeline::new(input.events.into_iter().filter(|(at, _)| in_time(*at)), end)
        }
    );
}
