//! [`Framing`]: how the lines of a recording say when they were received.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use crate::Timestamp;

/// How much of a file is read or unpacked at a time.
const BUFFER: usize = 64 * 1024;
/// A finer time than nanoseconds is not kept.
const DECIMALS: usize = 9;

/// How each line of a recording says when it was received. A file has one; see [`Framing::of`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Framing {
    /// `<receive time, Unix nanoseconds> <text>`.
    Nanoseconds,
    /// The sessions of cryptofeed, in seconds with decimals: `<time>: <text>` received;
    /// `<address> <-> <time>` connected; `<address> <- <time>: <text>` sent; and
    /// `<address> -> <time>: <text>` for the answer to a request.
    Cryptofeed,
}

/// What a line of a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The recorder received it.
    Received,
    /// The recorder sent it.
    Sent,
    /// The recorder connected; there is no text.
    Connected,
    /// The answer to a request of the recorder.
    Answered,
}

/// The parts of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Parts {
    pub(super) received: Timestamp,
    pub(super) decimals: u8,
    pub(super) origin: Origin,
    /// Where the text begins.
    pub(super) text: usize,
}

impl Framing {
    /// The framing of a file, plain or gzip: that of the first of its lines that has one, near its
    /// beginning; [`Nanoseconds`](Self::Nanoseconds) if none has.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened.
    pub fn of(file: impl AsRef<Path>) -> io::Result<Self> {
        // A damaged file is reported when it is read.
        Ok(open(file.as_ref())?.fill_buf().map_or(Self::Nanoseconds, Self::recognise))
    }

    /// The framing of the first line of `text` that has one. The last line may be cut off.
    pub(super) fn recognise(text: &[u8]) -> Self {
        let known = |line: &[u8]| {
            let framings = [Self::Nanoseconds, Self::Cryptofeed];
            framings.into_iter().find(|framing| framing.split(line).is_some())
        };
        text.split(|byte| *byte == b'\n').find_map(known).unwrap_or(Self::Nanoseconds)
    }

    /// The parts of a line, unless it is none of a recording framed so.
    pub(super) fn split(self, line: &[u8]) -> Option<Parts> {
        match self {
            Self::Nanoseconds => nanoseconds(line),
            Self::Cryptofeed => cryptofeed(line),
        }
    }

    /// How a line has to begin, for a message about one that does not.
    pub(super) fn expected(self) -> &'static str {
        match self {
            Self::Nanoseconds => "a receive time in Unix nanoseconds",
            Self::Cryptofeed => "`<time in seconds>: ` or `<address> <time>`",
        }
    }
}

/// The text of a file, plain or gzip, told apart by content.
pub(super) fn open(path: &Path) -> io::Result<Box<dyn BufRead + Send>> {
    let mut file = BufReader::with_capacity(BUFFER, File::open(path)?);
    let gzip = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(match gzip {
        true => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(file))),
        false => Box::new(file),
    })
}

fn nanoseconds(line: &[u8]) -> Option<Parts> {
    let space = memchr::memchr(b' ', line)?;
    let digits = std::str::from_utf8(&line[..space]).ok()?;
    // A number may have a sign, a time may not.
    let unsigned = digits.starts_with(|first: char| first.is_ascii_digit());
    let nanos = digits.parse::<i64>().ok().filter(|_| unsigned)?;
    let received = Timestamp::from_nanos(nanos);
    Some(Parts { received, decimals: DECIMALS as u8, origin: Origin::Received, text: space + 1 })
}

