//! [`Book`]: the book of one pair, checked by the venue's checksum.

use std::collections::BTreeMap;
use std::fmt::Write;

use flate2::Crc;

use super::{BookMessage, Kind, Level};
use crate::Timestamp;
use crate::market::{Decimal, Symbol};

/// How many levels of each side the checksum is taken over.
const CHECKED: usize = 10;

/// The book of one pair, as deep as the subscription.
///
/// A snapshot replaces all that was known. After an update the levels beyond the depth are forgotten:
/// the venue does not tell when they go, and publishes them again when they are within the depth
/// again. A level that goes and was not there is no fault.
#[derive(Debug, Clone, Default)]
pub struct Book {
    bids: BTreeMap<Decimal, Level>,
    asks: BTreeMap<Decimal, Level>,
    started: bool,
    /// The digits that the checksum is taken over, kept to use their memory again.
    digits: String,
}

/// The best levels of a book after a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Top {
    /// The line of the message.
    pub line: u64,
    /// When the message arrived, by the receiver's clock.
    pub received: Timestamp,
    /// The instrument.
    pub pair: Symbol,
    /// What the message was.
    pub kind: Kind,
    /// The highest bid.
    pub best_bid: Option<Level>,
    /// The lowest ask.
    pub best_ask: Option<Level>,
    /// The checksum that the venue sent.
    pub venue_checksum: Option<u32>,
    /// The checksum of this book.
    pub checksum: u32,
    /// How many bids there are.
    pub bids: usize,
    /// How many asks there are.
    pub asks: usize,
    /// Whether a snapshot has come; without one the book has only what changed since.
    pub started: bool,
}

impl Top {
    /// Whether the book is that of the venue: the venue's checksum, if there is one, says the same.
    pub fn agrees(&self) -> bool {
        self.venue_checksum.is_none_or(|checksum| checksum == self.checksum)
    }
}

impl Book {
    /// A book without levels.
    pub fn new() -> Self {
        Self::default()
    }

    /// Applies a message.
    pub fn apply(&mut self, message: &BookMessage) -> Top {
        if message.kind == Kind::Snapshot {
            self.bids.clear();
            self.asks.clear();
            self.started = true;
        }
        set(&mut self.bids, &message.bids);
        set(&mut self.asks, &message.asks);
        while self.bids.len() > message.depth {
            self.bids.pop_first();
        }
        while self.asks.len() > message.depth {
            self.asks.pop_last();
        }
        Top {
            line: message.line,
            received: message.received,
            pair: message.pair,
            kind: message.kind,
            best_bid: self.best_bid(),
            best_ask: self.best_ask(),
            venue_checksum: message.checksum,
            checksum: self.checksum(),
            bids: self.bids.len(),
            asks: self.asks.len(),
            started: self.started,
        }
    }

    /// The highest bid.
    pub fn best_bid(&self) -> Option<Level> {
        self.bids().next()
    }

    /// The lowest ask.
    pub fn best_ask(&self) -> Option<Level> {
        self.asks().next()
    }

    /// Bids, the highest first.
    pub fn bids(&self) -> impl ExactSizeIterator<Item = Level> + DoubleEndedIterator {
        self.bids.values().rev().copied()
    }

    /// Asks, the lowest first.
    pub fn asks(&self) -> impl ExactSizeIterator<Item = Level> + DoubleEndedIterator {
        self.asks.values().copied()
    }

    /// The CRC-32 of the ten best asks and then the ten best bids, the best first, price and volume of
    /// each as digits: without the point, and without the zeros in front.
    pub fn checksum(&mut self) -> u32 {
        let Self { bids, asks, digits, .. } = self;
        digits.clear();
        let best = asks.values().take(CHECKED).chain(bids.values().rev().take(CHECKED));
        for level in best {
            // The count of the last decimal is just that. A String refuses nothing.
            let _ = write!(digits, "{}{}", level.price.units(), level.volume.units());
        }
        let mut crc = Crc::new();
        crc.update(digits.as_bytes());
        crc.sum()
    }
}

