//! `trading --all` over the recorded sessions of the neighbouring folder `../shared`: every file is the
//! one that independent programs computed.

mod common;

use std::path::Path;
use std::sync::OnceLock;

use common::shared::{answer, assert_same, shared};
use common::{Files, Outcome, assert_adds_up, gunzip, replay, stage};

const FILES: [&str; 15] = [
    "asof_spot_local.csv.gz",
    "bars_1m_spot_btcusdt.csv",
    "bars_1s_spot_btcusdt.csv",
    "bars_dollar250k_spot_btcusdt.csv",
    "bars_tick100_spot_btcusdt.csv",
    "bars_vol5_spot_btcusdt.csv",
    "book_top_spot_btcusdt.csv.gz",
    "faults_answers.csv",
    "faults_delivered.csv",
    KRAKEN,
    "quote_conflate100ms_spot_btcusdt.csv",
    "quote_stale_spot_btcusdt.csv",
    "quote_stats_1s_spot_btcusdt.csv",
    "rolling_ema_spot_btcusdt.csv.gz",
    "sliding_10s_1s_spot_btcusdt.csv",
];
const KRAKEN: &str = "kraken_v1_book_top.csv.gz";
const KRAKEN_SESSION: &str = "data/cryptofeed-sessions/KRAKEN.ws.50.0.gz";

/// Both sessions in one run, with the file of one between those of the other. Takes a few seconds.
fn everything(shared: &Path) -> &'static Outcome {
    static OUTCOME: OnceLock<Outcome> = OnceLock::new();
    OUTCOME.get_or_init(|| {
        let binance = shared.join("data/binance-spot-btcusdt");
        let files = [
            binance.join("btcusdt_20240808.gz"),
            shared.join(KRAKEN_SESSION),
            binance.join("btcusdt_20240809.gz"),
        ];
        replay(&files.each_ref().map(|file| &**file), &["--all", "--strict"])
    })
}

/// The file is that of the answers, byte for byte.
#[track_caller]
fn exact(name: &str) {
    let Some(shared) = shared() else { return };
    assert_same(name, everything(&shared).file(name), &answer(&shared, name));
}

#[test]
fn bars_of_a_second() {
    exact("bars_1s_spot_btcusdt.csv");
}

#[test]
fn bars_of_a_minute() {
    exact("bars_1m_spot_btcusdt.csv");
}

#[test]
fn bars_of_a_hundred_trades() {
    exact("bars_tick100_spot_btcusdt.csv");
}

#[test]
fn bars_of_five_coins() {
    exact("bars_vol5_spot_btcusdt.csv");
}

#[test]
fn bars_of_a_quarter_million() {
    exact("bars_dollar250k_spot_btcusdt.csv");
}

#[test]
fn windows_of_ten_seconds_every_second() {
    exact("sliding_10s_1s_spot_btcusdt.csv");
}

/// The averages are binary fractions; what they are made of is compared as text.
#[test]
fn rolling_statistics_exactly_and_averages_within_1e_9() {
    let name = "rolling_ema_spot_btcusdt.csv.gz";
    let Some(shared) = shared() else { return };
    let (got, expected) = (everything(&shared).file(name), answer(&shared, name));
    assert_eq!(got.lines().count(), expected.lines().count());
    assert_eq!(got.lines().next(), expected.lines().next());
    for (got, expected) in got.lines().zip(expected.lines()).skip(1) {
        let [got, expected] = [got, expected].map(|row| row.split(',').collect::<Vec<_>>());
        assert_eq!((got[0], &got[3..]), (expected[0], &expected[3..]));
        for column in 1..3 {
            let [got, expected] = [&got, &expected].map(|row| row[column].parse::<f64>().unwrap());
            assert!(((got - expected) / expected).abs() < 1e-9, "{got} is not {expected}");
        }
    }
}

#[test]
fn trades_with_their_quotes_and_signs() {
    exact("asof_spot_local.csv.gz");
}

#[test]
fn the_top_of_the_book_after_each_diff() {
    exact("book_top_spot_btcusdt.csv.gz");
}

#[test]
fn the_books_of_kraken_with_the_checksums_of_the_venue() {
    exact(KRAKEN);
}

#[test]
fn statistics_of_quotes_for_each_second() {
    exact("quote_stats_1s_spot_btcusdt.csv");
}

#[test]
fn the_last_quote_of_each_tenth_of_a_second() {
    exact("quote_conflate100ms_spot_btcusdt.csv");
}

#[test]
fn silences_of_the_quotes() {
    exact("quote_stale_spot_btcusdt.csv");
}

