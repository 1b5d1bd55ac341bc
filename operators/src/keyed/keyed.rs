//! `keyed`: a state for each key.

use std::fmt;
use std::hash::Hash;
use std::panic::Location;

use super::{Evicted, KeyLimits, KeyStep, Keyed};
use crate::{Bound, Flow, Node, Stage};

impl<S: Stage> Flow<S> {
    /// Keeps a state for each key and gives every item to that of its own key.
    ///
    /// ```text
    /// in   a-b-a-a-b|
    /// out  x-x-y-z-y|    keyed(KeyLimits::new(9), key, |_| 0, count, |_, _, _| None)
    /// where  x = 1, y = 2, z = 3
    /// ```
    ///
    /// `open(&key)` makes the state of a key when its first item comes. `step(state, item)` changes
    /// it, and may give an item to emit. `close(key, state, why)` gets the state when it goes, and
    /// may give an item too, so that no aggregate is lost: when `max_keys` are there and another
    /// comes, the one that has been silent for longest goes; with an
    /// [`idle`](KeyLimits::idle) time one goes when nothing has come for it for so long, on the
    /// clock of the run; and at the end all go, in the order in which they were used last. A key
    /// that comes again later is a new one.
    ///
    /// There are no flows inside, as `group_by` has them elsewhere: nobody has to consume them, and
    /// nothing can block. The usual operators for each key are those of [`key_by`](Self::key_by).
    ///
    /// At one instant an item comes before the idle time of its key.
    ///
    /// - **Emits** what `step` and `close` give; of a new key that takes another one's place, what
    ///   the old one leaves comes first.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and every state has gone.
    /// - **On error**: an error is an item here and `key` tells whose. A panic in one of the
    ///   closures comes out of the poll.
    /// - **Holds** one state for each of `max_keys` keys, and one item that `step` or `close` gave.
    /// - **Cost**: one hash for an item, and one for a key that goes; no allocation once the table
    ///   has grown. Without an idle time the order of the keys is made when it is first needed, when
    ///   the table is full or the input ends, by sorting them once. With an idle time one clock read
    ///   for each turn, and one timer for all keys.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, keyed::{Evicted, KeyLimits}};
    /// # futures::executor::block_on(async {
    /// // The volume of each symbol, told when it is complete.
    /// let trades = iter([("btc", 1), ("eth", 5), ("btc", 2)]);
    /// let volumes = trades.keyed(
    ///     KeyLimits::new(1_000),
    ///     |trade| trade.0,
    ///     |_symbol| 0,
    ///     |volume, trade| {
    ///         *volume += trade.1;
    ///         None
    ///     },
    ///     |symbol, volume, _why| Some((symbol, volume)),
    /// );
    /// assert_eq!(volumes.collect::<Vec<_>>().await, [("eth", 5), ("btc", 3)]);
    /// # });
    /// ```
    #[doc(alias("group_by", "state_by_key", "map_with_state_by_key", "partition_by"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "four closures have four types")]
    pub fn keyed<K, V, T, KeyOf, Open, Step, Close>(
        self,
        limits: KeyLimits,
        key: KeyOf,
        open: Open,
        step: Step,
        close: Close,
    ) -> Flow<Keyed<S, K, KeyOf, Fns<Open, Step, Close>>>
    where
        K: Hash + Eq + Clone,
        KeyOf: FnMut(&S::Item) -> K,
        Open: FnMut(&K) -> V,
        Step: FnMut(&mut V, S::Item) -> Option<T>,
        Close: FnMut(K, V, Evicted) -> Option<T>,
    {
        let fns = Fns { open, step, close };
        Flow::from_stage(Keyed::new(self.into_stage(), limits, key, fns, Location::caller()))
    }
}

/// The closures of a [`keyed`](Flow::keyed) flow.
pub struct Fns<Open, Step, Close> {
    open: Open,
    step: Step,
    close: Close,
}

impl<Open, Step, Close> fmt::Debug for Fns<Open, Step, Close> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fns").finish_non_exhaustive()
    }
}

impl<In, K, V, T, Open, Step, Close> KeyStep<In, K> for Fns<Open, Step, Close>
where
    Open: FnMut(&K) -> V,
    Step: FnMut(&mut V, In) -> Option<T>,
    Close: FnMut(K, V, Evicted) -> Option<T>,
{
    type State = V;
    type Out = T;

    fn open(&mut self, key: &K) -> V {
        (self.open)(key)
    }

    fn step(&mut self, _: K, state: &mut V, item: In, out: &mut impl FnMut(T)) {
        if let Some(made) = (self.step)(state, item) {
            out(made);
        }
    }

    fn close(&mut self, key: K, state: V, why: Evicted, out: &mut impl FnMut(T)) {
        if let Some(left) = (self.close)(key, state, why) {
            out(left);
        }
    }

    fn size_hint(&self, input: (usize, Option<usize>), held: usize) -> (usize, Option<usize>) {
        // Each item may give one, and so may each key, of which there is one for an item at most.
        (0, input.1.and_then(|most| most.checked_mul(2)?.checked_add(held)))
    }

    fn name(&self) -> &'static str {
        "keyed"
    }

    fn describe(&self, limits: KeyLimits, node: &mut Node) {
        node.holds(Bound::Items(limits.max_keys().saturating_add(1)));
    }
}