fn set(side: &mut BTreeMap<Decimal, Level>, levels: &[Level]) {
    for level in levels {
        if level.volume.is_zero() {
            side.remove(&level.price);
        } else {
            side.insert(level.price, *level);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(levels: &[(&str, &str)]) -> Vec<Level> {
        let level = |(price, volume): &(&str, &str)| Level {
            price: price.parse().unwrap(),
            volume: volume.parse().unwrap(),
        };
        levels.iter().map(level).collect()
    }

    fn message(
        kind: Kind,
        depth: usize,
        bids: &[(&str, &str)],
        asks: &[(&str, &str)],
    ) -> BookMessage {
        BookMessage {
            line: 0,
            received: Timestamp::EPOCH,
            pair: "A/B".parse().unwrap(),
            depth,
            kind,
            bids: levels(bids),
            asks: levels(asks),
            checksum: None,
        }
    }

    fn prices(levels: impl Iterator<Item = Level>) -> Vec<String> {
        levels.map(|level| level.price.to_string()).collect()
    }

    /// The book, and the checksum that it has, of the venue's documentation.
    #[test]
    fn the_checksum_is_that_of_the_venues_example() {
        let price = |cents: i32| format!("0.{:05}", cents);
        let asks: Vec<String> = (0..10).map(|n| price(5_005 + 5 * n)).collect();
        // Without 0.04985.
        let bids: Vec<String> = (0..11).filter(|n| *n != 3).map(|n| price(5_000 - 5 * n)).collect();
        let side = |prices: &[String]| -> Vec<Level> {
            let level = |price: &String| levels(&[(price, "0.00000500")])[0];
            prices.iter().map(level).collect()
        };
        let mut snapshot = message(Kind::Snapshot, 100, &[], &[]);
        (snapshot.bids, snapshot.asks) = (side(&bids), side(&asks));
        let mut book = Book::new();
        assert_eq!(book.apply(&snapshot).checksum, 974_947_235);
        // Levels beyond the tenth do not count.
        let more = message(Kind::Update, 100, &[("0.00001", "9")], &[("9.00000", "9")]);
        assert_eq!(book.apply(&more).checksum, 974_947_235);
        let best = message(Kind::Update, 100, &[("0.05001", "1")], &[]);
        assert_ne!(book.apply(&best).checksum, 974_947_235);
    }

    #[test]
    fn levels_beyond_the_depth_are_forgotten() {
        let mut book = Book::new();
        let asks = [("1.1", "1"), ("1.2", "1"), ("1.3", "1")];
        book.apply(&message(Kind::Snapshot, 3, &[("1.0", "1"), ("0.9", "1")], &asks));
        let better = [("1.05", "1"), ("1.06", "1")];
        let top = book.apply(&message(Kind::Update, 3, &[], &better));
        assert_eq!(prices(book.asks()), ["1.05", "1.06", "1.1"]);
        assert_eq!((top.bids, top.asks), (2, 3));
        // What had been beyond does not come back by itself.
        book.apply(&message(Kind::Update, 3, &[], &[("1.05", "0"), ("1.3", "2")]));
        assert_eq!(prices(book.asks()), ["1.06", "1.1", "1.3"]);
    }

    #[test]
    fn within_a_message_the_last_word_counts() {
        let mut book = Book::new();
        book.apply(&message(Kind::Snapshot, 10, &[("5.0", "1")], &[]));
        let changes = [("5.0", "0.0"), ("5.1", "1"), ("5.0", "3"), ("5.1", "0"), ("7", "0")];
        let top = book.apply(&message(Kind::Update, 10, &changes, &[]));
        assert_eq!(top.best_bid, Some(levels(&[("5.0", "3")])[0]));
        assert_eq!((top.bids, top.best_ask), (1, None));
    }

    #[test]
    fn a_snapshot_replaces_what_was_known_and_a_book_without_one_says_so() {
        let mut book = Book::new();
        let top = book.apply(&message(Kind::Update, 10, &[("5", "1")], &[]));
        assert!(!top.started);
        let top = book.apply(&message(Kind::Snapshot, 10, &[("4", "1")], &[]));
        assert!(top.started);
        assert_eq!(prices(book.bids()), ["4"]);
    }

    #[test]
    fn a_book_disagrees_only_with_a_checksum_that_is_another() {
        let mut book = Book::new();
        let mut update = message(Kind::Update, 10, &[("5", "1")], &[]);
        assert!(book.apply(&update).agrees());
        update.checksum = Some(book.checksum());
        assert!(book.apply(&update).agrees());
        update.checksum = update.checksum.map(|checksum| checksum ^ 1);
        assert!(!book.apply(&update).agrees());
    }
}
