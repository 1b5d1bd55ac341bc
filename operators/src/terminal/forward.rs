//! `forward`: all items into a sink.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow into a [`futures::Sink`](Sink), and closes the sink at the end.
    ///
    /// ```text
    /// in     --a-b-----c----|
    /// sink   --a-b-----c----|
    /// out    ---------------(x|)    forward(sink)
    /// where  x = Ok(())
    /// ```
    ///
    /// The sink is flushed whenever the flow has nothing ready. While the sink is not ready, work
    /// in flight above it goes on: futures of a `map_async` are polled, a `buffer` fills. To keep
    /// the sink, hand over `&mut sink`.
    ///
    /// - **Emits** nothing; the future is ready when the sink is closed.
    /// - **Backpressures** while the sink is not ready.
    /// - **Ends** when the input has ended and the sink is closed, or with an error of the sink.
    /// - **On error**: an error of the sink ends the future and drops the input, and with it the
    ///   item that waited for the sink. An error from the input is an item here and is sent.
    /// - **Holds** 1 item, while the sink is not ready for it; dropping the future drops it.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use futures::StreamExt as _;
    /// # futures::executor::block_on(async {
    /// let (sender, receiver) = futures::channel::mpsc::channel(8);
    /// aqueduct_operators::iter([1, 2]).forward(sender).await?;
    /// assert_eq!(receiver.collect::<Vec<_>>().await, [1, 2]);
    /// # Ok::<(), futures::channel::mpsc::SendError>(())
    /// # }).unwrap();
    /// ```
    #[doc(alias("pipe_to", "run_with", "to", "send_all"))]
    pub fn forward<Si>(self, sink: Si) -> Forward<S, Si>
    where
        Si: Sink<S::Item>,
    {
        Forward { flow: Some(self), sink: Some(sink), unsent: None }
    }
}

/// The future behind [`Flow::forward`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Forward<S: Stage, Si> {
    /// `None` once the flow has ended.
    #[pin]
    flow: Option<Flow<S>>,
    /// `None` once the future is over.
    #[pin]
    sink: Option<Si>,
    /// Came when the sink was not ready.
    unsent: Option<S::Item>,
}

/// Why a drain of the flow broke.
enum Stop<E> {
    NotReady,
    Failed(E),
}

impl<S: Stage, Si: Sink<S::Item>> Forward<S, Si> {
    /// Sends what there is; ready when the sink is closed.
    fn poll_send(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Si::Error>> {
        let mut this = self.project();
        let Some(mut sink) = this.sink.as_pin_mut() else {
            panic!("forward: polled again after it was over")
        };
        if this.unsent.is_some() {
            if sink.as_mut().poll_ready(cx)?.is_pending() {
                return wait(this.flow.as_mut().as_pin_mut(), cx);
            }
            if let Some(item) = this.unsent.take() {
                sink.as_mut().start_send(item)?;
            }
        }
        if let Some(mut flow) = this.flow.as_mut().as_pin_mut() {
            let waker = cx.waker().clone();
            let mut sink_cx = Context::from_waker(&waker);
            let drained = flow.as_mut().poll_drain(cx, &mut |item| {
                let sent = match sink.as_mut().poll_ready(&mut sink_cx) {
                    Poll::Ready(Ok(())) => sink.as_mut().start_send(item),
                    Poll::Ready(failed) => failed,
                    Poll::Pending => {
                        *this.unsent = Some(item);
                        return ControlFlow::Break(Stop::NotReady);
                    }
                };
                match sent {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(error) => ControlFlow::Break(Stop::Failed(error)),
                }
            });
            match drained {
                Poll::Ready(ControlFlow::Break(Stop::NotReady)) => return wait(Some(flow), cx),
                Poll::Ready(ControlFlow::Break(Stop::Failed(error))) => {
                    return Poll::Ready(Err(error));
                }
                Poll::Ready(ControlFlow::Continue(())) => this.flow.set(None),
                Poll::Pending => {
                    // Only the flow decides when to go on.
                    let _ = sink.poll_flush(cx)?;
                    return Poll::Pending;
                }
            }
        }
        sink.poll_close(cx)
    }
}

/// Waits for the sink, which has registered the waker, and drives the flow meanwhile.
fn wait<S: Stage, R>(flow: Option<Pin<&mut Flow<S>>>, cx: &mut Context<'_>) -> Poll<R> {
    if let Some(flow) = flow {
        let _ = flow.poll_progress(cx);
    }
    Poll::Pending
}

impl<S: Stage, Si: Sink<S::Item>> Future for Forward<S, Si> {
    type Output = Result<(), Si::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.as_mut().poll_send(cx));
        let mut this = self.project();
        this.flow.set(None);
        this.sink.set(None);
        *this.unsent = None;
        Poll::Ready(result)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    use futures::channel::mpsc;
    use futures::executor::block_on;

