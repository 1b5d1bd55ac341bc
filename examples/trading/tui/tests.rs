//! What the pictures show.

use std::time::Duration;

use aqueduct::Timestamp;
use aqueduct::market::feed::ProblemKind;
use aqueduct::market::{Bar, BookState, Level, Quote, Side, Trade};
use aqueduct::pipeline::{Kind, Report, StageReport};
use aqueduct::window::{Firing, Window};
use crossterm::event::KeyEvent;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

use super::draw::{FALL, RISE};
use super::*;

fn level(price: &str, quantity: &str) -> Level {
    Level { price: price.parse().unwrap(), quantity: quantity.parse().unwrap() }
}

fn trade(price: &str, taker: Side) -> Trade {
    Trade {
        received: Timestamp::EPOCH,
        time: Timestamp::from_millis(3_723_004),
        symbol: "BTCUSDT".parse().unwrap(),
        id: 1,
        price: price.parse().unwrap(),
        quantity: "0.25".parse().unwrap(),
        taker,
    }
}

/// A bar of the second `start`: open, high, low, close.
fn bar(start: i64, prices: [&str; 4]) -> Window<Bar> {
    let mut value = Bar::default();
    prices.iter().for_each(|price| value.add(&trade(price, Side::Buy)));
    let [start, end] = [start, start + 1].map(Timestamp::from_secs);
    let firing = Firing::OnTime;
    Window { key: (), start, end, firing, complete: true, partial: false, late: 0, value }
}

fn shown() -> Shown {
    let quote = Quote {
        received: Timestamp::EPOCH,
        time: None,
        symbol: "BTCUSDT".parse().unwrap(),
        update_id: 1,
        bid: level("100.1", "1"),
        ask: level("100.3", "1"),
    };
    Shown {
        bars: [
            bar(1, ["100", "104", "100", "102"]),
            // Nobody traded in the second between.
            bar(3, ["102", "102", "100", "101"]),
        ]
        .into(),
        bar_count: 2,
        tape: [
            (trade("100.2", Side::Sell), None),
            (trade("100.1", Side::Sell), Some(quote)),
            (trade("100.3", Side::Buy), Some(quote)),
        ]
        .into(),
        bids: vec![level("100.1", "1.5"), level("100.0", "4")],
        asks: vec![level("100.3", "2"), level("100.4", "1")],
        book: Some(BookState::Live { last_id: 7 }),
    }
}

/// A source that has given so many items, and edges that have got them.
fn report(elapsed: u64, items: u64) -> Report {
    let stage = |name: String, kind| StageReport {
        name,
        kind,
        items_in: items,
        items_out: items,
        dropped: [("dropped_oldest", 7)].into(),
        held: 12,
        held_high_water: 12,
        capacity: (kind == Kind::Edge).then_some(1024),
        busy: Duration::from_millis(elapsed * 40),
        starved: Duration::ZERO,
        blocked: Duration::from_millis(elapsed * 250),
        watermark: None,
        watermark_lag: None,
    };
    let edges = (1..=20).map(|index| stage(format!("venue.{index}"), Kind::Edge));
    Report {
        pipeline: "trading",
        elapsed: Duration::from_secs(elapsed),
        stages: [stage("venue".into(), Kind::Source)].into_iter().chain(edges).collect(),
    }
}

fn view() -> View {
    let mut view = View::default();
    view.stages.update(report(10, 1_000));
    view.stages.update(report(12, 2_000));
    view
}

fn picture(width: u16, height: u16, shown: &Shown, view: &mut View) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, shown, view)).unwrap();
    terminal.backend().buffer().clone()
}

fn lines(picture: &Buffer) -> Vec<String> {
    let width = usize::from(picture.area.width);
    picture
        .content
        .chunks(width)
        .map(|row| row.iter().map(|cell| cell.symbol()).collect())
        .collect()
}

/// The colours of the cells of a row, where `text` begins.
fn colour_of(picture: &Buffer, text: &str) -> Color {
    let all = lines(picture);
    let (y, at) = (0..).zip(&all).find_map(|(y, line)| Some((y, line.find(text)?))).unwrap();
    let x = all[y][..at].chars().count();
    picture[(x as u16, y as u16)].fg
}

#[test]
fn the_best_ask_is_above_the_spread_and_the_best_bid_below() {
    for (width, height) in [(80, 24), (140, 45)] {
        let picture = picture(width, height, &shown(), &mut view());
        let lines = lines(&picture);
        let row = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
        assert_eq!(row("100.30 2.00"), row("0.20 spread") - 1);
        assert_eq!(row("100.10 1.50"), row("0.20 spread") + 1);
        assert_eq!(row("100.40 1.00"), row("100.30 2.00") - 1);
        assert_eq!(row("100.00 4.00"), row("100.10 1.50") + 1);
        assert_eq!(colour_of(&picture, "100.40 1.00"), FALL);
        assert_eq!(colour_of(&picture, "100.00 4.00"), RISE);
    }
}

