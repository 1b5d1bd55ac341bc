//! [`Symbol`]: the name of an instrument.

use std::fmt;
use std::str::FromStr;

use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

/// How many bytes a symbol can have.
const LONGEST: usize = 20;

/// The name of an instrument on its venue, as the venue spells it: 1 to 20 bytes of UTF-8.
///
/// It lies within the value, so that an event with a symbol is copied, compared and hashed without
/// a pointer to follow and without an allocation.
///
/// ```
/// use aqueduct::market::Symbol;
///
/// let symbol: Symbol = "BTCUSDT".parse()?;
/// assert_eq!(symbol.as_str(), "BTCUSDT");
/// # Ok::<(), aqueduct::market::SymbolError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    /// Filled up with zeros: order and equality are those of the text.
    bytes: [u8; LONGEST],
}

/// Why a text is not a [`Symbol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a symbol: 1 to 20 bytes without a zero are expected")]
pub struct SymbolError {
    /// The text, at most its first 64 characters.
    pub text: String,
}

impl Symbol {
    /// A symbol that the program knows, also as a constant.
    ///
    /// ```
    /// # use aqueduct::market::Symbol;
    /// const BITCOIN: Symbol = Symbol::from_static("BTCUSDT");
    /// ```
    ///
    /// # Panics
    ///
    /// If `text` is not a symbol; where a constant is made, the program does not compile then.
    #[track_caller]
    pub const fn from_static(text: &'static str) -> Self {
        match Self::from_bytes(text.as_bytes()) {
            Some(symbol) => symbol,
            None => panic!("Symbol: 1 to 20 bytes without a zero are expected"),
        }
    }

    /// `text` is UTF-8.
    const fn from_bytes(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > LONGEST {
            return None;
        }
        let mut bytes = [0; LONGEST];
        let mut at = 0;
        while at < text.len() {
            if text[at] == 0 {
                return None;
            }
            bytes[at] = text[at];
            at += 1;
        }
        Some(Self { bytes })
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        let length = self.bytes.iter().position(|byte| *byte == 0);
        let text = &self.bytes[..length.unwrap_or(LONGEST)];
        // The bytes were a str when the symbol was made.
        std::str::from_utf8(text).unwrap_or_default()
    }
}

impl FromStr for Symbol {
    type Err = SymbolError;

    fn from_str(text: &str) -> Result<Self, SymbolError> {
        Self::from_bytes(text.as_bytes())
            .ok_or_else(|| SymbolError { text: text.chars().take(64).collect() })
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl Serialize for Symbol {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Symbol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Symbol;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a symbol as text")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Symbol, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_gives_its_text_back() {
        for text in ["BTCUSDT", "B", "BTC-240927-100000-C1", "币安人生USDT"] {
            assert_eq!(text.parse::<Symbol>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_and_quoted() {
        for text in ["", "A\0B", "ABCDEFGHIJKLMNOPQRSTU"] {
            let refused = text.parse::<Symbol>().unwrap_err();
            assert_eq!(refused.text, text);
        }
    }

    #[test]
    fn order_is_that_of_the_text() {
        let symbol = |text: &str| text.parse::<Symbol>().unwrap();
        assert!(symbol("BTC") < symbol("BTCUSDT"));
        assert!(symbol("BTCUSDT") < symbol("ETH"));
    }
}
