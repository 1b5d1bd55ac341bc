//! `conflate_by_key`: the newest state of each key for a consumer that cannot keep up.

use std::hash::Hash;
use std::panic::Location;

use crate::{Flow, Stage};

use super::{Buffer, ConflateBy, checked};

impl<S: Stage> Flow<S> {
    /// Holds one item for each key while the consumer is busy, and merges further items of that
    /// key into it.
    ///
    /// ```text
    /// in    a1-b1-a2-a3-b2-------|
    /// body  [a1          ][b   ][a   ]
    /// out   a1-------------b2----a3-|    conflate_by_key(2, key, newest)
    /// ```
    ///
    /// The policy for market data: a consumer that falls behind sees every symbol with its newest
    /// state instead of old quotes, and no symbol waits longer because another one is busy. Keys
    /// come out in the order in which they first changed. `merge` decides what survives: the new
    /// item (`|held, new| *held = new`), or a sum, so that no volume is lost.
    ///
    /// It is [`buffer`](Self::buffer) with the policy [`ConflateBy`], which serves a hop or a
    /// channel as well.
    ///
    /// - **Emits** the item of the key whose turn it is.
    /// - **Backpressures** when an item brings a key beyond `capacity`.
    /// - **Ends** when the input has ended and what is held is out.
    /// - **On error**: an error is an item here; `key` decides which items it may be merged with.
    ///   A panic in `key` or `merge` comes out of the poll.
    /// - **Holds** one item for each of `capacity` keys and one that waits.
    /// - **Cost**: one hash an item, no allocation once the table has grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let volume = iter([("btc", 1), ("eth", 5), ("btc", 2)])
    ///     .conflate_by_key(64, |trade| trade.0, |held, new| held.1 += new.1);
    /// let all = volume.fold(vec![], |mut all, trade| { all.push(trade); all });
    /// assert_eq!(all.await, [("btc", 3), ("eth", 5)]);
    /// # });
    /// ```
    #[doc(alias("conflate", "latest_by_key", "throttle_by_key"))]
    #[track_caller]
    pub fn conflate_by_key<Q, K, M>(
        self,
        capacity: usize,
        key: K,
        merge: M,
    ) -> Flow<Buffer<S, ConflateBy<K, M>>>
    where
        K: FnMut(&S::Item) -> Q,
        Q: Hash + Eq,
        M: FnMut(&mut S::Item, S::Item),
    {
        let site = Location::caller();
        let capacity = checked(capacity, "conflate_by_key", site);
        let policy = ConflateBy::new(key, merge);
        Flow::from_stage(Buffer::new("conflate_by_key", self.into_stage(), capacity, policy, site))
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::items;

    #[test]
    fn keys_come_out_merged_in_the_order_in_which_they_first_changed() {
        let flow = iter([('a', 1), ('b', 1), ('a', 2), ('b', 3)]);
        let newest = flow.conflate_by_key(2, |item| item.0, |held, new| *held = new);
        assert_eq!(items(newest), [('a', 2), ('b', 3)]);
    }

    #[test]
    fn a_key_beyond_the_capacity_waits_and_nothing_is_lost() {
        let flow = iter([('a', 1), ('b', 1), ('c', 1), ('a', 1)]);
        let sums = flow.conflate_by_key(1, |item| item.0, |held, new| held.1 += new.1);
        assert_eq!(items(sums), [('a', 1), ('b', 1), ('c', 1), ('a', 1)]);
    }

    #[test]
    #[should_panic(expected = "conflate_by_key: the capacity must not be zero, at operators/")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).conflate_by_key(0, |x| *x, |held, new| *held = new);
    }
}
