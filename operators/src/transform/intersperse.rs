//! `intersperse`: a separator between items.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Puts `separator` between each two items.
    ///
    /// ```text
    /// in   --a--b-----c-----|
    /// out  --a--(xb)--(xc)--|    intersperse('x')
    /// ```
    ///
    /// The separator comes with the item after it, so that none stands at the end and no item
    /// waits for the next one.
    ///
    /// - **Emits** a clone of `separator` and each item, in the same poll; before the first item
    ///   no separator.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is separated like one.
    /// - **Holds** 2 items: the separator, and the item behind one that is taken alone.
    /// - **Cost**: one clone of the separator for an item, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let words = aqueduct_operators::iter(["a", "b"]).intersperse(", ");
    /// assert_eq!(words.collect::<Vec<_>>().await.concat(), "a, b");
    /// # });
    /// ```
    #[doc(alias("interspersed", "joined"))]
    #[track_caller]
    pub fn intersperse(self, separator: S::Item) -> Flow<Stepped<S, Intersperse<S::Item>>>
    where
        S::Item: Clone,
    {
        self.step(Intersperse { every: NonZeroUsize::MIN, separator, run: 0, name: "intersperse" })
    }

    /// Puts `separator` between each two runs of `every` items.
    ///
    /// ```text
    /// in   a-b-c---d-e---|
    /// out  a-b-(xc)d-(xe)|    intersperse_every(2, 'x')
    /// ```
    ///
    /// - **Emits** each item, in the same poll, and before item `every + 1`, `2 * every + 1` and so
    ///   on a clone of `separator`.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is counted like one.
    /// - **Holds** 2 items: the separator, and the item behind one that is taken alone.
    /// - **Cost**: one clone of the separator for a run, no clock read.
    ///
    /// # Panics
    ///
    /// If `every` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let lines = aqueduct_operators::iter(["a", "b", "c"]).intersperse_every(2, "\n");
    /// assert_eq!(lines.collect::<Vec<_>>().await.concat(), "ab\nc");
    /// # });
    /// ```
    #[track_caller]
    pub fn intersperse_every(
        self,
        every: usize,
        separator: S::Item,
    ) -> Flow<Stepped<S, Intersperse<S::Item>>>
    where
        S::Item: Clone,
    {
        let Some(every) = NonZeroUsize::new(every) else {
            panic!("intersperse_every: the run must not be empty, at {}", Location::caller())
        };
        self.step(Intersperse { every, separator, run: 0, name: "intersperse_every" })
    }
}

/// The step behind [`Flow::intersperse`] and [`Flow::intersperse_every`].
#[derive(Debug)]
pub struct Intersperse<T> {
    every: NonZeroUsize,
    separator: T,
    /// Items since the last separator; zero only before the first item.
    run: usize,
    name: &'static str,
}

impl<T: Clone> Step<T> for Intersperse<T> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        if self.run == self.every.get() {
            self.run = 0;
            out(self.separator.clone());
        }
        self.run += 1;
        out(item);
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let between = |items: usize| items.saturating_add(self.run).saturating_sub(1) / self.every;
        (
            least.saturating_add(between(least)),
            most.and_then(|most| most.checked_add(between(most))),
        )
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self, node: &mut Node) {
        if self.name == "intersperse_every" {
            node.parameter("every", self.every);
        }
        node.holds(Bound::Items(2));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn a_separator_stands_between_each_two_items() {
        assert_eq!(every_way(|| iter([1, 2, 3]).intersperse(0)), [1, 0, 2, 0, 3]);
    }

    #[test]
    fn none_stands_at_a_single_item_or_at_none() {
        assert_eq!(every_way(|| iter([1]).intersperse(0)), [1]);
        assert_eq!(every_way(|| iter([1; 0]).intersperse(0)), [0; 0]);
    }

    #[test]
    fn a_separator_stands_between_runs() {
        let flow = |n| move || iter(1..=n).intersperse_every(3, 0);
        assert_eq!(every_way(flow(8)), [1, 2, 3, 0, 4, 5, 6, 0, 7, 8]);
        assert_eq!(every_way(flow(6)), [1, 2, 3, 0, 4, 5, 6]);
    }

    #[test]
    fn no_item_waits_for_the_next_one() {
        let flow = timetable([(1, 'a'), (4, 'b')], 9).intersperse('x');
        assert_eq!(timeline(flow), (vec![(1, 'a'), (4, 'x'), (4, 'b')], 9));
    }

    #[test]
    #[should_panic(expected = "intersperse_every: the run must not be empty, at operators/src/tr")]
    fn an_empty_run_is_refused_where_it_was_written() {
        let _ = iter([1]).intersperse_every(0, 0);
    }

    marbles!(intersperse, |input| input.intersperse('x'));
    marbles!(intersperse_every, |input| input.intersperse_every(2, 'x'));

    specification!(intersperse_every, |input| input.intersperse_every(3, 0), |input| {
        let runs = input.events.chunks(3).map(<[_]>::to_vec).collect::<Vec<_>>();
        let separated = runs.into_iter().enumerate().flat_map(|(index, run)| {
            let separator = (index > 0).then(|| (run[0].0, 0));
            separator.into_iter().chain(run)
        });
        Timeline::new(separated, input.end)
    });

    conformance!(intersperse, |input| input.map(|x| x.value()).intersperse(0));
}
