//! [`Stage`]: the one trait behind every operator.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::Outline;

/// One step of a flow: a source, or an operator together with everything above it.
///
/// A stage is pulled. Nothing happens before it is polled, and an item is produced only when it
/// is asked for. [`poll_next`](Self::poll_next) is the small method to write first;
/// [`poll_drain`](Self::poll_drain) is overridden where internal iteration pays, as `Iterator`
/// overrides `try_fold`; both must hand out the same items in the same order, and they may be
/// mixed freely on one stage.
///
/// # What every stage keeps
///
/// - After `Ready(None)`, or a drain that returned `Ready(Continue)`, every later poll ends at
///   once. A stage that ends only because its upstream ended may rely on the upstream for that.
/// - `Pending` means that the waker of the latest poll is registered with whatever will move the
///   stage on.
/// - A stage with an upstream passes [`poll_progress`](Self::poll_progress) on. One that returns
///   `Pending` without having asked its upstream to the point where that was pending drives it
///   with `poll_progress` in the same poll.
/// - A stage that ends before its upstream drops the upstream in the poll that ends it.
/// - A loop over items that are always ready runs against a [`Budget`](crate::Budget). Sources
///   have one, so a stage that emits at most one item for each item it takes needs none; one that
///   drains its upstream in turns, breaking each off and coming back, does.
pub trait Stage {
    /// What the stage hands out.
    type Item;

    /// The next item. Fused: after `Ready(None)` it is always `Ready(None)`.
    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>>;

    /// Hands items to `each` until `each` breaks (`Ready(Break)`), the stage has to wait
    /// (`Pending`), or it ends (`Ready(Continue)`).
    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>>
    where
        Self: Sized,
    {
        while let Some(item) = ready!(self.as_mut().poll_next(cx)) {
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    /// Drives work in flight (futures, inner flows, queues) without taking an item.
    ///
    /// Terminals call it while their own body is pending, so that work already started never
    /// stands still. `Ready` means that nothing here is left to drive until an item is taken.
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Bounds on the number of items left, as [`Iterator::size_hint`].
    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, None)
    }

    /// Writes the upstream and then itself into the outline.
    fn describe(&self, outline: &mut Outline);
}
