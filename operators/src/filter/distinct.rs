//! `distinct`, `distinct_by_key` and `distinct_flushed`: no item that was seen before.

use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::seen::{Memory, Seen};
use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Drops each item that was seen before, as far as `memory` reaches.
    ///
    /// ```text
    /// in   --a--b--a--c--a--b--|
    /// out  --a--b-----c-----b--|    distinct(2)
    /// ```
    ///
    /// A set of everything that was ever seen would grow for ever, so the memory has a size, and
    /// may have a limit of time: see [`Memory`]. When it is full, the item that was seen longest
    /// ago is forgotten, whether it passed then or was dropped: above it is `b` when `c` comes.
    ///
    /// - **Emits** an item that is not remembered, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is remembered like one.
    /// - **Holds** as many items as the memory does: a copy of each.
    /// - **Cost**: one clone and one hash for an item, no allocation once the memory is full; with
    ///   a limit of time one clock read for an item.
    ///
    /// # Panics
    ///
    /// If the memory has no room.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let symbols = aqueduct_operators::iter(["BTC", "ETH", "BTC", "SOL"]).distinct(1000);
    /// assert_eq!(symbols.collect::<Vec<_>>().await, ["BTC", "ETH", "SOL"]);
    /// # });
    /// ```
    #[doc(alias("uniq", "unique", "dedup_all"))]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    #[track_caller]
    pub fn distinct(
        self,
        memory: impl Into<Memory>,
    ) -> Flow<Stepped<S, Distinct<S::Item, Whole<S::Item>>>>
    where
        S::Item: Hash + Eq + Clone,
    {
        let seen = remember(memory.into(), "distinct");
        self.step(Distinct { seen, key: S::Item::clone, name: "distinct" })
    }

    /// Drops each item whose key was seen before, as far as `memory` reaches.
    ///
    /// ```text
    /// in   --1--4--2--5--3--|
    /// out  --1-----2-----3--|    distinct_by_key(9, |x| x % 3)
    /// ```
    ///
    /// As [`distinct`](Self::distinct), with a key instead of the whole item.
    ///
    /// - **Emits** an item whose key is not remembered, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and has a key. A panic in `key` comes out of the
    ///   poll; the flow has ended then.
    /// - **Holds** as many keys as the memory does.
    /// - **Cost**: one key and one hash for an item, no allocation once the memory is full; with a
    ///   limit of time one clock read for an item.
    ///
    /// # Panics
    ///
    /// If the memory has no room.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, filter::Memory};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// // A trade that is sent twice within a minute comes through once.
    /// let memory = Memory::of(10_000).forget_after(Duration::from_secs(60));
    /// let trades = iter([(1, "buy"), (2, "sell"), (1, "buy")]);
    /// assert_eq!(trades.distinct_by_key(memory, |trade| trade.0).count().await, 2);
    /// # });
    /// ```
    #[doc(alias("uniq_by", "unique_by", "distinct_by"))]
    #[track_caller]
    pub fn distinct_by_key<K, F>(
        self,
        memory: impl Into<Memory>,
        key: F,
    ) -> Flow<Stepped<S, Distinct<K, F>>>
    where
        K: Hash + Eq,
        F: FnMut(&S::Item) -> K,
    {
        let seen = remember(memory.into(), "distinct_by_key");
        self.step(Distinct { seen, key, name: "distinct_by_key" })
    }

    /// As [`distinct_by_key`](Self::distinct_by_key), and forgets everything at each item of
    /// `flushes`.
    ///
    /// ```text
    /// in       --a--a-----a--a--|
    /// flushes  --------x--------|
    /// out      --a--------a-----|    distinct_flushed(9, |x| *x, flushes)
    /// ```
    ///
    /// For a new session, a new day. At one instant `flushes` comes first, as far as it has items
    /// ready without giving way in between.
    ///
    /// - **Emits** an item whose key is not remembered, in the same poll.
    /// - **Backpressures** when downstream does; `flushes` waits with it.
    /// - **Ends** when the input ends, with which `flushes` is dropped; the end of `flushes`
    ///   changes nothing.
    /// - **On error**: an error is an item here; one of `flushes` is a flush. A panic in `key` comes
    ///   out of the poll; the flow has ended then.
    /// - **Holds** as many keys as the memory does.
    /// - **Cost**: as [`distinct_by_key`](Self::distinct_by_key), and one poll of `flushes` for
    ///   each item.
    ///
    /// # Panics
    ///
    /// If the memory has no room.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, never};
    /// # futures::executor::block_on(async {
    /// let once = iter([1, 1]).distinct_flushed(9, |x| *x, never::<()>());
    /// assert_eq!(once.count().await, 1);
    /// # });
    /// ```
    #[doc(alias("distinct"))]
    #[track_caller]
    pub fn distinct_flushed<K, F, R>(
        self,
        memory: impl Into<Memory>,
        key: F,
        flushes: Flow<R>,
    ) -> Flow<DistinctFlushed<S, K, F, R>>
    where
        K: Hash + Eq,
        F: FnMut(&S::Item) -> K,
        R: Stage,
    {
        Flow::from_stage(DistinctFlushed {
            input: Some(self.into_stage()),
            flushes: Some(flushes.into_stage()),
            seen: remember(memory.into(), "distinct_flushed"),
            key,
            site: Location::caller(),
        })
    }
}

