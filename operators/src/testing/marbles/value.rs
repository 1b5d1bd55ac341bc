//! [`MarbleItem`]: items that can be written in a diagram.

use crate::{Timed, Timestamp};

/// An item that is read from the text that stands for it in a diagram: its own character, or what
/// a `where` line says.
///
/// Implemented for the numbers, `char`, `bool`, `String`, `()`, pairs and triples, `Option`,
/// `Timed`, and `Result`, whose errors are `#`.
pub trait MarbleItem: Sized {
    /// The item for a text; `None` if the text is none.
    fn read(text: &str) -> Option<Self>;

    /// The item for `#`, or for what a `where` line says that `#` is.
    fn error(_text: &str) -> Option<Self> {
        None
    }

    /// The item with the event time that the row `time` gives it.
    fn at(self, _time: Timestamp) -> Option<Self> {
        None
    }
}

macro_rules! from_str {
    ($($item:ty)+) => {$(
        impl MarbleItem for $item {
            fn read(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }
        }
    )+};
}

from_str!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64 bool char String);

impl MarbleItem for () {
    fn read(_: &str) -> Option<Self> {
        Some(())
    }
}

impl<T: MarbleItem, E: MarbleItem> MarbleItem for Result<T, E> {
    fn read(text: &str) -> Option<Self> {
        T::read(text).map(Ok)
    }

    fn error(text: &str) -> Option<Self> {
        E::read(text).map(Err)
    }

    fn at(self, time: Timestamp) -> Option<Self> {
        self.ok()?.at(time).map(Ok)
    }
}

impl<T: MarbleItem> MarbleItem for Option<T> {
    fn read(text: &str) -> Option<Self> {
        match text.trim() {
            "None" => Some(None),
            text => T::read(inside(text, "Some(").unwrap_or(text)).map(Some),
        }
    }
}

/// Milliseconds since the epoch.
impl MarbleItem for Timestamp {
    fn read(text: &str) -> Option<Self> {
        text.trim().parse().ok().map(Self::from_millis)
    }
}

/// `a` with the time of its row `time`, `(3, a)`, or the watermark `W(3)`; `W` is a watermark
/// with the time of the row.
impl<T: MarbleItem> MarbleItem for Timed<T> {
    fn read(text: &str) -> Option<Self> {
        if text == "W" {
            return Some(Self::Watermark(Timestamp::EPOCH));
        }
        if let Some(time) = inside(text.trim(), "W(") {
            return Timestamp::read(time).map(Self::Watermark);
        }
        match <(Timestamp, T)>::read(text) {
            Some((time, item)) => Some(Self::Item(time, item)),
            None => T::read(text).map(|item| Self::Item(Timestamp::EPOCH, item)),
        }
    }

    fn at(self, time: Timestamp) -> Option<Self> {
        match self {
            Self::Item(_, item) => Some(Self::Item(time, item)),
            Self::Watermark(_) => Some(Self::Watermark(time)),
        }
    }
}

impl<A: MarbleItem, B: MarbleItem> MarbleItem for (A, B) {
    fn read(text: &str) -> Option<Self> {
        let parts = parts(inside(text.trim(), "(")?);
        let [a, b] = parts[..] else { return None };
        Some((A::read(a)?, B::read(b)?))
    }
}

impl<A: MarbleItem, B: MarbleItem, C: MarbleItem> MarbleItem for (A, B, C) {
    fn read(text: &str) -> Option<Self> {
        let parts = parts(inside(text.trim(), "(")?);
        let [a, b, c] = parts[..] else { return None };
        Some((A::read(a)?, B::read(b)?, C::read(c)?))
    }
}

fn inside<'a>(text: &'a str, open: &str) -> Option<&'a str> {
    text.strip_prefix(open)?.strip_suffix(')')
}

/// The parts between the commas that no bracket encloses.
pub(super) fn parts(text: &str) -> Vec<&str> {
    let (mut depth, mut from) = (0i32, 0);
    let mut parts = Vec::new();
    for (at, c) in text.char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(text[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts
}
