//! What a venue sends: [`Trade`], [`Quote`], [`BookMessage`], and [`MarketEvent`] for any of them.

use std::sync::Arc;

use serde::Serialize;

use super::{Price, Quantity, Symbol};
use crate::Timestamp;

/// Who is meant: the one who buys or the one who sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Buys.
    Buy,
    /// Sells.
    Sell,
}

/// One execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trade {
    /// When the message arrived, by the receiver's clock.
    pub received: Timestamp,
    /// When the trade happened, by the venue's clock.
    pub time: Timestamp,
    /// The instrument.
    pub symbol: Symbol,
    /// The venue's number for the trade; consecutive for an instrument.
    pub id: u64,
    /// At what price.
    pub price: Price,
    /// How much of the base asset.
    pub quantity: Quantity,
    /// The side whose order came second and took what was resting in the book.
    pub taker: Side,
}

/// The best bid and the best ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quote {
    /// When the message arrived, by the receiver's clock.
    pub received: Timestamp,
    /// When it became so, by the venue's clock; a spot venue does not say.
    pub time: Option<Timestamp>,
    /// The instrument.
    pub symbol: Symbol,
    /// The state of the book that it describes.
    pub update_id: u64,
    /// The highest price that somebody pays.
    pub bid: Level,
    /// The lowest price that somebody asks.
    pub ask: Level,
}

/// A price in the book, and how much rests there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// How much of the base asset; in a [`DepthUpdate`] zero says that the level is gone.
    pub quantity: Quantity,
}

/// A difference between two states of a book.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DepthUpdate {
    /// The line of the input that it came from, counted from zero over all files.
    pub line: u64,
    /// When the message arrived, by the receiver's clock.
    pub received: Timestamp,
    /// When the venue made the message, by its clock.
    pub time: Timestamp,
    /// The instrument.
    pub symbol: Symbol,
    /// The first change of the book that is contained.
    pub first_id: u64,
    /// The last change of the book that is contained.
    pub last_id: u64,
    /// The `last_id` of the update before this one; only futures venues say.
    pub previous_id: Option<u64>,
    /// Bids that changed, each with what rests there now.
    pub bids: Vec<Level>,
    /// Asks that changed, each with what rests there now.
    pub asks: Vec<Level>,
}

/// A whole book, as far down as the venue shows it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// The line of the input that it came from, counted from zero over all files.
    pub line: u64,
    /// When the message arrived, by the receiver's clock.
    pub received: Timestamp,
    /// The instrument, if the message says: an answer to a request does not repeat it.
    pub symbol: Option<Symbol>,
    /// The last change of the book that is contained.
    pub last_id: u64,
    /// Bids.
    pub bids: Vec<Level>,
    /// Asks.
    pub asks: Vec<Level>,
}

/// What a book is built from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BookMessage {
    /// A difference.
    Update(DepthUpdate),
    /// The whole.
    Snapshot(Snapshot),
}

impl BookMessage {
    /// The line of the input that it came from, counted from zero over all files.
    pub fn line(&self) -> u64 {
        match self {
            Self::Update(update) => update.line,
            Self::Snapshot(snapshot) => snapshot.line,
        }
    }

    /// When the message arrived, by the receiver's clock.
    pub fn received(&self) -> Timestamp {
        match self {
            Self::Update(update) => update.received,
            Self::Snapshot(snapshot) => snapshot.received,
        }
    }

    /// The instrument, if the message says.
    pub fn symbol(&self) -> Option<Symbol> {
        match self {
            Self::Update(update) => Some(update.symbol),
            Self::Snapshot(snapshot) => snapshot.symbol,
        }
    }
}

/// Anything that a venue sends. Cheap to clone: a [`BookMessage`] is shared, the others are small.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MarketEvent {
    /// An execution.
    Trade(Trade),
    /// The best bid and ask.
    Quote(Quote),
    /// A part of a book, or a whole one.
    Book(Arc<BookMessage>),
}

impl MarketEvent {
    /// The trade, if it is one.
    pub fn trade(&self) -> Option<Trade> {
        match self {
            Self::Trade(trade) => Some(*trade),
            _ => None,
        }
    }

    /// The quote, if it is one.
    pub fn quote(&self) -> Option<Quote> {
        match self {
            Self::Quote(quote) => Some(*quote),
            _ => None,
        }
    }

    /// The message for a book, if it is one.
    pub fn book(&self) -> Option<Arc<BookMessage>> {
        match self {
            Self::Book(message) => Some(Arc::clone(message)),
            _ => None,
        }
    }

    /// When the message arrived, by the receiver's clock.
    pub fn received(&self) -> Timestamp {
        match self {
            Self::Trade(trade) => trade.received,
            Self::Quote(quote) => quote.received,
            Self::Book(message) => message.received(),
        }
    }

    /// The instrument, if the message says: only a [`Snapshot`] may not.
    pub fn symbol(&self) -> Option<Symbol> {
        match self {
            Self::Trade(trade) => Some(trade.symbol),
            Self::Quote(quote) => Some(quote.symbol),
            Self::Book(message) => message.symbol(),
        }
    }
}