/// The key of [`Flow::distinct`]: the item itself.
pub type Whole<T> = fn(&T) -> T;

#[track_caller]
fn remember<K: Hash + Eq>(memory: Memory, name: &'static str) -> Seen<K> {
    match Seen::new(memory) {
        Some(seen) => seen,
        None => panic!("{name}: the memory must have room, at {}", Location::caller()),
    }
}

/// The step behind [`Flow::distinct`] and [`Flow::distinct_by_key`].
pub struct Distinct<K, F> {
    seen: Seen<K>,
    key: F,
    name: &'static str,
}

impl<S: Stage, K: Hash + Eq, F: FnMut(&S::Item) -> K> Flow<Stepped<S, Distinct<K, F>>> {
    /// How many keys were forgotten because the memory was full.
    pub fn forgotten(&self) -> u64 {
        self.stage().step().seen.forgotten()
    }
}

impl<K, F> fmt::Debug for Distinct<K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distinct").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl<T, K: Hash + Eq, F: FnMut(&T) -> K> Step<T> for Distinct<K, F> {
    type Out = T;

    fn step(&mut self, item: T, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        if self.seen.is_new((self.key)(&item)) {
            out(item);
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        // The first item of all is new.
        (if self.seen.is_empty() { least.min(1) } else { 0 }, most)
    }

    fn name(&self) -> &'static str {
        self.name
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("memory", self.seen.memory()).holds(Bound::Items(self.seen.capacity()));
    }
}

/// The stage behind [`Flow::distinct_flushed`].
#[pin_project]
pub struct DistinctFlushed<S, K, F, R> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    /// `None` once it has ended, or the input has.
    #[pin]
    flushes: Option<R>,
    seen: Seen<K>,
    key: F,
    site: Site,
}

impl<S, K: Hash + Eq, F, R: Stage> DistinctFlushed<S, K, F, R> {
    /// Takes the flushes that are there.
    fn flush(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        while let Some(flushes) = this.flushes.as_mut().as_pin_mut() {
            match flushes.poll_next(cx) {
                Poll::Ready(Some(_)) => this.seen.clear(),
                Poll::Ready(None) => this.flushes.set(None),
                Poll::Pending => return,
            }
        }
    }
}

