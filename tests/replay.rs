//! `source::replay` as a flow: what it emits, in which order, at which time, and what it reads.

mod common;

use std::path::{Path, PathBuf};
use std::time::Duration;

use aqueduct::source::{Line, ReplayError, replay};
use aqueduct::{Ambient, Clock, Timestamp, Virtual, iter};
use common::{Files, gzip};

/// All that comes of a recording, under virtual time.
fn items(files: &[&Path]) -> Vec<Result<Line, ReplayError>> {
    let recording = replay(files).unwrap();
    let start = recording.first();
    Virtual::new().starting_at(start).run(recording.into_flow().collect::<Vec<_>>())
}

/// `index file:number time text` of a line, or the message of an error.
fn shown(items: &[Result<Line, ReplayError>]) -> Vec<String> {
    let show = |item: &Result<Line, ReplayError>| match item {
        Ok(Line { received, text, place, .. }) => {
            let name = place.file.file_name().unwrap().to_str().unwrap();
            let text = std::str::from_utf8(text).unwrap();
            format!("{} {name}:{} {} {text}", place.index, place.number, received.as_nanos())
        }
        Err(error) => error.to_string(),
    };
    items.iter().map(show).collect()
}

fn texts(items: Vec<Result<Line, ReplayError>>) -> Vec<String> {
    items.into_iter().map(|item| String::from_utf8(item.unwrap().text.to_vec()).unwrap()).collect()
}

/// Lines of one millisecond each, with texts of different lengths: several blocks long.
fn long() -> (String, Vec<String>) {
    let texts: Vec<_> = (0..6_000).map(|n| format!("{n} {}", "x".repeat(n % 300))).collect();
    let lines = texts.iter().enumerate().map(|(n, text)| format!("{} {text}\n", n * 1_000_000));
    (lines.collect(), texts)
}

#[test]
fn lines_are_numbered_in_their_file_and_indexed_over_all_files() {
    let files = Files::new();
    let a = files.write("a", "5 one\n\n7 two words\r\n");
    let b = files.write("b", "8 three");
    let c = files.write("c.gz", gzip(b"9 four\n9 \n"));
    let got = shown(&items(&[&a, &b, &c]));
    assert_eq!(
        got,
        ["0 a:1 5 one", "2 a:3 7 two words", "3 b:1 8 three", "4 c.gz:1 9 four", "5 c.gz:2 9 "]
    );
}

#[test]
fn gzip_is_told_by_content_and_gives_the_same_lines_as_plain_text() {
    let (text, texts_of_lines) = long();
    assert!(text.len() > 3 * 256 * 1024, "several blocks");
    let files = Files::new();
    let plain = files.write("plain.gz", &text);
    let packed = files.write("packed.txt", gzip(text.as_bytes()));
    assert_eq!(texts(items(&[&plain])), texts_of_lines);
    assert_eq!(texts(items(&[&packed])), texts_of_lines);
}

#[test]
fn a_line_is_whole_wherever_the_end_of_a_block_falls() {
    const BLOCK: usize = 256 * 1024;
    for length in BLOCK - 3..BLOCK + 3 {
        // With the time, the first line has this length, with or without its line end.
        let first = "f".repeat(length - 2);
        let files = Files::new();
        let file = files.write("edge", format!("1 {first}\n2 second\n3 third"));
        assert_eq!(texts(items(&[&file])), [&*first, "second", "third"], "{length}");
    }
}

#[test]
fn the_longest_line_has_16_mib_whatever_stands_before_it() {
    const LONGEST: usize = 16 << 20;
    let files = Files::new();
    let head = "1 before\n".repeat(1_000);
    let longest = "l".repeat(LONGEST - 2);
    let file = files.write("longest", format!("{head}2 {longest}\n3 behind\n"));
    let got = texts(items(&[&file]));
    assert_eq!(got.len(), 1_002);
    assert_eq!((got[1_000].len(), &*got[1_001]), (LONGEST - 2, "behind"));

    let other = files.write("other", "4 other\n");
    let file = files.write("too long", format!("{head}2 {longest}l\n3 behind\n"));
    let got = shown(&items(&[&file, &other]));
    assert_eq!(got.len(), 1_002);
    assert!(got[1_000].contains("too long:1001: cannot be read on: a line is longer than"));
    assert_eq!(got[1_001], "1000 other:1 4 other", "the rest of that file is lost");
}

