//! `zip`: pairs of the first, second, third … items of two flows.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Pairs each item with the item at the same place in `other`.
    ///
    /// ```text
    /// in     --1--2-------3-|
    /// other  ----a---b-|
    /// out    ----x---y-|    zip(other)
    /// where  x = (1, a), y = (2, b)
    /// ```
    ///
    /// Whoever is ahead by one item waits for the other; nobody is ever ahead by more. The item
    /// that waits when the other flow ends is dropped.
    ///
    /// - **Emits** a pair when both have brought their part.
    /// - **Backpressures** the one that is ahead until the other has caught up.
    /// - **Ends** when one of them ends; the other is dropped in the same poll.
    /// - **On error**: an error is an item here and is paired like one.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let pairs = iter(["bid", "ask"]).zip(iter([99, 101]));
    /// assert_eq!(pairs.fold(0, |sum, (_, price)| sum + price).await, 200);
    /// # });
    /// ```
    #[doc(alias("zip_with", "and"))]
    #[track_caller]
    pub fn zip<O: Stage>(self, other: Flow<O>) -> Flow<Zip<S, O>> {
        Flow::from_stage(Zip {
            input: Some(self.into_stage()),
            other: Some(other.into_stage()),
            left: None,
            right: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::zip`].
#[pin_project]
#[derive(Debug)]
pub struct Zip<A: Stage, B: Stage> {
    /// `None` once one of them has ended, as is the other.
    #[pin]
    input: Option<A>,
    #[pin]
    other: Option<B>,
    /// The item that waits for its partner: at most one of the two between polls.
    left: Option<A::Item>,
    right: Option<B::Item>,
    site: Site,
}

/// Takes an item if none waits. `false` if there will be none.
fn fill<S: Stage>(stage: Pin<&mut S>, waiting: &mut Option<S::Item>, cx: &mut Context<'_>) -> bool {
    if waiting.is_some() {
        return true;
    }
    match stage.poll_next(cx) {
        Poll::Pending => true,
        Poll::Ready(item) => {
            *waiting = item;
            waiting.is_some()
        }
    }
}

impl<A: Stage, B: Stage> Stage for Zip<A, B> {
    type Item = (A::Item, B::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let (Some(mut input), Some(mut other)) =
            (this.input.as_mut().as_pin_mut(), this.other.as_mut().as_pin_mut())
        else {
            return Poll::Ready(None);
        };
        if !fill(input.as_mut(), this.left, cx) || !fill(other.as_mut(), this.right, cx) {
            this.input.set(None);
            this.other.set(None);
            *this.left = None;
            *this.right = None;
            return Poll::Ready(None);
        }
        // Whoever is ahead has to wait, but its work in flight must not.
        match (&this.left, &this.right) {
            (Some(_), Some(_)) => return Poll::Ready(this.left.take().zip(this.right.take())),
            (Some(_), None) => drop(input.poll_progress(cx)),
            (None, Some(_)) => drop(other.poll_progress(cx)),
            (None, None) => {}
        }
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let input = this.input.as_pin_mut();
        let other = this.other.as_pin_mut();
        let input = input.is_none_or(|input| input.poll_progress(cx).is_ready());
        let other = other.is_none_or(|other| other.poll_progress(cx).is_ready());
        if input && other { Poll::Ready(()) } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (Some(input), Some(other)) = (&self.input, &self.other) else {
            return (0, Some(0));
        };
        let (input, left) = (input.size_hint(), usize::from(self.left.is_some()));
        let (other, right) = (other.size_hint(), usize::from(self.right.is_some()));
        let least = input.0.saturating_add(left).min(other.0.saturating_add(right));
        let most = [
            input.1.and_then(|most| most.checked_add(left)),
            other.1.and_then(|most| most.checked_add(right)),
        ];
        (least, most.into_iter().flatten().min())
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        outline.join("zip", self.site, input.into_iter().chain(other)).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use super::*;
    use crate::testing::*;
    use crate::{flow, iter};
    use futures::FutureExt;
    use tokio::sync::Semaphore;

    marbles!(zip, |input: u32, other| input.zip(other));

    #[test]
    fn items_are_paired_by_their_place_when_the_later_one_comes() {
        let a = timetable([(1, 'a'), (2, 'b')], 9);
        let b = timetable([(1, 1), (5, 2)], 9);
        assert_eq!(timeline(a.zip(b)), (vec![(1, ('a', 1)), (5, ('b', 2))], 9));
    }

    #[test]
    fn it_ends_as_soon_as_one_has_ended() {
        let short = || timetable([(1, 'a')], 3);
        let long = || timetable([(2, 1), (3, 2), (60, 3)], 99);
        assert_eq!(timeline(short().zip(long())).1, 3);
        assert_eq!(timeline(long().zip(short())).1, 3);
    }

    #[test]
    fn the_longer_one_is_dropped_when_the_shorter_ends() {
        let alive = Rc::new(());
        let guard = alive.clone();
        let long = flow(futures::stream::pending::<i32>()).map(move |x| (x, guard.clone()).0);
        let mut zipped = long.zip(iter(0..0));
        assert_eq!(zipped.next().now_or_never(), Some(None));
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn nobody_is_ahead_by_more_than_one_item() {
        let taken = Rc::new(Cell::new(0));
        let count = taken.clone();
        let fast = iter(0..100).map(move |x| (count.set(count.get() + 1), x).1);
        let mut zipped = fast.zip(timetable([(1, 'a')], 9));
        crate::Virtual::new().run(async {
            assert_eq!(zipped.next().await, Some((0, 'a')));
            assert_eq!(zipped.next().await, None);
        });
        assert_eq!(taken.get(), 2);
    }

    #[test]
    fn work_in_flight_goes_on_in_the_one_that_is_ahead() {
        // The second future of the fast side holds what the slow side waits for.
        let permit = Semaphore::new(1);
        let fast = iter([0, 3]).map_async(2, async |millis| {
            let _held = permit.acquire().await.unwrap();
            if millis > 0 {
                iter([()]).delay(ms(millis), 1).count().await;
            }
        });
        let slow = iter([1, 1]).map_async(1, async |millis| {
            let _held = permit.acquire().await.unwrap();
            iter([()]).delay(ms(millis), 1).count().await;
        });
        assert_eq!(timeline(fast.zip(slow)).1, 5);
    }

    #[test]
    fn size_hint_is_that_of_the_shorter() {
        assert_eq!(Stage::size_hint(&iter(0..3).zip(iter(0..5))), (3, Some(3)));
        assert_eq!(items(iter(0..3).zip(iter(0..5))).len(), 3);
    }

    conformance!(zip, |a, b| a.zip(b));

    specification!(zip, |a, b| a.zip(b), |a, b| {
        let pairs = a.events.iter().zip(&b.events);
        let pairs: Vec<_> =
            pairs.map(|((first, x), (second, y))| (*first.max(second), (*x, *y))).collect();
        // It ends as soon as one side has ended and its turn has come.
        let last = pairs.last().map_or(0, |(at, _)| *at);
        let ends = [&a, &b].into_iter().filter(|side| side.events.len() == pairs.len());
        let end = ends.map(|side| side.end.max(last)).min().unwrap_or(0);
        Timeline::new(pairs, end)
    });
}
