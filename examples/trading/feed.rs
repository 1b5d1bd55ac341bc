//! Where the events come from: recorded files, or the simulated venue.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use aqueduct::market::feed::{self, Decoder, Feed, KrakenDecoder, Places};
use aqueduct::market::{MarketEvent, SimulatedVenue, kraken};
use aqueduct::pipeline::Mode;
use aqueduct::source::{Framing, Line, Origin, Place, ReplayError, replay};
use aqueduct::transform::Boxed;
use aqueduct::{Clock, Flow, Stage, Timestamp, iter};
use futures::channel::oneshot;
use futures::future::{FutureExt, Shared};

use crate::args::{Args, Speed};
use crate::kraken::received;

/// A feed and the mode in which it is meant to run.
#[derive(Debug)]
pub struct Source<E> {
    /// The events, each at its time.
    pub events: Flow<Boxed<Feed<E>>>,
    /// Where its lines stand.
    pub places: Places,
    /// The clock starts with the first line.
    pub mode: Mode,
}

/// The feed of a venue.
#[derive(Debug)]
pub enum Venue {
    /// Binance, or the simulated venue, which speaks like it.
    Binance(Source<MarketEvent>),
    /// The books of Kraken.
    Kraken(Source<kraken::Event>),
}

/// Ends all feeds.
#[derive(Debug)]
pub struct Stop(Mutex<Option<oneshot::Sender<()>>>);

/// Resolves when the feeds are to end.
type Stopped = Shared<oneshot::Receiver<()>>;

impl Stop {
    pub fn new() -> (Self, Stopped) {
        let (stop, stopped) = oneshot::channel();
        (Self(Mutex::new(Some(stop))), stopped.shared())
    }

    /// Ends the feeds; what is under way is finished and written.
    pub fn now(&self) {
        if let Some(stop) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // Gone already if the last feed has just ended.
            let _ = stop.send(());
        }
    }
}

/// When the simulated venue opens in a run that does not follow the real time, so that the same
/// seed gives the same lines.
const OPENING: Timestamp = Timestamp::from_secs(1_723_161_600);

/// Opens the feeds, in the order of their first files. Each ends after `--seconds`, and when `stopped`
/// says so.
pub fn open(args: &Args, stopped: &Stopped) -> Result<Vec<Venue>, ReplayError> {
    if args.replay.is_empty() {
        return Ok(vec![Venue::Binance(simulated(args, stopped))]);
    }
    let mut venues: Vec<(Framing, Vec<&Path>)> = Vec::new();
    for file in &args.replay {
        let framing = framing(file)?;
        match venues.iter_mut().find(|(of, _)| *of == framing) {
            Some((_, files)) => files.push(file),
            None => venues.push((framing, vec![file])),
        }
    }
    let venue = |(framing, files): (Framing, Vec<&Path>)| {
        Ok(match framing {
            Framing::Cryptofeed => {
                let mut decoder = KrakenDecoder::new();
                let places = decoder.places();
                let decode = move |line| decoder.decode(line);
                Venue::Kraken(recorded(&files, args, stopped, places, decode, received)?)
            }
            _ => {
                let mut decoder = Decoder::binance();
                let places = decoder.places();
                let decode = move |line| decoder.decode(line);
                Venue::Binance(recorded(&files, args, stopped, places, decode, feed::received)?)
            }
        })
    };
    venues.into_iter().map(venue).collect()
}

/// How the lines of a file begin. Better said now than in the middle of a long run if it is not there.
fn framing(file: &PathBuf) -> Result<Framing, ReplayError> {
    let found = match fs::metadata(file) {
        Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(_) => Framing::of(file),
        Err(error) => Err(error),
    };
    found.map_err(|error| ReplayError::Open { file: file.as_path().into(), error })
}

fn recorded<E: Send + 'static>(
    files: &[&Path],
    args: &Args,
    stopped: &Stopped,
    places: Places,
    decode: impl FnMut(Result<Line, ReplayError>) -> Feed<E> + Send + 'static,
    time: fn(&Feed<E>) -> Timestamp,
) -> Result<Source<E>, ReplayError> {
    let recording = replay(files)?;
    let start = recording.first();
    let events = until(recording.decode(decode), start, args, stopped, time);
    Ok(Source { events, places, mode: paced(Mode::replay(start), args) })
}

fn simulated(args: &Args, stopped: &Stopped) -> Source<MarketEvent> {
    let mut decoder = Decoder::binance();
    let places = decoder.places();
    let start = if args.speed() == Speed::Max { OPENING } else { Clock::live().now() };
    let lines = simulated_lines(args.seed, start);
    let events = lines.map(move |line| decoder.decode(line));
    let events = until(events, start, args, stopped, feed::received);
    Source { events, places, mode: paced(Mode::virtual_time(start), args) }
}

fn paced(mode: Mode, args: &Args) -> Mode {
    match args.speed() {
        Speed::Max => mode,
        Speed::Times(factor) => mode.at_speed(factor),
    }
}

fn until<E: Send + 'static>(
    events: Flow<impl Stage<Item = Feed<E>> + Send + 'static>,
    start: Timestamp,
    args: &Args,
    stopped: &Stopped,
    time: fn(&Feed<E>) -> Timestamp,
) -> Flow<Boxed<Feed<E>>> {
    let end = args.seconds.map(|seconds| start + seconds);
    let in_time = move |item: &Feed<E>| end.is_none_or(|end| time(item) < end);
    events.take_while(in_time).take_until(stopped.clone()).boxed()
}

/// The lines of the simulated venue, each at its time.
fn simulated_lines(
    seed: u64,
    start: Timestamp,
) -> Flow<impl Stage<Item = Result<Line, ReplayError>> + Send> {
    let file: Arc<Path> = Path::new("simulated venue").into();
    let lines = SimulatedVenue::new(seed).starting_at(start).lines().enumerate();
    iter(lines.map(move |(index, line)| Line {
        received: line.received,
        decimals: 9,
        origin: Origin::Received,
        text: line.json.into(),
        place: Place { index: index as u64, file: file.clone(), number: index as u64 + 1 },
    }))
    .play(|line| Some(line.received))
    .map(Ok)
}
