//! `zip_all`: the first, second, third … items of many flows, together.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Bound, Flow, Outline, Site, Stage};

/// The items at the same place in all `inputs`, as a vector in their order.
///
/// ```text
/// a    --1--2-------3-|
/// b    ----x---y-|
/// out  ----a---b-|      zip_all([a, b])
///
/// where  a = [1, x], b = [2, y]
/// ```
///
/// [`Flow::zip`] for any number of flows of one type: whoever is ahead by one item waits for the
/// others. Items that wait when one of them ends are dropped.
///
/// - **Emits** a vector when all have brought their part.
/// - **Backpressures** those that are ahead until all have caught up.
/// - **Ends** when one ends that has no item waiting; the others are dropped in the same poll.
///   Without inputs it is empty.
/// - **On error**: an error is an item here and is put together like one.
/// - **Holds** 1 item for each input.
/// - **Cost**: a vector for each row; two allocations for each input at construction, no clock
///   read.
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::zip_all, iter};
/// let rows = zip_all([iter(1..4), iter(10..12)]);
/// let sums = rows.map(|row| row.into_iter().sum::<i32>());
/// assert_eq!(Virtual::new().run(sums.collect::<Vec<_>>()), [11, 13]);
/// ```
#[doc(alias("zip", "zip_n"))]
#[track_caller]
pub fn zip_all<S: Stage>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<ZipAll<S>> {
    let inputs = Inputs::new(inputs);
    let len = inputs.len();
    Flow::from_stage(ZipAll {
        inputs,
        asked: Bits::full(len),
        heads: (0..len).map(|_| None).collect(),
        missing: len,
        site: Location::caller(),
    })
}

/// The stage behind [`zip_all`].
#[derive(Debug)]
pub struct ZipAll<S: Stage> {
    inputs: Inputs<S>,
    /// The inputs to look at: those that were woken, and all after a row.
    asked: Bits,
    /// The items that wait for the rest of their row.
    heads: Vec<Option<S::Item>>,
    missing: usize,
    site: Site,
}

// Items are never pinned; inputs are pinned in boxes of their own.
impl<S: Stage> Unpin for ZipAll<S> {}

impl<S: Stage> Stage for ZipAll<S> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        this.inputs.take_woken(&mut this.asked);
        while let Some(index) = this.asked.pop_first() {
            if this.heads[index].is_some() {
                continue;
            }
            match this.inputs.poll_next(index) {
                Poll::Pending => {}
                Poll::Ready(head @ Some(_)) => {
                    this.heads[index] = head;
                    this.missing -= 1;
                }
                Poll::Ready(None) => {
                    (0..this.inputs.len()).for_each(|index| this.inputs.end(index));
                    this.heads.clear();
                    this.asked = Bits::new(0);
                    return Poll::Ready(None);
                }
            }
        }
        if this.inputs.open() == 0 {
            return Poll::Ready(None);
        }
        if this.missing == 0 {
            let len = this.heads.len();
            this.missing = len;
            this.asked = Bits::full(len);
            return Poll::Ready(Some(this.heads.iter_mut().filter_map(Option::take).collect()));
        }
        // Those that are ahead have to wait, but their work in flight must not.
        this.inputs.drive();
        this.inputs.park(cx);
        Poll::Pending
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.inputs.poll_progress(cx, &mut this.asked)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rows = self.inputs.size_hints().zip(&self.heads).map(|((least, most), head)| {
            let head = usize::from(head.is_some());
            (least.saturating_add(head), most.and_then(|most| most.checked_add(head)))
        });
        let shorter = |a: Option<usize>, b: Option<usize>| match (a, b) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (one, other) => one.or(other),
        };
        rows.reduce(|a, b| (a.0.min(b.0), shorter(a.1, b.1))).unwrap_or((0, Some(0)))
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join("zip_all", self.site, self.inputs.outlines())
            .holds(Bound::Items(self.inputs.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Timeline, every_way, items, timeline, timetable};
    use crate::{conformance, iter, marbles, specification};

    conformance!(zip_all, |a, b| zip_all([a, b]), except [NoAllocation: "a vector for each row"]);
    marbles!(zip_all, |a, b| zip_all([a, b]));
    specification!(zip_all, |a, b| zip_all([a, b]), |a, b| {
        let rows = a.events.iter().zip(&b.events);
        let rows: Vec<_> = rows.map(|(a, b)| (a.0.max(b.0), vec![a.1, b.1])).collect();
        let done = rows.last().map_or(0, |(at, _)| *at);
        let shortest = [&a, &b].into_iter().filter(|line| line.events.len() == rows.len());
        let end = shortest.map(|line| line.end.max(done)).min();
        Timeline::new(rows, end.unwrap_or(done))
    });

    #[test]
    fn rows_come_when_all_have_their_part_and_end_with_the_shortest() {
        let a = timetable(vec![(1, 'a'), (2, 'b'), (7, 'c')], 8);
        let b = timetable(vec![(3, 'x'), (4, 'y')], 6);
        let expected = vec![(3, vec!['a', 'x']), (4, vec!['b', 'y'])];
        assert_eq!(timeline(zip_all([a, b])), (expected, 6));
        let flow = || zip_all([iter(0..3), iter(7..9), iter(1..4)]);
        assert_eq!(every_way(flow), [[0, 7, 1], [1, 8, 2]]);
    }

    #[test]
    fn no_inputs_are_an_empty_flow() {
        assert!(items(zip_all(Vec::<Flow<crate::source::Empty<u8>>>::new())).is_empty());
    }
}
