//! [`Errors`]: what the inputs of a region share: the place of its first error.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use futures_util::task::AtomicWaker;
use pin_project::pin_project;

use crate::util::lock;
use crate::{Flow, Outline, Site, Stage};

/// What a region does with what it holds when one of its inputs fails: see
/// [`try_region`](super::try_region).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Fail fast: the region and all its inputs are dropped at once, with everything they hold,
    /// and the error comes out.
    Discard,
    /// The input that failed ends as if it had come to its end. The region goes on with the
    /// others, everything it holds comes out, and then the error.
    Flush,
}

impl fmt::Display for OnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Takes the errors out of the inputs of a region: see [`try_region`](super::try_region).
///
/// A clone is the same region, for closures that make inner flows.
#[derive(Debug)]
pub struct Errors<E>(Arc<Cell<E>>);

impl<E> Clone for Errors<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[derive(Debug)]
struct Cell<E> {
    on_error: OnError,
    /// An error came and the part is to be dropped. Changes while `first` is locked, so that it
    /// can be looked at without ordering.
    stop: AtomicBool,
    first: Mutex<Option<E>>,
    /// The region: an input may be polled in another task.
    task: AtomicWaker,
}

impl<E> Errors<E> {
    pub(super) fn new(on_error: OnError) -> Self {
        Self(Arc::new(Cell {
            on_error,
            stop: AtomicBool::new(false),
            first: Mutex::new(None),
            task: AtomicWaker::new(),
        }))
    }

    /// The `Ok` items of a flow, for use within the region; its first error leaves the region.
    ///
    /// The flow may also be one that was made within the region: `errors.ok(oks.map(parse))` is a
    /// step that can fail.
    #[track_caller]
    pub fn ok<S, T>(&self, input: Flow<S>) -> Flow<Oks<S, E>>
    where
        S: Stage<Item = Result<T, E>>,
    {
        Flow::from_stage(Oks {
            input: Some(input.into_stage()),
            errors: self.clone(),
            waiting: None,
            site: Location::caller(),
        })
    }

    /// Lets the region fail from a closure that cannot return a `Result`, as if an input had.
    ///
    /// A region that discards ends in this poll, and what the closure returns does not come out.
    /// One that flushes goes on to its end and gives the error then. Only the first error counts.
    pub fn fail(&self, error: E) {
        let mut first = lock(&self.0.first);
        if first.is_none() {
            *first = Some(error);
            self.0.stop.store(self.0.on_error == OnError::Discard, Ordering::Relaxed);
        }
        drop(first);
        self.0.task.wake();
    }

    pub(super) fn on_error(&self) -> OnError {
        self.0.on_error
    }

    /// Whether the part is to be dropped.
    #[inline]
    pub(super) fn stopped(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    pub(super) fn take(&self) -> Option<E> {
        lock(&self.0.first).take()
    }

    pub(super) fn has_failed(&self) -> bool {
        lock(&self.0.first).is_some()
    }

    /// Asks for a wake when an input fails in another task.
    pub(super) fn listen(&self, cx: &Context<'_>) {
        self.0.task.register(cx.waker());
    }

    /// Takes that back: who polls the inputs sees their errors without a wake.
    pub(super) fn unlisten(&self) {
        drop(self.0.task.take());
    }
}

/// The stage behind [`Errors::ok`].
#[pin_project]
#[derive(Debug)]
pub struct Oks<S, E> {
    /// `None` once it has failed.
    #[pin]
    input: Option<S>,
    errors: Errors<E>,
    /// The error, from the drain that found it to the next poll.
    waiting: Option<E>,
    site: Site,
}

impl<S, E> Oks<S, E> {
    /// Drops the input and lets the region fail: `Pending` if it is to be dropped, else the end.
    fn fail(self: Pin<&mut Self>, error: E) -> Poll<()> {
        let mut this = self.project();
        this.input.set(None);
        this.errors.fail(error);
        if this.errors.stopped() { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// Why the drain of the input broke.
enum Break<B, E> {
    Part(B),
    Error(E),
}

impl<S: Stage<Item = Result<T, E>>, T, E> Stage for Oks<S, E> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.as_mut().project();
        // Not the end, which would move the part on: to its next input, say, which it then opens.
        // No wake is needed, because the part is dropped.
        if this.errors.stopped() {
            return Poll::Pending;
        }
        if let Some(error) = this.waiting.take() {
            return self.fail(error).map(|()| None);
        }
        let Some(input) = this.input.as_pin_mut() else {
            return Poll::Ready(None);
        };
        match ready!(input.poll_next(cx)) {
            Some(Ok(item)) => Poll::Ready(Some(item)),
            None => Poll::Ready(None),
            Some(Err(error)) => self.fail(error).map(|()| None),
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.as_mut().project();
        if this.errors.stopped() {
            return Poll::Pending;
        }
        if let Some(error) = this.waiting.take() {
            return self.fail(error).map(ControlFlow::Continue);
        }
        let Some(input) = this.input.as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let mut gave = false;
        let drained = input.poll_drain(cx, &mut |item| match item {
            Ok(item) => {
                gave = true;
                each(item).map_break(Break::Part)
            }
            Err(error) => ControlFlow::Break(Break::Error(error)),
        });
        match ready!(drained) {
            ControlFlow::Break(Break::Part(value)) => Poll::Ready(ControlFlow::Break(value)),
            ControlFlow::Continue(()) => Poll::Ready(ControlFlow::Continue(())),
            // A stage that drains in batches, as `boxed` does, still has the items before the
            // error in its hands: they come out first, as they do when it polls one by one.
            ControlFlow::Break(Break::Error(error))
                if gave && this.errors.on_error() == OnError::Discard =>
            {
                *this.waiting = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            ControlFlow::Break(Break::Error(error)) => self.fail(error).map(ControlFlow::Continue),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The next item may be an error.
        (0, self.input.as_ref().map_or(Some(0), |input| input.size_hint().1))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("ok", self.site);
    }
}
