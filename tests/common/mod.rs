//! What the integration tests share: the demo as a program, and recordings made up here.
#![allow(dead_code, reason = "each test program uses its own part of this")]

pub(crate) mod answers;
pub(crate) mod in_full;
pub(crate) mod kraken;
pub(crate) mod recording;
pub(crate) mod shared;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The demo program, next to the test programs in the target folder.
pub(crate) fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().and_then(Path::parent).unwrap();
    let name = format!("trading{}", std::env::consts::EXE_SUFFIX);
    let program = profile.join("examples").join(name);
    assert!(
        program.exists(),
        "{} is missing: run a plain `cargo test`, or `cargo build --example trading` first",
        program.display()
    );
    program
}

/// What the demo said and did.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The files that it wrote; packed ones unpacked.
    pub(crate) files: BTreeMap<String, String>,
}

impl Outcome {
    /// The text of a file that the demo wrote.
    #[track_caller]
    pub(crate) fn file(&self, name: &str) -> &str {
        let file = self.files.get(name);
        file.unwrap_or_else(|| panic!("no {name}; the demo said: {}{}", self.stdout, self.stderr))
    }

    /// The lines of a CSV file behind its header.
    #[track_caller]
    pub(crate) fn rows(&self, name: &str) -> Vec<&str> {
        self.file(name).lines().skip(1).collect()
    }

    #[track_caller]
    pub(crate) fn report(&self) -> Value {
        serde_json::from_str(self.file("report.json")).unwrap()
    }

    /// How many problems of each kind were counted.
    #[track_caller]
    pub(crate) fn problems(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.report()["problems"].clone()).unwrap()
    }

    /// The one line of standard error in which all of these occur.
    #[track_caller]
    pub(crate) fn says(&self, parts: &[&str]) {
        let found = self.stderr.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line with all of {parts:?} in:\n{}", self.stderr);
    }
}

/// Longer than any run here takes: one that waits for ever is a failure, not a hanging test.
const PATIENCE: Duration = Duration::from_secs(100);

/// Runs the demo to its end.
pub(crate) fn demo(arguments: &[&str]) -> Outcome {
    let mut command = Command::new(program());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let id = child.id().to_string();
    let (send, done) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output()));
    let Ok(done) = done.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").arg(id).status();
        panic!("the demo did not end: {arguments:?}");
    };
    let done = done.unwrap();
    Outcome {
        code: done.status.code(),
        stdout: String::from_utf8(done.stdout).unwrap(),
        stderr: String::from_utf8(done.stderr).unwrap(),
        files: BTreeMap::new(),
    }
}

/// Runs the demo over recordings, without a view, and reads what it wrote.
pub(crate) fn replay(files: &[&Path], arguments: &[&str]) -> Outcome {
    let out = TempDir::new().unwrap();
    let mut all = vec!["--replay"];
    all.extend(files.iter().map(|file| file.to_str().unwrap()));
    all.extend(["--headless", "--out", out.path().to_str().unwrap()]);
    if !arguments.contains(&"--speed") {
        all.extend(["--speed", "max"]);
    }
    all.extend(arguments);
    let mut outcome = demo(&all);
    for file in std::fs::read_dir(out.path()).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let bytes = std::fs::read(file.path()).unwrap();
        let bytes = if name.ends_with(".gz") { gunzip_whole(&bytes) } else { bytes };
        outcome.files.insert(name, String::from_utf8(bytes).unwrap());
    }
    outcome
}

/// Every source, stage and edge accounts for its items, and what a node gives is on its edges.
#[track_caller]
pub(crate) fn assert_adds_up(report: &Value) {
    let stages = report["stages"].as_array().unwrap();
    assert!(!stages.is_empty());
    for stage in stages {
        let number = |field: &str| stage[field].as_u64().unwrap();
        let dropped = stage["dropped"].as_object().unwrap().values();
        let dropped: u64 = dropped.map(|items| items.as_u64().unwrap()).sum();
        if stage["kind"] != "sink" {
            assert_eq!(number("in"), number("out") + dropped + number("held"), "{stage:#}");
        }
        for time in ["busy_s", "starved_s", "blocked_s"] {
            assert!(stage[time].as_f64().unwrap() >= 0.0, "{stage:#}");
        }
        match stage["kind"].as_str().unwrap() {
            "edge" => {
                let high_water = number("held_high_water");
                assert!((number("held")..=number("capacity")).contains(&high_water), "{stage:#}");
            }
            "source" | "stage" | "sink" => assert!(stage["capacity"].is_null(), "{stage:#}"),
            other => panic!("what is a {other}?"),
        }
    }
}

/// The row of a report.
#[track_caller]
pub(crate) fn stage<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut stages = report["stages"].as_array().unwrap().iter();
    stages.find(|stage| stage["name"] == name).unwrap_or_else(|| panic!("no stage {name}"))
}

pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// The text of a gzip file that nothing is wrong with.
fn gunzip_whole(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(packed).read_to_end(&mut text).unwrap();
    text
}

/// The text of a gzip file, as far as it can be read.
pub(crate) fn gunzip(packed: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    // A file that is cut off gives what stands before the cut.
    let _ = flate2::read::MultiGzDecoder::new(packed).read_to_end(&mut text);
    text
}

/// A folder for recordings that a test makes up.
#[derive(Debug)]
pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    pub(crate) fn folder(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}
