//! `also_to`: each item into a sink as well, which sets the pace.

use std::panic::Location;

use futures_sink::Sink;

use super::Dropped;
use super::tap::{Slows, Tap};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Sends a clone of each item into a sink, and waits for it.
    ///
    /// ```text
    /// in    --a-b-----c----|
    /// sink  --a--b----c----close    busy for 3 ms after each item
    /// out   --a--b----c----|        also_to(sink, Dropped::Discard)
    /// ```
    ///
    /// The sink of a channel ([`Sender::into_sink`](crate::Sender::into_sink)) makes another flow
    /// of the items, with a capacity and a policy of its own.
    ///
    /// - **Emits** each item when the sink has taken it.
    /// - **Backpressures** while the sink is not ready.
    /// - **Ends** when the input has ended and the sink is closed; under [`Dropped::End`] also when
    ///   the sink has failed.
    /// - **On error**: an error is an item here and is sent. An error of the sink drops the sink:
    ///   under [`Dropped::Discard`] the flow goes on without it, and counts what it
    ///   [missed](Flow::missed); [`failure`](Flow::failure) tells the error.
    /// - **Holds** 1 item, while the sink is not ready for it.
    /// - **Cost**: one clone for an item; no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, Virtual, channel, iter, share::Dropped};
    /// let (sender, copies) = channel(16, Overflow::Block);
    /// let flow = iter(1..=3).also_to(sender.into_sink(), Dropped::Discard);
    /// assert_eq!(Virtual::new().run(async { futures::join!(flow.count(), copies.count()) }), (3, 3));
    /// ```
    #[doc(alias("also_to_all", "observe", "tee", "tap_sink"))]
    #[track_caller]
    pub fn also_to<Si>(self, sink: Si, dropped: Dropped) -> Flow<Tap<S, Si>>
    where
        S::Item: Clone,
        Si: Sink<S::Item>,
    {
        let slows = Slows::Yes(dropped);
        Flow::from_stage(Tap::new(self.into_stage(), sink, slows, Location::caller()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::tap::busy_sink;
    use crate::testing::{Timeline, items, marbles, ms, specification, timeline, timetable};
    use crate::{Overflow, Virtual, channel, iter};

    marbles!(also_to, |input| input.also_to(busy_sink(|_| {}), Dropped::Discard));

    specification!(also_to, |input| input.also_to(busy_sink(|_| {}), Dropped::Discard), |input| {
        // When the sink has done what it has to do with the items so far.
        let mut free = 0;
        let mut events = Vec::new();
        for (at, item) in input.events {
            events.push((at.max(free), item));
            free = at.max(free) + 3;
        }
        Timeline::new(events, input.end.max(free))
    });

    crate::conformance!(also_to, |input| {
        let (sender, copies) = channel(2, Overflow::Block);
        input.also_to(sender.into_sink(), Dropped::Discard).zip(copies)
    });
    crate::conformance!(also_to_nobody, |input| {
        input.also_to(channel(2, Overflow::Block).0.into_sink(), Dropped::Discard)
    });

    #[test]
    fn a_slow_sink_sets_the_pace_and_gets_every_item() {
        let (sender, copies) = channel(1, Overflow::Block);
        let input = timetable([(2, 'a'), (3, 'b'), (4, 'c'), (5, 'd')], 6);
        let flow = input.also_to(sender.into_sink(), Dropped::Discard);
        let slow = copies.map_async(1, |x| async move {
            let mut alarm = crate::Alarm::new();
            let due = alarm.now() + ms(10);
            alarm.set(due);
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            x
        });
        let got = Virtual::new().run(async {
            let copies = crate::Ambient::current().spawn(slow.collect::<Vec<_>>());
            let now = || crate::Clock::current().now().as_millis();
            let flow = flow.fold(Vec::new(), |mut all, item| {
                all.push((now(), item));
                all
            });
            (flow.await, now(), copies.await)
        });
        assert_eq!(got.2, ['a', 'b', 'c', 'd']);
        assert_eq!(got.0.len(), 4);
        assert!(got.0[3].0 >= 12, "{got:?}");
    }

    #[test]
    fn a_sink_that_fails_is_left_behind_or_ends_the_flow() {
        for (dropped, expected) in [(Dropped::Discard, 5), (Dropped::End, 1)] {
            let (sender, copies) = channel(8, Overflow::Block);
            drop(copies);
            let mut flow = iter(0..5).also_to(sender.into_sink(), dropped);
            let mut count = 0;
            while Virtual::new().run(flow.next()).is_some() {
                count += 1;
            }
            assert_eq!((count, flow.sent(), flow.missed()), (expected, 0, expected), "{dropped:?}");
            assert!(flow.failure().is_some());
        }
    }

    #[test]
    fn the_channel_behind_the_sink_ends_with_the_flow() {
        let (sender, copies) = channel(8, Overflow::Block);
        let flow = iter(0..5).also_to(sender.into_sink(), Dropped::Discard);
        assert_eq!(items(flow), [0, 1, 2, 3, 4]);
        assert_eq!(timeline(copies), ((0..5).map(|n| (0, n)).collect(), 0));
    }
}
