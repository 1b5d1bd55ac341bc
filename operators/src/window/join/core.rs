//! [`Core`]: what a join knows and decides, apart from its inputs.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroUsize;
use std::ops::Range;

use super::waiting::Waiting;
use super::{Index, JoinCounts, Outcome, Reach};
use crate::{Timed, Timestamp};

/// How many elements of the left side may wait, and how many right items may be ahead, unless
/// [`capacity`](crate::Flow::capacity) says something else.
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(16_383);

/// What a join knows, apart from its inputs: the elements of the left side that wait, the items of
/// the right side that can still be reached, and how far both sides have come.
pub struct Core<L, T, I, M, O> {
    pub(super) reach: M,
    pub(super) index: I,
    pub(super) capacity: NonZeroUsize,
    pub(super) waiting: Waiting<L>,
    /// No item that waits or comes is earlier, unless it is late.
    least: Timestamp,
    /// Its target.
    low: Timestamp,
    /// Right items before this are behind.
    behind: Timestamp,
    /// Before the right side has reached this, there is nothing to do.
    needed: Timestamp,
    /// The right item that came last, if it is ahead: mostly the only one that is.
    newest: Option<(Timestamp, T)>,
    /// No further right item is earlier, unless it is late.
    reached: Timestamp,
    pub(super) right_ended: bool,
    /// Where the matches of the item in front are that are not out yet, once it was answered.
    pub(super) matches: Option<(usize, Range<usize>)>,
    pub(super) counts: JoinCounts,
    types: PhantomData<fn() -> O>,
}

impl<L, T, I: fmt::Debug, M: fmt::Debug, O> fmt::Debug for Core<L, T, I, M, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("reach", &self.reach)
            .field("index", &self.index)
            .field("waiting", &self.waiting.len())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

impl<L, T, I, M, O> Core<L, T, I, M, O> {
    pub(super) fn new(reach: M, index: I) -> Self {
        Self {
            reach,
            index,
            capacity: CAPACITY,
            waiting: Waiting::new(),
            least: Timestamp::MIN,
            low: Timestamp::MIN,
            behind: Timestamp::MIN,
            needed: Timestamp::MIN,
            newest: None,
            reached: Timestamp::MIN,
            right_ended: false,
            matches: None,
            counts: JoinCounts::default(),
            types: PhantomData,
        }
    }

    /// The same with another outcome.
    pub(super) fn with_outcome<P>(self) -> Core<L, T, I, M, P> {
        Core {
            reach: self.reach,
            index: self.index,
            capacity: self.capacity,
            waiting: self.waiting,
            least: self.least,
            low: self.low,
            behind: self.behind,
            needed: self.needed,
            newest: self.newest,
            reached: self.reached,
            right_ended: self.right_ended,
            matches: self.matches,
            counts: self.counts,
            types: PhantomData,
        }
    }
}

