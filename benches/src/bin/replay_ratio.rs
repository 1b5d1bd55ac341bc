//! How much more time than its baseline the demo needs for a replay at full speed.
//!
//! ```text
//! cargo build --release --example trading
//! cargo build --release -p aqueduct-benches
//! target/release/replay_ratio FILE… [--expect DIR] [--runs N]
//! ```
//!
//! Both programs run as whole processes, in turn, so that whatever else the machine does meets
//! both. With `--expect` the demo's four CSV files are compared first, byte for byte, with the
//! expected ones, plain or gzip; in any case both must have counted the same lines.

use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use flate2::bufread::MultiGzDecoder;
use nix::sys::resource::{UsageWho, getrusage};
use serde::Deserialize;

/// What the demo writes, and what it is compared with.
const EXPECTED: [(&str, &str); 4] = [
    ("bars_1s.csv", "bars_1s_spot_btcusdt.csv"),
    ("bars_1m.csv", "bars_1m_spot_btcusdt.csv"),
    ("book_top.csv", "book_top_spot_btcusdt.csv.gz"),
    ("asof.csv", "asof_spot_local.csv.gz"),
];

/// Runs the demo's replay and its baseline in turn and compares their times.
#[derive(Debug, Parser)]
struct Args {
    /// Recorded files, in order.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// The folder of the expected CSV files.
    #[arg(long, value_name = "DIR")]
    expect: Option<PathBuf>,

    /// How often each of the two runs.
    #[arg(long, value_name = "N", default_value_t = 11, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// The demo; `examples/trading` beside this program if it is not given.
    #[arg(long, value_name = "PROGRAM")]
    trading: Option<PathBuf>,

    /// The baseline; `baseline` beside this program if it is not given.
    #[arg(long, value_name = "PROGRAM")]
    baseline: Option<PathBuf>,
}

/// What is read from the demo's `report.json`.
#[derive(Debug, Deserialize)]
struct Report {
    messages: u64,
    peak_rss_bytes: Option<u64>,
}

/// What one process took.
#[derive(Debug, Clone, Copy)]
struct Cost {
    wall: Duration,
    /// User and system time of all its threads.
    cpu: Duration,
}

/// One of the times.
type Pick = fn(&Cost) -> Duration;

/// Both programs and what they work on.
#[derive(Debug)]
struct Setup {
    files: Vec<PathBuf>,
    trading: PathBuf,
    baseline: PathBuf,
    out: tempfile::TempDir,
}

impl Setup {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let own = std::env::current_exe()?;
        let beside = own.parent().context("this program lies in no folder")?;
        let find = |given: &Option<PathBuf>, usual: &str| {
            let path = given.clone().unwrap_or_else(|| beside.join(usual));
            ensure!(path.is_file(), "{} is not there: build it first", path.display());
            Ok(path)
        };
        Ok(Self {
            files: args.files.clone(),
            trading: find(&args.trading, "examples/trading")?,
            baseline: find(&args.baseline, "baseline")?,
            out: tempfile::tempdir()?,
        })
    }

    fn trading(&self) -> anyhow::Result<(Cost, Report)> {
        let mut command = Command::new(&self.trading);
        command.arg("--replay").args(&self.files);
        command.args(["--speed", "max", "--headless", "--out"]).arg(self.out.path());
        let (cost, _) = run(command)?;
        let report = fs::read_to_string(self.out.path().join("report.json"))?;
        Ok((cost, serde_json::from_str(&report)?))
    }

    /// The cost, and how many lines there were.
    fn baseline(&self) -> anyhow::Result<(Cost, u64)> {
        let mut command = Command::new(&self.baseline);
        command.args(&self.files);
        let (cost, output) = run(command)?;
        let lines = output.lines().find_map(|line| line.strip_prefix("lines "));
        Ok((cost, lines.context("the baseline counted no lines")?.parse()?))
    }

    fn compare(&self, expected: &Path) -> anyhow::Result<()> {
        for (name, answer) in EXPECTED {
            let ours = fs::read(self.out.path().join(name))?;
            let answer = expected.join(answer);
            let theirs = read(&answer).with_context(|| answer.display().to_string())?;
            if ours != theirs {
                let mut pairs = ours.split(|&b| b == b'\n').zip(theirs.split(|&b| b == b'\n'));
                let line = pairs.position(|(ours, theirs)| ours != theirs);
                let line = line.map_or("after the shorter one's end".into(), |line| {
                    format!("in line {}", line + 1)
                });
                bail!("{name} and {} differ, first {line}", answer.display());
            }
        }
        Ok(())
    }
}

/// Runs a program to its end: what it took, and what it printed.
fn run(mut command: Command) -> anyhow::Result<(Cost, String)> {
    let cpu_before = cpu_of_children()?;
    let start = Instant::now();
    let output = command.stderr(Stdio::inherit()).output()?;
    let wall = start.elapsed();
    let cpu = cpu_of_children()?.saturating_sub(cpu_before);
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok((Cost { wall, cpu }, String::from_utf8(output.stdout)?))
}

/// User and system time of all children that have ended.
fn cpu_of_children() -> anyhow::Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let micros = [usage.user_time(), usage.system_time()]
        .map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Ok(Duration::from_micros(u64::try_from(micros[0] + micros[1])?))
}

/// A file's content, decompressed if it is gzip.
fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut file = BufReader::new(File::open(path)?);
    if path.extension().is_some_and(|extension| extension == "gz") {
        MultiGzDecoder::new(file).read_to_end(&mut content)?;
    } else {
        file.read_to_end(&mut content)?;
    }
    Ok(content)
}

/// The least, the middle and the greatest, in milliseconds.
fn spread(costs: &[Cost], of: Pick) -> [f64; 3] {
    let mut times: Vec<_> = costs.iter().map(|cost| of(cost).as_secs_f64() * 1e3).collect();
    times.sort_by(f64::total_cmp);
    [times[0], times[times.len() / 2], times[times.len() - 1]]
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let setup = Setup::new(&args)?;

    // Unmeasured: it brings the files into the page cache, too.
    let (_, report) = setup.trading()?;
    let (_, lines) = setup.baseline()?;
    ensure!(
        report.messages == lines,
        "the demo counted {} messages, the baseline {lines} lines",
        report.messages
    );
    if let Some(expected) = &args.expect {
        setup.compare(expected)?;
        println!("{lines} lines; the four CSV files are as expected\n");
    } else {
        println!("{lines} lines; the CSV files were not compared\n");
    }

    let (mut demo, mut baseline, mut peak) = (Vec::new(), Vec::new(), None);
    for _ in 0..args.runs {
        let (cost, report) = setup.trading()?;
        demo.push(cost);
        peak = peak.max(report.peak_rss_bytes);
        baseline.push(setup.baseline()?.0);
    }

    println!("| ms, median of {} (least to most) | trading | baseline | ratio |", args.runs);
    println!("|---|---|---|---|");
    let kinds: [(_, Pick); 2] = [("wall", |c| c.wall), ("CPU", |c| c.cpu)];
    for (name, of) in kinds {
        let [least, demo, most] = spread(&demo, of);
        let [base_least, base, base_most] = spread(&baseline, of);
        println!(
            "| {name} | {demo:.1} ({least:.1} to {most:.1}) \
             | {base:.1} ({base_least:.1} to {base_most:.1}) | {:.2} ({:.2} of the least) |",
            demo / base,
            least / base_least,
        );
    }
    if let Some(peak) = peak {
        println!("\ntrading: at most {:.1} MiB resident", peak as f64 / (1024.0 * 1024.0));
    }
    Ok(())
}
