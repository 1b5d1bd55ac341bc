//! `broadcast`: a fixed number of consumers, each with every item.

use std::panic::Location;

use super::{Dropped, Share, Shared, Slow, Subscription};
use crate::buffer::checked;
use crate::{Flow, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Gives every item to each of `n` flows; the slowest one sets the pace.
    ///
    /// ```text
    /// in      --a-b-c-d|
    /// first   --a-b-c-d|    broadcast(2, 16)
    /// second  --a-b-c-d|
    /// ```
    ///
    /// It is [`share`](Self::share) for consumers that are known when the flow is assembled, and
    /// none can come later.
    ///
    /// - **Emits** from each flow every item.
    /// - **Backpressures** when the slowest of the flows is `capacity` items behind. A flow that
    ///   is kept and never polled stops the others.
    /// - **Ends** each flow when the input has ended and what is held for it is out. A flow that
    ///   is dropped is discarded, and with the last one the input is dropped.
    /// - **On error**: an error is an item here. A panic in the input comes out of the poll of one
    ///   flow, and is the end for the others.
    /// - **Holds** `capacity` items for all flows together.
    /// - **Cost**: one lock and one clone for an item and flow, for a batch of items where a flow
    ///   is drained; the last one to take an item gets it without a clone.
    ///
    /// # Panics
    ///
    /// If `n` or `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// let all = iter(1..=4).broadcast(3, 16);
    /// let sums = all.into_iter().map(|flow| flow.fold(0, |sum, x| sum + x));
    /// assert_eq!(Virtual::new().run(futures::future::join_all(sums)), [10, 10, 10]);
    /// ```
    #[doc(alias("tee", "fan_out", "broadcast_through", "publish"))]
    #[track_caller]
    pub fn broadcast(self, n: usize, capacity: usize) -> Vec<Flow<Subscription<S>>>
    where
        S::Item: Clone,
    {
        let site = Location::caller();
        consumers("broadcast", self, n, capacity, Slow::Block, Dropped::Discard, site)
    }

    /// As [`broadcast`](Self::broadcast), and says what a flow does that is slow, and what it
    /// means that one is dropped.
    ///
    /// ```text
    /// in      --a-b-c-d|
    /// first   --a-b|          broadcast_with(2, 16, Slow::Block, Dropped::End)
    /// second  --a-b!          dropped
    /// ```
    ///
    /// - **Emits** from each flow every item, or as many as [`Slow`] lets it have.
    /// - **Backpressures** under [`Slow::Block`] as `broadcast`, else never while one is polled.
    /// - **Ends** as `broadcast`; under [`Dropped::End`] all of them when one is dropped.
    /// - **On error**: as `broadcast`.
    /// - **Holds** `capacity` items for all flows together.
    /// - **Cost**: as `broadcast`.
    ///
    /// # Panics
    ///
    /// If `n` or `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, share::{Dropped, Slow}};
    /// let mut all = iter(1..=4).broadcast_with(2, 16, Slow::Lag, Dropped::End);
    /// drop(all.pop());
    /// assert_eq!(Virtual::new().run(all.remove(0).count()), 0);
    /// ```
    #[track_caller]
    pub fn broadcast_with(
        self,
        n: usize,
        capacity: usize,
        slow: Slow,
        dropped: Dropped,
    ) -> Vec<Flow<Subscription<S>>>
    where
        S::Item: Clone,
    {
        let site = Location::caller();
        consumers("broadcast_with", self, n, capacity, slow, dropped, site)
    }
}

fn consumers<S: Stage<Item: Clone>>(
    operator: &'static str,
    input: Flow<S>,
    n: usize,
    capacity: usize,
    slow: Slow,
    dropped: Dropped,
    site: Site,
) -> Vec<Flow<Subscription<S>>> {
    let capacity = checked(capacity, operator, site);
    assert!(n > 0, "{operator}: the number of flows must not be zero, at {site}");
    let config = Share { dropped, ..Share::of(capacity, slow) };
    let shared = Shared::new(input.into_stage(), operator, config, None, site);
    (0..n).map(|_| shared.subscribe()).collect()
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use futures_util::future::join_all;

    use super::*;
    use crate::testing::{at_glances, both, branched, glances, items, line, specification, two};
    use crate::{Virtual, iter};

    crate::marbles!(broadcast[first, second], |input| input.broadcast(2, 16));
    crate::marbles!(broadcast_with[first, second], |input| {
        input.broadcast_with(2, 16, Slow::Block, Dropped::End)
    });
    specification!(
        broadcast,
        |input| async move {
            let (quick, slow) = two(input.broadcast(2, 2));
            futures::join!(line(quick), line(glances(slow)))
        },
        |input| both(branched(input, |_| true, |_| true))
    );
    specification!(
        broadcast_with,
        |input| async move {
            let all = input.broadcast_with(2, 2, Slow::Lag, Dropped::Discard);
            let (quick, slow) = two(all);
            futures::join!(line(quick), line(glances(slow)))
        },
        |input| {
            let newest = |held: &mut Vec<u8>| {
                held.drain(..held.len().saturating_sub(2));
                held.remove(0)
            };
            both((input.clone(), at_glances(input, newest)))
        }
    );
    crate::conformance!(broadcast, |input| {
        let mut all = input.broadcast(2, 3);
        all.remove(0).zip(all.remove(0))
    });

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_flow_gets_every_item() {
        let all = iter(0..1_000).broadcast(4, 3).into_iter();
        let sums = join_all(all.map(|flow| flow.fold(0, |sum, x| sum + x)));
        assert_eq!(Virtual::new().run(sums), [499_500; 4]);
    }

    #[test]
    fn a_flow_that_is_dropped_sets_the_others_free_or_ends_them() {
        for (dropped, rest) in [(Dropped::Discard, vec![1, 2, 3]), (Dropped::End, vec![1])] {
            let mut all = iter(0..4).broadcast_with(2, 2, Slow::Block, dropped);
            let mut second = all.pop().unwrap();
            assert_eq!(try_next(&mut second), Poll::Ready(Some(0)));
            let mut first = all.pop().unwrap();
            assert_eq!(try_next(&mut first), Poll::Ready(Some(0)));
            drop(second);
            assert_eq!(items(first), rest, "{dropped:?}");
        }
    }

    #[test]
    fn the_input_is_dropped_as_soon_as_one_flow_is_if_that_is_the_end() {
        let alive = Arc::new(());
        let inside = alive.clone();
        let mut all =
            iter(0..).map(move |_| inside.clone()).broadcast_with(2, 1, Slow::Block, Dropped::End);
        assert!(try_next(&mut all[0]).is_ready());
        drop(all.pop());
        assert_eq!(Arc::strong_count(&alive), 1);
        assert_eq!(try_next(&mut all[0]), Poll::Ready(None));
    }

    #[test]
    #[should_panic(expected = "broadcast: the number of flows must not be zero, at operators/src")]
    fn no_flow_at_all_is_refused_where_it_was_written() {
        let _ = iter([1]).broadcast(0, 1);
    }
}