#[cfg(test)]
mod tests {
    use crate::keyed::{Evicted, KeyCounts, KeyLimits};
    use crate::testing::*;
    use crate::{Flow, Stage, Virtual, iter};

    marbles!(keyed, |input| {
        let count = |count: &mut u32, _: char| {
            *count += 1;
            Some(*count)
        };
        input.keyed(KeyLimits::new(9), |x| *x, |_| 0, count, |_, _, _| None)
    });
    conformance!(keyed, |input| input.keyed(
        KeyLimits::new(2).idle(ms(2)),
        |x| x.value() % 3,
        |_| None,
        |state, x| state.replace(x),
        |_, state, _| state,
    ));
    conformance!(keyed_without_time, |input| input.keyed(
        KeyLimits::new(2),
        |x| x.value() % 3,
        |_| 0,
        |count, _| {
            *count += 1;
            (*count % 2 == 0).then_some(*count)
        },
        |_, count, _| Some(count),
    ));

    /// What every key leaves, with the number of its items.
    fn left<S: Stage<Item = char>>(
        flow: Flow<S>,
        limits: KeyLimits,
    ) -> Flow<impl Stage<Item = (char, u32, Evicted)>> {
        let count = |count: &mut u32, _| {
            *count += 1;
            None
        };
        flow.keyed(limits, |key| *key, |_| 0, count, |key, n, why| Some((key, n, why)))
    }

    #[test]
    fn a_key_goes_when_it_was_silent_for_too_long() {
        let feed = timetable([(0, 'a'), (1, 'b'), (4, 'a'), (6, 'b'), (20, 'a')], 22);
        let flow = left(feed, KeyLimits::new(9).idle(ms(5)));
        let expected = vec![
            (9, ('a', 2, Evicted::Idle)),
            (11, ('b', 2, Evicted::Idle)),
            (22, ('a', 1, Evicted::End)),
        ];
        assert_eq!(timeline(flow), (expected, 22));
    }

    #[test]
    fn a_new_key_takes_the_place_of_the_one_that_was_silent_for_longest() {
        let all = every_way(|| left(iter("abacb".chars()), KeyLimits::new(2)));
        let expected = [
            ('b', 1, Evicted::Full),
            ('a', 2, Evicted::Full),
            ('c', 1, Evicted::End),
            ('b', 1, Evicted::End),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn an_item_can_give_two_and_what_the_old_key_leaves_comes_first() {
        let flow = || {
            iter("abc".chars()).keyed(
                KeyLimits::new(1),
                |key| *key,
                |_| (),
                |(), item| Some(item),
                |key, (), _| Some(key.to_ascii_uppercase()),
            )
        };
        assert_eq!(every_way(flow), ['a', 'A', 'b', 'B', 'c', 'C']);
    }

    #[test]
    fn the_counts_add_up() {
        let mut flow = std::pin::pin!(iter(0..9).keyed(
            KeyLimits::new(2),
            |x| x % 4,
            |_| 0,
            |_, x| Some(x),
            |_, _, _| None
        ));
        Virtual::new().run(async {
            for _ in 0..9 {
                let _ = flow.next().await;
            }
            let held = KeyCounts { opened: 9, full: 7, held: 2, ..KeyCounts::default() };
            assert_eq!(flow.counts(), held);
            assert_eq!(flow.next().await, None);
            assert_eq!(flow.counts(), KeyCounts { ended: 2, held: 0, ..held });
        });
    }

    specification!(
        keyed,
        |input| input.keyed(
            KeyLimits::new(2).idle(ms(5)),
            |x| x % 4,
            |_| 0,
            |count, x| {
                *count += 1;
                Some((x % 4, *count, None))
            },
            |key, count, why| Some((key, count, Some(why))),
        ),
        |input| -> Timeline<_> {
            let mut output = Timeline::new([], input.end);
            // Key, last use and number of items, by last use.
            let mut held: Vec<(u8, i64, u32)> = Vec::new();
            let end = (input.end, None);
            for (at, item) in input.events.into_iter().map(|(at, x)| (at, Some(x))).chain([end]) {
                let silent = held.iter().take_while(|(_, used, _)| used + 5 < at).count();
                for (key, used, count) in held.drain(..silent) {
                    output.events.push((used + 5, (key, count, Some(Evicted::Idle))));
                }
                let Some(key) = item.map(|x| x % 4) else { break };
                let own = held.iter().position(|(other, ..)| *other == key);
                let before = own.map_or(0, |place| held.remove(place).2);
                if held.len() == 2 {
                    let (other, _, count) = held.remove(0);
                    output.events.push((at, (other, count, Some(Evicted::Full))));
                }
                held.push((key, at, before + 1));
                output.events.push((at, (key, before + 1, None)));
            }
            let left = |(key, _, count)| (input.end, (key, count, Some(Evicted::End)));
            output.events.extend(held.into_iter().map(left));
            output
        }
    );
}
