//! Operators that measure time on the clock of the run.

mod debounce;
mod delay;

pub use debounce::Debounce;
pub use delay::Delay;
