//! [`Windows`]: which windows of event time there are, and what becomes of them.

use std::hash::Hash;
use std::panic::Location;
use std::time::Duration;

use super::time_windows::{TimeWindows, Windowed};
use super::{ByKey, Closed, Empty, Timed, Whole};
use crate::aggregate::Aggregate;
use crate::clock::nanos;
use crate::keyed::TimedByKey;
use crate::{Flow, Node, Site, Stage, Timestamp};

/// How many windows may be open at once, unless it is [said](Windows::open).
const OPEN: usize = 4_096;
/// How many empty windows may stand in a row, unless it is [said](Windows::most_empty).
const MOST_EMPTY: u32 = 1_000;

/// Windows of event time that all have the same length and begin at equal distances.
///
/// ```
/// use aqueduct_operators::window::{Empty, Windows};
/// use std::time::Duration;
///
/// // Daily bars that begin at 22:00 UTC; a day without trades repeats the last price, and a trade
/// // that is up to an hour late amends its bar.
/// let hour = Duration::from_secs(3_600);
/// let days = Windows::tumbling(24 * hour).offset(22 * hour).empty(Empty::Carry).allow_late(hour);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub struct Windows {
    /// Nanoseconds, as are all times here; at least 1.
    length: i64,
    /// The distance of the starts; at least 1.
    every: i64,
    /// Where one of them starts.
    origin: i64,
    pub(super) closed: Closed,
    pub(super) empty: Empty,
    pub(super) most_empty: u32,
    pub(super) lateness: i64,
    /// After how many items of a key a window comes early; some where what is new matters.
    pub(super) early: Option<u32>,
    pub(super) early_time: Option<i64>,
    pub(super) open: usize,
}

/// A stretch of time within which every item belongs to the same windows: `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice {
    pub(super) start: i64,
    pub(super) end: i64,
}

impl Slice {
    /// No time is in it.
    pub(super) const NONE: Self = Self { start: 0, end: 0 };

    pub(super) fn later(self, by: i64) -> Self {
        Self { start: self.start.saturating_add(by), end: self.end.saturating_add(by) }
    }
}

impl Windows {
    /// One after the other.
    ///
    /// # Panics
    ///
    /// If `length` is zero.
    #[track_caller]
    #[doc(alias("fixed_window"))]
    pub fn tumbling(length: Duration) -> Self {
        Self::checked("Windows::tumbling", length, length, Location::caller())
    }

    /// One starts `every` so often, so that each item is in `length / every` of them. Where `every`
    /// is longer than `length`, items between two windows are left out and counted.
    ///
    /// # Panics
    ///
    /// If `length` or `every` is zero.
    #[track_caller]
    #[doc(alias("sliding_window"))]
    pub fn hopping(length: Duration, every: Duration) -> Self {
        Self::checked("Windows::hopping", length, every, Location::caller())
    }

    /// Those of the operator with this name, which was called there.
    pub(super) fn checked(name: &str, length: Duration, every: Duration, site: Site) -> Self {
        assert!(!length.is_zero(), "{name}: the length must not be zero, at {site}");
        assert!(!every.is_zero(), "{name}: the distance must not be zero, at {site}");
        Self {
            length: nanos(length),
            every: nanos(every),
            origin: 0,
            closed: Closed::Left,
            empty: Empty::Skip,
            most_empty: MOST_EMPTY,
            lateness: 0,
            early: None,
            early_time: None,
            open: OPEN,
        }
    }

    /// Windows start at this time, and at equal distances before and after. Without it they start
    /// at the Unix epoch, 1970-01-01 00:00 UTC.
    #[doc(alias("align", "start_at"))]
    pub fn origin(self, origin: Timestamp) -> Self {
        Self { origin: origin.as_nanos(), ..self }
    }

    /// Windows start this long after the Unix epoch, and at equal distances before and after.
    pub fn offset(self, offset: Duration) -> Self {
        Self { origin: nanos(offset), ..self }
    }

