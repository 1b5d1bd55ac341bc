//! Where flows end: futures that drive a flow and give its result.

mod any;
mod batch_sink;
mod blocking;
mod bodies;
mod collect;
mod collect_max;
mod count;
mod decide;
mod drain;
mod drive_during;
mod extremes;
mod find;
mod first;
mod fold;
mod for_each;
mod for_each_async;
mod for_each_concurrent;
mod forward;
mod into_channel;
mod is_empty;
mod last;
mod next;
mod nth;
mod reduce;
mod sequence_equal;
mod single;
mod spawn;
mod sum;
mod try_fold;
mod try_for_each;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Stage};

pub use any::{All, Any};
pub use blocking::Blocking;
pub use collect::Collect;
pub use collect_max::{CollectMax, TooMany, TryCollect, TryCollectError, TryCollectMax};
pub use count::Count;
pub use decide::{Answer, Decide};
pub use drain::Drain;
pub use drive_during::DriveDuring;
pub use extremes::{By, ByKey, ByOrd, Extreme, ExtremeByKey};
pub use find::{Find, Position};
pub use first::First;
pub use fold::Fold;
pub use for_each::ForEach;
pub use for_each_async::ForEachAsync;
pub use forward::Forward;
pub use into_channel::IntoChannel;
pub use is_empty::IsEmpty;
pub use last::Last;
pub use next::Next;
pub use nth::Nth;
pub use reduce::Reduce;
pub use sequence_equal::SequenceEqual;
pub use single::{Single, SingleError};
pub use spawn::{OnDropped, Outcome, Spawned, Status};
pub use sum::Total;
pub use try_fold::TryFold;
pub use try_for_each::{TryForEach, TryForEachAsync};

impl<S: Stage> Flow<S> {
    /// Hands every item to `each`; ready when the flow has ended. The poll of the terminals that
    /// never stop early.
    fn poll_each(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut each: impl FnMut(S::Item),
    ) -> Poll<()> {
        let drained = self.poll_drain(cx, &mut |item| {
            each(item);
            ControlFlow::<Infallible>::Continue(())
        });
        drained.map(|_| ())
    }
}
