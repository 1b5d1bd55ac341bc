//! `sum`: all items added up.

use std::iter::{Sum, once};
use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and adds its items up.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  -------------(6|)    sum()
    /// ```
    ///
    /// Anything that [`Iterator::sum`] can add up: numbers, durations, references to them, and
    /// `Result`s and `Option`s of them, where the first `Err` or `None` is the sum.
    ///
    /// - **Emits** the sum when the input ends; that of nothing if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: a sum of `Result`s is the first error, at the end of the input. An overflow panics where
    ///   that of `+` does.
    /// - **Holds** the sum so far.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let volume: u64 = aqueduct_operators::iter([10, 20, 5]).sum().await;
    /// assert_eq!(volume, 35);
    /// # });
    /// ```
    #[doc(alias("sum_all", "total"))]
    pub fn sum<A>(self) -> Decide<S, Total<A>>
    where
        A: Sum<S::Item> + Sum<A>,
    {
        Decide::new(self, "sum", Total { sum: None })
    }
}

/// How [`Flow::sum`] comes to its answer.
#[derive(Debug)]
pub struct Total<A> {
    sum: Option<A>,
}

impl<T, A: Sum<T> + Sum<A>> Answer<T> for Total<A> {
    type Output = A;

    fn item(&mut self, item: T) -> ControlFlow<A> {
        let item: A = once(item).sum();
        self.sum = Some(match self.sum.take() {
            Some(sum) => [sum, item].into_iter().sum(),
            None => item,
        });
        ControlFlow::Continue(())
    }

    fn end(self) -> A {
        self.sum.unwrap_or_else(|| std::iter::empty::<T>().sum())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Virtual, empty, from_future, iter};

    #[test]
    fn items_are_added_up_over_all_polls() {
        let flow = timetable([(1, 1), (1, 2), (4, 3)], 6);
        assert_eq!(Virtual::new().run(flow.sum::<i32>()), 6);
        assert_eq!(Virtual::new().run(empty::<u8>().sum::<u8>()), 0);
        let exact: f64 = Virtual::new().run(iter([0.5, 0.25]).sum());
        assert_eq!(exact, [0.5, 0.25].iter().sum::<f64>());
    }

    #[test]
    fn whatever_an_iterator_adds_up() {
        let pauses: Duration = Virtual::new().run(iter([ms(1), ms(2)]).sum());
        assert_eq!(pauses, ms(3));
        let results = iter([Ok(1), Err('x'), Ok(2), Err('y')]);
        assert_eq!(Virtual::new().run(results.sum::<Result<u8, char>>()), Err('x'));
    }

    marbles!(sum, |input: u32| input.sum::<u32>());

    specification!(sum, |input: u64| input.sum::<u64>(), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().sum::<u64>())], end)
    });

    conformance!(sum, |input| {
        from_future(input.map(|x| x.value()).sum::<u32>())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
