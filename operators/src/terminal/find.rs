//! `find` and `position`: the first item with a property.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow until an item for which `f` says `true`, and gives that item.
    ///
    /// ```text
    /// in   --1--2--
    /// out  -----(s|)    find(|x| *x > 1)
    /// where  s = Some(2)
    /// ```
    ///
    /// - **Emits** that item; `None` if the input ends without one.
    /// - **Backpressures** never.
    /// - **Ends** with that item, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the future, which must
    ///   not be polled again.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let big = aqueduct_operators::iter(1..).find(|x| x * x > 50);
    /// assert_eq!(big.await, Some(8));
    /// # });
    /// ```
    #[doc(alias("detect", "first_where", "first_or_null"))]
    pub fn find<F>(self, f: F) -> Decide<S, Find<F>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        Decide::new(self, "find", Find { f })
    }

    /// Runs the flow until an item for which `f` says `true`, and gives its index, from 0.
    ///
    /// ```text
    /// in   --1--2--
    /// out  -----(s|)    position(|x| x > 1)
    /// where  s = Some(1)
    /// ```
    ///
    /// - **Emits** the index of that item; `None` if the input ends without one.
    /// - **Backpressures** never.
    /// - **Ends** with that item, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the future, which must
    ///   not be polled again.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let header = aqueduct_operators::iter(["#", "#", "time,price"]).position(|l| l != "#");
    /// assert_eq!(header.await, Some(2));
    /// # });
    /// ```
    #[doc(alias("find_index", "index_of"))]
    pub fn position<F>(self, f: F) -> Decide<S, Position<F>>
    where
        F: FnMut(S::Item) -> bool,
    {
        Decide::new(self, "position", Position { f, index: 0 })
    }
}

/// How [`Flow::find`] comes to its answer.
#[derive(Debug)]
pub struct Find<F> {
    f: F,
}

impl<T, F: FnMut(&T) -> bool> Answer<T> for Find<F> {
    type Output = Option<T>;

    fn item(&mut self, item: T) -> ControlFlow<Option<T>> {
        if (self.f)(&item) { ControlFlow::Break(Some(item)) } else { ControlFlow::Continue(()) }
    }

    fn end(self) -> Option<T> {
        None
    }
}

/// How [`Flow::position`] comes to its answer.
#[derive(Debug)]
pub struct Position<F> {
    f: F,
    /// That of the next item.
    index: u64,
}

impl<T, F: FnMut(T) -> bool> Answer<T> for Position<F> {
    type Output = Option<u64>;

    fn item(&mut self, item: T) -> ControlFlow<Option<u64>> {
        let index = self.index;
        self.index += 1;
        if (self.f)(item) { ControlFlow::Break(Some(index)) } else { ControlFlow::Continue(()) }
    }

    fn end(self) -> Option<u64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future};

    #[test]
    fn the_first_such_item_is_found_and_ends_the_run() {
        let found = Virtual::new().run(async {
            let flow = || timetable([(1, 'x'), (2, 'b'), (3, 'c')], 40);
            let found = flow().find(|c| *c < 'x').await;
            let at = flow().position(|c| c < 'x').await;
            (found, at, Clock::current().now().as_millis())
        });
        assert_eq!(found, (Some('b'), Some(1), 2));
    }

    #[test]
    fn without_such_an_item_there_is_nothing_to_give() {
        let flow = || timetable([(1, 'x'), (2, 'b')], 3);
        assert_eq!(Virtual::new().run(flow().find(|c| *c == 'c')), None);
        assert_eq!(Virtual::new().run(flow().position(|c| c == 'c')), None);
    }

    marbles!(find, |input: u32| input.find(|x| *x > 1));
    marbles!(position, |input: u32| input.position(|x| x > 1));

    specification!(find, |input| input.find(|x| *x > 2), |input| -> Timeline<Option<u8>> {
        let found = input.events.iter().find(|(_, x)| *x > 2);
        let at = found.map_or(input.end, |(at, _)| *at);
        Timeline::new([(at, found.map(|(_, x)| *x))], at)
    });
    specification!(position, |input| input.position(|x| x > 2), |input| -> Timeline<Option<u64>> {
        let index = input.events.iter().position(|(_, x)| *x > 2);
        let at = index.map_or(input.end, |index| input.events[index].0);
        Timeline::new([(at, index.map(|index| index as u64))], at)
    });

    conformance!(find, |input| {
        from_future(input.find(|x| x.value() > 9))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
