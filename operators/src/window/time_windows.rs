//! [`TimeWindows`]: items into the windows of their time.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;

use super::grouping::{Grouping, Slots};
use super::results::{Output, Results};
use super::tail::Tail;
use super::windows::Slice;
use super::{DropLate, EmitLate, Empty, Firing, LatePolicy, Timed, WindowCounts, Windows};
use crate::aggregate::Aggregate;
use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage, Timestamp};

/// The stage behind [`Flow::windows`] and its relatives.
pub type Windowed<S, T, A, G, L = DropLate> = Stepped<S, TimeWindows<T, A, G, L>>;

/// The states of the keys of one slice.
type Gatherings<T, A, G> =
    Slots<<G as Grouping<T>>::Key, Gathered<<A as Aggregate<T>>::State>, <G as Grouping<T>>::Index>;

/// The step behind [`Flow::windows`] and its relatives.
///
/// Items are gathered by slices of time: the stretches within which every item belongs to the same
/// windows. A slice that is a window, because windows do not overlap and nothing late is awaited,
/// comes out as it is. Otherwise a slice that the first of its windows needs goes to the tail of
/// its key, and windows are made from that.
pub struct TimeWindows<T, A: Aggregate<T>, G: Grouping<T>, L = DropLate> {
    groups: G,
    /// The open slices by their starts.
    panes: VecDeque<Pane<G::Key, A::State, G::Index>>,
    /// The slice of the item before, most often also that of the next one; none if it is closed.
    last: Slice,
    /// The times of the items that belong to it.
    times: Slice,
    /// Its index in `panes`, and its slots, which are not there meanwhile.
    last_at: usize,
    slots: Gatherings<T, A, G>,
    /// Slots that were used and can be used again.
    spare: Vec<Gatherings<T, A, G>>,
    tails: Slots<G::Key, Tail<A::State>, G::Index>,
    /// Who goes when one more key has no place.
    victim: usize,
    /// The latest watermark.
    watermark: i64,
    /// Windows that end at or before this were evicted.
    evicted: i64,
    /// The end of the last window that came out, or could have.
    fired: i64,
    /// The watermark at which there is something to do.
    due: i64,
    results: Results<T, A, G, L>,
}

/// An open slice.
#[derive(Debug)]
struct Pane<K, W, I> {
    slice: Slice,
    slots: Slots<K, Gathered<W>, I>,
    /// When it comes out early.
    early: i64,
}

/// The items of one key in one slice.
#[derive(Debug)]
struct Gathered<W> {
    state: W,
    /// Items since it came out last.
    fresh: u32,
}

/// Where the slice of an item stands.
enum Place {
    /// In `panes`, at `last_at`.
    Open,
    /// The first of its windows has passed.
    Passed(Slice),
    /// Between two windows.
    Outside,
}

