//! `scan`, for each key: the running state of a fold.

use std::fmt;
use std::hash::Hash;
use std::panic::Location;

use super::{KeyStep, Keyed, KeyedFlow};
use crate::{Flow, Stage};

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Combines the items of each key into a state, starting from `seed`, and emits it after each
    /// item.
    ///
    /// ```text
    /// in   --1--2----3--4--|
    /// out  --a--b----c--d--|    key_by(limits, is_odd).scan(0, |sum, x| sum + x)
    ///
    /// where  a = (true, 1), b = (false, 2), c = (true, 4), d = (false, 6)
    /// ```
    ///
    /// As [`Flow::scan`]. For a state that is not what comes out, see [`scan_map`](Self::scan_map).
    ///
    /// - **Emits** the key and a clone of its state for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each key, no item.
    /// - **Cost**: one hash and one clone of the state for an item, one clone of the seed for a key.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let prices = iter([("btc", 3), ("eth", 1), ("btc", 2)]);
    /// let highs = prices
    ///     .key_by(KeyLimits::new(1_000), |trade| trade.0)
    ///     .scan(0, |high, trade| trade.1.max(high));
    /// assert_eq!(highs.collect::<Vec<_>>().await, [("btc", 3), ("eth", 1), ("btc", 3)]);
    /// # });
    /// ```
    #[doc(alias("reduce", "running_fold", "aggregate", "accumulate"))]
    #[track_caller]
    pub fn scan<A, G>(self, seed: A, f: G) -> Flow<Keyed<S, K, F, Scan<A, G>>>
    where
        A: Clone,
        G: FnMut(A, S::Item) -> A,
    {
        self.with_step(Scan { seed, f }, Location::caller())
    }
}

/// The step behind [`KeyedFlow::scan`].
pub struct Scan<A, G> {
    seed: A,
    f: G,
}

impl<A: fmt::Debug, G> fmt::Debug for Scan<A, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scan").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl<In, K, A: Clone, G: FnMut(A, In) -> A> KeyStep<In, K> for Scan<A, G> {
    /// `None` only while `f` has it.
    type State = Option<A>;
    type Out = (K, A);

    fn open(&mut self, _: &K) -> Option<A> {
        Some(self.seed.clone())
    }

    fn step(&mut self, key: K, state: &mut Option<A>, item: In, out: &mut impl FnMut((K, A))) {
        if let Some(before) = state.take() {
            let after = state.insert((self.f)(before, item));
            out((key, after.clone()));
        }
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "scan"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::iter;
    use crate::keyed::KeyLimits;
    use crate::testing::*;

    marbles!(scan, |input: u32| {
        input.key_by(KeyLimits::new(9), |x| x % 2 == 1).scan(0, |sum, x| sum + x)
    });
    conformance!(scan, |input| {
        input
            .key_by(KeyLimits::new(2).idle(ms(3)), |x| x.value() % 3)
            .scan(0, |sum, x| sum + x.value())
    });

    #[test]
    fn a_key_that_was_forgotten_begins_anew() {
        let sums = || {
            let items = iter([(1, 10), (2, 20), (1, 1), (3, 30), (2, 2)]);
            items.key_by(KeyLimits::new(2), |x| x.0).scan(0, |sum, x| sum + x.1)
        };
        assert_eq!(every_way(sums), [(1, 10), (2, 20), (1, 11), (3, 30), (2, 2)]);
    }

    specification!(
        scan,
        at_any_pace,
        |input: u8| input
            .key_by(KeyLimits::new(300), |x| x % 3)
            .scan(0u32, |sum, x| sum + u32::from(x)),
        |input| {
            let mut sums = HashMap::new();
            input.map(|x| {
                let sum = sums.entry(x % 3).or_insert(0);
                *sum += u32::from(x);
                (x % 3, *sum)
            })
        }
    );
}
