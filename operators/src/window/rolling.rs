//! `rolling`: with each item, an aggregate of the items up to it.

use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::time::Duration;

use super::tail::Tail;
use super::{ByKey, DropLate, EmitLate, Grouping, Late, LatePolicy, Timed, Whole};
use crate::aggregate::{Aggregate, Span};
use crate::buffer::checked;
use crate::clock::nanos;
use crate::keyed::{Linked, TimedByKey};
use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage, Timestamp};

/// How many items of a key are kept, unless it is [said](Rolling::at_most).
const AT_MOST: usize = 65_536;

/// How far a [rolling](Flow::rolling) aggregate looks back.
///
/// ```
/// use aqueduct_operators::window::Rolling;
/// use std::time::Duration;
///
/// let ten_seconds = Rolling::time(Duration::from_secs(10)).at_most(100_000);
/// let hundred_items = Rolling::last(100);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Rolling {
    extent: Extent,
    at_most: NonZeroUsize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// In nanoseconds, at least 1.
    Time(i64),
    Last,
    All,
}

impl Rolling {
    /// Over the items of a time of `(t - length, t]`, where `t` is that of the item.
    ///
    /// # Panics
    ///
    /// If `length` is zero.
    #[track_caller]
    pub fn time(length: Duration) -> Self {
        let site = Location::caller();
        assert!(!length.is_zero(), "Rolling: the length must not be zero, at {site}");
        Self { extent: Extent::Time(nanos(length)), at_most: checked(AT_MOST, "Rolling", site) }
    }

    /// Over the item and the `n - 1` that came before it.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn last(n: usize) -> Self {
        Self { extent: Extent::Last, at_most: checked(n, "Rolling::last", Location::caller()) }
    }

    /// Over the item and all that came before it.
    #[doc(alias("running", "expanding", "cumulative"))]
    pub fn all() -> Self {
        Self { extent: Extent::All, at_most: NonZeroUsize::MIN }
    }

    /// Of a time at most so many items of a key are kept, 65,536 unless it is said. When one more
    /// comes, the oldest leaves too early and is counted as
    /// [`evicted`](RollingCounts::evicted).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn at_most(self, items: usize) -> Self {
        match self.extent {
            Extent::Time(_) => {
                Self { at_most: checked(items, "Rolling::at_most", Location::caller()), ..self }
            }
            Extent::Last | Extent::All => self,
        }
    }
}

