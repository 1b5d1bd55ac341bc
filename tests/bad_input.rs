//! The demo over recordings that are damaged, odd or foreign: it says what is wrong and where,
//! counts it, and gives the right answer for everything else.

mod common;

use std::path::{Path, PathBuf};

use common::recording::{Entry, SYMBOL, Said, Venue, json, session, text};
use common::{Files, Outcome, answers, assert_adds_up, demo, gunzip, gzip, replay, stage};

/// Runs over the files, leniently and strictly, and checks what holds in any case: the exit codes,
/// that both runs wrote the same, and that every message is accounted for.
#[track_caller]
fn bad(files: &[&Path]) -> Outcome {
    let lenient = replay(files, &[]);
    let strict = replay(files, &["--strict"]);
    assert_eq!(lenient.code, Some(0), "{}", lenient.stderr);
    assert_eq!(strict.code, Some(1), "{}", strict.stderr);
    assert_eq!(lenient.stderr, strict.stderr);
    for name in ["bars_1s.csv", "bars_1m.csv", "book_top.csv", "asof.csv"] {
        assert_eq!(lenient.file(name), strict.file(name));
    }
    assert_adds_up(&lenient.report());
    lenient
}

/// Runs strictly over files in which nothing is wrong.
#[track_caller]
fn good(files: &[&Path]) -> Outcome {
    let outcome = replay(files, &["--strict"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stderr, "");
    assert_adds_up(&outcome.report());
    outcome
}

#[track_caller]
fn assert_problems(outcome: &Outcome, expected: &[(&str, u64)]) {
    let expected = expected.iter().map(|(kind, times)| ((*kind).to_owned(), *times)).collect();
    assert_eq!(outcome.problems(), expected, "{}", outcome.stderr);
}

/// Compares with what follows from the entries, each at its line in the input.
#[track_caller]
fn assert_answers(outcome: &Outcome, venue: Venue, entries: &[(usize, &Entry)]) {
    let alone: Vec<Entry> = entries.iter().map(|(_, entry)| (*entry).clone()).collect();
    assert_eq!(outcome.rows("bars_1s.csv"), answers::bars(&alone, 1_000));
    assert_eq!(outcome.rows("bars_1m.csv"), answers::bars(&alone, 60_000));
    assert_eq!(outcome.rows("asof.csv"), answers::as_of(&alone));
    assert_eq!(outcome.rows("book_top.csv"), answers::book_top(venue, entries));
}

/// The entries at the lines where they stand if there is nothing else.
fn numbered(entries: &[Entry]) -> Vec<(usize, &Entry)> {
    entries.iter().enumerate().collect()
}

/// `file:line`, as messages say it.
fn place(file: &Path, line: usize) -> String {
    format!("{}:{line}: ", file.display())
}

/// A session with a line put in front of the line `at`, counted from 1.
fn with_line(files: &Files, entries: &[Entry], at: usize, line: &str) -> PathBuf {
    let mut lines: Vec<String> = entries.iter().map(Entry::line).collect();
    lines.insert(at - 1, line.to_owned());
    files.write("session", lines.join("\n") + "\n")
}

/// The entries at their lines, if a foreign line stands at `at`, counted from 1.
fn around(entries: &[Entry], at: usize) -> Vec<(usize, &Entry)> {
    let line = |index| if index < at - 1 { index } else { index + 1 };
    entries.iter().enumerate().map(|(index, entry)| (line(index), entry)).collect()
}

#[test]
fn a_sound_session_gives_the_answers_that_follow_from_its_messages() {
    for (venue, seed) in [(Venue::Spot, 1), (Venue::Spot, 2), (Venue::Futures, 3)] {
        let entries = session(venue, seed, 1_200);
        let files = Files::new();
        let outcome = good(&[&files.write("session", text(&entries))]);
        assert_eq!(outcome.report()["messages"], 1_200);
        assert_answers(&outcome, venue, &numbered(&entries));
        assert!(outcome.rows("book_top.csv").len() > 300);
        assert!(outcome.rows("bars_1s.csv").len() > 30);
    }
}

#[test]
fn a_missing_file_is_a_wrong_argument_wherever_it_stands_in_the_list() {
    let files = Files::new();
    let there = files.write("there", text(&session(Venue::Spot, 1, 10)));
    let missing = files.folder().join("missing.gz");
    for list in [&[&*missing][..], &[&there, &missing]] {
        let outcome = replay(list, &[]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        outcome.says(&["error: ", "missing.gz", "No such file"]);
    }
}

#[test]
fn a_folder_is_not_a_recording() {
    let files = Files::new();
    let there = files.write("there", text(&session(Venue::Spot, 1, 10)));
    for list in [&[files.folder()][..], &[&there, files.folder()]] {
        let outcome = replay(list, &[]);
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        outcome.says(&["error: ", files.folder().to_str().unwrap(), "directory"]);
    }
}

#[test]
fn a_gzip_file_that_is_cut_off_gives_every_line_before_the_cut() {
    let entries = session(Venue::Spot, 4, 1_500);
    let packed = gzip(text(&entries).as_bytes());
    for length in [packed.len() / 2, packed.len() - 4] {
        let files = Files::new();
        let file = files.write("cut.gz", &packed[..length]);
        let whole = gunzip(&packed[..length]).iter().filter(|byte| **byte == b'\n').count();
        assert!(whole > 500);
        let outcome = bad(&[&file]);
        assert_problems(&outcome, &[("cut_off", 1)]);
        outcome.says(&[&place(&file, whole + 1), "the gzip stream is cut off"]);
        assert_answers(&outcome, Venue::Spot, &numbered(&entries[..whole]));
    }
}

#[test]
fn the_next_file_goes_on_after_one_that_is_cut_off() {
    let entries = session(Venue::Spot, 4, 1_500);
    let packed = gzip(text(&entries[..1_000]).as_bytes());
    let cut = &packed[..packed.len() - 1_000];
    let whole = gunzip(cut).iter().filter(|byte| **byte == b'\n').count();
    let files = Files::new();
    let (first, second) = (files.write("a", cut), files.write("b", text(&entries[1_000..])));
    let outcome = bad(&[&first, &second]);
    outcome.says(&[&place(&first, whole + 1), "cut off"]);
    // Updates are missing now, and that is a second problem.
    let next = &entries[1_000..];
    let at = next.iter().position(|entry| matches!(entry.said, Said::Diff { .. })).unwrap();
    outcome.says(&[&place(&second, at + 1), "the book expected update "]);
    assert_problems(&outcome, &[("cut_off", 1), ("gap", 1)]);
    let trades = |entry: &&Entry| matches!(entry.said, Said::Trade { .. });
    let expected = entries[..whole].iter().chain(next).filter(trades).count();
    assert_eq!(stage(&outcome.report(), "asof")["out"], expected);
}

#[test]
fn damaged_bytes_in_a_gzip_file_are_named_and_cost_the_rest_of_that_file_only() {
    let entries = session(Venue::Spot, 5, 400);
    let mut packed = gzip(text(&entries[..200]).as_bytes());
    let checksum = packed.len() - 8;
    packed[checksum] ^= 1;
    let files = Files::new();
    let (first, second) = (files.write("a.gz", packed), files.write("b", text(&entries[200..])));
    let outcome = bad(&[&first, &second]);
    assert_problems(&outcome, &[("cut_off", 1)]);
    outcome.says(&[&place(&first, 201), "checksum"]);
    assert_answers(&outcome, Venue::Spot, &numbered(&entries));
}

#[test]
fn a_line_that_cannot_be_decoded_costs_that_line_only() {
    let entries = session(Venue::Spot, 6, 300);
    let at = 120;
    let received = entries[at - 1].received;
    let said = |data: &str| format!("{received} {{\"stream\":\"xusdt@x\",\"data\":{data}}}");
    let trade = |price: &str, quantity: &str| {
        said(&format!(
            r#"{{"e":"trade","E":1,"s":"{SYMBOL}","t":7,"p":"{price}","q":"{quantity}","T":1,"m":true}}"#
        ))
    };
    let cases = [
        (format!("{received} not json"), "not_json", "not JSON"),
        (format!("{received} "), "not_json", "not JSON"),
        (format!("{received} {{\"stream\":\"xusdt@trade\",\"da"), "not_json", "not JSON"),
        (format!("{received} [1,2]"), "bad_field", "message"),
        (format!("{received} {{\"result\":null,\"id\":1}}"), "unknown_kind", "not decoded"),
        (said(r#"{"e":"kline","s":"XUSDT"}"#), "unknown_kind", "kline"),
        (trade("1.123456789", "1"), "bad_field", "\"p\""),
        (trade("1", "99999999999999999999"), "bad_field", "\"q\""),
        (trade("1e5", "1"), "bad_field", "\"p\""),
        (trade("NaN", "1"), "bad_field", "\"p\""),
        (said(r#"{"e":"trade","E":1,"s":"XUSDT","T":1}"#), "bad_field", "missing"),
        ("{\"no\":\"time\"}".into(), "no_time", "does not begin with a receive time"),
        ("1700000000.5 {}".into(), "no_time", "does not begin with a receive time"),
        ("-5 {}".into(), "no_time", "does not begin with a receive time"),
        ("99999999999999999999 {}".into(), "no_time", "does not begin with a receive time"),
        ("\u{feff}1 {}".into(), "no_time", "does not begin with a receive time"),
    ];
    for (line, kind, reason) in cases {
        let files = Files::new();
        let file = with_line(&files, &entries, at, &line);
        let outcome = bad(&[&file]);
        assert_problems(&outcome, &[(kind, 1)]);
        outcome.says(&[&place(&file, at), reason]);
        assert_answers(&outcome, Venue::Spot, &around(&entries, at));
    }
}

#[test]
fn bytes_that_are_not_text_are_a_problem_of_their_line_only() {
    let entries = session(Venue::Spot, 6, 100);
    let mut bytes = text(&entries[..50]).into_bytes();
    bytes.extend(b"\xff\x00\xfe 1\n1 \xff\xfe\n");
    bytes.extend(text(&entries[50..]).bytes());
    let files = Files::new();
    let file = files.write("bytes", bytes);
    let outcome = bad(&[&file]);
    assert_problems(&outcome, &[("no_time", 1), ("backwards", 1), ("not_json", 1)]);
    outcome.says(&[&place(&file, 51), "does not begin with a receive time"]);
    outcome.says(&[&place(&file, 52), "not JSON"]);
    assert_eq!(outcome.rows("asof.csv"), answers::as_of(&entries));
}

#[test]
fn only_the_first_problems_of_a_kind_are_printed_and_all_are_counted() {
    let entries = session(Venue::Spot, 6, 20);
    let files = Files::new();
    let bad_lines: String = (0..40).map(|n| format!("x{n}x no time\n")).collect();
    let file = files.write("bad", text(&entries) + &bad_lines);
    let outcome = bad(&[&file]);
    assert_problems(&outcome, &[("no_time", 40)]);
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 6, "{}", outcome.stderr);
    for (index, line) in lines[..5].iter().enumerate() {
        assert!(line.contains(&place(&file, 21 + index)), "{line}");
    }
    assert!(lines[5].contains("only counted"), "{}", lines[5]);
    assert!(outcome.stdout.contains("problem: 40 x line without a receive time"));
}

#[test]
fn a_gap_in_the_updates_stops_the_book_until_a_snapshot_that_fits() {
    for venue in [Venue::Spot, Venue::Futures] {
        let mut entries = session(venue, 7, 600);
        let is_diff = |entry: &Entry| matches!(entry.said, Said::Diff { .. });
        let diffs: Vec<_> = (0..600).filter(|index| is_diff(&entries[*index])).collect();
        // What the book expects behind the update that is lost, and what comes.
        let ids = |entry: &Entry| match entry.said {
            Said::Diff { first, last, .. } => (first, last),
            _ => unreachable!(),
        };
        let (lost, next) = (diffs[100], diffs[101]);
        let (expected, got) = match venue {
            Venue::Spot => (ids(&entries[lost]).0, ids(&entries[next]).0),
            Venue::Futures => (ids(&entries[diffs[99]]).1, ids(&entries[lost]).1),
        };
        // Later comes a snapshot which contains all up to there.
        let from = diffs[130];
        let snapshot = Said::Snapshot {
            last: ids(&entries[from]).1,
            bids: vec![(99_000_000_000, 1_000_000)],
            asks: vec![(101_000_000_000, 2_000_000)],
        };
        let received = entries[from].received;
        let entry = Entry { received, json: json(venue, &snapshot, 0), said: snapshot };
        entries.insert(from + 1, entry);
        entries.remove(lost);

        let files = Files::new();
        let file = files.write("gap", text(&entries));
        let outcome = bad(&[&file]);
        assert_problems(&outcome, &[("gap", 1)]);
        let what = format!("the book expected update {expected} and got {got}");
        outcome.says(&[&place(&file, next), &what]);

        let mut expected = answers::book_top(venue, &numbered(&entries)[..lost]);
        expected.extend(answers::book_top(venue, &numbered(&entries)[from - 1..]));
        assert!(expected.len() > 150);
        assert_eq!(outcome.rows("book_top.csv"), expected);
        // Bars and joins do not care.
        assert_eq!(outcome.rows("bars_1s.csv"), answers::bars(&entries, 1_000));
        assert_eq!(outcome.rows("asof.csv"), answers::as_of(&entries));
    }
}

#[test]
fn a_snapshot_that_is_too_old_leaves_the_book_waiting() {
    let entries = session(Venue::Spot, 8, 100);
    let old = Said::Snapshot { last: 5, bids: Vec::new(), asks: Vec::new() };
    let received = entries[2].received;
    let files = Files::new();
    let line = Entry { received, json: json(Venue::Spot, &old, 0), said: old }.line();
    let file = with_line(&files, &entries, 3, &line);
    let outcome = bad(&[&file]);
    assert_problems(&outcome, &[("snapshot_too_old", 1)]);
    outcome.says(&[&place(&file, 3), "the snapshot ends at 5, but 90000 is needed"]);
    assert_answers(&outcome, Venue::Spot, &around(&entries, 3));
}

#[test]
fn time_that_runs_backwards_is_said_and_the_line_is_used_all_the_same() {
    let mut entries = session(Venue::Spot, 9, 400);
    let trade = |entry: &Entry| matches!(entry.said, Said::Trade { .. });
    let at = (200..).find(|index| trade(&entries[*index])).unwrap();
    entries[at].received -= 3_000_000_000;
    let files = Files::new();
    let file = files.write("back", text(&entries));
    let outcome = bad(&[&file]);
    assert_problems(&outcome, &[("backwards", 1)]);
    let [from, to] = [entries[at - 1].received, entries[at].received]
        .map(|nanos| format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000));
    let what = format!("time runs backwards, from {from} to {to}");
    outcome.says(&[&place(&file, at + 1), &what]);
    assert_eq!(outcome.rows("bars_1s.csv"), answers::bars(&entries, 1_000));
    assert_eq!(outcome.rows("book_top.csv"), answers::book_top(Venue::Spot, &numbered(&entries)));
    assert_eq!(outcome.rows("asof.csv").len(), answers::as_of(&entries).len());
    assert_eq!(outcome.report()["messages"], 401, "400 lines and what was said about one");
}

#[test]
fn a_time_in_the_far_future_costs_neither_the_lines_behind_it_nor_the_order() {
    let mut entries = session(Venue::Spot, 10, 200);
    let quote = |entry: &Entry| matches!(entry.said, Said::Quote { .. });
    let at = (100..).find(|index| quote(&entries[*index])).unwrap();
    entries[at].received = i64::MAX;
    let files = Files::new();
    let outcome = bad(&[&files.write("future", text(&entries))]);
    assert_problems(&outcome, &[("backwards", 199 - at as u64)]);
    assert_eq!(outcome.rows("bars_1s.csv"), answers::bars(&entries, 1_000));
    assert_eq!(outcome.rows("book_top.csv"), answers::book_top(Venue::Spot, &numbered(&entries)));
    assert_eq!(outcome.rows("asof.csv").len(), answers::as_of(&entries).len());
}

#[test]
fn trades_that_come_too_late_for_their_bar_are_counted() {
    let mut entries = session(Venue::Spot, 11, 400);
    let trades: Vec<_> =
        (0..400).filter(|index| matches!(entries[*index].said, Said::Trade { .. })).collect();
    let late = trades[trades.len() / 2];
    let Said::Trade { ms, .. } = &mut entries[late].said else { unreachable!() };
    *ms -= 5_000;
    entries[late].json = json(Venue::Spot, &entries[late].said, 0);
    let files = Files::new();
    let outcome = bad(&[&files.write("late", text(&entries))]);
    assert_problems(&outcome, &[("late", 1)]);
    outcome.says(&["1 trades came too late"]);
    entries.remove(late);
    assert_eq!(outcome.rows("bars_1s.csv"), answers::bars(&entries, 1_000));
}

#[test]
fn events_of_another_symbol_are_left_out_and_counted() {
    let entries = session(Venue::Spot, 12, 300);
    let other = session(Venue::Spot, 13, 300);
    let mut lines = Vec::new();
    let mut foreign = 0;
    let mut ours = Vec::new();
    for (index, (entry, other)) in entries.iter().zip(&other).enumerate() {
        ours.push((lines.len(), entry));
        lines.push(entry.line());
        // A snapshot does not say of what it is.
        if index >= 6 {
            foreign += 1;
            lines.push(format!("{} {}", entry.received, other.json.replace(SYMBOL, "YUSDT")));
        }
    }
    let files = Files::new();
    let file = files.write("two", lines.join("\n"));
    let outcome = bad(&[&file]);
    assert_problems(&outcome, &[("other_symbol", foreign)]);
    outcome.says(&[&place(&file, 8), "an event of YUSDT, but XUSDT is followed"]);
    assert_answers(&outcome, Venue::Spot, &ours);
}

#[test]
fn an_empty_file_is_a_recording_of_nothing() {
    let files = Files::new();
    let empty = files.write("empty", "");
    let outcome = good(&[&empty]);
    assert_eq!(outcome.report()["messages"], 0);
    assert_answers(&outcome, Venue::Spot, &[]);
    let outcome = good(&[&files.write("blank", "\n\r\n\n")]);
    assert_eq!(outcome.report()["messages"], 0);
    let packed = files.write("empty.gz", gzip(b""));
    let entries = session(Venue::Spot, 14, 50);
    let outcome = good(&[&empty, &packed, &files.write("full", text(&entries)), &empty]);
    assert_answers(&outcome, Venue::Spot, &numbered(&entries));
}

#[test]
fn a_file_of_one_line_gives_what_is_in_that_line() {
    let entries = session(Venue::Spot, 15, 200);
    let trade = entries.iter().find(|entry| matches!(entry.said, Said::Trade { .. })).unwrap();
    for end in ["", "\n"] {
        let files = Files::new();
        let outcome = good(&[&files.write("one", trade.line() + end)]);
        assert_answers(&outcome, Venue::Spot, &[(0, trade)]);
        assert_eq!(outcome.rows("asof.csv").len(), 1);
        assert!(outcome.rows("bars_1m.csv")[0].ends_with(",0"));
    }
}

#[test]
fn lines_may_end_as_on_windows_and_blank_ones_count_as_lines() {
    let entries = session(Venue::Spot, 16, 200);
    let lines: String = entries.iter().map(|entry| entry.line() + "\r\n\r\n").collect();
    let files = Files::new();
    let outcome = good(&[&files.write("crlf", lines)]);
    let at: Vec<_> = entries.iter().enumerate().map(|(n, entry)| (2 * n, entry)).collect();
    assert_answers(&outcome, Venue::Spot, &at);
}

#[test]
fn a_gzip_file_of_several_members_is_read_to_its_end() {
    let entries = session(Venue::Spot, 17, 900);
    let text = text(&entries);
    // The members part in the middle of a line.
    let members = [&text[..10], &text[10..50_001], "", &text[50_001..]];
    let packed: Vec<u8> = members.iter().flat_map(|part| gzip(part.as_bytes())).collect();
    let files = Files::new();
    let outcome = good(&[&files.write("members", packed)]);
    assert_answers(&outcome, Venue::Spot, &numbered(&entries));
}

#[test]
fn a_line_longer_than_a_block_is_a_line_like_any_other() {
    let mut entries = session(Venue::Spot, 18, 300);
    for (index, length) in [(20, 300 << 10), (21, 256 << 10), (150, 2 << 20), (299, 600 << 10)] {
        let filler = format!("{{\"x\":\"{}\",", "y".repeat(length));
        entries[index].json = entries[index].json.replacen('{', &filler, 1);
    }
    let files = Files::new();
    let text = text(&entries);
    let plain = good(&[&files.write("plain", text.trim_end())]);
    assert_answers(&plain, Venue::Spot, &numbered(&entries));
    let packed = good(&[&files.write("packed.gz", gzip(text.as_bytes()))]);
    assert_answers(&packed, Venue::Spot, &numbered(&entries));
}

#[test]
fn a_file_without_line_ends_is_given_up_and_not_held_in_memory() {
    let entries = session(Venue::Spot, 19, 50);
    let files = Files::new();
    let mut endless = text(&entries).into_bytes();
    endless.resize(endless.len() + (40 << 20), b'x');
    let file = files.write("endless", endless);
    let outcome = bad(&[&file]);
    assert_problems(&outcome, &[("cut_off", 1)]);
    outcome.says(&[&place(&file, 51), "longer than"]);
    assert_answers(&outcome, Venue::Spot, &numbered(&entries));
}

#[test]
fn the_clock_starts_with_the_first_line_also_if_the_first_file_has_none() {
    let entries = session(Venue::Spot, 20, 60);
    let files = Files::new();
    let junk = files.write("junk", "a\nb\n");
    let full = files.write("full", text(&entries));
    // On a clock that began in 1970 this would not end.
    for arguments in [&["--speed", "100"][..], &["--speed", "100", "--seconds", "1000"]] {
        let outcome = replay(&[&junk, &full], arguments);
        assert_problems(&outcome, &[("no_time", 2)]);
        assert_eq!(outcome.rows("asof.csv"), answers::as_of(&entries));
    }
}

#[test]
fn several_files_are_one_recording() {
    let entries = session(Venue::Futures, 21, 900);
    let files = Files::new();
    let a = files.write("a", text(&entries[..301]).trim_end());
    let b = files.write("b", gzip(text(&entries[301..302]).as_bytes()));
    let c = files.write("c", text(&entries[302..]));
    let outcome = good(&[&a, &b, &c]);
    assert_answers(&outcome, Venue::Futures, &numbered(&entries));
}

#[test]
fn wrong_arguments_are_exit_code_2_and_are_named() {
    let files = Files::new();
    let file = files.write("session", text(&session(Venue::Spot, 1, 10)));
    let file = file.to_str().unwrap();
    for (arguments, word) in [
        (&["--replay", file, "--fast"][..], "--fast"),
        (&["--replay"], "--replay"),
        (&["--replay", file, "--speed", "fast"], "fast"),
        (&["--replay", file, "--speed", "0"], "--speed"),
        (&["--replay", file, "--speed=-1"], "--speed"),
        (&["--replay", file, "--speed", "inf"], "--speed"),
        (&["--replay", file, "--speed", "NaN"], "--speed"),
        (&["--replay", file, "--seconds=-3"], "--seconds"),
        (&["--replay", file, "--seconds", "soon"], "--seconds"),
        (&["--replay", file, "--outline", "svg"], "svg"),
        (&["--speed", "max"], "--seconds"),
        (&["--all"], "--out"),
        (&["--replay", file, "--all"], "--out"),
    ] {
        let outcome = demo(arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}: {}{}", outcome.stdout, outcome.stderr);
        outcome.says(&["error: "]);
        assert!(outcome.stderr.contains(word), "{arguments:?}: {}", outcome.stderr);
    }
}

#[test]
fn an_output_that_cannot_be_written_is_named_and_fails() {
    let files = Files::new();
    let file = files.write("session", text(&session(Venue::Spot, 1, 10)));
    let file = file.to_str().unwrap();
    // A file where a folder is needed, above and at the end of the path; and the reverse.
    let blocked = files.folder().join("folder");
    std::fs::create_dir_all(blocked.join("bars_1m.csv")).unwrap();
    let below = format!("{file}/out");
    for (out, named) in [
        (file, file.to_owned()),
        (&below, below.clone()),
        (blocked.to_str().unwrap(), format!("{}/bars_1m.csv", blocked.display())),
    ] {
        let outcome = demo(&["--replay", file, "--speed", "max", "--headless", "--out", out]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        outcome.says(&["error: ", &named, "cannot be"]);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_run_and_names_the_file() {
    let files = Files::new();
    let file = files.write("session", text(&session(Venue::Spot, 1, 100)));
    let out = files.folder().join("out");
    std::fs::create_dir(&out).unwrap();
    std::os::unix::fs::symlink("/dev/full", out.join("asof.csv")).unwrap();
    let [file, out] = [&file, &out].map(|path| path.to_str().unwrap());
    let outcome = demo(&["--replay", file, "--speed", "max", "--headless", "--out", out]);
    assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
    outcome.says(&["error: ", "`trading`", "sink `asof`", "asof.csv", "No space left"]);
}

#[test]
fn the_outline_is_printed_and_nothing_is_written() {
    let files = Files::new();
    let file = files.write("session", text(&session(Venue::Spot, 1, 10)));
    let out = files.folder().join("out");
    let [file, out] = [&file, &out].map(|path| path.to_str().unwrap().to_owned());
    let arguments = ["--replay", &file, "--out", &out, "--outline"];
    let outline = demo(&arguments);
    assert_eq!(outline.code, Some(0), "{}", outline.stderr);
    assert!(outline.stdout.contains("pipeline trading"), "{}", outline.stdout);
    assert!(!Path::new(&out).exists());
    let drawn = demo(&[&arguments[..], &["mermaid"]].concat());
    assert!(drawn.stdout.starts_with("flowchart LR\n"), "{}", drawn.stdout);
}

#[test]
fn the_simulated_venue_says_the_same_to_everybody_who_asks_with_the_same_seed() {
    let run = |seed: &str| {
        let files = Files::new();
        let out = files.folder().to_str().unwrap().to_owned();
        let arguments = ["--speed", "max", "--seconds", "5", "--headless", "--strict", "--seed"];
        let outcome = demo(&[&arguments[..], &[seed, "--out", &out]].concat());
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
        ["bars_1s.csv", "bars_1m.csv", "book_top.csv", "asof.csv"]
            .map(|name| std::fs::read_to_string(files.folder().join(name)).unwrap())
    };
    let first = run("7");
    assert_eq!(first, run("7"));
    assert!(first.iter().all(|file| file.lines().count() > 1));
    assert_ne!(first, run("8"));
}

#[cfg(target_os = "linux")]
#[test]
fn output_that_nobody_can_read_costs_no_result() {
    let files = Files::new();
    let file = files.write("session", text(&session(Venue::Spot, 1, 100)) + "5 not json\n");
    let out = files.folder().join("out");
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let status = std::process::Command::new(common::program())
        .args(["--speed", "max", "--headless", "--replay"])
        .arg(&file)
        .arg("--out")
        .arg(&out)
        .stdout(full())
        .stderr(full())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(0));
    let expected = replay(&[&file], &[]);
    let written = std::fs::read_to_string(out.join("asof.csv")).unwrap();
    assert_eq!(written, expected.file("asof.csv"));
    assert!(out.join("report.json").exists());
}
