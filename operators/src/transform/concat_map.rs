//! `concat_map`: a flow for each item, one after the other.

use super::Flatten;
use super::flattening::By;
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Emits the items of the flow that `f` makes of each item, one flow after the other.
    ///
    /// ```text
    /// in   a---b-------|
    /// a    -1-2--3|
    /// b           -4-5|
    /// out  -1-2--3-4-5-|    concat_map(f)
    /// ```
    ///
    /// The next item is taken, and `f` called, when the flow before has ended, so that the order
    /// is that of the items and at most one inner flow runs. Items that come meanwhile wait in the
    /// input; [`prefetch`](Self::prefetch) above takes them as they come, and
    /// [`concat_map_eager`](Self::concat_map_eager) starts their flows too. An inner flow may be
    /// anything that is a [`Stage`], a future among them:
    /// `|x| iter([x]).map_async(1, async |x| ..)`, which is `map_async(1, ..)`.
    ///
    /// - **Emits** each item of each inner flow.
    /// - **Backpressures** when downstream does, and takes no item before the previous flow has
    ///   ended.
    /// - **Ends** when the input and the last inner flow have ended; each inner flow is dropped
    ///   when it ends.
    /// - **On error**: an error is an item here and passes; the inner flow goes on after it. A
    ///   panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** 1 inner flow, which holds what its own outline says.
    /// - **Cost**: no allocation; a clock read in each turn and every 1,024 items.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let pages = iter([1, 2]).concat_map(|page| iter([page * 10, page * 10 + 1]));
    /// assert_eq!(pages.collect::<Vec<_>>().await, [10, 11, 20, 21]);
    /// # });
    /// ```
    #[doc(alias("flat_map_concat", "then", "and_then"))]
    #[track_caller]
    pub fn concat_map<F, I>(self, f: F) -> Flow<Flatten<S, By<F>, I>>
    where
        F: FnMut(S::Item) -> I,
        I: Stage,
    {
        Flow::from_stage(Flatten::new(self, By(f), "concat_map"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::testing::{Timeline, conformance, marbles, specification};
    use crate::testing::{every_way, ms, timeline, timetable};
    use crate::transform::flattening::inner::{Inner, millis, nanos, pair};
    use crate::{Clock, iter};

    conformance!(concat_map, |input| input.concat_map(|x| iter(std::iter::repeat_n(x.clone(), x.value() as usize % 3))), except [
        DeclaredBound: "the inner flows hold what they like",
    ]);
    conformance!(concat_map_of_pending_flows, |input| input.concat_map(|x| iter([x.value()]).delay(ms(1), 1)), except [
        DeclaredBound: "the inner flows hold what they like",
        NoAllocation: "here every inner flow has a timer",
    ]);
    marbles!(concat_map, |input, a, b| {
        let mut inner = [a, b].into_iter();
        input.concat_map(move |_| inner.next().unwrap())
    });

    #[test]
    fn the_next_item_is_taken_when_the_flow_before_has_ended() {
        let calls = RefCell::new(Vec::new());
        let flow = timetable([(0, 'a'), (1, 'b'), (9, 'c')], 10).concat_map(|name| {
            let now = Clock::current().now().as_millis();
            calls.borrow_mut().push((now, name));
            iter(1..=2)
                .map(move |x| (name, x))
                .play(move |(_, x)| Some(crate::Timestamp::from_millis(now + 2 * x)))
        });
        let expected = [
            (2, ('a', 1)),
            (4, ('a', 2)),
            (6, ('b', 1)),
            (8, ('b', 2)),
            (11, ('c', 1)),
            (13, ('c', 2)),
        ];
        assert_eq!(timeline(flow), (Vec::from(expected), 13));
        assert_eq!(calls.take(), [(0, 'a'), (4, 'b'), (9, 'c')]);
    }

    #[test]
    fn polls_and_drains_agree() {
        let flow = || iter(0..40).concat_map(|n| iter(0..n % 7));
        assert!(every_way(flow).into_iter().eq((0..40).flat_map(|n| 0..n % 7)));
    }

    specification!(
        concat_map,
        |input| {
            let mut inner = Inner::default();
            input.concat_map(move |x| inner.flow(x, pair(x)))
        },
        |input| -> Timeline<_> {
            let input = nanos(input);
            let (mut inner, mut output) = (Inner::default(), Timeline::new([], 0));
            for (at, x) in input.events {
                let line = inner.line(x, pair(x), at.max(output.end));
                output.events.extend(line.events);
                output.end = line.end;
            }
            output.end = output.end.max(input.end);
            millis(output)
        }
    );
}
