//! The pipeline of Binance, or of the simulated venue.

use std::time::Duration;

use aqueduct::aggregate::{Aggregate, ema_events, ema_half_life, last};
use aqueduct::market::feed::{self, Feed, Places};
use aqueduct::market::{
    Bar, BookEvent, Faults, Notional, Ohlcv, Quote, QuoteStats, TickRule, Trade, Volume,
};
use aqueduct::pipeline::Node;
use aqueduct::sink::csv::CsvError;
use aqueduct::window::{AsOf, Empty, Rolling, Windows};
use aqueduct::{Fail, Flow, Overflow, Pipeline, Stage};

use crate::output::Output;
use crate::problems::{self, Problems};
use crate::rows::{
    AnswerRow, AsOfRow, Averaged, BarRow, BookRow, DeliveredRow, FilledRow, QuoteRow, RollingRow,
    SecondRow, StaleRow,
};
use crate::screen::Screen;
use crate::sections::Sections;

/// The name of the source.
pub const SOURCE: &str = "venue";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
/// How far trades may come out of order before one is too late for its bar.
const DISORDER: Duration = Duration::from_secs(1);
/// For how many seconds of silence the last quote is told again.
const A_DAY: u32 = 24 * 60 * 60;
/// How much of the base asset fills a bar.
const FIVE: Volume = Volume::from_units(5 * 100_000_000);
/// How much of the quote asset fills a bar.
const QUARTER_MILLION: Notional = Notional::from_units(250_000 * 10_000_000_000_000_000);
/// How many items wait on an edge.
const EDGE: usize = 1024;

/// The names of the files that are written in any case.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    bars_1s: &'static str,
    bars_1m: &'static str,
    book_top: &'static str,
    as_of: &'static str,
}

impl Names {
    /// Without `--all`.
    pub const SHORT: Self = Self {
        bars_1s: "bars_1s.csv",
        bars_1m: "bars_1m.csv",
        book_top: "book_top.csv",
        as_of: "asof.csv",
    };
    /// With `--all`.
    pub const LONG: Self = Self {
        bars_1s: "bars_1s_spot_btcusdt.csv",
        bars_1m: "bars_1m_spot_btcusdt.csv",
        book_top: "book_top_spot_btcusdt.csv.gz",
        as_of: "asof_spot_local.csv.gz",
    };
}

/// From a venue's feed to bars, the top of the book, and trades with the quotes that they met; and,
/// if `all`, everything else that can be said.
pub fn assemble(
    events: Flow<impl Stage<Item = Feed> + Send + 'static>,
    places: Places,
    all: bool,
    screen: &Screen,
    out: &Output,
    problems: &Problems,
) -> Result<Pipeline, CsvError> {
    let mut p = Pipeline::new("trading");
    let venue = p.timed_source(SOURCE, events, feed::received);
    let names = if all { Names::LONG } else { Names::SHORT };

    for (name, file, length) in
        [("bars_1s", names.bars_1s, SECOND), ("bars_1m", names.bars_1m, MINUTE)]
    {
        let trades = venue.branch(name, feed::trade, EDGE, Overflow::Block);
        let bars = trades.event_time(|trade| trade.time, DISORDER).tumbling(length, Ohlcv).values();
        let bars = bars.inspect(problems.late("trades")).inspect(screen.bars(length));
        p.sink(name, bars.map(BarRow::from), out.csv(file)?);
    }

    let depth = venue.branch("depth", feed::book, 4096, Fail);
    let book = p.stage("book", depth.flat_map_iter(screen.book(4096)));
    let top = book.branch("top", BookEvent::top, EDGE, Overflow::Block);
    p.sink("book_top", top.map(BookRow::from), out.csv_crlf(names.book_top)?);

    let trades = venue.timed_branch("trades", feed::trade, EDGE, Overflow::Block);
    let quotes = venue.timed_branch("quotes", feed::quote, EDGE, Overflow::Latest);
    let tape = trades.as_of(quotes, AsOf::backward()).values().inspect(screen.tape());
    p.sink("asof", tape.scan_map(TickRule::default(), AsOfRow::next), out.csv(names.as_of)?);

    let bad_lines = venue.branch("problems", problems::of_feed, EDGE, Overflow::Block);
    let gaps = book.branch("gaps", problems::of_book(places), EDGE, Overflow::Block);
    p.sink("problems", bad_lines.merge(gaps), problems.sink());

    if all {
        trades_in_full(&mut p, &venue, out, problems)?;
        quotes_in_full(&mut p, &venue, out, problems)?;
        faults(&mut p, &venue, out)?;
    }
    Ok(p)
}

