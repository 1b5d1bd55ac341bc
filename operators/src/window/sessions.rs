//! `sessions`: windows that end when nothing has come for a while, in event time.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::panic::Location;
use std::time::Duration;

use super::{ByKey, SessionWindows, Timed, Whole};
use crate::aggregate::Aggregate;
use crate::clock::nanos;
use crate::keyed::TimedByKey;
use crate::transform::Stepped;
use crate::{Flow, Node, Site, Stage};

/// How many sessions of a key are held at once, unless it is [said](Sessions::most).
const MOST: usize = 1_024;

/// Which items belong to one session, and what becomes of late ones.
///
/// A `Duration` is a gap and no other choice, so `sessions(gap, ..)` is short for
/// `sessions(Sessions::gap(gap), ..)`.
///
/// ```
/// use aqueduct_operators::window::{Sessions, Tie};
/// use std::time::Duration;
///
/// // A visit ends after half an hour without a click; clicks that are up to a day late count.
/// let visits = Sessions::gap(Duration::from_secs(1_800))
///     .tie(Tie::Joins)
///     .allow_late(Duration::from_secs(86_400));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Sessions {
    /// Nanoseconds, as are all times here; at least 1 where it has been checked.
    pub(super) gap: i64,
    tie: Tie,
    pub(super) lateness: i64,
    pub(super) early_items: Option<NonZeroU32>,
    /// At least 1.
    pub(super) most: usize,
}

/// Where an item belongs that comes exactly the gap after the last one of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tie {
    /// It begins a new session: one is `[first, last + gap)`, as other windows are. So does Beam.
    #[default]
    Splits,
    /// It belongs to the session, which is `[first, last + gap]`. So do Flink and Kafka Streams.
    Joins,
}

impl Sessions {
    /// Items that lie less than `gap` apart are in one session.
    ///
    /// # Panics
    ///
    /// If `gap` is zero.
    #[track_caller]
    #[doc(alias("with_gap", "inactivity_gap"))]
    pub fn gap(gap: Duration) -> Self {
        Self::from(gap).checked("Sessions::gap", Location::caller())
    }

    fn checked(self, name: &str, site: Site) -> Self {
        assert!(self.gap > 0, "{name}: the gap must not be zero, at {site}");
        self
    }

    /// Where an item belongs that comes exactly the gap after the last one:
    /// [`Splits`](Tie::Splits) unless it is said.
    pub fn tie(self, tie: Tie) -> Self {
        Self { tie, ..self }
    }

    /// A session is kept for this long after event time has passed its end. An item that belongs to
    /// it and comes until then changes it: the session comes out again,
    /// [`Amended`](super::Firing::Amended). If the item makes it longer, or joins it with another,
    /// what came out before is [`Withdrawn`](super::Firing::Withdrawn) first. One whose end is then
    /// ahead of event time is open again, and comes out on time.
    #[doc(alias("allowed_lateness", "grace"))]
    pub fn allow_late(self, lateness: Duration) -> Self {
        Self { lateness: nanos(lateness), ..self }
    }

    /// A session also comes out [`Early`](super::Firing::Early) after every `items` items, as far as
    /// it goes by then. Early results are not withdrawn: the next one that contains them
    /// replaces them.
    ///
    /// # Panics
    ///
    /// If `items` is zero.
    #[track_caller]
    #[doc(alias("trigger"))]
    pub fn early_every_items(self, items: u32) -> Self {
        let site = Location::caller();
        let items = NonZeroU32::new(items);
        assert!(items.is_some(), "Sessions: `early_every_items` must not be zero, at {site}");
        Self { early_items: items, ..self }
    }

