//! `watch_termination`: a handle that tells how a flow ended.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_channel::oneshot;

use super::{End, OnEnd};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// The flow, and a future that tells how it ended, for somebody else to wait for.
    ///
    /// ```text
    /// in    --a--b--|
    /// out   --a--b--|
    /// done  --------(End::Done)
    /// ```
    ///
    /// The flow goes on without the future too.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: one allocation when it is assembled, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{iter, lifecycle::End};
    /// let (done, flow) = iter([1, 2]).watch_termination();
    /// assert_eq!(flow.count().await, 2);
    /// assert_eq!(done.await, End::Done);
    /// # });
    /// ```
    #[doc(alias("pre_materialize", "monitor", "join_handle"))]
    #[track_caller]
    pub fn watch_termination(self) -> (Termination, Flow<OnEnd<S, impl FnOnce(End)>>) {
        let (tell, told) = oneshot::channel();
        let flow = OnEnd::new(
            self,
            // Nobody waits for it any more.
            move |end| _ = tell.send(end),
            "watch_termination",
            Location::caller(),
        );
        (Termination(told), Flow::from_stage(flow))
    }
}

/// Tells how a flow ended: see [`Flow::watch_termination`].
#[derive(Debug)]
#[must_use = "it tells nothing unless it is awaited"]
pub struct Termination(oneshot::Receiver<End>);

impl Future for Termination {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        // Without a word it was dropped while the hook was on its way: a panic.
        Pin::new(&mut self.0).poll(cx).map(|told| told.unwrap_or(End::Panicked))
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::join;

    use super::End;
    use crate::testing::{conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, iter};

    #[test]
    fn the_future_is_ready_when_the_flow_has_ended() {
        let (done, flow) = timetable([(1, 'a')], 7).watch_termination();
        let done = done.map(|end| (end, Clock::current().now().as_millis()));
        let (done, _) = Virtual::new().run(join(done, flow.drain()));
        assert_eq!(done, (End::Done, 7));
    }

    #[test]
    fn it_tells_a_drop_from_an_end_and_need_not_be_listened_to() {
        let (done, flow) = iter(1..).watch_termination();
        assert_eq!(flow.take(2).count().now_or_never(), Some(2));
        assert_eq!(done.now_or_never(), Some(End::Dropped));
        let (done, flow) = iter([1]).watch_termination();
        drop(done);
        assert_eq!(flow.count().now_or_never(), Some(1));
    }

    marbles!(watch_termination, |input| input.watch_termination().1);

    specification!(watch_termination, at_any_pace, |input| input.watch_termination().1, |input| {
        input
    });

    conformance!(watch_termination, |input| input.watch_termination().1);
}
