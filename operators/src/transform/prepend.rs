//! `prepend`: items before the first.

use crate::combine::Chain;
use crate::source::Iter;
use crate::{Flow, Stage, iter};

impl<S: Stage> Flow<S> {
    /// Emits `items` before those of the input.
    ///
    /// ```text
    /// in   ------a--b--|
    /// out  (xy)--a--b--|    prepend(['x', 'y'])
    /// ```
    ///
    /// It is `iter(items)` [chained](Self::chain) to the input, and the outline shows it so.
    ///
    /// - **Emits** each of `items`, then each item of the input.
    /// - **Backpressures** when downstream does; the input is not polled before `items` are out.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in the iterator comes out of the poll; the flow has ended then.
    /// - **Holds** the iterator, no item.
    /// - **Cost**: no allocation; while `items` last, a clock read in each turn and every 1,024 of
    ///   them (see [`Budget`](crate::Budget)).
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let prices = aqueduct_operators::iter([101, 102]).prepend([100]);
    /// assert_eq!(prices.collect::<Vec<_>>().await, [100, 101, 102]);
    /// # });
    /// ```
    #[doc(alias("start_with", "starting_with"))]
    #[track_caller]
    pub fn prepend<I>(self, items: I) -> Flow<Chain<Iter<I::IntoIter>, S>>
    where
        I: IntoIterator<Item = S::Item>,
    {
        iter(items).chain(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_items_come_before_those_of_the_input() {
        assert_eq!(every_way(|| iter([3, 4]).prepend([1, 2])), [1, 2, 3, 4]);
    }

    #[test]
    fn the_items_do_not_wait_for_the_input() {
        let flow = timetable([(5, 'a')], 6).prepend(['x']);
        assert_eq!(timeline(flow), (vec![(0, 'x'), (5, 'a')], 6));
    }

    conformance!(prepend, |input| input.map(|x| x.value()).prepend([50, 51]), except [
        NoSnooze: "an input is not started before its turn, nor driven",
    ]);

    marbles!(prepend, |input| input.prepend(['x', 'y']));

    specification!(prepend, at_any_pace, |input| input.prepend([7, 8]), |input| {
        Timeline::new([(0, 7), (0, 8)].into_iter().chain(input.events), input.end)
    });
}
