//! `dedup_by`: no item twice in a row, by a comparison of your own.

use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Drops each item for which `same(last, item)` says `true`.
    ///
    /// ```text
    /// in   --1--2--3--7--6--|
    /// out  --1-----3--7-----|    dedup_by(|a, b| a.abs_diff(*b) < 2)
    /// ```
    ///
    /// An item is compared with the last one that came out, so a slow drift does not slip through
    /// in steps that are small each. By equality, see [`dedup`](Self::dedup); by a key, see
    /// [`dedup_by_key`](Self::dedup_by_key).
    ///
    /// - **Emits** an item when it differs from the last one emitted, in the same poll; the first
    ///   one always.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is compared like one. A panic in `same` comes
    ///   out of the poll; the flow has ended then.
    /// - **Holds** 1 item: a copy of the last one emitted.
    /// - **Cost**: one clone (`clone_from`) for an item that comes out, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let moves = aqueduct_operators::iter([100, 101, 105]).dedup_by(|a, b| b - a < 5);
    /// assert_eq!(moves.collect::<Vec<_>>().await, [100, 105]);
    /// # });
    /// ```
    #[doc(alias("distinct_until_changed", "drop_repeats", "remove_duplicates", "deadband"))]
    #[track_caller]
    pub fn dedup_by<F>(self, same: F) -> Flow<Stepped<S, DedupBy<S::Item, F>>>
    where
        S::Item: Clone,
        F: FnMut(&S::Item, &S::Item) -> bool,
    {
        self.step(DedupBy { same, last: None })
    }
}

/// The step behind [`Flow::dedup_by`].
#[derive(Debug)]
pub struct DedupBy<T, F> {
    same: F,
    last: Option<T>,
}

impl<T: Clone, F: FnMut(&T, &T) -> bool> Step<T> for DedupBy<T, F> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        match &mut self.last {
            Some(last) if (self.same)(last, &item) => return ControlFlow::Continue(()),
            // Keeps what the last one has allocated.
            Some(last) => last.clone_from(&item),
            None => self.last = Some(item.clone()),
        }
        out(item);
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        // The first item of all has nothing to equal.
        (if self.last.is_none() { least.min(1) } else { 0 }, most)
    }

    fn name(&self) -> &'static str {
        "dedup_by"
    }

    fn describe(&self, node: &mut Node) {
        node.holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Timeline, conformance, every_way, marbles, specification};

    #[test]
    fn an_item_is_compared_with_the_last_one_that_came_out() {
        let flow = || iter([0, 1, 2, 3, 4_i32]).dedup_by(|a, b| (a - b).abs() <= 1);
        assert_eq!(every_way(flow), [0, 2, 4]);
    }

    #[test]
    fn the_last_one_is_the_first_argument() {
        let flow = || iter([1, 2, 1, 3]).dedup_by(|last, item| item < last);
        assert_eq!(every_way(flow), [1, 2, 3]);
    }

    marbles!(dedup_by, |input: u32| input.dedup_by(|a, b| a.abs_diff(*b) < 2));

    conformance!(dedup_by, |input| input.dedup_by(|a, b| a.value().abs_diff(b.value()) < 2));

    specification!(dedup_by, |input| input.dedup_by(|a, b| a.abs_diff(*b) < 2), |input| {
        let mut passed: Vec<(i64, u8)> = Vec::new();
        for (at, x) in input.events {
            if passed.last().is_none_or(|last| last.1.abs_diff(x) >= 2) {
                passed.push((at, x));
            }
        }
        Timeline::new(passed, input.end)
    });
}
