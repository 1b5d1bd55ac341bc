//! The demo over the recorded session of the neighbouring folder `../shared`: its files are those
//! that independent programs computed, byte for byte.

mod common;

use std::path::Path;
use std::sync::OnceLock;

use common::shared::{answer, assert_same, shared};
use common::{Outcome, assert_adds_up, gunzip, replay, stage};

/// The whole session, which takes a few seconds: run once.
fn whole_session(shared: &Path) -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let data = shared.join("data/binance-spot-btcusdt");
        let files = ["btcusdt_20240808.gz", "btcusdt_20240809.gz"].map(|name| data.join(name));
        replay(&[&files[0], &files[1]], &["--strict"])
    })
}

#[test]
fn the_recorded_session_gives_the_expected_files_byte_for_byte() {
    let Some(shared) = shared() else { return };
    let outcome = whole_session(&shared);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    for (file, expected) in [
        ("bars_1s.csv", "bars_1s_spot_btcusdt.csv"),
        ("bars_1m.csv", "bars_1m_spot_btcusdt.csv"),
        ("book_top.csv", "book_top_spot_btcusdt.csv.gz"),
        ("asof.csv", "asof_spot_local.csv.gz"),
    ] {
        assert_same(file, outcome.file(file), &answer(&shared, expected));
    }
}

#[test]
fn the_report_accounts_for_every_message_of_the_session() {
    let Some(shared) = shared() else { return };
    let report = whole_session(&shared).report();
    assert_adds_up(&report);
    assert_eq!(report["messages"], 99_574);
    assert_eq!(report["problems"].as_object().unwrap().len(), 0);
    assert!(report["elapsed_s"].as_f64().unwrap() > 0.0);
    assert!(report["messages_per_s"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        let peak = report["peak_rss_bytes"].as_u64().unwrap();
        assert!((1 << 20..100 << 20).contains(&peak), "{peak} bytes resident");
    }
    for (name, items) in [
        ("venue", 99_574),
        ("venue.bars_1s", 19_904),
        ("venue.bars_1m", 19_904),
        ("venue.trades", 19_904),
        ("venue.quotes", 73_174),
        ("venue.depth", 6_495 + 1),
        ("venue.problems", 0),
        ("book", 6_496),
        ("book.top", 6_493),
        ("book.gaps", 0),
    ] {
        let row = stage(&report, name);
        assert_eq!((&row["in"], &row["held"]), (&items.into(), &0.into()), "{row:#}");
        if row["kind"] == "edge" {
            assert_eq!(row["dropped"].as_object().unwrap().len(), 0, "a replay is lossless");
        }
    }
    for (name, rows) in [("bars_1s", 645), ("bars_1m", 12), ("book_top", 6_493), ("asof", 19_904)] {
        assert_eq!(stage(&report, name)["out"], rows);
    }
}

#[test]
fn the_beginning_of_the_session_gives_the_beginning_of_its_files() {
    let Some(shared) = shared() else { return };
    let whole = whole_session(&shared);
    for (fixture, messages) in
        [("btcusdt_spot_60s.jsonl.gz", 7_341), ("btcusdt_spot_120s.jsonl.gz", 13_753)]
    {
        let file = shared.join("data/demo-fixture").join(fixture);
        let part = replay(&[&file], &["--strict"]);
        assert_eq!(part.code, Some(0), "{}", part.stderr);
        assert_eq!(part.report()["messages"], messages);
        assert_adds_up(&part.report());
        for name in ["book_top.csv", "asof.csv"] {
            assert!(part.rows(name).len() > 500);
            assert!(whole.file(name).starts_with(part.file(name)), "{fixture}: {name}");
        }
        for name in ["bars_1s.csv", "bars_1m.csv"] {
            let rows = part.rows(name);
            let (flushed, closed) = rows.split_last().unwrap();
            assert_eq!(closed, &whole.rows(name)[..closed.len()], "{fixture}: {name}");
            assert!(flushed.ends_with(",0"), "the last bar was not complete: {flushed}");
            assert!(closed.iter().all(|row| row.ends_with(",1")));
        }
    }
}

#[test]
fn the_live_clock_at_200_times_its_speed_gives_the_same_files_as_virtual_time() {
    let Some(shared) = shared() else { return };
    let file = shared.join("data/demo-fixture/btcusdt_spot_60s.jsonl.gz");
    let max = replay(&[&file], &["--speed", "max"]);
    let fast = replay(&[&file], &["--speed", "200"]);
    assert_eq!(fast.code, Some(0), "{}", fast.stderr);
    for name in ["bars_1s.csv", "bars_1m.csv", "book_top.csv", "asof.csv"] {
        assert_same(name, fast.file(name), max.file(name));
    }
    assert_adds_up(&fast.report());
    let elapsed = fast.report()["elapsed_s"].as_f64().unwrap();
    assert!(elapsed >= 59.0 / 200.0, "60 s of feed took {elapsed} s: nobody waited");
}

#[test]
fn the_session_ends_after_the_seconds_that_were_asked_for() {
    let Some(shared) = shared() else { return };
    let file = shared.join("data/demo-fixture/btcusdt_spot_120s.jsonl.gz");
    let part = replay(&[&file], &["--seconds", "2.5"]);
    assert_eq!(part.code, Some(0), "{}", part.stderr);
    let text = String::from_utf8(gunzip(&std::fs::read(&file).unwrap())).unwrap();
    let time = |line: &str| line.split(' ').next().unwrap().parse::<i64>().unwrap();
    let first = text.lines().next().map(time).unwrap();
    let within = text.lines().filter(|line| time(line) < first + 2_500_000_000).count();
    assert_eq!(part.report()["messages"], within);
}