fn cryptofeed(line: &[u8]) -> Option<Parts> {
    let first = memchr::memchr(b' ', line)?;
    if line[0].is_ascii_digit() {
        let (received, decimals) = seconds(line[..first].strip_suffix(b":")?)?;
        return Some(Parts { received, decimals, origin: Origin::Received, text: first + 1 });
    }
    memchr::memmem::find(&line[..first], b"://")?;
    let rest = &line[first + 1..];
    let arrow = memchr::memchr(b' ', rest)?;
    let origin = match &rest[..arrow] {
        b"<->" => Origin::Connected,
        b"<-" => Origin::Sent,
        b"->" => Origin::Answered,
        _ => return None,
    };
    let time = &rest[arrow + 1..];
    let (time, text) = match (origin, memchr::memchr(b' ', time)) {
        (Origin::Connected, None) => (time, line.len()),
        (Origin::Connected, Some(_)) | (_, None) => return None,
        (_, Some(end)) => (time[..end].strip_suffix(b":")?, first + arrow + end + 3),
    };
    let (received, decimals) = seconds(time)?;
    Some(Parts { received, decimals, origin, text })
}

/// A time in seconds, digit by digit, and how many decimals it has.
fn seconds(text: &[u8]) -> Option<(Timestamp, u8)> {
    let point = memchr::memchr(b'.', text).unwrap_or(text.len());
    let decimals = text.get(point + 1..).unwrap_or_default();
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    if !digits(&text[..point]) || (point < text.len() && !digits(decimals)) {
        return None;
    }
    let zeros = std::iter::repeat_n(&b'0', DECIMALS.checked_sub(decimals.len())?);
    let nanos =
        text[..point].iter().chain(decimals).chain(zeros).try_fold(0_i64, |sum, digit| {
            sum.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
        })?;
    Some((Timestamp::from_nanos(nanos), decimals.len() as u8))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(framing: Framing, line: &str) -> Option<(i64, u8, Origin, &str)> {
        let parts = framing.split(line.as_bytes())?;
        Some((parts.received.as_nanos(), parts.decimals, parts.origin, &line[parts.text..]))
    }

    #[test]
    fn a_time_in_nanoseconds_stands_before_the_text() {
        let cut = |line| cut(Framing::Nanoseconds, line);
        assert_eq!(cut("17 {} x"), Some((17, 9, Origin::Received, "{} x")));
        for odd in ["17", "+17 {}", "-17 {}", "17: {}", "1.7 {}", "", " 17 {}"] {
            assert_eq!(cut(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_line_of_cryptofeed_is_one_of_four() {
        let cut = |line| cut(Framing::Cryptofeed, line);
        let nanos = 1_618_678_132_385_815_100;
        for (line, expected) in [
            ("1618678132.3858151: {} x", (nanos, 7, Origin::Received, "{} x")),
            ("wss://a.b <-> 1618678132.3858151", (nanos, 7, Origin::Connected, "")),
            ("wss://a.b <- 1618678132.3858151: {} x", (nanos, 7, Origin::Sent, "{} x")),
            ("https://a/b?c=d -> 1618678132.3858151: [1]", (nanos, 7, Origin::Answered, "[1]")),
            ("7: x", (7_000_000_000, 0, Origin::Received, "x")),
            ("7.50: x", (7_500_000_000, 2, Origin::Received, "x")),
        ] {
            assert_eq!(cut(line), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_line_of_cryptofeed_is_refused() {
        for odd in [
            "",
            "7",
            "7 x",
            "7:x",
            "7.: x",
            ".7: x",
            "1.0123456789: x",
            "99999999999: x",
            "-7: x",
            "wss://a.b",
            "wss://a.b <-> x",
            "wss://a.b <-> 7: x",
            "wss://a.b <- 7",
            "wss://a.b >> 7: x",
            "a.b <- 7: x",
        ] {
            assert_eq!(cut(Framing::Cryptofeed, odd), None, "{odd}");
        }
    }

    #[test]
    fn a_text_is_recognised_by_its_first_good_line() {
        for (text, framing) in [
            ("", Framing::Nanoseconds),
            ("what\nis this\n", Framing::Nanoseconds),
            ("17 {}\n7: x\n", Framing::Nanoseconds),
            ("damaged\n\n7.5: x\n17 {}\n", Framing::Cryptofeed),
            ("wss://a.b <-> 7\n", Framing::Cryptofeed),
            ("https://a.b -> 7.5: {\"long\":", Framing::Cryptofeed),
        ] {
            assert_eq!(Framing::recognise(text.as_bytes()), framing, "{text}");
        }
    }
}
