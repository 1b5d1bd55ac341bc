//! What an unreliable line delivered, and what its receiver says.

use aqueduct::combine::{Gap, Sequenced};

use super::row;

row! {
    /// A number that came.
    DeliveredRow {
        id: u64,
    }
}

impl From<u64> for DeliveredRow {
    fn from(id: u64) -> Self {
        Self { id }
    }
}

/// What an [`AnswerRow`] is about, in the order of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Missing, says the gap detector.
    NaiveGap,
    /// Not above the highest, says the gap detector.
    NaiveOld,
    /// Given up by the resequencer.
    ReseqLost,
    /// Dropped by the resequencer.
    ReseqDrop,
}

row! {
    /// Numbers, both ends included, and what is wrong with them.
    AnswerRow {
        kind: Kind,
        from: u64,
        to: u64,
    }
}

impl AnswerRow {
    /// What is wrong.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl AnswerRow {
    /// The row of what the gap detector says; a number that it expected has none.
    pub fn naive(said: Sequenced<u64>) -> Option<Self> {
        Self::of(said, Kind::NaiveGap, Kind::NaiveOld)
    }

    /// The row of what the resequencer says; a number in its place has none.
    pub fn resequenced(said: Sequenced<u64>) -> Option<Self> {
        Self::of(said, Kind::ReseqLost, Kind::ReseqDrop)
    }

    fn of(said: Sequenced<u64>, gap: Kind, old: Kind) -> Option<Self> {
        match said {
            Sequenced::Item(_) => None,
            Sequenced::Gap(Gap { first, last }) => Some(Self { kind: gap, from: first, to: last }),
            Sequenced::Old(number) => Some(Self { kind: old, from: number, to: number }),
        }
    }
}
