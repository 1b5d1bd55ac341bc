//! `conflate` and `latest`, for each key: what is newest, for a consumer that cannot keep up.

use std::hash::Hash;
use std::panic::Location;

use super::KeyedFlow;
use crate::buffer::{Buffer, ConflateBy, checked};
use crate::{Flow, Stage};

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Holds one item for each key while the consumer is busy, and merges further items of that key
    /// into it. It is [`conflate_by_key`](Flow::conflate_by_key) with room for all keys.
    ///
    /// A key has no state once its item is out, so an idle time changes nothing. An item with a key
    /// beyond the limit waits, and the input with it; nothing is lost.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let volumes = iter([("btc", 1), ("eth", 5), ("btc", 2)])
    ///     .key_by(KeyLimits::new(64), |trade| trade.0)
    ///     .conflate(|held, new| held.1 += new.1);
    /// assert_eq!(volumes.collect::<Vec<_>>().await, [("btc", 3), ("eth", 5)]);
    /// # });
    /// ```
    #[track_caller]
    pub fn conflate<M>(self, merge: M) -> Flow<Buffer<S, ConflateBy<F, M>>>
    where
        M: FnMut(&mut S::Item, S::Item),
    {
        let site = Location::caller();
        let capacity = checked(self.limits.max_keys(), "conflate", site);
        let policy = ConflateBy::new(self.key, merge);
        Flow::from_stage(Buffer::new("conflate", self.flow.into_stage(), capacity, policy, site))
    }

    /// Holds the newest item of each key while the consumer is busy: [`conflate`](Self::conflate)
    /// with the new item in the place of the old one.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let quotes = iter([("btc", 7), ("eth", 9), ("btc", 8)]);
    /// let newest = quotes.key_by(KeyLimits::new(64), |quote| quote.0).latest();
    /// assert_eq!(newest.collect::<Vec<_>>().await, [("btc", 8), ("eth", 9)]);
    /// # });
    /// ```
    #[doc(alias("latest_by_key", "on_backpressure_latest"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a function pointer has the types of its arguments")]
    pub fn latest(self) -> Flow<Buffer<S, ConflateBy<F, fn(&mut S::Item, S::Item)>>> {
        self.conflate(|held, new| *held = new)
    }
}

#[cfg(test)]
mod tests {
    use crate::keyed::KeyLimits;
    use crate::testing::*;

    conformance!(latest, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).latest()
    }, except [
        Mixture: "what comes out depends on which items are there at once",
        Invariance: "what comes out depends on which items are there at once",
    ]);

    specification!(
        conflate,
        |input| {
            let keyed = input.map(|x| vec![x]).key_by(KeyLimits::new(8), |list| list[0] % 3);
            glances(keyed.conflate(|held, new| held.extend(new)))
        },
        // All of the key that changed first.
        |input| at_glances(input, |held| {
            let key = held[0] % 3;
            held.extract_if(.., |x| *x % 3 == key).collect::<Vec<_>>()
        })
    );
}
