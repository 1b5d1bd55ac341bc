//! The two inputs of a join.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::Stage;

/// The next of one side, which is dropped at its end.
pub(in crate::window) fn poll_side<S: Stage>(
    mut side: Pin<&mut Option<S>>,
    cx: &mut Context<'_>,
) -> Poll<Option<S::Item>> {
    let Some(stage) = side.as_mut().as_pin_mut() else {
        return Poll::Ready(None);
    };
    let next = ready!(stage.poll_next(cx));
    if next.is_none() {
        side.set(None);
    }
    Poll::Ready(next)
}

/// Drives what is in flight on one side.
pub(in crate::window) fn drive<S: Stage>(
    side: Pin<&mut Option<S>>,
    cx: &mut Context<'_>,
) -> Poll<()> {
    side.as_pin_mut().map_or(Poll::Ready(()), |stage| stage.poll_progress(cx))
}
