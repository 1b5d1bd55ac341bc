//! Where the lines come from: recorded files, or the simulated venue.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aqueduct::market::SimulatedVenue;
use aqueduct::pipeline::Mode;
use aqueduct::source::{Line, Place, ReplayError, replay};
use aqueduct::transform::Boxed;
use aqueduct::{Clock, Flow, Stage, Timestamp, iter};
use futures::channel::oneshot;

use crate::args::{Args, Speed};

/// A feed and the mode in which it is meant to run.
#[derive(Debug)]
pub struct Source {
    /// The lines, each at its time.
    pub lines: Flow<Boxed<Result<Line, ReplayError>>>,
    /// The clock starts with the first line.
    pub mode: Mode,
}

/// When the simulated venue opens in a run that does not follow the real time, so that the same
/// seed gives the same lines.
const OPENING: Timestamp = Timestamp::from_secs(1_723_161_600);

/// Opens the feed. It ends after `--seconds`, and when `stopped` says so.
pub fn open(args: &Args, stopped: oneshot::Receiver<()>) -> Result<Source, ReplayError> {
    let (lines, mode) = if args.replay.is_empty() {
        let start = if args.speed == Speed::Max { OPENING } else { Clock::live().now() };
        (until(simulated(args.seed, start), start, args, stopped), Mode::virtual_time(start))
    } else {
        // Better said now than in the middle of a long run.
        args.replay.iter().try_for_each(|file| exists(file))?;
        let recording = replay(&args.replay)?;
        let start = recording.first();
        (until(recording.into_flow(), start, args, stopped), Mode::replay(start))
    };
    let mode = match args.speed {
        Speed::Max => mode,
        Speed::Times(factor) => mode.at_speed(factor),
    };
    Ok(Source { lines, mode })
}

fn until(
    lines: Flow<impl Stage<Item = Result<Line, ReplayError>> + Send + 'static>,
    start: Timestamp,
    args: &Args,
    stopped: oneshot::Receiver<()>,
) -> Flow<Boxed<Result<Line, ReplayError>>> {
    let end = args.seconds.map(|seconds| start + seconds);
    let ended = move |line: &Line| end.is_some_and(|end| line.received >= end);
    let in_time = move |line: &Result<Line, _>| !line.as_ref().is_ok_and(ended);
    lines.take_while(in_time).take_until(stopped).boxed()
}

fn exists(file: &Path) -> Result<(), ReplayError> {
    let found = match fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        found => found,
    };
    found.map(drop).map_err(|error| ReplayError::Open { file: file.into(), error })
}

/// The lines of the simulated venue, each at its time.
fn simulated(
    seed: u64,
    start: Timestamp,
) -> Flow<impl Stage<Item = Result<Line, ReplayError>> + Send> {
    let file: Arc<Path> = Path::new("simulated venue").into();
    let lines = SimulatedVenue::new(seed).starting_at(start).lines().enumerate();
    iter(lines.map(move |(index, line)| Line {
        received: line.received,
        text: line.json.into(),
        place: Place { index: index as u64, file: file.clone(), number: index as u64 + 1 },
    }))
    .play(|line| Some(line.received))
    .map(Ok)
}
