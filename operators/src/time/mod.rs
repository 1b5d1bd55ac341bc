//! Operators that measure time on the clock of the run.

mod chunks_timeout;
mod debounce;
mod delay;
mod play;
mod sample;
pub(crate) mod schedule;
mod throttle;
mod timeout;

pub use chunks_timeout::ChunksTimeout;
pub use debounce::Debounce;
pub use delay::Delay;
pub use play::Play;
pub use sample::{OnEnd, Sample};
pub use throttle::{Edges, Throttle};
pub use timeout::{Elapsed, Timeout};