    /// Which end of a window belongs to it: [`Left`](Closed::Left) unless it is said.
    pub fn closed(self, closed: Closed) -> Self {
        Self { closed, ..self }
    }

    /// What comes for a window without items, between windows of the same key that have some:
    /// nothing unless it is said. A key is forgotten, and its empty windows end, when nothing has
    /// come for it for the [`idle`](crate::keyed::KeyLimits::idle) time of its limits, here in event
    /// time.
    #[doc(alias("fill", "gap_fill"))]
    pub fn empty(self, empty: Empty) -> Self {
        Self { empty, ..self }
    }

    /// At most so many windows in a row without any item come out; what stands beyond in one gap
    /// is left out and counted as [`skipped`](super::WindowCounts::skipped). 1,000 unless it is
    /// said.
    pub fn most_empty(self, most_empty: u32) -> Self {
        Self { most_empty, ..self }
    }

    /// A window is kept for this long after event time has passed its end. An item that comes for
    /// it until then amends it: the window comes out again, [`Amended`](super::Firing::Amended).
    #[doc(alias("allowed_lateness", "grace"))]
    pub fn allow_late(self, lateness: Duration) -> Self {
        Self { lateness: nanos(lateness), ..self }
    }

    /// A tumbling window also comes out [`Early`](super::Firing::Early) whenever event time has gone
    /// on by `every` since its start, if there is something new in it.
    ///
    /// # Panics
    ///
    /// If `every` is zero, or the windows overlap.
    #[track_caller]
    #[doc(alias("trigger"))]
    pub fn early_every(self, every: Duration) -> Self {
        let site = Location::caller();
        assert!(!every.is_zero(), "Windows: `early_every` must not be zero, at {site}");
        self.assert_tumbling("early_every", site);
        let early = self.early.or(Some(u32::MAX));
        Self { early, early_time: Some(nanos(every)), ..self }
    }

    /// A tumbling window also comes out [`Early`](super::Firing::Early) after every `items` items of
    /// its key.
    ///
    /// # Panics
    ///
    /// If `items` is zero, or the windows overlap.
    #[track_caller]
    pub fn early_every_items(self, items: u32) -> Self {
        let site = Location::caller();
        assert!(items > 0, "Windows: `early_every_items` must not be zero, at {site}");
        self.assert_tumbling("early_every_items", site);
        Self { early: Some(items), ..self }
    }

    #[track_caller]
    fn assert_tumbling(&self, what: &str, site: Site) {
        assert!(self.length == self.every, "Windows: `{what}` needs tumbling windows, at {site}");
    }

