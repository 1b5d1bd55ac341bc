//! What happens around the items of a flow: its start and its end, what is seen of it while it
//! runs, and who may stop it.

mod by_ref;
mod graceful_drain;
mod inspect_async;
mod kill_switch;
mod log;
mod metered;
mod named;
mod on_end;
mod on_start;
mod peekable;
#[cfg(feature = "tracing")]
mod trace;
mod via;
mod watch_termination;

pub use by_ref::ByRef;
pub use inspect_async::InspectAsync;
pub use kill_switch::{KillSwitch, KillSwitched};
pub use log::{Log, Signal};
pub use metered::{Meter, Metered, Metrics};
pub use named::Named;
pub use on_end::{End, OnEnd};
pub use on_start::OnStart;
pub use peekable::{NextIf, Peek, Peekable};
pub use watch_termination::Termination;
