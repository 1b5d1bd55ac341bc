//! `interval_join_by`: joins items of one key whose times are close.

use std::hash::Hash;
use std::panic::Location;

use super::join::{ByKey, Core, Join, Matched};
use super::{Timed, Within};
use crate::{Flow, Stage};

/// The stage behind [`Flow::interval_join_by`].
pub type IntervalJoinBy<S, R, L, T, K, LeftKey, RightKey> =
    Join<S, R, Core<L, T, ByKey<K, T, LeftKey, RightKey>, Within, Matched>>;

impl<S: Stage<Item = Timed<L>>, L: Clone> Flow<S> {
    /// Pairs each item with every one of `right` that has its key and whose time is close to its
    /// own.
    ///
    /// ```text
    /// in     -(aW)-(bW)----------|
    /// time     2 2  3 3
    /// right  ----(BW)--(AW)--(BW)|
    /// time        2 2   3 3   5 5
    /// out    ----------------(pq)|    interval_join_by(right, lower, lower, Within::around(1))
    /// where  p = (a, A), q = (b, B)
    /// ```
    ///
    /// As [`interval_join`](Self::interval_join), for each key by itself. One watermark of each
    /// side is enough for all keys. There is no limit on the number of keys beside the
    /// [`capacity`](Flow::capacity): a key is remembered only while there are right items with it
    /// that a left item can still reach.
    ///
    /// - **Emits** for the elements of the left side, in their order: the pairs of each item when
    ///   they are certain, and watermarks.
    /// - **Backpressures** the right side when it is ahead of the left, the left side when as many
    ///   of its elements wait as the capacity says.
    /// - **Ends** when the left input has ended and its pairs are out; the right one is dropped
    ///   then.
    /// - **On error**: a panic in one of the closures comes out of the poll; the flow has ended
    ///   then.
    /// - **Holds** at most the capacity of elements of the left side, and as many right items: those
    ///   that a left item to come can still reach.
    /// - **Cost**: one hash for an item, and what [`interval_join`](Self::interval_join) costs. No
    ///   allocation once the table and the queues have grown, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, window::Within};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |x: &(i64, &str)| Timestamp::from_secs(x.0);
    /// let orders = iter([(10, "btc"), (11, "eth")]).event_time(time, Duration::ZERO);
    /// let fills = iter([(12, "eth"), (13, "btc")]).event_time(time, Duration::ZERO);
    /// let within = Within::after(Duration::from_secs(5));
    /// let pairs = orders.interval_join_by(fills, |x| x.1, |x| x.1, within).values();
    /// let expected = [((10, "btc"), (13, "btc")), ((11, "eth"), (12, "eth"))];
    /// assert_eq!(pairs.collect::<Vec<_>>().await, expected);
    /// # });
    /// ```
    #[doc(alias("keyed_interval_join"))]
    #[track_caller]
    pub fn interval_join_by<R, T, K, LeftKey, RightKey>(
        self,
        right: Flow<R>,
        left_key: LeftKey,
        right_key: RightKey,
        within: Within,
    ) -> Flow<IntervalJoinBy<S, R, L, T, K, LeftKey, RightKey>>
    where
        R: Stage<Item = Timed<T>>,
        T: Clone,
        K: Hash + Eq,
        LeftKey: FnMut(&L) -> K,
        RightKey: FnMut(&T) -> K,
    {
        let index = ByKey::new(left_key, right_key, None);
        Join::flow(self, right, within, index, Location::caller())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::testing::*;
    use crate::{Timestamp, iter};

    #[test]
    fn a_hundred_thousand_keys_that_come_once_take_no_more_room_than_the_capacity() {
        let ledger = Ledger::new();
        let time = |s: &i64| Timestamp::from_secs(*s);
        let right = iter((0..100_000i64).map(|n| (n, Tracked::new(n, &ledger))))
            .event_time(move |quote| time(&quote.0), Duration::ZERO);
        let left = iter(0..100_000i64).event_time(time, Duration::ZERO);
        let within = Within::around(Duration::from_secs(5));
        let joined = left.interval_join_by(right, |s| *s, |right| right.0, within).capacity(16);
        let pairs = joined.values().map(|(left, right)| assert_eq!(left, right.0));
        assert_eq!(items(pairs).len(), 100_000);
        assert!(ledger.high_water() <= 17, "{}", ledger.high_water());
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    fn rest(x: &Tracked) -> u32 {
        x.value() % 3
    }

    conformance!(interval_join_by, |a, b| {
        let right = b.event_time(value_as_time, ms(0));
        let left = a.event_time(value_as_time, ms(0));
        left.interval_join_by(right, rest, rest, Within::around(ms(3))).capacity(64)
    });

    marbles!(interval_join_by, |input: Timed<char>, right: Timed<char>| {
        let lower = |c: &char| c.to_ascii_lowercase();
        input.interval_join_by(right, lower, lower, Within::around(ms(1))).values()
    });

    specification!(
        interval_join_by,
        |left: i64, right: i64| {
            let time = |x: &i64| Timestamp::from_millis(*x);
            let right = right.scan(0, |sum, x| sum + x).event_time(time, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(time, Duration::ZERO);
            let parity = |x: &i64| x % 2;
            left.interval_join_by(right, parity, parity, Within::before(ms(4))).values()
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
                let past = right.events.iter().find(|(_, other)| *other > time);
                output.end = output.end.max(at).max(past.map_or(right.end, |(at, _)| *at));
                for (_, other) in &right.events {
                    if (time - 4..=time).contains(other) && (time - other) % 2 == 0 {
                        output.events.push((output.end, (time, *other)));
                    }
                }
            }
            output.end = output.end.max(left.end);
            output
        }
    );
}
