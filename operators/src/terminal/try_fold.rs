//! `try_fold`: one value from all items, with a closure that can fail.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and combines all items into one value, until `f` fails.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  -------------(s|)    try_fold(0, |sum, x| Ok(sum + x))
    /// where  s = Ok(6)
    /// ```
    ///
    /// Where the items are `Result`s themselves, `?` lets the first error of the input end the run:
    /// `|sum, item| Ok(sum + item?)`.
    ///
    /// - **Emits** the value when the input ends; `init` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends, or when `f` fails, and drops the input then.
    /// - **On error**: the future gives the error of `f`; the value so far is gone. A panic in `f`
    ///   comes out of the future, which must not be polled again.
    /// - **Holds** the accumulated value.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let sum = aqueduct_operators::iter([200u8, 100]).try_fold(0u8, |sum, x| {
    ///     sum.checked_add(x).ok_or("overflow")
    /// });
    /// assert_eq!(sum.await, Err("overflow"));
    /// # });
    /// ```
    #[doc(alias("try_reduce", "fold_while"))]
    pub fn try_fold<A, E, F>(self, init: A, f: F) -> Decide<S, TryFold<A, F>>
    where
        F: FnMut(A, S::Item) -> Result<A, E>,
    {
        Decide::new(self, "try_fold", TryFold { value: Some(init), f })
    }
}

/// How [`Flow::try_fold`] comes to its answer.
#[derive(Debug)]
pub struct TryFold<A, F> {
    /// `None` while `f` has it.
    value: Option<A>,
    f: F,
}

impl<T, A, E, F: FnMut(A, T) -> Result<A, E>> Answer<T> for TryFold<A, F> {
    type Output = Result<A, E>;

    fn item(&mut self, item: T) -> ControlFlow<Result<A, E>> {
        if let Some(value) = self.value.take() {
            match (self.f)(value, item) {
                Ok(value) => self.value = Some(value),
                Err(error) => return ControlFlow::Break(Err(error)),
            }
        }
        ControlFlow::Continue(())
    }

    fn end(self) -> Result<A, E> {
        match self.value {
            Some(value) => Ok(value),
            None => unreachable!("only a failure or a panic of `f` leaves nothing behind"),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, empty, from_future};

    #[test]
    fn the_value_grows_from_poll_to_poll_until_the_closure_fails() {
        let run = |limit| {
            Virtual::new().run(async move {
                let flow = timetable([(1, 1), (2, 2), (3, 3)], 9);
                let add = |sum, x| if sum + x > limit { Err(sum) } else { Ok(sum + x) };
                (flow.try_fold(0, add).await, Clock::current().now().as_millis())
            })
        };
        assert_eq!(run(6), (Ok(6), 9));
        assert_eq!(run(5), (Err(3), 3));
    }

    #[test]
    fn an_empty_flow_gives_the_initial_value() {
        let none = empty::<u8>().try_fold('x', |_, _| Err::<char, _>(()));
        assert_eq!(Virtual::new().run(none), Ok('x'));
    }

    #[test]
    fn the_first_error_of_the_input_can_end_the_run() {
        let flow = timetable([(1, Ok(1)), (2, Err('x')), (3, Err('y'))], 9);
        assert_eq!(Virtual::new().run(flow.try_fold(0, |sum, x| Ok(sum + x?))), Err('x'));
    }

    marbles!(try_fold, |input: u32| input.try_fold(0, |sum, x| Ok::<_, ()>(sum + x)));

    specification!(
        try_fold,
        |input| input.try_fold(0, |sum: u8, x| sum.checked_add(x).filter(|sum| *sum < 9).ok_or(x)),
        |input| -> Timeline<Result<u8, u8>> {
            let mut sum = 0;
            for (at, x) in &input.events {
                sum += u64::from(*x);
                if sum >= 9 {
                    return Timeline::new([(*at, Err(*x))], *at);
                }
            }
            Timeline::new([(input.end, Ok(sum as u8))], input.end)
        }
    );

    conformance!(try_fold, |input| {
        from_future(input.try_fold(0, |sum, x| if x.value() > 9 { Err(x) } else { Ok(sum + x.value()) }))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
