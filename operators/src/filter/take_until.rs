//! `take_until`: the items before a signal.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::ended_or_broke;
use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets items pass until `signal` is ready.
    ///
    /// ```text
    /// in      --a--b----c--d--|
    /// signal  ---------()
    /// out     --a--b---|
    /// ```
    ///
    /// The signal is any future: a token's `cancelled()`, a channel's `recv()`, a timer. It is
    /// looked at before each item is asked for: when both are there, the signal comes first. At
    /// one instant of virtual time an item comes before a timer, as everywhere.
    ///
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
    /// - **Cost**: one poll of the signal for an item; no allocation, no clock read.
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
            signal: Some(signal),
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
    signal: Option<F>,
    site: Site,
}

impl<S: Stage, F: Future> Stage for TakeUntil<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let item = match this.input.as_mut().as_pin_mut() {
            Some(input) if !fired(this.signal.as_mut(), cx) => ready!(input.poll_next(cx)),
            _ => None,
        };
        if item.is_none() {
            this.input.set(None);
            this.signal.set(None);
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let waker = cx.waker().clone();
        let mut signal_cx = Context::from_waker(&waker);
        let drained = match this.input.as_mut().as_pin_mut() {
            Some(input) if !fired(this.signal.as_mut(), cx) => {
                input.poll_drain(cx, &mut |item| match each(item) {
                    ControlFlow::Break(value) => ControlFlow::Break(Some(value)),
                    ControlFlow::Continue(()) if fired(this.signal.as_mut(), &mut signal_cx) => {
                        ControlFlow::Break(None)
                    }
                    ControlFlow::Continue(()) => ControlFlow::Continue(()),
                })
            }
            _ => Poll::Ready(ControlFlow::Continue(())),
        };
        let (drained, ended) = ended_or_broke(drained);
        if ended {
            this.input.set(None);
            this.signal.set(None);
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if fired(this.signal.as_mut(), cx) {
            this.input.set(None);
            this.signal.set(None);
            return Poll::Ready(());
        }
        if let Some(input) = this.input.as_pin_mut() {
            let _ = input.poll_progress(cx);
        }
        // The signal is in flight.
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

/// Whether the signal is ready, or was and is gone.
fn fired<F: Future>(signal: Pin<&mut Option<F>>, cx: &mut Context<'_>) -> bool {
    signal
        .as_pin_mut()
        .is_none_or(|signal| signal.poll(cx).is_ready())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn, ready};
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use futures::channel::oneshot;

    use crate::testing::{every_way, items, timeline, timetable};
    use crate::{Alarm, Stage, Timestamp, iter};

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
        let flow = iter([1])
            .inspect(|_| panic!("polled"))
            .take_until(ready(()));
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
            let passed = Rc::new(Cell::new(0));
            let seen = passed.clone();
            let signal = poll_fn(move |_| match seen.get() {
                4 => Poll::Ready(()),
                _ => Poll::Pending,
            });
            iter(1..)
                .inspect(move |x| passed.set(*x))
                .take_until(signal)
        };
        assert_eq!(every_way(flow), [1, 2, 3, 4]);
    }

    #[test]
    fn the_input_is_dropped_with_the_signal_even_while_downstream_is_busy() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let (stop, stopped) = oneshot::channel();
        let input = iter(1..).map(move |x| (x, owned.clone()).0);
        let mut flow = std::pin::pin!(input.take_until(stopped));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(
            Stage::poll_next(flow.as_mut(), &mut cx),
            Poll::Ready(Some(1))
        );
        assert!(flow.as_mut().poll_progress(&mut cx).is_pending());
        stop.send(()).unwrap();
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(watch.strong_count(), 0);
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(None));
    }
}
