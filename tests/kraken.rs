//! The books of a session with Kraken: sound, damaged, and together with another venue.

mod common;

use common::kraken::Session;
use common::recording::{Venue, session, text};
use common::{Files, Outcome, assert_adds_up, gzip, replay};

const FILE: &str = "kraken_v1_book_top.csv.gz";
const HEADER: &str =
    "recv_ts,pair,kind,bid_px,bid_qty,ask_px,ask_qty,venue_crc,computed_crc,n_bids,n_asks";

fn sound(depth: usize, seed: u64) -> Session {
    let mut session = Session::new(depth, seed);
    for n in 0..400 {
        if n % 17 == 0 {
            session.heartbeat();
        }
        session.update();
    }
    session
}

#[track_caller]
fn assert_rows(outcome: &Outcome, expected: &[String]) {
    assert_eq!(outcome.rows(FILE), expected.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn a_sound_session_gives_the_rows_that_follow_from_it_at_every_depth() {
    for (depth, seed) in [(4, 1), (10, 2), (25, 3)] {
        let session = sound(depth, seed);
        let files = Files::new();
        let plain = files.write("session", session.file());
        let outcome = replay(&[&plain], &["--strict"]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert_rows(&outcome, &session.rows);
        assert_eq!(outcome.report()["messages"], session.lines.len());
        assert_adds_up(&outcome.report());
        let packed = files.write("packed", gzip(session.file().as_bytes()));
        assert_eq!(replay(&[&packed], &["--all"]).file(FILE), outcome.file(FILE));
    }
}

#[test]
fn a_session_of_several_files_is_one() {
    let session = sound(10, 4);
    let files = Files::new();
    let (first, second) = session.lines.split_at(200);
    let first = files.write("first", first.join("\n"));
    let second = files.write("second", second.join("\n"));
    let outcome = replay(&[&first, &second], &["--strict"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_rows(&outcome, &session.rows);
}

#[test]
fn a_session_without_a_message_gives_a_file_with_the_names_of_its_columns() {
    let files = Files::new();
    let outcome =
        replay(&[&files.write("session", "wss://ws.kraken.com <-> 7.5\n")], &["--strict"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.file(FILE), format!("{HEADER}\r\n"));
}

#[test]
fn each_bad_line_is_named_with_its_place_and_costs_only_itself() {
    let session = sound(10, 5);
    for (line, kind, said) in [
        ("1618678133.5: [1,{", "not_json", "not JSON"),
        (r#"1618678133.5: [7,[["1","2"]],"trade","A/B"]"#, "unknown_kind", "\"trade\""),
        (
            r#"1618678133.5: [7,{"b":[["x","1","1"]],"c":"1"},"book-10","A/B"]"#,
            "bad_field",
            "\"x\"",
        ),
        ("no time at all", "no_time", "does not begin with `<time in seconds>: `"),
    ] {
        let mut lines = session.lines.clone();
        // Behind the connection, the subscription and two snapshots, none of which is later.
        lines.insert(4, line.to_owned());
        let files = Files::new();
        let file = files.write("session", lines.join("\n"));
        let outcome = replay(&[&file], &[]);
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        assert!(outcome.problems().contains_key(kind), "{line}: {:?}", outcome.problems());
        outcome.says(&[&format!("{}:5: ", file.display()), said]);
        assert_rows(&outcome, &session.rows);
        assert_eq!(replay(&[&file], &["--strict"]).code, Some(1));
    }
}

#[test]
fn an_update_that_is_missing_is_found_by_the_checksum_and_healed_by_a_snapshot() {
    let session = sound(4, 6);
    // One that changes the checksum: an update may delete what was not there.
    let columns = |row: &String| row.split(',').map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> = session.rows.iter().map(columns).collect();
    let ada: Vec<_> = rows.iter().filter(|row| row[1] == "ADA/XBT").collect();
    let changed = ada.windows(2).find(|rows| rows[0][8] != rows[1][8]).unwrap()[1][0].clone();
    let lost = session.lines.iter().position(|line| line.starts_with(&changed)).unwrap();
    let mut lines = session.lines.clone();
    lines.remove(lost);
    let files = Files::new();
    let file = files.write("session", lines.join("\n"));
    let outcome = replay(&[&file], &["--strict"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.problems()["checksum"] > 0);
    outcome.says(&[
        "session:",
        "the book of",
        "the venue says",
        "a new subscription would heal it",
    ]);

    // The same session again is what a new subscription gives.
    let again = files.write("again", session.lines[2..].join("\n"));
    let healed = replay(&[&file, &again], &[]);
    let rows = healed.rows(FILE);
    assert_eq!(rows[rows.len() - session.rows.len()..], session.rows);
    assert_eq!(healed.problems()["checksum"], outcome.problems()["checksum"]);
}

#[test]
fn updates_of_a_pair_without_a_snapshot_are_said() {
    let session = sound(10, 7);
    let mut lines = session.lines.clone();
    lines.retain(|line| !(line.contains(r#""as""#) && line.contains("ADA/XBT")));
    let files = Files::new();
    let outcome = replay(&[&files.write("session", lines.join("\n"))], &[]);
    let updates = session.rows.iter().filter(|row| row.contains("ADA/XBT,update"));
    assert_eq!(outcome.problems()["no_snapshot"], updates.count() as u64);
    outcome.says(&["an update of ADA/XBT, but no snapshot has come"]);
}

#[test]
fn two_venues_in_one_run_do_not_touch_each_other() {
    let kraken = sound(10, 8);
    let binance = text(&session(Venue::Spot, 8, 300));
    let files = Files::new();
    let (a, b) = (files.write("a", kraken.file()), files.write("b", binance));
    for (all, count) in [(&["--strict"][..], 4), (&["--strict", "--all"], 14)] {
        let [only_a, only_b] = [&a, &b].map(|file| replay(&[file], all));
        for files in [[&*a, &*b], [&*b, &*a]] {
            let both = replay(&files, all);
            assert_eq!(both.code, Some(0), "{}", both.stderr);
            assert_eq!(both.files.len(), count + 2);
            for (name, text) in only_a.files.iter().chain(&only_b.files) {
                if name != "report.json" {
                    assert_eq!(both.file(name), text, "{name}");
                }
            }
            assert_adds_up(&both.report());
        }
    }
}