#[test]
fn what_an_unreliable_line_delivers() {
    exact("faults_delivered.csv");
}

#[test]
fn what_a_gap_detector_and_a_resequencer_say() {
    exact("faults_answers.csv");
}

#[test]
fn there_is_a_file_for_each_answer_and_no_other() {
    let Some(shared) = shared() else { return };
    let outcome = everything(&shared);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let answers = std::fs::read_dir(shared.join("oracles")).unwrap();
    let mut answers: Vec<_> =
        answers.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    answers.retain(|name| name.contains(".csv"));
    answers.sort();
    assert_eq!(answers, FILES);
    answers.push("report.json".into());
    answers.sort();
    assert_eq!(outcome.files.keys().collect::<Vec<_>>(), answers.iter().collect::<Vec<_>>());
}

#[test]
fn the_report_accounts_for_the_messages_of_both_venues() {
    let Some(shared) = shared() else { return };
    let report = everything(&shared).report();
    assert_adds_up(&report);
    assert_eq!(report["messages"], 99_574 + 4_323);
    assert_eq!(report["problems"].as_object().unwrap().len(), 0);
    for (name, items) in [
        ("venue", 99_574),
        ("kraken", 4_323),
        ("kraken.messages", 4_279),
        ("books", 4_279),
        ("books.wrong", 0),
        ("unreliable_line", 20_089),
    ] {
        assert_eq!(stage(&report, name)["in"], items, "{name}");
    }
    for (name, rows) in [("kraken_v1_book_top", 4_279), ("quote_stale", 4), ("bars_vol5", 86)] {
        assert_eq!(stage(&report, name)["out"], rows, "{name}");
    }
}

#[test]
fn the_beginning_of_the_session_gives_the_beginning_of_every_file() {
    let Some(shared) = shared() else { return };
    let whole = everything(&shared);
    for fixture in ["btcusdt_spot_60s.jsonl.gz", "btcusdt_spot_120s.jsonl.gz"] {
        let file = shared.join("data/demo-fixture").join(fixture);
        let part = replay(&[&file], &["--all", "--strict"]);
        assert_eq!(part.code, Some(0), "{}", part.stderr);
        assert!(!part.files.contains_key(KRAKEN), "of a venue without recording there is no file");
        for name in FILES.iter().filter(|name| **name != KRAKEN && **name != "faults_answers.csv") {
            let rows = part.rows(name);
            // What the end closed could have become more.
            let open = match *name {
                "quote_conflate100ms_spot_btcusdt.csv" => 1,
                name if name.starts_with("bars_") || name.starts_with("sliding_") => {
                    rows.iter().filter(|row| row.ends_with(",0")).count()
                }
                _ => 0,
            };
            let closed = rows.len() - open;
            assert!(closed > 0, "{fixture}: {name}");
            assert_eq!(rows[..closed], whole.rows(name)[..closed], "{fixture}: {name}");
        }
    }
}

#[test]
fn a_session_with_kraken_alone_gives_the_file_of_its_books_alone() {
    let Some(shared) = shared() else { return };
    let outcome = replay(&[&shared.join(KRAKEN_SESSION)], &["--all", "--strict"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.files.keys().collect::<Vec<_>>(), [KRAKEN, "report.json"]);
    assert_same(KRAKEN, outcome.file(KRAKEN), &answer(&shared, KRAKEN));
    assert_adds_up(&outcome.report());
}

#[test]
fn a_volume_that_was_tampered_with_is_found_by_the_checksum_of_the_venue() {
    let Some(shared) = shared() else { return };
    let session = gunzip(&std::fs::read(shared.join(KRAKEN_SESSION)).unwrap());
    let session = String::from_utf8(session).unwrap();
    // The best bid of XMR/USD, which the next update changes again.
    let sound = r#"["354.17000000","6.88271768","#;
    let tampered = session.replacen(sound, r#"["354.17000000","6.88271769","#, 1);
    assert_ne!(tampered, session);
    let line = session.lines().position(|line| line.contains(sound)).unwrap() + 1;
    let files = Files::new();
    let file = files.write("tampered", tampered);
    let outcome = replay(&[&file], &["--all", "--strict"]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    let wrong = outcome.problems()["checksum"];
    let rows = outcome.rows(KRAKEN);
    let columns = rows.iter().map(|row| row.split(',').collect::<Vec<_>>());
    let differ = columns.filter(|row| !row[7].is_empty() && row[7] != row[8]).count();
    assert_eq!(differ as u64, wrong);
    outcome.says(&[&format!("{}:{line}: the book of XMR/USD", file.display()), "the venue says"]);
}
