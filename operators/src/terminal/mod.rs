//! Where flows end: futures that drive a flow and give its result.

mod collect;
mod count;
mod drain;
mod first;
mod fold;
mod for_each;
mod for_each_async;
mod forward;
mod last;
mod next;

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Flow, Stage};

pub use collect::Collect;
pub use count::Count;
pub use drain::Drain;
pub use first::First;
pub use fold::Fold;
pub use for_each::ForEach;
pub use for_each_async::ForEachAsync;
pub use forward::Forward;
pub use last::Last;
pub use next::Next;

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
