//! `reduce`: all items combined, beginning with the first.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and combines all items into one, beginning with the first.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  -------------(s|)    reduce(|sum, x| sum + x)
    /// where  s = Some(6)
    /// ```
    ///
    /// For a value of another type than the items, see [`fold`](Self::fold).
    ///
    /// - **Emits** the value when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the future, which must not be
    ///   polled again.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let highest = aqueduct_operators::iter([3, 9, 4]).reduce(|a, b| if b > a { b } else { a });
    /// assert_eq!(highest.await, Some(9));
    /// # });
    /// ```
    #[doc(alias("fold1", "run_reduce"))]
    pub fn reduce<F>(self, f: F) -> Decide<S, Reduce<S::Item, F>>
    where
        F: FnMut(S::Item, S::Item) -> S::Item,
    {
        Decide::new(self, "reduce", Reduce { so_far: None, f })
    }
}

/// How [`Flow::reduce`] comes to its answer.
#[derive(Debug)]
pub struct Reduce<T, F> {
    so_far: Option<T>,
    f: F,
}

impl<T, F: FnMut(T, T) -> T> Answer<T> for Reduce<T, F> {
    type Output = Option<T>;

    fn item(&mut self, item: T) -> ControlFlow<Option<T>> {
        self.so_far = Some(match self.so_far.take() {
            Some(so_far) => (self.f)(so_far, item),
            None => item,
        });
        ControlFlow::Continue(())
    }

    fn end(self) -> Option<T> {
        self.so_far
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Virtual, empty, from_future};

    #[test]
    fn items_are_combined_in_their_order_over_all_polls() {
        let words = timetable([(1, "a".to_owned()), (1, "b".into()), (4, "c".into())], 6);
        assert_eq!(Virtual::new().run(words.reduce(|a, b| a + &b)), Some("abc".into()));
    }

    #[test]
    fn an_empty_flow_has_no_value_and_a_single_item_is_the_value() {
        let run = |flow| Virtual::new().run(flow);
        assert_eq!(run(empty::<u8>().reduce(|_, _| unreachable!())), None);
        let single = crate::once(7).reduce(|_, _| unreachable!());
        assert_eq!(Virtual::new().run(single), Some(7));
    }

    marbles!(reduce, |input: u32| input.reduce(|sum, x| sum + x));

    specification!(reduce, |input| input.reduce(u8::wrapping_add), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().reduce(u8::wrapping_add))], end)
    });

    conformance!(reduce, |input| {
        from_future(input.reduce(|a, b| if a.value() > b.value() { a } else { b }))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
