//! `wire_tap`: each item into a sink as well, if it is ready.

use std::panic::Location;

use futures_sink::Sink;

use super::tap::{Slows, Tap};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Sends a clone of each item into a sink that is ready for it, and never waits.
    ///
    /// ```text
    /// in    --a-b---c----|
    /// sink  --a-----c----    not ready at 4; missed: 1
    /// out   --a-b---c----|    wire_tap(sink)
    /// ```
    ///
    /// For metrics, logs and other listeners whose trouble must not become that of the flow. With
    /// the sink of a channel ([`Sender::into_sink`](crate::Sender::into_sink)) the capacity and
    /// the policy of the channel say which items are missed.
    ///
    /// - **Emits** each item at once.
    /// - **Backpressures** when downstream does, never because of the sink.
    /// - **Ends** when the input ends. The sink is told to close, and dropped without waiting for
    ///   it.
    /// - **On error**: an error is an item here and is sent. An error of the sink drops the sink,
    ///   and the flow goes on; [`failure`](Flow::failure) tells it.
    /// - **Holds** nothing.
    /// - **Cost**: one clone for an item that is sent; no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, Virtual, channel, iter};
    /// let (sender, newest) = channel(1, Overflow::Latest);
    /// let flow = iter(1..=3).wire_tap(sender.into_sink());
    /// assert_eq!(Virtual::new().run(flow.count()), 3);
    /// assert_eq!(Virtual::new().run(newest.last()), Some(3));
    /// ```
    #[doc(alias("tap", "listen", "observe"))]
    #[track_caller]
    pub fn wire_tap<Si>(self, sink: Si) -> Flow<Tap<S, Si>>
    where
        S::Item: Clone,
        Si: Sink<S::Item>,
    {
        Flow::from_stage(Tap::new(self.into_stage(), sink, Slows::No, Location::caller()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::share::tap::busy_sink;
    use crate::testing::{Timeline, items, line, specification};
    use crate::{Overflow, Virtual, channel, iter};

    crate::marbles!(wire_tap, |input| {
        input.wire_tap(channel(2, Overflow::Block).0.into_sink())
    });

    specification!(
        wire_tap,
        |input| async move {
            let heard = RefCell::new(Vec::new());
            let out = line(input.wire_tap(busy_sink(|x| heard.borrow_mut().push(x)))).await;
            (heard.take(), out)
        },
        |input| {
            let (mut heard, mut free) = (Vec::new(), 0);
            for (at, item) in &input.events {
                if *at >= free {
                    heard.push(*item);
                    free = at + 3;
                }
            }
            Timeline::new([(input.end, (heard, input.clone()))], input.end)
        }
    );

    crate::conformance!(wire_tap, |input| {
        let (sender, copies) = channel(2, Overflow::Block);
        input.wire_tap(sender.into_sink()).zip(copies)
    });

    crate::conformance!(wire_tap_for_nobody, |input| {
        input.wire_tap(channel(2, Overflow::Block).0.into_sink())
    });

    #[test]
    fn a_sink_that_is_not_ready_misses_items_and_the_flow_none() {
        let (sender, copies) = channel(2, Overflow::Block);
        let mut flow = iter(0..10).wire_tap(sender.into_sink());
        for n in 0..10 {
            assert_eq!(Virtual::new().run(flow.next()), Some(n));
        }
        assert_eq!((flow.sent(), flow.missed()), (2, 8));
        assert_eq!(Virtual::new().run(flow.next()), None);
        drop(flow);
        assert_eq!(items(copies), [0, 1]);
    }

    #[test]
    fn a_listener_that_is_gone_does_not_disturb() {
        let (sender, copies) = channel(2, Overflow::Block);
        drop(copies);
        let mut flow = iter(0..10).wire_tap(sender.into_sink());
        while Virtual::new().run(flow.next()).is_some() {}
        assert_eq!((flow.sent(), flow.missed()), (0, 10));
    }
}
