use std::collections::BTreeMap;

use super::*;
use crate::Timestamp;
use crate::market::{Price, Quantity};
use proptest::prelude::*;

fn level(price: i64, quantity: i64) -> Level {
    Level { price: Price::from_units(price), quantity: Quantity::from_units(quantity.into()) }
}

/// A spot update whose line is its first id.
fn update(first_id: u64, last_id: u64, bids: &[(i64, i64)]) -> Arc<BookMessage> {
    Arc::new(BookMessage::Update(DepthUpdate {
        line: first_id,
        received: Timestamp::EPOCH,
        time: Timestamp::EPOCH,
        symbol: "X".parse().unwrap(),
        first_id,
        last_id,
        previous_id: None,
        bids: bids.iter().map(|&(p, q)| level(p, q)).collect(),
        asks: vec![],
    }))
}

/// A futures update whose line is its first id.
fn futures(previous_id: u64, first_id: u64, last_id: u64) -> Arc<BookMessage> {
    let BookMessage::Update(update) = &*update(first_id, last_id, &[]) else {
        unreachable!();
    };
    Arc::new(BookMessage::Update(DepthUpdate { previous_id: Some(previous_id), ..update.clone() }))
}

/// A snapshot with one bid; its line is its last id.
fn snapshot(last_id: u64) -> Arc<BookMessage> {
    Arc::new(BookMessage::Snapshot(Snapshot {
        line: last_id,
        received: Timestamp::EPOCH,
        symbol: None,
        last_id,
        bids: vec![level(100, 1)],
        asks: vec![],
    }))
}

/// What a message makes happen, in a short form.
fn apply(book: &mut OrderBook, message: &Arc<BookMessage>) -> Vec<String> {
    let mut events = Vec::new();
    book.apply(message, &mut |event| {
        events.push(match event {
            BookEvent::Top(top) => format!("top {}", top.last_id),
            BookEvent::Synced { last_id, .. } => format!("synced {last_id}"),
            BookEvent::Gapped { expected, got, .. } => format!("gap {expected} {got}"),
            BookEvent::SnapshotTooOld { needed, .. } => format!("old, needs {needed}"),
            BookEvent::SnapshotIgnored { last_id, .. } => format!("ignored {last_id}"),
            BookEvent::Stale { last_id, .. } => format!("stale {last_id}"),
            BookEvent::Overflowed { last_id, .. } => format!("overflowed {last_id}"),
        });
    });
    events
}

#[test]
fn updates_wait_for_the_snapshot_and_those_it_contains_are_dropped() {
    let mut book = OrderBook::new(8);
    assert_eq!(book.state(), BookState::Empty);
    for (first, last) in [(1, 3), (4, 6), (7, 9)] {
        assert!(apply(&mut book, &update(first, last, &[])).is_empty());
    }
    assert_eq!(book.state(), BookState::Buffering);
    let events = apply(&mut book, &snapshot(4));
    assert_eq!(events, ["stale 3", "synced 4", "top 6", "top 9"]);
    assert_eq!(apply(&mut book, &update(10, 10, &[])), ["top 10"]);
}

#[test]
fn a_snapshot_may_end_right_before_the_first_update_but_not_earlier() {
    let mut book = OrderBook::new(8);
    apply(&mut book, &update(5, 6, &[]));
    assert_eq!(apply(&mut book, &snapshot(3)), ["old, needs 4"]);
    assert_eq!(book.state(), BookState::Buffering);
    assert_eq!(apply(&mut book, &snapshot(4)), ["synced 4", "top 6"]);
}

#[test]
fn a_snapshot_may_come_first() {
    let mut book = OrderBook::new(8);
    assert_eq!(apply(&mut book, &snapshot(4)), ["synced 4"]);
    assert_eq!(apply(&mut book, &update(2, 4, &[])), ["stale 4"]);
    assert_eq!(apply(&mut book, &update(3, 6, &[])), ["top 6"]);
}

#[test]
fn a_hole_stops_the_book_until_a_snapshot_covers_it() {
    let mut book = OrderBook::new(8);
    apply(&mut book, &snapshot(4));
    apply(&mut book, &update(5, 5, &[(101, 1)]));
    let gap = BookState::Gapped { expected: 6, got: 7 };
    assert_eq!(apply(&mut book, &update(7, 8, &[(102, 1)])), ["gap 6 7"]);
    assert_eq!(book.state(), gap);
    assert_eq!(book.bids().next(), Some(level(101, 1)));
    assert!(apply(&mut book, &update(9, 9, &[])).is_empty());
    assert_eq!(apply(&mut book, &snapshot(5)), ["old, needs 6"]);
    assert_eq!(book.state(), gap);
    let events = apply(&mut book, &snapshot(7));
    assert_eq!(events, ["synced 7", "top 8", "top 9"]);
    assert_eq!(book.bids().next(), Some(level(102, 1)));
}

