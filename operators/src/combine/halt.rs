//! [`Halt`]: which end of an input ends a merge.

/// Which end of an input ends a merge: see [`Flow::halt`](crate::Flow::halt).
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Hash)]
#[doc(alias("halt_strategy", "eager_complete"))]
pub enum Halt {
    /// The end of the last one.
    #[default]
    All,
    /// The end of any of them.
    Any,
    /// The end of the first, whatever the others do.
    First,
}

impl Halt {
    /// Whether nothing more comes once the input with this index has ended.
    pub(super) fn ends_with(self, index: usize) -> bool {
        match self {
            Self::All => false,
            Self::Any => true,
            Self::First => index == 0,
        }
    }
}
