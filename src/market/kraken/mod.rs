//! The order books of Kraken: messages of the channel `book` of its WebSocket API, version 1.
//!
//! A message is `[channel id, sides…, "book-<depth>", "<pair>"]`. The first of a pair has the whole
//! book, in `as` and `bs`; those after it have the levels that changed, in `a`, `b` or both, and in `c`
//! a checksum of what the book is then. Each level is `["<price>","<volume>","<time>"]`, with an `"r"`
//! behind if it was published before and comes again because it is within the depth again. The sources
//! are the venue's pages "WebSockets API 1.9", channel `book`, and "Spot Websockets (v1) Book
//! Checksum".
//!
//! Each pair has decimals of its own, and the checksum is taken over the digits as they are written;
//! so numbers are [`Decimal`] here.
//!
//! ```
//! use aqueduct::Timestamp;
//! use aqueduct::market::kraken::{self, Book};
//!
//! let snapshot = br#"[0,{"as":[["0.05005","0.5","1"]],"bs":[["0.05000","2","1"]]},"book-10","X/Y"]"#;
//! let update = br#"[0,{"b":[["0.05001","1.5","2"]],"c":"1"},"book-10","X/Y"]"#;
//! let mut book = Book::new();
//! for (line, json) in [&snapshot[..], update].into_iter().enumerate() {
//!     let message = kraken::decode(line as u64, Timestamp::EPOCH, json)?.unwrap();
//!     book.apply(&message);
//! }
//! assert_eq!(book.best_bid().unwrap().price.to_string(), "0.05001");
//! # Ok::<(), aqueduct::market::DecodeError>(())
//! ```

mod book;
mod decode;

pub use book::{Book, Top};
pub use decode::{BookMessage, Kind, Level, decode};

use std::sync::Arc;

use crate::Timestamp;
use crate::market::Decimal;

/// A line of a recorded session. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was received or sent.
    pub received: Timestamp,
    /// How many decimals of a second the recorder wrote for that.
    pub decimals: u8,
    /// The message for a book, if it is one.
    pub message: Option<Arc<BookMessage>>,
}

impl Event {
    /// The time as the recorder wrote it, in seconds.
    pub fn recorded(&self) -> Decimal {
        let coarser = 10_i128.pow(9 - u32::from(self.decimals.min(9)));
        let units = i128::from(self.received.as_nanos()) / coarser;
        Decimal::new(units, self.decimals.min(9)).unwrap_or_default()
    }
}