/// What became of the items of a [rolling](Flow::rolling) flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RollingCounts {
    /// Items that came.
    pub items: u64,
    /// Items behind the watermark.
    pub late: u64,
    /// Items that left too early, because their place was needed.
    pub evicted: u64,
    /// Keys that were forgotten: too many others came, or nothing for too long.
    pub forgotten: u64,
    /// Items that are held now.
    pub held: usize,
    /// The most that were ever held.
    pub high_water: usize,
}

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Emits with each item the aggregate of the items up to it: of the last so and so long, of
    /// the last so many, or of all.
    ///
    /// ```text
    /// in    --a---b-c------d-|
    /// time    1   3 4      9
    /// out   --x---y-z------u-|    rolling(Rolling::time(3), all).values()
    /// where  x = (a, [a]), y = (b, [a, b]), z = (c, [b, c]), u = (d, [d])
    /// ```
    ///
    /// Of a length of time the window is `(t - length, t]`, where `t` is the time of the item: an
    /// item that is as old as `length` is out, and the item itself is in. What counts are the items
    /// that have come so far; an item that comes out of order is answered with those at or before
    /// its own time, and is part of the windows of later ones from then on. An item behind the
    /// watermark is late: dropped and counted, or [handed out](Flow::with_late).
    ///
    /// The other two go by the order of arrival and know no late items.
    ///
    /// - **Emits** each item with its aggregate, in the same poll; watermarks pass in order.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each item that is in a window, at most
    ///   [`at_most`](Rolling::at_most) for a key, or `n`; two where the aggregate has no inverse.
    /// - **Cost**: O(1) merges an item, amortised, however long the window is; for an item out of
    ///   order one for each item in its window. No allocation once the windows have grown, no
    ///   clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::sum, window::Rolling};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let sums = iter([1, 2, 4, 9])
    ///     .event_time(|s| Timestamp::from_secs(*s), Duration::ZERO)
    ///     .rolling(Rolling::time(Duration::from_secs(3)), sum(|x: &i64| *x))
    ///     .values();
    /// assert_eq!(sums.collect::<Vec<_>>().await, [(1, 1), (2, 3), (4, 6), (9, 9)]);
    /// # });
    /// ```
    #[doc(alias("sliding_window", "moving_average", "range_over", "trailing_window"))]
    #[track_caller]
    pub fn rolling<A>(self, rolling: Rolling, aggregate: A) -> Flow<Rolled<S, T, A, Whole>>
    where
        A: Aggregate<T, State: Clone>,
    {
        self.step(Rolls::new(rolling, Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::rolling`], for each key. When one more key comes than
    /// [`KeyLimits`](crate::keyed::KeyLimits) allow, the one that has been silent for longest is
    /// forgotten; so is one for which nothing has come for the idle time, here in event time.
    #[track_caller]
    pub fn rolling<A>(self, rolling: Rolling, aggregate: A) -> Flow<Rolled<S, T, A, ByKey<F>>>
    where
        A: Aggregate<T, State: Clone>,
    {
        self.flow.step(Rolls::new(rolling, self.groups, aggregate))
    }
}

/// The stage behind [`Flow::rolling`].
pub type Rolled<S, T, A, G, L = DropLate> = Stepped<S, Rolls<T, A, G, L>>;

/// The step behind [`Flow::rolling`].
pub struct Rolls<T, A: Aggregate<T>, G: Grouping<T>, L = DropLate> {
    rolling: Rolling,
    groups: G,
    aggregate: A,
    tails: Linked<G::Key, Tail<A::State>>,
    /// In nanoseconds.
    idle: Option<i64>,
    watermark: i64,
    counts: RollingCounts,
    types: PhantomData<fn(T) -> L>,
}

impl<T, A, G, L> Rolls<T, A, G, L>
where
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
{
    fn new(rolling: Rolling, groups: G, aggregate: A) -> Self {
        Self {
            rolling,
            idle: groups.limits().idle_time().map(nanos),
            groups,
            aggregate,
            tails: Linked::new(),
            watermark: i64::MIN,
            counts: RollingCounts::default(),
            types: PhantomData,
        }
    }

    fn add(&mut self, time: Timestamp, item: &T) -> A::Output {
        let key = self.groups.key(item);
        let hash = self.tails.hash(&key);
        let (aggregate, counts, at) = (&self.aggregate, &mut self.counts, time.as_nanos());
        let mut slice = aggregate.init();
        aggregate.add(&mut slice, time, item);
        if self.tails.touch(hash, &key, time).is_none() {
            let mut tail = Tail::new(aggregate);
            if self.tails.len() >= self.groups.limits().max_keys()
                && let Some((_, forgotten)) = self.tails.pop_oldest()
            {
                counts.forgotten += 1;
                counts.held -= forgotten.len();
                tail = forgotten.cleared(aggregate);
            }
            self.tails.add(hash, key, tail, time);
        }
        // The key that was used last is that of this item.
        let Some(tail) = self.tails.newest() else {
            return aggregate.finish(&slice, Span { start: time, end: time });
        };
        let before = tail.len();
        let value = match self.rolling.extent {
            Extent::Time(length) => {
                let oldest = at.saturating_sub(length).saturating_add(1);
                let span =
                    Span { start: Timestamp::from_nanos(oldest.saturating_sub(1)), end: time };
                // What is too old for this one may not be for one that comes out of order.
                let kept = self.watermark.min(at).saturating_sub(length).saturating_add(1);
                let in_order = tail.ends().is_none_or(|(latest, _)| latest <= at);
                if in_order {
                    tail.advance(aggregate, oldest, kept);
                }
                if tail.len() >= self.rolling.at_most.get() {
                    tail.drop_oldest(aggregate);
                    counts.evicted += 1;
                }
                if in_order {
                    tail.push(aggregate, at, slice);
                    tail.live(aggregate, |state| aggregate.finish(state, span))
                } else {
                    tail.insert_behind(aggregate, at, slice);
                    let state = tail.between(aggregate, oldest, at.saturating_add(1));
                    aggregate.finish(&state, span)
                }
            }
            Extent::Last => {
                if tail.len() == self.rolling.at_most.get() {
                    tail.drop_oldest(aggregate);
                }
                tail.push(aggregate, at, slice);
                let start = tail.ends().map_or(at, |(_, oldest)| oldest);
                let span = Span { start: Timestamp::from_nanos(start), end: time };
                tail.live(aggregate, |state| aggregate.finish(state, span))
            }
            Extent::All => {
                tail.extend(aggregate, at, slice);
                let start = tail.ends().map_or(at, |(_, first)| first);
                let span = Span { start: Timestamp::from_nanos(start), end: time };
                tail.live(aggregate, |state| aggregate.finish(state, span))
            }
        };
        counts.held = counts.held - before + tail.len();
        counts.high_water = counts.high_water.max(counts.held);
        value
    }

    /// Forgets the keys for which nothing has come for too long.
    fn forget(&mut self) {
        let Some(idle) = self.idle else { return };
        let limit = Timestamp::from_nanos(self.watermark.saturating_sub(idle));
        while self.tails.oldest().is_some_and(|used| used < limit) {
            if let Some((_, tail)) = self.tails.pop_oldest() {
                self.counts.forgotten += 1;
                self.counts.held -= tail.len();
            }
        }
    }
}

impl<T, A, G, L> Step<Timed<T>> for Rolls<T, A, G, L>
where
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    type Out = Timed<L::Out<(T, A::Output)>>;

    fn step(&mut self, element: Timed<T>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        match element {
            Timed::Item(time, item) => {
                self.counts.items += 1;
                let late = time.as_nanos() < self.watermark;
                if late && matches!(self.rolling.extent, Extent::Time(_)) {
                    self.counts.late += 1;
                    if let Some(late) = L::late(Late { time, item }) {
                        out(Timed::Item(Timestamp::from_nanos(self.watermark), late));
                    }
                } else {
                    let value = self.add(time, &item);
                    out(Timed::Item(time, L::result((item, value))));
                }
            }
            Timed::Watermark(time) => {
                self.watermark = self.watermark.max(time.as_nanos());
                self.forget();
                out(Timed::Watermark(time));
            }
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        // Of a time, an item that is late does not come out.
        (if matches!(self.rolling.extent, Extent::Time(_)) { 0 } else { least }, most)
    }

    fn name(&self) -> &'static str {
        "rolling"
    }

    fn describe(&self, node: &mut Node) {
        let Rolling { extent, at_most } = self.rolling;
        let max_keys = self.groups.limits().max_keys();
        match extent {
            Extent::Time(length) => {
                let length = Duration::from_nanos(length.unsigned_abs());
                node.parameter("time", format_args!("{length:?}")).parameter("at_most", at_most);
            }
            Extent::Last => {
                node.parameter("last", at_most);
            }
            Extent::All => {
                node.parameter("all", true);
            }
        }
        node.parameter("max_keys", max_keys)
            .holds(Bound::Items(at_most.get().saturating_mul(max_keys)));
    }
}

impl<T, A: Aggregate<T>, G: Grouping<T>, L> fmt::Debug for Rolls<T, A, G, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rolls")
            .field("rolling", &self.rolling)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<S, T, A, G, L> Flow<Rolled<S, T, A, G, L>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    /// What became of the items so far.
    pub fn counts(&self) -> RollingCounts {
        self.stage().step().counts
    }
}

impl<S, T, A, G> Flow<Rolled<S, T, A, G>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
{
    /// Hands late items out too: results are on the left, late items on the right. Without it they
    /// are dropped and counted.
    pub fn with_late(self) -> Flow<Rolled<S, T, A, G, EmitLate>> {
        self.map_step(|rolls| Rolls::new(rolls.rolling, rolls.groups, rolls.aggregate))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::iter;
    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::window::reference::{Item, at, elements};

    /// What a rolling aggregate is by definition: all items before are looked at.
    fn defined(
        elements: &[Timed<Item>],
        within: impl Fn(&[Item], usize) -> bool,
        knows_late: bool,
    ) -> (Vec<(Item, Vec<Item>)>, u64) {
        let (mut out, mut late, mut mark) = (Vec::new(), 0, i64::MIN);
        let mut before: Vec<Item> = Vec::new();
        for element in elements {
            match *element {
                Timed::Watermark(time) => mark = mark.max(time.as_nanos()),
                Timed::Item(time, _) if knows_late && time.as_nanos() < mark => late += 1,
                Timed::Item(_, item) => {
                    // Those of its key, by arrival; the last is the item itself.
                    before.push(item);
                    let own: Vec<Item> = before.iter().copied().filter(|x| x.1 == item.1).collect();
                    let inside = (0..own.len()).filter(|at| within(&own, *at)).map(|at| own[at]);
                    out.push((item, inside.collect()));
                }
            }
        }
        (out, late)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]
        #[test]
        fn over_a_time_an_item_meets_what_has_come_so_far_within_it(
            elements in elements(), length in 1i64..12,
        ) {
            let within = |own: &[Item], i: usize| {
                let now = own[own.len() - 1].0;
                now - length < own[i].0 && own[i].0 <= now
            };
            let (expected, late) = defined(&elements, within, true);
            let rolling = Rolling::time(Duration::from_nanos(length.unsigned_abs()));
            let by_key = iter(elements).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let mut flow = by_key.rolling(rolling, All);
            let out = items(flow.by_ref().values().map(|(item, mut all)| {
                all.sort_unstable_by_key(|item| item.2);
                (item, all)
            }));
            prop_assert_eq!(out, expected);
            prop_assert_eq!(flow.counts().late, late);
        }

        #[test]
        fn over_the_last_an_item_meets_those_that_came_before_it(
            elements in elements(), n in 1usize..6,
        ) {
            let (expected, _) =
                defined(&elements, |own: &[Item], i: usize| i + n >= own.len(), false);
            let by_key = iter(elements).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let out = items(by_key.rolling(Rolling::last(n), All).values());
            prop_assert_eq!(out, expected);
        }

        #[test]
        fn over_all_an_item_meets_everything_before_it(elements in elements()) {
            let (expected, _) = defined(&elements, |_: &[Item], _| true, false);
            let by_key = iter(elements).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let out = items(by_key.rolling(Rolling::all(), All).values());
            prop_assert_eq!(out, expected);
        }
    }

    /// The number of items and their sum.
    struct Total;

    impl Aggregate<i64> for Total {
        type State = (u32, i64);
        type Output = (u32, i64);

        const INVERTIBLE: bool = true;

        fn init(&self) -> (u32, i64) {
            (0, 0)
        }

        fn add(&self, total: &mut (u32, i64), _: Timestamp, x: &i64) {
            *total = (total.0 + 1, total.1 + x);
        }

        fn merge(&self, total: &mut (u32, i64), later: &(u32, i64)) {
            *total = (total.0 + later.0, total.1 + later.1);
        }

        fn finish(&self, total: &(u32, i64), _: Span) -> (u32, i64) {
            *total
        }

        fn remove(&self, total: &mut (u32, i64), oldest: &(u32, i64)) {
            *total = (total.0 - oldest.0, total.1 - oldest.1);
        }
    }

    proptest! {
        #[test]
        fn an_inverse_gives_what_two_stacks_give(
            numbers in prop::collection::vec(0i64..60, 0..200), length in 1i64..20,
        ) {
            let timed = iter(numbers).event_time(|x| at(*x), Duration::from_nanos(30));
            let rolling = Rolling::time(Duration::from_nanos(length.unsigned_abs()));
            let timed = items(timed);
            let totals = items(iter(timed.clone()).rolling(rolling, Total).values());
            let all = items(iter(timed).rolling(rolling, All).values());
            let by_hand = all.iter().map(|(x, all)| (*x, (all.len() as u32, all.iter().sum())));
            prop_assert_eq!(totals, by_hand.collect::<Vec<_>>());
        }
    }

    #[test]
    fn more_items_than_are_kept_leave_too_early_and_are_counted() {
        let elements = (0..5).map(|n| Timed::Item(at(n), n));
        let mut flow =
            iter(elements).rolling(Rolling::time(Duration::from_secs(1)).at_most(2), All);
        let out = items(flow.by_ref().values().map(|(_, all)| all));
        assert_eq!(out[3..], [vec![2, 3], vec![3, 4]]);
        let counts = flow.counts();
        assert_eq!((counts.evicted, counts.held), (3, 2));
    }

    #[test]
    fn a_key_is_forgotten_when_another_needs_its_place_and_when_it_was_silent_for_too_long() {
        let limits = KeyLimits::new(2).idle(Duration::from_nanos(5));
        let elements = [
            Timed::Item(at(0), 'a'),
            Timed::Item(at(1), 'b'),
            Timed::Item(at(2), 'c'),
            Timed::Item(at(3), 'a'),
            Timed::Watermark(at(8)),
            Timed::Item(at(8), 'a'),
            Timed::Watermark(at(14)),
        ];
        let mut flow = iter(elements).by_key(limits, |x| *x).rolling(Rolling::last(9), All);
        let out = items(flow.by_ref().values().map(|(_, all)| all.len()));
        assert_eq!(out, [1, 1, 1, 1, 2]);
        let counts = flow.counts();
        assert_eq!((counts.forgotten, counts.held), (4, 0));
    }

    #[test]
    fn times_at_the_ends_of_time_are_answered() {
        for rolling in [Rolling::time(Duration::MAX), Rolling::time(ms(1)), Rolling::last(2)] {
            let elements = [i64::MIN, i64::MAX, i64::MIN].map(|ns| Timed::Item(at(ns), 1));
            let out = items(iter(elements).rolling(rolling, All).values());
            assert_eq!(out.len(), 3, "{rolling:?}");
        }
    }

    conformance!(rolling, |input| {
        input.event_time(value_as_time, ms(1)).rolling(Rolling::time(ms(3)).at_most(4), Sum)
    });
    conformance!(rolling_last, |input| {
        let timed = input.event_time(value_as_time, ms(1));
        timed.by_key(KeyLimits::new(2), |x| x.value() % 3).rolling(Rolling::last(2), Sum)
    });

    marbles!(rolling, |input: Timed<char>| { input.rolling(Rolling::time(ms(3)), All).values() });

    specification!(
        rolling,
        at_any_pace,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(2));
            timed.rolling(Rolling::time(ms(5)), All).values()
        },
        |input| {
            let mut kept: Vec<i64> = Vec::new();
            let mut latest = i64::MIN / 2;
            input.flat_map(|_, x| {
                if x < latest - 2 {
                    return None;
                }
                latest = latest.max(x);
                kept.push(x);
                // By time, and by arrival within one.
                let mut inside: Vec<_> =
                    kept.iter().copied().filter(|y| x - 5 < *y && *y <= x).collect();
                inside.sort();
                Some((x, inside))
            })
        }
    );
}
