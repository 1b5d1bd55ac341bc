//! `--all` over made-up sessions: every file says what follows from the messages.

mod common;

use common::recording::{Entry, Said, Venue, json, session, text};
use common::shared::assert_same;
use common::{Files, Outcome, answers, assert_adds_up, in_full, replay};

/// Compares every file of a run with what follows from the entries.
#[track_caller]
fn check(venue: Venue, entries: &[Entry]) {
    let files = Files::new();
    let outcome = replay(&[&files.write("session", text(entries))], &["--all", "--strict"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_adds_up(&outcome.report());
    let numbered: Vec<_> = entries.iter().enumerate().collect();
    let delivered = in_full::delivered(entries);
    let quarter_million = 250_000 * 10_i128.pow(16);
    for (name, expected) in [
        ("bars_1s_spot_btcusdt.csv", answers::bars(entries, 1_000)),
        ("bars_1m_spot_btcusdt.csv", answers::bars(entries, 60_000)),
        ("asof_spot_local.csv.gz", answers::as_of(entries)),
        ("book_top_spot_btcusdt.csv.gz", answers::book_top(venue, &numbered)),
        ("bars_tick100_spot_btcusdt.csv", in_full::runs(entries, |_, _| 1, 100)),
        ("bars_vol5_spot_btcusdt.csv", in_full::runs(entries, |_, q| q, 500_000_000)),
        ("bars_dollar250k_spot_btcusdt.csv", in_full::runs(entries, |p, q| p * q, quarter_million)),
        ("sliding_10s_1s_spot_btcusdt.csv", in_full::sliding(entries)),
        ("quote_stats_1s_spot_btcusdt.csv", in_full::seconds(entries)),
        ("quote_conflate100ms_spot_btcusdt.csv", in_full::tenths(entries)),
        ("quote_stale_spot_btcusdt.csv", in_full::silences(entries)),
        ("faults_delivered.csv", delivered.iter().map(u64::to_string).collect()),
        ("faults_answers.csv", in_full::fault_answers(&delivered)),
    ] {
        assert!(!expected.is_empty() || name.starts_with("quote_stale"), "{name}");
        assert_same(name, &outcome.rows(name).join("\n"), &expected.join("\n"));
    }
    check_rolling(&outcome, entries);
}

#[track_caller]
fn check_rolling(outcome: &Outcome, entries: &[Entry]) {
    let rolling = in_full::rolling(entries);
    let rows = outcome.rows("rolling_ema_spot_btcusdt.csv.gz");
    assert_eq!(rows.len(), rolling.len());
    for (row, (id, averages, rest)) in rows.iter().zip(rolling) {
        let columns: Vec<_> = row.splitn(4, ',').collect();
        assert_eq!((columns[0], columns[3]), (&*id, &*rest));
        for (column, average) in columns[1..3].iter().zip(averages) {
            let got: f64 = column.parse().unwrap();
            assert!((got / average - 1.0).abs() < 1e-9, "{id}: {got} is not {average}");
        }
    }
}

#[test]
fn everything_follows_from_the_messages_of_a_spot_venue() {
    check(Venue::Spot, &session(Venue::Spot, 21, 6_000));
}

#[test]
fn everything_follows_from_the_messages_of_a_futures_venue() {
    check(Venue::Futures, &session(Venue::Futures, 22, 3_000));
}

#[test]
fn ids_that_the_venue_itself_left_out_are_gaps_like_others() {
    let mut entries = session(Venue::Spot, 23, 3_000);
    let mut trades = 0;
    entries.retain(|entry| {
        trades += usize::from(matches!(entry.said, Said::Trade { .. }));
        // One after the other, single ones and many at once; also next to one that is delayed.
        let gone = [50, 102, 150, 152, 300].contains(&trades) || (400..460).contains(&trades);
        !(gone && matches!(entry.said, Said::Trade { .. }))
    });
    check(Venue::Spot, &entries);
}

#[test]
fn silences_of_any_length_are_survived() {
    let mut entries = session(Venue::Spot, 24, 1_500);
    // A minute and a half without anything, twice.
    let mut later = 0;
    for (index, entry) in entries.iter_mut().enumerate() {
        if index == 500 || index == 501 {
            later += 90_000_000_000;
        }
        entry.received += later;
    }
    check(Venue::Spot, &entries);
}

#[test]
fn trades_that_come_out_of_order_count_for_the_windows_that_they_belong_to() {
    let mut entries = session(Venue::Spot, 25, 1_200);
    let trades: Vec<_> =
        (0..1_200).filter(|index| matches!(entries[*index].said, Said::Trade { .. })).collect();
    // By the venue's clock within what bars wait for, by the receiver's beyond.
    for index in trades.iter().skip(20).step_by(15) {
        let entry = &mut entries[*index];
        let Said::Trade { ms, .. } = &mut entry.said else { unreachable!() };
        *ms -= 900;
        entry.json = json(Venue::Spot, &entry.said, 0);
        entry.received -= 12_000_000_000;
    }
    let files = Files::new();
    let outcome = replay(&[&files.write("session", text(&entries))], &["--all"]);
    let kinds = outcome.problems();
    assert_eq!(kinds.keys().collect::<Vec<_>>(), ["backwards"], "{}", outcome.stderr);
    check_rolling(&outcome, &entries);
    let sliding = "sliding_10s_1s_spot_btcusdt.csv";
    let (got, expected) = (outcome.rows(sliding), in_full::sliding(&entries));
    assert_same(sliding, &got.join("\n"), &expected.join("\n"));
    let delivered = in_full::delivered(&entries);
    assert_eq!(outcome.rows("faults_answers.csv"), in_full::fault_answers(&delivered));
}

#[test]
fn a_session_without_trades_or_quotes_names_the_columns_of_every_file() {
    let files = Files::new();
    let outcome = replay(&[&files.write("empty", "")], &["--all", "--strict"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.files.len(), 14 + 1);
    for (name, text) in &outcome.files {
        if name != "report.json" {
            assert_eq!(text.lines().count(), 1, "{name}: {text}");
        }
    }
    assert_eq!(outcome.file("quote_stale_spot_btcusdt.csv"), "from_ns,to_ns\n");
}
