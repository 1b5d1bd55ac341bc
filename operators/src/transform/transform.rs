//! `transform`: any number of items for each item, and a tail, with a state.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;

use super::{Step, Stepped};
use crate::{Bound, Flow, Node, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets each item change a state and push up to `capacity` items, and the end once more.
    ///
    /// ```text
    /// in   --1--2-----0--3-----|
    /// out  --1--(22)-----(333)-(9|)    transform(3, .., n_times, nine)
    /// ```
    ///
    /// For framing, parsing and building: `f` gets the state, the item and a [`Collector`]; `on_end`
    /// gets the state and the collector. Where an item gives at most one, see
    /// [`scan_map`](Self::scan_map); where it gives what an iterator can say, so that the number
    /// needs no bound, [`flat_map_iter`](Self::flat_map_iter).
    ///
    /// - **Emits** what `f` and `on_end` push, in that order, in the same poll.
    /// - **Backpressures** when downstream does, and takes no item before all that the previous
    ///   one made is out.
    /// - **Ends** when the input has ended and what `on_end` pushed is out.
    /// - **On error**: an error is an item here. A panic in `f` or `on_end`, or pushing more than
    ///   `capacity` items for one, comes out of the poll; the flow has ended then.
    /// - **Holds** `capacity` items, and the state.
    /// - **Cost**: no allocation once the queue has grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let lines = aqueduct_operators::iter(["ab\nc", "d\nef"]).transform(
    ///     16,
    ///     String::new(),
    ///     |rest, text, out| {
    ///         for (index, part) in text.split('\n').enumerate() {
    ///             if index > 0 {
    ///                 out.push(std::mem::take(rest));
    ///             }
    ///             rest.push_str(part);
    ///         }
    ///     },
    ///     |rest, out| out.push(rest),
    /// );
    /// assert_eq!(lines.collect::<Vec<_>>().await, ["ab", "cd", "ef"]);
    /// # });
    /// ```
    #[doc(alias(
        "handle",
        "stateful_map_concat",
        "gather",
        "emitter",
        "collector",
        "transform_while"
    ))]
    #[track_caller]
    pub fn transform<St, U, F, E>(
        self,
        capacity: usize,
        state: St,
        f: F,
        on_end: E,
    ) -> Flow<Stepped<S, Transform<St, U, F, E>>>
    where
        F: FnMut(&mut St, S::Item, &mut Collector<U>),
        E: FnOnce(St, &mut Collector<U>),
    {
        let site = Location::caller();
        let Some(capacity) = NonZeroUsize::new(capacity) else {
            panic!("transform: the capacity must not be zero, at {site}")
        };
        let made = Collector::new("transform", capacity, site);
        self.step(Transform { tail: Some((state, on_end)), f, capacity, made })
    }
}

/// Takes what an item, or a slice of items, makes: see [`Flow::transform`] and
/// [`Flow::map_chunk`].
#[derive(Debug)]
pub struct Collector<T> {
    queue: VecDeque<T>,
    /// How many the present item may make.
    most: usize,
    name: &'static str,
    site: Site,
}

impl<T> Collector<T> {
    pub(super) fn new(name: &'static str, most: NonZeroUsize, site: Site) -> Self {
        Self { queue: VecDeque::new(), most: most.get(), name, site }
    }

    /// Emits an item, after those that were pushed before it.
    ///
    /// # Panics
    ///
    /// If as many were pushed as may be: see [`room`](Self::room).
    pub fn push(&mut self, item: T) {
        let Self { most, name, site, .. } = *self;
        assert!(
            self.room() > 0,
            "{name}: more was made than there is room for ({most}), at {site}"
        );
        self.queue.push_back(item);
    }

    /// How many items may still be pushed.
    pub fn room(&self) -> usize {
        self.most - self.queue.len()
    }

    pub(super) fn allow(&mut self, most: usize) {
        self.most = most;
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        self.queue.pop_front()
    }

    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }
}

