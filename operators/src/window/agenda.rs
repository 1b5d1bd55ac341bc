//! [`Agenda`]: which member of a roster is due next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// The members of a [`Roster`](super::roster::Roster) by the time at which each is due.
///
/// An entry may be too early, because what it stands for has moved on: it gets its right place when
/// it is reached. So an item that only moves something on costs nothing here. An entry that is too
/// late does not exist; where something becomes due earlier, there is a second entry for it.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BinaryHeap<Reverse<Entry>>,
}

/// Of those that are due at once, the one that came first is first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) due: i64,
    pub(super) came: u64,
    pub(super) place: usize,
}

impl Agenda {
    pub(super) fn add(&mut self, entry: Entry) {
        self.entries.push(Reverse(entry));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there may be something to do by then.
    #[inline]
    pub(super) fn is_due(&self, by: i64) -> bool {
        self.entries.peek().is_some_and(|first| first.0.due <= by)
    }

    /// Takes out the first entry that is due by then. `due` says when it is due by now, or that it
    /// stands for nothing any more.
    pub(super) fn next(
        &mut self,
        by: i64,
        mut due: impl FnMut(&Entry) -> Option<i64>,
    ) -> Option<Entry> {
        while let Some(mut first) = self.entries.peek_mut().filter(|first| first.0.due <= by) {
            match due(&first.0) {
                Some(due) if due > first.0.due => first.0.due = due,
                Some(_) => return Some(PeekMut::pop(first).0),
                None => drop(PeekMut::pop(first)),
            }
        }
        None
    }

    /// Drops the entries that stand for nothing, once they are more than the others.
    pub(super) fn tidy(&mut self, members: usize, mut stands: impl FnMut(&Entry) -> bool) {
        if self.entries.len() > 2 * members + 16 {
            self.entries.retain(|Reverse(entry)| stands(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(due: i64, came: u64) -> Entry {
        Entry { due, came, place: 0 }
    }

    #[test]
    fn an_entry_that_is_too_early_is_put_back_and_one_that_stands_for_nothing_goes() {
        let mut agenda = Agenda::default();
        for (due, came) in [(1, 0), (2, 1), (3, 2)] {
            agenda.add(entry(due, came));
        }
        // The first has moved on to 5, the second has gone.
        let due = |entry: &Entry| [Some(5), None, Some(3)][entry.came as usize];
        assert_eq!(agenda.next(9, due), Some(entry(3, 2)));
        assert_eq!(agenda.next(4, due), None);
        assert_eq!(agenda.next(5, due), Some(entry(5, 0)));
        assert_eq!(agenda.next(i64::MAX, due), None);
    }

    #[test]
    fn what_stands_for_nothing_takes_no_memory_for_long() {
        let mut agenda = Agenda::default();
        for came in 0..1_000 {
            agenda.add(entry(0, came));
            agenda.tidy(1, |entry| entry.came == came);
            assert!(agenda.len() <= 19);
        }
    }
}