    use super::*;
    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Alarm, Clock, Virtual, from_future, iter};

    type Polled = Poll<Result<(), Infallible>>;

    /// Takes an item, needs `pace` milliseconds before it is ready for another, and notes it all.
    struct Slow<'a> {
        log: &'a RefCell<Vec<(i64, String)>>,
        busy: Alarm,
        pace: u64,
    }

    impl Slow<'_> {
        fn note(&self, what: impl Into<String>) -> Result<(), Infallible> {
            let now = Clock::current().now().as_millis();
            self.log.borrow_mut().push((now, what.into()));
            Ok(())
        }
    }

    impl Sink<char> for Slow<'_> {
        type Error = Infallible;

        fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
            if self.busy.deadline().is_some() {
                ready!(self.busy.poll(cx));
            }
            Poll::Ready(Ok(()))
        }

        fn start_send(mut self: Pin<&mut Self>, item: char) -> Result<(), Infallible> {
            let due = self.busy.now() + ms(self.pace);
            self.busy.set(due);
            self.note(item)
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
            Poll::Ready(self.note("flush"))
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Polled {
            Poll::Ready(self.note("close"))
        }
    }

    fn sent<S: Stage<Item = char>>(flow: Flow<S>, pace: u64) -> Vec<(i64, String)> {
        let log = RefCell::default();
        let sink = Slow { log: &log, busy: Alarm::new(), pace };
        let Ok(()) = Virtual::new().run(flow.forward(sink));
        log.take()
    }

    fn line(at: i64, what: &str) -> (i64, String) {
        (at, what.into())
    }

    #[test]
    fn the_sink_is_flushed_when_nothing_is_ready_and_closed_at_the_end() {
        let log = sent(timetable([(2, 'a'), (2, 'b'), (5, 'c')], 7), 0);
        let expected = [
            line(0, "flush"),
            line(2, "a"),
            line(2, "b"),
            line(2, "flush"),
            line(5, "c"),
            line(5, "flush"),
            line(7, "close"),
        ];
        assert_eq!(log, expected);
    }

    #[test]
    fn the_sink_sets_the_pace_and_gets_every_item() {
        let log = sent(iter(['a', 'b', 'c']), 10);
        let expected = [line(0, "a"), line(10, "b"), line(20, "c"), line(20, "close")];
        assert_eq!(log, expected);
    }

    /// Items that are there at once; notes how often it was driven.
    struct Driven<'a>(u8, &'a Cell<u32>);

    impl Stage for Driven<'_> {
        type Item = u8;

        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<u8>> {
            self.0 += 1;
            Poll::Ready(Some(self.0))
        }

        fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            self.1.set(self.1.get() + 1);
            Poll::Ready(())
        }

        fn describe(&self, _: &mut crate::Outline) {}
    }

    #[test]
    fn the_flow_is_driven_while_the_sink_is_not_ready() {
        let driven = Cell::new(0);
        let (sender, mut receiver) = mpsc::channel(0);
        let mut forward = pin!(Flow::from_stage(Driven(0, &driven)).forward(sender));
        let mut cx = Context::from_waker(Waker::noop());
        for polls in 1..=3 {
            assert!(forward.as_mut().poll(&mut cx).is_pending());
            assert_eq!(driven.get(), polls);
        }
        assert_eq!(receiver.try_recv(), Ok(1));
        assert!(forward.as_mut().poll(&mut cx).is_pending());
        assert_eq!(receiver.try_recv(), Ok(2));
    }

    #[test]
    fn an_error_of_the_sink_drops_the_flow_and_the_item_that_waited() {
        let item = Rc::new(());
        let (sender, receiver) = mpsc::channel(0);
        let flow = iter(std::iter::repeat(item.clone()));
        let mut forward = pin!(flow.forward(sender));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(forward.as_mut().poll(&mut cx).is_pending());
        drop(receiver);
        let result = block_on(poll_fn(|cx| forward.as_mut().poll(cx)));
        assert!(result.unwrap_err().is_disconnected());
        assert_eq!(Rc::strong_count(&item), 1);
    }

    marbles!(forward, |input| input.forward(Vec::new()));

    specification!(forward, |input| input.forward(Vec::new()), |input| {
        Timeline::new([(input.end, Ok(()))], input.end)
    });

    conformance!(forward, |input| {
        from_future(input.forward(futures::sink::drain()))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
