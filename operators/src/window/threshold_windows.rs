//! [`ThresholdWindows`]: items into windows that have a weight to reach.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::{AddAssign, ControlFlow};
use std::panic::Location;

use super::agenda::{Agenda, Entry};
use super::grouping::Grouping;
use super::roster::Roster;
use super::{Firing, Timed, Window, WindowCounts};
use crate::aggregate::{Aggregate, Span};
use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage, Timestamp};

/// How much an item weighs: [`ByWeight`] or [`ByCount`].
pub trait Weigh<T> {
    /// A weight, or a sum of weights. The default is that of nothing.
    type Weight: PartialOrd + AddAssign + Default;

    /// The weight of an item.
    fn weigh(&mut self, item: &T) -> Self::Weight;
}

/// An item weighs what the closure says.
pub struct ByWeight<F>(pub(super) F);

impl<T, W: PartialOrd + AddAssign + Default, F: FnMut(&T) -> W> Weigh<T> for ByWeight<F> {
    type Weight = W;

    #[inline]
    fn weigh(&mut self, item: &T) -> W {
        (self.0)(item)
    }
}

impl<F> fmt::Debug for ByWeight<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByWeight").finish_non_exhaustive()
    }
}

/// An item weighs 1.
#[derive(Debug, Clone, Copy)]
pub struct ByCount;

impl<T> Weigh<T> for ByCount {
    type Weight = u64;

    #[inline]
    fn weigh(&mut self, _: &T) -> u64 {
        1
    }
}

/// The step behind [`Flow::threshold`] and [`Flow::count_windows`].
#[expect(clippy::type_complexity, reason = "places have a key, and what is kept for it")]
pub struct ThresholdWindows<T, A: Aggregate<T>, G: Grouping<T>, M: Weigh<T>> {
    groups: G,
    measure: M,
    limit: M::Weight,
    /// The unfinished windows.
    keys: Roster<G::Key, Filling<A::State, M::Weight>, G::Index>,
    /// Their keys by the number of their last item: who has been silent for longest.
    silent: Agenda,
    /// Their keys by the watermark at which they have been silent for too long.
    idle: Option<Agenda>,
    idle_time: i64,
    max_keys: usize,
    results: Results<A>,
}

/// What results are made with.
struct Results<A> {
    name: &'static str,
    aggregate: A,
    early_items: Option<NonZeroU32>,
    /// No result has a time before it.
    watermark: i64,
    counts: WindowCounts,
}

/// An unfinished window.
#[derive(Debug)]
struct Filling<W, Q> {
    state: W,
    weight: Q,
    /// The times of the first item to come and of the last.
    start: i64,
    end: i64,
    latest: i64,
    /// The number of its last item.
    used: u64,
    /// Items since it came out last.
    fresh: u32,
}

type Output<T, A, G> = Timed<Window<<A as Aggregate<T>>::Output, <G as Grouping<T>>::Key>>;

impl<A> Results<A> {
    fn window<T, K, Q>(
        &mut self,
        key: K,
        filling: &Filling<A::State, Q>,
        firing: Firing,
    ) -> Timed<Window<A::Output, K>>
    where
        A: Aggregate<T>,
    {
        self.counts.evicted += u64::from(firing == Firing::Evicted);
        self.counts.fired += 1;
        let at = Timestamp::from_nanos;
        let span = Span { start: at(filling.start), end: at(filling.end) };
        let window = Window {
            key,
            start: span.start,
            end: span.end,
            firing,
            complete: firing == Firing::OnTime,
            partial: false,
            late: 0,
            value: self.aggregate.finish(&filling.state, span),
        };
        Timed::Item(at(filling.end.max(self.watermark)), window)
    }

    /// One more item in a window.
    #[inline]
    fn add<T, M: Weigh<T>>(
        &self,
        filling: &mut Filling<A::State, M::Weight>,
        time: Timestamp,
        item: &T,
        weight: M::Weight,
    ) where
        A: Aggregate<T>,
    {
        let at = time.as_nanos();
        self.aggregate.add(&mut filling.state, time, item);
        filling.weight += weight;
        filling.end = at;
        filling.latest = filling.latest.max(at);
        filling.used = self.counts.items;
        filling.fresh = filling.fresh.saturating_add(1);
    }

    #[inline]
    fn is_early<W, Q>(&self, filling: &Filling<W, Q>) -> bool {
        self.early_items.is_some_and(|items| filling.fresh >= items.get())
    }
}

