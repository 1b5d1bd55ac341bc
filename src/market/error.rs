//! [`DecodeError`]: why a message is not a market event.

/// Why a message is not a market event.
///
/// A caller that reads a live connection counts [`UnknownKind`](Self::UnknownKind) and goes on:
/// venues add kinds without notice. The other two are defects of the input.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The text is not one JSON value.
    #[error("not JSON: {reason} at column {column}")]
    NotJson {
        /// What is wrong.
        reason: String,
        /// The byte at which that was found, counted from one.
        column: usize,
    },
    /// A message of a kind that is not decoded.
    #[error("messages of kind {kind:?} are not decoded")]
    UnknownKind {
        /// The `"e"` of the message, else its stream, else nothing.
        kind: String,
    },
    /// A field is missing, or it is not what it should be.
    #[error("field {field:?}: {reason}")]
    Field {
        /// The key in the message.
        field: &'static str,
        /// What is wrong, with the offending text and its column where there is one.
        reason: String,
    },
}

impl DecodeError {
    pub(in crate::market) fn field(field: &'static str, reason: impl Into<String>) -> Self {
        Self::Field { field, reason: reason.into() }
    }

    /// Bytes that are not UTF-8, which JSON has to be.
    pub(in crate::market) fn not_text(json: &[u8]) -> Self {
        let valid = json.utf8_chunks().next().map_or(0, |chunk| chunk.valid().len());
        Self::NotJson { reason: "it is not UTF-8".into(), column: valid + 1 }
    }

    /// What serde_json found while it read `field`.
    pub(in crate::market) fn json(error: &serde_json::Error, field: &'static str) -> Self {
        let text = error.to_string();
        // A message is one line, so the line number that serde_json appends is noise.
        let reason = match text.rfind(" at line ") {
            Some(end) => &text[..end],
            None => &text,
        };
        let column = error.column();
        if error.is_data() {
            Self::field(field, format!("{reason} at column {column}"))
        } else {
            Self::NotJson { reason: reason.to_owned(), column }
        }
    }
}
