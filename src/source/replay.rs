//! `replay`: recorded files, driven by the time at which each line was recorded.

use std::future::Future;
use std::io::{self, BufRead, Read};
use std::panic::Location;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::vec;

use bytes::Bytes;

use super::framing::{self, Framing, Origin};
use crate::{Ambient, Bound, Budget, Flow, Job, Outline, Site, Stage, Timestamp};

/// How much text is read, decompressed and split at a time: about a thousand lines.
const BLOCK: usize = 256 * 1024;
/// A longer line is not a line of a recording.
const LONGEST_LINE: usize = 16 * 1024 * 1024;

/// One recorded line: when it was received, and its text. See [`Framing`] for how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// When the recorder received it.
    pub received: Timestamp,
    /// How many decimals of a second the recorder wrote for that.
    pub decimals: u8,
    /// Whether it was received, sent, or neither.
    pub origin: Origin,
    /// What it received; a slice of the block that was read, not a copy.
    pub text: Bytes,
    /// Where it stands.
    pub place: Place,
}

/// Where a line stands in a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its index over all files in order, from 0.
    pub index: u64,
    /// The file.
    pub file: Arc<Path>,
    /// Its number in the file, from 1.
    pub number: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.number)
    }
}

/// What is wrong with a recording. The flow goes on behind it where that is possible.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file cannot be opened.
    #[error("{}: cannot be opened: {error}", file.display())]
    Open {
        /// The file.
        file: Arc<Path>,
        /// Why.
        error: io::Error,
    },
    /// A file cannot be read on, for example because its gzip stream is cut off. The lines before
    /// were delivered; the replay goes on with the next file.
    #[error("{place}: cannot be read on: {}", read_error(error))]
    Read {
        /// The line that could not be read, or only in part.
        place: Place,
        /// Why.
        error: io::Error,
    },
    /// A line does not begin with a time as the lines of its file do.
    #[error("{place}: the line does not begin with {expected}: `{start}`")]
    NoTime {
        /// The line.
        place: Place,
        /// What is expected there.
        expected: &'static str,
        /// How it begins.
        start: String,
    },
    /// A line was received before the one above it. It is delivered after this; the clock of the
    /// replay does not go back.
    #[error("{place}: time runs backwards, from {before} to {received}")]
    Backwards {
        /// The line.
        place: Place,
        /// Its time.
        received: Timestamp,
        /// The latest time before it.
        before: Timestamp,
    },
}

fn read_error(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "the gzip stream is cut off".into(),
        _ => error.to_string(),
    }
}

/// A flow over recorded files, one after the other: plain text or gzip, told apart by content, each in
/// a [`Framing`] of its own.
///
/// Each line comes when the clock of the run shows the time at which it was recorded. So the run
/// decides the speed: as fast as possible under virtual time, where nothing is skipped and every
/// timer in the flow fires where it would have fired live; in real time or at any factor under
/// [`Clock::paced`](crate::Clock::paced); and at once under the live clock, for which a recording
/// lies in the past.
///
/// ```text
/// file  1723161254.087 {"stream":"btcusdt@bookTicker",...
///       1723161254.116 {"stream":"btcusdt@trade",...
/// out   --{bookTicker}---{trade}--|    each at its recorded time
/// ```
///
/// The first file is opened and its first block read at once, so that [`Replay::first`] is known
/// before the run; the others when their turn comes. If not one line of that block is good, the
/// files are searched for the first good line, and read again by the run.
///
/// - **Emits** each line at its time; an error in its place, before the line that it is about.
/// - **Backpressures** when downstream does: the files are read no faster than lines are taken.
/// - **Ends** after the last line of the last file.
/// - **On error**: in-band; a bad line costs that line, a file that cannot be read on the rest of
///   that file.
/// - **Holds** two blocks of 256 KiB of text, or two lines if one is longer; a line has at most
///   16 MiB.
/// - **Cost**: reading, decompressing and [decoding](Replay::decode) happen on a worker thread, a
///   block at a time; a line is a slice of its block.
///
/// # Errors
///
/// If the first file cannot be opened.
///
/// ```
/// # use aqueduct::{Virtual, source::replay};
/// # use std::io::Write;
/// let mut file = tempfile::NamedTempFile::new()?;
/// writeln!(file, "1000000000 {{\"first\":1}}\n2000000000 {{\"second\":2}}")?;
/// let lines = replay([file.path()])?;
/// let count = Virtual::new().starting_at(lines.first()).run(lines.into_flow().count());
/// assert_eq!(count, 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[track_caller]
pub fn replay<P: AsRef<Path>>(files: impl IntoIterator<Item = P>) -> Result<Replay, ReplayError> {
    let site = Location::caller();
    let files: Vec<Arc<Path>> = files.into_iter().map(|file| file.as_ref().into()).collect();
    let mut reader = Reader::new(files.clone());
    let block = reader.next_block();
    if let Some(Err(ReplayError::Open { file, error })) = block.first() {
        let error = io::Error::new(error.kind(), error.to_string());
        return Err(ReplayError::Open { file: file.clone(), error });
    }
    let first = match first_time(&block) {
        Some(first) => first,
        None if block.is_empty() => Timestamp::EPOCH,
        None => search_first_time(&files),
    };
    Ok(Replay { files, reader, block, first, site })
}

