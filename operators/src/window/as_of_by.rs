//! `as_of_by`: joins each item with what was known of its key at its time.

use std::hash::Hash;
use std::num::NonZeroUsize;
use std::panic::Location;

use super::join::{ByKey, Core, Join, Padded};
use super::{AsOf, Timed};
use crate::keyed::KeyLimits;
use crate::{Flow, Stage};

/// The stage behind [`Flow::as_of_by`].
pub type AsOfByJoin<S, R, L, T, K, LeftKey, RightKey> =
    Join<S, R, Core<L, T, ByKey<K, T, LeftKey, RightKey>, AsOf, Padded>>;

impl<S: Stage<Item = Timed<L>>, L> Flow<S> {
    /// Pairs each item with the one of `right` that has its key and is valid as of its time.
    ///
    /// ```text
    /// in     -(aW)----(bW)----------|
    /// time     1 1     4 4
    /// right  ----(aW)(bW)(AW)--(BW)-|
    /// time        0 0 3 3 4 4   5 5
    /// out    --------p---------q----|    as_of_by(right, lower, lower, AsOf::backward(), limits)
    /// where  p = (a, Some(a)), q = (b, Some(b))
    /// ```
    ///
    /// As [`as_of`](Self::as_of), for each key by itself. One watermark of each side is enough for
    /// all keys, so that no item waits for a key that is silent.
    ///
    /// The `limits` say how many keys of the right side are remembered. If another one comes, the
    /// one whose last item is the oldest is forgotten, with all of its items, and
    /// [counted](super::JoinCounts::evicted): an item with that key has no match until there is a
    /// new one. With an [`idle`](KeyLimits::idle) time, which is event time here, a right item is
    /// forgotten after so long. Keys of the left side need no place.
    ///
    /// - **Emits** the elements of the left side in their order: each item with its match when that
    ///   is certain, and watermarks.
    /// - **Backpressures** the right side when it is ahead of the left, the left side when as many
    ///   of its elements wait as the [`capacity`](Flow::capacity) says.
    /// - **Ends** when the left input has ended and its items are answered; the right one is
    ///   dropped then.
    /// - **On error**: a panic in one of the closures comes out of the poll; the flow has ended
    ///   then.
    /// - **Holds** at most the capacity of elements of the left side, as many right items ahead of
    ///   it, and one for each of `max_keys` keys.
    /// - **Cost**: one hash for an item, and what [`as_of`](Self::as_of) costs. No allocation once
    ///   the table and the queues have grown, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, keyed::KeyLimits, window::AsOf};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |x: &(i64, &str)| Timestamp::from_secs(x.0);
    /// let trades = iter([(3, "btc"), (5, "eth")]).event_time(time, Duration::ZERO);
    /// let quotes = iter([(1, "eth"), (2, "btc"), (4, "btc")]).event_time(time, Duration::ZERO);
    /// let limits = KeyLimits::new(1_000);
    /// let pairs = trades.as_of_by(quotes, |x| x.1, |x| x.1, AsOf::backward(), limits).values();
    /// let expected = [((3, "btc"), Some((2, "btc"))), ((5, "eth"), Some((1, "eth")))];
    /// assert_eq!(pairs.collect::<Vec<_>>().await, expected);
    /// # });
    /// ```
    #[doc(alias("asof_join_by", "merge_asof_by", "join_asof_by"))]
    #[track_caller]
    pub fn as_of_by<R, T, K, LeftKey, RightKey>(
        self,
        right: Flow<R>,
        left_key: LeftKey,
        right_key: RightKey,
        which: AsOf,
        limits: KeyLimits,
    ) -> Flow<AsOfByJoin<S, R, L, T, K, LeftKey, RightKey>>
    where
        R: Stage<Item = Timed<T>>,
        T: Clone,
        K: Hash + Eq,
        LeftKey: FnMut(&L) -> K,
        RightKey: FnMut(&T) -> K,
    {
        let max_keys = NonZeroUsize::new(limits.max_keys());
        let which = limits.idle_time().map_or(which, |idle| which.remembering(idle));
        let index = ByKey::new(left_key, right_key, max_keys);
        Join::flow(self, right, which, index, Location::caller())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::*;
    use crate::window::JoinCounts;
    use crate::{Timestamp, Virtual, iter};

    /// A second and a key.
    type Item = (i64, char);

    fn timed(items: &[Item]) -> Flow<impl Stage<Item = Timed<Item>>> {
        iter(items.to_vec()).event_time(|item| Timestamp::from_secs(item.0), Duration::ZERO)
    }

    fn key(item: &Item) -> char {
        item.1
    }

    #[test]
    fn each_key_is_joined_by_itself_and_no_item_waits_for_a_silent_one() {
        let trades = [(2, 'a'), (2, 'b'), (5, 'a'), (5, 'c')];
        let quotes = [(1, 'a'), (2, 'b'), (4, 'a'), (9, 'b')];
        let limits = KeyLimits::new(9);
        let joined = || timed(&trades).as_of_by(timed(&quotes), key, key, AsOf::backward(), limits);
        let expected = [
            ((2, 'a'), Some((1, 'a'))),
            ((2, 'b'), Some((2, 'b'))),
            ((5, 'a'), Some((4, 'a'))),
            ((5, 'c'), None),
        ];
        assert_eq!(every_way(|| joined().values()), expected);
    }

    /// What a left item finds of each key, and what was counted.
    fn at_the_end(quotes: &[Item], limits: KeyLimits) -> (Vec<Option<i64>>, JoinCounts) {
        let keys = ['a', 'b', 'c', 'd'];
        let trades: Vec<_> = keys.map(|key| (50, key)).to_vec();
        let mut joined = std::pin::pin!(timed(&trades).as_of_by(
            timed(quotes),
            key,
            key,
            AsOf::backward(),
            limits
        ));
        let found = Virtual::new().run(async {
            let mut found = Vec::new();
            let mut next =
                async || std::future::poll_fn(|cx| Stage::poll_next(joined.as_mut(), cx)).await;
            while let Some(element) = next().await {
                if let Timed::Item(_, (_, quote)) = element {
                    found.push(quote.map(|quote| quote.0));
                }
            }
            found
        });
        (found, joined.counts())
    }

    #[test]
    fn beyond_the_limit_the_key_whose_last_item_is_the_oldest_is_forgotten() {
        let quotes = [(1, 'a'), (2, 'b'), (3, 'a'), (4, 'c'), (5, 'd'), (6, 'b')];
        let (found, counts) = at_the_end(&quotes, KeyLimits::new(3));
        // `b` made room for `d`, and `a` for `b`.
        assert_eq!(found, [None, Some(6), Some(4), Some(5)]);
        assert_eq!((counts.evicted, counts.unmatched), (2, 1));
    }

    #[test]
    fn an_item_of_a_key_that_is_silent_in_event_time_is_forgotten() {
        let quotes = [(1, 'a'), (45, 'b'), (46, 'c')];
        let limits = KeyLimits::new(9).idle(Duration::from_secs(4));
        let (found, counts) = at_the_end(&quotes, limits);
        assert_eq!(found, [None, None, Some(46), None]);
        assert_eq!(counts.unmatched, 3);
    }

    #[test]
    fn a_hundred_thousand_keys_that_come_once_take_no_more_room_than_the_limit() {
        let ledger = Ledger::new();
        let quotes = iter((0..100_000i64).map(|n| (n, Tracked::new(n, &ledger))))
            .event_time(|quote| Timestamp::from_secs(quote.0), Duration::ZERO);
        let trades =
            iter([99_999i64, 100_000]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let joined =
            trades.as_of_by(quotes, |s| *s, |quote| quote.0, AsOf::backward(), KeyLimits::new(100));
        let found: Vec<_> = items(joined.values()).into_iter().map(|(_, q)| q.is_some()).collect();
        assert_eq!(found, [true, false]);
        assert!(ledger.high_water() <= 103, "{}", ledger.high_water());
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    fn parity(x: &Tracked) -> u32 {
        x.value() % 3
    }

    conformance!(as_of_by, |a, b| {
        let right = b.event_time(value_as_time, ms(0));
        let left = a.event_time(value_as_time, ms(0));
        left.as_of_by(right, parity, parity, AsOf::backward(), KeyLimits::new(2))
    });
    conformance!(as_of_by_forward, |a, b| {
        let right = b.event_time(value_as_time, ms(1));
        let left = a.event_time(value_as_time, ms(1));
        let limits = KeyLimits::new(3).idle(ms(2));
        left.as_of_by(right, parity, parity, AsOf::forward(), limits)
    });

    marbles!(as_of_by, |input: Timed<char>, right: Timed<char>| {
        let lower = |c: &char| c.to_ascii_lowercase();
        input.as_of_by(right, lower, lower, AsOf::backward(), KeyLimits::new(9)).values()
    });

    specification!(
        as_of_by,
        |left: i64, right: i64| {
            let timed = |x: &i64| Timestamp::from_millis(*x);
            let right = right.scan(0, |sum, x| sum + x).event_time(timed, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(timed, Duration::ZERO);
            let key = |x: &i64| x % 2;
            left.as_of_by(right, key, key, AsOf::forward(), KeyLimits::new(2)).values()
        },
        |left, right| -> Timeline<_> {
            let sums = |line: Timeline<i64>| {
                let mut sum = 0;
                line.map(|x| {
                    sum += x;
                    sum
                })
            };
            let (left, right) = (sums(left), sums(right));
            let mut output = Timeline::new([], 0);
            for (at, time) in left.events {
                let mut later = right.events.iter().filter(|(_, other)| *other >= time);
                let found = later.find(|(_, other)| other % 2 == time % 2).map(|(_, other)| *other);
                // It is the one when the right side has come past it.
                let past = right.events.iter().find(|(_, o)| found.is_some_and(|found| *o > found));
                output.end = output.end.max(at).max(past.map_or(right.end, |(at, _)| *at));
                output.events.push((output.end, (time, found)));
            }
            output.end = output.end.max(left.end);
            output
        }
    );
}
