//! `is_empty`: whether there are no items.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow until its first item or its end, whichever is first.
    ///
    /// ```text
    /// in   --a--
    /// out  --(f|)    is_empty()
    /// where  f = false
    /// ```
    ///
    /// - **Emits** `false` with the first item; `true` if the input ends without one.
    /// - **Backpressures** never.
    /// - **Ends** with the first item, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// assert!(aqueduct_operators::iter([1, 2]).filter(|x| *x > 5).is_empty().await);
    /// # });
    /// ```
    #[doc(alias("has_elements", "none"))]
    pub fn is_empty(self) -> Decide<S, IsEmpty> {
        Decide::new(self, "is_empty", IsEmpty)
    }
}

/// How [`Flow::is_empty`] comes to its answer.
#[derive(Debug)]
pub struct IsEmpty;

impl<T> Answer<T> for IsEmpty {
    type Output = bool;

    fn item(&mut self, _: T) -> ControlFlow<bool> {
        ControlFlow::Break(false)
    }

    fn end(self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future};

    #[test]
    fn the_first_item_or_the_end_gives_the_answer() {
        let outcomes = Virtual::new().run(async {
            let now = || Clock::current().now().as_millis();
            let some = timetable([(1, 'a'), (2, 'b')], 40).is_empty().await;
            let some_at = now();
            (some, some_at, timetable([(0, 'a'); 0], 9).is_empty().await, now())
        });
        assert_eq!(outcomes, (false, 1, true, 9));
    }

    marbles!(is_empty, |input| input.is_empty());

    specification!(is_empty, |input| input.is_empty(), |input| -> Timeline<bool> {
        let at = input.events.first().map_or(input.end, |(at, _)| *at);
        Timeline::new([(at, input.events.is_empty())], at)
    });

    conformance!(is_empty, |input| {
        from_future(input.is_empty())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