#[test]
fn errors_come_in_their_place_before_the_line_that_they_are_about() {
    let files = Files::new();
    let text = "5 a\nno time\n4 b\n+6 c\n6 d\n\n2 e\n";
    let packed = gzip(text.as_bytes());
    let a = files.write("a", text);
    let missing = files.folder().join("missing");
    let cut = files.write("cut", &packed[..packed.len() - 1]);
    let last = files.write("last", "9 end");
    let got = shown(&items(&[&a, &missing, &cut, &last]));
    let file = |name: &str| files.folder().join(name).display().to_string();
    let (a, missing, cut) = (file("a"), file("missing"), file("cut"));
    let starts = [
        "0 a:1 5 a".into(),
        format!(
            "{a}:2: the line does not begin with a receive time in Unix nanoseconds: `no time`"
        ),
        format!("{a}:3: time runs backwards, from 0.000000005 to 0.000000004"),
        "2 a:3 4 b".into(),
        format!("{a}:4: the line does not begin with a receive time in Unix nanoseconds: `+6 c`"),
        "4 a:5 6 d".into(),
        format!("{a}:7: time runs backwards, from 0.000000006 to 0.000000002"),
        "6 a:7 2 e".into(),
        format!("{missing}: cannot be opened: "),
        format!("{cut}:1: time runs backwards"),
        "7 cut:1 5 a".into(),
        format!("{cut}:2: the line does not begin with"),
        format!("{cut}:3: time runs backwards"),
        "9 cut:3 4 b".into(),
        format!("{cut}:4: the line does not begin with"),
        "11 cut:5 6 d".into(),
        format!("{cut}:7: time runs backwards"),
        "13 cut:7 2 e".into(),
        format!("{cut}:8: cannot be read on: the gzip stream is cut off"),
        "14 last:1 9 end".into(),
    ];
    assert_eq!(got.len(), starts.len(), "{got:#?}");
    for (got, start) in got.iter().zip(&starts) {
        assert!(got.starts_with(start), "{got}\nis not\n{start}");
    }
}

#[test]
fn the_kind_of_an_error_can_be_matched() {
    let files = Files::new();
    let file = files.write("a", "7 a\n3 b\nx\n");
    let got = items(&[&file]);
    let nanos = Timestamp::from_nanos;
    assert!(matches!(&got[1], Err(ReplayError::Backwards { place, received, before })
        if place.number == 2 && *received == nanos(3) && *before == nanos(7)));
    assert!(matches!(&got[3], Err(ReplayError::NoTime { place, start, .. })
        if place.index == 2 && start == "x"));
}

#[test]
fn a_first_file_that_cannot_be_opened_is_an_error_at_once() {
    let files = Files::new();
    let missing = files.folder().join("missing");
    let error = replay([&missing]).unwrap_err();
    assert!(matches!(&error, ReplayError::Open { file, error }
        if **file == *missing && error.kind() == std::io::ErrorKind::NotFound));
    assert!(error.to_string().starts_with(&format!("{}: cannot be opened: ", missing.display())));
}

#[test]
fn the_first_time_is_that_of_the_first_good_line() {
    let files = Files::new();
    let junk = "x\n".repeat(300_000);
    let first = |files: &[&PathBuf]| replay(files).unwrap().first().as_nanos();
    let (empty, bad) = (files.write("empty", ""), files.write("bad", &junk));
    let good = files.write("good", "x\n7 a\n3 b\n");
    assert_eq!(first(&[&good]), 7);
    assert_eq!(first(&[&empty, &empty, &good]), 7);
    assert_eq!(first(&[&bad, &good]), 7, "more junk than a block holds");
    assert_eq!(first(&[&empty]), 0);
    assert_eq!(first(&[&bad]), 0);
    assert_eq!(replay(Vec::<PathBuf>::new()).unwrap().first(), Timestamp::EPOCH);
    assert_eq!(items(&[&bad, &good]).len(), 300_004, "what was searched is not lost");
}

