//! [`Rule`]: what every operator keeps.

use std::fmt;

/// A rule that every operator keeps, or declares that it does not.
///
/// The names are those that [`conformance!`](crate::conformance) takes after `except`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Rule {
    /// After its end every poll ends again, at once; nobody is woken.
    Fused,
    /// An input that has ended is not polled again.
    UpstreamDiscipline,
    /// `Pending` only with the waker of the latest poll left where something will wake it.
    WakerRegistration,
    /// It does not wake itself without having something to do.
    NoHotLoop,
    /// What could come without waiting comes at once: `Pending` is never premature.
    Liveness,
    /// The size hint bounds what is left, at every step.
    SizeHint,
    /// `poll_next`, `poll_drain` and every mixture of them give the same items at the same times,
    /// and so do polls that nobody asked for.
    Mixture,
    /// The result depends on the items and their times only: not on an input that is pending for
    /// a moment, and not on how often work in flight is driven.
    Invariance,
    /// The same run gives the same items, at the same times, with the same polls of the inputs.
    Deterministic,
    /// A panic in a closure leaves something that can be polled, and dropped without a leak.
    PanicSafety,
    /// Dropped after any number of polls, it frees every item once, and nothing wakes any more.
    DropAnywhere,
    /// Giving up waiting for an item and asking again loses no item.
    NextLosesNothing,
    /// Inputs are dropped, or have ended, when the end is out.
    EagerRelease,
    /// Nothing is taken before something was asked for.
    PullDiscipline,
    /// Between polls it never holds more items than `describe` declares.
    DeclaredBound,
    /// At steady state nothing is allocated for an item.
    NoAllocation,
    /// The stack does not grow with the number of items.
    ConstantStack,
    /// Over an input that is always ready, a poll comes back after a bounded number of items.
    Budget,
    /// Whoever drives it drives its inputs: work in flight never stands still.
    NoSnooze,
    /// Time is read from the clock of the run only.
    OneClock,
}

impl Rule {
    /// Every rule, in the order of their numbers.
    pub const ALL: [Self; 20] = [
        Self::Fused,
        Self::UpstreamDiscipline,
        Self::WakerRegistration,
        Self::NoHotLoop,
        Self::Liveness,
        Self::SizeHint,
        Self::Mixture,
        Self::Invariance,
        Self::Deterministic,
        Self::PanicSafety,
        Self::DropAnywhere,
        Self::NextLosesNothing,
        Self::EagerRelease,
        Self::PullDiscipline,
        Self::DeclaredBound,
        Self::NoAllocation,
        Self::ConstantStack,
        Self::Budget,
        Self::NoSnooze,
        Self::OneClock,
    ];

    /// Its number: `AQ-1` and so on. Two rules may be halves of one number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Fused => 1,
            Self::UpstreamDiscipline => 2,
            Self::WakerRegistration => 3,
            Self::NoHotLoop => 4,
            Self::Liveness => 5,
            Self::SizeHint => 6,
            Self::Mixture | Self::Invariance => 7,
            Self::Deterministic => 8,
            Self::PanicSafety => 9,
            Self::DropAnywhere => 10,
            Self::NextLosesNothing => 11,
            Self::EagerRelease => 12,
            Self::PullDiscipline => 14,
            Self::DeclaredBound => 15,
            Self::NoAllocation => 17,
            Self::ConstantStack => 18,
            Self::Budget => 19,
            Self::NoSnooze => 20,
            Self::OneClock => 23,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?} (AQ-{})", self.number())
    }
}