impl<T, A, G, M> ThresholdWindows<T, A, G, M>
where
    A: Aggregate<T>,
    G: Grouping<T>,
    M: Weigh<T>,
{
    pub(super) fn new(
        name: &'static str,
        limit: M::Weight,
        measure: M,
        groups: G,
        aggregate: A,
    ) -> Self {
        let limits = groups.limits();
        let idle = limits.idle_time().map(crate::clock::nanos);
        Self {
            groups,
            measure,
            limit,
            keys: Roster::default(),
            silent: Agenda::default(),
            idle: idle.map(|_| Agenda::default()),
            idle_time: idle.unwrap_or(i64::MAX),
            max_keys: limits.max_keys(),
            results: Results {
                name,
                aggregate,
                early_items: None,
                watermark: i64::MIN,
                counts: WindowCounts::default(),
            },
        }
    }

    #[inline]
    fn add(&mut self, time: Timestamp, item: &T, out: &mut impl FnMut(Output<T, A, G>)) {
        let results = &mut self.results;
        results.counts.items += 1;
        let key = self.groups.key(item);
        let hash = self.groups.hash(&key);
        let weight = self.measure.weigh(item);
        let Some(place) = self.keys.find(hash, &key) else {
            return self.open(hash, key, time, item, weight, out);
        };
        let member = self.keys.get(place);
        let filling = &mut member.value;
        results.add::<T, M>(filling, time, item, weight);
        if filling.weight >= self.limit {
            results.counts.held -= 1;
            let member = self.keys.remove(place);
            out(results.window(member.key, &member.value, Firing::OnTime));
        } else if results.is_early(filling) {
            filling.fresh = 0;
            out(results.window(member.key.clone(), filling, Firing::Early));
        }
    }

    /// The first item of a window.
    #[inline(never)]
    fn open(
        &mut self,
        hash: u64,
        key: G::Key,
        time: Timestamp,
        item: &T,
        weight: M::Weight,
        out: &mut impl FnMut(Output<T, A, G>),
    ) {
        let results = &mut self.results;
        let at = time.as_nanos();
        let mut filling = Filling {
            state: results.aggregate.init(),
            weight: M::Weight::default(),
            start: at,
            end: at,
            latest: at,
            used: 0,
            fresh: 0,
        };
        results.add::<T, M>(&mut filling, time, item, weight);
        if filling.weight >= self.limit {
            out(results.window(key, &filling, Firing::OnTime));
            return;
        }
        if self.keys.len() >= self.max_keys
            && let Some(entry) = next_silent(&mut self.silent, &mut self.keys)
        {
            results.counts.held -= 1;
            let member = self.keys.remove(entry.place);
            out(results.window(member.key, &member.value, Firing::Evicted));
        }
        if results.is_early(&filling) {
            filling.fresh = 0;
            out(results.window(key.clone(), &filling, Firing::Early));
        }
        results.counts.held += 1;
        results.counts.high_water = results.counts.high_water.max(results.counts.held);
        let (used, idle) = (filling.used as i64, at.saturating_add(self.idle_time));
        let keys = &mut self.keys;
        let place = keys.add(hash, key, filling);
        let came = keys.get(place).came;
        let agendas = [(Some(&mut self.silent), used), (self.idle.as_mut(), idle)];
        let members = keys.len();
        for (agenda, due) in agendas {
            if let Some(agenda) = agenda {
                agenda.add(Entry { due, came, place });
                let stands = |entry: &Entry| keys.still(entry.place, entry.came).is_some();
                agenda.tidy(members, stands);
            }
        }
    }

    /// Lets the windows go whose keys have been silent for too long.
    fn advance(&mut self, to: i64, out: &mut impl FnMut(Output<T, A, G>)) {
        let (keys, results, idle_time) = (&mut self.keys, &mut self.results, self.idle_time);
        if let Some(idle) = &mut self.idle {
            // An item at the time itself would still be in time, and may come.
            while let Some(entry) = idle.next(to.saturating_sub(1), |entry| {
                let filling = &keys.still(entry.place, entry.came)?.value;
                Some(filling.latest.saturating_add(idle_time))
            }) {
                results.counts.held -= 1;
                let member = keys.remove(entry.place);
                out(results.window(member.key, &member.value, Firing::Evicted));
            }
        }
        results.watermark = results.watermark.max(to);
    }
}

