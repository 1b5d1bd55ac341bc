//! `with_previous`: each item with the one before it, the first one too.

use std::ops::ControlFlow;

use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Gives each item the one before it; the first has none.
    ///
    /// ```text
    /// in   --a--b--c--|
    /// out  --x--y--z--|    with_previous()
    /// where  x = (None, a), y = (Some(a), b), z = (Some(b), c)
    /// ```
    ///
    /// Every item comes out. For pairs only, see [`pairwise`](Self::pairwise).
    ///
    /// - **Emits** `(previous, item)` for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is the previous one of the next.
    /// - **Holds** 1 item: a copy of the last one.
    /// - **Cost**: one clone for an item, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let moves = aqueduct_operators::iter([10, 12])
    ///     .with_previous()
    ///     .map(|(before, price)| price - before.unwrap_or(price));
    /// assert_eq!(moves.collect::<Vec<_>>().await, [0, 2]);
    /// # });
    /// ```
    #[doc(alias("zip_with_previous"))]
    #[track_caller]
    pub fn with_previous(self) -> Flow<Stepped<S, WithPrevious<S::Item>>>
    where
        S::Item: Clone,
    {
        self.step(WithPrevious { previous: None })
    }
}

/// The step behind [`Flow::with_previous`].
#[derive(Debug)]
pub struct WithPrevious<T> {
    previous: Option<T>,
}

impl<T: Clone> Step<T> for WithPrevious<T> {
    type Out = (Option<T>, T);

    fn step(&mut self, item: T, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        let previous = self.previous.replace(item.clone());
        out((previous, item));
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "with_previous"
    }

    fn describe(&self, node: &mut Node) {
        node.holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification};

    #[test]
    fn the_first_item_has_none_before_it() {
        let flow = || iter(['a', 'b', 'c']).with_previous();
        assert_eq!(every_way(flow), [(None, 'a'), (Some('a'), 'b'), (Some('b'), 'c')]);
    }

    marbles!(with_previous, |input| input.with_previous());

    specification!(with_previous, at_any_pace, |input| input.with_previous(), |input| {
        let mut last = None;
        input.map(|item| (last.replace(item), item))
    });

    conformance!(with_previous, |input| input.with_previous());
}
