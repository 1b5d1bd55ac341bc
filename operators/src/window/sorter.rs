//! [`Sorter`]: holds items until their time has come, and hands them out in its order.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

/// What became of the items of a flow that is put in the order of time: those that came are those
/// emitted, late and held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReorderCounts {
    /// Items that came.
    pub accepted: u64,
    /// Items that were emitted in order.
    pub emitted: u64,
    /// Those of them that were emitted before the watermark reached them, because the operator was
    /// full.
    pub forced: u64,
    /// Items that came after later ones had been emitted, or after the watermark had passed them.
    pub late: u64,
    /// Items that are held.
    pub held: usize,
    /// The most items that were held at once.
    pub most_held: usize,
}

/// Items in two parts. `run` takes those that come in order, at no more than the cost of a queue;
/// `strays` takes those that come behind the last of the run, which is therefore later than all
/// strays: as long as there are strays there is a run.
pub(super) struct Sorter<T> {
    run: VecDeque<(i64, T)>,
    strays: BinaryHeap<Stray<T>>,
    /// How many strays there have been: their order of arrival.
    arrived: u64,
    capacity: usize,
    /// How far the watermark has come.
    watermark: i64,
    /// The time of the last item that was forced out, if that is further.
    reached: i64,
    counts: ReorderCounts,
}

struct Stray<T> {
    time: i64,
    arrived: u64,
    item: T,
}

/// What becomes of an item that came.
pub(super) enum Put<T> {
    Held,
    /// This one is due.
    Due(i64, T),
    Late(T),
}

impl<T> Sorter<T> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            run: VecDeque::new(),
            strays: BinaryHeap::new(),
            arrived: 0,
            capacity,
            watermark: i64::MIN,
            reached: i64::MIN,
            counts: ReorderCounts::default(),
        }
    }

    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    pub(super) fn len(&self) -> usize {
        self.run.len() + self.strays.len()
    }

    /// Nothing earlier than this comes out any more.
    pub(super) fn reached(&self) -> i64 {
        self.reached
    }

    pub(super) fn counts(&self) -> ReorderCounts {
        ReorderCounts { held: self.len(), ..self.counts }
    }

    #[inline]
    pub(super) fn put(&mut self, time: i64, item: T) -> Put<T> {
        self.counts.accepted += 1;
        if time < self.reached {
            self.counts.late += 1;
            return Put::Late(item);
        }
        // All that is held is later than the watermark.
        if time <= self.watermark {
            self.counts.emitted += 1;
            return Put::Due(time, item);
        }
        if self.len() == self.capacity {
            return self.force(time, item);
        }
        self.hold(time, item);
        Put::Held
    }

    #[inline]
    fn hold(&mut self, time: i64, item: T) {
        match self.run.back() {
            Some((last, _)) if time < *last => {
                self.strays.push(Stray { time, arrived: self.arrived, item });
                self.arrived += 1;
            }
            _ => self.run.push_back((time, item)),
        }
        self.counts.most_held = self.counts.most_held.max(self.len());
    }

    /// There is no room for another: the earliest goes, which may be this one.
    #[cold]
    fn force(&mut self, time: i64, item: T) -> Put<T> {
        self.counts.forced += 1;
        let earliest = match self.first() {
            Some(first) if first <= time => self.pop_first(),
            _ => None,
        };
        let (time, item) = match earliest {
            Some(earliest) => {
                self.hold(time, item);
                earliest
            }
            None => (time, item),
        };
        self.counts.emitted += 1;
        self.reached = self.reached.max(time);
        Put::Due(time, item)
    }

    /// Takes a watermark; `true` if time moved on by it. What it makes due has to be taken with
    /// [`pop_until`](Self::pop_until) before anything else comes.
    #[inline]
    pub(super) fn reach(&mut self, watermark: i64) -> bool {
        let moved = watermark > self.watermark;
        if moved {
            self.watermark = watermark;
            self.reached = self.reached.max(watermark);
        }
        moved
    }

    /// The next item up to this time.
    #[inline]
    pub(super) fn pop_until(&mut self, time: i64) -> Option<(i64, T)> {
        let due = if self.strays.is_empty() {
            match self.run.front() {
                Some((first, _)) if *first <= time => self.run.pop_front(),
                _ => None,
            }
        } else if self.first()? <= time {
            self.pop_first()
        } else {
            None
        };
        self.counts.emitted += u64::from(due.is_some());
        due
    }

    /// The earliest time.
    #[inline]
    fn first(&self) -> Option<i64> {
        let (run, _) = self.run.front()?;
        Some(self.strays.peek().map_or(*run, |stray| stray.time.min(*run)))
    }

    /// The earliest item. Of a stray and one of the run at the same time that of the run came
    /// first: the stray came when the last of the run was there, which is later than both.
    #[inline]
    fn pop_first(&mut self) -> Option<(i64, T)> {
        let (run, _) = self.run.front()?;
        if self.strays.peek().is_some_and(|stray| stray.time < *run) {
            let stray = self.strays.pop()?;
            return Some((stray.time, stray.item));
        }
        self.run.pop_front()
    }
}