impl<L, T, I, M, O> Core<L, T, I, M, O>
where
    T: Clone,
    I: Index<L, T>,
    M: Reach<L>,
    O: Outcome<L, T>,
{
    // Taken apart at once: so it is passed on in registers.
    #[inline(always)]
    pub(super) fn push_left(&mut self, element: Timed<L>) {
        match element {
            Timed::Item(time, item) => {
                let is_first = self.waiting.is_empty();
                self.waiting.push_item(time, item);
                // It lets nothing go.
                if is_first {
                    self.note_needed();
                }
            }
            Timed::Watermark(time) => {
                self.waiting.push_mark(time);
                self.move_on();
            }
        }
    }

    pub(super) fn end_left(&mut self) {
        self.waiting.end();
        self.move_on();
    }

    /// Lets go what no left item reaches any more.
    #[inline]
    fn move_on(&mut self) {
        let least = self.waiting.least();
        if least > self.least {
            self.least = least;
            self.low = self.reach.target(least);
            self.behind = self.reach.behind(self.low);
            self.let_go();
            if self.waiting.first().is_none() {
                self.needed = self.behind;
            }
        }
    }

    /// Notes how far the right side has to come for the element in front.
    #[inline]
    fn note_needed(&mut self) {
        self.needed = match self.waiting.first() {
            Some((time, _)) => self.reach.needed(self.reach.target(*time)),
            None => self.behind,
        };
    }

    #[inline(never)]
    fn let_go(&mut self) {
        if self.index.slots().earliest().is_some_and(|time| time < self.behind) {
            self.let_go_filed();
        }
        if let Some((time, _)) = &self.newest
            && *time < self.behind
            && let Some((time, item)) = self.newest.take()
        {
            self.keep_behind(time, item);
        }
    }

    #[inline(never)]
    fn let_go_filed(&mut self) {
        let keep = self.reach.keeps_last();
        let slots = self.index.slots_mut();
        while slots.earliest().is_some_and(|time| time < self.behind) {
            slots.fall_behind(keep);
        }
    }

    /// Keeps what may be the last item behind; `false` if no left item can reach it.
    #[inline]
    fn keep_behind(&mut self, time: Timestamp, item: T) -> bool {
        self.reach.keeps_last() && {
            let slot = self.index.right(&item, self.capacity);
            self.index.slots_mut().put_behind(slot, time, item)
        }
    }

    #[inline]
    fn keep_ahead(&mut self, time: Timestamp, item: T) {
        if let Some((time, item)) = self.newest.replace((time, item)) {
            self.file(time, item);
        }
    }

    /// Keeps an item where it is found.
    #[inline(never)]
    fn file(&mut self, time: Timestamp, item: T) {
        let slot = self.index.right(&item, self.capacity);
        self.index.slots_mut().put_ahead(slot, time, item);
    }

    /// Takes an element of the right side; `true` if there may be something to do now.
    #[inline]
    pub(super) fn push_right(&mut self, element: Timed<T>) -> bool {
        match element {
            Timed::Watermark(time) => {
                self.reached = self.reached.max(time);
                self.reached >= self.needed
            }
            Timed::Item(time, item) => self.push_right_item(time, item),
        }
    }

    /// The same for an item.
    #[inline]
    fn push_right_item(&mut self, time: Timestamp, item: T) -> bool {
        // Only what is late changes an answer without a watermark.
        let late = time < self.reached;
        if time < self.behind {
            if !self.keep_behind(time, item) && late {
                self.counts.late_right += 1;
            }
            return late;
        }
        self.keep_ahead(time, item);
        late || self.is_full()
    }

    /// Whether no more right items can be kept ahead.
    #[inline]
    fn is_full(&self) -> bool {
        let newest = usize::from(self.newest.is_some());
        self.index.slots().ahead() + newest >= self.capacity.get()
    }

    #[inline]
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.capacity.get()
    }

    /// Whether another element of the left side is needed before anything else.
    #[inline]
    pub(super) fn wants_left(&self) -> bool {
        self.waiting.is_empty() || self.waiting.would_know_more() && self.has_room()
    }

    /// Whether to take from the right side. An item that waits needs it, and what is behind can be
    /// taken at any time: so a busy right side is not held up by a silent left one.
    #[inline]
    pub(super) fn wants_right(&self) -> bool {
        let needed = !self.waiting.is_empty() || self.reached < self.behind;
        needed && !self.is_full() && !self.waiting.is_over()
    }

    /// Whether nothing more changes what an item with this target finds.
    fn is_settled(&self, target: Timestamp, slot: Option<usize>) -> bool {
        let slot = slot.and_then(|slot| self.index.slots().get(slot));
        self.reach.is_settled(target, slot, self.reached)
    }

    /// The matches of the item in front, if it can be answered.
    #[inline]
    fn answer(&mut self) -> Option<(usize, Range<usize>)> {
        let (time, _) = self.waiting.first()?;
        let target = self.reach.target(*time);
        let passed = self.right_ended || self.reach.has_passed(target, self.reached);
        if !passed && !self.is_full() {
            return None;
        }
        if let Some((time, _)) = &self.newest
            && (*time <= target || self.reach.looks_ahead())
            && let Some((time, item)) = self.newest.take()
        {
            self.file(time, item);
        }
        let (_, left) = self.waiting.first()?;
        let slot = self.index.left(left);
        let open = !self.right_ended
            && (!passed || self.reach.looks_ahead() && !self.is_settled(target, slot));
        if open && !self.is_full() {
            return None;
        }
        self.counts.forced += u64::from(open);
        let late = target < self.low;
        let kept = slot.and_then(|slot| Some((slot, self.index.slots().get(slot)?)));
        let (slot, found) = match kept {
            Some((slot, kept)) => (slot, self.reach.find(target, kept, late)),
            None => (0, 0..0),
        };
        if found.is_empty() {
            self.counts.unmatched += 1;
        } else {
            self.counts.matched += 1;
        }
        if late && (found.is_empty() || !M::ONE) {
            self.counts.late_left += 1;
        }
        Some((slot, found))
    }

    /// The next that can come out without another element of either side.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<Timed<O::Out>> {
        loop {
            let matches = if M::ONE { None } else { self.matches.take() };
            let (slot, mut places) = match matches {
                Some(matches) => matches,
                None if self.waiting.first().is_some() => {
                    if self.reached < self.needed && !self.right_ended && !self.is_full() {
                        return None;
                    }
                    self.answer()?
                }
                None => {
                    let mark = self.waiting.pop_mark()?;
                    self.move_on();
                    self.note_needed();
                    return Some(Timed::Watermark(mark));
                }
            };
            let place = places.next();
            let right = place.and_then(|place| self.index.slots().get(slot)?.get(place)).cloned();
            if !M::ONE
                && !places.is_empty()
                && let Some((time, left)) = self.waiting.first()
                && let (Some(left), Some(right)) = (self.reach.again(left), &right)
            {
                self.matches = Some((slot, places));
                return Some(Timed::Item(*time, O::pair(left, right.clone())));
            }
            let (time, left) = self.waiting.pop_first()?;
            // With the watermark that comes next, if there is one.
            if !self.waiting.is_marked() {
                self.move_on();
                self.note_needed();
            }
            let out = match right {
                Some(right) => Some(O::pair(left, right)),
                None => O::alone(left),
            };
            if let Some(out) = out {
                return Some(Timed::Item(time, out));
            }
        }
    }

    /// Nothing is needed any more.
    pub(super) fn clear(&mut self) {
        self.newest = None;
        self.index.slots_mut().clear();
    }
}
