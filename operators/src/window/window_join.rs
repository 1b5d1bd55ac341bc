//! `window_join`: joins the items of two flows that fall into one window.

mod panes;

use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use self::panes::{Next, Panes};
use super::Timed;
use super::join::{Full, Matched, Outcome, Padded, drive, poll_side};
use crate::clock::nanos;
use crate::{Bound, Budget, Flow, Outline, Site, Stage, Timestamp};

/// How many items of each side are kept, unless [`capacity`](Flow::capacity) says something else.
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What became of the items of a [`window_join`](Flow::window_join).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WindowJoinCounts {
    /// Rows that came out.
    pub rows: u64,
    /// Items of the left side without a match that gave no row.
    pub unmatched_left: u64,
    /// Items of the right side without a match that gave no row.
    pub unmatched_right: u64,
    /// Items of the left side that were dropped, because their window had closed.
    pub late_left: u64,
    /// Items of the right side that were dropped, because their window had closed.
    pub late_right: u64,
    /// Windows that closed before both sides had passed their end, because one was full.
    pub forced: u64,
}

impl<S: Stage<Item = Timed<L>>, L: Clone> Flow<S> {
    /// Pairs the items of both sides that have one key and fall into one window
    /// `[start, start + length)`, aligned to the Unix epoch.
    ///
    /// ```text
    /// in     -(aW)---------(bW)------|
    /// time     1 1          7 7
    /// right  -----(AW)(BW)-----(CW)--|
    /// time         2 2 4 4      9 9
    /// out    ------------------p-----|    window_join(right, 5, lower, lower).values()
    /// where  p = (a, A)
    /// ```
    ///
    /// A window comes when the watermarks of both sides have reached its end. Its pairs come in the
    /// order in which the left items arrived, those of one left item in the order of the right
    /// ones: so they depend neither on which side is faster nor on the order within a side, as long
    /// as nothing is late. An item behind its own watermark whose window that watermark has closed
    /// is dropped, and counted.
    ///
    /// An item without a match gives nothing, an inner join; on the flow that this makes
    /// [`keep_unmatched`](Flow::keep_unmatched) makes it a left outer join,
    /// [`keep_all`](Flow::keep_all) a full one, in which right items without a match come last.
    /// [`counts`](Flow::counts) tells what became of the items.
    ///
    /// - **Emits** the rows of a window at its last instant when both sides have passed it, and at
    ///   the end those of the windows that are open; the watermark that both sides have reached
    ///   passes behind the windows that it closes.
    /// - **Backpressures** each side that has brought as many items as the
    ///   [`capacity`](Flow::capacity) says for windows that are open because of the other side.
    /// - **Ends** when both inputs have ended and the rows are out; each is dropped at its end.
    /// - **On error**: a panic in one of the closures comes out of the poll; the flow has ended
    ///   then.
    /// - **Holds** at most the capacity of items of each side.
    /// - **Cost**: one hash for an item, and a clone of both items for each pair. No allocation once
    ///   the windows have grown, no clock read.
    ///
    /// # Panics
    ///
    /// If `length` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |x: &(i64, &str)| Timestamp::from_secs(x.0);
    /// let clicks = iter([(1, "ann"), (2, "bob"), (61, "ann")]).event_time(time, Duration::ZERO);
    /// let buys = iter([(50, "ann"), (70, "bob")]).event_time(time, Duration::ZERO);
    /// let pairs = clicks.window_join(buys, Duration::from_secs(60), |x| x.1, |x| x.1).values();
    /// assert_eq!(pairs.collect::<Vec<_>>().await, [((1, "ann"), (50, "ann"))]);
    /// # });
    /// ```
    #[doc(alias("co_group", "tumbling_join", "windowed_join"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "two flows, two items, two closures")]
    pub fn window_join<R, T, K, LeftKey, RightKey>(
        self,
        right: Flow<R>,
        length: Duration,
        left_key: LeftKey,
        right_key: RightKey,
    ) -> Flow<WindowJoin<S, R, L, T, K, (LeftKey, RightKey), Matched>>
    where
        R: Stage<Item = Timed<T>>,
        T: Clone,
        K: Hash + Eq,
        LeftKey: FnMut(&L) -> K,
        RightKey: FnMut(&T) -> K,
    {
        let site = Location::caller();
        assert!(!length.is_zero(), "window_join: the length must not be zero, at {site}");
        Flow::from_stage(WindowJoin {
            left: Some(self.into_stage()),
            right: Some(right.into_stage()),
            left_reached: Timestamp::MIN,
            right_reached: Timestamp::MIN,
            told: Timestamp::MIN,
            panes: Panes::new(nanos(length)),
            keys: (left_key, right_key),
            length,
            capacity: CAPACITY,
            counts: WindowJoinCounts::default(),
            budget: Budget::new(),
            site,
        })
    }
}