#[test]
fn a_hole_among_waiting_updates_is_found_when_they_are_applied() {
    let mut book = OrderBook::new(8);
    for (first, last) in [(5, 5), (7, 7), (8, 8)] {
        apply(&mut book, &update(first, last, &[]));
    }
    assert_eq!(apply(&mut book, &snapshot(4)), ["synced 4", "top 5", "gap 6 7"]);
    assert_eq!(book.waiting(), 2);
    assert_eq!(apply(&mut book, &snapshot(8)), ["stale 7", "stale 8", "synced 8"]);
    assert_eq!(book.waiting(), 0);
}

#[test]
fn a_live_book_takes_only_snapshots_that_are_newer() {
    let mut book = OrderBook::new(8);
    apply(&mut book, &snapshot(4));
    apply(&mut book, &update(5, 6, &[(101, 1)]));
    assert_eq!(apply(&mut book, &snapshot(6)), ["ignored 6"]);
    assert_eq!(book.bids().len(), 2);
    assert_eq!(apply(&mut book, &snapshot(8)), ["synced 8"]);
    assert_eq!(book.bids().len(), 1);
    assert_eq!(apply(&mut book, &update(7, 7, &[])), ["stale 7"]);
    assert_eq!(apply(&mut book, &update(8, 9, &[])), ["top 9"]);
}

#[test]
fn the_oldest_waiting_update_makes_room_and_is_counted() {
    let mut book = OrderBook::new(2);
    apply(&mut book, &update(1, 1, &[]));
    apply(&mut book, &update(2, 2, &[]));
    assert_eq!(apply(&mut book, &update(3, 3, &[])), ["overflowed 1"]);
    assert_eq!((book.waiting(), book.overflowed()), (2, 1));
    assert_eq!(apply(&mut book, &snapshot(0)), ["old, needs 1"]);
    assert_eq!(apply(&mut book, &snapshot(1)), ["synced 1", "top 2", "top 3"]);
}

#[test]
fn futures_chain_by_the_id_of_the_update_before() {
    let mut book = OrderBook::new(8);
    for (previous, first, last) in [(1, 3, 5), (5, 8, 10), (10, 14, 15)] {
        apply(&mut book, &futures(previous, first, last));
    }
    // Ends in the second: the first is dropped although its last id is only one short.
    assert_eq!(apply(&mut book, &snapshot(9)), ["stale 5", "synced 9", "top 10", "top 15"]);
    assert_eq!(apply(&mut book, &futures(15, 20, 21)), ["top 21"]);
    assert_eq!(apply(&mut book, &futures(10, 14, 15)), ["stale 15"]);
    assert_eq!(apply(&mut book, &futures(23, 24, 25)), ["gap 21 23"]);
}

#[test]
fn a_futures_snapshot_may_end_with_an_update_or_between_two() {
    let mut book = OrderBook::new(8);
    apply(&mut book, &futures(5, 8, 10));
    apply(&mut book, &futures(10, 14, 15));
    let mut other = book.clone();
    assert_eq!(apply(&mut book, &snapshot(10)), ["synced 10", "top 10", "top 15"]);

    assert_eq!(apply(&mut other, &snapshot(4)), ["old, needs 5"]);
    assert_eq!(apply(&mut other, &snapshot(5)), ["synced 5", "top 10", "top 15"]);
}

#[test]
fn a_quantity_of_zero_deletes_and_a_level_that_is_not_there_is_no_fault() {
    let mut book = OrderBook::new(8);
    apply(&mut book, &snapshot(4));
    let changes = [(100, 0), (77, 0), (99, 3), (98, 1), (99, 4)];
    apply(&mut book, &update(5, 5, &changes));
    let (bids, asks) = book.depth(5);
    assert_eq!(bids.collect::<Vec<_>>(), [level(99, 4), level(98, 1)]);
    assert_eq!(asks.len(), 0);
}

#[test]
#[should_panic(expected = "OrderBook: the capacity must not be zero, at src/market/book/tests.rs")]
fn a_book_without_room_for_updates_is_refused() {
    let _ = OrderBook::new(0);
}

/// A side as the slowest correct program would keep it.
type Side = BTreeMap<i64, i64>;

/// What a venue had after each change, and the messages about it.
#[derive(Debug, Default)]
struct Venue {
    /// By id: the book after the change of that id.
    states: Vec<(Side, Side)>,
    messages: Vec<Arc<BookMessage>>,
}

fn levels(side: &Side) -> impl DoubleEndedIterator<Item = Level> {
    side.iter().map(|(price, quantity)| level(*price, *quantity))
}

