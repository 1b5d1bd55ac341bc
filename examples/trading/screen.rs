//! What the view shows: filled by the pipeline, read by whoever draws.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aqueduct::market::{Bar, BookEvent, BookMessage, BookState, Level, OrderBook, Quote, Trade};
use aqueduct::window::Window;

/// How many bars, trades and levels of a side are kept.
const BARS: usize = 240;
const TRADES: usize = 64;
const LEVELS: usize = 24;
/// The bars that the view shows.
const SHOWN: Duration = Duration::from_secs(1);

/// The state of the view; `None` in a run without one, which then costs nothing. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Screen(Option<Arc<Mutex<Shown>>>);

/// What there is to see.
#[derive(Debug, Default)]
pub struct Shown {
    /// Bars of one second, the latest last.
    pub bars: VecDeque<Window<Bar>>,
    /// Bars so far: tells a reader what is new.
    pub bar_count: u64,
    /// Trades, the latest last, each with the quote that it met.
    pub tape: VecDeque<(Trade, Option<Quote>)>,
    /// Bids, the highest first.
    pub bids: Vec<Level>,
    /// Asks, the lowest first.
    pub asks: Vec<Level>,
    /// Whether the book can be trusted.
    pub book: Option<BookState>,
}

fn keep<T>(items: &mut VecDeque<T>, item: T, most: usize) {
    if items.len() == most {
        items.pop_front();
    }
    items.push_back(item);
}

impl Screen {
    /// A screen that somebody looks at.
    pub fn visible() -> Self {
        Self(Some(Arc::default()))
    }

    /// What there is to see now.
    pub fn read(&self) -> Option<MutexGuard<'_, Shown>> {
        self.0.as_ref().map(|shown| shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn update(&self, update: impl FnOnce(&mut Shown)) {
        if let Some(mut shown) = self.read() {
            update(&mut shown);
        }
    }

    /// Takes the bars, if they are those that are shown.
    pub fn bars(&self, length: Duration) -> impl FnMut(&Window<Bar>) + Send + use<> {
        let screen = if length == SHOWN { self.clone() } else { Self::default() };
        move |bar| {
            screen.update(|shown| {
                keep(&mut shown.bars, *bar, BARS);
                shown.bar_count += 1;
            });
        }
    }

    /// Takes the trades.
    pub fn tape(&self) -> impl FnMut(&(Trade, Option<Quote>)) + Send + use<> {
        let screen = self.clone();
        move |pair| screen.update(|shown| keep(&mut shown.tape, *pair, TRADES))
    }

    /// Builds a book, for which at most `capacity` updates wait, and takes its best levels.
    pub fn book(
        &self,
        capacity: usize,
    ) -> impl FnMut(Arc<BookMessage>) -> Vec<BookEvent> + Send + use<> {
        let screen = self.clone();
        let mut book = OrderBook::new(capacity);
        move |message| {
            let mut events = Vec::new();
            book.apply(&message, &mut |event| events.push(event));
            screen.update(|shown| {
                shown.book = Some(book.state());
                shown.bids.clear();
                shown.bids.extend(book.bids().take(LEVELS));
                shown.asks.clear();
                shown.asks.extend(book.asks().take(LEVELS));
            });
            events
        }
    }
}
