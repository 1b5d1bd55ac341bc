//! `scan_map`, for each key: a state that items change, and an output of its own.

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
    /// Lets each item change the state of its key, and emits what `f` makes of the two, if anything.
    ///
    /// ```text
    /// in   --3--4--1--6----|
    /// out  --a--b-----c----|    key_by(limits, is_odd).scan_map(0, new_highs)
    ///
    /// where  a = (true, 3), b = (false, 4), c = (false, 6)
    /// ```
    ///
    /// As [`Flow::scan_map`]. The state of a key that is forgotten, and of all at the end, comes out
    /// with [`with_evicted`](Flow::with_evicted).
    ///
    /// - **Emits** the key and `x` when `f` gives `Some(x)`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the poll; the flow has
    ///   ended then.
    /// - **Holds** one state for each key, no item.
    /// - **Cost**: one hash for an item, one clone of the first state for a key.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// // Every 100 of volume, for each symbol.
    /// let bars = iter([("btc", 60), ("eth", 70), ("btc", 50)])
    ///     .key_by(KeyLimits::new(1_000), |trade| trade.0)
    ///     .scan_map(0, |volume, trade| {
    ///         *volume += trade.1;
    ///         (*volume >= 100).then(|| std::mem::take(volume))
    ///     });
    /// assert_eq!(bars.collect::<Vec<_>>().await, [("btc", 110)]);
    /// # });
    /// ```
    #[doc(alias("stateful_map", "flat_map_with_state", "map_with_state", "process"))]
    #[track_caller]
    pub fn scan_map<St, G, U>(self, state: St, f: G) -> Flow<Keyed<S, K, F, ScanMap<St, G>>>
    where
        St: Clone,
        G: FnMut(&mut St, S::Item) -> Option<U>,
    {
        self.with_step(ScanMap { first: state, f }, Location::caller())
    }
}

/// The step behind [`KeyedFlow::scan_map`].
pub struct ScanMap<St, G> {
    first: St,
    f: G,
}

impl<St: fmt::Debug, G> fmt::Debug for ScanMap<St, G> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScanMap").field("first", &self.first).finish_non_exhaustive()
    }
}

impl<In, K, St: Clone, U, G: FnMut(&mut St, In) -> Option<U>> KeyStep<In, K> for ScanMap<St, G> {
    type State = St;
    type Out = (K, U);

    fn open(&mut self, _: &K) -> St {
        self.first.clone()
    }

    fn step(&mut self, key: K, state: &mut St, item: In, out: &mut impl FnMut((K, U))) {
        if let Some(made) = (self.f)(state, item) {
            out((key, made));
        }
    }

    fn leaves(&self) -> bool {
        false
    }

    fn size_hint(&self, input: (usize, Option<usize>), _: usize) -> (usize, Option<usize>) {
        (0, input.1)
    }

    fn name(&self) -> &'static str {
        "scan_map"
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crate::iter;
    use crate::keyed::KeyLimits;
    use crate::testing::*;

    fn rising(high: &mut i32, x: i32) -> Option<i32> {
        (x > *high).then(|| {
            *high = x;
            x
        })
    }

    marbles!(scan_map, |input: i32| {
        input.key_by(KeyLimits::new(9), |x| x % 2 == 1).scan_map(0, rising)
    });
    conformance!(scan_map, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).scan_map(0, |count, x| {
            *count += 1;
            (*count % 2 == 0).then_some(x)
        })
    });

    #[test]
    fn each_key_has_a_state_of_its_own() {
        let highs =
            || iter([3, 10, 1, 12, 5]).key_by(KeyLimits::new(9), |x| *x >= 10).scan_map(0, rising);
        assert_eq!(every_way(highs), [(false, 3), (true, 10), (true, 12), (false, 5)]);
    }

    specification!(
        scan_map,
        at_any_pace,
        |input: i32| input.key_by(KeyLimits::new(300), |x| x % 3).scan_map(0, rising),
        |input| {
            let mut highs = HashMap::new();
            input.flat_map(|_, x| {
                let high = highs.entry(x % 3).or_insert(0);
                let rises = x > *high;
                *high = x.max(*high);
                rises.then_some((x % 3, x))
            })
        }
    );
}
