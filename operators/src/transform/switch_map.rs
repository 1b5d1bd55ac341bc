//! `switch_map`: the flow of the newest item.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::flattening::{By, Project, Turn, size_hint, turn};
use crate::combine::TURN;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the items of the flow that `f` makes of the newest item; a new item drops the flow of
    /// the one before.
    ///
    /// ```text
    /// in   a-----b-----|
    /// a    --1--2--3|
    /// b          --4--5|
    /// out  --1--2--4--5|    switch_map(f)
    /// ```
    ///
    /// The input is asked first, and to the point where it has nothing: at an instant that brings
    /// both an item and one of the inner flow, the inner one is lost, and of several items that
    /// are ready at once only the last makes a flow that runs. So an input that is always ready,
    /// such as a range, gives only the flow of its last item.
    ///
    /// - **Emits** an item when the inner flow has one.
    /// - **Backpressures** when downstream does: the inner flow is not asked then, nor is the
    ///   input.
    /// - **Ends** when the input and the last inner flow have ended; an inner flow is dropped when
    ///   it ends and before `f` is called for the next.
    /// - **On error**: an error is an item here; the inner flow goes on after it. A panic in `f`
    ///   comes out of the poll; the flow has ended then.
    /// - **Holds** 1 inner flow, which holds what its own outline says.
    /// - **Cost**: no allocation; at most one clock read for 64 items.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let chosen = iter(["btc", "eth"]).switch_map(|symbol| iter([1, 2]).map(move |n| (symbol, n)));
    /// assert_eq!(chosen.collect::<Vec<_>>().await, [("eth", 1), ("eth", 2)]);
    /// # });
    /// ```
    #[doc(alias(
        "flat_map_latest",
        "switch_all",
        "switch_on_next",
        "transform_latest",
        "collect_latest",
        "map_latest"
    ))]
    #[track_caller]
    pub fn switch_map<F, I>(self, f: F) -> Flow<SwitchMap<S, By<F>, I>>
    where
        F: FnMut(S::Item) -> I,
        I: Stage,
    {
        Flow::from_stage(SwitchMap::new(self, By(f), "switch_map"))
    }
}

/// The stage behind [`Flow::switch_map`] and [`Flow::switch_scan`].
#[pin_project]
#[derive(Debug)]
pub struct SwitchMap<S, P, I> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    project: P,
    #[pin]
    inner: Option<I>,
    /// A drain breaks the inner flow off to look at the input.
    budget: Budget,
    name: &'static str,
    site: Site,
}

impl<S: Stage, P, I> SwitchMap<S, P, I> {
    #[track_caller]
    pub(super) fn new(input: Flow<S>, project: P, name: &'static str) -> Self {
        Self {
            input: Some(input.into_stage()),
            project,
            inner: None,
            budget: Budget::new(),
            name,
            site: Location::caller(),
        }
    }

    /// Takes all that the input has ready: of that the last item counts. Ready if it has ended.
    fn switch(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>
    where
        P: Project<S::Item, Inner = I>,
    {
        let mut this = self.project();
        while let Some(input) = this.input.as_mut().as_pin_mut() {
            match input.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(None) => this.input.set(None),
                Poll::Ready(Some(item)) => {
                    this.inner.set(None);
                    this.inner.set(Some(this.project.start(item)));
                }
            }
        }
        Poll::Ready(())
    }
}

