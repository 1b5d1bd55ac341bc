//! `switch_scan`: a running state that the flow of the newest item produces.

use super::SwitchMap;
use super::flattening::Folding;
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Emits each state that the flow `f(&state, item)` of the newest item produces; a new item
    /// drops the flow of the one before.
    ///
    /// ```text
    /// in   1----2-3-----|
    /// out  ---1------4--|    switch_scan(0, |sum, x| after(ms(3), sum + x))
    /// ```
    ///
    /// The state is the item that was emitted last, at first `seed`, which is not emitted; it
    /// outlives the flow that produced it. Which flow runs is decided as in
    /// [`switch_map`](Self::switch_map).
    ///
    /// - **Emits** an item when the inner flow has one.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input and the last inner flow have ended.
    /// - **On error**: a state that can fail is one of `f`'s arguments: it decides. A panic in `f`
    ///   comes out of the poll; the flow has ended then.
    /// - **Holds** the state and 1 inner flow.
    /// - **Cost**: a clone of each item, no allocation; at most one clock read for 64 items.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let last = iter([1, 2, 3]).switch_scan(10, |sum, x| iter([sum + x, sum + 2 * x]));
    /// assert_eq!(last.collect::<Vec<_>>().await, [13, 16]);
    /// # });
    /// ```
    #[doc(alias("scan_latest", "flat_scan_latest"))]
    #[track_caller]
    pub fn switch_scan<A, F, I>(self, seed: A, f: F) -> Flow<SwitchMap<S, Folding<A, F>, I>>
    where
        A: Clone,
        F: FnMut(&A, S::Item) -> I,
        I: Stage<Item = A>,
    {
        Flow::from_stage(SwitchMap::new(self, Folding { state: seed, f }, "switch_scan"))
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::testing::{every_way, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, millis, nanos};

    conformance!(switch_scan, |input| input.switch_scan(0, |sum, x| iter([sum ^ x.value(), *sum])), except [
        DeclaredBound: "the inner flows hold what they like",
        Invariance: "of items that are ready at once only the last one makes a flow that runs",
    ]);
    marbles!(switch_scan, |input: u32| {
        input.switch_scan(0, |sum, x| iter([sum + x]).delay(ms(3), 1))
    });

    #[test]
    fn the_state_is_what_was_emitted_last_by_whatever_flow() {
        let flow = timetable([(0, 1), (5, 2), (6, 3)], 20)
            .switch_scan(0, |sum, x| iter([sum + x]).delay(ms(2), 1));
        assert_eq!(timeline(flow), (vec![(2, 1), (8, 4)], 20));
    }

    #[test]
    fn polls_and_drains_agree() {
        let flow =
            || timetable([(0, 1), (2, 2)], 5).switch_scan(0, |sum, x| iter([sum + x, sum + 5]));
        assert_eq!(every_way(flow), [1, 5, 7, 10]);
    }

    /// The states that follow upon this one.
    fn states(state: u32, x: u8) -> [u32; 2] {
        [state + u32::from(x) + 1, 2 * state % 9_999]
    }

    specification!(
        switch_scan,
        |input| {
            let mut inner = Inner::default();
            input.switch_scan(7, move |state, x| inner.flow(x, states(*state, x)))
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut inner, mut output) = (Inner::default(), Timeline::new([], 0));
            for (at, x) in input.events {
                output.events.retain(|(of_before, _)| *of_before < at);
                let state = output.events.last().map_or(7, |(_, state)| *state);
                let line = inner.line(x, states(state, x), at);
                output.events.extend(line.events);
                output.end = line.end;
            }
            output.end = output.end.max(input.end);
            millis(output)
        }
    );
}
