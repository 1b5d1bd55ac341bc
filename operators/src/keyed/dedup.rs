//! `dedup` and `dedup_by_key`, for each key: no item twice in a row.

use std::fmt;
use std::hash::Hash;
use std::panic::Location;

use super::{KeyLimits, KeyStep, Keyed, KeyedFlow};
use crate::{Bound, Flow, Node, Stage};

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Drops each item that equals the one of its key before it.
    ///
    /// ```text
    /// in   --a--1--a--2--1-|
    /// out  --a--1-----2--1-|    key_by(limits, is_digit).dedup()
    /// ```
    ///
    /// As [`Flow::dedup`]. To compare only a part of an item, or where cloning is dear, see
    /// [`dedup_by_key`](Self::dedup_by_key). The first item of a key that was forgotten comes out.
    ///
    /// - **Emits** an item when it differs from the last one of its key, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is compared like one.
    /// - **Holds** 1 item for each key: a copy of the last one emitted.
    /// - **Cost**: one hash for an item, one clone (`clone_from`) for one that comes out.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let quotes = iter([("btc", 7), ("eth", 9), ("btc", 7), ("btc", 8)]);
    /// let changes = quotes.key_by(KeyLimits::new(1_000), |quote| quote.0).dedup();
    /// assert_eq!(changes.collect::<Vec<_>>().await, [("btc", 7), ("eth", 9), ("btc", 8)]);
    /// # });
    /// ```
    #[doc(alias("distinct_until_changed", "changes", "drop_repeats"))]
    #[track_caller]
    pub fn dedup(self) -> Flow<Keyed<S, K, F, Dedup>>
    where
        S::Item: PartialEq + Clone,
    {
        self.with_step(Dedup, Location::caller())
    }

    /// Drops each item for which `value` gives the same as for the one of its key before it.
    ///
    /// ```text
    /// in   --a--1--A--2--3-|
    /// out  --a--1-----2--3-|    key_by(limits, is_digit).dedup_by_key(lower_case)
    /// ```
    ///
    /// As [`Flow::dedup_by_key`].
    ///
    /// - **Emits** an item when its value differs from the last one of its key, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `value` comes out of the poll; the flow has ended then.
    /// - **Holds** one value for each key, no item.
    /// - **Cost**: one hash and one call of `value` for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let quotes = iter([(1, "btc", 7), (2, "eth", 9), (3, "btc", 7)]);
    /// let keyed = quotes.key_by(KeyLimits::new(1_000), |quote| quote.1);
    /// assert_eq!(keyed.dedup_by_key(|quote| quote.2).count().await, 2);
    /// # });
    /// ```
    #[doc(alias("distinct_until_changed_by", "distinct_until_key_changed"))]
    #[track_caller]
    pub fn dedup_by_key<V, G>(self, value: G) -> Flow<Keyed<S, K, F, DedupByKey<G>>>
    where
        G: FnMut(&S::Item) -> V,
        V: PartialEq,
    {
        self.with_step(DedupByKey { value }, Location::caller())
    }
}

/// The step behind [`KeyedFlow::dedup`].
#[derive(Debug)]
pub struct Dedup;

impl<T: PartialEq + Clone, K> KeyStep<T, K> for Dedup {
    type State = Option<T>;
    type Out = T;

    fn open(&mut self, _: &K) -> Option<T> {
        None
    }

    fn step(&mut self, _: K, last: &mut Option<T>, item: T, out: &mut impl FnMut(T)) {
        match last {
            Some(last) if *last == item => return,
            // Keeps what the last one has allocated.
            Some(last) => last.clone_from(&item),
            None => *last = Some(item.clone()),
        }
        out(item);
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "dedup"
    }

    fn describe(&self, limits: KeyLimits, node: &mut Node) {
        node.holds(Bound::Items(limits.max_keys()));
    }
}

/// The step behind [`KeyedFlow::dedup_by_key`].
pub struct DedupByKey<G> {
    value: G,
}

impl<G> fmt::Debug for DedupByKey<G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DedupByKey").finish_non_exhaustive()
    }
}

impl<T, K, V: PartialEq, G: FnMut(&T) -> V> KeyStep<T, K> for DedupByKey<G> {
    type State = Option<V>;
    type Out = T;

    fn open(&mut self, _: &K) -> Option<V> {
        None
    }

    fn step(&mut self, _: K, last: &mut Option<V>, item: T, out: &mut impl FnMut(T)) {
        let value = Some((self.value)(&item));
        if *last != value {
            *last = value;
            out(item);
        }
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "dedup_by_key"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::iter;
    use crate::keyed::KeyLimits;
    use crate::testing::*;

    marbles!(dedup, |input| input.key_by(KeyLimits::new(9), |x| x.is_ascii_digit()).dedup());
    marbles!(dedup_by_key, |input| {
        let keyed = input.key_by(KeyLimits::new(9), |x: &char| x.is_ascii_digit());
        keyed.dedup_by_key(|x| x.to_ascii_lowercase())
    });
    conformance!(dedup, |input| {
        input.key_by(KeyLimits::new(2).idle(ms(2)), |x| x.value() % 3).dedup()
    });
    conformance!(dedup_by_key, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).dedup_by_key(|x| x.value() / 2)
    });

    #[test]
    fn a_key_that_was_forgotten_comes_out_again() {
        let all = || iter([1, 1, 2, 1]).key_by(KeyLimits::new(1), |x| *x).dedup();
        assert_eq!(every_way(all), [1, 2, 1]);
        let all = || iter([1, 1, 2, 1]).key_by(KeyLimits::new(2), |x| *x).dedup();
        assert_eq!(every_way(all), [1, 2]);
    }

    specification!(
        dedup,
        at_any_pace,
        |input| input.key_by(KeyLimits::new(300), |x| x % 3).dedup(),
        |input| {
            let mut last = HashMap::new();
            input.flat_map(|_, x| (last.insert(x % 3, x) != Some(x)).then_some(x))
        }
    );
    specification!(
        dedup_by_key,
        at_any_pace,
        |input| input.key_by(KeyLimits::new(300), |x| x % 3).dedup_by_key(|x| x / 8),
        |input| {
            let mut last = HashMap::new();
            input.flat_map(|_, x| (last.insert(x % 3, x / 8) != Some(x / 8)).then_some(x))
        }
    );
}