#[test]
fn each_line_comes_when_the_clock_shows_its_time() {
    let files = Files::new();
    let file = files.write("a", "1000 a\n5000 b\n3000 c\n5001 d\n");
    let recording = replay([file]).unwrap();
    let start = recording.first();
    let times = Virtual::new().starting_at(start).run(async {
        let times = recording.into_flow().map(|_| Clock::current().now().as_nanos());
        times.collect::<Vec<_>>().await
    });
    // The error and the line that is late come at once.
    assert_eq!(times, [1_000, 5_000, 5_000, 5_000, 5_001]);
}

#[test]
fn timers_fire_between_the_lines_as_they_would_have_live() {
    let (text, _) = long();
    let files = Files::new();
    let recording = replay([files.write("long", text)]).unwrap();
    let run = || {
        let lines = recording.into_flow().map(|line| line.unwrap().place.index);
        lines.sample(Duration::from_millis(100)).collect::<Vec<_>>()
    };
    let sampled = Virtual::new().run(run());
    // At one instant a line comes before the timer. The last line comes at 5,999 ms.
    let expected: Vec<u64> = (1..60).map(|n| n * 100).collect();
    assert_eq!(&sampled[..59], expected);
}

#[tokio::test(start_paused = true)]
async fn a_paced_clock_sets_the_speed() {
    let files = Files::new();
    let file = files.write("a", "1000000000 a\n3000000000 b\n61000000000 c\n");
    for (factor, seconds) in [(1.0, 60.0), (10.0, 6.0), (0.5, 120.0)] {
        let recording = replay([&file]).unwrap();
        let clock = Clock::paced(recording.first(), factor);
        let started = tokio::time::Instant::now();
        let count = Ambient::on(clock).scope(recording.into_flow().count()).await;
        let took = started.elapsed().as_secs_f64();
        assert_eq!(count, 3);
        assert!((seconds..seconds + 0.01).contains(&took), "{took} s at {factor}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_the_live_clock_a_recording_lies_in_the_past_and_comes_at_once() {
    let (text, texts) = long();
    let files = Files::new();
    let started = tokio::time::Instant::now();
    let recording = replay([files.write("long", text)]).unwrap();
    assert_eq!(recording.into_flow().count().await, texts.len() as u64);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[test]
fn a_worker_thread_reads_and_gives_the_same_lines() {
    let (text, texts_of_lines) = long();
    let files = Files::new();
    let file = files.write("long.gz", gzip(text.as_bytes()));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let lines = runtime.block_on(async {
        let recording = replay([file]).unwrap();
        let all = recording.into_flow().collect::<Vec<_>>();
        Virtual::new().with_workers().drive(all).await.unwrap()
    });
    assert_eq!(texts(lines), texts_of_lines);
}

#[test]
fn at_most_two_blocks_are_read_ahead_of_the_line_that_is_taken() {
    let (text, texts) = long();
    let files = Files::new();
    let file = files.write("shrinking", text);
    let recording = replay([&file]).unwrap();
    // What was not read ahead when the file is emptied does not come.
    let mut lines = recording.into_flow();
    Virtual::new().run(async {
        assert!(lines.next().await.is_some());
        std::fs::File::options().write(true).open(&file).unwrap().set_len(0).unwrap();
        let rest = lines.count().await;
        // Two blocks of 256 KiB, and what the file's own buffer holds.
        assert!(rest < texts.len() as u64 * 2 / 3, "{rest} lines were read ahead");
    });
}

#[test]
fn lines_pass_through_other_flows() {
    let files = Files::new();
    let file = files.write("a", "1 a\n3 c\n");
    let recorded = replay([file]).unwrap().into_flow().map(|line| line.unwrap().received);
    let others = iter([2, 4]).map(Timestamp::from_nanos).play(|time| Some(*time));
    let merged = Virtual::new().run(recorded.merge(others).collect::<Vec<_>>());
    assert_eq!(merged, [1, 2, 3, 4].map(Timestamp::from_nanos));
}
