//! A feed: what comes from a venue, good or bad, in one flow.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BookMessage, DecodeError, MarketEvent, Quote, Symbol, Trade, binance, kraken};
use crate::Timestamp;
use crate::source::{Line, Origin, Place, ReplayError};

/// An item of a venue's feed: an event, or what was wrong with a line. Nothing is left out.
pub type Feed<E = MarketEvent> = Result<E, Problem>;

/// Something in a feed that is not a market event.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The recording itself is damaged.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A line that cannot be decoded.
    #[error("{place}: {error}")]
    Decode {
        /// The line.
        place: Place,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// An event of another instrument than the one that is followed.
    #[error("{place}: an event of {symbol}, but {followed} is followed")]
    OtherSymbol {
        /// The line.
        place: Place,
        /// Its instrument.
        symbol: Symbol,
        /// The instrument that is followed.
        followed: Symbol,
    },
}

impl Problem {
    /// A name to count it under.
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Replay(ReplayError::Open { .. }) => ProblemKind::CannotOpen,
            Self::Replay(ReplayError::Read { .. }) => ProblemKind::CutOff,
            Self::Replay(ReplayError::NoTime { .. }) => ProblemKind::NoTime,
            Self::Replay(ReplayError::Backwards { .. }) => ProblemKind::Backwards,
            Self::Decode { error: DecodeError::NotJson { .. }, .. } => ProblemKind::NotJson,
            Self::Decode { error: DecodeError::UnknownKind { .. }, .. } => ProblemKind::UnknownKind,
            Self::Decode { .. } => ProblemKind::BadField,
            Self::OtherSymbol { .. } => ProblemKind::OtherSymbol,
        }
    }
}

/// The kinds of [`Problem`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// A file that cannot be opened.
    CannotOpen,
    /// A file that cannot be read to its end.
    CutOff,
    /// A line without a receive time.
    NoTime,
    /// A line that was received before the one above it; it is used all the same.
    Backwards,
    /// A line that is not JSON.
    NotJson,
    /// A message of a kind that is not decoded.
    UnknownKind,
    /// A field that is missing or wrong.
    BadField,
    /// An event of another instrument.
    OtherSymbol,
    /// A gap in the updates of a book.
    Gap,
    /// A snapshot that ends before the updates that wait for it begin.
    SnapshotTooOld,
    /// An update that was dropped because too many waited for a snapshot.
    Overflowed,
    /// A trade or a quote that came too late for the window that it belongs to.
    Late,
    /// A book whose checksum is not the one that the venue sent. A new snapshot heals it: subscribe
    /// again.
    Checksum,
    /// An update of a book of which no snapshot has come.
    NoSnapshot,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CannotOpen => "file that cannot be opened",
            Self::CutOff => "file that is cut off",
            Self::NoTime => "line without a receive time",
            Self::Backwards => "line with a time that runs backwards",
            Self::NotJson => "line that is not JSON",
            Self::UnknownKind => "message of an unknown kind",
            Self::BadField => "message with a bad field",
            Self::OtherSymbol => "event of another symbol",
            Self::Gap => "gap in the order book",
            Self::SnapshotTooOld => "snapshot that is too old",
            Self::Overflowed => "update dropped while the book waited for a snapshot",
            Self::Late => "event too late for its window",
            Self::Checksum => "book that differs from the venue's checksum",
            Self::NoSnapshot => "update of a book without a snapshot",
        })
    }
}

/// Decodes the lines of a Binance recording, and follows the first instrument that comes.
///
/// ```
/// use aqueduct::market::feed::Decoder;
///
/// let recording = aqueduct::source::replay(std::iter::empty::<&str>())?;
/// let mut decoder = Decoder::binance();
/// let feed = recording.decode(move |line| decoder.decode(line));
/// # let _ = feed;
/// # Ok::<(), aqueduct::source::ReplayError>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    followed: Option<Symbol>,
    seen: Seen,
}

impl Decoder {
    /// A decoder for the wire format of Binance, spot and futures.
    pub fn binance() -> Self {
        Self::default()
    }

