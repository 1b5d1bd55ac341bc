//! Where the lines come from: recorded files, or the simulated venue.

use std::path::Path;
use std::sync::Arc;

use aqueduct::market::SimulatedVenue;
use aqueduct::pipeline::Mode;
use aqueduct::source::{Line, Place, ReplayError, replay};
use aqueduct::transform::Boxed;
use aqueduct::{Clock, Flow, Timestamp, iter};
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
    let (lines, start, mode) = if args.replay.is_empty() {
        let start = if args.speed == Speed::Max { OPENING } else { Clock::live().now() };
        (simulated(args.seed, start).boxed(), start, Mode::virtual_time(start))
    } else {
        let recording = replay(&args.replay)?;
        let start = recording.first();
        (recording.into_flow().boxed(), start, Mode::replay(start))
    };
    let end = args.seconds.map_or(Timestamp::MAX, |seconds| start + seconds);
    let lines = lines
        .take_while(move |line| line.as_ref().map_or(true, |line| line.received < end))
        .take_until(stopped)
        .boxed();
    let mode = match args.speed {
        Speed::Max => mode,
        Speed::Times(factor) => mode.at_speed(factor),
    };
    Ok(Source { lines, mode })
}

/// The lines of the simulated venue, each at its time.
fn simulated(
    seed: u64,
    start: Timestamp,
) -> Flow<impl aqueduct::Stage<Item = Result<Line, ReplayError>> + Send> {
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
