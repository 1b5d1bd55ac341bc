//! `unzip`: a flow of pairs becomes a pair of flows.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{Board, Dropped, Hub, Seat};
use crate::buffer::checked;
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage<Item = (A, B)>, A, B> Flow<S> {
    /// Splits a flow of pairs into the flow of the first and that of the second halves.
    ///
    /// ```text
    /// in      --x-y|
    /// first   --a-b|    unzip(8, Dropped::Discard)
    /// second  --1-2|
    /// where  x = (a, 1), y = (b, 2)
    /// ```
    ///
    /// Nothing runs before one of the two is polled, and there is no task.
    ///
    /// - **Emits** from each flow its half of every pair, in order.
    /// - **Backpressures** when one of the flows holds `capacity` items. One that is kept and
    ///   never polled stops the other.
    /// - **Ends** each flow when the input has ended and what it holds is out. If one is dropped,
    ///   its halves are discarded, or that is the [end](Dropped::End) of the other too.
    /// - **On error**: a panic in the input comes out of the poll of one flow, and is the end for
    ///   the other.
    /// - **Holds** `capacity` items in each flow.
    /// - **Cost**: one lock for an item; the clock is read once a slice.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, share::Dropped};
    /// let (names, numbers) = iter([("a", 1), ("b", 2)]).unzip(8, Dropped::Discard);
    /// let both = async { futures::join!(names.count(), numbers.fold(0, |sum, x| sum + x)) };
    /// assert_eq!(Virtual::new().run(both), (2, 3));
    /// ```
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "two flows")]
    pub fn unzip(
        self,
        capacity: usize,
        dropped: Dropped,
    ) -> (Flow<Unzipped<S, A, B, A>>, Flow<Unzipped<S, A, B, B>>) {
        let site = Location::caller();
        let capacity = checked(capacity, "unzip", site);
        let queues = (Some(VecDeque::new()), Some(VecDeque::new()));
        let hub = Hub::new(self.into_stage(), Halves { queues, capacity, dropped });
        (side(&hub, 0, Half::first, capacity, site), side(&hub, 1, Half::second, capacity, site))
    }
}

fn side<S: Stage<Item = (A, B)>, A, B, O>(
    hub: &std::sync::Arc<Hub<S, Halves<A, B>>>,
    seat: usize,
    pick: fn(Half<A, B>) -> Option<O>,
    capacity: NonZeroUsize,
    site: Site,
) -> Flow<Unzipped<S, A, B, O>> {
    Flow::from_stage(Unzipped { seat: hub.seat(|_| seat), pick, index: seat, capacity, site })
}

/// The stage behind [`Flow::unzip`].
#[derive(Debug)]
pub struct Unzipped<S: Stage<Item = (A, B)>, A, B, O> {
    seat: Seat<S, Halves<A, B>>,
    /// This half of a pair.
    pick: fn(Half<A, B>) -> Option<O>,
    index: usize,
    capacity: NonZeroUsize,
    site: Site,
}

// The input lies pinned in the hub.
impl<S: Stage<Item = (A, B)>, A, B, O> Unpin for Unzipped<S, A, B, O> {}

impl<S: Stage<Item = (A, B)>, A, B, O> Stage for Unzipped<S, A, B, O> {
    type Item = O;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<O>> {
        let pick = self.pick;
        self.seat.poll_next(cx).map(|half| half.and_then(pick))
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.seat.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.seat.look(Halves::held), None)
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join("unzip", self.site, [self.seat.hub().above()])
            .parameter("half", self.index)
            .parameter("capacity", self.capacity)
            .holds(Bound::Items(self.capacity.get()));
    }
}

/// One half of a pair.
#[derive(Debug)]
pub enum Half<A, B> {
    /// The first one.
    First(A),
    /// The second one.
    Second(B),
}

impl<A, B> Half<A, B> {
    fn first(self) -> Option<A> {
        if let Self::First(half) = self { Some(half) } else { None }
    }

    fn second(self) -> Option<B> {
        if let Self::Second(half) = self { Some(half) } else { None }
    }
}

