//! `pairwise`, for each key: each item with the one before it.

use std::hash::Hash;
use std::mem;
use std::panic::Location;

use super::{KeyLimits, KeyStep, Keyed, KeyedFlow};
use crate::{Bound, Flow, Node, Stage};

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Pairs each item with the one of its key before it.
    ///
    /// ```text
    /// in   --a--1--b--2----|
    /// out  --------x--y----|    key_by(limits, is_digit).pairwise()
    ///
    /// where  x = (false, (a, b)), y = (true, (1, 2))
    /// ```
    ///
    /// As [`Flow::pairwise`]. The first item of a key that was forgotten gives no pair.
    ///
    /// - **Emits** the key and `(previous, current)` for each item of it but the first, in the same
    ///   poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is paired like one.
    /// - **Holds** 1 item for each key.
    /// - **Cost**: one hash and one clone for an item.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let moves = iter([("btc", 7), ("eth", 1), ("btc", 9)])
    ///     .key_by(KeyLimits::new(1_000), |quote| quote.0)
    ///     .pairwise()
    ///     .map(|(key, (from, to))| (key, to.1 - from.1));
    /// assert_eq!(moves.collect::<Vec<_>>().await, [("btc", 2)]);
    /// # });
    /// ```
    #[doc(alias("lag", "adjacent_pairs", "zip_with_previous"))]
    #[track_caller]
    pub fn pairwise(self) -> Flow<Keyed<S, K, F, Pairwise>>
    where
        S::Item: Clone,
    {
        self.with_step(Pairwise, Location::caller())
    }
}

/// The step behind [`KeyedFlow::pairwise`].
#[derive(Debug)]
pub struct Pairwise;

impl<T: Clone, K> KeyStep<T, K> for Pairwise {
    type State = Option<T>;
    type Out = (K, (T, T));

    fn open(&mut self, _: &K) -> Option<T> {
        None
    }

    fn step(&mut self, key: K, last: &mut Option<T>, item: T, out: &mut impl FnMut(Self::Out)) {
        match last {
            Some(last) => {
                let before = mem::replace(last, item.clone());
                out((key, (before, item)));
            }
            None => *last = Some(item),
        }
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "pairwise"
    }

    fn describe(&self, limits: KeyLimits, node: &mut Node) {
        node.holds(Bound::Items(limits.max_keys()));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::keyed::KeyLimits;
    use crate::testing::*;

    marbles!(pairwise, |input| input.key_by(KeyLimits::new(9), |x| x.is_ascii_digit()).pairwise());
    conformance!(pairwise, |input| {
        input.key_by(KeyLimits::new(2).idle(ms(2)), |x| x.value() % 3).pairwise()
    });
    specification!(
        pairwise,
        at_any_pace,
        |input| input.key_by(KeyLimits::new(300), |x| x % 3).pairwise(),
        |input| {
            let mut last = HashMap::new();
            input.flat_map(|_, x| last.insert(x % 3, x).map(|before| (x % 3, (before, x))))
        }
    );
}