#[derive(Debug, Clone)]
enum Step {
    /// Changes (is bid, price, quantity) that make one update, and whether it is lost.
    Update(Vec<(bool, i64, i64)>, bool),
    /// A snapshot of so many changes ago.
    Snapshot(usize),
    /// The last message again.
    Again,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let change = (any::<bool>(), 0_i64..30, 0_i64..4);
    let update = (prop::collection::vec(change, 1..5), prop::bool::weighted(0.1));
    prop::collection::vec(
        prop_oneof![
            10 => update.prop_map(|(changes, lost)| Step::Update(changes, lost)),
            2 => (0_usize..30).prop_map(Step::Snapshot),
            1 => Just(Step::Again),
        ],
        0..80,
    )
}

impl Venue {
    fn play(steps: Vec<Step>, futures: bool) -> Self {
        let mut venue = Self::default();
        venue.states.push((Side::new(), Side::new()));
        let mut previous_id = 0;
        for step in steps {
            let line = venue.messages.len() as u64;
            match step {
                Step::Update(changes, lost) => {
                    let first_id = venue.states.len() as u64;
                    let (mut bids, mut asks) = (vec![], vec![]);
                    for (bid, price, quantity) in changes {
                        let (mut b, mut a) = venue.states[venue.states.len() - 1].clone();
                        let side = if bid { &mut b } else { &mut a };
                        match quantity {
                            0 => side.remove(&price),
                            quantity => side.insert(price, quantity),
                        };
                        let side = if bid { &mut bids } else { &mut asks };
                        side.push(level(price, quantity));
                        venue.states.push((b, a));
                    }
                    let last_id = venue.states.len() as u64 - 1;
                    if !lost {
                        venue.messages.push(Arc::new(BookMessage::Update(DepthUpdate {
                            line,
                            received: Timestamp::EPOCH,
                            time: Timestamp::EPOCH,
                            symbol: "X".parse().unwrap(),
                            first_id,
                            last_id,
                            previous_id: futures.then_some(previous_id),
                            bids,
                            asks,
                        })));
                    }
                    previous_id = last_id;
                }
                Step::Snapshot(ago) => {
                    let last_id = (venue.states.len() - 1).saturating_sub(ago);
                    let (bids, asks) = &venue.states[last_id];
                    venue.messages.push(Arc::new(BookMessage::Snapshot(Snapshot {
                        line,
                        received: Timestamp::EPOCH,
                        symbol: None,
                        last_id: last_id as u64,
                        bids: levels(bids).rev().collect(),
                        asks: levels(asks).collect(),
                    })));
                }
                Step::Again => venue.messages.extend(venue.messages.last().cloned()),
            }
        }
        venue
    }
}

proptest! {
    #[test]
    fn a_live_book_is_that_of_the_venue(
        mut steps in steps(),
        futures: bool,
        capacity in 1_usize..40,
    ) {
        // A snapshot of the present always heals.
        steps.push(Step::Snapshot(0));
        let venue = Venue::play(steps, futures);
        let mut book = OrderBook::new(capacity);
        let mut updates = 0;
        let mut settled = 0;
        for message in &venue.messages {
            updates += usize::from(matches!(**message, BookMessage::Update(_)));
            let mut tops = Vec::new();
            book.apply(message, &mut |event| match event {
                BookEvent::Top(top) => tops.push(top),
                BookEvent::Stale { .. } | BookEvent::Overflowed { .. } => settled += 1,
                _ => {}
            });
            settled += tops.len();
            for top in tops {
                let (bids, asks) = &venue.states[top.last_id as usize];
                prop_assert_eq!(top.best_bid, levels(bids).next_back());
                prop_assert_eq!(top.best_ask, levels(asks).next());
                prop_assert_eq!((top.bids, top.asks), (bids.len(), asks.len()));
            }
            if let BookState::Live { last_id } = book.state() {
                let (bids, asks) = &venue.states[last_id as usize];
                prop_assert!(book.bids().eq(levels(bids).rev()));
                prop_assert!(book.asks().eq(levels(asks)));
                prop_assert_eq!(book.waiting(), 0);
            }
            // Every update was applied, dropped and told, or waits.
            prop_assert_eq!(settled + book.waiting(), updates);
            prop_assert!(book.waiting() <= capacity);
        }
        let last_id = venue.states.len() as u64 - 1;
        prop_assert_eq!(book.state(), BookState::Live { last_id });
    }

    #[test]
    fn spot_goes_on_exactly_while_nothing_is_missing(
        ids in prop::collection::vec((1_u64..4, prop::bool::weighted(0.1)), 1..40),
    ) {
        let mut book = OrderBook::new(64);
        apply(&mut book, &snapshot(0));
        let (mut next, mut lost_any) = (1, false);
        for (length, lost) in ids {
            let message = update(next, next + length - 1, &[]);
            next += length;
            lost_any |= lost;
            if !lost {
                let live = { apply(&mut book, &message); matches!(book.state(), BookState::Live { .. }) };
                prop_assert_eq!(live, !lost_any);
            }
        }
    }
}
