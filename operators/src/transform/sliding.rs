//! `sliding`: overlapping vectors of neighbours.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage};

/// What [`Flow::sliding`] does at the end with windows that are not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tail {
    /// Drops them: every window has its size.
    Drop,
    /// Emits one, the oldest, if it holds an item that no window before it had: so no item that
    /// belongs to a window is lost, and none comes out once more for nothing.
    Rest,
    /// Emits each, the oldest first and each shorter than the one before it, as RxJS, Reactor and
    /// Kotlin do.
    #[doc(alias("partial_windows"))]
    All,
}

impl<S: Stage> Flow<S> {
    /// Gathers `size` neighbours into a vector, a new one every `step` items.
    ///
    /// ```text
    /// in   --a--b--c--d--|
    /// out  --------x--y--(zu|)    sliding(3, 1, Tail::All)
    /// where  x = [a, b, c], y = [b, c, d], z = [c, d], u = [d]
    /// ```
    ///
    /// With `step < size` the windows overlap and share clones of their items; with `step = size`
    /// they are [`chunks`](Self::chunks); with `step > size` the items between two windows are
    /// dropped. A window that is not full at the end is `tail`'s business.
    ///
    /// - **Emits** a window with its last item; at the end what `tail` says.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the tail is out.
    /// - **On error**: an error is an item here and part of its windows.
    /// - **Holds** `size` items; with `Tail::All` at the end, as many windows as overlap.
    /// - **Cost**: one vector for a window, and a clone of an item for each further window that has
    ///   it, no clock read.
    ///
    /// # Panics
    ///
    /// If `size` or `step` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, transform::Tail};
    /// # futures::executor::block_on(async {
    /// let means = iter([1, 3, 5]).sliding(2, 1, Tail::Drop).map(|w| w.iter().sum::<i32>() / 2);
    /// assert_eq!(means.collect::<Vec<_>>().await, [2, 4]);
    /// # });
    /// ```
    #[doc(alias("windowed", "sliding_window", "buffer_count"))]
    #[track_caller]
    pub fn sliding(self, size: usize, step: usize, tail: Tail) -> Flow<Stepped<S, Sliding<S::Item>>>
    where
        S::Item: Clone,
    {
        let site = Location::caller();
        let Some(size) = NonZeroUsize::new(size) else {
            panic!("sliding: the size must not be zero, at {site}")
        };
        let Some(step) = NonZeroUsize::new(step) else {
            panic!("sliding: the step must not be zero, at {site}")
        };
        let window = VecDeque::new();
        self.step(Sliding { size, step, tail, window, skip: 0, fresh: false })
    }
}

/// The step behind [`Flow::sliding`].
#[derive(Debug)]
pub struct Sliding<T> {
    size: NonZeroUsize,
    step: NonZeroUsize,
    tail: Tail,
    /// The oldest window that is not full.
    window: VecDeque<T>,
    /// How many items lie before that.
    skip: usize,
    /// Whether the last item of the window was in none before it.
    fresh: bool,
}

impl<T: Clone> Sliding<T> {
    /// Takes the window, which leaves the items that the next one has too.
    fn take(&mut self) -> Vec<T> {
        let len = self.window.len();
        let gone = len.min(self.step.get());
        let mut taken = Vec::with_capacity(len);
        taken.extend(self.window.drain(..gone));
        taken.extend(self.window.iter().cloned());
        self.fresh = false;
        taken
    }
}