fn first_time(block: &Block) -> Option<Timestamp> {
    block.iter().flatten().next().map(|line| line.received)
}

/// The time of the first line where many errors stand before it. They are not kept, but met again
/// by the run: there may be more of them than fit into memory.
fn search_first_time(files: &[Arc<Path>]) -> Timestamp {
    let mut reader = Reader::new(files.to_vec());
    loop {
        let block = reader.next_block();
        match first_time(&block) {
            Some(first) => return first,
            None if block.is_empty() => return Timestamp::EPOCH,
            None => {}
        }
    }
}

/// Recorded files that are ready to be replayed: see [`replay`].
#[derive(Debug)]
#[must_use = "a replay does nothing until it is made a flow and polled"]
pub struct Replay {
    files: Vec<Arc<Path>>,
    reader: Reader,
    block: Block,
    first: Timestamp,
    site: Site,
}

impl Replay {
    /// When the first line was recorded: where the clock of a run over this recording starts. The
    /// epoch if there is no line at all.
    pub fn first(&self) -> Timestamp {
        self.first
    }

    /// The lines as a flow, each at its recorded time.
    pub fn into_flow(self) -> Flow<impl Stage<Item = Result<Line, ReplayError>> + Send> {
        self.decode(|line| line)
    }

    /// What `decode` makes of the lines, as a flow, each at the recorded time of its line. Decoding
    /// is work for a processor, so it is done where the files are read, on the worker thread.
    pub fn decode<F, T>(self, decode: F) -> Flow<impl Stage<Item = T> + Send + use<F, T>>
    where
        F: FnMut(Result<Line, ReplayError>) -> T + Send + 'static,
        T: Send + 'static,
    {
        let reading = Decoding { reader: self.reader, first: Some(self.block), decode };
        let recorded = Recorded {
            files: self.files,
            block: Vec::new().into_iter(),
            next: Some(Next::Idle(Box::new(reading))),
            budget: Budget::new(),
            site: self.site,
        };
        Flow::from_stage(recorded).play(|(time, _)| *time).map(|(_, item)| item)
    }
}

type Block = Vec<Result<Line, ReplayError>>;
/// Items with the times of their lines; an error has none.
type Decoded<T> = Vec<(Option<Timestamp>, T)>;

/// The stage behind [`replay`]: what was made of the lines as they stand in the files.
struct Recorded<F, T> {
    files: Vec<Arc<Path>>,
    /// What was read and not yet handed out.
    block: vec::IntoIter<(Option<Timestamp>, T)>,
    /// The block behind it; `None` once everything was read.
    next: Option<Next<F, T>>,
    budget: Budget,
    site: Site,
}

enum Next<F, T> {
    Idle(Box<Decoding<F>>),
    Reading(Job<(Decoded<T>, Box<Decoding<F>>)>),
}

/// What is done on the worker thread.
struct Decoding<F> {
    reader: Reader,
    /// The block that was read before the run.
    first: Option<Block>,
    decode: F,
}

impl<F> Decoding<F> {
    fn next_block<T>(&mut self) -> Decoded<T>
    where
        F: FnMut(Result<Line, ReplayError>) -> T,
    {
        let block = self.first.take().unwrap_or_else(|| self.reader.next_block());
        let time = |line: &Result<Line, _>| line.as_ref().ok().map(|line: &Line| line.received);
        block.into_iter().map(|line| (time(&line), (self.decode)(line))).collect()
    }
}

// Nothing in it is ever pinned.
impl<F, T> Unpin for Recorded<F, T> {}

impl<F, T> Recorded<F, T>
where
    F: FnMut(Result<Line, ReplayError>) -> T + Send + 'static,
    T: Send + 'static,
{
    /// Has the next block read while this one is handed out.
    fn read_ahead(&mut self) {
        match self.next.take() {
            Some(Next::Idle(mut reading)) => {
                let job = Ambient::current().offload(move || (reading.next_block(), reading));
                self.next = Some(Next::Reading(job));
            }
            next => self.next = next,
        }
    }
}

impl<F, T> Stage for Recorded<F, T>
where
    F: FnMut(Result<Line, ReplayError>) -> T + Send + 'static,
    T: Send + 'static,
{
    type Item = (Option<Timestamp>, T);

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        loop {
            if let Some(item) = this.block.next() {
                return Poll::Ready(Some(item));
            }
            this.read_ahead();
            let Some(Next::Reading(job)) = &mut this.next else {
                return Poll::Ready(None);
            };
            let Poll::Ready((block, reading)) = Pin::new(job).poll(cx) else {
                this.budget.rest();
                return Poll::Pending;
            };
            this.next = (!block.is_empty()).then_some(Next::Idle(reading));
            this.block = block.into_iter();
            this.read_ahead();
        }
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, outline: &mut Outline) {
        let files: Vec<_> = self.files.iter().map(|file| file.display().to_string()).collect();
        outline
            .stage("replay", self.site)
            .parameter("files", files.join(", "))
            .parameter("reads ahead", "2 blocks of 256 KiB")
            .holds(Bound::Items(0));
    }
}