impl<S, P, I> Stage for SwitchMap<S, P, I>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let ended = self.as_mut().switch(cx).is_ready();
        let mut this = self.project();
        if let Some(inner) = this.inner.as_mut().as_pin_mut() {
            match inner.poll_next(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(item)) => {
                    this.project.gives(&item);
                    return Poll::Ready(Some(item));
                }
                Poll::Ready(None) => this.inner.set(None),
            }
        }
        if ended { Poll::Ready(None) } else { Poll::Pending }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            let ended = self.as_mut().switch(cx).is_ready();
            let mut this = self.as_mut().project();
            if let Some(inner) = this.inner.as_mut().as_pin_mut() {
                let project = &mut *this.project;
                let turn = turn(inner, cx, this.budget, TURN, &mut |item| {
                    project.gives(&item);
                    each(item)
                });
                match turn {
                    Turn::Over => continue,
                    Turn::Ended => this.inner.set(None),
                    Turn::Broke(value) => return Poll::Ready(ControlFlow::Break(value)),
                    Turn::Waits | Turn::Yields => return Poll::Pending,
                }
            }
            this.budget.rest();
            return if ended { Poll::Ready(ControlFlow::Continue(())) } else { Poll::Pending };
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let input = this.input.as_pin_mut();
        let input = input.is_none_or(|input| input.poll_progress(cx).is_ready());
        let inner = this.inner.as_pin_mut();
        let inner = inner.is_none_or(|inner| inner.poll_progress(cx).is_ready());
        if input && inner { Poll::Ready(()) } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = size_hint(self.input.as_ref(), self.inner.as_ref());
        // The next item of the input may drop the inner flow.
        let last = self.input.as_ref().is_none_or(|input| input.size_hint().1 == Some(0));
        (if last { least } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage(self.name, self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::testing::{every_way, items, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, millis, nanos, pair};
    use crate::{Flow, Stage, Virtual, iter, never};

    conformance!(switch_map, |input| input.switch_map(|x| iter(std::iter::repeat_n(x.clone(), x.value() as usize % 3))), except [
        DeclaredBound: "the inner flows hold what they like",
        Invariance: "of items that are ready at once only the last one makes a flow that runs",
    ]);
    conformance!(switch_map_of_pending_flows, |input| input.switch_map(|x| iter([x.value()]).delay(ms(1), 1)), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    marbles!(switch_map, |input, a, b| {
        let mut inner = [a, b].into_iter();
        input.switch_map(move |_| inner.next().unwrap())
    });

    #[test]
    fn a_new_item_drops_the_flow_of_the_one_before_and_the_last_one_runs_to_its_end() {
        let inner = |name| iter(1..=3).concat_map(move |x| iter([(name, x)]).delay(ms(3), 1));
        let flow = timetable([(0, 'a'), (7, 'b')], 8).switch_map(inner);
        let expected =
            vec![(3, ('a', 1)), (6, ('a', 2)), (10, ('b', 1)), (13, ('b', 2)), (16, ('b', 3))];
        assert_eq!(timeline(flow), (expected, 16));
    }

    #[test]
    fn at_one_instant_the_input_comes_first() {
        let inner = |name| iter([name]).delay(ms(2), 1);
        let flow = timetable([(0, 'a'), (2, 'b')], 9).switch_map(inner);
        assert_eq!(timeline(flow), (vec![(4, 'b')], 9));
    }

    #[test]
    fn it_ends_after_the_input_when_no_flow_runs() {
        let flow = timetable([(0, 'a')], 9).switch_map(|x| iter([x]));
        assert_eq!(timeline(flow), (vec![(0, 'a')], 9));
        assert_eq!(items(iter::<[u8; 0]>([]).switch_map(|x| iter([x]))), []);
    }

    #[test]
    fn the_flow_before_is_dropped_before_the_next_is_made() {
        let alive = Rc::new(());
        let seen = RefCell::new(Vec::new());
        let flow = iter([1, 2, 3]).switch_map(|x| {
            seen.borrow_mut().push(Rc::strong_count(&alive));
            let alive = alive.clone();
            iter([x]).map(move |x| (x, alive.clone()).0)
        });
        assert_eq!(items(flow), [3]);
        assert_eq!(seen.take(), [1, 1, 1]);
    }

    #[test]
    fn polls_and_drains_agree() {
        let flow = || timetable([(0, 10), (2, 200), (2, 3_000)], 5).switch_map(|n| iter(0..n));
        assert_eq!(every_way(flow).len(), 3_010);
    }

    #[test]
    fn an_item_that_comes_in_the_middle_of_a_drain_counts_from_the_next_turn_on() {
        let (sender, input) = crate::channel(4, crate::Overflow::Block);
        let flow = input.switch_map(|from| iter(from..));
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(async {
            sender.send(0u32).await.unwrap();
            let taken = flow.take_while(|x| *x < 1_000_000).for_each(|x| {
                seen.borrow_mut().push(x);
                if x == 10 {
                    assert!(sender.try_send(999_990).is_ok());
                }
            });
            taken.await;
        });
        assert_eq!(seen.take().len(), 64 + 10);
    }

    fn assert_shares(flow: Flow<impl Stage>) {
        use futures::FutureExt;
        assert!(flow.count().now_or_never().is_none());
    }

    #[test]
    fn endless_flows_share_the_event_loop() {
        assert_shares(iter(0..).switch_map(|_| iter(0..)));
        assert_shares(iter([1]).chain(never()).switch_map(|_| iter(0..)));
        assert_shares(iter(0..).switch_map(|_| crate::empty::<u8>()));
    }

    specification!(
        switch_map,
        |input| {
            let mut inner = Inner::default();
            input.switch_map(move |x| inner.flow(x, pair(x)))
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut inner, mut output) = (Inner::default(), Timeline::new([], 0));
            for (at, x) in input.events {
                let line = inner.line(x, pair(x), at);
                output.events.retain(|(of_before, _)| *of_before < at);
                output.events.extend(line.events);
                output.end = line.end;
            }
            output.end = output.end.max(input.end);
            millis(output)
        }
    );
}
