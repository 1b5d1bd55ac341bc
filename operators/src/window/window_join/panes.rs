//! [`Panes`]: the open windows of both sides, and the rows of the one that closes.

use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::super::join::Outcome;
use crate::Timestamp;

/// What both sides have brought for one window, in the order of arrival.
struct Pane<L, T> {
    end: Timestamp,
    left: VecDeque<L>,
    right: Vec<Right<T>>,
}

struct Right<T> {
    item: T,
    /// The next one with the same key.
    next: Option<usize>,
    matched: bool,
}

/// The right items with one key: the first, and the last.
struct Chain {
    hash: u64,
    first: usize,
    last: usize,
}

/// Which row comes next.
enum Row {
    /// The first left item, which has not been looked up.
    Left,
    /// It with this right item.
    Pair(usize),
    /// This right item, if it is alone.
    Right(usize),
}

/// All open windows.
pub(super) struct Panes<L, T, K, O> {
    length: i64,
    /// By end.
    open: VecDeque<Pane<L, T>>,
    /// The one whose rows come out, and the next of them.
    closing: Option<(Pane<L, T>, Row)>,
    /// Empty ones, to be used again.
    spare: Vec<Pane<L, T>>,
    /// The keys of the right items of the window that closes, and where they are.
    keys: Vec<K>,
    chains: HashTable<Chain>,
    hasher: DefaultHashBuilder,
    /// Items of both sides that are here.
    pub(super) left: usize,
    pub(super) right: usize,
    /// Windows up to this end are closed.
    closed: Timestamp,
    outcome: PhantomData<fn() -> O>,
}

/// What came of a look at the window that closes.
pub(super) enum Next<T> {
    /// A row and the time of its window.
    Row(Timestamp, T),
    /// A row that is not kept; `true` if it was one of the left side.
    Alone(bool),
    /// There are no more.
    Closed,
}

impl<L, T, K, O> Panes<L, T, K, O> {
    pub(super) fn new(length: i64) -> Self {
        Self {
            length,
            open: VecDeque::new(),
            closing: None,
            spare: Vec::new(),
            keys: Vec::new(),
            chains: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            left: 0,
            right: 0,
            closed: Timestamp::MIN,
            outcome: PhantomData,
        }
    }

    /// The same with another outcome.
    pub(super) fn with_outcome<P>(self) -> Panes<L, T, K, P> {
        Panes {
            length: self.length,
            open: self.open,
            closing: self.closing,
            spare: self.spare,
            keys: self.keys,
            chains: self.chains,
            hasher: self.hasher,
            left: self.left,
            right: self.right,
            closed: self.closed,
            outcome: PhantomData,
        }
    }

    /// The end of the window of an item at this time, which does not belong to it.
    fn end(&self, time: Timestamp) -> Timestamp {
        let nanos = time.as_nanos();
        let start = nanos.saturating_sub(nanos.rem_euclid(self.length));
        Timestamp::from_nanos(start.saturating_add(self.length))
    }

    /// The window of an item at this time, of a side that has come as far as `reached`; `None` if
    /// that has closed.
    fn pane(&mut self, time: Timestamp, reached: Timestamp) -> Option<&mut Pane<L, T>> {
        let end = self.end(time);
        if end <= reached.max(self.closed) {
            return None;
        }
        // Almost always the last window; a scan from the back finds an earlier one soon.
        let behind = self.open.iter().rev().take_while(|other| other.end > end).count();
        let at = self.open.len() - behind;
        let index = match at.checked_sub(1) {
            Some(found) if self.open.get(found).is_some_and(|pane| pane.end == end) => found,
            _ => {
                let empty = || Pane { end, left: VecDeque::new(), right: Vec::new() };
                let pane = self.spare.pop().unwrap_or_else(empty);
                self.open.insert(at, Pane { end, ..pane });
                at
            }
        };
        self.open.get_mut(index)
    }

