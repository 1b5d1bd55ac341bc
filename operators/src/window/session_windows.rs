//! [`SessionWindows`]: items into sessions.

use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::ops::ControlFlow;

use super::agenda::{Agenda, Entry};
use super::grouping::Grouping;
use super::roster::{Member, Roster};
use super::session::{Line, Session};
use super::{DropLate, EmitLate, Firing, Late, LatePolicy, Sessions, Timed, Window, WindowCounts};
use crate::aggregate::{Aggregate, Span};
use crate::transform::{Step, Stepped};
use crate::{Bound, Flow, Node, Stage, Timestamp};

/// The step behind [`Flow::sessions`].
///
/// The sessions of a key lie in a line. The end of one only moves on with most items, which
/// costs nothing beside the hash of the key: the agenda learns of it when it comes to the old end.
pub struct SessionWindows<T, A: Aggregate<T>, G: Grouping<T>, L = DropLate> {
    groups: G,
    keys: Roster<G::Key, Line<A::State>, G::Index>,
    /// When a session of a key comes out or is forgotten, for each key the earliest.
    agenda: Agenda,
    /// Memory of keys that have gone.
    spare: Vec<VecDeque<Session<A::State>>>,
    /// The watermark.
    passed: i64,
    max_keys: usize,
    results: Results<T, A, L>,
}

/// What results are made with.
struct Results<T, A: Aggregate<T>, L> {
    sessions: Sessions,
    aggregate: A,
    /// An item that lies less than this from a session belongs to it.
    reach: i64,
    earliest: i64,
    latest: i64,
    /// Late items since the window before.
    late: u64,
    counts: WindowCounts,
    types: PhantomData<fn(T) -> L>,
}

type Output<T, A, G, L> =
    Timed<<L as LatePolicy<T>>::Out<Window<<A as Aggregate<T>>::Output, <G as Grouping<T>>::Key>>>;

impl<T, A: Aggregate<T>, L: LatePolicy<T>> Results<T, A, L> {
    /// Whether an item at one of these times belongs to a session that begins or ends at the other.
    #[inline]
    fn is_near(&self, from: i64, to: i64) -> bool {
        to.saturating_sub(from) < self.reach
    }

    /// The first watermark behind which nothing can be near the session.
    fn over(&self, session: &Session<A::State>) -> i64 {
        session.last.saturating_add(self.reach)
    }

    /// The first watermark at which it is not even kept for late items.
    fn forgotten(&self, session: &Session<A::State>) -> i64 {
        self.over(session).saturating_add(self.sessions.lateness)
    }

    /// When something becomes of one of the sessions of a key.
    fn due(&self, line: &mut Line<A::State>) -> i64 {
        let comes_out = line.first_open().map_or(i64::MAX, |session| self.over(session));
        comes_out.min(line.first_kept().map_or(i64::MAX, |session| self.forgotten(session)))
    }

    fn window<K>(
        &mut self,
        key: K,
        session: &Session<A::State>,
        firing: Firing,
    ) -> Timed<L::Out<Window<A::Output, K>>> {
        let complete = match firing {
            Firing::OnTime | Firing::Amended | Firing::Withdrawn => true,
            Firing::Early => false,
            Firing::End | Firing::Evicted => self.over(session) <= self.latest,
        };
        match firing {
            Firing::Amended => self.counts.amended += 1,
            Firing::Evicted => self.counts.evicted += 1,
            _ => {}
        }
        self.counts.fired += 1;
        let end = session.last.saturating_add(self.sessions.gap);
        let span =
            Span { start: Timestamp::from_nanos(session.first), end: Timestamp::from_nanos(end) };
        let window = Window {
            key,
            start: span.start,
            end: span.end,
            firing,
            complete,
            partial: self.is_near(self.earliest, session.first),
            late: std::mem::take(&mut self.late),
            value: self.aggregate.finish(&session.state, span),
        };
        // Its last instant: not before any watermark that has passed.
        let last = self.over(session).saturating_sub(1);
        Timed::Item(Timestamp::from_nanos(last), L::result(window))
    }

    fn late<R>(&mut self, time: Timestamp, item: T, out: &mut impl FnMut(Timed<L::Out<R>>)) {
        self.late += 1;
        self.counts.late += 1;
        if let Some(late) = L::late(Late { time, item }) {
            out(Timed::Item(time, late));
        }
    }

    /// A session of one item, under this watermark.
    fn open(&mut self, time: Timestamp, item: &T, watermark: i64) -> Session<A::State> {
        self.counts.held += 1;
        self.counts.high_water = self.counts.high_water.max(self.counts.held);
        let mut state = self.aggregate.init();
        self.aggregate.add(&mut state, time, item);
        let at = time.as_nanos();
        let is_kept = at.saturating_add(self.reach) <= watermark;
        Session { first: at, last: at, fresh: 1, is_kept, state }
    }

