//! `partition`: the items that match, and the others.

use std::panic::Location;

use super::Branches;
use super::route::{Branch, branches};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Splits the flow in two: the items that match, and the others.
    ///
    /// ```text
    /// in      --1-2-3-4|
    /// match   ----2---4|    partition(8, |x| x % 2 == 0)
    /// others  --1---3--|
    /// ```
    ///
    /// It is [`route`](Self::route) with two branches: read there what a branch that is not polled
    /// does to the other one.
    ///
    /// - **Emits** from each branch its items, in order.
    /// - **Backpressures** when one of the branches holds `capacity` items.
    /// - **Ends** each branch when the input has ended and what it holds is out. When both
    ///   branches are dropped, the input is dropped.
    /// - **On error**: an error is an item here, and `predicate` sees it. A panic in the input or
    ///   in `predicate` comes out of the poll of one branch, and is the end for the other.
    /// - **Holds** `capacity` items in each branch. Items for a branch that was dropped are
    ///   dropped, and counted as discarded.
    /// - **Cost**: one lock for an item; one allocation for the whole; the clock is read once a
    ///   slice.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let (even, odd) = iter(1..=4).partition(16, |x| x % 2 == 0);
    /// let both = futures::join!(even.fold(0, |sum, x| sum + x), odd.count());
    /// assert_eq!(both, (6, 2));
    /// # });
    /// ```
    #[doc(alias("split", "divert_to", "partition_either"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "two flows of one closure each")]
    pub fn partition<F>(
        self,
        capacity: usize,
        mut predicate: F,
    ) -> (
        Flow<Branch<S, impl FnMut(&S::Item) -> usize>>,
        Flow<Branch<S, impl FnMut(&S::Item) -> usize>>,
    )
    where
        F: FnMut(&S::Item) -> bool,
    {
        let site = Location::caller();
        let choose = move |item: &S::Item| usize::from(!predicate(item));
        let mut both =
            branches("partition", self.into_stage(), Branches::new(2, capacity), choose, site);
        let (Some(others), Some(matching)) = (both.pop(), both.pop()) else {
            unreachable!("two branches were asked for");
        };
        (matching, others)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::{Virtual, iter};

    #[test]
    fn what_matches_comes_out_first_and_the_rest_second() {
        let (low, high) = iter(0..10).partition(2, |x| *x < 5);
        let sums = async {
            let sum = |sum, x| sum + x;
            futures::join!(low.fold(0, sum), high.fold(0, sum))
        };
        assert_eq!(Virtual::new().run(sums), (10, 35));
    }

    #[test]
    #[should_panic(expected = "partition: the capacity must not be zero, at operators/src/share")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).partition(0, |x| *x > 0);
    }

    conformance!(partition, |input| {
        let (low, high) = input.partition(64, |x| x.value() < 3);
        low.merge(high)
    }, except [
        Invariance: "which of the items that are ready at one instant comes first is not promised",
    ]);

    specification!(
        partition,
        |input| async move {
            let (low, high) = input.partition(2, |x| *x < 5);
            futures::join!(line(low), line(glances(high)))
        },
        |input| both(branched(input, |x| *x < 5, |x| *x >= 5))
    );

    marbles!(partition[match, others], |input: u32| input.partition(8, |x| x % 2 == 0));
}
