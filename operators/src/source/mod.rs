//! Where flows begin, as far as no I/O is needed.

mod channel;
mod from_stream;
mod iter;

pub use channel::{Channel, SendError, Sender, Sending, TrySendError, channel};
pub use from_stream::{FromStream, flow};
pub use iter::{Iter, iter};
