//! Rows of a CSV file.

use std::fs::File;
use std::future::Future;
use std::io::{self, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_sink::Sink;
use serde::Serialize;

use crate::{Ambient, Job};

/// How much text is collected before it is written.
const BLOCK: usize = 64 * 1024;

/// A new CSV file with one row for each item. The columns are the fields of the item, named in a
/// first row; see [`serde::Serialize`]. A file that exists is replaced.
///
/// Rows are collected in memory and written by a worker thread, 64 KiB at a time; flushing or
/// closing the sink writes what is left. A file whose name ends in `.gz` is compressed, and is whole
/// only when the sink was closed. A file into which no row was written is empty, unless its
/// [columns](CsvFile::columns) are known.
///
/// # Errors
///
/// If the file cannot be created; and from the sink, if it cannot be written or an item is not a
/// row.
///
/// ```
/// # use aqueduct::{Virtual, iter, sink::csv};
/// #[derive(serde::Serialize)]
/// struct Row { id: u64, price: &'static str }
///
/// # let dir = tempfile::tempdir()?;
/// let path = dir.path().join("prices.csv");
/// let rows = iter([Row { id: 1, price: "61837.63" }]);
/// Virtual::new().run(rows.forward(csv::create(&path)?))?;
/// assert_eq!(std::fs::read_to_string(&path)?, "id,price\n1,61837.63\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn create<T: Serialize>(path: impl AsRef<Path>) -> Result<CsvFile<T>, CsvError> {
    let path = path.as_ref().to_owned();
    let file = match File::create(&path) {
        Ok(file) if path.extension().is_some_and(|extension| extension == "gz") => {
            Target::Packed(Box::new(GzEncoder::new(file, Compression::default())))
        }
        Ok(file) => Target::Plain(file),
        Err(error) => return Err(CsvError::Write { path, error }),
    };
    Ok(CsvFile {
        path,
        rows: rows(Vec::new(), true, LineEnd::Lf),
        line_end: LineEnd::Lf,
        columns: None,
        written: Written::Idle(file, Vec::new()),
        finished: false,
        row: PhantomData,
    })
}

/// A CSV file that takes rows: see [`create`].
#[derive(Debug)]
pub struct CsvFile<T> {
    path: PathBuf,
    /// Encoded rows that are not yet on their way to the file.
    rows: csv::Writer<Vec<u8>>,
    line_end: LineEnd,
    /// The names to write if no row comes.
    columns: Option<&'static [&'static str]>,
    written: Written,
    /// Whether the end of the file is written, or about to be.
    finished: bool,
    row: PhantomData<fn(T)>,
}

/// The file, and the buffer to use next; or the job that has them.
#[derive(Debug)]
enum Written {
    Idle(Target, Vec<u8>),
    Writing(Job<(Target, Vec<u8>, io::Result<()>)>),
    /// After an error, which was reported once.
    Broken,
}

#[derive(Debug)]
enum Target {
    Plain(File),
    Packed(Box<GzEncoder<File>>),
}

impl Target {
    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(text),
            Self::Packed(file) => file.write_all(text),
        }
    }

    /// Writes the end of the file.
    fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Packed(file) => file.try_finish(),
        }
    }
}

/// Why a CSV file could not take a row.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    /// The file cannot be created or written.
    #[error("{}: cannot be written: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// An item cannot be a row: it has nested fields, for example.
    #[error("{}: the item is not a row: {error}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// Why.
        error: csv::Error,
    },
    /// The sink was used after an error.
    #[error("{}: closed after an earlier error", path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

/// What stands at the end of each line of a CSV file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineEnd {
    /// A line feed, as text files on Unix have it.
    Lf,
    /// Carriage return and line feed, as RFC 4180 and spreadsheets have it.
    CrLf,
}

fn rows(buffer: Vec<u8>, header: bool, line_end: LineEnd) -> csv::Writer<Vec<u8>> {
    let terminator = match line_end {
        LineEnd::Lf => csv::Terminator::Any(b'\n'),
        LineEnd::CrLf => csv::Terminator::CRLF,
    };
    csv::WriterBuilder::new()
        .has_headers(header)
        .terminator(terminator)
        .buffer_capacity(4096)
        .from_writer(buffer)
}

impl<T: Serialize> CsvFile<T> {
    /// Ends lines in this way from the start of the file; called before the first row. Without it
    /// lines end with a line feed.
    #[must_use]
    pub fn line_end(mut self, line_end: LineEnd) -> Self {
        self.rows = rows(Vec::new(), true, line_end);
        self.line_end = line_end;
        self
    }