impl<T, A, G, L> TimeWindows<T, A, G, L>
where
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    pub(super) fn new(name: &'static str, windows: Windows, groups: G, aggregate: A) -> Self {
        let limits = groups.limits();
        Self {
            panes: VecDeque::new(),
            last: Slice::NONE,
            times: Slice::NONE,
            last_at: 0,
            slots: Slots::default(),
            spare: Vec::new(),
            tails: Slots::default(),
            victim: 0,
            watermark: i64::MIN,
            evicted: i64::MIN,
            fired: i64::MIN,
            due: i64::MAX,
            results: Results::new(name, windows, aggregate, limits),
            groups,
        }
    }

    /// The same windows with late items beside them.
    fn with_late(self) -> TimeWindows<T, A, G, EmitLate> {
        let Results { name, windows, aggregate, .. } = self.results;
        TimeWindows::new(name, windows, self.groups, aggregate)
    }

    /// Adds an item to a state that is there in the slice of the item before: what happens to
    /// nearly all items. `false` if there is more to do.
    ///
    /// It calls nothing, so that it costs little more than to find the state; and it is not inlined,
    /// so that what stands around it is small enough to be.
    #[inline(never)]
    fn add_to_last(&mut self, time: Timestamp, item: &T) -> bool {
        let at = time.as_nanos();
        if at < self.times.start || self.times.end <= at {
            return false;
        }
        let key = self.groups.key(item);
        let hash = self.groups.hash(&key);
        let Some(gathered) = self.slots.find_mut(hash, &key) else {
            return false;
        };
        self.results.aggregate.add(&mut gathered.state, time, item);
        self.results.counts.items += 1;
        true
    }

    #[inline(never)]
    fn add(&mut self, time: Timestamp, item: T, out: &mut impl FnMut(Output<T, A, G, L>)) {
        let at = time.as_nanos();
        self.results.counts.items += 1;
        if at < self.times.start || self.times.end <= at {
            match self.locate(at.saturating_sub(self.results.windows.shift()), out) {
                Place::Open => {}
                Place::Outside => {
                    self.results.counts.outside += 1;
                    return;
                }
                Place::Passed(slice) => return self.add_behind(slice, time, item, out),
            }
        }
        let key = self.groups.key(&item);
        let hash = self.groups.hash(&key);
        let place = match self.slots.find(hash, &key) {
            Some(place) => place,
            None => self.open_key(hash, key, out),
        };
        let gathered = self.slots.get(place);
        self.results.aggregate.add(&mut gathered.state, time, &item);
        if let Some(items) = self.results.windows.early {
            gathered.fresh += 1;
            if gathered.fresh >= items {
                self.results.now = at.saturating_sub(self.results.windows.shift());
                self.fire_early(place, out);
            }
        }
    }

    /// Puts the slots of the last slice back.
    fn park(&mut self) {
        if self.last != Slice::NONE {
            (self.last, self.times) = (Slice::NONE, Slice::NONE);
            std::mem::swap(&mut self.slots, &mut self.panes[self.last_at].slots);
        }
    }

    /// No window that ends at or before this is open.
    fn passed(&self) -> i64 {
        self.watermark.saturating_sub(self.results.windows.shift()).max(self.evicted)
    }

    /// Finds the slice around a time, which becomes the `last` one if it is open.
    #[inline(never)]
    fn locate(&mut self, at: i64, out: &mut impl FnMut(Output<T, A, G, L>)) -> Place {
        let windows = self.results.windows;
        self.results.latest = self.results.latest.max(at);
        self.results.earliest = self.results.earliest.min(at);
        let Some(slice) = windows.slice(at) else {
            return Place::Outside;
        };
        if windows.first_end(slice.start) <= self.passed() {
            return Place::Passed(slice);
        }
        self.park();
        let mut found = self.panes.binary_search_by_key(&slice.start, |pane| pane.slice.start);
        if found.is_err() && self.panes.len() >= windows.open {
            // The earliest windows make room, and this slice may be one that has to.
            let first = self.panes.front().map_or(slice.start, |pane| pane.slice.start);
            let end = windows.first_end(first.min(slice.start));
            self.evicted = self.evicted.max(end);
            self.advance(end, Firing::Evicted, out);
            if windows.first_end(slice.start) <= self.passed() {
                return Place::Passed(slice);
            }
            found = self.panes.binary_search_by_key(&slice.start, |pane| pane.slice.start);
        }
        self.last = slice;
        // An item that is earlier than all others comes here again, and where windows come early
        // every item does.
        let start = slice.start.max(self.results.earliest);
        if windows.early.is_none() {
            self.times = Slice { start, ..slice }.later(windows.shift());
        }
        self.last_at = found.unwrap_or_else(|at| {
            let slots = self.spare.pop().unwrap_or_default();
            let early = windows.early_time.map_or(i64::MAX, |d| slice.start.saturating_add(d));
            self.panes.insert(at, Pane { slice, slots, early });
            at
        });
        std::mem::swap(&mut self.slots, &mut self.panes[self.last_at].slots);
        if found.is_err() {
            self.plan();
        }
        Place::Open
    }

    /// Notes when there is something to do next.
    fn plan(&mut self) {
        let mut due = self.next_end().unwrap_or(i64::MAX);
        if self.results.windows.early_time.is_some() {
            let early = self.panes.iter().map(|pane| pane.early).min();
            due = due.min(early.unwrap_or(i64::MAX));
        }
        self.due = due.saturating_add(self.results.windows.shift());
    }

    /// The end of the next window that may come out.
    fn next_end(&self) -> Option<i64> {
        let Results { windows, known, blank, .. } = &self.results;
        let first = self.panes.front().map(|pane| windows.first_end(pane.slice.start));
        let goes_on = !self.tails.is_empty() || (!known.is_empty() && *blank < windows.most_empty);
        if goes_on && self.fired < i64::MAX { Some(windows.next_end(self.fired)) } else { first }
    }

    /// A place in the last slice for a key that has none there.
    #[inline(never)]
    fn open_key(
        &mut self,
        hash: u64,
        key: G::Key,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) -> usize {
        let results = &mut self.results;
        let gathered = Gathered { state: results.aggregate.init(), fresh: 0 };
        if self.slots.len() < results.max_keys {
            results.hold(1);
            return self.slots.push(hash, key, gathered);
        }
        let place = self.victim % results.max_keys;
        self.victim = place + 1;
        let old = self.slots.replace(place, hash, key, gathered);
        let slice = self.last;
        out(results.slice(old.key, slice.start, slice.end, &old.value.state, Firing::Evicted));
        place
    }

    /// An item behind windows that have passed.
    #[cold]
    #[inline(never)]
    fn add_behind(
        &mut self,
        slice: Slice,
        time: Timestamp,
        item: T,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) {
        let windows = self.results.windows;
        let passed = self.passed();
        let open = |end: i64| end.saturating_add(windows.lateness) > passed;
        let last = windows.last_end(slice.start);
        if windows.is_direct() || !open(last) {
            return self.results.late(time, item, self.watermark, out);
        }
        let key = self.groups.key(&item);
        let hash = self.groups.hash(&key);
        let place = match self.tails.find(hash, &key) {
            Some(place) => place,
            None => self.open_tail(hash, key.clone(), out),
        };
        let (results, tail) = (&mut self.results, self.tails.get(place));
        let before = tail.len();
        tail.insert(&results.aggregate, slice.start, time, &item);
        results.hold(tail.len() - before);
        let mut end = windows.first_end(slice.start);
        while end <= last && end <= passed {
            if open(end) {
                let from = end.saturating_sub(windows.length());
                let state = tail.between(&results.aggregate, from, end);
                out(results.window(key.clone(), end, &state, Firing::Amended));
            }
            if end == i64::MAX {
                break;
            }
            end = windows.next_end(end);
        }
        // The next one to come is the first that ends after what has passed.
        self.fired = self.fired.max(windows.end_before(passed));
        self.plan();
    }

    /// A tail for a key that has none.
    fn open_tail(
        &mut self,
        hash: u64,
        key: G::Key,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) -> usize {
        let results = &mut self.results;
        let tail = Tail::new(&results.aggregate);
        if self.tails.len() < results.max_keys {
            return self.tails.push(hash, key, tail);
        }
        let place = self.victim % results.max_keys;
        self.victim = place + 1;
        let old = self.tails.replace(place, hash, key, tail);
        results.counts.held -= old.value.len();
        if old.value.is_live() {
            let end = results.windows.next_end(self.fired);
            let aggregate = &results.aggregate;
            let state = old.value.live(aggregate, A::State::clone);
            out(results.window(old.key, end, &state, Firing::Evicted));
        }
        place
    }

    /// Lets out what a key of the last slice has so far.
    fn fire_early(&mut self, place: usize, out: &mut impl FnMut(Output<T, A, G, L>)) {
        let slot = self.slots.slot(place);
        slot.value.fresh = 0;
        let (firing, slice) = (Firing::Early, self.last);
        out(self.results.with_items(slot.hash, &slot.key, slice.end, &slot.value.state, firing));
    }

    /// Event time has come to `passed`: lets out every window that ends by then.
    #[inline(never)]
    fn advance(&mut self, to: i64, firing: Firing, out: &mut impl FnMut(Output<T, A, G, L>)) {
        self.park();
        while let Some(end) = self.next_end().filter(|end| *end <= to) {
            self.fire(end, firing, out);
            if end == i64::MAX {
                break;
            }
        }
        if let Some(every) = self.results.windows.early_time {
            self.results.now = to;
            for at in 0..self.panes.len() {
                let pane = &mut self.panes[at];
                if pane.early > to {
                    continue;
                }
                let gone = to.saturating_sub(pane.slice.start) / every;
                pane.early = pane.slice.start.saturating_add((gone + 1).saturating_mul(every));
                let end = pane.slice.end;
                for slot in pane.slots.iter_mut().filter(|slot| slot.value.fresh > 0) {
                    slot.value.fresh = 0;
                    let state = &slot.value.state;
                    out(self.results.with_items(slot.hash, &slot.key, end, state, Firing::Early));
                }
            }
        }
        self.plan();
    }

    /// Lets out the windows that end here.
    fn fire(&mut self, end: i64, firing: Firing, out: &mut impl FnMut(Output<T, A, G, L>)) {
        let windows = self.results.windows;
        if !self.results.known.is_empty() {
            let missing = windows.steps(self.fired, end).saturating_sub(1);
            let keys = self.results.known.len() as u64;
            self.results.counts.skipped += missing.saturating_mul(keys);
        }
        self.fired = end;
        let mut any = false;
        while self.panes.front().is_some_and(|pane| pane.slice.start < end)
            && let Some(Pane { slice, mut slots, .. }) = self.panes.pop_front()
        {
            any |= !slots.is_empty();
            if windows.is_direct() {
                self.results.counts.held -= slots.len();
                for slot in slots.iter() {
                    let (hash, state) = (slot.hash, &slot.value.state);
                    out(self.results.with_items(hash, &slot.key, end, state, firing));
                }
                slots.clear();
            } else {
                for slot in slots.drain() {
                    let place = match self.tails.find(slot.hash, &slot.key) {
                        Some(place) => place,
                        None => self.open_tail(slot.hash, slot.key, out),
                    };
                    let tail = self.tails.get(place);
                    tail.push(&self.results.aggregate, slice.start, slot.value.state);
                }
            }
            self.spare.push(slots);
        }
        let mut at = 0;
        while at < self.tails.len() {
            let results = &mut self.results;
            let slot = self.tails.slot(at);
            let live = end.saturating_sub(windows.length());
            // Slices of windows that may still be amended are kept.
            let kept = live.saturating_sub(windows.lateness);
            let before = slot.value.len();
            slot.value.advance(&results.aggregate, live, kept);
            results.counts.held -= before - slot.value.len();
            if slot.value.is_live() {
                any = true;
                let state = slot.value.live(&results.aggregate, A::State::clone);
                out(results.with_items(slot.hash, &slot.key, end, &state, firing));
            }
            if slot.value.is_empty() {
                self.tails.swap_remove(at);
            } else {
                at += 1;
            }
        }
        let results = &mut self.results;
        if results.known.is_empty() {
            return;
        }
        // No empty windows behind the last one with items.
        if firing == Firing::End && !any && self.panes.is_empty() {
            results.blank = windows.most_empty;
            return;
        }
        results.blank = if any { 0 } else { results.blank + 1 };
        results.without_items(end, firing, out);
    }
}

