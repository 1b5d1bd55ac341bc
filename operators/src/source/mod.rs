//! Where flows begin, as far as no I/O is needed.

mod channel;
mod empty;
mod from_stream;
mod interval;
mod iter;
mod never;
mod once;

pub use channel::{Channel, SendError, Sender, Sending, TrySendError, channel};
pub use empty::{Empty, empty};
pub use from_stream::{FromStream, flow};
pub use interval::{Interval, Missed, interval, interval_at};
pub use iter::{Iter, iter};
pub use never::{Never, never};
pub use once::{Once, once};
