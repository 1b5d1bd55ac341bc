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
    /// in    a-b-A-B--------|
    /// busy  [a          ][B   ][A   ]
    /// out   a------------B-----A-----|    conflate_by_key(2, lower_case, newest)
    /// ```
    ///
    /// The policy for market data: a consumer that falls behind sees every symbol with its newest
    /// state instead of old quotes, and no symbol waits longer because another one is busy. Keys
    /// come out in the order in which they first changed. `merge` decides what survives: the new
    /// item (`|held, new| *held = new`), or a sum, so that no volume is lost.
    ///
    /// `capacity` is the number of keys: set it to the number of symbols, and the input never
    /// waits, whatever the consumer does. The key of an item is known only when the item has been
    /// taken; so where there are more keys, the first item of one too many waits in a place of its
    /// own, and the input with it, until a key has gone out.
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
    ///
    /// # A screen in front of a market
    ///
    /// A quote comes every millisecond, and the screen draws one in ten. It shows the newest quote
    /// of every symbol in turn, and all of the volume; [`counts`](Self::counts) tells what was
    /// brought together.
    ///
    /// ```
    /// use aqueduct_operators::{Timestamp, Virtual, iter, timer};
    /// use std::time::Duration;
    ///
    /// struct Quote {
    ///     time: Timestamp,
    ///     symbol: &'static str,
    ///     bid: u64,
    ///     volume: u64,
    /// }
    ///
    /// Virtual::new().run(async {
    ///     let symbols = ["btc", "btc", "btc", "eth"];
    ///     let quotes = iter(0..100).map(|n: u32| Quote {
    ///         time: Timestamp::from_millis(n.into()),
    ///         symbol: symbols[n as usize % 4],
    ///         bid: 100 + u64::from(n),
    ///         volume: 1,
    ///     });
    ///     let quotes = quotes.play(|quote| Some(quote.time));
    ///
    ///     let mut newest = std::pin::pin!(quotes.conflate_by_key(
    ///         1_000,
    ///         |quote| quote.symbol,
    ///         |held, new| *held = Quote { volume: held.volume + new.volume, ..new },
    ///     ));
    ///     let (mut drawn, mut volume) = (Vec::new(), 0);
    ///     while let Some(quote) = newest.next().await {
    ///         timer(Duration::from_millis(10)).count().await;
    ///         volume += quote.volume;
    ///         drawn.push((quote.symbol, quote.bid));
    ///     }
    ///     // What was drawn at 0, 10 and 20 ms: both symbols have their turn, and nothing is old.
    ///     assert_eq!(drawn[..3], [("btc", 100), ("btc", 110), ("eth", 119)]);
    ///     assert_eq!(volume, 100);
    ///
    ///     let counts = newest.counts();
    ///     assert_eq!(counts.accepted, counts.delivered + counts.replaced + counts.held as u64);
    ///     assert_eq!((counts.accepted, counts.high_water), (100, 2));
    /// });
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
    use crate::testing::*;

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

    conformance!(conflate_by_key, |input| {
        input.conflate_by_key(2, |x| x.value() % 3, |held, new| *held = new)
    }, except [
        Mixture: "what comes out depends on which items are there at once",
        Invariance: "what comes out depends on which items are there at once",
    ]);

    specification!(
        conflate_by_key,
        |input| {
            let lists = input.map(|x| vec![x]);
            glances(lists.conflate_by_key(8, |list| list[0] % 3, |held, new| held.extend(new)))
        },
        // All of the key that changed first.
        |input| at_glances(input, |held| {
            let key = held[0] % 3;
            held.extract_if(.., |x| *x % 3 == key).collect::<Vec<_>>()
        })
    );

    marbles!(conflate_by_key, |input| {
        input.conflate_by_key(2, |x: &char| x.to_ascii_lowercase(), |held, new| *held = new)
    });
}
