//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory, Parser, error::ErrorKind};

/// Bars, order book and as-of join from a venue's messages: simulated, or recorded.
#[derive(Debug, Parser)]
#[command(name = "trading", version)]
pub struct Args {
    /// Recorded files, plain or gzip, in order; without them the venue is simulated. What a file is
    /// shows in its first line: a recording of Binance, or a session of Kraken by cryptofeed. The files
    /// of a venue are one recording, and the venues run one after the other.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub replay: Vec<PathBuf>,

    /// `max`, or how many times as fast as real time [default: 1; with `--all --replay`: max].
    #[arg(long, value_name = "max|FACTOR")]
    speed: Option<Speed>,

    /// Stop after this many seconds of the feed.
    #[arg(long, value_name = "N", value_parser = seconds)]
    pub seconds: Option<Duration>,

    /// No view: print only the final report.
    #[arg(long)]
    pub headless: bool,

    /// Write `bars_1s.csv`, `bars_1m.csv`, `book_top.csv`, `asof.csv` and `report.json` here; of Kraken,
    /// `kraken_v1_book_top.csv.gz`.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Compute everything that the demo can, and write it to `--out` instead: bars by time, by trades, by
    /// volume and by value (`bars_*_spot_btcusdt.csv`), overlapping windows (`sliding_*`), rolling
    /// statistics (`rolling_*`), the as-of join (`asof_*`), the book (`book_top_*`), statistics of quotes
    /// (`quote_*`), and what an unreliable line would do (`faults_*`). Of a venue that is not replayed
    /// nothing is written; a file without rows has the names of its columns.
    #[arg(long, requires = "out")]
    pub all: bool,

    /// Exit with 1 if any of the data was bad.
    #[arg(long)]
    pub strict: bool,

    /// Print the pipeline instead of running it.
    #[arg(long, value_name = "FORMAT", num_args = 0..=1, default_missing_value = "text")]
    pub outline: Option<OutlineFormat>,

    /// The seed of the simulated venue.
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    pub seed: u64,
}

/// How to print the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum OutlineFormat {
    /// One line a stage.
    Text,
    /// A Mermaid flowchart.
    Mermaid,
}

/// How fast the feed comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as possible.
    Max,
    /// So many times as fast as real time.
    Times(f64),
}

impl std::str::FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(factor) if factor.is_finite() && factor > 0.0 => Ok(Self::Times(factor)),
            _ => Err("`max` or a positive number".into()),
        }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().filter(|seconds| *seconds > 0.0);
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .ok_or_else(|| "a positive number of seconds".into())
}

impl Args {
    /// How fast the feed comes.
    pub fn speed(&self) -> Speed {
        let all = self.all && !self.replay.is_empty();
        self.speed.unwrap_or(if all { Speed::Max } else { Speed::Times(1.0) })
    }

    /// The arguments of this process. Ends it with exit code 2 if they are wrong.
    pub fn read() -> Self {
        let args = Self::parse();
        if args.replay.is_empty() && args.speed() == Speed::Max && args.seconds.is_none() {
            wrong("the simulated venue never ends: `--speed max` needs `--seconds`");
        }
        args
    }
}

/// Says what is wrong with the arguments and ends the process with exit code 2.
pub fn wrong(message: impl std::fmt::Display) -> ! {
    Args::command().error(ErrorKind::ValueValidation, message).exit()
}
