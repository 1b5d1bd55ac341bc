//! [`Sequencer`]: puts numbered items in order, in a window of fixed size.

use std::collections::VecDeque;
use std::fmt;

/// What comes out of an operator that looks at sequence numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sequenced<T> {
    /// The next item.
    Item(T),
    /// Numbers that are missing, or were given up: the item that follows is the one after them.
    Gap(Gap),
    /// An item whose number has been passed: a duplicate, or one that comes too late. Only operators
    /// that say so hand it out.
    Old(T),
}

impl<T> Sequenced<T> {
    /// The item, for a consumer to whom gaps and old items are the same as nothing.
    pub fn item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::Gap(_) | Self::Old(_) => None,
        }
    }
}

/// Sequence numbers that never came, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gap {
    /// The first number that is missing.
    pub first: u64,
    /// The last one.
    pub last: u64,
}

impl Gap {
    /// How many numbers are missing: at least one.
    #[expect(clippy::len_without_is_empty, reason = "a gap is never empty")]
    pub fn len(&self) -> u64 {
        (self.last - self.first).saturating_add(1)
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {} are missing", self.first, self.last)
    }
}

/// What became of the items: those that came are those emitted, dropped and held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SequenceCounts {
    /// Items that came.
    pub accepted: u64,
    /// Items that were emitted, in order.
    pub emitted: u64,
    /// Items that were dropped because their number had been emitted or is held already, or lies
    /// further back than the window remembers.
    pub duplicates: u64,
    /// Items that were dropped because their number had been given up as part of a gap.
    pub late: u64,
    /// Numbers that were given up.
    pub missing: u64,
    /// Items that wait for those before them.
    pub held: u64,
}

impl SequenceCounts {
    /// Whether every item that came is accounted for.
    pub fn add_up(&self) -> bool {
        self.accepted == self.emitted + self.duplicates + self.late + self.held
    }
}

/// The items that came too early, each in the slot of its number, and what is known of the numbers
/// behind the next one.
pub(super) struct Sequencer<T> {
    /// The number that is due. `None` before the first item, which then decides.
    next: Option<u64>,
    ahead: Ahead<T>,
    /// For the numbers behind `next`, as many as the capacity: whether they were given up.
    given_up: Box<[bool]>,
    counts: SequenceCounts,
}

/// The items with numbers from `next` on.
enum Ahead<T> {
    /// Those within as many numbers as there are slots.
    Numbers {
        /// Each at its number modulo the length.
        slots: Box<[Option<T>]>,
        /// An item with a number beyond the slots. It goes in once gaps before it were given up.
        beyond: Option<(u64, T)>,
    },
    /// So many items, whatever their numbers, which ascend; one more until `pop` has made room.
    Items(VecDeque<(u64, T)>),
}

