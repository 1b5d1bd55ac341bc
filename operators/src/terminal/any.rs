//! `any` and `all`: whether items have a property.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow until an item for which `f` says `true`.
    ///
    /// ```text
    /// in   --1--2--
    /// out  -----(t|)    any(|x| x > 1)
    /// where  t = true
    /// ```
    ///
    /// - **Emits** `true` with such an item; `false` if the input ends without one.
    /// - **Backpressures** never.
    /// - **Ends** with such an item, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the future, which must
    ///   not be polled again.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let halted = aqueduct_operators::iter(["open", "halt", "open"]).any(|s| s == "halt");
    /// assert!(halted.await);
    /// # });
    /// ```
    #[doc(alias("some", "exists", "contains", "has_element"))]
    pub fn any<F>(self, f: F) -> Decide<S, Any<F>>
    where
        F: FnMut(S::Item) -> bool,
    {
        Decide::new(self, "any", Any { f })
    }

    /// Runs the flow until an item for which `f` says `false`.
    ///
    /// ```text
    /// in   --1--2--
    /// out  -----(f|)    all(|x| x < 2)
    /// where  f = false
    /// ```
    ///
    /// - **Emits** `false` with such an item; `true` if the input ends without one, an empty one
    ///   too.
    /// - **Backpressures** never.
    /// - **Ends** with such an item, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the future, which must
    ///   not be polled again.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// assert!(aqueduct_operators::iter([2, 4]).all(|x| x % 2 == 0).await);
    /// # });
    /// ```
    #[doc(alias("every", "for_all"))]
    pub fn all<F>(self, f: F) -> Decide<S, All<F>>
    where
        F: FnMut(S::Item) -> bool,
    {
        Decide::new(self, "all", All { f })
    }
}

/// How [`Flow::any`] comes to its answer.
#[derive(Debug)]
pub struct Any<F> {
    f: F,
}

impl<T, F: FnMut(T) -> bool> Answer<T> for Any<F> {
    type Output = bool;

    fn item(&mut self, item: T) -> ControlFlow<bool> {
        if (self.f)(item) { ControlFlow::Break(true) } else { ControlFlow::Continue(()) }
    }

    fn end(self) -> bool {
        false
    }
}

/// How [`Flow::all`] comes to its answer.
#[derive(Debug)]
pub struct All<F> {
    f: F,
}

impl<T, F: FnMut(T) -> bool> Answer<T> for All<F> {
    type Output = bool;

    fn item(&mut self, item: T) -> ControlFlow<bool> {
        if (self.f)(item) { ControlFlow::Continue(()) } else { ControlFlow::Break(false) }
    }

    fn end(self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, empty, from_future};

    #[test]
    fn the_first_item_that_decides_gives_the_answer() {
        let (any, any_at, all, all_at) = Virtual::new().run(async {
            let now = || Clock::current().now().as_millis();
            let flow = || timetable([(1, 1), (2, 2), (30, 3)], 40);
            let any = flow().any(|x| x == 2).await;
            let any_at = now();
            (any, any_at, flow().all(|x| x != 3).await, now())
        });
        assert_eq!((any, any_at, all, all_at), (true, 2, false, 30));
    }

    #[test]
    fn without_such_an_item_the_end_gives_it() {
        let flow = || timetable([(1, 1), (2, 2)], 3);
        assert!(!Virtual::new().run(flow().any(|x| x > 2)));
        assert!(Virtual::new().run(flow().all(|x| x < 3)));
        assert!(!Virtual::new().run(empty::<u8>().any(|_| true)));
        assert!(Virtual::new().run(empty::<u8>().all(|_| false)));
    }

    marbles!(any, |input: u32| input.any(|x| x > 1));
    marbles!(all, |input: u32| input.all(|x| x < 2));

    specification!(any, |input| input.any(|x| x > 2), |input| -> Timeline<bool> {
        let found = input.events.iter().find(|(_, x)| *x > 2).map(|(at, _)| *at);
        let at = found.unwrap_or(input.end);
        Timeline::new([(at, found.is_some())], at)
    });
    specification!(all, |input| input.all(|x| x < 3), |input| -> Timeline<bool> {
        let found = input.events.iter().find(|(_, x)| *x >= 3).map(|(at, _)| *at);
        let at = found.unwrap_or(input.end);
        Timeline::new([(at, found.is_none())], at)
    });

    conformance!(any, |input| {
        from_future(input.any(|x| x.value() > 9))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