    /// Where lines stand, for messages about events that know only the index of theirs.
    pub fn places(&self) -> Places {
        self.seen.places.clone()
    }

    /// The event in a line, or what is wrong with it.
    pub fn decode(&mut self, line: Result<Line, ReplayError>) -> Feed {
        let Line { received, text, place, .. } = line?;
        self.seen.note(&place);
        let event = match binance::decode(place.index, received, &text) {
            Ok(event) => event,
            Err(error) => return Err(Problem::Decode { place, error }),
        };
        // A snapshot does not say of what it is; it answers a request for what is followed.
        if let Some(symbol) = event.symbol() {
            let followed = *self.followed.get_or_insert(symbol);
            if followed != symbol {
                return Err(Problem::OtherSymbol { place, symbol, followed });
            }
        }
        Ok(event)
    }
}

/// Decodes the lines of a recorded session with Kraken: the books of all pairs.
///
/// ```
/// use aqueduct::market::feed::KrakenDecoder;
///
/// let recording = aqueduct::source::replay(std::iter::empty::<&str>())?;
/// let mut decoder = KrakenDecoder::new();
/// let feed = recording.decode(move |line| decoder.decode(line));
/// # let _ = feed;
/// # Ok::<(), aqueduct::source::ReplayError>(())
/// ```
#[derive(Debug, Default)]
pub struct KrakenDecoder {
    seen: Seen,
}

impl KrakenDecoder {
    /// A decoder for the WebSocket API, version 1.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where lines stand, for messages about events that know only the index of theirs.
    pub fn places(&self) -> Places {
        self.seen.places.clone()
    }

    /// The event in a line, or what is wrong with it. What the client sent is an event without a
    /// message.
    pub fn decode(&mut self, line: Result<Line, ReplayError>) -> Feed<kraken::Event> {
        let line = line?;
        self.seen.note(&line.place);
        let (received, decimals) = (line.received, line.decimals);
        let message = match line.origin {
            Origin::Received => kraken::decode(line.place.index, received, &line.text),
            Origin::Sent | Origin::Connected | Origin::Answered => Ok(None),
        };
        match message {
            Ok(message) => Ok(kraken::Event { received, decimals, message: message.map(Arc::new) }),
            Err(error) => Err(Problem::Decode { place: line.place, error }),
        }
    }
}

/// Notes where files begin.
#[derive(Debug, Default)]
struct Seen {
    places: Places,
    file: Option<Arc<Path>>,
}

impl Seen {
    fn note(&mut self, place: &Place) {
        if self.file.as_ref().is_none_or(|file| !Arc::ptr_eq(file, &place.file)) {
            self.places.begin(place);
            self.file = Some(place.file.clone());
        }
    }
}

/// Which lines stand in which file. Clones share what is known.
#[derive(Debug, Clone, Default)]
pub struct Places(Arc<Mutex<Vec<Place>>>);

impl Places {
    /// The first line of a file that has come.
    fn begin(&self, place: &Place) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(place.clone());
    }

    /// Where the line with this index stands, if it has come.
    pub fn find(&self, index: u64) -> Option<Place> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = places.iter().rev().find(|place| place.index <= index)?;
        Some(Place { index, number: first.number + (index - first.index), ..first.clone() })
    }
}

/// The trade in an item of a feed, if it is one. This and its neighbours route a feed.
pub fn trade(item: &Feed) -> Option<Trade> {
    item.as_ref().ok()?.trade()
}

/// The quote in an item of a feed, if it is one.
pub fn quote(item: &Feed) -> Option<Quote> {
    item.as_ref().ok()?.quote()
}

/// The message for a book in an item of a feed, if it is one.
pub fn book(item: &Feed) -> Option<Arc<BookMessage>> {
    item.as_ref().ok()?.book()
}

/// The time of an item on the receiver's clock; a problem does not move time.
pub fn received(item: &Feed) -> Timestamp {
    item.as_ref().map_or(Timestamp::MIN, MarketEvent::received)
}

/// The problem in an item of a feed, if it is one.
pub fn problem<E>(item: &Feed<E>) -> Option<&Problem> {
    item.as_ref().err()
}