impl<T> Sequencer<T> {
    /// Holds at most `capacity` items, which must not be zero.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            next: None,
            ahead: Ahead::Numbers { slots: (0..capacity).map(|_| None).collect(), beyond: None },
            given_up: vec![false; capacity].into(),
            counts: SequenceCounts::default(),
        }
    }

    /// The same, in which the capacity says how many items may wait, not how many numbers they may
    /// be ahead. Before anything has come.
    pub(super) fn counting_items(self) -> Self {
        let items = VecDeque::with_capacity(self.capacity().saturating_add(1));
        Self { ahead: Ahead::Items(items), ..self }
    }

    pub(super) fn start_at(&mut self, first: u64) {
        self.next = Some(first);
    }

    pub(super) fn capacity(&self) -> usize {
        self.given_up.len()
    }

    pub(super) fn counts(&self) -> SequenceCounts {
        self.counts
    }

    /// The number that is due.
    pub(super) fn next(&self) -> Option<u64> {
        self.next
    }

    /// Whether items wait for those before them.
    pub(super) fn is_waiting(&self) -> bool {
        self.counts.held > 0
    }

    /// Takes an item, or gives it back if its number has been passed or is held. Nothing may be due,
    /// and none may be beyond the window.
    pub(super) fn push(&mut self, number: u64, item: T) -> Option<T> {
        self.counts.accepted += 1;
        self.counts.held += 1;
        self.place(number, item)
    }

    fn place(&mut self, number: u64, item: T) -> Option<T> {
        let next = *self.next.get_or_insert(number);
        let Some(ahead) = number.checked_sub(next) else {
            let remembered = next - number <= self.capacity() as u64;
            let place = slot(number, self.capacity());
            // A second copy of it is a duplicate.
            if remembered && std::mem::take(&mut self.given_up[place]) {
                self.counts.late += 1;
            } else {
                self.counts.duplicates += 1;
            }
            self.counts.held -= 1;
            return Some(item);
        };
        let duplicate = match &mut self.ahead {
            Ahead::Numbers { slots, beyond } => {
                let place = slot(number, slots.len());
                if ahead >= slots.len() as u64 {
                    *beyond = Some((number, item));
                    return None;
                }
                if slots[place].is_none() {
                    slots[place] = Some(item);
                    return None;
                }
                item
            }
            Ahead::Items(items) => match items.binary_search_by_key(&number, |(number, _)| *number)
            {
                Ok(_) => item,
                Err(place) => {
                    items.insert(place, (number, item));
                    return None;
                }
            },
        };
        self.counts.held -= 1;
        self.counts.duplicates += 1;
        Some(duplicate)
    }

    /// What can go out without waiting: the item that is due, or a gap, if there is no room for
    /// what waits behind it.
    pub(super) fn pop(&mut self) -> Option<Sequenced<T>> {
        loop {
            let next = self.next?;
            let capacity = self.capacity();
            let due = match &mut self.ahead {
                Ahead::Numbers { slots, .. } => slots[slot(next, capacity)].take(),
                Ahead::Items(items) => {
                    let is_due = items.front().is_some_and(|(number, _)| *number == next);
                    if is_due { items.pop_front().map(|(_, item)| item) } else { None }
                }
            };
            if let Some(item) = due {
                self.given_up[slot(next, capacity)] = false;
                self.next = Some(next.saturating_add(1));
                self.counts.held -= 1;
                self.counts.emitted += 1;
                return Some(Sequenced::Item(item));
            }
            let is_full = match &mut self.ahead {
                Ahead::Items(items) => items.len() > capacity,
                Ahead::Numbers { beyond, .. } => {
                    let (number, item) = beyond.take()?;
                    // No other has this number, or it would be beyond as well.
                    let _ = self.place(number, item);
                    matches!(&self.ahead, Ahead::Numbers { beyond: Some(_), .. })
                }
            };
            if is_full {
                return self.give_up().map(Sequenced::Gap);
            }
            if let Ahead::Items(_) = self.ahead {
                return None;
            }
        }
    }

    /// Gives up what is missing before the first item that waits.
    pub(super) fn give_up(&mut self) -> Option<Gap> {
        let first = self.next?;
        let capacity = self.capacity();
        let until = match &self.ahead {
            Ahead::Numbers { slots, beyond } => {
                let mut within = (0..capacity as u64).map(|ahead| first.saturating_add(ahead));
                let waiting = within.find(|number| slots[slot(*number, capacity)].is_some());
                waiting.or(beyond.as_ref().map(|(number, _)| *number))?
            }
            Ahead::Items(items) => items.front()?.0,
        };
        let gap = Gap { first, last: until.checked_sub(1).filter(|last| *last >= first)? };
        // Older ones are not remembered anyway.
        let remembered = until.saturating_sub(capacity as u64).max(first);
        for number in remembered..until {
            self.given_up[slot(number, capacity)] = true;
        }
        self.counts.missing += gap.len();
        self.next = Some(until);
        Some(gap)
    }
}

/// The place of a number among so many.
fn slot(number: u64, capacity: usize) -> usize {
    (number % capacity as u64) as usize
}

impl<T> fmt::Debug for Sequencer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sequencer")
            .field("next", &self.next)
            .field("capacity", &self.capacity())
            .field("counts", &self.counts)
            .finish_non_exhaustive()
    }
}