/// The key that has been silent for longest.
fn next_silent<K: Eq, W, Q, I: super::Index>(
    silent: &mut Agenda,
    keys: &mut Roster<K, Filling<W, Q>, I>,
) -> Option<Entry> {
    // Items are counted from 1, and there are not 2⁶³ of them.
    silent.next(i64::MAX, |entry| Some(keys.still(entry.place, entry.came)?.value.used as i64))
}

impl<T, A, G, M> Step<Timed<T>> for ThresholdWindows<T, A, G, M>
where
    A: Aggregate<T>,
    G: Grouping<T>,
    M: Weigh<T>,
{
    type Out = Output<T, A, G>;

    #[inline]
    fn step(&mut self, element: Timed<T>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        match element {
            Timed::Item(time, item) => self.add(time, &item, out),
            Timed::Watermark(time) => {
                self.advance(time.as_nanos(), out);
                out(Timed::Watermark(time));
            }
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Self::Out)) {
        while let Some(entry) = next_silent(&mut self.silent, &mut self.keys) {
            self.results.counts.held -= 1;
            let member = self.keys.remove(entry.place);
            out(self.results.window(member.key, &member.value, Firing::End));
        }
    }

    fn name(&self) -> &'static str {
        self.results.name
    }

    fn describe(&self, node: &mut Node) {
        if let Some(items) = self.results.early_items {
            node.parameter("early_every_items", items);
        }
        node.parameter("max_keys", self.max_keys).holds(Bound::Items(self.max_keys));
    }
}

impl<T, A: Aggregate<T>, G: Grouping<T>, M: Weigh<T>> fmt::Debug for ThresholdWindows<T, A, G, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThresholdWindows")
            .field("name", &self.results.name)
            .field("counts", &self.results.counts)
            .finish_non_exhaustive()
    }
}

impl<S, T, A, G, M> Flow<Stepped<S, ThresholdWindows<T, A, G, M>>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T>,
    G: Grouping<T>,
    M: Weigh<T>,
{
    /// What became of the items and the windows so far.
    pub fn counts(&self) -> WindowCounts {
        self.stage().step().results.counts
    }

    /// A window also comes out [`Early`](Firing::Early) after every `items` of its items, as far as
    /// it goes by then.
    ///
    /// # Panics
    ///
    /// If `items` is zero.
    #[track_caller]
    #[doc(alias("trigger"))]
    pub fn early_every_items(self, items: u32) -> Self {
        let site = Location::caller();
        let early_items = NonZeroU32::new(items);
        assert!(early_items.is_some(), "early_every_items: it must not be zero, at {site}");
        self.map_step(|mut step| {
            step.results.early_items = early_items;
            step
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keyed::KeyLimits;
    use crate::testing::allocations;
    use crate::window::ByKey;

    /// The sum of the items.
    struct Total;

    impl Aggregate<i64> for Total {
        type State = i64;
        type Output = i64;

        fn init(&self) -> i64 {
            0
        }

        fn add(&self, total: &mut i64, _: Timestamp, x: &i64) {
            *total += x;
        }

        fn merge(&self, total: &mut i64, later: &i64) {
            *total += later;
        }

        fn finish(&self, total: &i64, _: Span) -> i64 {
            *total
        }
    }

    #[test]
    fn keys_that_come_and_go_allocate_nothing_once_the_tables_have_grown() {
        let limits = KeyLimits::new(50).idle(Duration::from_nanos(200));
        let groups = ByKey::new(limits, |x: &i64| *x);
        let mut windows =
            ThresholdWindows::new("threshold", 99, ByWeight(|x: &i64| *x), groups, Total);
        let (mut told, mut now) = (0, 0);
        let mut go_on = |windows: &mut ThresholdWindows<_, _, _, _>| {
            for _ in 0..100_000 {
                now += 1;
                let x = (now * now + now / 64) % 1_000 % (now / 100 % 90 + 5);
                let mut out = |_| told += 1;
                let time = Timestamp::from_nanos(now - now * 7_919 % 50);
                let _ = windows.step(Timed::Item(time, x), &mut out);
                let _ = windows.step(Timed::Watermark(Timestamp::from_nanos(now - 50)), &mut out);
                for agenda in [Some(&windows.silent), windows.idle.as_ref()].into_iter().flatten() {
                    assert!(agenda.len() <= 2 * 50 + 17);
                }
            }
        };
        go_on(&mut windows);
        let before = allocations();
        go_on(&mut windows);
        assert_eq!(allocations(), before);
        assert!(told > 210_000 && windows.results.counts.evicted > 1_000);
    }
}