/// A queue for each half; `None` for one that was dropped.
#[derive(Debug)]
pub(crate) struct Halves<A, B> {
    queues: (Option<VecDeque<A>>, Option<VecDeque<B>>),
    capacity: NonZeroUsize,
    dropped: Dropped,
}

impl<A, B> Halves<A, B> {
    fn held(&self, seat: usize) -> usize {
        let (first, second) = &self.queues;
        let held = if seat == 0 {
            first.as_ref().map(VecDeque::len)
        } else {
            second.as_ref().map(VecDeque::len)
        };
        held.unwrap_or(0)
    }
}

impl<A, B> Board<(A, B)> for Halves<A, B> {
    type Out = Half<A, B>;
    type Waste = Half<A, B>;

    fn take(&mut self, seat: usize, _: &mut Vec<Half<A, B>>) -> Option<Half<A, B>> {
        let (first, second) = &mut self.queues;
        if seat == 0 {
            first.as_mut()?.pop_front().map(Half::First)
        } else {
            second.as_mut()?.pop_front().map(Half::Second)
        }
    }

    fn room(&self) -> usize {
        self.capacity.get() - self.held(0).max(self.held(1))
    }

    fn put(&mut self, (a, b): (A, B), waste: &mut Vec<Half<A, B>>) {
        match &mut self.queues.0 {
            Some(queue) => queue.push_back(a),
            None => waste.push(Half::First(a)),
        }
        match &mut self.queues.1 {
            Some(queue) => queue.push_back(b),
            None => waste.push(Half::Second(b)),
        }
    }

    fn leave(&mut self, seat: usize, waste: &mut Vec<Half<A, B>>) -> bool {
        if seat == 0 {
            waste.extend(self.queues.0.take().into_iter().flatten().map(Half::First));
        } else {
            waste.extend(self.queues.1.take().into_iter().flatten().map(Half::Second));
        }
        self.dropped == Dropped::Discard && (self.queues.0.is_some() || self.queues.1.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::testing::{both, branched, glances, items, line, specification};
    use crate::{Virtual, iter};

    crate::marbles!(unzip[first, second], |input: (char, u32)| input.unzip(8, Dropped::Discard));
    specification!(
        unzip,
        |input: (u8, u8)| async move {
            let (first, second) = input.unzip(2, Dropped::Discard);
            futures::join!(line(first), line(glances(second)))
        },
        |input: (u8, u8)| {
            let (first, second) = branched(input, |_| true, |_| true);
            both((first.map(|(a, _)| a), second.map(|(_, b)| b)))
        }
    );
    crate::conformance!(unzip, |input| {
        let (first, second) = input.map(|x| (x.clone(), x)).unzip(2, Dropped::Discard);
        first.zip(second)
    });

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_half_of_every_pair_comes_out_in_order_whatever_the_capacity() {
        for capacity in [1, 3, 100] {
            let (first, second) = iter((0..500).map(|n| (n, -n))).unzip(capacity, Dropped::Discard);
            let sums = async {
                let sum = |sum, x| sum * 3 % 1_009 + x;
                futures::join!(first.fold(0i64, sum), second.map(|x| -x).fold(0i64, sum))
            };
            let (first, second) = Virtual::new().run(sums);
            assert_eq!(first, second);
        }
    }

    #[test]
    fn a_half_that_is_not_taken_stops_the_other_until_it_is_dropped() {
        let (mut first, second) = iter((0..4).map(|n| (n, n))).unzip(2, Dropped::Discard);
        assert_eq!(try_next(&mut first), Poll::Ready(Some(0)));
        assert_eq!(try_next(&mut first), Poll::Ready(Some(1)));
        assert_eq!(try_next(&mut first), Poll::Pending);
        drop(second);
        assert_eq!(items(first), [2, 3]);
    }

    #[test]
    fn where_a_dropped_half_is_the_end_the_other_gets_what_it_holds() {
        let (first, mut second) = iter((0..9).map(|n| (n, n))).unzip(3, Dropped::End);
        assert_eq!(try_next(&mut second), Poll::Ready(Some(0)));
        drop(second);
        assert_eq!(items(first), [0, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "unzip: the capacity must not be zero, at operators/src/share/unzip")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([(1, 2)]).unzip(0, Dropped::Discard);
    }
}