/// What [`Sequencer`] and the operators around it do, said plainly.
#[cfg(test)]
pub(super) mod model {
    use std::collections::BTreeMap;

    use super::{Gap, Sequenced};
    use crate::testing::Timeline;

    /// Feeds that are played against each other: see `Model::play`.
    pub(in super::super) struct Model {
        pub(in super::super) capacity: u64,
        /// In milliseconds.
        pub(in super::super) patience: i64,
        /// Whether a number is given up as soon as every feed has passed it.
        pub(in super::super) knows_the_feeds: bool,
    }

    impl Model {
        pub(in super::super) fn play(&self, feeds: &[Timeline<u8>]) -> Timeline<Sequenced<u8>> {
            self.play_with(feeds, false)
        }

        /// The same with a capacity that is a number of items, not how far they may be ahead, and
        /// with what is refused.
        pub(in super::super) fn play_counting_items(
            &self,
            feeds: &[Timeline<u8>],
        ) -> Timeline<Sequenced<u8>> {
            self.play_with(feeds, true)
        }

        fn play_with(&self, feeds: &[Timeline<u8>], count: bool) -> Timeline<Sequenced<u8>> {
            // At the beginning all are ready and take turns; later the first alarm rings first.
            let turn = |n: usize, at: i64| if at == 0 { n } else { 0 };
            let mut all = Vec::new();
            for (feed, line) in feeds.iter().enumerate() {
                let events = line.events.iter().map(|(at, item)| (*at, Some(*item)));
                let events = events.chain([(line.end, None)]).enumerate();
                all.extend(events.map(|(n, (at, item))| ((at, turn(n, at), feed), item)));
            }
            all.sort_by_key(|(order, _)| *order);
            let end = feeds.iter().map(|line| line.end).max().unwrap_or(0);
            let mut output = Timeline::new([], end);
            let mut held = BTreeMap::new();
            // The greatest number of each feed; beyond all numbers once it has ended.
            let mut passed = vec![None; feeds.len()];
            let (mut next, mut since) = (None, None);
            for ((now, _, feed), item) in all {
                // What was missing for too long before this instant.
                while let Some((_, begin)) = since.filter(|(_, begin)| begin + self.patience < now)
                {
                    let at = begin + self.patience;
                    give_up(&mut next, &mut held, at, &mut output);
                    since = held.first_key_value().map(|_| (next, at));
                }
                match item.map(u64::from) {
                    None => passed[feed] = Some(u64::MAX),
                    Some(number) => {
                        passed[feed] = passed[feed].max(Some(number));
                        let passed = number < *next.get_or_insert(number);
                        if passed || held.contains_key(&number) {
                            if count {
                                output.events.push((now, Sequenced::Old(number as u8)));
                            }
                        } else {
                            held.insert(number, number as u8);
                        }
                        release(&mut next, &mut held, now, &mut output);
                        let too_many = |next, held: &Held| match count {
                            true => held.len() as u64 > self.capacity,
                            false => held.contains_key(&number) && number >= next + self.capacity,
                        };
                        while next.is_some_and(|next| too_many(next, &held)) {
                            give_up(&mut next, &mut held, now, &mut output);
                        }
                    }
                }
                release(&mut next, &mut held, now, &mut output);
                let ended = passed.iter().all(|number| *number == Some(u64::MAX));
                let lost =
                    |next| self.knows_the_feeds && passed.iter().all(|number| *number > next);
                while !held.is_empty() && (ended || lost(next)) {
                    give_up(&mut next, &mut held, now, &mut output);
                }
                if held.is_empty() {
                    since = None;
                } else if since.is_none_or(|(number, _)| number != next) {
                    since = Some((next, now));
                }
            }
            output
        }
    }

    type Held = BTreeMap<u64, u8>;
    type Output = Timeline<Sequenced<u8>>;

    fn give_up(next: &mut Option<u64>, held: &mut Held, now: i64, output: &mut Output) {
        if let (Some(first), Some((until, _))) = (*next, held.first_key_value()) {
            output.events.push((now, Sequenced::Gap(Gap { first, last: until - 1 })));
            *next = Some(*until);
            release(next, held, now, output);
        }
    }

