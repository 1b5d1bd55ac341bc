//! The operator behind one small object, so that the checks are compiled once for all of them.

use std::fmt::Debug;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Outline, Stage};

/// A stage of which only what can be seen of its items is left.
pub(super) trait Polled {
    /// Shows an item and drops it.
    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut dyn FnMut(&dyn Debug),
    ) -> Poll<Option<()>>;

    fn poll_drain(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut dyn FnMut(&dyn Debug) -> ControlFlow<()>,
    ) -> Poll<ControlFlow<()>>;

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    fn size_hint(&self) -> (usize, Option<usize>);

    fn outline(&self) -> Outline;
}

#[pin_project]
pub(super) struct Erased<S>(#[pin] pub(super) S);

impl<S: Stage<Item: Debug>> Polled for Erased<S> {
    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut dyn FnMut(&dyn Debug),
    ) -> Poll<Option<()>> {
        self.project().0.poll_next(cx).map(|item| item.map(|item| each(&item)))
    }

    fn poll_drain(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut dyn FnMut(&dyn Debug) -> ControlFlow<()>,
    ) -> Poll<ControlFlow<()>> {
        self.project().0.poll_drain(cx, &mut |item| each(&item))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().0.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    fn outline(&self) -> Outline {
        Outline::of(&self.0)
    }
}