impl<T: Clone> Step<T> for Sliding<T> {
    type Out = Vec<T>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Vec<T>)) -> ControlFlow<()> {
        if self.skip > 0 {
            self.skip -= 1;
            return ControlFlow::Continue(());
        }
        self.window.push_back(item);
        self.fresh = true;
        if self.window.len() == self.size.get() {
            self.skip = self.step.get().saturating_sub(self.size.get());
            out(self.take());
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Vec<T>)) {
        match self.tail {
            Tail::Drop => {}
            Tail::Rest => {
                if self.fresh {
                    out(self.take());
                }
            }
            Tail::All => {
                while !self.window.is_empty() {
                    out(self.take());
                }
            }
        }
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let (size, step) = (self.size.get(), self.step.get());
        let windows = |items: usize| match items.saturating_sub(self.skip) {
            0 if self.tail == Tail::All => self.window.len().div_ceil(step),
            0 => usize::from(self.tail == Tail::Rest && self.fresh),
            items => {
                let items = items.saturating_add(self.window.len());
                let begun = items.div_ceil(step);
                let full = items.checked_sub(size).map_or(0, |beyond| beyond / step + 1);
                match self.tail {
                    Tail::Drop => full,
                    Tail::All => begun,
                    // The last full window ends here.
                    Tail::Rest => {
                        let covered = full.checked_sub(1).map_or(0, |last| last * step + size);
                        full + usize::from(items > covered && begun > full)
                    }
                }
            }
        };
        (windows(least), most.map(windows))
    }

    fn name(&self) -> &'static str {
        "sliding"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("size", self.size)
            .parameter("step", self.step)
            .parameter("tail", format_args!("{:?}", self.tail))
            .holds(Bound::Items(self.size.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::Tail::{All, Drop, Rest};
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn windows_overlap_when_the_step_is_smaller_than_the_size() {
        let flow = || iter(1..=5).sliding(3, 2, Drop);
        assert_eq!(every_way(flow), [[1, 2, 3], [3, 4, 5]]);
    }

    #[test]
    fn items_between_two_windows_are_dropped_when_the_step_is_larger() {
        let flow = || iter(1..=9).sliding(2, 4, Rest);
        assert_eq!(every_way(flow), [vec![1, 2], vec![5, 6], vec![9]]);
        let flow = || iter(1..=8).sliding(2, 4, Rest);
        assert_eq!(every_way(flow), [vec![1, 2], vec![5, 6]]);
    }

    #[test]
    fn the_tail_may_be_dropped_or_come_out_once_or_in_all_its_windows() {
        let flow = |tail| move || iter(1..=4).sliding(3, 1, tail);
        let full = vec![vec![1, 2, 3], vec![2, 3, 4]];
        assert_eq!(every_way(flow(Drop)), full);
        assert_eq!(every_way(flow(Rest)), full, "every item was in a window");
        assert_eq!(every_way(flow(All)), [full, vec![vec![3, 4], vec![4]]].concat());

        let flow = |tail| move || iter(1..=6).sliding(3, 2, tail);
        let full = vec![vec![1, 2, 3], vec![3, 4, 5]];
        assert_eq!(every_way(flow(Drop)), full);
        assert_eq!(every_way(flow(Rest)), [full.clone(), vec![vec![5, 6]]].concat());
        assert_eq!(every_way(flow(All)), [full, vec![vec![5, 6]]].concat());
    }

    #[test]
    fn fewer_items_than_a_window_are_all_tail() {
        let flow = |tail| move || iter(1..=2).sliding(3, 1, tail);
        assert!(every_way(flow(Drop)).is_empty());
        assert_eq!(every_way(flow(Rest)), [[1, 2]]);
        assert_eq!(every_way(flow(All)), [vec![1, 2], vec![2]]);
        assert!(every_way(|| iter(0..0).sliding(3, 1, All)).is_empty());
    }

    #[test]
    fn the_size_hints_are_exact_where_that_of_the_input_is() {
        for (size, step, items) in (1..5)
            .flat_map(|a| (1..6).map(move |b| (a, b)))
            .flat_map(|(a, b)| (0..12).map(move |n| (a, b, n)))
        {
            for tail in [Drop, Rest, All] {
                // Checks the hints after every item.
                let windows = every_way(|| iter(0..items).sliding(size, step, tail)).len();
                let flow = iter(0..items).sliding(size, step, tail);
                let hint = crate::Stage::size_hint(&flow);
                assert_eq!(hint, (windows, Some(windows)), "{size} {step} {items} {tail:?}");
            }
        }
    }

    #[test]
    fn a_window_comes_with_its_last_item_and_the_tail_with_the_end() {
        let flow = timetable([(1, 'a'), (2, 'b'), (5, 'c')], 9).sliding(2, 1, All);
        let expected = vec![(2, vec!['a', 'b']), (5, vec!['b', 'c']), (9, vec!['c'])];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    #[should_panic(expected = "sliding: the size must not be zero, at operators/src/transform")]
    fn a_size_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).sliding(0, 1, Drop);
    }

    #[test]
    #[should_panic(expected = "sliding: the step must not be zero, at operators/src/transform")]
    fn a_step_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).sliding(1, 0, Drop);
    }

    marbles!(sliding, |input| input.sliding(3, 1, All));

    specification!(sliding, |input| input.sliding(3, 2, All), |input| {
        let items = input.events;
        let windows = (0..items.len()).step_by(2).map(|from| {
            let window = &items[from..items.len().min(from + 3)];
            let at = if window.len() == 3 { window[2].0 } else { input.end };
            (at, window.iter().map(|(_, x)| *x).collect::<Vec<u8>>())
        });
        Timeline::new(windows, input.end)
    });

    conformance!(sliding, |input| input.sliding(3, 2, Rest), except [
        NoAllocation: "each window is a vector of its own",
    ]);
    conformance!(sliding_with_gaps, |input| input.sliding(2, 3, Drop), except [
        NoAllocation: "each window is a vector of its own",
    ]);
}
