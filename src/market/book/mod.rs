//! [`OrderBook`]: a venue's book, built from a snapshot and the differences that follow.

mod event;
mod fit;
mod ladder;

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;

pub use event::{BookEvent, TopOfBook};

use self::fit::Fit;
use self::ladder::Ladder;
use super::{BookMessage, DepthUpdate, Level, Side, Snapshot};

/// The book of one instrument.
///
/// It starts empty, and updates wait until a snapshot comes; then those that the snapshot contains
/// are dropped and the others applied. A hole in the ids makes the book stand still: updates wait
/// again until a snapshot comes that they continue. At most `capacity` wait; then the oldest is
/// dropped, and a snapshot must be newer.
///
/// The ids of a spot venue count every change: an update applies if it starts at most one past what
/// the book has, and ends past it. On a futures venue, which says `previous_id`, the first update
/// after a snapshot has `first_id ≤ snapshot ≤ last_id` or follows the snapshot, and `previous_id` of
/// each after it is the `last_id` of the one before. The source is "How to manage a local order book
/// correctly" in the venue's documentation of its diff depth streams, spot and futures.
///
/// A message costs no allocation, apart from the growth of the book and of the queue.
///
/// ```
/// use std::sync::Arc;
/// use aqueduct::Timestamp;
/// use aqueduct::market::{BookEvent, BookState, OrderBook, binance};
///
/// let mut book = OrderBook::new(1_024);
/// let mut best = Vec::new();
/// for (line, json) in [
///     r#"{"e":"depthUpdate","E":1,"s":"X","U":8,"u":9,"b":[],"a":[]}"#,
///     r#"{"e":"depthUpdate","E":2,"s":"X","U":10,"u":11,"b":[["99","0"]],"a":[]}"#,
///     r#"{"lastUpdateId":9,"bids":[["99","1"],["98","2"]],"asks":[["101","1"]]}"#,
/// ].into_iter().enumerate() {
///     let event = binance::decode(line as u64, Timestamp::EPOCH, json.as_bytes())?;
///     book.apply(&event.book().unwrap(), &mut |event| {
///         if let BookEvent::Top(top) = event {
///             best.push(top.best_bid.unwrap().price.to_string());
///         }
///     });
/// }
/// assert_eq!(best, ["98.00000000"]); // the first update was in the snapshot
/// assert_eq!(book.state(), BookState::Live { last_id: 11 });
/// # Ok::<(), binance::DecodeError>(())
/// ```
#[derive(Debug, Clone)]
pub struct OrderBook {
    bids: Ladder,
    asks: Ladder,
    state: BookState,
    /// Whether the book contains a snapshot and no update after it.
    fresh: bool,
    /// Updates that arrived while the book was not live; empty while it is.
    waiting: VecDeque<Arc<BookMessage>>,
    capacity: usize,
    overflowed: u64,
}

/// Whether a book can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BookState {
    /// Nothing came yet.
    Empty,
    /// Updates wait for the first snapshot.
    Buffering,
    /// The book is that of the venue.
    Live {
        /// The last change that it contains.
        last_id: u64,
    },
    /// An update is lost. The book is that of the venue before the hole; what came later waits for
    /// a snapshot.
    Gapped {
        /// The id that continues the book.
        expected: u64,
        /// The id that came in its place.
        got: u64,
    },
}