    /// Whether an open session has so many new items that it comes early.
    #[inline]
    fn is_early(&self, session: &Session<A::State>) -> bool {
        self.sessions.early_items.is_some_and(|items| session.fresh >= items.get())
    }
}

impl<T, A, G, L> SessionWindows<T, A, G, L>
where
    A: Aggregate<T>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    pub(super) fn new(sessions: Sessions, groups: G, aggregate: A) -> Self {
        Self {
            max_keys: groups.limits().max_keys(),
            groups,
            keys: Roster::default(),
            agenda: Agenda::default(),
            spare: Vec::new(),
            passed: i64::MIN,
            results: Results {
                reach: sessions.reach(),
                sessions,
                aggregate,
                earliest: i64::MAX,
                latest: i64::MIN,
                late: 0,
                counts: WindowCounts::default(),
                types: PhantomData,
            },
        }
    }

    /// The same sessions with late items beside them.
    fn with_late(self) -> SessionWindows<T, A, G, EmitLate> {
        SessionWindows::new(self.results.sessions, self.groups, self.results.aggregate)
    }

    #[inline]
    fn add(&mut self, time: Timestamp, item: T, out: &mut impl FnMut(Output<T, A, G, L>)) {
        let at = time.as_nanos();
        let results = &mut self.results;
        results.counts.items += 1;
        results.earliest = results.earliest.min(at);
        results.latest = results.latest.max(at);
        let key = self.groups.key(&item);
        let hash = self.groups.hash(&key);
        let Some(place) = self.keys.find(hash, &key) else {
            return self.open_key(hash, key, time, item, out);
        };
        let member = self.keys.get(place);
        let newest = &mut member.value.newest;
        if newest.is_kept || at < newest.first || !results.is_near(newest.last, at) {
            return self.add_elsewhere(place, time, item, out);
        }
        newest.last = newest.last.max(at);
        results.aggregate.add(&mut newest.state, time, &item);
        newest.fresh = newest.fresh.saturating_add(1);
        if results.is_early(newest) {
            newest.fresh = 0;
            out(results.window(member.key.clone(), newest, Firing::Early));
        }
    }

    /// An item that is not simply one more of the newest session of its key.
    #[inline(never)]
    fn add_elsewhere(
        &mut self,
        place: usize,
        time: Timestamp,
        item: T,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) {
        let at = time.as_nanos();
        let results = &mut self.results;
        let member = self.keys.get(place);
        let (key, line) = (&member.key, &mut member.value);
        // It cannot be near a third session: the one in the middle would lie between two that are
        // both less than `reach` from the item, and at least so far from itself.
        let begun = line.begun(at);
        let before = begun.checked_sub(1).filter(|i| results.is_near(line.get(*i).last, at));
        let after =
            Some(begun).filter(|i| *i < line.len() && results.is_near(at, line.get(*i).first));
        let Some(own) = before.or(after) else {
            return self.open_session(place, begun, time, item, out);
        };
        let was_kept = line.get(own).is_kept;
        if after.is_some() || at > line.get(own).last {
            // The span changes, and what came out with the old one no longer holds.
            let old = (own..=after.unwrap_or(own)).map(|i| line.get(i));
            for session in old.filter(|session| session.is_kept) {
                out(results.window(key.clone(), session, Firing::Withdrawn));
            }
        }
        let joined = before.and(after).and_then(|after| line.remove(after));
        let session = line.get_mut(own);
        session.first = session.first.min(at);
        session.last = session.last.max(at);
        results.aggregate.add(&mut session.state, time, &item);
        session.fresh = session.fresh.saturating_add(1);
        if let Some(later) = joined {
            results.counts.held -= 1;
            session.last = later.last;
            results.aggregate.merge(&mut session.state, &later.state);
            session.fresh = session.fresh.saturating_add(later.fresh);
        }
        // One that had come out may be open again; then it comes out when its time has come.
        session.is_kept = was_kept && results.over(session) <= self.passed;
        self.come_out(place, own, out);
        self.arm(place);
    }

    /// A session for an item that is near no other of its key.
    fn open_session(
        &mut self,
        place: usize,
        at: usize,
        time: Timestamp,
        item: T,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) {
        if self.is_late(time) {
            return self.results.late(time, item, out);
        }
        let results = &mut self.results;
        let member = self.keys.get(place);
        let (key, line) = (&member.key, &mut member.value);
        let is_full = line.len() >= results.sessions.most;
        if is_full {
            results.counts.held -= 1;
            let first = line.get(0);
            if !first.is_kept {
                out(results.window(key.clone(), first, Firing::Evicted));
            }
        }
        line.insert(at, results.open(time, &item, self.passed));
        let mut own = at;
        if is_full {
            // What was the earliest makes room, even for an earlier one.
            line.remove(usize::from(at == 0));
            own = at.saturating_sub(1);
        }
        self.come_out(place, own, out);
        self.arm(place);
    }

    /// A session for an item whose key has none.
    #[inline(never)]
    fn open_key(
        &mut self,
        hash: u64,
        key: G::Key,
        time: Timestamp,
        item: T,
        out: &mut impl FnMut(Output<T, A, G, L>),
    ) {
        if self.is_late(time) {
            return self.results.late(time, item, out);
        }
        if self.keys.len() >= self.max_keys {
            self.evict_key(out);
        }
        let session = self.results.open(time, &item, self.passed);
        let mut line = Line::new(session, self.spare.pop().unwrap_or_default());
        line.armed = self.results.due(&mut line);
        let due = line.armed;
        let place = self.keys.add(hash, key, line);
        self.agenda.add(Entry { due, came: self.keys.get(place).came, place });
        self.come_out(place, 0, out);
    }

    /// Lets a session out that has got an item, if it is kept or early.
    fn come_out(&mut self, place: usize, own: usize, out: &mut impl FnMut(Output<T, A, G, L>)) {
        let member = self.keys.get(place);
        let session = member.value.get_mut(own);
        let firing = if session.is_kept { Firing::Amended } else { Firing::Early };
        if session.is_kept || self.results.is_early(session) {
            session.fresh = 0;
            out(self.results.window(member.key.clone(), session, firing));
        }
    }

    /// Whether an item comes too late for a session of its own.
    fn is_late(&self, time: Timestamp) -> bool {
        let over = time.as_nanos().saturating_add(self.results.reach);
        over.saturating_add(self.results.sessions.lateness) <= self.passed
    }

    /// Lets the key go of which a session is due first.
    fn evict_key(&mut self, out: &mut impl FnMut(Output<T, A, G, L>)) {
        let Some(entry) = self.next(i64::MAX) else {
            return;
        };
        let member = self.keys.remove(entry.place);
        self.results.counts.held -= member.value.len();
        for session in member.value.open() {
            out(self.results.window(member.key.clone(), session, Firing::Evicted));
        }
        self.spare.push(member.value.into_memory());
    }

    /// Puts a key into the agenda once more if it has become due earlier.
    fn arm(&mut self, place: usize) {
        let member = self.keys.get(place);
        let due = self.results.due(&mut member.value);
        if due < member.value.armed {
            member.value.armed = due;
            self.agenda.add(Entry { due, came: member.came, place });
            let keys = &mut self.keys;
            self.agenda.tidy(keys.len(), |entry| {
                let member = keys.still(entry.place, entry.came);
                member.is_some_and(|member| member.value.armed == entry.due)
            });
        }
    }

    /// Takes the first key out of the agenda that is due by then.
    fn next(&mut self, by: i64) -> Option<Entry> {
        let (keys, results) = (&mut self.keys, &self.results);
        self.agenda.next(by, |entry| {
            let line = &mut keys.still(entry.place, entry.came)?.value;
            if line.armed != entry.due {
                return None;
            }
            line.armed = results.due(line);
            Some(line.armed)
        })
    }

    /// Event time has come to `to`: lets out every session that is over, forgets every other.
    #[inline(never)]
    fn advance(&mut self, to: i64, firing: Firing, out: &mut impl FnMut(Output<T, A, G, L>)) {
        while let Some(entry) = self.next(to) {
            let results = &mut self.results;
            let Member { key, value: line, .. } = self.keys.get(entry.place);
            while let Some(session) = line.first_open().filter(|s| results.over(s) <= entry.due) {
                (session.is_kept, session.fresh) = (true, 0);
                out(results.window(key.clone(), session, firing));
            }
            let mut is_empty = false;
            while !is_empty && line.first_kept().is_some_and(|s| results.forgotten(s) <= entry.due)
            {
                results.counts.held -= 1;
                is_empty = line.remove(0).is_none();
            }
            if is_empty {
                let member = self.keys.remove(entry.place);
                self.spare.push(member.value.into_memory());
            } else {
                line.armed = results.due(line);
                self.agenda.add(Entry { due: line.armed, ..entry });
            }
        }
    }
}

