//! `nth`: the item at an index.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow until the item at `index`, from 0, and gives it.
    ///
    /// ```text
    /// in   --a--b--
    /// out  -----(s|)    nth(1)
    /// where  s = Some(b)
    /// ```
    ///
    /// - **Emits** that item; `None` if the input ends before. For another item in its place see
    ///   [`Option::unwrap_or`], for an error [`Option::ok_or`].
    /// - **Backpressures** never.
    /// - **Ends** with that item, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// assert_eq!(aqueduct_operators::iter('a'..='z').nth(2).await, Some('c'));
    /// # });
    /// ```
    #[doc(alias("element_at", "get", "at"))]
    pub fn nth(self, index: u64) -> Decide<S, Nth> {
        Decide::new(self, "nth", Nth { before: index })
    }
}

/// How [`Flow::nth`] comes to its answer.
#[derive(Debug)]
pub struct Nth {
    /// Items that still come before it.
    before: u64,
}

impl<T> Answer<T> for Nth {
    type Output = Option<T>;

    fn item(&mut self, item: T) -> ControlFlow<Option<T>> {
        if self.before == 0 {
            return ControlFlow::Break(Some(item));
        }
        self.before -= 1;
        ControlFlow::Continue(())
    }

    fn end(self) -> Option<T> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future, iter};

    #[test]
    fn the_item_ends_the_run() {
        let found = Virtual::new().run(async {
            let item = timetable([(1, 'a'), (2, 'b'), (9, 'c')], 40).nth(1).await;
            (item, Clock::current().now().as_millis())
        });
        assert_eq!(found, (Some('b'), 2));
    }

    #[test]
    fn a_flow_that_is_too_short_has_none() {
        assert_eq!(Virtual::new().run(iter([1, 2]).nth(2)), None);
        assert_eq!(Virtual::new().run(iter([1, 2]).nth(0)), Some(1));
    }

    marbles!(nth, |input| input.nth(1));

    specification!(nth, |input| input.nth(2), |input| -> Timeline<Option<u8>> {
        let found = input.events.get(2);
        let at = found.map_or(input.end, |(at, _)| *at);
        Timeline::new([(at, found.map(|(_, x)| *x))], at)
    });

    conformance!(nth, |input| {
        from_future(input.nth(2))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
