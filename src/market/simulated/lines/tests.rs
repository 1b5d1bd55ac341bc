use super::*;
use crate::market::{
    BookEvent, BookMessage, BookState, Level, MarketEvent, OrderBook, Price, Quantity, Symbol,
    binance,
};
use proptest::prelude::*;

fn decoded(index: usize, line: &WireLine) -> MarketEvent {
    binance::decode(index as u64, line.received, line.json.as_bytes()).unwrap()
}

/// Plays `count` lines of `venue` into a book and holds every message against the exchange.
fn check(venue: SimulatedVenue, count: usize) {
    let mut lines = venue.lines();
    let mut book = OrderBook::new(16);
    let mut before = Timestamp::MIN;
    let mut tops = 0;
    let mut trade_id = 0;
    let mut next_first_id = lines.first_id;
    for index in 0..count {
        let line = lines.next().unwrap();
        assert!(line.received > before);
        before = line.received;
        let event = decoded(index, &line);
        if let Some(trade) = event.trade() {
            trade_id += 1;
            assert_eq!(trade.id, trade_id);
            assert!(trade.time <= trade.received);
        }
        if let Some(quote) = event.quote() {
            assert!(quote.bid.price < quote.ask.price);
            assert!(!quote.bid.quantity.is_zero() && !quote.ask.quantity.is_zero());
            assert_eq!(quote.update_id, lines.exchange.update_id);
            assert_eq!(level(&lines, lines.exchange.best_bid()), Some(quote.bid));
            assert_eq!(level(&lines, lines.exchange.best_ask()), Some(quote.ask));
        }
        let Some(message) = event.book() else {
            continue;
        };
        if let BookMessage::Update(update) = &*message {
            assert_eq!(update.first_id, next_first_id);
            next_first_id = update.last_id + 1;
        }
        book.apply(&message, &mut |event| match event {
            BookEvent::Top(top) if top.line == index as u64 => {
                tops += 1;
                assert_eq!(top.last_id, lines.exchange.update_id);
                assert_eq!(top.best_bid, level(&lines, lines.exchange.best_bid()));
                assert_eq!(top.best_ask, level(&lines, lines.exchange.best_ask()));
                assert_eq!(top.bids, lines.exchange.bids.levels.len());
                assert_eq!(top.asks, lines.exchange.asks.levels.len());
            }
            BookEvent::Top(_) | BookEvent::Synced { .. } | BookEvent::Stale { .. } => {}
            other => panic!("{other:?}"),
        });
    }
    assert!(matches!(book.state(), BookState::Live { .. }));
    assert!(tops > 0);
}

fn level(lines: &WireLines, resting: Option<Resting>) -> Option<Level> {
    resting.map(|(price, quantity)| Level {
        price: lines.wire.price(price),
        quantity: lines.wire.quantity(quantity),
    })
}

#[test]
fn a_book_built_from_the_lines_is_that_of_the_venue() {
    check(SimulatedVenue::new(1), 3_000);
}

#[test]
fn the_snapshot_comes_late_and_ends_within_an_update_that_waits() {
    let mut book = OrderBook::new(16);
    let mut seen = Vec::new();
    for (index, line) in SimulatedVenue::new(5).lines().take(200).enumerate() {
        if let Some(message) = decoded(index, &line).book() {
            let waiting = book.waiting();
            book.apply(&message, &mut |event| match event {
                BookEvent::Stale { .. } => seen.push("stale"),
                BookEvent::Synced { .. } => seen.push("synced"),
                BookEvent::Top(_) if waiting > 0 => seen.push("waited"),
                _ => {}
            });
        }
    }
    assert_eq!(seen, ["stale", "stale", "synced", "waited", "waited"]);
}

#[test]
fn the_defaults_give_some_hundred_messages_a_second_of_every_kind() {
    let start = Timestamp::from_secs(1_700_000_000);
    let end = start + Duration::from_secs(20);
    let [mut trades, mut quotes, mut books] = [0; 3];
    for (index, line) in SimulatedVenue::new(9).lines().enumerate() {
        if line.received > end {
            break;
        }
        match decoded(index, &line) {
            MarketEvent::Trade(_) => trades += 1,
            MarketEvent::Quote(_) => quotes += 1,
            MarketEvent::Book(_) => books += 1,
        }
    }
    // 199 updates and the snapshot.
    assert_eq!(books, 200);
    let per_second = (trades + quotes + books) / 20;
    assert!((100..300).contains(&per_second), "{per_second}");
    assert!((15..60).contains(&(trades / 20)), "{trades} trades");
}

#[test]
fn the_same_seed_gives_the_same_lines_and_another_gives_others() {
    let lines = |seed| SimulatedVenue::new(seed).lines().take(300);
    assert!(lines(4).eq(lines(4)));
    assert!(lines(4).ne(lines(5)));
}

#[test]
fn settings_reach_the_messages() {
    let start = Timestamp::from_secs(1_000);
    let symbol: Symbol = "ETHBTC".parse().unwrap();
    let venue = SimulatedVenue::new(2)
        .symbol(symbol)
        .starting_at(start)
        .start_price("0.05".parse().unwrap())
        .tick_size("0.00001".parse().unwrap())
        .lot_size("0.5".parse().unwrap())
        .levels(20)
        .orders_per_second(50)
        .market_orders_per_second(0)
        .latency(Duration::from_millis(80));
    for (index, line) in venue.lines().take(200).enumerate() {
        assert!(line.received >= start + Duration::from_millis(80));
        let event = decoded(index, &line);
        assert_eq!(event.trade(), None);
        let Some(quote) = event.quote() else { continue };
        assert_eq!(quote.symbol, symbol);
        assert!((4_000_000..6_000_000).contains(&quote.bid.price.units()));
        assert_eq!(quote.bid.price.units() % 1_000, 0);
        assert_eq!(quote.ask.quantity.units() % 50_000_000, 0);
    }
}

#[test]
fn a_line_is_written_as_in_a_recording() {
    let line = SimulatedVenue::new(2).lines().next().unwrap();
    let text = line.to_string();
    let (nanos, json) = text.split_once(' ').unwrap();
    assert_eq!(nanos.parse(), Ok(line.received.as_nanos()));
    assert_eq!(json, line.json);
}

#[test]
#[should_panic(expected = "SimulatedVenue: the rate of orders must not be zero, at src/market")]
fn a_venue_without_orders_is_refused() {
    let _ = SimulatedVenue::new(0).orders_per_second(0).lines();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn every_venue_agrees_with_itself(
        seed: u64,
        levels in 1_usize..60,
        orders in 100_u32..1_000,
        market_orders in 0_u32..200,
        ticks in 2_i64..1_000,
    ) {
        let venue = SimulatedVenue::new(seed)
            .tick_size(Price::from_units(7))
            .start_price(Price::from_units(ticks * 7))
            .lot_size(Quantity::from_units(3))
            .levels(levels)
            .orders_per_second(orders)
            .market_orders_per_second(market_orders);
        check(venue, 600);
    }
}
