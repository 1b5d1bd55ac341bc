//! Where the results go: files in a folder, and the report.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aqueduct::market::feed::ProblemKind;
use aqueduct::pipeline::StageReport;
use aqueduct::sink::csv::{self, CsvError, CsvFile, LineEnd};
use futures::Sink;
use serde::Serialize;

use crate::rows::Row;

/// Prints a line. Whoever reads the output may have gone (`trading | head`); the run and its files
/// do not depend on that.
pub fn say(line: impl fmt::Display) {
    let _ = writeln!(io::stdout(), "{line}");
}

/// The folder of `--out`, if there is one.
#[derive(Debug)]
pub struct Output {
    folder: Option<PathBuf>,
}

impl Output {
    /// Makes the folder.
    pub fn new(folder: Option<&Path>) -> io::Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder)?;
        }
        Ok(Self { folder: folder.map(Path::to_owned) })
    }

    /// The rows of a file; without a folder they are let go.
    pub fn csv<T: Row>(&self, name: &str) -> Result<Rows<T>, CsvError> {
        let path = self.folder.as_ref().map(|folder| folder.join(name));
        let file = path.map(csv::create).transpose()?;
        Ok(Rows(file.map(|file: CsvFile<T>| file.columns(T::COLUMNS))))
    }

    /// As [`csv`](Self::csv), with the line ends of RFC 4180.
    pub fn csv_crlf<T: Row>(&self, name: &str) -> Result<Rows<T>, CsvError> {
        Ok(Rows(self.csv(name)?.0.map(|file| file.line_end(LineEnd::CrLf))))
    }

    /// Writes `report.json`.
    pub fn report(&self, summary: &Summary<'_>) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let json = serde_json::to_string_pretty(summary)?;
        fs::write(folder.join("report.json"), json + "\n")
    }
}

/// A CSV file, or nothing.
#[derive(Debug)]
pub struct Rows<T>(Option<CsvFile<T>>);

impl<T: Serialize> Sink<T> for Rows<T> {
    type Error = CsvError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        self.0.as_mut().map_or(Poll::Ready(Ok(())), |file| Pin::new(file).poll_ready(cx))
    }

    fn start_send(mut self: Pin<&mut Self>, row: T) -> Result<(), CsvError> {
        self.0.as_mut().map_or(Ok(()), |file| Pin::new(file).start_send(row))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        let flush = |file| Sink::<T>::poll_flush(Pin::new(file), cx);
        self.0.as_mut().map_or(Poll::Ready(Ok(())), flush)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        let close = |file| Sink::<T>::poll_close(Pin::new(file), cx);
        self.0.as_mut().map_or(Poll::Ready(Ok(())), close)
    }
}

/// What `report.json` says.
#[derive(Debug, Serialize)]
pub struct Summary<'a> {
    messages: u64,
    elapsed_s: f64,
    messages_per_s: f64,
    peak_rss_bytes: Option<u64>,
    problems: &'a BTreeMap<ProblemKind, u64>,
    stages: &'a [StageReport],
}

impl<'a> Summary<'a> {
    /// The figures of runs, one after the other.
    pub fn of(
        messages: u64,
        elapsed: Duration,
        stages: &'a [StageReport],
        problems: &'a BTreeMap<ProblemKind, u64>,
    ) -> Self {
        let elapsed_s = elapsed.as_secs_f64();
        Self {
            messages,
            elapsed_s,
            messages_per_s: messages as f64 / elapsed_s.max(f64::MIN_POSITIVE),
            peak_rss_bytes: peak_rss_bytes(),
            problems,
            stages,
        }
    }

    /// One line for people.
    pub fn print(&self) {
        let peak = self.peak_rss_bytes.map_or_else(String::new, |bytes| {
            format!(", at most {:.1} MiB resident", bytes as f64 / (1024.0 * 1024.0))
        });
        say(format_args!(
            "{} messages in {:.3} s: {:.0} messages/s{peak}",
            self.messages, self.elapsed_s, self.messages_per_s
        ));
    }
}

/// The most memory that this process ever had resident, where the system tells (Linux).
fn peak_rss_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
