//! `zip_longest`: pairs of the items of two flows, up to the end of the longer one.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Pairs each item with the item at the same place in `other`, and with `None` where one of
    /// them has ended.
    ///
    /// ```text
    /// in     --1--2-------3-|
    /// other  ----a---b-|
    /// out    ----x---y----z-|    zip_longest(other)
    ///
    /// where  x = (Some(1), Some(a)), y = (Some(2), Some(b)), z = (Some(3), None)
    /// ```
    ///
    /// At least one of the two is there. To stop with the shorter one, see [`zip`](Flow::zip).
    ///
    /// - **Emits** a pair when both have brought their part, or one has and the other has ended.
    /// - **Backpressures** the one that is ahead until the other has caught up or ended.
    /// - **Ends** when both have ended; each is dropped as soon as it ends.
    /// - **On error**: an error is an item here and is paired like one.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let rows = iter([1, 2]).zip_longest(iter(["one"]));
    /// assert_eq!(rows.last().await, Some((Some(2), None)));
    /// # });
    /// ```
    #[doc(alias("zip_all", "zip_all_with"))]
    #[track_caller]
    pub fn zip_longest<O: Stage>(self, other: Flow<O>) -> Flow<ZipLongest<S, O>> {
        Flow::from_stage(ZipLongest {
            input: Some(self.into_stage()),
            other: Some(other.into_stage()),
            left: None,
            right: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::zip_longest`].
#[pin_project]
#[derive(Debug)]
pub struct ZipLongest<A: Stage, B: Stage> {
    /// Each is `None` once it has ended.
    #[pin]
    input: Option<A>,
    #[pin]
    other: Option<B>,
    /// The item that waits for its partner: at most one of the two between polls.
    left: Option<A::Item>,
    right: Option<B::Item>,
    site: Site,
}

/// Takes an item if none waits. Whether nothing more is to be waited for on this side.
fn fill<S: Stage>(
    mut input: Pin<&mut Option<S>>,
    waiting: &mut Option<S::Item>,
    cx: &mut Context<'_>,
) -> bool {
    if waiting.is_some() {
        return true;
    }
    let Some(stage) = input.as_mut().as_pin_mut() else {
        return true;
    };
    match stage.poll_next(cx) {
        Poll::Pending => return false,
        Poll::Ready(None) => input.set(None),
        Poll::Ready(item) => *waiting = item,
    }
    true
}

impl<A: Stage, B: Stage> Stage for ZipLongest<A, B> {
    type Item = (Option<A::Item>, Option<B::Item>);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let left = fill(this.input.as_mut(), this.left, cx);
        let right = fill(this.other.as_mut(), this.right, cx);
        if left && right {
            let pair = (this.left.take(), this.right.take());
            return Poll::Ready(
                Some(pair).filter(|(left, right)| left.is_some() || right.is_some()),
            );
        }
        // Whoever is ahead has to wait, but its work in flight must not.
        if left && let Some(input) = this.input.as_pin_mut() {
            let _ = input.poll_progress(cx);
        }
        if right && let Some(other) = this.other.as_pin_mut() {
            let _ = other.poll_progress(cx);
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
        let left = left_in(self.input.as_ref(), self.left.is_some());
        let right = left_in(self.other.as_ref(), self.right.is_some());
        (left.0.max(right.0), left.1.zip(right.1).map(|(a, b)| a.max(b)))
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of);
        let other = self.other.as_ref().map(Outline::of);
        outline
            .join("zip_longest", self.site, input.into_iter().chain(other))
            .holds(Bound::Items(1));
    }
}

/// The size hint of one side, with the item that waits.
fn left_in<S: Stage>(input: Option<&S>, waiting: bool) -> (usize, Option<usize>) {
    let waiting = usize::from(waiting);
    let (least, most) = input.map_or((0, Some(0)), Stage::size_hint);
    (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, every_way, timeline, timetable};
    use crate::{conformance, iter, marbles, specification};

    conformance!(zip_longest, |a, b| a.zip_longest(b));
    marbles!(zip_longest, |input: u8, other| input.zip_longest(other));
    specification!(zip_longest, |a, b| a.zip_longest(b), |a, b| {
        let at = |line: &Timeline<u8>, n| line.events.get(n).map_or(line.end, |(at, _)| *at);
        let item = |line: &Timeline<u8>, n| line.events.get(n).map(|(_, item)| *item);
        let pairs = (0..a.events.len().max(b.events.len()))
            .map(|n| (at(&a, n).max(at(&b, n)), (item(&a, n), item(&b, n))));
        Timeline::new(pairs, a.end.max(b.end))
    });

    #[test]
    fn the_longer_one_goes_on_alone() {
        let (a, b) = (Some, Some);
        let expected = [(a(1), b(7)), (a(2), b(8)), (a(3), None)];
        assert_eq!(every_way(|| iter([1, 2, 3]).zip_longest(iter([7, 8]))), expected);
        let expected = [(a(1), b(7)), (None, b(8))];
        assert_eq!(every_way(|| iter([1]).zip_longest(iter([7, 8]))), expected);
    }

    #[test]
    fn an_item_that_waits_goes_out_when_the_other_side_ends() {
        let flow = timetable([(1, 'a')], 9).zip_longest(timetable([], 4).map(|x: char| x));
        assert_eq!(timeline(flow), (vec![(4, (Some('a'), None))], 9));
    }
}
