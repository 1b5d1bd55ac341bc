//! `with_evicted`: the states of keys that are forgotten.

use std::hash::Hash;

use either::Either;

use super::{Evicted, KeyLimits, KeyStep, Keyed};
use crate::{Bound, Flow, Node, Stage};

/// A key that has gone, and what it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gone<K, V> {
    /// The key.
    pub key: K,
    /// Its state.
    pub state: V,
    /// Why it goes.
    pub why: Evicted,
}

impl<S, K, F, M> Flow<Keyed<S, K, F, M>>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
    M: KeyStep<S::Item, K>,
{
    /// Hands out the state of each key that goes, on the right, beside the results, on the left:
    /// because another key needs its place, because it was silent for too long, or because the input
    /// has ended. What makes room for a key comes before what is made of its first item.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::{Evicted, Gone, KeyLimits}};
    /// # use either::Either::{Left, Right};
    /// # futures::executor::block_on(async {
    /// let counts = iter(["a", "b", "a"])
    ///     .key_by(KeyLimits::new(1), |x| *x)
    ///     .scan_map(0, |count, _| {
    ///         *count += 1;
    ///         None::<()>
    ///     })
    ///     .with_evicted();
    /// let all: Vec<_> = counts.collect().await;
    /// assert_eq!(all[0], Right(Gone { key: "a", state: 1, why: Evicted::Full }));
    /// assert_eq!(all[2], Right(Gone { key: "a", state: 1, why: Evicted::End }));
    /// # });
    /// ```
    #[doc(alias("on_evict", "removal_listener", "suppress"))]
    pub fn with_evicted(self) -> Flow<Keyed<S, K, F, WithEvicted<M>>> {
        Flow::from_stage(self.into_stage().map_step(WithEvicted))
    }
}

/// The step behind [`Flow::with_evicted`].
#[derive(Debug)]
pub struct WithEvicted<M>(M);

impl<In, K: Clone, M: KeyStep<In, K>> KeyStep<In, K> for WithEvicted<M> {
    type State = M::State;
    type Out = Either<M::Out, Gone<K, M::State>>;

    fn open(&mut self, key: &K) -> M::State {
        self.0.open(key)
    }

    fn step(&mut self, key: K, state: &mut M::State, item: In, out: &mut impl FnMut(Self::Out)) {
        self.0.step(key, state, item, &mut |made| out(Either::Left(made)));
    }

    fn close(&mut self, key: K, state: M::State, why: Evicted, out: &mut impl FnMut(Self::Out)) {
        out(Either::Right(Gone { key, state, why }));
    }

    fn size_hint(&self, input: (usize, Option<usize>), held: usize) -> (usize, Option<usize>) {
        let (least, most) = self.0.size_hint(input, held);
        let closed = input.1.and_then(|items| items.checked_add(held));
        let most = most.zip(closed).and_then(|(most, closed)| most.checked_add(closed));
        (least.saturating_add(held), most)
    }

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn describe(&self, limits: KeyLimits, node: &mut Node) {
        self.0.describe(limits, node);
        let bound = node.bound();
        // What a key leaves may wait in front of what is made of an item.
        node.holds(bound.and(Bound::Items(1)));
    }
}

#[cfg(test)]
mod tests {
    use either::Either::{Left, Right};

    use super::Gone;
    use crate::keyed::{Evicted, KeyLimits};
    use crate::testing::*;

    conformance!(with_evicted, |input| {
        input
            .key_by(KeyLimits::new(2).idle(ms(2)), |x| x.value() % 3)
            .scan_map(0, |sum, x| {
                *sum += x.value();
                Some(*sum)
            })
            .with_evicted()
    });

    #[test]
    fn a_state_comes_out_when_its_key_goes_and_before_what_takes_its_place() {
        let feed = timetable([(0, 'a'), (1, 'b'), (2, 'c'), (9, 'a')], 10);
        let counts = feed.key_by(KeyLimits::new(2).idle(ms(5)), |x| *x).scan(0, |n, _| n + 1);
        let gone = |key, why| Right(Gone { key, state: Some(1), why });
        let expected = vec![
            (0, Left(('a', 1))),
            (1, Left(('b', 1))),
            (2, gone('a', Evicted::Full)),
            (2, Left(('c', 1))),
            (6, gone('b', Evicted::Idle)),
            (7, gone('c', Evicted::Idle)),
            (9, Left(('a', 1))),
            (10, gone('a', Evicted::End)),
        ];
        assert_eq!(timeline(counts.with_evicted()), (expected, 10));
    }
}