/// The flow with a certain outcome.
type Joined<S, R, L, T, K, LeftKey, RightKey, O> =
    Flow<WindowJoin<S, R, L, T, K, (LeftKey, RightKey), O>>;

/// The stage behind [`Flow::window_join`].
#[pin_project]
pub struct WindowJoin<S, R, L, T, K, F, O> {
    /// `None` once it has ended.
    #[pin]
    left: Option<S>,
    /// `None` once it has ended.
    #[pin]
    right: Option<R>,
    /// How far the sides have come: to the end of time once they have ended.
    left_reached: Timestamp,
    right_reached: Timestamp,
    /// The watermark that downstream knows.
    told: Timestamp,
    panes: Panes<L, T, K, O>,
    keys: F,
    length: Duration,
    capacity: NonZeroUsize,
    counts: WindowJoinCounts,
    /// For windows with many pairs.
    budget: Budget,
    site: Site,
}

impl<S: fmt::Debug, R: fmt::Debug, L, T, K, F, O> fmt::Debug for WindowJoin<S, R, L, T, K, F, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WindowJoin")
            .field("left", &self.left)
            .field("right", &self.right)
            .field("panes", &self.panes)
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<S, R, L, T, K, LeftKey, RightKey, O> Flow<WindowJoin<S, R, L, T, K, (LeftKey, RightKey), O>>
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
    L: Clone,
    T: Clone,
    K: Hash + Eq,
    LeftKey: FnMut(&L) -> K,
    RightKey: FnMut(&T) -> K,
    O: Outcome<L, T>,
{
    /// How many items of each side are kept for windows that are open: 16,384 without this call.
    ///
    /// A side that has brought so many waits for the other one. If it is itself what keeps the first
    /// window open, that one closes with what there is, and is counted as
    /// [`forced`](WindowJoinCounts::forced); what still comes for it is late.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn capacity(self, capacity: usize) -> Self {
        let capacity = crate::buffer::checked(capacity, "window_join", Location::caller());
        Flow::from_stage(WindowJoin { capacity, ..self.into_stage() })
    }

    /// Left items without a match come with `None`: a left outer join.
    #[doc(alias("left_outer", "left_join"))]
    pub fn keep_unmatched(self) -> Joined<S, R, L, T, K, LeftKey, RightKey, Padded> {
        self.with_outcome()
    }

    /// Items of both sides come also without a match: a full outer join.
    #[doc(alias("full_outer", "full_join"))]
    pub fn keep_all(self) -> Joined<S, R, L, T, K, LeftKey, RightKey, Full> {
        self.with_outcome()
    }

    fn with_outcome<P>(self) -> Joined<S, R, L, T, K, LeftKey, RightKey, P>
    where
        P: Outcome<L, T>,
    {
        let stage = self.into_stage();
        Flow::from_stage(WindowJoin {
            left: stage.left,
            right: stage.right,
            left_reached: stage.left_reached,
            right_reached: stage.right_reached,
            told: stage.told,
            panes: stage.panes.with_outcome(),
            keys: stage.keys,
            length: stage.length,
            capacity: stage.capacity,
            counts: stage.counts,
            budget: stage.budget,
            site: stage.site,
        })
    }

    /// What became of the items so far.
    pub fn counts(&self) -> WindowJoinCounts {
        self.stage().counts
    }
}

/// What came of asking one side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Moved,
    Waits,
    /// It has ended, or has no room.
    No,
}

