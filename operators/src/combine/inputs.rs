//! [`Inputs`]: many inputs of one type, each with its own waker.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wake_set::{Bits, WakeSet};
use crate::{Flow, Outline, Stage};

/// The inputs of an operator that has any number of them. It polls those that were woken, drops
/// each as soon as it ends, and drives their work in flight.
#[derive(Debug)]
pub(super) struct Inputs<S> {
    /// `None` once it has ended.
    stages: Vec<Option<Pin<Box<S>>>>,
    open: usize,
    wakes: WakeSet,
    /// Those that may have work in flight which was not driven since they were woken or gave an
    /// item. A stage that has nothing to give drives it in the poll that says so.
    undriven: Bits,
    /// Those that had work in flight when it was driven last.
    in_flight: Bits,
}

impl<S: Stage> Inputs<S> {
    pub(super) fn new(inputs: impl IntoIterator<Item = Flow<S>>) -> Self {
        let pin = |input: Flow<S>| Some(Box::pin(input.into_stage()));
        let stages: Vec<_> = inputs.into_iter().map(pin).collect();
        let len = stages.len();
        Self {
            stages,
            open: len,
            wakes: WakeSet::new(len),
            undriven: Bits::full(len),
            in_flight: Bits::new(len),
        }
    }

    /// How many there were at the beginning.
    pub(super) fn len(&self) -> usize {
        self.stages.len()
    }

    /// How many have not ended.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    pub(super) fn is_open(&self, index: usize) -> bool {
        self.stages[index].is_some()
    }

    /// Polls one with its own waker; one that has ended is not asked again.
    pub(super) fn poll_next(&mut self, index: usize) -> Poll<Option<S::Item>> {
        let polled = self.with(index, |stage, cx| stage.poll_next(cx));
        let polled = polled.unwrap_or(Poll::Ready(None));
        match &polled {
            Poll::Pending => self.undriven.remove(index),
            Poll::Ready(None) => self.end(index),
            Poll::Ready(Some(_)) => self.undriven.insert(index),
        }
        polled
    }

    /// Calls one with its own waker, unless it has ended.
    pub(super) fn with<R>(
        &mut self,
        index: usize,
        call: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let stage = self.stages[index].as_mut()?;
        let mut cx = Context::from_waker(self.wakes.waker(index));
        Some(call(stage.as_mut(), &mut cx))
    }

    /// Drops one that has ended.
    pub(super) fn end(&mut self, index: usize) {
        if self.stages[index].take().is_some() {
            self.open -= 1;
            self.in_flight.remove(index);
        }
    }

    /// Notes that items were taken from this one, which may make room for work in flight.
    pub(super) fn took_from(&mut self, index: usize) {
        self.undriven.insert(index);
    }

    /// Adds those that were woken.
    pub(super) fn take_woken(&mut self, into: &mut Bits) {
        self.wakes.take(|word, woken| {
            into.insert_word(word, woken);
            self.undriven.insert_word(word, woken);
        });
    }

    /// Drives work in flight, and adds those that were woken to `into`: they still have to be
    /// polled for items.
    pub(super) fn poll_progress(&mut self, cx: &mut Context<'_>, into: &mut Bits) -> Poll<()> {
        self.take_woken(into);
        self.drive();
        if self.in_flight.is_empty() {
            return Poll::Ready(());
        }
        self.wakes.park(cx);
        Poll::Pending
    }

    /// Drives the work in flight of those that were woken or gave an item, so that it wakes them
    /// from now on. An owner does so before it waits, if some of its inputs have to wait with it.
    pub(super) fn drive(&mut self) {
        while let Some(index) = self.undriven.pop_first() {
            match self.with(index, |stage, cx| stage.poll_progress(cx)) {
                Some(Poll::Pending) => self.in_flight.insert(index),
                Some(Poll::Ready(())) | None => self.in_flight.remove(index),
            }
        }
    }

    /// To be called last before the owner returns `Pending`: see [`WakeSet::park`].
    pub(super) fn park(&self, cx: &mut Context<'_>) {
        self.wakes.park(cx);
    }

    /// Bounds on the number of items left in all of them together.
    pub(super) fn size_hint(&self) -> (usize, Option<usize>) {
        let stages = self.stages.iter().flatten();
        stages.fold((0, Some(0)), |(least, most), stage| {
            let (stage_least, stage_most) = stage.size_hint();
            (
                least.saturating_add(stage_least),
                most.zip(stage_most).and_then(|(a, b)| a.checked_add(b)),
            )
        })
    }

    pub(super) fn outlines(&self) -> impl Iterator<Item = Outline> {
        let stages = self.stages.iter().flatten();
        stages.map(|stage| Outline::of(&**stage))
    }
}