    /// At most so many sessions of a key are held at once, open ones and those kept for late items;
    /// 1,024 unless it is said. When one more is needed, because event time stands still, the
    /// earliest of the key makes room: an open one comes out before its time and is counted as
    /// [`evicted`](super::WindowCounts::evicted).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn most(self, most: usize) -> Self {
        let most = crate::buffer::checked(most, "Sessions::most", Location::caller()).get();
        Self { most, ..self }
    }

    /// An item at less than this from another belongs to the same session.
    pub(super) fn reach(&self) -> i64 {
        match self.tie {
            Tie::Splits => self.gap,
            Tie::Joins => self.gap.saturating_add(1),
        }
    }

    pub(super) fn describe(&self, node: &mut Node) {
        let duration = |nanos: i64| format!("{:?}", Duration::from_nanos(nanos.unsigned_abs()));
        node.parameter("gap", duration(self.gap));
        if self.tie != Tie::Splits {
            node.parameter("tie", format_args!("{:?}", self.tie));
        }
        if self.lateness != 0 {
            node.parameter("allow_late", duration(self.lateness));
        }
        if let Some(items) = self.early_items {
            node.parameter("early_every_items", items);
        }
        node.parameter("most", self.most);
    }
}

/// A gap of this length and no other choice. That it is not zero is checked where it is used.
impl From<Duration> for Sessions {
    fn from(gap: Duration) -> Self {
        Self { gap: nanos(gap), tie: Tie::Splits, lateness: 0, early_items: None, most: MOST }
    }
}

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items that lie close together into sessions, and aggregates each.
    ///
    /// ```text
    /// in    --a--c--b---(dW)---W--|
    /// time    1  7  4   20 20  24
    /// out   ------------x------y--|    sessions(gap_of_4, all).values()
    /// where  x = [a, b, c], y = [d]
    /// ```
    ///
    /// A session goes on while items come less than a gap after each other; one at exactly the gap
    /// begins a new one, unless the [tie rule](Tie) is the other one. A window is
    /// `[first, last + gap)`: it starts with the time of the earliest item and ends a gap after the
    /// latest, where nothing more can be near it. It is
    /// [partial](super::Window::partial) if items from before the flow began could have been near.
    ///
    /// The order in which items come does not matter as long as they are not behind the watermark:
    /// one between two open sessions joins them, and their states are
    /// [merged](Aggregate::merge) in the order of time. An item behind the watermark still counts
    /// for a session that is open, and begins one that would be open; otherwise it is late: dropped
    /// and counted in the next window and by [`counts`](Flow::counts), or
    /// [handed out](Flow::with_late). With an [allowed lateness](Sessions::allow_late) it amends
    /// sessions that have come out, and joins them.
    ///
    /// - **Emits** a session when the watermark reaches its end (with [`Tie::Joins`], passes it),
    ///   and at the end those still open; they come by their ends, those of one end in the order in
    ///   which their keys came. Watermarks pass behind the sessions that they close. Amended
    ///   and withdrawn sessions have a time behind the watermark.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the open sessions are out.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each session: those that the watermark has not passed, and those
    ///   kept for late items; at most 1,024 for a key unless it is [said](Sessions::most). When one
    ///   more is needed the earliest comes out before its time, as
    ///   [`Evicted`](super::Firing::Evicted).
    /// - **Cost**: no allocation once the tables have grown, no clock read; one hash for an item
    ///   with a key. O(log n) for a session, and for each gap that it goes on.
    ///
    /// # Panics
    ///
    /// If the gap is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::count};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let clicks = iter([0, 20, 45, 100]).event_time(|s| Timestamp::from_secs(*s), Duration::ZERO);
    /// let visits = clicks.sessions(Duration::from_secs(30), count()).values();
    /// let visits: Vec<_> = visits.map(|visit| (visit.end.as_secs(), visit.value)).collect().await;
    /// assert_eq!(visits, [(75, 3), (130, 1)]);
    /// # });
    /// ```
    #[doc(alias("session_window", "session", "group_within_gap"))]
    #[track_caller]
    pub fn sessions<A: Aggregate<T>>(
        self,
        sessions: impl Into<Sessions>,
        aggregate: A,
    ) -> Flow<Stepped<S, SessionWindows<T, A, Whole>>> {
        let sessions = sessions.into().checked("sessions", Location::caller());
        self.step(SessionWindows::new(sessions, Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::sessions`], for each key. A key is held while it has sessions; the
    /// [idle](crate::keyed::KeyLimits::idle) time of the limits adds nothing to the gap. When one
    /// more key comes than they allow, the one of which a session ends first makes room: its open
    /// sessions come out as [`Evicted`](crate::window::Firing::Evicted).
    ///
    /// # Panics
    ///
    /// If the gap is zero.
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a stage and what it is made of")]
    pub fn sessions<A: Aggregate<T>>(
        self,
        sessions: impl Into<Sessions>,
        aggregate: A,
    ) -> Flow<Stepped<S, SessionWindows<T, A, ByKey<F>>>> {
        let sessions = sessions.into().checked("sessions", Location::caller());
        self.flow.step(SessionWindows::new(sessions, self.groups, aggregate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::window::reference::{Element, Expected, Item, at, elements, told};
    use crate::window::{Firing, Late, Window, WindowCounts};
    use crate::{Timestamp, iter};
    use either::Either;
    use proptest::prelude::*;

    fn nanos(nanos: i64) -> Duration {
        Duration::from_nanos(nanos.unsigned_abs())
    }

    /// Sessions as one would define them: every item is compared with every other.
    #[derive(Debug, Clone, Copy)]
    struct Definition {
        gap: i64,
        tie: Tie,
        lateness: i64,
    }

    #[derive(Debug, Clone)]
    struct Open {
        key: u8,
        /// How many keys came before, among those that had no session.
        came: usize,
        items: Vec<Item>,
        fired: bool,
    }

    impl Open {
        fn first(&self) -> i64 {
            self.items.iter().map(|item| item.0).min().unwrap()
        }

        fn last(&self) -> i64 {
            self.items.iter().map(|item| item.0).max().unwrap()
        }
    }

    impl Definition {
        fn sessions(&self) -> Sessions {
            Sessions::gap(nanos(self.gap)).tie(self.tie).allow_late(nanos(self.lateness))
        }

        fn is_near(&self, a: i64, b: i64) -> bool {
            match self.tie {
                Tie::Splits => a.abs_diff(b) < self.gap.unsigned_abs(),
                Tie::Joins => a.abs_diff(b) <= self.gap.unsigned_abs(),
            }
        }

        /// Whether nothing that comes after this watermark can be near.
        fn is_over(&self, last: i64, watermark: i64) -> bool {
            watermark > last && !self.is_near(last, watermark)
        }

        fn result(&self, open: &Open, firing: Firing, complete: bool) -> Expected {
            let end = open.last() + self.gap;
            let time = if self.tie == Tie::Joins { end } else { end - 1 };
            let mut items: Vec<_> = open.items.iter().map(|item| item.2).collect();
            items.sort_unstable();
            Timed::Item(at(time), (open.first(), end, open.key, firing, complete, items))
        }

        /// What comes out, and the late items.
        fn run(&self, elements: &[Element]) -> (Vec<Expected>, Vec<usize>) {
            let (mut out, mut late) = (Vec::new(), Vec::new());
            let mut sessions: Vec<Open> = Vec::new();
            let (mut mark, mut latest, mut came) = (i64::MIN / 2, i64::MIN / 2, 0);
            for element in elements {
                match *element {
                    Timed::Item(_, item) => {
                        let (time, key, number) = item;
                        latest = latest.max(time);
                        let is_own = |open: &Open| {
                            open.key == key && open.items.iter().any(|i| self.is_near(i.0, time))
                        };
                        let of_key = sessions.iter().find(|open| open.key == key);
                        let mut own = Open {
                            key,
                            came: of_key.map_or(came, |open| open.came),
                            items: vec![item],
                            fired: false,
                        };
                        let mut near: Vec<_> = sessions.extract_if(.., |o| is_own(o)).collect();
                        near.sort_by_key(Open::first);
                        if near.is_empty() && self.is_over(time, mark - self.lateness) {
                            late.push(number);
                            continue;
                        }
                        came += 1;
                        own.items.extend(near.iter().flat_map(|open| &open.items));
                        for old in near.iter().filter(|old| old.fired) {
                            if (old.first(), old.last()) != (own.first(), own.last()) {
                                out.push(self.result(old, Firing::Withdrawn, true));
                            }
                        }
                        own.fired = self.is_over(own.last(), mark);
                        if own.fired {
                            out.push(self.result(&own, Firing::Amended, true));
                        }
                        sessions.push(own);
                    }
                    Timed::Watermark(time) => {
                        mark = mark.max(time.as_nanos());
                        sessions.sort_by_key(|open| (open.last(), open.came));
                        for open in &mut sessions {
                            if !open.fired && self.is_over(open.last(), mark) {
                                open.fired = true;
                                out.push(self.result(open, Firing::OnTime, true));
                            }
                        }
                        sessions.retain(|open| !self.is_over(open.last(), mark - self.lateness));
                        out.push(Timed::Watermark(time));
                    }
                }
            }
            sessions.sort_by_key(|open| (open.last(), open.came));
            for open in sessions.iter().filter(|open| !open.fired) {
                let complete = self.is_over(open.last(), latest);
                out.push(self.result(open, Firing::End, complete));
            }
            (out, late)
        }

        /// The sessions of all items, however they came: in the order of time, cut at the gaps.
        fn cut(&self, mut items: Vec<Item>) -> Vec<(u8, i64, i64, Vec<usize>)> {
            items.sort_by_key(|item| (item.1, item.0));
            let together = |a: &Item, b: &Item| a.1 == b.1 && self.is_near(a.0, b.0);
            let sessions = items.chunk_by(together).map(|session| {
                let mut numbers: Vec<_> = session.iter().map(|item| item.2).collect();
                numbers.sort_unstable();
                let last = session.iter().map(|item| item.0).max().unwrap();
                (session[0].1, session[0].0, last + self.gap, numbers)
            });
            let mut sessions: Vec<_> = sessions.collect();
            sessions.sort_unstable();
            sessions
        }
    }

    fn definition(lateness: impl Strategy<Value = i64>) -> impl Strategy<Value = Definition> {
        let tie = prop_oneof![Just(Tie::Splits), Just(Tie::Joins)];
        (1i64..6, tie, lateness).prop_map(|(gap, tie, lateness)| Definition { gap, tie, lateness })
    }

    fn items_of(elements: &[Element]) -> Vec<Item> {
        let items = elements.iter().filter_map(|element| match element {
            Timed::Item(_, item) => Some(*item),
            Timed::Watermark(_) => None,
        });
        items.collect()
    }

    fn numbers(window: &Window<Vec<Item>, u8>) -> (u8, i64, i64, Vec<usize>) {
        let mut numbers: Vec<_> = window.value.iter().map(|item| item.2).collect();
        numbers.sort_unstable();
        (window.key, window.start.as_nanos(), window.end.as_nanos(), numbers)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]
        #[test]
        fn every_result_is_that_of_a_comparison_of_all_items_with_each_other(
            definition in definition(prop_oneof![1 => Just(0), 2 => 1i64..20]),
            elements in elements(),
        ) {
            let (expected, late) = definition.run(&elements);
            let flow = iter(elements).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let mut flow = flow.sessions(definition.sessions(), All);
            let out: Vec<_> = items(flow.by_ref().map(told));
            prop_assert_eq!(out, expected);
            let counts = flow.counts();
            prop_assert_eq!((counts.late, counts.held), (late.len() as u64, 0));
        }

        #[test]
        fn the_order_of_arrival_and_the_watermarks_do_not_matter_while_nothing_is_late(
            definition in definition(Just(0)), elements in elements(), early in prop::bool::ANY,
        ) {
            // Each watermark is as late as it may be.
            let mut least = i64::MAX;
            let mut honest: Vec<_> = elements.iter().rev().map(|element| match element {
                Timed::Item(time, item) => {
                    least = least.min(time.as_nanos());
                    Timed::Item(*time, *item)
                }
                Timed::Watermark(_) => Timed::Watermark(at(least)),
            }).collect();
            honest.reverse();
            let flow = iter(honest).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let sessions = definition.sessions();
            let sessions = if early { sessions.early_every_items(2) } else { sessions };
            let mut flow = flow.sessions(sessions, All);
            let out = items(flow.by_ref().values());
            let last = out.iter().filter(|window| window.firing != Firing::Early);
            let mut last: Vec<_> = last.map(numbers).collect();
            last.sort_unstable();
            prop_assert_eq!(last, definition.cut(items_of(&elements)));
            prop_assert_eq!(flow.counts().late, 0);
        }

        #[test]
        fn results_that_replace_and_withdraw_others_leave_the_sessions_of_all_items(
            definition in definition(Just(1_000)), elements in elements(),
        ) {
            let flow = iter(elements.clone()).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let mut now = BTreeMap::new();
            for window in items(flow.sessions(definition.sessions(), All).values()) {
                let (key, start, end, numbers) = numbers(&window);
                let span = (key, start, end);
                match window.firing {
                    Firing::Withdrawn => prop_assert_eq!(now.remove(&span), Some(numbers)),
                    Firing::Amended => {
                        now.insert(span, numbers);
                    }
                    _ => prop_assert_eq!(now.insert(span, numbers), None),
                }
            }
            let now = now.into_iter().map(|((key, start, end), numbers)| (key, start, end, numbers));
            prop_assert_eq!(now.collect::<Vec<_>>(), definition.cut(items_of(&elements)));
        }

        #[test]
        fn what_has_to_make_room_is_counted_and_no_item_is_lost(
            definition in definition(Just(0)), elements in elements(),
            most in 1usize..4, keys in 1usize..3,
        ) {
            let flow = iter(elements.clone()).by_key(KeyLimits::new(keys), |item: &Item| item.1);
            let mut flow = flow.sessions(definition.sessions().most(most), All).with_late();
            let (mut told, mut evicted) = (Vec::new(), 0);
            for out in items(flow.by_ref().values()) {
                match out {
                    Either::Left(window) => {
                        evicted += u64::from(window.firing == Firing::Evicted);
                        told.extend(window.value);
                    }
                    Either::Right(Late { item, .. }) => told.push(item),
                }
            }
            told.sort_by_key(|item| item.2);
            prop_assert_eq!(told, items_of(&elements));
            let counts = flow.counts();
            prop_assert_eq!((counts.evicted, counts.held), (evicted, 0));
            prop_assert!(counts.high_water <= most * keys);
        }
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// `Ok` is an item at that second, `Err` a watermark.
    fn elements_of(list: &[Result<i64, i64>]) -> Vec<Timed<i64>> {
        let element = |element: &Result<i64, i64>| match *element {
            Ok(s) => Timed::Item(Timestamp::from_secs(s), s),
            Err(s) => Timed::Watermark(Timestamp::from_secs(s)),
        };
        list.iter().map(element).collect()
    }

    /// Start, end, items and firing of a session.
    type Told = (i64, i64, Vec<i64>, Firing);

    fn run(list: &[Result<i64, i64>], sessions: impl Into<Sessions>) -> (Vec<Told>, WindowCounts) {
        let mut flow = iter(elements_of(list)).sessions(sessions, All);
        let out = items(flow.by_ref().values());
        let out = out.into_iter().map(|w| (w.start.as_secs(), w.end.as_secs(), w.value, w.firing));
        (out.collect(), flow.counts())
    }

    use Firing::{Amended, Early, End, Evicted, OnTime, Withdrawn};

    #[test]
    fn an_item_exactly_the_gap_after_the_last_one_begins_a_session_or_joins_it() {
        let list = [Ok(0), Ok(9), Ok(19), Err(29)];
        let splits = [(0, 19, vec![0, 9], OnTime), (19, 29, vec![19], OnTime)];
        assert_eq!(run(&list, 10 * SECOND).0, splits);
        let joins = Sessions::gap(10 * SECOND).tie(Tie::Joins);
        assert_eq!(run(&list, joins).0, [(0, 29, vec![0, 9, 19], End)]);
        // An item at 29 would still be in time, and belong to it.
        let list = [Ok(0), Ok(9), Ok(19), Err(29), Ok(29), Err(40)];
        assert_eq!(run(&list, joins).0, [(0, 39, vec![0, 9, 19, 29], OnTime)]);
    }

    #[test]
    fn an_item_between_two_open_sessions_joins_them_in_the_order_of_time() {
        let list = [Ok(20), Ok(0), Ok(1), Ok(10), Err(99)];
        let sessions = 11 * SECOND;
        assert_eq!(run(&list, sessions).0, [(0, 31, vec![0, 1, 10, 20], OnTime)]);
    }

    #[test]
    fn a_late_item_inside_of_a_session_amends_it_and_one_at_its_side_withdraws_it_first() {
        let sessions = Sessions::gap(10 * SECOND).allow_late(50 * SECOND);
        let (out, counts) = run(&[Ok(0), Ok(8), Err(40), Ok(4), Ok(12), Ok(-5)], sessions);
        let expected = [
            (0, 18, vec![0, 8], OnTime),
            (0, 18, vec![0, 8, 4], Amended),
            (0, 18, vec![0, 8, 4], Withdrawn),
            (0, 22, vec![0, 8, 4, 12], Amended),
            (0, 22, vec![0, 8, 4, 12], Withdrawn),
            (-5, 22, vec![0, 8, 4, 12, -5], Amended),
        ];
        assert_eq!(out, expected);
        assert_eq!((counts.amended, counts.fired, counts.late), (3, 6, 0));
    }

    #[test]
    fn late_items_join_three_sessions_that_have_come_out() {
        let sessions = Sessions::gap(10 * SECOND).allow_late(99 * SECOND);
        let list = [Ok(0), Ok(15), Ok(30), Err(60), Ok(22), Ok(7)];
        let expected = [
            (0, 10, vec![0], OnTime),
            (15, 25, vec![15], OnTime),
            (30, 40, vec![30], OnTime),
            (15, 25, vec![15], Withdrawn),
            (30, 40, vec![30], Withdrawn),
            (15, 40, vec![15, 22, 30], Amended),
            (0, 10, vec![0], Withdrawn),
            (15, 40, vec![15, 22, 30], Withdrawn),
            (0, 40, vec![0, 7, 15, 22, 30], Amended),
        ];
        assert_eq!(run(&list, sessions).0, expected);
    }

    #[test]
    fn a_session_that_a_late_item_opens_again_comes_on_time() {
        let sessions = Sessions::gap(10 * SECOND).allow_late(50 * SECOND);
        let list = [Ok(0), Ok(14), Err(12), Ok(5), Err(20), Err(24), Err(90)];
        let expected = [
            (0, 10, vec![0], OnTime),
            (0, 10, vec![0], Withdrawn),
            (0, 24, vec![0, 5, 14], OnTime),
        ];
        assert_eq!(run(&list, sessions).0, expected);
        let list = [Ok(0), Err(12), Ok(5), Ok(3), Err(20)];
        let expected =
            [(0, 10, vec![0], OnTime), (0, 10, vec![0], Withdrawn), (0, 15, vec![0, 5, 3], OnTime)];
        assert_eq!(run(&list, sessions).0, expected);
    }

    #[test]
    fn a_late_item_counts_for_an_open_session_and_else_for_the_time_that_is_allowed() {
        // The session at 20 is open, and the item at 11 near it.
        let (out, counts) = run(&[Ok(20), Err(25), Ok(11), Ok(0)], 10 * SECOND);
        assert_eq!((out, counts.late), (vec![(11, 30, vec![20, 11], End)], 1));
        let sessions = Sessions::gap(10 * SECOND).allow_late(5 * SECOND);
        let (out, counts) = run(&[Err(15), Ok(1), Ok(0)], sessions);
        let expected = vec![
            (1, 11, vec![1], Amended),
            (1, 11, vec![1], Withdrawn),
            (0, 11, vec![1, 0], Amended),
        ];
        assert_eq!((out, counts.late), (expected, 0));
        assert_eq!(run(&[Err(15), Ok(0), Ok(1)], sessions).1.late, 1);
    }

    #[test]
    fn late_items_come_out_beside_the_sessions_if_they_are_asked_for() {
        let flow = iter(elements_of(&[Ok(0), Err(30), Ok(7), Ok(30)]));
        let out = items(flow.sessions(10 * SECOND, All).with_late().values());
        let late = Late { time: Timestamp::from_secs(7), item: 7 };
        assert_eq!(out[1], Either::Right(late));
        assert_eq!(out[2].as_ref().left().map(|window| window.late), Some(1));
    }

    #[test]
    fn a_session_comes_early_after_so_many_items_as_far_as_it_goes_by_then() {
        let sessions = Sessions::gap(10 * SECOND).early_every_items(2);
        let list = [Ok(0), Ok(30), Ok(5), Ok(1), Err(99)];
        let expected = [
            (0, 15, vec![0, 5], Early),
            (0, 15, vec![0, 5, 1], OnTime),
            (30, 40, vec![30], OnTime),
        ];
        assert_eq!(run(&list, sessions).0, expected);
        let every = Sessions::gap(10 * SECOND).early_every_items(1);
        let expected = [(0, 10, vec![0], Early), (0, 11, vec![0, 1], Early)];
        assert_eq!(run(&[Ok(0), Ok(1)], every).0[..2], expected);
    }

    #[test]
    fn a_session_is_partial_if_items_from_before_the_flow_could_be_near() {
        let flow = iter(elements_of(&[Ok(0), Ok(30), Err(90)]));
        let out = items(flow.sessions(10 * SECOND, All).values().map(|w| w.partial));
        assert_eq!(out, [true, false]);
    }

    #[test]
    fn at_the_end_only_what_event_time_has_passed_is_complete() {
        let flow = iter(elements_of(&[Ok(0), Ok(30)]));
        let out = items(flow.sessions(30 * SECOND, All).values().map(|w| (w.firing, w.complete)));
        assert_eq!(out, [(End, true), (End, false)]);
    }

    #[test]
    fn when_event_time_stands_still_the_earliest_session_of_the_key_makes_room() {
        let sessions = Sessions::gap(SECOND).most(2);
        let (out, counts) = run(&[Ok(0), Ok(10), Ok(20), Ok(5)], sessions);
        let expected = [
            (0, 1, vec![0], Evicted),
            (10, 11, vec![10], Evicted),
            (5, 6, vec![5], End),
            (20, 21, vec![20], End),
        ];
        assert_eq!(out, expected);
        assert_eq!((counts.evicted, counts.high_water, counts.held), (2, 2, 0));
        // One that is only kept for late items goes without a word.
        let kept = Sessions::gap(SECOND).most(1).allow_late(99 * SECOND);
        let (out, counts) = run(&[Ok(0), Err(9), Ok(10), Ok(3)], kept);
        let expected =
            [(0, 1, vec![0], OnTime), (10, 11, vec![10], Evicted), (3, 4, vec![3], Amended)];
        assert_eq!(out, expected);
        assert_eq!((counts.evicted, counts.high_water, counts.held), (1, 1, 0));
    }

    #[test]
    fn a_key_too_many_takes_the_place_of_the_one_of_which_a_session_ends_first() {
        let elements = [(5, 0), (0, 1), (9, 1), (3, 0), (7, 2)];
        let elements = elements.map(|(s, key)| Timed::Item(Timestamp::from_secs(s), key));
        let flow = iter(elements).by_key(KeyLimits::new(2), |key: &i32| *key);
        let mut flow = flow.sessions(4 * SECOND, All);
        let out = items(flow.by_ref().values().map(|w| (w.key, w.start.as_secs(), w.firing)));
        let expected = [(1, 0, Evicted), (1, 9, Evicted), (0, 3, End), (2, 7, End)];
        assert_eq!(out, expected);
        assert_eq!((flow.counts().evicted, flow.counts().high_water), (2, 3));
    }

    #[test]
    fn memory_is_bounded_under_a_watermark_that_never_moves() {
        let mut random = 1u64;
        let elements = (0..20_000).map(move |_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (key, second) = ((random >> 33) % 100, (random >> 43) % 10_000);
            Timed::Item(Timestamp::from_secs(second as i64), key)
        });
        let flow = iter(elements).by_key(KeyLimits::new(10), |key: &u64| *key);
        let mut flow = flow.sessions(Sessions::gap(SECOND).most(5), All);
        let told: usize = items(flow.by_ref().values()).iter().map(|w| w.value.len()).sum();
        let counts = flow.counts();
        assert_eq!((told, counts.late, counts.held), (20_000, 0, 0));
        assert!(counts.high_water <= 50 && counts.evicted > 10_000, "{counts:?}");
    }

    #[test]
    fn times_at_the_ends_of_time_are_in_sessions_and_do_not_stop_the_flow() {
        for sessions in [
            Sessions::gap(SECOND),
            Sessions::gap(SECOND).tie(Tie::Joins).allow_late(SECOND),
            Sessions::gap(Duration::MAX).tie(Tie::Joins),
            Sessions::gap(Duration::from_nanos(1)).allow_late(Duration::MAX),
        ] {
            let times = [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX];
            let elements = times.iter().flat_map(|time| {
                [Timed::Item(*time, 1), Timed::Watermark(*time), Timed::Item(Timestamp::EPOCH, 2)]
            });
            let mut flow = iter(elements.collect::<Vec<_>>()).sessions(sessions, All);
            let out = items(flow.by_ref().values());
            let counts = flow.counts();
            assert_eq!((counts.items, counts.held), (6, 0), "{sessions:?}");
            let open = out.iter().filter(|w| matches!(w.firing, OnTime | End));
            let told = open.map(|w| w.value.len()).sum::<usize>() as u64;
            assert!(told + counts.late + counts.amended >= 6, "{sessions:?}: {out:?} {counts:?}");
        }
    }

    #[test]
    #[should_panic(expected = "Sessions::gap: the gap must not be zero, at operators/src/window")]
    fn a_gap_of_zero_is_refused_where_it_was_written() {
        let _ = Sessions::gap(Duration::ZERO);
    }

    #[test]
    #[should_panic(expected = "sessions: the gap must not be zero, at operators/src/window")]
    fn a_duration_of_zero_is_refused_where_it_is_used() {
        let _ = iter(elements_of(&[])).sessions(Duration::ZERO, All);
    }

    conformance!(sessions, |input| {
        input.event_time(value_as_time, ms(1)).sessions(Sessions::gap(ms(2)).tie(Tie::Joins), Sum)
    });
    conformance!(sessions_by_key, |input| {
        let timed = input.event_time(value_as_time, ms(1));
        let sessions = Sessions::gap(ms(2)).allow_late(ms(4)).most(2).early_every_items(3);
        timed.by_key(KeyLimits::new(2), |x| x.value() % 3).sessions(sessions, Sum)
    });
    conformance!(sessions_and_late_items, |input| {
        input.event_time(value_as_time, ms(0)).sessions(ms(1), Sum).with_late()
    });

    marbles!(sessions, |input: Timed<char>| {
        input.sessions(ms(4), All).values().map(|window| window.value)
    });

    specification!(
        sessions,
        at_any_pace,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(2));
            let sessions = timed.sessions(ms(4), All).values();
            sessions.map(|mut w| {
                w.value.sort_unstable();
                (w.start.as_millis(), w.value, w.late, w.complete)
            })
        },
        |input| {
            let (mut output, mut late) = (Timeline::new([], input.end), 0);
            let mut open: Vec<Vec<i64>> = Vec::new();
            let mut latest = i64::MIN / 2;
            let end = (input.end, None);
            for (at, x) in input.events.into_iter().map(|(at, x)| (at, Some(x))).chain([end]) {
                if let Some(x) = x {
                    let near =
                        |session: &mut Vec<i64>| session.iter().any(|other| other.abs_diff(x) < 4);
                    let mut own: Vec<_> = open.extract_if(.., near).flatten().collect();
                    if own.is_empty() && x + 4 <= latest - 2 {
                        late += 1;
                        continue;
                    }
                    own.push(x);
                    own.sort_unstable();
                    open.push(own);
                    latest = latest.max(x);
                }
                open.sort_by_key(|session| session.last().copied());
                let is_over = |end: i64| x.is_none() || end <= latest - 2;
                for session in open.extract_if(.., |s| s.last().is_some_and(|x| is_over(x + 4))) {
                    let complete = session.last().is_some_and(|x| x + 4 <= latest);
                    let late = std::mem::take(&mut late);
                    output.events.push((at, (session[0], session, late, complete)));
                }
            }
            output
        }
    );
}
