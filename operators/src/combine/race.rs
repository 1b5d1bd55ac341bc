//! `race`: the flow that is first, and `race_with_item`: the first that has an item.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Flow, Outline, Site, Stage};

/// The flow of `inputs` that is the first to do anything; the others are dropped.
///
/// ```text
/// a    ----1--2--|
/// b    --x----y----z|
/// out  --x----y----z|    race([a, b])
/// ```
///
/// The end counts as well as an item: a flow that ends before any other brought an item makes the
/// whole end. If that is not wanted, see [`race_with_item`]. Of those that are ready at once, the
/// first in `inputs` wins.
///
/// - **Emits** the items of the winner.
/// - **Backpressures** when downstream does.
/// - **Ends** when the winner ends. The losers are dropped in the poll in which it won.
/// - **On error**: an error is an item here, and wins like one.
/// - **Holds** nothing.
/// - **Cost**: two allocations for each input at construction, none afterwards, no clock read; once
///   it is decided, a call through a pointer.
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::race, iter};
/// # use std::time::Duration;
/// let mirror = |wait, name| iter([name]).delay(Duration::from_millis(wait), 1);
/// let first = race([mirror(30, "far"), mirror(5, "near")]);
/// assert_eq!(Virtual::new().run(first.collect::<Vec<_>>()), ["near"]);
/// ```
#[doc(alias("amb", "first_with_signal", "race_with", "or"))]
#[track_caller]
pub fn race<S: Stage>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<Race<S>> {
    Race::over(inputs, Wins::Signal, Location::caller())
}

/// The flow of `inputs` that is the first to bring an item; the others are dropped.
///
/// ```text
/// a    -|
/// b    ----x--y|
/// c    ------1--2|
/// out  ----x--y|    race_with_item([a, b, c])
/// ```
///
/// As [`race`], except that a flow which ends without an item is out of the race.
///
/// - **Emits** the items of the winner.
/// - **Backpressures** when downstream does.
/// - **Ends** when the winner ends, or when all have ended without an item.
/// - **On error**: an error is an item here, and wins like one.
/// - **Holds** nothing.
/// - **Cost**: as [`race`].
///
/// ```
/// # use aqueduct_operators::{Virtual, combine::race_with_item, iter};
/// let answer = race_with_item([iter(vec![]), iter(vec![7])]);
/// assert_eq!(Virtual::new().run(answer.collect::<Vec<_>>()), [7]);
/// ```
#[doc(alias("first_with_value", "amb"))]
#[track_caller]
pub fn race_with_item<S: Stage>(inputs: impl IntoIterator<Item = Flow<S>>) -> Flow<Race<S>> {
    Race::over(inputs, Wins::Item, Location::caller())
}