impl<S, K, F, R> Stage for DistinctFlushed<S, K, F, R>
where
    S: Stage,
    K: Hash + Eq,
    F: FnMut(&S::Item) -> K,
    R: Stage,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        loop {
            self.as_mut().flush(cx);
            let mut this = self.as_mut().project();
            let Some(input) = this.input.as_mut().as_pin_mut() else {
                return Poll::Ready(None);
            };
            match ready!(input.poll_next(cx)) {
                Some(item) => {
                    if this.seen.is_new((this.key)(&item)) {
                        return Poll::Ready(Some(item));
                    }
                }
                None => {
                    this.input.set(None);
                    this.flushes.set(None);
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let flushes = this.flushes.as_pin_mut();
        let flushes = flushes.map_or(Poll::Ready(()), |flushes| flushes.poll_progress(cx));
        let input = this.input.as_pin_mut();
        ready!(input.map_or(Poll::Ready(()), |input| input.poll_progress(cx)));
        flushes
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.input.as_ref().map_or(Some(0), |input| input.size_hint().1);
        (0, most)
    }

    fn describe(&self, outline: &mut Outline) {
        let input = self.input.as_ref().map(Outline::of).unwrap_or_default();
        let flushes = self.flushes.as_ref().map(Outline::of).unwrap_or_default();
        outline
            .join("distinct_flushed", self.site, [input, flushes])
            .parameter("memory", self.seen.memory())
            .holds(Bound::Items(self.seen.capacity()));
    }
}

impl<S: fmt::Debug, K, F, R: fmt::Debug> fmt::Debug for DistinctFlushed<S, K, F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistinctFlushed")
            .field("input", &self.input)
            .field("flushes", &self.flushes)
            .field("seen", &self.seen)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::filter::Memory;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Virtual, empty, iter, never};

    #[test]
    fn an_item_that_was_seen_is_dropped() {
        assert_eq!(every_way(|| iter([1, 2, 1, 3, 2]).distinct(9)), [1, 2, 3]);
    }

    #[test]
    fn the_item_that_was_seen_longest_ago_is_forgotten_first() {
        // At 3 the memory holds 2 and 1, of which 1 was seen last.
        let flow = || iter([1, 2, 1, 3, 1, 2]).distinct(2);
        assert_eq!(every_way(flow), [1, 2, 3, 2]);
        let mut flow = flow();
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        assert_eq!(flow.forgotten(), 2);
    }

    #[test]
    fn only_the_key_counts() {
        let flow = || iter([1, 4, 2, 5, 3]).distinct_by_key(9, |x| x % 3);
        assert_eq!(every_way(flow), [1, 2, 3]);
    }

    #[test]
    fn after_its_time_a_key_passes_again_however_often_it_was_seen() {
        let feed = (0..=20).map(|at| (at, 'a'));
        let flow = timetable(feed, 30).distinct(Memory::of(9).forget_after(ms(8)));
        assert_eq!(timeline(flow), (vec![(0, 'a'), (8, 'a'), (16, 'a')], 30));
    }

    #[test]
    fn a_flush_forgets_everything() {
        let feed = [(2, 'a'), (5, 'a'), (11, 'a'), (14, 'a')];
        let flow = timetable(feed, 17).distinct_flushed(9, |x| *x, timetable([(8, ())], 9));
        assert_eq!(timeline(flow), (vec![(2, 'a'), (11, 'a')], 17));
    }

    #[test]
    fn at_one_instant_the_flush_comes_first() {
        let feed = [(2, 'a'), (5, 'a')];
        let flow = timetable(feed, 7).distinct_flushed(9, |x| *x, timetable([(5, ())], 99));
        assert_eq!(timeline(flow), (vec![(2, 'a'), (5, 'a')], 7));
    }

    #[test]
    fn flushes_that_end_or_never_come_change_nothing() {
        let flow = || iter([1, 2, 1]).distinct_flushed(9, |x| *x, empty::<()>());
        assert_eq!(every_way(flow), [1, 2]);
        let flow = || iter([1, 2, 1]).distinct_flushed(9, |x| *x, never::<()>());
        assert_eq!(every_way(flow), [1, 2]);
    }

    #[test]
    #[should_panic(expected = "distinct: the memory must have room, at operators/src/filter")]
    fn a_memory_without_room_is_refused_where_it_was_written() {
        let _ = iter([1]).distinct(0);
    }

    marbles!(distinct, |input| input.distinct(2));
    marbles!(distinct_by_key, |input: u32| input.distinct_by_key(9, |x| x % 3));
    marbles!(distinct_flushed, |input, flushes| input.distinct_flushed(9, |x| *x, flushes));

    specification!(distinct, |input| input.distinct(Memory::of(99).forget_after(ms(4))), |input| {
        let mut passed = std::collections::HashMap::new();
        let new = |&(at, x): &(i64, u8)| {
            let new = passed.get(&x).is_none_or(|before| at - before >= 4);
            new.then(|| passed.insert(x, at));
            new
        };
        Timeline::new(input.events.into_iter().filter(new), input.end)
    },);

    conformance!(distinct, |input| input.distinct(3));
    conformance!(distinct_by_key, |input| input.distinct_by_key(3, |x| x.value() / 2));
    conformance!(distinct_flushed, |a, b| a.distinct_flushed(3, |x| x.value() / 2, b), except [
        Invariance: "which of two ready inputs comes first is not promised",
    ]);
}