    /// Adds an item of the left side; `false` if its window has closed.
    pub(super) fn push_left(&mut self, time: Timestamp, reached: Timestamp, item: L) -> bool {
        let Some(pane) = self.pane(time, reached) else {
            return false;
        };
        pane.left.push_back(item);
        self.left += 1;
        true
    }

    /// Adds an item of the right side; `false` if its window has closed.
    pub(super) fn push_right(&mut self, time: Timestamp, reached: Timestamp, item: T) -> bool {
        let Some(pane) = self.pane(time, reached) else {
            return false;
        };
        pane.right.push(Right { item, next: None, matched: false });
        self.right += 1;
        true
    }

    /// The end of the first open window.
    pub(super) fn first_end(&self) -> Option<Timestamp> {
        self.open.front().map(|pane| pane.end)
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing.is_some()
    }
}

impl<L, T, K: Hash + Eq, O> Panes<L, T, K, O> {
    /// Closes the first open window: its rows come next.
    pub(super) fn close(&mut self, mut key: impl FnMut(&T) -> K) {
        let Some(mut pane) = self.open.pop_front() else {
            return;
        };
        self.closed = self.closed.max(pane.end);
        self.keys.clear();
        self.chains.clear();
        self.keys.extend(pane.right.iter().map(|right| key(&right.item)));
        let keys = &self.keys;
        for (index, key) in keys.iter().enumerate() {
            let hash = self.hasher.hash_one(key);
            let is = |chain: &Chain| keys.get(chain.first) == Some(key);
            if let Some(chain) = self.chains.find_mut(hash, is) {
                if let Some(last) = pane.right.get_mut(chain.last) {
                    last.next = Some(index);
                }
                chain.last = index;
            } else {
                let chain = Chain { hash, first: index, last: index };
                self.chains.insert_unique(hash, chain, |chain| chain.hash);
            }
        }
        self.closing = Some((pane, Row::Left));
    }

    /// The next row of the window that closes.
    pub(super) fn next(&mut self, mut key: impl FnMut(&L) -> K) -> Next<O::Out>
    where
        L: Clone,
        T: Clone,
        O: Outcome<L, T>,
    {
        let Some((pane, row)) = &mut self.closing else {
            return Next::Closed;
        };
        // The last instant of the window: not before any watermark that has passed.
        let time = Timestamp::from_nanos(pane.end.as_nanos().saturating_sub(1));
        let found = match row {
            Row::Pair(index) => Some(*index),
            Row::Left => pane.left.front().and_then(|left| {
                let key = key(left);
                let is = |chain: &Chain| self.keys.get(chain.first) == Some(&key);
                self.chains.find(self.hasher.hash_one(&key), is).map(|chain| chain.first)
            }),
            Row::Right(_) => None,
        };
        if let Some(index) = found
            && let Some(right) = pane.right.get_mut(index)
        {
            right.matched = true;
            let next = right.next;
            let left = match next {
                Some(_) => pane.left.front().cloned(),
                None => {
                    self.left -= 1;
                    pane.left.pop_front()
                }
            };
            *row = next.map_or(Row::Left, Row::Pair);
            if let Some(left) = left {
                return Next::Row(time, O::pair(left, right.item.clone()));
            }
        }
        if let Row::Left = row {
            if let Some(left) = pane.left.pop_front() {
                self.left -= 1;
                return O::alone(left).map_or(Next::Alone(true), |out| Next::Row(time, out));
            }
            *row = Row::Right(0);
        }
        while let Row::Right(index) = row
            && let Some(right) = pane.right.get(*index)
        {
            *row = Row::Right(*index + 1);
            if !right.matched {
                let out = O::alone_right(right.item.clone());
                return out.map_or(Next::Alone(false), |out| Next::Row(time, out));
            }
        }
        self.right -= pane.right.len();
        if let Some((mut pane, _)) = self.closing.take() {
            pane.right.clear();
            self.spare.push(pane);
        }
        Next::Closed
    }
}

impl<L, T, K, O> fmt::Debug for Panes<L, T, K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Panes")
            .field("open", &self.open.len())
            .field("left", &self.left)
            .field("right", &self.right)
            .finish_non_exhaustive()
    }
}