/// The stage behind [`race`] and [`race_with_item`].
#[derive(Debug)]
pub struct Race<S> {
    state: State<S>,
    wins: Wins,
    site: Site,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wins {
    Signal,
    Item,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for the whole flow")]
enum State<S> {
    Running { inputs: Inputs<S>, asked: Bits },
    Won(Pin<Box<Option<S>>>),
    Ended,
}

impl<S: Stage> Race<S> {
    fn over(inputs: impl IntoIterator<Item = Flow<S>>, wins: Wins, site: Site) -> Flow<Self> {
        let inputs = Inputs::new(inputs);
        let asked = Bits::full(inputs.len());
        Flow::from_stage(Self { state: State::Running { inputs, asked }, wins, site })
    }

    /// Waits until there is a winner, and gives its first item.
    fn poll_decision(&mut self, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let State::Running { inputs, asked } = &mut self.state else {
            return Poll::Ready(None);
        };
        inputs.take_woken(asked);
        while let Some(index) = asked.pop_first() {
            match inputs.poll_next(index) {
                Poll::Pending => {}
                Poll::Ready(None) if self.wins == Wins::Item => {}
                Poll::Ready(None) => {
                    self.state = State::Ended;
                    return Poll::Ready(None);
                }
                Poll::Ready(item) => {
                    self.state = State::Won(inputs.take(index));
                    return Poll::Ready(item);
                }
            }
        }
        if inputs.open() == 0 {
            self.state = State::Ended;
            return Poll::Ready(None);
        }
        inputs.park(cx);
        Poll::Pending
    }

    /// After the winner has ended.
    fn end(&mut self) {
        self.state = State::Ended;
    }
}

impl<S: Stage> Stage for Race<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        if let State::Won(winner) = &mut self.state
            && let Some(mut winner) = winner.as_mut().as_pin_mut()
        {
            let item = ready!(winner.as_mut().poll_next(cx));
            if item.is_none() {
                self.end();
            }
            return Poll::Ready(item);
        }
        self.poll_decision(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        if matches!(self.state, State::Running { .. })
            && let Some(item) = ready!(self.poll_decision(cx))
            && let broke @ ControlFlow::Break(_) = each(item)
        {
            return Poll::Ready(broke);
        }
        let State::Won(winner) = &mut self.state else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let Some(mut winner) = winner.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let drained = ready!(winner.as_mut().poll_drain(cx, each));
        if drained.is_continue() {
            self.end();
        }
        Poll::Ready(drained)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Running { inputs, asked } => inputs.poll_progress(cx, asked),
            State::Won(winner) => {
                let winner = winner.as_mut().as_pin_mut();
                winner.map_or(Poll::Ready(()), |winner| winner.poll_progress(cx))
            }
            State::Ended => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.state {
            // Any of them may win, and the whole may end before.
            State::Running { inputs, .. } => (0, inputs.size_hint().1),
            State::Won(winner) => {
                winner.as_ref().as_pin_ref().map_or((0, Some(0)), |winner| winner.size_hint())
            }
            State::Ended => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        let name = match self.wins {
            Wins::Signal => "race",
            Wins::Item => "race_with_item",
        };
        let inputs: Vec<_> = match &self.state {
            State::Running { inputs, .. } => inputs.outlines().collect(),
            State::Won(winner) => winner
                .as_ref()
                .as_pin_ref()
                .map(|winner| Outline::of(&*winner))
                .into_iter()
                .collect(),
            State::Ended => Vec::new(),
        };
        outline.join(name, self.site, inputs);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::testing::{Timeline, every_way, items, timeline, timetable};
    use crate::{Virtual, conformance, flow, iter, marbles, specification};

    conformance!(race, |a, b| race([a, b]));
    conformance!(race_with_item, |a, b| race_with_item([a, b]));
    marbles!(race, |a, b| race([a, b]));
    marbles!(race_with_item, |a, b, c| race_with_item([a, b, c]));
    specification!(race, |a, b| race([a, b]), |a, b| {
        let begins = |line: &Timeline<u8>| line.events.first().map_or(line.end, |(at, _)| *at);
        if begins(&a) <= begins(&b) { a } else { b }
    });
    specification!(race_with_item, |a, b| race_with_item([a, b]), |a, b| {
        match (a.events.first(), b.events.first()) {
            (Some(first), Some(second)) => {
                if first.0 <= second.0 {
                    a
                } else {
                    b
                }
            }
            (Some(_), None) => a,
            (None, Some(_)) => b,
            (None, None) => Timeline::new([], a.end.max(b.end)),
        }
    });

    #[test]
    fn the_first_to_bring_an_item_wins_and_the_others_are_dropped_in_that_poll() {
        let alive = Rc::new(());
        let guard = alive.clone();
        let never = flow(futures::stream::pending::<i32>()).map(move |x| (x, guard.clone()).0);
        let mut flow = race([never.boxed_local(), iter([1, 2]).boxed_local()]);
        assert_eq!(Virtual::new().run(flow.next()), Some(1));
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn an_end_before_any_item_ends_the_race_and_is_out_of_one_for_items() {
        let inputs = || [timetable(vec![], 1), timetable(vec![(2, 'x')], 3)];
        assert_eq!(timeline(race(inputs())), (vec![], 1));
        assert_eq!(timeline(race_with_item(inputs())), (vec![(2, 'x')], 3));
    }

    #[test]
    fn without_any_item_a_race_for_items_ends_with_the_last() {
        let inputs = [timetable(Vec::<(i64, char)>::new(), 1), timetable(vec![], 4)];
        assert_eq!(timeline(race_with_item(inputs)), (vec![], 4));
        assert_eq!(items(race_with_item(Vec::<Flow<crate::source::Empty<u8>>>::new())), []);
    }

    #[test]
    fn of_those_that_are_ready_at_once_the_first_wins_however_it_is_polled() {
        assert_eq!(every_way(|| race([iter(1..9), iter(11..99)])), (1..9).collect::<Vec<_>>());
    }
}
