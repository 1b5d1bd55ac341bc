//! `default_if_empty` and `fail_if_empty`: an item, or an error, in the place of an empty flow.

use std::ops::ControlFlow;

use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Emits `item` if the input ends without any.
    ///
    /// ```text
    /// in   -----|
    /// out  -----(x|)    default_if_empty('x')
    /// ```
    ///
    /// - **Emits** each item, in the same poll; `item` at the end of an input that had none.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended, after `item` if that is due.
    /// - **On error**: an error is an item here, so the input was not empty.
    /// - **Holds** 1 item, until the first one comes.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let volume = iter([3, 4]).filter(|x| *x > 9).default_if_empty(0);
    /// assert_eq!(volume.collect::<Vec<_>>().await, [0]);
    /// # });
    /// ```
    #[doc(alias("if_empty"))]
    #[track_caller]
    pub fn default_if_empty(self, item: S::Item) -> Flow<Stepped<S, DefaultIfEmpty<S::Item>>> {
        self.step(DefaultIfEmpty { item: Some(item), name: "default_if_empty" })
    }
}

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Fails with `error` if the input ends without any item.
    ///
    /// ```text
    /// in   -----|
    /// out  -----#    fail_if_empty("error")
    /// ```
    ///
    /// - **Emits** each item, in the same poll; `Err(error)` at the end of an input that had none.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended, after the error if that is due.
    /// - **On error**: an error of the input is an item here, so the input was not empty.
    /// - **Holds** 1 item, the error, until the first item comes.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{empty, iter};
    /// # futures::executor::block_on(async {
    /// let snapshot = empty::<Result<u8, _>>().fail_if_empty("the venue sent no book");
    /// assert_eq!(snapshot.first().await, Some(Err("the venue sent no book")));
    /// # });
    /// ```
    #[doc(alias("throw_if_empty", "or_fail"))]
    #[track_caller]
    pub fn fail_if_empty(self, error: E) -> Flow<Stepped<S, DefaultIfEmpty<Result<T, E>>>> {
        self.step(DefaultIfEmpty { item: Some(Err(error)), name: "fail_if_empty" })
    }
}

/// The step behind [`Flow::default_if_empty`] and [`Flow::fail_if_empty`].
#[derive(Debug)]
pub struct DefaultIfEmpty<T> {
    /// As long as the input was empty.
    item: Option<T>,
    name: &'static str,
}

impl<T> Step<T> for DefaultIfEmpty<T> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        self.item = None;
        out(item);
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(T)) {
        self.item.take().into_iter().for_each(out);
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let at_least = usize::from(self.item.is_some());
        (least.max(at_least), most.map(|most| most.max(at_least)))
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self, node: &mut Node) {
        node.holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{conformance, every_way, marbles, specification, timeline, timetable};
    use crate::{empty, iter};

    #[test]
    fn an_empty_input_gives_the_item_at_its_end() {
        assert_eq!(timeline(timetable([], 5).default_if_empty('x')), (vec![(5, 'x')], 5));
        assert_eq!(every_way(|| empty().default_if_empty('x')), ['x']);
    }

    #[test]
    fn with_an_item_nothing_is_added() {
        assert_eq!(every_way(|| iter([1, 2]).default_if_empty(9)), [1, 2]);
    }

    #[test]
    fn an_empty_input_may_be_an_error_but_one_with_errors_is_not_empty() {
        let failing = |items: Vec<Result<u8, char>>| move || iter(items.clone()).fail_if_empty('x');
        assert_eq!(every_way(failing(vec![])), [Err('x')]);
        assert_eq!(every_way(failing(vec![Err('y')])), [Err('y')]);
        assert_eq!(every_way(failing(vec![Ok(1)])), [Ok(1)]);
    }

    #[test]
    fn each_has_its_name_in_the_outline() {
        let flow = || empty::<Result<u8, ()>>();
        for (outline, name) in [
            (flow().default_if_empty(Ok(1)).outline(), "default_if_empty"),
            (flow().fail_if_empty(()).outline(), "fail_if_empty"),
        ] {
            assert_eq!(outline.last().unwrap().name(), name);
        }
    }

    marbles!(default_if_empty, |input| input.default_if_empty('x'));
    marbles!(fail_if_empty, |input: Result<char, String>| input.fail_if_empty("error".into()));

    specification!(default_if_empty, |input| input.default_if_empty(7), |input| {
        let mut all = input.clone();
        if all.events.is_empty() {
            all.events.push((input.end, 7));
        }
        all
    });

    conformance!(default_if_empty, |input| input.map(|x| x.value()).default_if_empty(0));
}