    fn release(next: &mut Option<u64>, held: &mut Held, now: i64, output: &mut Output) {
        while let Some(item) = next.and_then(|number| held.remove(&number)) {
            output.events.push((now, Sequenced::Item(item)));
            *next = next.map(|number| number + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn all<T>(sequencer: &mut Sequencer<T>) -> Vec<Sequenced<T>> {
        std::iter::from_fn(|| sequencer.pop()).collect()
    }

    #[test]
    fn an_item_far_ahead_gives_up_what_is_missing_before_it() {
        let mut sequencer = Sequencer::new(4);
        for number in [1, 3] {
            sequencer.push(number, number);
            all(&mut sequencer);
        }
        sequencer.push(1_000_000_000_000, 0);
        let gap = |first, last| Sequenced::Gap(Gap { first, last });
        let expected = [gap(2, 2), Sequenced::Item(3), gap(4, 999_999_999_999), Sequenced::Item(0)];
        assert_eq!(all(&mut sequencer), expected);
        assert!(sequencer.counts().add_up());
    }

    #[test]
    fn what_was_given_up_and_comes_after_all_is_late_once_and_then_a_duplicate() {
        let mut sequencer = Sequencer::new(4);
        sequencer.start_at(1);
        sequencer.push(3, 'c');
        assert_eq!(sequencer.give_up(), Some(Gap { first: 1, last: 2 }));
        assert_eq!(all(&mut sequencer), [Sequenced::Item('c')]);
        for number in [2, 2, 3] {
            sequencer.push(number, 'x');
        }
        let counts = sequencer.counts();
        assert_eq!((counts.late, counts.duplicates, counts.missing), (1, 2, 2));
        assert_eq!(all(&mut sequencer), []);
    }

    #[test]
    fn the_greatest_numbers_do_no_harm() {
        let mut sequencer = Sequencer::new(2);
        for number in [u64::MAX - 2, u64::MAX, 0] {
            sequencer.push(number, number);
            all(&mut sequencer);
        }
        sequencer.give_up();
        assert_eq!(all(&mut sequencer), [Sequenced::Item(u64::MAX)]);
        assert!(sequencer.counts().add_up());
    }

    proptest! {
        #[test]
        fn every_number_comes_once_and_in_order_or_is_in_a_gap(
            numbers in prop::collection::vec(0..40u64, 0..60),
            capacity in 1..9usize,
            patience in prop::collection::vec(any::<bool>(), 60),
            counts_items in any::<bool>(),
        ) {
            let mut sequencer = Sequencer::new(capacity);
            if counts_items {
                sequencer = sequencer.counting_items();
            }
            let mut out = Vec::new();
            for (number, give_up) in numbers.iter().zip(patience) {
                sequencer.push(*number, *number);
                out.extend(all(&mut sequencer));
                if give_up && sequencer.is_waiting() {
                    out.extend(sequencer.give_up().map(Sequenced::Gap));
                    out.extend(all(&mut sequencer));
                }
                prop_assert!(sequencer.counts().add_up());
                prop_assert!(sequencer.counts().held <= capacity as u64);
            }
            while let Some(gap) = sequencer.give_up() {
                out.push(Sequenced::Gap(gap));
                out.extend(all(&mut sequencer));
            }
            // Each number from the first on stands in the output once, and says what it was.
            let mut seen = BTreeMap::new();
            for sequenced in &out {
                let (numbers, came) = match sequenced {
                    Sequenced::Item(number) => (*number..=*number, true),
                    Sequenced::Gap(gap) => (gap.first..=gap.last, false),
                    Sequenced::Old(_) => unreachable!("it gives them back at once"),
                };
                for number in numbers {
                    prop_assert!(seen.last_key_value().is_none_or(|(last, _)| *last + 1 == number));
                    seen.insert(number, came);
                }
            }
            for (number, came) in seen {
                prop_assert!(!came || numbers.contains(&number));
            }
        }
    }
}
