//! `by_key`: windows for each key.

use std::hash::Hash;

use super::KeyLimits;
use crate::window::{ByKey, Timed};
use crate::{Flow, Stage};

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items by key; the windows of the result are per key.
    ///
    /// Event time is shared: a watermark closes the windows of all keys, so that the window of a key
    /// that has fallen silent is not late.
    ///
    /// There are no flows inside: the states of all keys lie in one table, and nothing can block.
    /// [`KeyLimits`] says how many keys there may be at once; what happens to one more is told at each
    /// operator. `key` may be asked more than once about one item.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, Virtual, aggregate::count, iter, keyed::KeyLimits};
    /// # use std::time::Duration;
    /// let trades = iter([(1, "btc"), (2, "eth"), (3, "btc"), (61, "eth")]);
    /// let bars = trades
    ///     .event_time(|trade| Timestamp::from_secs(trade.0), Duration::ZERO)
    ///     .by_key(KeyLimits::new(1_000), |trade| trade.1)
    ///     .tumbling(Duration::from_secs(60), count())
    ///     .values();
    /// let bars: Vec<_> = Virtual::new().run(bars.collect());
    /// let counts: Vec<_> = bars.iter().map(|bar| (bar.key, bar.value)).collect();
    /// assert_eq!(counts, [("btc", 2), ("eth", 1), ("eth", 1)]);
    /// ```
    pub fn by_key<K, F>(self, limits: KeyLimits, key: F) -> TimedByKey<S, F>
    where
        K: Hash + Eq + Clone,
        F: FnMut(&T) -> K,
    {
        TimedByKey { flow: self, groups: ByKey::new(limits, key) }
    }
}

/// A flow in event time whose items are grouped by key: see [`Flow::by_key`].
///
/// Its operators are those of the flow, for each key of its own; what they emit has the key.
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct TimedByKey<S, F> {
    pub(crate) flow: Flow<S>,
    pub(crate) groups: ByKey<F>,
}