    /// At most so many slices of time are open at once, 4,096 unless it is said. A slice is a
    /// window, or the part of it until the next one starts or ends. When one more is needed,
    /// because event time stands still, the earliest windows come out before their time and are
    /// counted as [`evicted`](super::WindowCounts::evicted).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn open(self, open: usize) -> Self {
        let open = crate::buffer::checked(open, "Windows::open", Location::caller()).get();
        Self { open, ..self }
    }

    /// Whether a window is a slice and is forgotten when it has come out.
    pub(super) fn is_direct(&self) -> bool {
        self.length == self.every && self.lateness == 0
    }

    pub(super) fn length(&self) -> i64 {
        self.length
    }

    /// Items and watermarks are shifted by this, so that every window is `[start, end)` inside.
    pub(super) fn shift(&self) -> i64 {
        match self.closed {
            Closed::Left => 0,
            Closed::Right => 1,
        }
    }

    /// The slice around a time; `None` between two windows.
    pub(super) fn slice(&self, time: i64) -> Option<Slice> {
        let start = floor(time, self.every, self.origin);
        let end = start.saturating_add(self.every);
        // Where the windows end that began before this one.
        let cut = start.saturating_add(self.length % self.every);
        if self.every > self.length {
            return (time < cut).then_some(Slice { start, end: cut });
        }
        Some(if cut == start {
            Slice { start, end }
        } else if time < cut {
            Slice { start, end: cut }
        } else {
            Slice { start: cut, end }
        })
    }

    /// The end of the first window that contains the slice that starts here.
    pub(super) fn first_end(&self, start: i64) -> i64 {
        self.next_end(self.end_before(start))
    }

    /// The end of the last one.
    pub(super) fn last_end(&self, start: i64) -> i64 {
        floor(start, self.every, self.origin).saturating_add(self.length)
    }

    /// The end of the window after the one that ends here.
    pub(super) fn next_end(&self, end: i64) -> i64 {
        end.saturating_add(self.every)
    }

    /// The last end of a window at or before a time.
    pub(super) fn end_before(&self, time: i64) -> i64 {
        floor(time, self.every, self.origin.wrapping_add(self.length % self.every))
    }

    /// How many windows lie between two ends of windows; none before the first.
    pub(super) fn steps(&self, from: i64, to: i64) -> u64 {
        if from == i64::MIN { 0 } else { to.abs_diff(from) / self.every.unsigned_abs() }
    }

    /// How many slices of a key are needed at once, at most, beside those that are open.
    pub(super) fn kept_slices(&self) -> usize {
        if self.is_direct() {
            return 0;
        }
        let steps = self.length.saturating_add(self.lateness) / self.every + 2;
        let slices = if self.length % self.every == 0 { 1 } else { 2 };
        usize::try_from(steps).unwrap_or(usize::MAX).saturating_mul(slices)
    }

    pub(super) fn describe(&self, node: &mut Node) {
        let duration = |nanos: i64| format!("{:?}", Duration::from_nanos(nanos.unsigned_abs()));
        node.parameter("length", duration(self.length));
        if self.every != self.length {
            node.parameter("every", duration(self.every));
        }
        if self.origin != 0 {
            node.parameter("origin", Timestamp::from_nanos(self.origin));
        }
        if self.closed != Closed::Left {
            node.parameter("closed", format_args!("{:?}", self.closed));
        }
        if self.empty != Empty::Skip {
            node.parameter("empty", format_args!("{:?}", self.empty));
        }
        if self.lateness != 0 {
            node.parameter("allow_late", duration(self.lateness));
        }
        if let Some(items) = self.early.filter(|items| *items < u32::MAX) {
            node.parameter("early_every_items", items);
        }
        if let Some(every) = self.early_time {
            node.parameter("early_every", duration(every));
        }
        node.parameter("open", self.open);
    }
}

/// The last time at or before `time` that lies a multiple of `every` from `origin`.
fn floor(time: i64, every: i64, origin: i64) -> i64 {
    let distance = i128::from(time) - i128::from(origin);
    let floor = i128::from(time) - distance.rem_euclid(i128::from(every));
    i64::try_from(floor).unwrap_or(i64::MIN)
}

impl<S: Stage<Item = Timed<T>>, T> Flow<S> {
    /// Groups items into windows of event time and aggregates each, with every choice that there
    /// is: see [`Windows`].
    ///
    /// ```text
    /// in    --a--b--(cW)--(dW)--W--|
    /// time    1  2   3 3   9 9  11
    /// out   --------x-----(yzz)-u--|    windows(odd_starts_and_empty_ones, all).values()
    /// where  x = [a, b], y = [c], z = [], u = [d]
    /// ```
    ///
    /// [`tumbling`](Self::tumbling) and [`hopping`](Self::hopping) are short for the most frequent
    /// choices, and say how windows close. A window waits for event time and for no clock: so that a
    /// quiet feed's window is not late by the silence, let the watermark go on with the clock, by
    /// [`Watermarks::idle`](super::Watermarks::idle).
    ///
    /// - **Emits** a window when the watermark reaches its end, and at the end those still open; if
    ///   so chosen also early ones, empty ones, and amended ones when late items come, whose time
    ///   is then behind the watermark. Watermarks pass behind the windows that they close.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the open windows are out.
    /// - **On error**: a panic in the aggregate comes out of the poll; the flow has ended then.
    /// - **Holds** one state for each key in each open slice, and of what `length` and the allowed
    ///   lateness still need; the last state of each key where empty windows come out.
    /// - **Cost**: no allocation once the tables have grown, no clock read; one hash for an item
    ///   with a key. A late item costs a merge of all slices of each window that it amends.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, aggregate::count};
    /// # use aqueduct_operators::window::{Empty, Windows};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let minutes = Windows::tumbling(Duration::from_secs(60)).empty(Empty::Zero);
    /// let counts = iter([0, 59, 125])
    ///     .event_time(|s| Timestamp::from_secs(*s), Duration::ZERO)
    ///     .windows(minutes, count())
    ///     .values()
    ///     .map(|window| window.value);
    /// assert_eq!(counts.collect::<Vec<_>>().await, [2, 0, 1]);
    /// # });
    /// ```
    #[doc(alias("window", "window_by", "group_by_window"))]
    #[track_caller]
    pub fn windows<A>(self, windows: Windows, aggregate: A) -> Flow<Windowed<S, T, A, Whole>>
    where
        A: Aggregate<T, State: Clone>,
    {
        self.step(TimeWindows::new("windows", windows, Whole, aggregate))
    }
}

