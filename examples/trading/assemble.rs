//! The pipeline.

use std::time::Duration;

use aqueduct::market::feed::{self, Feed, Places};
use aqueduct::market::{BookEvent, Ohlcv, TickRule};
use aqueduct::sink::csv::CsvError;
use aqueduct::window::AsOf;
use aqueduct::{Fail, Flow, Overflow, Pipeline, Stage};

use crate::output::Output;
use crate::problems::{self, Problems};
use crate::rows::{AsOfRow, BarRow, BookRow};
use crate::screen::Screen;

/// The name of the source.
pub const SOURCE: &str = "venue";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// How far trades may come out of order before one is too late for its bar.
const DISORDER: Duration = Duration::from_secs(1);

/// From a venue's feed to bars, the top of the book, and trades with the quotes that they met.
pub fn assemble(
    events: Flow<impl Stage<Item = Feed> + Send + 'static>,
    places: Places,
    screen: &Screen,
    out: &Output,
    problems: &Problems,
) -> Result<Pipeline, CsvError> {
    let mut p = Pipeline::new("trading");
    let venue = p.timed_source(SOURCE, events, feed::received);

    for (name, length) in [("bars_1s", SECOND), ("bars_1m", MINUTE)] {
        let trades = venue.branch(name, feed::trade, 1024, Overflow::Block);
        let bars = trades.event_time(|trade| trade.time, DISORDER).tumbling(length, Ohlcv).values();
        let bars = bars.inspect(problems.late()).inspect(screen.bars(length));
        p.sink(name, bars.map(BarRow::from), out.csv(name)?);
    }

    let depth = venue.branch("depth", feed::book, 4096, Fail);
    let book = p.stage("book", depth.flat_map_iter(screen.book(4096)));
    let top = book.branch("top", BookEvent::top, 1024, Overflow::Block);
    p.sink("book_top", top.map(BookRow::from), out.csv_crlf("book_top")?);

    let trades = venue.timed_branch("trades", feed::trade, 1024, Overflow::Block);
    let quotes = venue.timed_branch("quotes", feed::quote, 1024, Overflow::Latest);
    let tape = trades.as_of(quotes, AsOf::backward()).values().inspect(screen.tape());
    p.sink("asof", tape.scan_map(TickRule::default(), AsOfRow::next), out.csv("asof")?);

    let bad_lines = venue.branch("problems", problems::of_feed, 1024, Overflow::Block);
    let gaps = book.branch("gaps", problems::of_book(places), 1024, Overflow::Block);
    p.sink("problems", bad_lines.merge(gaps), problems.sink());
    Ok(p)
}