impl<T, A, G, L> Step<Timed<T>> for SessionWindows<T, A, G, L>
where
    A: Aggregate<T>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    type Out = Output<T, A, G, L>;

    #[inline]
    fn step(&mut self, element: Timed<T>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        match element {
            Timed::Item(time, item) => self.add(time, item, out),
            Timed::Watermark(time) => {
                self.passed = self.passed.max(time.as_nanos());
                if self.agenda.is_due(self.passed) {
                    self.advance(self.passed, Firing::OnTime, out);
                }
                out(Timed::Watermark(time));
            }
        }
        ControlFlow::Continue(())
    }

    fn end(&mut self, out: &mut impl FnMut(Self::Out)) {
        self.advance(i64::MAX, Firing::End, out);
    }

    fn name(&self) -> &'static str {
        "sessions"
    }

    fn describe(&self, node: &mut Node) {
        let sessions = &self.results.sessions;
        sessions.describe(node);
        let states = sessions.most.saturating_mul(self.max_keys);
        node.parameter("max_keys", self.max_keys).holds(Bound::Items(states));
    }
}

impl<T, A: Aggregate<T>, G: Grouping<T>, L> fmt::Debug for SessionWindows<T, A, G, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWindows")
            .field("sessions", &self.results.sessions)
            .field("counts", &self.results.counts)
            .finish_non_exhaustive()
    }
}