impl<T, A, G, L> Step<Timed<T>> for TimeWindows<T, A, G, L>
where
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    type Out = Output<T, A, G, L>;

    #[inline]
    fn step(&mut self, element: Timed<T>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        match element {
            Timed::Item(time, item) => {
                if !self.add_to_last(time, &item) {
                    self.add(time, item, out);
                }
            }
            Timed::Watermark(time) => {
                let mark = time.as_nanos();
                if mark > self.watermark {
                    self.watermark = mark;
                    if mark >= self.due {
                        self.advance(self.passed(), Firing::OnTime, out);
                    }
                }
                out(Timed::Watermark(time));
            }
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Self::Out)) {
        self.advance(i64::MAX, Firing::End, out);
        // A window that ends with time itself is the last; nothing can follow.
        self.panes.clear();
        self.tails.clear();
        self.results.counts.held = 0;
    }

    fn size_hint(&self, _: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, None)
    }

    fn name(&self) -> &'static str {
        self.results.name
    }

    fn describe(&self, node: &mut Node) {
        let Results { windows, max_keys, .. } = &self.results;
        windows.describe(node);
        let slices = windows.open.saturating_add(windows.kept_slices());
        let remembered = usize::from(windows.empty != Empty::Skip);
        let states = slices.saturating_add(remembered).saturating_mul(*max_keys);
        node.parameter("max_keys", max_keys).holds(Bound::Items(states));
    }
}

impl<T, A: Aggregate<T>, G: Grouping<T>, L> fmt::Debug for TimeWindows<T, A, G, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeWindows")
            .field("name", &self.results.name)
            .field("windows", &self.results.windows)
            .field("counts", &self.results.counts)
            .finish_non_exhaustive()
    }
}

impl<S, T, A, G, L> Flow<Windowed<S, T, A, G, L>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    /// What became of the items and the windows so far.
    pub fn counts(&self) -> WindowCounts {
        self.stage().step().results.counts
    }
}

impl<S, T, A, G> Flow<Windowed<S, T, A, G>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T, State: Clone>,
    G: Grouping<T>,
{
    /// Hands late items out too: windows are on the left, late items on the right. Without it they
    /// are dropped and counted.
    #[doc(alias("side_output"))]
    pub fn with_late(self) -> Flow<Windowed<S, T, A, G, EmitLate>> {
        self.map_step(TimeWindows::with_late)
    }
}
