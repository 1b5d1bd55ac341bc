//! The pipeline of a session with Kraken: the books of all pairs, checked by the venue's checksums.

use std::sync::Arc;

use aqueduct::keyed::KeyLimits;
use aqueduct::market::Decimal;
use aqueduct::market::feed::{Feed, Places};
use aqueduct::market::kraken::{Book, BookMessage, Event};
use aqueduct::sink::csv::CsvError;
use aqueduct::{Flow, Overflow, Pipeline, Stage, Timestamp};

use crate::output::Output;
use crate::problems::{self, Problems};
use crate::rows::KrakenRow;

/// The name of the source.
pub const SOURCE: &str = "kraken";
/// The file of the books.
pub const FILE: &str = "kraken_v1_book_top.csv.gz";
/// How many pairs are followed at once.
const PAIRS: usize = 1024;

/// From a session to the top of each book.
pub fn assemble(
    events: Flow<impl Stage<Item = Feed<Event>> + Send + 'static>,
    places: Places,
    out: &Output,
    problems: &Problems,
) -> Result<Pipeline, CsvError> {
    let mut p = Pipeline::new("kraken");
    let venue = p.timed_source(SOURCE, events, received);

    let messages = venue.branch("messages", message, 1024, Overflow::Block);
    let books = messages.keyed(
        KeyLimits::new(PAIRS),
        |(_, message)| message.pair,
        |_| Book::new(),
        |book, (recorded, message)| Some((recorded, book.apply(&message))),
        |_, _, _| None,
    );
    let books = p.stage("books", books);
    let tops = books.branch("tops", |top| Some(*top), 1024, Overflow::Block);
    p.sink("kraken_v1_book_top", tops.map(KrakenRow::from), out.csv_crlf(FILE)?);

    let bad_lines = venue.branch("problems", problems::of_feed, 1024, Overflow::Block);
    let wrong = books.branch("wrong", problems::of_checked(places), 1024, Overflow::Block);
    p.sink("kraken_problems", bad_lines.merge(wrong), problems.sink());
    Ok(p)
}

/// The time of an item; a problem does not move time.
pub fn received(item: &Feed<Event>) -> Timestamp {
    item.as_ref().map_or(Timestamp::MIN, |event| event.received)
}

/// A message for a book, and when it was recorded.
fn message(item: &Feed<Event>) -> Option<(Decimal, Arc<BookMessage>)> {
    let event = item.as_ref().ok()?;
    Some((event.recorded(), event.message.clone()?))
}
