//! `key_by`: operators for each key.

use std::fmt;
use std::hash::Hash;
use std::panic::Location;

use super::{KeyLimits, KeyStep, Keyed, TimedByKey};
use crate::window::{EventTime, Watermarks};
use crate::{Flow, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Groups items by key; the operators of the result are per key.
    ///
    /// There are no flows inside, as `group_by` has them elsewhere: the states of all keys lie in
    /// one table, nobody has to consume them, and nothing can block. `limits` says how many keys
    /// are remembered and for how long: when one more comes than there may be, the one that has been
    /// silent for longest is forgotten, and begins anew when it comes again. What a forgotten key
    /// leaves comes out where [`with_evicted`](Flow::with_evicted) asks for it.
    ///
    /// A key takes the bytes of itself and of its state and 9 more, or 29 with an idle time and as
    /// soon as a key had to make room, in tables that are between 7/16 and 7/8 full. Without an idle
    /// time an item touches only the entry of its key.
    ///
    /// For windows and what else is about event time, go on with
    /// [`event_time`](KeyedFlow::event_time); on a flow that has its times already this is
    /// [`by_key`](Self::by_key).
    ///
    /// An operator that passes items on emits them as they are: they tell their key. One that makes
    /// something new of them emits `(key, new)`.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::KeyLimits};
    /// # futures::executor::block_on(async {
    /// let trades = iter([("btc", 1), ("eth", 5), ("btc", 2)]);
    /// let volumes = trades
    ///     .key_by(KeyLimits::new(1_000), |trade| trade.0)
    ///     .scan(0, |volume, trade| volume + trade.1);
    /// assert_eq!(volumes.collect::<Vec<_>>().await, [("btc", 1), ("eth", 5), ("btc", 3)]);
    /// # });
    /// ```
    #[doc(alias("group_by", "partition_by", "keyed_stream"))]
    pub fn key_by<K, F>(self, limits: KeyLimits, key: F) -> KeyedFlow<S, F>
    where
        K: Hash + Eq + Clone,
        F: FnMut(&S::Item) -> K,
    {
        KeyedFlow { flow: self, limits, key }
    }
}

/// A flow whose items are grouped by key: see [`Flow::key_by`].
///
/// Its operators are those of a flow, for each key of its own.
#[must_use = "a flow does nothing until it is polled"]
pub struct KeyedFlow<S, F> {
    pub(crate) flow: Flow<S>,
    pub(crate) limits: KeyLimits,
    pub(crate) key: F,
}

impl<S, F> fmt::Debug for KeyedFlow<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedFlow").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Answers each item, and the end of each key, as `step` says: for an operator of your own.
    /// Where closures are enough, see [`scan_map`](Self::scan_map) and [`Flow::keyed`].
    ///
    /// - **Emits** what `step` hands out, in the poll in which the item came.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and every key has gone.
    /// - **On error**: a panic in `step` comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each key, and what `step` declares.
    /// - **Cost**: one hash for an item, and one for a key that goes; no allocation once the table
    ///   has grown. With an idle time one clock read for each turn, and one timer for all keys.
    ///
    /// ```
    /// use aqueduct_operators::{iter, keyed::{KeyLimits, KeyStep}};
    ///
    /// /// Numbers the items of each key.
    /// struct Number;
    ///
    /// impl<T, K> KeyStep<T, K> for Number {
    ///     type State = u64;
    ///     type Out = (u64, T);
    ///
    ///     fn open(&mut self, _: &K) -> u64 {
    ///         0
    ///     }
    ///
    ///     fn step(&mut self, _: K, next: &mut u64, item: T, out: &mut impl FnMut((u64, T))) {
    ///         out((*next, item));
    ///         *next += 1;
    ///     }
    ///
    ///     fn name(&self) -> &'static str {
    ///         "number"
    ///     }
    /// }
    ///
    /// # futures::executor::block_on(async {
    /// let numbered = iter(["a", "b", "a"]).key_by(KeyLimits::new(9), |x| *x).key_step(Number);
    /// assert_eq!(numbered.collect::<Vec<_>>().await, [(0, "a"), (0, "b"), (1, "a")]);
    /// # });
    /// ```
    #[track_caller]
    pub fn key_step<M: KeyStep<S::Item, K>>(self, step: M) -> Flow<Keyed<S, K, F, M>> {
        self.with_step(step, Location::caller())
    }

    pub(crate) fn with_step<M: KeyStep<S::Item, K>>(
        self,
        step: M,
        site: Site,
    ) -> Flow<Keyed<S, K, F, M>> {
        Flow::from_stage(Keyed::new(self.flow.into_stage(), self.limits, self.key, step, site))
    }

    /// Takes each item's event time from the item: for windows and joins of each key. It is
    /// [`Flow::event_time`] and then [`by_key`](Flow::by_key).
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, aggregate::count, iter, keyed::KeyLimits};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let bars = iter([(1, "btc"), (2, "eth"), (3, "btc"), (61, "eth")])
    ///     .key_by(KeyLimits::new(1_000), |trade| trade.1)
    ///     .event_time(|trade| Timestamp::from_secs(trade.0), Duration::ZERO)
    ///     .tumbling(Duration::from_secs(60), count())
    ///     .values();
    /// let counts: Vec<_> = bars.map(|bar| (bar.key, bar.value)).collect().await;
    /// assert_eq!(counts, [("btc", 2), ("eth", 1), ("eth", 1)]);
    /// # });
    /// ```
    #[track_caller]
    pub fn event_time<T>(
        self,
        time: T,
        watermarks: impl Into<Watermarks>,
    ) -> TimedByKey<EventTime<S, T>, F>
    where
        T: FnMut(&S::Item) -> Timestamp,
    {
        self.flow.event_time(time, watermarks).by_key(self.limits, self.key)
    }
}