/// What else trades tell.
fn trades_in_full(
    p: &mut Pipeline,
    venue: &Node<Feed>,
    out: &Output,
    problems: &Problems,
) -> Result<(), CsvError> {
    let trades = |name| {
        let trades = venue.branch(name, feed::trade, EDGE, Overflow::Block);
        trades.event_time(|trade| trade.time, DISORDER)
    };

    let bars = trades("bars_tick100").count_windows(100, Ohlcv).values().map(FilledRow::from);
    p.sink("bars_tick100", bars, out.csv("bars_tick100_spot_btcusdt.csv")?);

    let volume = |trade: &Trade| Volume::from(trade.quantity);
    let bars = trades("bars_vol5").threshold(FIVE, volume, Ohlcv).values().map(FilledRow::from);
    p.sink("bars_vol5", bars, out.csv("bars_vol5_spot_btcusdt.csv")?);

    let value = |trade: &Trade| trade.price * trade.quantity;
    let bars = trades("bars_dollar250k").threshold(QUARTER_MILLION, value, Ohlcv).values();
    let bars = bars.map(FilledRow::from);
    p.sink("bars_dollar250k", bars, out.csv("bars_dollar250k_spot_btcusdt.csv")?);

    let windows = trades("sliding_10s_1s").hopping(10 * SECOND, SECOND, Ohlcv).values();
    let windows = windows.inspect(problems.late("trades")).map(BarRow::from);
    p.sink("sliding_10s_1s", windows, out.csv("sliding_10s_1s_spot_btcusdt.csv")?);

    let trades = venue.branch("rolling_ema", feed::trade, EDGE, Overflow::Block);
    let price = |trade: &Trade| trade.price.to_f64();
    let averages = (ema_events(price, 20), ema_half_life(price, SECOND));
    let ten_seconds = Rolling::time(10 * SECOND).at_most(1 << 20);
    let rolled = trades
        .event_time(|trade| trade.received, MINUTE)
        .rolling(Rolling::all(), averages)
        .rolling(ten_seconds, Ohlcv.of(|(trade, _): &Averaged| *trade))
        .with_late()
        .values()
        .filter_map(problems.in_time("trade"))
        .event_time(|((trade, _), _)| trade.time, MINUTE)
        .rolling(ten_seconds, Ohlcv.of(|((trade, _), _): &(Averaged, Bar)| *trade))
        .with_late()
        .values()
        .filter_map(problems.in_time("trade"));
    p.sink("rolling_ema", rolled.map(RollingRow::new), out.csv("rolling_ema_spot_btcusdt.csv.gz")?);
    Ok(())
}

/// What quotes tell.
fn quotes_in_full(
    p: &mut Pipeline,
    venue: &Node<Feed>,
    out: &Output,
    problems: &Problems,
) -> Result<(), CsvError> {
    let quotes = |name| {
        let quotes = venue.branch(name, feed::quote, EDGE, Overflow::Block);
        // Spot quotes have no time of their own.
        quotes.event_time(|quote| quote.received, Duration::ZERO)
    };

    let windows = Windows::tumbling(SECOND).empty(Empty::Carry).most_empty(A_DAY);
    let seconds = quotes("quote_stats_1s").windows(windows, QuoteStats).values();
    // Of a second that is not over nobody knows how long its last quote holds.
    let seconds = seconds.inspect(problems.late("quotes")).filter(|second| second.complete);
    let file = "quote_stats_1s_spot_btcusdt.csv";
    p.sink("quote_stats_1s", seconds.map(SecondRow::from), out.csv(file)?);

    let update = last(|quote: &Quote| quote.update_id);
    let tenths =
        quotes("quote_conflate100ms").tumbling(Duration::from_millis(100), update).values();
    let tenths = tenths.inspect(problems.late("quotes")).filter_map(QuoteRow::of);
    p.sink("quote_conflate100ms", tenths, out.csv("quote_conflate100ms_spot_btcusdt.csv")?);

    let quotes = venue.branch("quote_stale", feed::quote, EDGE, Overflow::Block);
    let silences = quotes.silences(Duration::from_millis(500), |quote| quote.received);
    let rows = silences.map(StaleRow::from);
    p.sink("quote_stale", rows, out.csv("quote_stale_spot_btcusdt.csv")?);
    Ok(())
}

/// The trades over an unreliable line, and what its receiver says.
fn faults(p: &mut Pipeline, venue: &Node<Feed>, out: &Output) -> Result<(), CsvError> {
    let id = |item: &Feed| feed::trade(item).map(|trade| trade.id);
    let ids = venue.branch("ids", id, EDGE, Overflow::Block);
    let line = p.stage("unreliable_line", ids.step(Faults::default()));

    let delivered = line.branch("delivered", |id| Some(*id), EDGE, Overflow::Block);
    let rows = delivered.map(DeliveredRow::from);
    p.sink("faults_delivered", rows, out.csv("faults_delivered.csv")?);

    let naive = line.branch("naive", |id| Some(*id), EDGE, Overflow::Block);
    let naive = naive.detect_gaps(|id| *id).filter_map(AnswerRow::naive);
    let resequenced = line.branch("resequenced", |id| Some(*id), EDGE, Overflow::Block);
    // However long it takes: what is missing is given up only when too many wait behind it.
    let resequenced = resequenced.resequence(16, Duration::MAX, |id| *id).counting_items();
    let resequenced = resequenced.with_old().filter_map(AnswerRow::resequenced);
    let answers = naive.merge(resequenced).step(Sections::default());
    p.sink("faults_answers", answers, out.csv("faults_answers.csv")?);
    Ok(())
}
