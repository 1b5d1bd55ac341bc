//! Where the events come from: recorded files, or the simulated venue.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use aqueduct::market::SimulatedVenue;
use aqueduct::market::feed::{self, Decoder, Feed, Places};
use aqueduct::pipeline::Mode;
use aqueduct::source::{Line, Place, ReplayError, replay};
use aqueduct::transform::Boxed;
use aqueduct::{Clock, Flow, Stage, Timestamp, iter};
use futures::channel::oneshot;

use crate::args::{Args, Speed};

/// A feed and the mode in which it is meant to run.
#[derive(Debug)]
pub struct Source {
    /// The events, each at its time.
    pub events: Flow<Boxed<Feed>>,
    /// Where its lines stand.
    pub places: Places,
    /// The clock starts with the first line.
    pub mode: Mode,
}

/// When the simulated venue opens in a run that does not follow the real time, so that the same
/// seed gives the same lines.
const OPENING: Timestamp = Timestamp::from_secs(1_723_161_600);

/// Opens the feed. It ends after `--seconds`, and when `stopped` says so.
pub fn open(args: &Args, stopped: oneshot::Receiver<()>) -> Result<Source, ReplayError> {
    let mut decoder = Decoder::binance();
    let places = decoder.places();
    let decode = move |line| decoder.decode(line);
    let (events, mode) = if args.replay.is_empty() {
        let start = if args.speed == Speed::Max { OPENING } else { Clock::live().now() };
        let events = simulated(args.seed, start).map(decode);
        (until(events, start, args, stopped), Mode::virtual_time(start))
    } else {
        // Better said now than in the middle of a long run.
        args.replay.iter().try_for_each(|file| exists(file))?;
        let recording = replay(&args.replay)?;
        let start = recording.first();
        (until(recording.decode(decode), start, args, stopped), Mode::replay(start))
    };
    let mode = match args.speed {
        Speed::Max => mode,
        Speed::Times(factor) => mode.at_speed(factor),
    };
    Ok(Source { events, places, mode })
}

fn until(
    events: Flow<impl Stage<Item = Feed> + Send + 'static>,
    start: Timestamp,
    args: &Args,
    stopped: oneshot::Receiver<()>,
) -> Flow<Boxed<Feed>> {
    let end = args.seconds.map(|seconds| start + seconds);
    let in_time = move |item: &Feed| end.is_none_or(|end| feed::received(item) < end);
    events.take_while(in_time).take_until(stopped).boxed()
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