impl<S, T, A, G, L> Flow<Stepped<S, SessionWindows<T, A, G, L>>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T>,
    G: Grouping<T>,
    L: LatePolicy<T>,
{
    /// What became of the items and the sessions so far.
    pub fn counts(&self) -> WindowCounts {
        self.stage().step().results.counts
    }
}

impl<S, T, A, G> Flow<Stepped<S, SessionWindows<T, A, G>>>
where
    S: Stage<Item = Timed<T>>,
    A: Aggregate<T>,
    G: Grouping<T>,
{
    /// Hands late items out too: sessions are on the left, late items on the right. Without it they
    /// are dropped and counted.
    #[doc(alias("side_output"))]
    pub fn with_late(self) -> Flow<Stepped<S, SessionWindows<T, A, G, EmitLate>>> {
        self.map_step(SessionWindows::with_late)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::keyed::KeyLimits;
    use crate::testing::allocations;
    use crate::window::{ByKey, Tie};

    /// The number of items.
    struct Count;

    impl Aggregate<i64> for Count {
        type State = u64;
        type Output = u64;

        fn init(&self) -> u64 {
            0
        }

        fn add(&self, count: &mut u64, _: Timestamp, _: &i64) {
            *count += 1;
        }

        fn merge(&self, count: &mut u64, later: &u64) {
            *count += later;
        }

        fn finish(&self, count: &u64, _: Span) -> u64 {
            *count
        }
    }

    fn item(nanos: i64, key: i64) -> Timed<i64> {
        Timed::Item(Timestamp::from_nanos(nanos), key)
    }

    #[test]
    fn keys_that_come_and_go_allocate_nothing_once_the_tables_have_grown() {
        let sessions = Sessions::gap(Duration::from_nanos(10)).tie(Tie::Joins);
        let sessions = sessions.allow_late(Duration::from_nanos(20));
        let groups = ByKey::new(KeyLimits::new(15), |key: &i64| *key);
        let mut windows: SessionWindows<_, _, _> = SessionWindows::new(sessions, groups, Count);
        let (mut told, mut now) = (0, 0);
        let mut go_on = |windows: &mut SessionWindows<_, _, _>| {
            for _ in 0..100_000 {
                now += 1;
                let late = (now * 7_919) % 50;
                let key = (now * now + now / 64) % 1_000;
                let mut out = |_| told += 1;
                let _ = windows.step(item(now - late, key % (now / 100 % 90 + 5)), &mut out);
                if now % 3 == 0 {
                    let time = Timestamp::from_nanos(now - 25);
                    let _ = windows.step(Timed::Watermark(time), &mut out);
                }
            }
        };
        go_on(&mut windows);
        let before = allocations();
        go_on(&mut windows);
        assert_eq!(allocations(), before);
        let counts = windows.results.counts;
        assert!(told > 100_000 && counts.amended > 1_000 && counts.evicted > 1_000, "{counts:?}");
    }

    #[test]
    fn sessions_that_come_before_all_others_leave_no_entries_behind() {
        let sessions = Sessions::gap(Duration::from_nanos(1)).most(4);
        let groups = ByKey::new(KeyLimits::new(3), |key: &i64| *key);
        let mut windows: SessionWindows<_, _, _> = SessionWindows::new(sessions, groups, Count);
        for time in 0..10_000 {
            let _ = windows.step(item(-2 * time, time % 4), &mut |_| {});
            assert!(windows.agenda.len() <= 2 * 3 + 17);
            assert!(windows.spare.len() <= 3);
        }
        assert!(windows.results.counts.high_water <= 3 * 4);
    }
}
