//! [`Session`], and [`Line`]: the sessions of a key.

use std::collections::VecDeque;

/// Items that lie close to each other.
#[derive(Debug)]
pub(super) struct Session<W> {
    /// The times of its earliest and its latest item.
    pub(super) first: i64,
    pub(super) last: i64,
    /// Items since it came out last.
    pub(super) fresh: u32,
    /// Whether it has come out, and is kept for late items.
    pub(super) is_kept: bool,
    pub(super) state: W,
}

/// The sessions of a key in the order of time. There is at least one, and those that are kept for
/// late items come before all that are open.
#[derive(Debug)]
pub(super) struct Line<W> {
    /// Most items are for this one, so it lies where no other memory has to be read.
    pub(super) newest: Session<W>,
    older: VecDeque<Session<W>>,
    /// The entry of the agenda that stands for this key.
    pub(super) armed: i64,
}

impl<W> Line<W> {
    /// One session, and memory for more.
    pub(super) fn new(session: Session<W>, older: VecDeque<Session<W>>) -> Self {
        Self { newest: session, older, armed: i64::MAX }
    }

    pub(super) fn len(&self) -> usize {
        self.older.len() + 1
    }

    pub(super) fn get(&self, at: usize) -> &Session<W> {
        self.older.get(at).unwrap_or(&self.newest)
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut Session<W> {
        self.older.get_mut(at).unwrap_or(&mut self.newest)
    }

    /// How many begin at or before this time.
    pub(super) fn begun(&self, time: i64) -> usize {
        if self.newest.first <= time {
            self.len()
        } else {
            self.older.partition_point(|session| session.first <= time)
        }
    }

    pub(super) fn insert(&mut self, at: usize, session: Session<W>) {
        if at < self.len() {
            self.older.insert(at, session);
        } else {
            self.older.push_back(std::mem::replace(&mut self.newest, session));
        }
    }

    /// Takes one out; `None` if it is the only one.
    pub(super) fn remove(&mut self, at: usize) -> Option<Session<W>> {
        if at < self.older.len() {
            return self.older.remove(at);
        }
        let before = self.older.pop_back()?;
        Some(std::mem::replace(&mut self.newest, before))
    }

    /// The earliest that is open.
    pub(super) fn first_open(&mut self) -> Option<&mut Session<W>> {
        let kept = self.older.partition_point(|session| session.is_kept);
        Some(self.get_mut(kept)).filter(|session| !session.is_kept)
    }

    /// The earliest, if it is kept.
    pub(super) fn first_kept(&self) -> Option<&Session<W>> {
        Some(self.get(0)).filter(|session| session.is_kept)
    }

    /// Those that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = &Session<W>> {
        self.older.iter().chain([&self.newest]).filter(|session| !session.is_kept)
    }

    /// The memory for more sessions.
    pub(super) fn into_memory(self) -> VecDeque<Session<W>> {
        let mut older = self.older;
        older.clear();
        older
    }
}
