//! `single`: the only item.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and gives its only item.
    ///
    /// ```text
    /// in   --a----|
    /// out  -------(s|)    single()
    /// where  s = Ok(a)
    /// ```
    ///
    /// - **Emits** the item when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends, or with the second item, and drops the input then.
    /// - **On error**: an error is an item here. An input without items, or with more than one,
    ///   gives a [`SingleError`].
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{iter, terminal::SingleError};
    /// assert_eq!(iter([7]).single().await, Ok(7));
    /// assert_eq!(iter([7, 8]).single().await, Err(SingleError::MoreThanOne));
    /// # });
    /// ```
    #[doc(alias("exactly_one", "only"))]
    pub fn single(self) -> Decide<S, Single<S::Item>> {
        Decide::new(self, "single", Single { item: None })
    }
}

/// Why a flow has no single item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum SingleError {
    /// It has none.
    #[error("the flow ended without an item, and `single` wants one")]
    Empty,
    /// It has several.
    #[error("the flow has more than one item; `first` or `last` would choose one")]
    MoreThanOne,
}

/// How [`Flow::single`] comes to its answer.
#[derive(Debug)]
pub struct Single<T> {
    item: Option<T>,
}

impl<T> Answer<T> for Single<T> {
    type Output = Result<T, SingleError>;

    fn item(&mut self, item: T) -> ControlFlow<Result<T, SingleError>> {
        if self.item.is_some() {
            return ControlFlow::Break(Err(SingleError::MoreThanOne));
        }
        self.item = Some(item);
        ControlFlow::Continue(())
    }

    fn end(self) -> Result<T, SingleError> {
        self.item.ok_or(SingleError::Empty)
    }
}

#[cfg(test)]
mod tests {
    use super::SingleError;
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, empty, from_future};

    #[test]
    fn it_is_known_at_the_end_and_that_there_are_more_with_the_second() {
        let outcomes = Virtual::new().run(async {
            let one = timetable([(1, 'a')], 4).single().await;
            let one_at = Clock::current().now().as_millis();
            let two = timetable([(5, 'a'), (6, 'b'), (7, 'c')], 40).single().await;
            (one, one_at, two, Clock::current().now().as_millis())
        });
        assert_eq!(outcomes, (Ok('a'), 4, Err(SingleError::MoreThanOne), 6));
    }

    #[test]
    fn no_item_is_an_error_that_says_so() {
        let error = Virtual::new().run(empty::<u8>().single()).unwrap_err();
        assert_eq!(error, SingleError::Empty);
        assert!(error.to_string().contains("without an item"));
    }

    marbles!(single, |input| input.single());

    specification!(single, |input| input.single(), |input| -> Timeline<Result<u8, SingleError>> {
        match input.events[..] {
            [] => Timeline::new([(input.end, Err(SingleError::Empty))], input.end),
            [(_, item)] => Timeline::new([(input.end, Ok(item))], input.end),
            [_, (at, _), ..] => Timeline::new([(at, Err(SingleError::MoreThanOne))], at),
        }
    });

    conformance!(single, |input| {
        from_future(input.single())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