impl<T> PartialEq for Stray<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T> Eq for Stray<T> {}

impl<T> PartialOrd for Stray<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The first in time and arrival is the greatest, which a heap has on top.
impl<T> Ord for Stray<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.arrived).cmp(&(self.time, self.arrived))
    }
}

impl<T> fmt::Debug for Sorter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sorter")
            .field("run", &self.run.len())
            .field("strays", &self.strays.len())
            .field("capacity", &self.capacity)
            .field("watermark", &self.watermark)
            .field("reached", &self.reached)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// What a list that is sorted with every item would do.
    fn by_sorting(capacity: usize, steps: &[(bool, i64)]) -> (Vec<(i64, usize)>, Vec<usize>) {
        let (mut held, mut out, mut late) = (Vec::new(), Vec::new(), Vec::new());
        let (mut watermark, mut reached) = (i64::MIN, i64::MIN);
        for (number, (is_item, time)) in steps.iter().enumerate() {
            if *is_item && *time < reached {
                late.push(number);
            } else if *is_item {
                held.push((*time, number));
                held.sort_unstable();
                if held.len() > capacity && held[0].0 > watermark {
                    reached = reached.max(held[0].0);
                    out.push(held.remove(0));
                }
            } else {
                watermark = watermark.max(*time);
                reached = reached.max(*time);
            }
            while held.first().is_some_and(|(time, _)| *time <= watermark) {
                out.push(held.remove(0));
            }
        }
        out.append(&mut held);
        (out, late)
    }

    proptest! {
        #[test]
        fn it_does_what_sorting_all_that_is_held_does(
            capacity in 1..8usize,
            steps in vec((prop::bool::weighted(0.8), 0..24i64), 0..80),
        ) {
            let mut sorter = Sorter::new(capacity);
            let (mut out, mut late) = (Vec::new(), Vec::new());
            for (number, (is_item, time)) in steps.iter().enumerate() {
                if *is_item {
                    match sorter.put(*time, number) {
                        Put::Held => {}
                        Put::Due(time, number) => out.push((time, number)),
                        Put::Late(number) => late.push(number),
                    }
                } else if sorter.reach(*time) {
                    out.extend(std::iter::from_fn(|| sorter.pop_until(*time)));
                }
                prop_assert!(sorter.len() <= capacity);
                let counts = sorter.counts();
                prop_assert_eq!(counts.accepted, counts.emitted + counts.late + counts.held as u64);
            }
            out.extend(std::iter::from_fn(|| sorter.pop_until(i64::MAX)));
            prop_assert_eq!(sorter.len(), 0);
            prop_assert_eq!((out, late), by_sorting(capacity, &steps));
        }
    }

    #[test]
    fn items_in_order_never_touch_the_heap() {
        let mut sorter = Sorter::new(100);
        for time in [1, 1, 2, 5, 5, 9] {
            assert!(matches!(sorter.put(time, ()), Put::Held));
        }
        assert_eq!(sorter.arrived, 0);
        assert!(matches!(sorter.put(8, ()), Put::Held));
        assert_eq!(sorter.arrived, 1);
    }
}