impl<S: Stage<Item = Timed<T>>, T, K, F> TimedByKey<S, F>
where
    K: Hash + Eq + Clone,
    F: FnMut(&T) -> K,
{
    /// As [`Flow::windows`], for each key.
    #[track_caller]
    pub fn windows<A>(self, windows: Windows, aggregate: A) -> Flow<Windowed<S, T, A, ByKey<F>>>
    where
        A: Aggregate<T, State: Clone>,
    {
        self.flow.step(TimeWindows::new("windows", windows, self.groups, aggregate))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::aggregate::Span;
    use crate::iter;
    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::window::Firing;
    use crate::window::fixtures::{All, Sum, value_as_time};
    use crate::window::reference::{Definition, Item, at, elements, in_order, told};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_lie_side_by_side_and_no_window_begins_or_ends_inside_of_one(
            length in 1i64..30, every in 1i64..30, origin in -9i64..9, time in -99i64..99,
        ) {
            let length_of = |n: i64| Duration::from_nanos(n.unsigned_abs());
            let windows = Windows::hopping(length_of(length), length_of(every))
                .origin(Timestamp::from_nanos(origin));
            // Every window that contains a time, by looking at all of them.
            let around = |time: i64| -> Vec<i64> {
                let starts = (-150..150).map(|k| origin + k * every);
                starts.filter(|start| (*start..*start + length).contains(&time)).collect()
            };
            match windows.slice(time) {
                None => prop_assert!(around(time).is_empty()),
                Some(slice) => {
                    prop_assert!((slice.start..slice.end).contains(&time));
                    for other in slice.start..slice.end {
                        prop_assert_eq!(around(other), around(time));
                    }
                    let ends: Vec<_> = around(time).iter().map(|start| start + length).collect();
                    prop_assert_eq!(Some(&windows.first_end(slice.start)), ends.first());
                    prop_assert_eq!(Some(&windows.last_end(slice.start)), ends.last());
                    if slice.end < 99 && around(slice.end) == around(time) {
                        prop_assert!(false, "{slice:?} ends too early");
                    }
                }
            }
        }
    }

    fn definition() -> impl Strategy<Value = Definition> {
        let closed = prop_oneof![Just(Closed::Left), Just(Closed::Right)];
        let lateness = prop_oneof![2 => Just(0), 1 => 1i64..9];
        (1i64..9, 1i64..9, -3i64..3, closed, lateness).prop_map(
            |(length, every, origin, closed, lateness)| Definition {
                length,
                every,
                origin,
                closed,
                lateness,
            },
        )
    }

    fn windows_of(definition: Definition) -> Windows {
        let Definition { length, every, origin, closed, lateness } = definition;
        let nanos = |nanos: i64| Duration::from_nanos(nanos.unsigned_abs());
        Windows::hopping(nanos(length), nanos(every))
            .origin(Timestamp::from_nanos(origin))
            .closed(closed)
            .allow_late(nanos(lateness))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn every_window_has_the_items_of_its_time_and_comes_when_event_time_has_passed_it(
            definition in definition(), elements in elements(),
        ) {
            let (expected, late, outside) = definition.run(&elements);
            let flow = iter(elements).by_key(KeyLimits::new(9), |item: &Item| item.1);
            let mut flow = flow.windows(windows_of(definition), All);
            let out: Vec<_> = items(flow.by_ref().map(told));
            prop_assert_eq!(in_order(out), in_order(expected));
            let counts = flow.counts();
            prop_assert_eq!((counts.late, counts.outside), (late.len() as u64, outside));
            prop_assert!(counts.held <= counts.high_water);
        }

        #[test]
        fn late_items_come_out_beside_the_windows_if_they_are_asked_for(
            definition in definition(), elements in elements(),
        ) {
            let (_, expected, _) = definition.run(&elements);
            let flow = iter(elements).windows(windows_of(definition), All).with_late().values();
            // Without keys, fewer windows are open for an item that is late: none.
            let late = items(flow.filter_map(|out| out.right().map(|late| late.item.2)));
            prop_assert_eq!(late, expected);
        }
    }

    #[test]
    fn the_ends_of_time_have_a_slice() {
        let windows = Windows::tumbling(Duration::from_secs(1));
        for time in [i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX] {
            let slice = windows.slice(time).unwrap();
            assert!(slice.start <= time && slice.end >= time, "{slice:?}");
        }
    }

    fn seconds(list: &[i64]) -> Vec<Timed<i64>> {
        let times = iter(list.to_vec());
        items(times.event_time(|s| Timestamp::from_secs(*s), Duration::ZERO))
    }

    const SECOND: Duration = Duration::from_secs(1);

    /// Start, items and firing of each window.
    fn run(elements: Vec<Timed<i64>>, windows: Windows) -> Vec<(i64, Vec<i64>, Firing)> {
        let out = items(iter(elements).windows(windows, All).values());
        out.into_iter().map(|w| (w.start.as_secs(), w.value, w.firing)).collect()
    }

    #[test]
    fn windows_without_items_come_where_they_are_asked_for_and_only_between_others() {
        let windows = Windows::tumbling(2 * SECOND).empty(Empty::Zero);
        let out = run(seconds(&[1, 6, 7]), windows);
        let on_time = Firing::OnTime;
        assert_eq!(
            out,
            [
                (0, vec![1], on_time),
                (2, vec![], on_time),
                (4, vec![], on_time),
                (6, vec![6, 7], Firing::End)
            ]
        );
    }

    /// The last item, which a window carries on.
    #[derive(Clone, Copy)]
    struct Last;

    impl Aggregate<i64> for Last {
        type State = (Option<i64>, u32);
        type Output = (Option<i64>, u32);

        fn init(&self) -> Self::State {
            (None, 0)
        }

        fn add(&self, last: &mut Self::State, _: Timestamp, item: &i64) {
            *last = (Some(*item), last.1 + 1);
        }

        fn merge(&self, last: &mut Self::State, later: &Self::State) {
            *last = (later.0.or(last.0), last.1 + later.1);
        }

        fn finish(&self, last: &Self::State, _: Span) -> Self::Output {
            *last
        }

        fn carry(&self, before: &Self::State) -> Self::State {
            (before.0, 0)
        }
    }

    #[test]
    fn an_empty_window_carries_on_from_the_one_before_also_from_one_that_was_empty() {
        for (length, expected) in [
            (2, vec![(0, Some(1), 1), (2, Some(1), 0), (4, Some(1), 0), (6, Some(6), 1)]),
            (3, vec![(0, Some(1), 1), (3, Some(1), 0), (6, Some(6), 1)]),
        ] {
            let windows = Windows::tumbling(length * SECOND).empty(Empty::Carry);
            let out = items(iter(seconds(&[1, 6])).windows(windows, Last).values());
            let out: Vec<_> =
                out.iter().map(|w| (w.start.as_secs(), w.value.0, w.value.1)).collect();
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn a_gap_is_filled_so_far_and_what_is_left_out_is_counted() {
        let windows = Windows::tumbling(SECOND).empty(Empty::Zero).most_empty(2);
        let mut flow = iter(seconds(&[0, 100, 101])).windows(windows, All);
        let out = items(flow.by_ref().values().map(|w| w.start.as_secs()));
        assert_eq!(out, [0, 1, 2, 100, 101]);
        assert_eq!(flow.counts().skipped, 97);
    }

    #[test]
    fn a_key_is_forgotten_and_its_empty_windows_end_after_its_idle_time() {
        let limits = KeyLimits::new(9).idle(3 * SECOND);
        let flow = iter(seconds(&[0, 1, 3, 5, 7])).by_key(limits, |s| s % 2);
        let windows = Windows::tumbling(SECOND).empty(Empty::Zero);
        let out = items(flow.windows(windows, All).values());
        let even: Vec<_> = out.iter().filter(|w| w.key == 0).map(|w| w.start.as_secs()).collect();
        assert_eq!(even, [0, 1, 2, 3]);
        let odd: Vec<_> = out.iter().filter(|w| w.key == 1).map(|w| w.start.as_secs()).collect();
        assert_eq!(odd, [1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn a_window_comes_early_after_so_many_items_and_after_so_much_time_if_it_has_something_new() {
        let every_two = Windows::tumbling(10 * SECOND).early_every_items(2);
        let early = Firing::Early;
        assert_eq!(
            run(seconds(&[0, 1, 2, 3, 4]), every_two),
            [
                (0, vec![0, 1], early),
                (0, vec![0, 1, 2, 3], early),
                (0, vec![0, 1, 2, 3, 4], Firing::End)
            ]
        );
        let every_three = Windows::tumbling(10 * SECOND).early_every(3 * SECOND);
        assert_eq!(
            run(seconds(&[0, 2, 3, 9, 12]), every_three),
            [
                (0, vec![0, 2, 3], early),
                (0, vec![0, 2, 3, 9], early),
                (0, vec![0, 2, 3, 9], Firing::OnTime),
                (10, vec![12], Firing::End)
            ]
        );
    }

    #[test]
    fn only_a_window_that_began_before_the_first_item_is_partial() {
        let flow = iter(seconds(&[5, 10, 20])).windows(Windows::tumbling(10 * SECOND), All);
        let partial = items(flow.values().map(|w| (w.start.as_secs(), w.partial)));
        assert_eq!(partial, [(0, true), (10, false), (20, false)]);
    }

    #[test]
    fn when_event_time_stands_still_the_earliest_windows_make_room() {
        let at = Timestamp::from_secs;
        let elements = (0..5).map(|s| Timed::Item(at(s), s));
        let mut flow = iter(elements).windows(Windows::tumbling(SECOND).open(2), All);
        let out = items(flow.by_ref().values().map(|w| (w.start.as_secs(), w.firing)));
        let evicted = Firing::Evicted;
        assert_eq!(
            out,
            [(0, evicted), (1, evicted), (2, evicted), (3, Firing::End), (4, Firing::End)]
        );
        let counts = flow.counts();
        assert_eq!((counts.evicted, counts.high_water, counts.held), (3, 2, 0));
        // What comes for one that has gone is late.
        let elements = [0, 1, 2, 0].map(|s| Timed::Item(at(s), s));
        let mut flow = iter(elements).windows(Windows::tumbling(SECOND).open(2), All);
        assert_eq!(items(flow.by_ref().values()).len(), 3);
        assert_eq!(flow.counts().late, 1);
    }

    #[test]
    fn a_key_too_many_takes_the_place_of_the_one_that_came_first() {
        for lateness in [0, 5] {
            let elements = iter([0, 1, 2, 0].map(|key| Timed::Item(at(5), (5, key, 0))));
            let flow = elements.by_key(KeyLimits::new(2), |item: &Item| item.1);
            let windows = Windows::tumbling(10 * SECOND).allow_late(lateness * SECOND);
            let mut flow = flow.windows(windows, All);
            let out = items(flow.by_ref().values().map(|w| (w.key, w.firing)));
            let evicted = Firing::Evicted;
            let expected = [(0, evicted), (1, evicted), (2, Firing::End), (0, Firing::End)];
            assert_eq!(out, expected, "lateness {lateness}");
            let counts = flow.counts();
            assert_eq!((counts.evicted, counts.high_water, counts.held), (2, 2, 0));
        }
    }

    #[test]
    fn times_at_the_ends_of_time_are_in_windows_and_do_not_stop_the_flow() {
        for windows in [
            Windows::tumbling(SECOND),
            Windows::hopping(3 * SECOND, 2 * SECOND),
            Windows::tumbling(SECOND).closed(Closed::Right).allow_late(SECOND),
            Windows::tumbling(SECOND).empty(Empty::Zero).early_every(SECOND),
            Windows::tumbling(Duration::MAX),
        ] {
            let times = [Timestamp::MIN, Timestamp::EPOCH, Timestamp::MAX];
            let elements = times.iter().flat_map(|time| {
                [Timed::Item(*time, 1), Timed::Watermark(*time), Timed::Item(Timestamp::EPOCH, 2)]
            });
            let mut flow = iter(elements.collect::<Vec<_>>()).windows(windows, All);
            let out = items(flow.by_ref().values());
            let counts = flow.counts();
            assert_eq!((counts.items, counts.held), (6, 0), "{windows:?}");
            assert!(!out.is_empty() && out.len() < 9_000, "{windows:?}: {} windows", out.len());
        }
    }

    conformance!(windows, |input| {
        let windows = Windows::hopping(ms(4), ms(3)).allow_late(ms(2)).empty(Empty::Carry);
        input.event_time(value_as_time, ms(1)).windows(windows.closed(Closed::Right), Sum)
    });
    conformance!(windows_by_key, |input| {
        let windows = Windows::tumbling(ms(4)).early_every(ms(2)).open(2);
        let timed = input.event_time(value_as_time, ms(1));
        timed.by_key(KeyLimits::new(2), |x| x.value() % 3).windows(windows, Sum)
    });
    conformance!(windows_and_late_items, |input| {
        let timed = input.event_time(value_as_time, ms(0));
        timed.windows(Windows::tumbling(ms(1)), Sum).with_late()
    });

    marbles!(windows, |input: Timed<char>| {
        let windows = Windows::tumbling(ms(2)).offset(ms(1)).empty(Empty::Zero);
        input.windows(windows, All).values().map(|window| window.value)
    });

    specification!(
        windows,
        at_any_pace,
        |input: i64| {
            let timed = input.event_time(|x| Timestamp::from_millis(*x), ms(0));
            let windows = Windows::tumbling(ms(4)).allow_late(ms(4));
            timed.windows(windows, All).values().map(|w| (w.start.as_millis(), w.value, w.firing))
        },
        |input| {
            // Windows by start; whether they are out.
            let mut open: BTreeMap<i64, (Vec<i64>, bool)> = BTreeMap::new();
            let mut latest = i64::MIN / 2;
            let mut out = Vec::new();
            for (at, x) in &input.events {
                let start = x.div_euclid(4) * 4;
                if start + 8 > latest {
                    let window = open.entry(start).or_insert((Vec::new(), start + 4 <= latest));
                    window.0.push(*x);
                    if window.1 {
                        out.push((*at, (start, window.0.clone(), Firing::Amended)));
                    }
                }
                latest = latest.max(*x);
                for (start, window) in &mut open {
                    if start + 4 <= latest && !window.1 {
                        window.1 = true;
                        out.push((*at, (*start, window.0.clone(), Firing::OnTime)));
                    }
                }
            }
            for (start, window) in open.into_iter().filter(|(_, window)| !window.1) {
                out.push((input.end, (start, window.0, Firing::End)));
            }
            Timeline::new(out, input.end)
        }
    );
}