/// The step behind [`Flow::transform`].
#[derive(Debug)]
pub struct Transform<St, U, F, E> {
    /// The state, and what makes the tail of it; `None` once the input has ended.
    tail: Option<(St, E)>,
    f: F,
    capacity: NonZeroUsize,
    /// Empty between two items.
    made: Collector<U>,
}

impl<T, St, U, F, E> Step<T> for Transform<St, U, F, E>
where
    F: FnMut(&mut St, T, &mut Collector<U>),
    E: FnOnce(St, &mut Collector<U>),
{
    type Out = U;

    fn step(&mut self, item: T, out: &mut impl FnMut(U)) -> ControlFlow<()> {
        if let Some((state, _)) = &mut self.tail {
            (self.f)(state, item, &mut self.made);
            self.made.queue.drain(..).for_each(out);
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(U)) {
        if let Some((state, on_end)) = self.tail.take() {
            on_end(state, &mut self.made);
            self.made.queue.drain(..).for_each(out);
        }
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let calls = most.and_then(|most| most.checked_add(1));
        (0, calls.and_then(|calls| calls.checked_mul(self.capacity.get())))
    }

    fn name(&self) -> &'static str {
        "transform"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("capacity", self.capacity).holds(Bound::Items(self.capacity.get()));
    }
}

#[cfg(test)]
mod tests {
    use super::Collector;
    use crate::testing::{Timeline, conformance, every_way, items, marbles, specification};
    use crate::{Flow, Stage, iter};

    /// Counts what it emits, and tells the number at the end.
    fn n_times(items: [u32; 4]) -> Flow<impl Stage<Item = u32>> {
        let f = |made: &mut u32, n: u32, out: &mut Collector<u32>| {
            *made += n;
            (0..n).for_each(|_| out.push(n));
        };
        iter(items).transform(3, 0, f, |made, out| out.push(made))
    }

    #[test]
    fn each_item_and_the_end_push_any_number_of_items() {
        assert_eq!(every_way(|| n_times([1, 2, 0, 3])), [1, 2, 2, 3, 3, 3, 6]);
    }

    #[test]
    fn the_room_is_that_of_one_item() {
        let flow = iter([1, 2]).transform(
            2,
            (),
            |(), x, out| {
                let before = out.room();
                out.push(10 * x);
                out.push(before - out.room());
            },
            |(), out| out.push(out.room()),
        );
        assert_eq!(items(flow), [10, 1, 20, 1, 2]);
    }

    #[test]
    #[should_panic(expected = "transform: more was made than there is room for (3), at operators")]
    fn an_item_that_makes_more_than_it_may_is_a_panic_that_names_the_place() {
        items(n_times([1, 2, 4, 1]));
    }

    #[test]
    #[should_panic(expected = "transform: the capacity must not be zero, at operators/src")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).transform(0, (), |(), x, out| out.push(x), |(), _| {});
    }

    marbles!(transform, |input: u32| input.transform(
        3,
        (),
        |(), n, out| (0..n).for_each(|_| out.push(n)),
        |(), out| out.push(9),
    ));

    conformance!(transform, |input| input.transform(
        2,
        None,
        |held: &mut Option<_>, x, out| {
            if x.value() % 3 > 0 {
                out.push(x.clone());
            }
            held.replace(x).into_iter().for_each(|before| out.push(before));
        },
        |held, out| held.into_iter().for_each(|last| out.push(last)),
    ));

    specification!(
        transform,
        |input| input.transform(
            3,
            0,
            |sum, x: u8, out| {
                *sum += u32::from(x);
                (0..x % 4).for_each(|_| out.push(*sum));
            },
            |sum, out| out.push(sum),
        ),
        |input| {
            let mut sum = 0;
            let mut all = Timeline::new([], input.end);
            for (at, x) in input.events {
                sum += u32::from(x);
                all.events.extend((0..x % 4).map(|_| (at, sum)));
            }
            all.events.push((input.end, sum));
            all
        },
    );
}
