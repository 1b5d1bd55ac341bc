//! `filter_not`: only the items that do not satisfy a predicate.

use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Lets pass the items for which `drop` says `false`.
    ///
    /// ```text
    /// in   --1--2--3--4--|
    /// out  --1-----3-----|    filter_not(|x| x % 2 == 0)
    /// ```
    ///
    /// - **Emits** an item when it does not satisfy `drop`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `drop` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let words = aqueduct_operators::iter(["a", "", "b"]).filter_not(|word| word.is_empty());
    /// assert_eq!(words.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("reject", "filter_out"))]
    #[track_caller]
    pub fn filter_not<F>(self, drop: F) -> Flow<Stepped<S, FilterNot<F>>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        self.step(FilterNot(drop))
    }
}

/// The step behind [`Flow::filter_not`].
#[derive(Debug)]
pub struct FilterNot<F>(F);

impl<T, F: FnMut(&T) -> bool> Step<T> for FilterNot<F> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        if !(self.0)(&item) {
            out(item);
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, most)
    }

    fn name(&self) -> &'static str {
        "filter_not"
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Timeline, conformance, every_way, marbles, specification};

    #[test]
    fn items_that_satisfy_the_predicate_are_dropped() {
        assert_eq!(every_way(|| iter(0..6).filter_not(|x| x % 2 == 0)), [1, 3, 5]);
    }

    marbles!(filter_not, |input: u32| input.filter_not(|x| x % 2 == 0));

    conformance!(filter_not, |input| input.filter_not(|x| x.value() % 2 == 0));

    specification!(filter_not, |input| input.filter_not(|x| x % 2 == 0), |input| {
        Timeline::new(input.events.into_iter().filter(|(_, x)| x % 2 == 1), input.end)
    });
}