impl OrderBook {
    /// An empty book, for which at most `capacity` updates wait.
    ///
    /// A venue sends an update every 100 ms and answers a request for a snapshot within seconds.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        let site = Location::caller();
        assert!(capacity > 0, "OrderBook: the capacity must not be zero, at {site}");
        Self {
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            state: BookState::Empty,
            fresh: false,
            waiting: VecDeque::new(),
            capacity,
            overflowed: 0,
        }
    }

    /// Takes a message of the book's instrument and hands what happens to `emit`, in order. A
    /// snapshot can cause many events: one for each update that waited for it.
    pub fn apply(&mut self, message: &Arc<BookMessage>, emit: &mut impl FnMut(BookEvent)) {
        match (&**message, self.state) {
            (BookMessage::Update(update), BookState::Live { last_id }) => {
                if !self.advance(update, last_id, emit) {
                    self.wait(message, emit);
                }
            }
            (BookMessage::Update(_), state) => {
                if state == BookState::Empty {
                    self.state = BookState::Buffering;
                }
                self.wait(message, emit);
            }
            (BookMessage::Snapshot(snapshot), BookState::Live { last_id })
                if snapshot.last_id <= last_id =>
            {
                emit(BookEvent::SnapshotIgnored { line: snapshot.line, last_id: snapshot.last_id });
            }
            (BookMessage::Snapshot(snapshot), _) => self.sync(snapshot, emit),
        }
    }

    /// Applies `update` if it comes next; `false` if it does not fit, and has to wait.
    fn advance(
        &mut self,
        update: &DepthUpdate,
        last_id: u64,
        emit: &mut impl FnMut(BookEvent),
    ) -> bool {
        match Fit::of(update, last_id, self.fresh) {
            Fit::Stale => emit(stale(update)),
            Fit::Next => {
                update.bids.iter().for_each(|level| self.bids.set(*level));
                update.asks.iter().for_each(|level| self.asks.set(*level));
                self.fresh = false;
                self.state = BookState::Live { last_id: update.last_id };
                emit(BookEvent::Top(self.top(update)));
            }
            Fit::Gap { expected, got } => {
                self.state = BookState::Gapped { expected, got };
                let line = update.line;
                emit(BookEvent::Gapped { line, expected, got });
                return false;
            }
        }
        true
    }

    fn wait(&mut self, message: &Arc<BookMessage>, emit: &mut impl FnMut(BookEvent)) {
        if self.waiting.len() == self.capacity
            && let Some(oldest) = self.waiting.pop_front()
            && let BookMessage::Update(oldest) = &*oldest
        {
            self.overflowed += 1;
            emit(BookEvent::Overflowed { line: oldest.line, last_id: oldest.last_id });
        }
        self.waiting.push_back(Arc::clone(message));
    }

    /// Takes a snapshot over, if what waits continues it.
    fn sync(&mut self, snapshot: &Snapshot, emit: &mut impl FnMut(BookEvent)) {
        let Snapshot { line, last_id, .. } = *snapshot;
        while let Some(first) = self.waiting.front()
            && let BookMessage::Update(update) = &**first
        {
            match Fit::of(update, last_id, true) {
                Fit::Stale => {
                    emit(stale(update));
                    self.waiting.pop_front();
                }
                Fit::Next => break,
                Fit::Gap { .. } => {
                    let needed = Fit::needed(update);
                    return emit(BookEvent::SnapshotTooOld { line, last_id, needed });
                }
            }
        }
        self.bids.replace(&snapshot.bids);
        self.asks.replace(&snapshot.asks);
        self.fresh = true;
        self.state = BookState::Live { last_id };
        emit(BookEvent::Synced { line, last_id });
        while let BookState::Live { last_id } = self.state
            && let Some(first) = self.waiting.pop_front()
            && let BookMessage::Update(update) = &*first
        {
            if !self.advance(update, last_id, emit) {
                self.waiting.push_front(first);
            }
        }
    }

    fn top(&self, update: &DepthUpdate) -> TopOfBook {
        TopOfBook {
            line: update.line,
            received: update.received,
            time: update.time,
            first_id: update.first_id,
            last_id: update.last_id,
            best_bid: self.bids.best(),
            best_ask: self.asks.best(),
            bids: self.bids.len(),
            asks: self.asks.len(),
        }
    }

    /// Whether the levels can be trusted.
    pub fn state(&self) -> BookState {
        self.state
    }

    /// Bids, the highest first. While the book is not live they are the last that were known.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = Level> + DoubleEndedIterator {
        self.bids.iter()
    }

    /// Asks, the lowest first. While the book is not live they are the last that were known.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = Level> + DoubleEndedIterator {
        self.asks.iter()
    }

    /// The best `levels` of each side, bids and asks, the best first.
    pub fn depth(
        &self,
        levels: usize,
    ) -> (impl ExactSizeIterator<Item = Level>, impl ExactSizeIterator<Item = Level>) {
        (self.bids().take(levels), self.asks().take(levels))
    }

    /// How many updates wait for a snapshot.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many updates were dropped because too many waited.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }
}

fn stale(update: &DepthUpdate) -> BookEvent {
    BookEvent::Stale { line: update.line, last_id: update.last_id }
}

#[cfg(test)]
mod tests;