/// Reads the files, a block at a time. Lives on the worker thread while it reads.
#[derive(Debug)]
struct Reader {
    files: vec::IntoIter<Arc<Path>>,
    open: Option<OpenFile>,
    progress: Progress,
    /// How long the last block was, to allocate the next at once.
    lines: usize,
}

/// How far the replay has come, over all files.
#[derive(Debug)]
struct Progress {
    /// The index of the next line.
    index: u64,
    /// The latest time so far.
    reached: Timestamp,
}

struct OpenFile {
    text: Box<dyn BufRead + Send>,
    framing: Framing,
    /// An error met before the first block: some readers tell it only once.
    broken: Option<io::Error>,
    path: Arc<Path>,
    /// The number of the last line that was read.
    line: u64,
}

impl std::fmt::Debug for OpenFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenFile({}:{})", self.path.display(), self.line)
    }
}

impl Reader {
    fn new(files: Vec<Arc<Path>>) -> Self {
        Self {
            files: files.into_iter(),
            open: None,
            progress: Progress { index: 0, reached: Timestamp::MIN },
            lines: 0,
        }
    }

    /// The next lines and errors; empty after the last file.
    fn next_block(&mut self) -> Block {
        let mut block = Vec::with_capacity(self.lines + self.lines / 4);
        while block.is_empty() {
            match &mut self.open {
                Some(file) => {
                    if !file.read_block(&mut self.progress, &mut block) {
                        self.open = None;
                    }
                }
                None => {
                    let Some(path) = self.files.next() else { break };
                    match OpenFile::open(path.clone()) {
                        Ok(file) => self.open = Some(file),
                        Err(error) => block.push(Err(ReplayError::Open { file: path, error })),
                    }
                }
            }
        }
        self.lines = block.len();
        block
    }
}

impl OpenFile {
    fn open(path: Arc<Path>) -> io::Result<Self> {
        let mut text = framing::open(&path)?;
        let (framing, broken) = match text.fill_buf() {
            Ok(start) => (Framing::recognise(start), None),
            Err(error) => (Framing::Nanoseconds, Some(error)),
        };
        Ok(Self { text, framing, broken, path, line: 0 })
    }

    /// Reads about one block and ends with a whole line. `false` if that was the end of the file.
    fn read_block(&mut self, progress: &mut Progress, block: &mut Block) -> bool {
        let mut text = Vec::with_capacity(BLOCK + BLOCK / 8);
        let mut read = match self.broken.take() {
            Some(error) => Err(error),
            None => (&mut self.text).take(BLOCK as u64).read_to_end(&mut text).map(drop),
        };
        let mut more = text.len() == BLOCK;
        if read.is_ok() && more && text.last() != Some(&b'\n') {
            let begun = text.len() - whole_lines(&text);
            let most = LONGEST_LINE.saturating_sub(begun) + 1;
            read = (&mut self.text).take(most as u64).read_until(b'\n', &mut text).map(drop);
            let line = text.len() - whole_lines(&text);
            if read.is_ok() && line > LONGEST_LINE {
                read = Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("a line is longer than {LONGEST_LINE} bytes"),
                ));
            }
        }
        if read.is_err() {
            // What is left of the last line was not delivered as a line by anybody.
            more = false;
            text.truncate(whole_lines(&text));
        }
        self.split(text.into(), progress, block);
        if let Err(error) = read {
            let place =
                Place { index: progress.index, file: self.path.clone(), number: self.line + 1 };
            block.push(Err(ReplayError::Read { place, error }));
        }
        more
    }

    fn split(&mut self, text: Bytes, progress: &mut Progress, block: &mut Block) {
        let mut start = 0;
        while start < text.len() {
            let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |at| start + at);
            let mut line = text.slice(start..end);
            if line.ends_with(b"\r") {
                line.truncate(line.len() - 1);
            }
            start = end + 1;
            self.line += 1;
            let place = Place { index: progress.index, file: self.path.clone(), number: self.line };
            progress.index += 1;
            if line.is_empty() {
                continue;
            }
            let Some(parts) = self.framing.split(&line) else {
                let start = String::from_utf8_lossy(&line[..line.len().min(40)]).into_owned();
                let expected = self.framing.expected();
                block.push(Err(ReplayError::NoTime { place, expected, start }));
                continue;
            };
            let framing::Parts { received, decimals, origin, text } = parts;
            let before = progress.reached;
            if received < before {
                let place = place.clone();
                block.push(Err(ReplayError::Backwards { place, received, before }));
            }
            progress.reached = before.max(received);
            let text = line.slice(text..);
            block.push(Ok(Line { received, decimals, origin, text, place }));
        }
    }
}

/// How many bytes the whole lines at the beginning of a text take.
fn whole_lines(text: &[u8]) -> usize {
    memchr::memrchr(b'\n', text).map_or(0, |at| at + 1)
}
