//! `join_all`: the last items of many flows, when all have ended.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// The last item of each of `inputs`, as one vector in their order, when all have ended.
///
/// ```text
/// a    --1--2---|
/// b    ----x--|
/// out  ---------(v|)    join_all([a, b])
///
/// where  v = [2, x]
/// ```
///
/// If one ends without any item there is no such vector: the flow ends at once, empty. So it does
/// if `inputs` is empty.
///
/// - **Emits** one vector, when the last input has ended.
/// - **Backpressures** never.
/// - **Ends** with the vector, or as soon as one has ended without an item; the others are dropped
///   in the same poll.
/// - **On error**: an error is an item here, and may be the last one.
/// - **Holds** 1 item for each input.
/// - **Cost**: two allocations for each input at construction, one for the vector; no clock read.
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::join_all, iter};
/// let closing = join_all([iter(99..102), iter(7..8)]);
/// assert_eq!(Virtual::new().run(closing.first()), Some(vec![101, 7]));
/// ```
#[doc(alias("fork_join"))]
#[track_caller]
pub fn join_all<S: Stage>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<JoinAll<S>> {
    let inputs = Inputs::new(inputs);
    let len = inputs.len();
    Flow::from_stage(JoinAll {
        inputs,
        asked: Bits::full(len),
        last: (0..len).map(|_| None).collect(),
        ended: false,
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`join_all`].
#[derive(Debug)]
pub struct JoinAll<S: Stage> {
    inputs: Inputs<S>,
    /// The inputs to ask: those that were woken, and those that had an item when asked last.
    asked: Bits,
    last: Vec<Option<S::Item>>,
    ended: bool,
    budget: Budget,
    site: Site,
}

// Items are never pinned; inputs are pinned in boxes of their own.
impl<S: Stage> Unpin for JoinAll<S> {}

impl<S: Stage> JoinAll<S> {
    fn end(&mut self) {
        self.ended = true;
        (0..self.inputs.len()).for_each(|index| self.inputs.end(index));
    }
}

impl<S: Stage> Stage for JoinAll<S> {
    type Item = Vec<S::Item>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        this.inputs.take_woken(&mut this.asked);
        while let Some(index) = this.asked.pop_first() {
            loop {
                if !this.budget.spend(cx) {
                    this.asked.insert(index);
                    return Poll::Pending;
                }
                match this.inputs.poll_next(index) {
                    Poll::Pending => break,
                    Poll::Ready(item @ Some(_)) => this.last[index] = item,
                    Poll::Ready(None) => {
                        if this.last[index].is_none() {
                            this.last.clear();
                            this.end();
                            return Poll::Ready(None);
                        }
                        break;
                    }
                }
            }
        }
        if this.inputs.open() == 0 {
            this.end();
            let last: Vec<_> = std::mem::take(&mut this.last).into_iter().flatten().collect();
            return Poll::Ready(Some(last).filter(|last| !last.is_empty()));
        }
        this.budget.rest();
        this.inputs.park(cx);
        Poll::Pending
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.inputs.poll_progress(cx, &mut this.asked)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(usize::from(!self.ended)))
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .join("join_all", self.site, self.inputs.outlines())
            .holds(Bound::Items(self.inputs.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Timeline, items, timeline, timetable};
    use crate::{conformance, iter, marbles, specification};

    conformance!(join_all, |a, b| join_all([a, b]));
    marbles!(join_all, |a, b| join_all([a, b]));
    specification!(join_all, |a, b| join_all([a, b]), |a, b| {
        let empty = [&a, &b].into_iter().filter(|line| line.events.is_empty());
        let all = a.end.max(b.end);
        match (empty.map(|line| line.end).min(), a.events.last(), b.events.last()) {
            (None, Some((_, a)), Some((_, b))) => Timeline::new([(all, vec![*a, *b])], all),
            (end, _, _) => Timeline::new([], end.unwrap_or(all)),
        }
    });

    #[test]
    fn the_last_items_come_when_the_last_input_ends() {
        let a = timetable(vec![(1, 'a'), (2, 'b')], 9);
        let b = timetable(vec![(3, 'x')], 4);
        assert_eq!(timeline(join_all([a, b])), (vec![(9, vec!['b', 'x'])], 9));
    }

    #[test]
    fn one_without_an_item_ends_all_at_once() {
        let a = timetable(vec![(1, 'a'), (2, 'b')], 9);
        let b = timetable(vec![], 4);
        assert_eq!(timeline(join_all([a, b])), (vec![], 4));
    }

    #[test]
    fn no_inputs_are_an_empty_flow() {
        assert!(items(join_all(Vec::<Flow<crate::source::Empty<u8>>>::new())).is_empty());
    }

    #[test]
    fn inputs_without_end_give_way() {
        use futures::FutureExt;
        let mut flow = join_all([iter(std::iter::repeat(1)), iter(std::iter::repeat(2))]);
        assert_eq!(flow.next().now_or_never(), None);
    }
}
