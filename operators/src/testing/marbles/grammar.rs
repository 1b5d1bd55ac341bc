//! The grammar of marbles, in functions that the compiler runs as well.

/// One mark of a row and the number of bytes that it takes.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) mark: Mark,
    pub(super) bytes: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// No time.
    Blank,
    /// One frame in which nothing happens.
    Dash,
    Open,
    Close,
    /// `|`
    End,
    /// `#`
    Error,
    /// `^`
    Start,
    /// `!`
    Stop,
    /// So many milliseconds.
    Time(i64),
    /// One character.
    Item,
    Wrong(Problem),
}

/// What is wrong with a marble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// A `(` that is not closed.
    Unclosed,
    /// A `)` without a `(`.
    Unopened,
    /// A group within a group.
    Nested,
    /// Something happens after `|`.
    AfterEnd,
    /// `!` where no subscription is described.
    Stop,
    /// An item, an error or an end in a subscription row.
    NotASubscription,
    /// A second `^` or a second `!`.
    Twice,
    /// White space other than a blank, or a control character.
    Space,
    /// A time that is not a whole number of milliseconds, or far too long.
    Time,
}

impl Problem {
    /// What is wrong, and what to do.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Unclosed => "this group is never closed; write `)` after its last item",
            Self::Unopened => "this `)` closes no group; write `(` before its first item",
            Self::Nested => "a group cannot stand within a group; one group holds one instant",
            Self::AfterEnd => "nothing can come after the end `|`; leave it out, or move the end",
            Self::Stop => "`!` belongs into a subscription row, such as `^---!`",
            Self::NotASubscription => "a subscription row has only `^`, `!`, `-`, groups and times",
            Self::Twice => "this mark may stand only once in a row",
            Self::Space => "white space other than a blank; use blanks, which take no time",
            Self::Time => "a time must be a whole number of milliseconds, at most 2^53",
        }
    }
}

/// What a row may contain.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Row {
    /// Items, errors, an end and `^`.
    Flow,
    /// Only `^` and `!`.
    Subscription,
    /// All of it: what a consumer sees that comes at `^` and leaves at `!`.
    Output,
}

/// The mark at the byte `at`, which must lie within the text.
pub(super) const fn token(text: &[u8], at: usize) -> Token {
    let time_may_stand = at == 0 || text[at - 1] == b' ';
    let mark = match text[at] {
        b' ' => Mark::Blank,
        b'-' => Mark::Dash,
        b'(' => Mark::Open,
        b')' => Mark::Close,
        b'|' => Mark::End,
        b'#' => Mark::Error,
        b'^' => Mark::Start,
        b'!' => Mark::Stop,
        b'0'..=b'9' if time_may_stand => return time(text, at),
        0..=31 | 127 => Mark::Wrong(Problem::Space),
        _ => {
            let mut bytes = 1;
            while at + bytes < text.len() && text[at + bytes] & 0xC0 == 0x80 {
                bytes += 1;
            }
            return Token { mark: Mark::Item, bytes };
        }
    };
    Token { mark, bytes: 1 }
}

/// A digit where a time may stand: a time if a unit and a blank follow, else an item.
const fn time(text: &[u8], start: usize) -> Token {
    const MOST: i64 = 1 << 53;
    let item = Token { mark: Mark::Item, bytes: 1 };
    let mut at = start;
    let mut value: i64 = 0;
    let mut scale: i64 = 1;
    let mut fraction = false;
    let mut too_long = false;
    while at < text.len() {
        match text[at] {
            digit @ b'0'..=b'9' => {
                if value > MOST || scale > 1_000_000_000 {
                    too_long = true;
                } else {
                    value = value * 10 + (digit - b'0') as i64;
                    scale *= if fraction { 10 } else { 1 };
                }
            }
            b'.' if !fraction && at + 1 < text.len() && text[at + 1].is_ascii_digit() => {
                fraction = true;
            }
            _ => break,
        }
        at += 1;
    }
    let left = text.len() - at;
    let (unit, width) = if left >= 3 && text[at] == b'm' && text[at + 1] == b's' {
        (1, 2)
    } else if left >= 2 && text[at] == b's' {
        (1_000, 1)
    } else if left >= 2 && text[at] == b'm' {
        (60_000, 1)
    } else {
        return item;
    };
    if text[at + width] != b' ' {
        return item;
    }
    // The blank belongs to it, so that the next may follow at once.
    let bytes = at + width - start;
    let mark = if too_long || value > MOST / unit || (value * unit) % scale != 0 {
        Mark::Wrong(Problem::Time)
    } else {
        Mark::Time(value * unit / scale)
    };
    Token { mark, bytes }
}

/// The first mistake in the row of a flow, if there is one; the compiler can evaluate it.
pub const fn validate(text: &str) -> Option<Problem> {
    match check(text.as_bytes(), Row::Flow) {
        Some((_, problem)) => Some(problem),
        None => None,
    }
}

/// Looks for the first mistake: its byte and what it is.
pub(super) const fn check(text: &[u8], row: Row) -> Option<(usize, Problem)> {
    let mut at = 0;
    let mut open: Option<usize> = None;
    let (mut ended, mut started, mut stopped) = (false, false, false);
    while at < text.len() {
        let Token { mark, bytes } = token(text, at);
        let happens = matches!(mark, Mark::Item | Mark::End | Mark::Error);
        if happens && matches!(row, Row::Subscription) {
            return Some((at, Problem::NotASubscription));
        }
        if happens && ended {
            return Some((at, Problem::AfterEnd));
        }
        match mark {
            Mark::Wrong(problem) => return Some((at, problem)),
            Mark::Open if open.is_some() => return Some((at, Problem::Nested)),
            Mark::Open => open = Some(at),
            Mark::Close if open.is_none() => return Some((at, Problem::Unopened)),
            Mark::Close => open = None,
            Mark::End => ended = true,
            Mark::Start if started => return Some((at, Problem::Twice)),
            Mark::Start => started = true,
            Mark::Stop if matches!(row, Row::Flow) => return Some((at, Problem::Stop)),
            Mark::Stop if stopped => return Some((at, Problem::Twice)),
            Mark::Stop => stopped = true,
            Mark::Blank | Mark::Dash | Mark::Error | Mark::Time(_) | Mark::Item => {}
        }
        at += bytes;
    }
    match open {
        Some(at) => Some((at, Problem::Unclosed)),
        None => None,
    }
}
