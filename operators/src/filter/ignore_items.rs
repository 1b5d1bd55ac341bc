//! `ignore_items`: only the end.

use std::marker::PhantomData;
use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Drops every item, and ends when the input ends.
    ///
    /// ```text
    /// in   --a--b--c--|
    /// out  -----------|    ignore_items::<char>()
    /// ```
    ///
    /// The items that never come may be of any type, so that the flow can stand in a
    /// [`chain`](Self::chain) or a [`merge`](crate::merge) with others. To only run a flow, use
    /// [`drain`](Self::drain).
    ///
    /// - **Emits** nothing.
    /// - **Backpressures** never: the input is taken as fast as it comes.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is dropped like one; see
    ///   [`try_region`](crate::error::try_region) to let it pass.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let warm_up = iter(0..100).inspect(|_| ()).ignore_items();
    /// assert_eq!(warm_up.chain(iter(["begin"])).collect::<Vec<_>>().await, ["begin"]);
    /// # });
    /// ```
    #[doc(alias("ignore_elements", "ignore_element", "then_many"))]
    #[track_caller]
    pub fn ignore_items<T>(self) -> Flow<Stepped<S, IgnoreItems<T>>> {
        self.step(IgnoreItems(PhantomData))
    }
}

/// The step behind [`Flow::ignore_items`].
#[derive(Debug)]
pub struct IgnoreItems<T>(PhantomData<fn() -> T>);

impl<In, T> Step<In> for IgnoreItems<T> {
    type Out = T;

    fn step(&mut self, _: In, _: &mut impl FnMut(T)) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn size_hint(&self, _: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, Some(0))
    }

    fn name(&self) -> &'static str {
        "ignore_items"
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::iter;
    use crate::testing::{
        Timeline, conformance, items, marbles, specification, timeline, timetable,
    };

    #[test]
    fn only_the_end_comes() {
        let flow = timetable([(1, 'a'), (2, 'b')], 7).ignore_items::<u8>();
        assert_eq!(timeline(flow), (vec![], 7));
    }

    #[test]
    fn the_input_runs_all_the_same() {
        let seen = Cell::new(0);
        let flow = iter(0..5).inspect(|_| seen.set(seen.get() + 1)).ignore_items();
        assert_eq!(items(flow.append(['x'])), ['x']);
        assert_eq!(seen.get(), 5);
    }

    marbles!(ignore_items, |input| input.ignore_items::<char>());

    conformance!(ignore_items, |input| input.ignore_items::<u8>());

    specification!(ignore_items, |input: u8| input.ignore_items::<u8>(), |input| {
        Timeline::new([], input.end)
    });
}
