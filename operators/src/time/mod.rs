//! Operators that measure time on the clock of the run.

mod debounce;
mod delay;
mod play;

pub use debounce::Debounce;
pub use delay::Delay;
pub use play::Play;
