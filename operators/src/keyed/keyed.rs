//! `keyed`: a state for each key.

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::table::Table;
use crate::{Alarm, Bound, Budget, Flow, Outline, Site, Stage, Timestamp};

/// How many keys a [`keyed`](Flow::keyed) flow remembers, and for how long.
///
/// ```
/// # use aqueduct_operators::keyed::KeyLimits;
/// # use std::time::Duration;
/// let limits = KeyLimits::new(10_000).idle(Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct KeyLimits {
    max_keys: NonZeroUsize,
    idle: Option<Duration>,
}

impl KeyLimits {
    /// At most `max_keys` at once.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn new(max_keys: usize) -> Self {
        let max_keys = crate::buffer::checked(max_keys, "KeyLimits", Location::caller());
        Self { max_keys, idle: None }
    }

    /// A key goes when no item has come for it for this time.
    #[doc(alias("ttl", "time_to_live", "expire_after"))]
    pub fn idle(mut self, idle: Duration) -> Self {
        self.idle = Some(idle);
        self
    }
}

/// Why the state of a key goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Evicted {
    /// A new key needed its place, and no other had been silent for longer.
    Full,
    /// No item has come for the key for too long.
    Idle,
    /// The input has ended.
    End,
}

/// What became of the keys of a [`keyed`](Flow::keyed) flow. At every instant
/// `opened = full + idle + ended + held`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// States that were made.
    pub opened: u64,
    /// States that went because a new key needed the place.
    pub full: u64,
    /// States that went because their key was silent.
    pub idle: u64,
    /// States that went at the end.
    pub ended: u64,
    /// States that are held now.
    pub held: usize,
}

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
    /// nothing can block. For windows in event time use [`event_time`](Self::event_time).
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
    /// - **Cost**: one hash for an item, two for one with a new key; no allocation once the table
    ///   has grown. With an idle time one clock read for each turn, and one timer for all keys.
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
    ) -> Flow<Keyed<S, K, V, T, Fns<KeyOf, Open, Step, Close>>>
    where
        K: Hash + Eq,
        KeyOf: FnMut(&S::Item) -> K,
        Open: FnMut(&K) -> V,
        Step: FnMut(&mut V, S::Item) -> Option<T>,
        Close: FnMut(K, V, Evicted) -> Option<T>,
    {
        Flow::from_stage(Keyed {
            input: self.into_stage(),
            keys: Keys {
                limits,
                table: Table::new(),
                fns: Fns { key, open, step, close },
                counts: KeyCounts::default(),
            },
            second: None,
            ended: false,
            alarm: Alarm::new(),
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::keyed`].
#[pin_project]
#[derive(Debug)]
pub struct Keyed<S, K, V, T, F> {
    #[pin]
    input: S,
    keys: Keys<K, V, F>,
    /// An item may give two: what the key before leaves, and its own.
    second: Option<T>,
    ended: bool,
    /// Set to the time at which the next key goes.
    alarm: Alarm,
    /// Keys that go without leaving anything make no item.
    budget: Budget,
    site: Site,
}

/// The closures of a [`keyed`](Flow::keyed) flow.
pub struct Fns<KeyOf, Open, Step, Close> {
    key: KeyOf,
    open: Open,
    step: Step,
    close: Close,
}

impl<KeyOf, Open, Step, Close> fmt::Debug for Fns<KeyOf, Open, Step, Close> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fns").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Keys<K, V, F> {
    limits: KeyLimits,
    table: Table<K, V>,
    fns: F,
    /// Without `held`.
    counts: KeyCounts,
}

impl<K, V, KeyOf, Open, Step, Close> Keys<K, V, Fns<KeyOf, Open, Step, Close>>
where
    K: Hash + Eq,
{
    /// Gives an item to the state of its key: what that makes, after what another key leaves.
    fn step<I, T>(&mut self, item: I, now: Timestamp) -> (Option<T>, Option<T>)
    where
        KeyOf: FnMut(&I) -> K,
        Open: FnMut(&K) -> V,
        Step: FnMut(&mut V, I) -> Option<T>,
        Close: FnMut(K, V, Evicted) -> Option<T>,
    {
        let key = (self.fns.key)(&item);
        let hash = self.table.hash(&key);
        if let Some(state) = self.table.touch(hash, &key, now) {
            return (None, (self.fns.step)(state, item));
        }
        let mut left = None;
        if self.table.len() >= self.limits.max_keys.get() {
            left = self.close(Evicted::Full).and_then(|left| left);
        }
        let state = (self.fns.open)(&key);
        self.counts.opened += 1;
        let state = self.table.add(hash, key, state, now);
        (left, (self.fns.step)(state, item))
    }

    /// Lets the key go that has been silent for longest. `None` if there is none.
    fn close<T>(&mut self, why: Evicted) -> Option<Option<T>>
    where
        Close: FnMut(K, V, Evicted) -> Option<T>,
    {
        let (key, state) = self.table.pop_oldest()?;
        match why {
            Evicted::Full => self.counts.full += 1,
            Evicted::Idle => self.counts.idle += 1,
            Evicted::End => self.counts.ended += 1,
        }
        Some((self.fns.close)(key, state, why))
    }
}

impl<S, K, V, T, KeyOf, Open, Step, Close> Keyed<S, K, V, T, Fns<KeyOf, Open, Step, Close>>
where
    S: Stage,
    K: Hash + Eq,
    Close: FnMut(K, V, Evicted) -> Option<T>,
{
    /// What keys leave that go now: those that have been silent too long, or all at the end.
    /// `Ready(None)` if the flow is over. `before` are those that went before this instant.
    fn poll_close(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        now: Option<Timestamp>,
        before: bool,
    ) -> Poll<Option<T>> {
        let this = self.project();
        loop {
            let why = if *this.ended {
                Evicted::End
            } else {
                let (Some(idle), Some(used), Some(now)) =
                    (this.keys.limits.idle, this.keys.table.oldest(), now)
                else {
                    return Poll::Pending;
                };
                let due = used + idle;
                if due >= now {
                    if before {
                        return Poll::Pending;
                    }
                    if this.alarm.deadline() != Some(due) {
                        this.alarm.set(due);
                    }
                    ready!(this.alarm.poll_at(now, cx));
                }
                Evicted::Idle
            };
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            match this.keys.close(why) {
                None => return Poll::Ready(None),
                Some(None) => {}
                Some(left) => return Poll::Ready(left),
            }
        }
    }
}

impl<S, K, V, T, KeyOf, Open, Step, Close> Stage
    for Keyed<S, K, V, T, Fns<KeyOf, Open, Step, Close>>
where
    S: Stage,
    K: Hash + Eq,
    KeyOf: FnMut(&S::Item) -> K,
    Open: FnMut(&K) -> V,
    Step: FnMut(&mut V, S::Item) -> Option<T>,
    Close: FnMut(K, V, Evicted) -> Option<T>,
{
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut out = None;
        match self.as_mut().poll_drain(cx, &mut |item| {
            out = Some(item);
            ControlFlow::Break(())
        }) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(out),
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.as_mut().project();
        if let Some(second) = this.second.take()
            && let broke @ ControlFlow::Break(_) = each(second)
        {
            return Poll::Ready(broke);
        }
        let now = this.keys.limits.idle.map(|_| this.alarm.now());
        if !*this.ended {
            // A key that was due before this instant is not saved by an item that comes now.
            while let Poll::Ready(Some(left)) = self.as_mut().poll_close(cx, now, true) {
                if let broke @ ControlFlow::Break(_) = each(left) {
                    return Poll::Ready(broke);
                }
            }
            let this = self.as_mut().project();
            let (keys, second) = (this.keys, this.second);
            let used = now.unwrap_or_default();
            let drained = this.input.poll_drain(cx, &mut |item| {
                let (left, own) = keys.step(item, used);
                if let Some(left) = left
                    && let broke @ ControlFlow::Break(_) = each(left)
                {
                    *second = own;
                    return broke;
                }
                own.map_or(ControlFlow::Continue(()), &mut *each)
            });
            match drained {
                Poll::Ready(ControlFlow::Continue(())) => *this.ended = true,
                Poll::Pending => {}
                broke => return broke,
            }
        }
        while let Some(left) = ready!(self.as_mut().poll_close(cx, now, false)) {
            if let broke @ ControlFlow::Break(_) = each(left) {
                return Poll::Ready(broke);
            }
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let second = usize::from(self.second.is_some());
        // Each item may give one, and so may each key, of which there is one for an item at most.
        let held = second + self.keys.table.len();
        let most = self.input.size_hint().1;
        (second, most.and_then(|most| most.checked_mul(2)?.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let KeyLimits { max_keys, idle } = self.keys.limits;
        let node = outline.stage("keyed", self.site);
        node.parameter("max_keys", max_keys).holds(Bound::Items(max_keys.get().saturating_add(1)));
        if let Some(idle) = idle {
            node.parameter("idle", format_args!("{idle:?}"));
        }
    }
}

impl<S: Stage, K: Hash + Eq, V, T, F> Flow<Keyed<S, K, V, T, F>>
where
    Keyed<S, K, V, T, F>: Stage,
{
    /// What became of the keys so far.
    pub fn counts(&self) -> KeyCounts {
        let keys = &self.stage().keys;
        KeyCounts { held: keys.table.len(), ..keys.counts }
    }
}

#[cfg(test)]
mod tests {
    use super::{Evicted, KeyCounts, KeyLimits};
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

    #[test]
    #[should_panic(expected = "KeyLimits: the capacity must not be zero, at operators/src/keyed")]
    fn a_limit_of_zero_keys_is_refused_where_it_was_written() {
        let _ = KeyLimits::new(0);
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