#[test]
fn the_bar_of_a_level_is_as_long_as_its_share_of_the_largest() {
    let lines = lines(&picture(80, 24, &shown(), &mut view()));
    let bar = |text: &str| {
        let line = lines.iter().find(|line| line.contains(text)).unwrap();
        line.chars().filter(|part| *part == '█').count()
    };
    let (largest, quarter) = (bar("100.00 4.00"), bar("100.40 1.00"));
    assert!(largest >= 8);
    assert_eq!(quarter, largest / 4);
}

#[test]
fn a_book_with_a_hole_says_so() {
    let gapped = BookState::Gapped { expected: 8, got: 10 };
    let shown = Shown { book: Some(gapped), ..shown() };
    assert!(lines(&picture(80, 24, &shown, &mut view()))[0].contains("gapped"));
}

#[test]
fn candles_have_wick_and_body_and_a_second_without_trades_has_none() {
    let picture = picture(45, 12, &shown(), &mut view());
    let column = |x: u16| -> Vec<(&str, Color)> {
        let cells = (1..8).map(|y| (picture[(x, y)].symbol(), picture[(x, y)].fg));
        cells.filter(|(cell, _)| *cell != " ").collect()
    };
    let axis = " 104.00".len() as u16;
    let last = (0..45 - axis).rev().find(|x| !column(*x).is_empty()).unwrap();
    let (rising, nothing, falling) = (column(last - 2), column(last - 1), column(last));
    assert_eq!(rising.first().unwrap(), &("│", RISE));
    assert_eq!(rising.last().unwrap(), &("┃", RISE));
    assert!(nothing.is_empty());
    assert_eq!(falling.first().unwrap().1, FALL);
    assert!(falling.first().unwrap().0.contains(['╻', '┃', '╽']), "{falling:?}");
    assert!(falling.last().unwrap().0.contains(['│', '╵', '╿']), "{falling:?}");
}

#[test]
fn trades_say_what_they_hit_the_latest_at_the_top() {
    let picture = picture(140, 45, &shown(), &mut view());
    let lines = lines(&picture);
    let row = |text: &str| lines.iter().position(|line| line.contains(text)).unwrap();
    assert_eq!(row("01:02:03.004 100.30 ask 0.25"), 1);
    assert_eq!(row("01:02:03.004 100.10 bid 0.25"), 2);
    assert_eq!(row("01:02:03.004 100.20     0.25"), 3);
    assert_eq!(colour_of(&picture, "100.30 ask"), RISE);
    assert_eq!(colour_of(&picture, "100.10 bid"), FALL);
}

#[test]
fn stages_show_what_the_time_since_the_last_measurement_brought() {
    let lines = lines(&picture(140, 60, &shown(), &mut view()));
    let row = lines.iter().find(|line| line.starts_with("venue.1 ")).unwrap();
    let words: Vec<_> = row.split_whitespace().take(8).collect();
    assert_eq!(words, ["venue.1", "edge", "500", "500", "12/1024", "7", "25%", "4%"]);
    assert!(lines.last().unwrap().starts_with("q quits  00:00:12  2000 messages, 500/s"));
}

#[test]
fn problems_are_counted_by_kind() {
    let foot = |view: &mut View| lines(&picture(80, 24, &shown(), view)).pop().unwrap();
    let mut view = view();
    assert!(foot(&mut view).contains("no problems"));
    view.problems.extend([(ProblemKind::Gap, 2), (ProblemKind::Late, 30)]);
    assert!(foot(&mut view).contains("32 problems: 2 x gap"));
}

#[test]
fn rows_that_do_not_fit_can_be_scrolled_to_and_no_further() {
    let mut view = view();
    assert!(!lines(&picture(80, 24, &shown(), &mut view)).concat().contains("venue.20"));
    view.stages.scroll(1_000);
    let first = lines(&picture(80, 24, &shown(), &mut view));
    assert!(first.concat().contains("venue.20"));
    view.stages.scroll(-1);
    assert!(!lines(&picture(80, 24, &shown(), &mut view)).concat().contains("venue.20"));
}

#[test]
fn no_size_is_too_small() {
    let [widths, heights] = [[0, 1, 9, 30, 50, 80, 140, 400], [0, 1, 2, 3, 7, 15, 24, 100]];
    let narrow = heights.iter().flat_map(|height| (0..40).map(|width| (width, *height)));
    let low = widths.iter().flat_map(|width| (0..20).map(|height| (*width, height)));
    for (width, height) in narrow.chain(low) {
        picture(width, height, &shown(), &mut view());
        picture(width, height, &Shown::default(), &mut View::default());
    }
}

#[test]
fn only_these_keys_quit() {
    let wake = |code, modifiers| Wake::from(Event::Key(KeyEvent::new(code, modifiers)));
    assert_eq!(wake(KeyCode::Char('q'), KeyModifiers::NONE), Wake::Quit);
    assert_eq!(wake(KeyCode::Esc, KeyModifiers::NONE), Wake::Quit);
    assert_eq!(wake(KeyCode::Char('c'), KeyModifiers::CONTROL), Wake::Quit);
    assert_eq!(wake(KeyCode::Char('c'), KeyModifiers::NONE), Wake::Redraw);
    assert_eq!(wake(KeyCode::Down, KeyModifiers::NONE), Wake::Scroll(1));
    assert_eq!(Wake::from(Event::Resize(1, 1)), Wake::Redraw);
}
