//! The rows of the CSV files: one column a field.

mod bars;
mod book;
mod faults;
mod kraken;
mod quotes;
mod rolling;
mod tape;

pub use bars::{BarRow, FilledRow};
pub use book::BookRow;
pub use faults::{AnswerRow, DeliveredRow, Kind};
pub use kraken::KrakenRow;
pub use quotes::{QuoteRow, SecondRow, StaleRow};
pub use rolling::{Averaged, RollingRow};
pub use tape::AsOfRow;

/// A row whose columns are known without one.
pub trait Row: serde::Serialize {
    /// The names of its fields.
    const COLUMNS: &'static [&'static str];
}

/// Declares a row: the fields are the columns.
macro_rules! row {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, serde::Serialize)]
        pub struct $name {
            $($field: $type,)*
        }

        impl $crate::rows::Row for $name {
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),*];
        }
    };
}
use row;