    /// Names the columns in a file without rows too. They have to be the fields of a row.
    #[must_use]
    pub fn columns(mut self, columns: &'static [&'static str]) -> Self {
        self.columns = Some(columns);
        self
    }

    /// Ready when no write is under way.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        if let Written::Writing(job) = &mut self.written {
            let (file, buffer, result) = ready!(Pin::new(job).poll(cx));
            if let Err(error) = result {
                self.written = Written::Broken;
                return Poll::Ready(Err(CsvError::Write { path: self.path.clone(), error }));
            }
            self.written = Written::Idle(file, buffer);
        }
        Poll::Ready(match self.written {
            Written::Broken => Err(CsvError::Closed { path: self.path.clone() }),
            _ => Ok(()),
        })
    }

    /// Sends the collected rows on their way. Called when no write is under way.
    fn write(&mut self) {
        let Written::Idle(mut file, buffer) = std::mem::replace(&mut self.written, Written::Broken)
        else {
            return;
        };
        let full = std::mem::replace(&mut self.rows, rows(buffer, false, self.line_end));
        self.written = Written::Writing(Ambient::current().offload(move || {
            match full.into_inner().map_err(csv::IntoInnerError::into_error) {
                Ok(mut text) => {
                    let result = file.write(&text);
                    text.clear();
                    (file, text, result)
                }
                Err(error) => (file, Vec::new(), Err(error)),
            }
        }));
    }

    fn collected(&self) -> usize {
        self.rows.get_ref().len()
    }
}

impl<T: Serialize> Sink<T> for CsvFile<T> {
    type Error = CsvError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        if self.collected() >= BLOCK {
            ready!(self.poll_idle(cx))?;
            self.write();
        }
        Poll::Ready(Ok(()))
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), CsvError> {
        self.columns = None;
        let row = self.rows.serialize(item);
        row.map_err(|error| CsvError::Row { path: self.path.clone(), error })
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        ready!(self.poll_idle(cx))?;
        // Moves the last rows from the encoder into the buffer that is measured.
        if let Err(error) = self.rows.flush() {
            return Poll::Ready(Err(CsvError::Write { path: self.path.clone(), error }));
        }
        if self.collected() > 0 {
            self.write();
            return self.poll_idle(cx);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), CsvError>> {
        if let Some(columns) = self.columns.take() {
            let names = self.rows.write_record(columns);
            names.map_err(|error| CsvError::Row { path: self.path.clone(), error })?;
        }
        ready!(self.as_mut().poll_flush(cx))?;
        if !std::mem::replace(&mut self.finished, true)
            && let Written::Idle(mut file, buffer) =
                std::mem::replace(&mut self.written, Written::Broken)
        {
            self.written = Written::Writing(Ambient::current().offload(move || {
                let result = file.finish();
                (file, buffer, result)
            }));
        }
        self.poll_idle(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;
    use crate::{Virtual, iter};

    #[derive(Serialize)]
    struct Row {
        id: u64,
        name: &'static str,
    }

    fn written(name: &str, rows: Vec<Row>, columns: Option<&'static [&'static str]>) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let mut file = create(&path).unwrap();
        if let Some(columns) = columns {
            file = file.columns(columns);
        }
        Virtual::new().run(iter(rows).forward(file)).unwrap();
        std::fs::read(path).unwrap()
    }

    fn rows(count: u64) -> Vec<Row> {
        (0..count).map(|id| Row { id, name: "a" }).collect()
    }

    #[test]
    fn a_name_that_ends_in_gz_makes_a_compressed_file_of_the_same_text() {
        for count in [0, 1, 100_000] {
            let plain = written("rows.csv", rows(count), None);
            let packed = written("rows.csv.gz", rows(count), None);
            let mut text = Vec::new();
            flate2::read::GzDecoder::new(&*packed).read_to_end(&mut text).unwrap();
            assert_eq!(text, plain);
            assert!(count < 2 || packed.len() < plain.len() / 2);
        }
    }

    #[test]
    fn columns_are_named_once_with_or_without_rows() {
        const COLUMNS: Option<&[&str]> = Some(&["id", "name"]);
        assert_eq!(written("rows.csv", rows(0), None), b"");
        assert_eq!(written("rows.csv", rows(0), COLUMNS), b"id,name\n");
        assert_eq!(written("rows.csv", rows(1), COLUMNS), b"id,name\n0,a\n");
    }
}