impl<S, R, L, T, K, F, O> WindowJoin<S, R, L, T, K, F, O>
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
{
    fn take_left(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Asked {
        let this = self.project();
        if this.left.is_none() || this.panes.left >= this.capacity.get() {
            return Asked::No;
        }
        let reached = this.left_reached;
        match poll_side(this.left, cx) {
            Poll::Pending => return Asked::Waits,
            Poll::Ready(Some(Timed::Item(time, item))) => {
                let kept = this.panes.push_left(time, *reached, item);
                this.counts.late_left += u64::from(!kept);
            }
            Poll::Ready(Some(Timed::Watermark(time))) => *reached = (*reached).max(time),
            Poll::Ready(None) => *reached = Timestamp::MAX,
        }
        Asked::Moved
    }

    fn take_right(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Asked {
        let this = self.project();
        if this.right.is_none() || this.panes.right >= this.capacity.get() {
            return Asked::No;
        }
        let reached = this.right_reached;
        match poll_side(this.right, cx) {
            Poll::Pending => return Asked::Waits,
            Poll::Ready(Some(Timed::Item(time, item))) => {
                let kept = this.panes.push_right(time, *reached, item);
                this.counts.late_right += u64::from(!kept);
            }
            Poll::Ready(Some(Timed::Watermark(time))) => *reached = (*reached).max(time),
            Poll::Ready(None) => *reached = Timestamp::MAX,
        }
        Asked::Moved
    }

    /// Takes an element of the side that is behind, or of the other one if that has none.
    fn take(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let left_first = self.left_reached <= self.right_reached;
        let mut asked = [Asked::No; 2];
        for is_left in [left_first, !left_first] {
            let side =
                if is_left { self.as_mut().take_left(cx) } else { self.as_mut().take_right(cx) };
            if side == Asked::Moved {
                return Poll::Ready(());
            }
            asked[usize::from(is_left)] = side;
        }
        let this = self.project();
        if asked[1] == Asked::No {
            let _ = drive(this.left, cx);
        }
        if asked[0] == Asked::No {
            let _ = drive(this.right, cx);
        }
        Poll::Pending
    }

    /// Whether the first window stays open because of a side that has no room.
    fn is_stuck(&self) -> bool {
        let full = self.capacity.get();
        self.panes.first_end().is_some_and(|end| {
            self.left_reached < end && self.panes.left >= full
                || self.right_reached < end && self.panes.right >= full
        })
    }
}

impl<S, R, L, T, K, LeftKey, RightKey, O> Stage
    for WindowJoin<S, R, L, T, K, (LeftKey, RightKey), O>
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
    L: Clone,
    T: Clone,
    K: Hash + Eq,
    LeftKey: FnMut(&L) -> K,
    RightKey: FnMut(&T) -> K,
    O: Outcome<L, T>,
{
    type Item = Timed<O::Out>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let stuck = self.is_stuck();
            let this = self.as_mut().project();
            if this.panes.is_closing() {
                if !this.budget.spend(cx) {
                    let _ = drive(this.left, cx);
                    let _ = drive(this.right, cx);
                    return Poll::Pending;
                }
                match this.panes.next(&mut this.keys.0) {
                    Next::Row(time, row) => {
                        this.counts.rows += 1;
                        return Poll::Ready(Some(Timed::Item(time, row)));
                    }
                    Next::Alone(true) => this.counts.unmatched_left += 1,
                    Next::Alone(false) => this.counts.unmatched_right += 1,
                    Next::Closed => {}
                }
                continue;
            }
            let reached = (*this.left_reached).min(*this.right_reached);
            if this.panes.first_end().is_some_and(|end| end <= reached) || stuck {
                let forced = this.panes.first_end().is_some_and(|end| end > reached);
                this.counts.forced += u64::from(forced);
                this.panes.close(&mut this.keys.1);
                continue;
            }
            if this.left.is_none() && this.right.is_none() {
                if this.panes.first_end().is_none() {
                    return Poll::Ready(None);
                }
                // Its end lies at the end of time.
                this.panes.close(&mut this.keys.1);
                continue;
            }
            if reached > *this.told {
                *this.told = reached;
                return Poll::Ready(Some(Timed::Watermark(reached)));
            }
            ready!(self.as_mut().take(cx));
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let left = drive(this.left, cx);
        let right = drive(this.right, cx);
        ready!(left);
        right
    }

    fn describe(&self, outline: &mut Outline) {
        let left = self.left.as_ref().map(Outline::of);
        let right = self.right.as_ref().map(Outline::of);
        let capacity = self.capacity.get();
        outline
            .join("window_join", self.site, left.into_iter().chain(right))
            .parameter("length", format_args!("{:?}", self.length))
            .parameter("capacity", capacity)
            .holds(Bound::Items(capacity.saturating_mul(2)));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::join::random::{Item, Side, side};
    use super::*;
    use crate::testing::*;
    use crate::{iter, never};

    fn key(item: &Item) -> u8 {
        item.0
    }

    type Row = (Option<Item>, Option<Item>);

    /// The full join by definition.
    fn by_definition(left: &Side, right: &Side, length: i64) -> Vec<Row> {
        let start = |time: i64| time.div_euclid(length);
        let (lefts, rights) = (left.items(), right.items());
        let mut starts: Vec<_> =
            lefts.iter().chain(&rights).map(|(time, _)| start(*time)).collect();
        starts.sort_unstable();
        starts.dedup();
        let mut rows = Vec::new();
        for window in starts {
            let of = |side: &[(i64, Item)]| -> Vec<Item> {
                side.iter().filter(|(time, _)| start(*time) == window).map(|(_, x)| *x).collect()
            };
            let (lefts, rights) = (of(&lefts), of(&rights));
            for left in &lefts {
                let same = |right: &&Item| right.0 == left.0;
                let pairs = rights.iter().filter(same).map(|right| (Some(*left), Some(*right)));
                rows.extend(pairs);
                if !rights.iter().any(|right| right.0 == left.0) {
                    rows.push((Some(*left), None));
                }
            }
            let alone = |right: &&Item| !lefts.iter().any(|left| left.0 == right.0);
            rows.extend(rights.iter().filter(alone).map(|right| (None, Some(*right))));
        }
        rows
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

        #[test]
        fn whatever_the_interleaving_it_is_the_join_by_definition(
            left in side(0), right in side(0), length in 1..12i64,
        ) {
            let full = by_definition(&left, &right, length);
            let length = Duration::from_nanos(length as u64);
            let joined = |left: &Side, right: &Side| {
                left.flow().window_join(right.flow(), length, key, key)
            };
            let outer: Vec<_> = full.iter().filter_map(|(l, r)| Some(((*l)?, *r))).collect();
            let inner: Vec<_> = outer.iter().filter_map(|(l, r)| Some((*l, (*r)?))).collect();
            prop_assert_eq!(every_way(|| joined(&left, &right).keep_all().values()), full);
            prop_assert_eq!(items(joined(&left, &right).keep_unmatched().values()), outer);
            prop_assert_eq!(items(joined(&left.at_once(), &right).values()), inner.clone());
            prop_assert_eq!(items(joined(&left, &right.at_once()).values()), inner);
        }

        #[test]
        fn with_late_items_and_hardly_any_room_every_item_gives_a_row_or_is_counted(
            left in side(9), right in side(9), length in 1..12u64, capacity in 1..4usize,
        ) {
            let length = Duration::from_nanos(length);
            let joined = left.flow().window_join(right.flow(), length, key, key);
            let mut joined = std::pin::pin!(joined.capacity(capacity).keep_all());
            let rows = crate::Virtual::new().run(async {
                let mut rows: Vec<Row> = Vec::new();
                let mut told = Timestamp::MIN;
                let mut next =
                    async || std::future::poll_fn(|cx| Stage::poll_next(joined.as_mut(), cx)).await;
                while let Some(element) = next().await {
                    match element {
                        Timed::Item(_, row) => rows.push(row),
                        Timed::Watermark(time) => {
                            assert!(time > told);
                            told = time;
                        }
                    }
                }
                rows
            });
            let counts = joined.counts();
            let mut lefts: Vec<_> = rows.iter().filter_map(|row| row.0).collect();
            lefts.dedup();
            prop_assert_eq!(lefts.len() as u64 + counts.late_left, left.items().len() as u64);
            let mut rights: Vec<_> = rows.iter().filter_map(|row| row.1).collect();
            rights.sort_unstable();
            rights.dedup();
            prop_assert_eq!(rights.len() as u64 + counts.late_right, right.items().len() as u64);
            prop_assert_eq!(rows.len() as u64, counts.rows);
        }
    }

    fn at<T>(s: i64, item: T) -> Timed<T> {
        Timed::Item(Timestamp::from_secs(s), item)
    }

    #[test]
    fn a_side_that_never_advances_holds_the_other_one_back_at_the_capacity() {
        let source = TestSource::new().items((0..100).map(|n| at(n, n)));
        let watch = source.watch();
        let length = Duration::from_secs(5);
        let joined = source.flow().window_join(never::<Timed<i64>>(), length, |x| *x, |x| *x);
        // The left side is what keeps the windows open, so that they close with what there is.
        script(joined.capacity(10).values()).expect_no_event_for(ms(50)).then_drop();
        assert_eq!(watch.taken(), 100);
        let source = TestSource::new()
            .items((0..100).flat_map(|n| [at(n, n), Timed::Watermark(Timestamp::from_secs(n))]));
        let watch = source.watch();
        let joined = source.flow().window_join(never::<Timed<i64>>(), length, |x| *x, |x| *x);
        script(joined.capacity(10).values()).expect_no_event_for(ms(50)).then_drop();
        assert!(watch.taken() <= 20, "{}", watch.taken());
    }

    #[test]
    #[should_panic(expected = "window_join: the length must not be zero, at operators/src/window")]
    fn a_length_of_zero_is_refused_where_it_was_written() {
        let timed = || iter([1]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
        let _ = timed().window_join(timed(), Duration::ZERO, |x| *x, |x| *x);
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    fn rest(x: &Tracked) -> u32 {
        x.value() % 2
    }

    conformance!(window_join, |a, b| {
        let right = b.event_time(value_as_time, ms(1));
        let left = a.event_time(value_as_time, ms(1));
        left.window_join(right, ms(3), rest, rest).capacity(64).keep_all().values()
    });
    conformance!(window_join_with_watermarks, |a, b| {
        let right = b.event_time(value_as_time, ms(1));
        let left = a.event_time(value_as_time, ms(1));
        left.window_join(right, ms(3), rest, rest).capacity(64)
    }, except [
        Invariance: "a watermark is not told if both sides have come further at once",
    ]);

    marbles!(window_join, |input: Timed<char>, right: Timed<char>| {
        let lower = |c: &char| c.to_ascii_lowercase();
        input.window_join(right, ms(5), lower, lower).values()
    });

    specification!(
        window_join,
        |left: i64, right: i64| {
            let time = |x: &i64| Timestamp::from_millis(*x);
            let right = right.scan(0, |sum, x| sum + x).event_time(time, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(time, Duration::ZERO);
            left.window_join(right, ms(5), |x| x % 2, |x| x % 2).keep_all().values()
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
            let all = left.events.iter().chain(&right.events).map(|(_, x)| x / 5 * 5);
            let mut starts: Vec<_> = all.collect();
            starts.sort_unstable();
            starts.dedup();
            let mut output = Timeline::new([], 0);
            for start in starts {
                let passed = |side: &Timeline<i64>| {
                    let past = side.events.iter().find(|(_, x)| *x >= start + 5);
                    past.map_or(side.end, |(at, _)| *at)
                };
                let at = passed(&left).max(passed(&right));
                let of = |side: &Timeline<i64>| -> Vec<i64> {
                    let inside = side.events.iter().map(|(_, x)| *x);
                    inside.filter(|x| (start..start + 5).contains(x)).collect()
                };
                let (lefts, rights) = (of(&left), of(&right));
                for l in &lefts {
                    let matches: Vec<_> = rights.iter().filter(|r| *r % 2 == l % 2).collect();
                    if matches.is_empty() {
                        output.events.push((at, (Some(*l), None)));
                    }
                    output.events.extend(matches.iter().map(|r| (at, (Some(*l), Some(**r)))));
                }
                for r in rights.iter().filter(|r| !lefts.iter().any(|l| l % 2 == *r % 2)) {
                    output.events.push((at, (None, Some(*r))));
                }
            }
            output.end = left.end.max(right.end);
            output
        }
    );
}
