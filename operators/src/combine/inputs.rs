//! [`Inputs`]: many inputs of one type, each with its own waker.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::wake_set::{Bits, WakeSet};
use crate::{Flow, Outline, Stage};

/// The inputs of an operator that has any number of them, from the beginning or as they come. It
/// polls those that were woken, drops each as soon as it ends, and drives their work in flight.
#[derive(Debug)]
pub(crate) struct Inputs<S> {
    /// `None` once it has ended; the box is used again.
    stages: Vec<Pin<Box<Option<S>>>>,
    open: usize,
    /// Where there is room for one; the least is used first.
    free: Bits,
    wakes: WakeSet,
    /// Those that may have work in flight which was not driven since they were woken or gave an
    /// item. A stage that has nothing to give drives it in the poll that says so.
    undriven: Bits,
    /// Those that had nothing when they were asked since then, which may have put it in flight.
    asked: Bits,
    /// Those that had work in flight when it was driven last.
    in_flight: Bits,
}

impl<S: Stage> Inputs<S> {
    pub(crate) fn new(inputs: impl IntoIterator<Item = Flow<S>>) -> Self {
        let pin = |input: Flow<S>| Box::pin(Some(input.into_stage()));
        let stages: Vec<_> = inputs.into_iter().map(pin).collect();
        let len = stages.len();
        Self {
            stages,
            open: len,
            free: Bits::new(len),
            wakes: WakeSet::new(len),
            undriven: Bits::full(len),
            asked: Bits::new(len),
            in_flight: Bits::new(len),
        }
    }

    /// Room for `limit` inputs, none of them there yet. It has one waker more, for the source of
    /// the inputs: that of the index `limit`.
    pub(crate) fn vacant(limit: usize) -> Self {
        Self {
            stages: Vec::new(),
            open: 0,
            free: Bits::full(limit),
            wakes: WakeSet::new(limit + 1),
            undriven: Bits::new(limit + 1),
            asked: Bits::new(limit + 1),
            in_flight: Bits::new(limit + 1),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// Takes an input in where there is room, which the caller has made sure of; without it the
    /// input is dropped. The first input at an index allocates its box.
    pub(crate) fn insert(&mut self, input: S) -> Option<usize> {
        let index = self.free.pop_first()?;
        // The least free index: all below it have a box.
        match self.stages.get_mut(index) {
            Some(stage) => stage.set(Some(input)),
            None => self.stages.push(Box::pin(Some(input))),
        }
        self.open += 1;
        self.undriven.insert(index);
        Some(index)
    }

    /// The waker of a member.
    pub(crate) fn waker(&self, index: usize) -> &Waker {
        self.wakes.waker(index)
    }

    /// How many there were at the beginning.
    pub(crate) fn len(&self) -> usize {
        self.stages.len()
    }

    /// How many have not ended.
    pub(crate) fn open(&self) -> usize {
        self.open
    }

    pub(crate) fn is_open(&self, index: usize) -> bool {
        self.stages.get(index).is_some_and(|stage| stage.is_some())
    }

    /// Polls one with its own waker; one that has ended is not asked again.
    pub(crate) fn poll_next(&mut self, index: usize) -> Poll<Option<S::Item>> {
        let polled = self.with(index, |stage, cx| stage.poll_next(cx));
        let polled = polled.unwrap_or(Poll::Ready(None));
        match &polled {
            Poll::Pending => self.waits(index),
            Poll::Ready(None) => self.end(index),
            Poll::Ready(Some(_)) => self.undriven.insert(index),
        }
        polled
    }

    /// Calls one with its own waker, unless it has ended.
    pub(crate) fn with<R>(
        &mut self,
        index: usize,
        call: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> R,
    ) -> Option<R> {
        let stage = self.stages.get_mut(index)?.as_mut().as_pin_mut()?;
        let mut cx = Context::from_waker(self.wakes.waker(index));
        Some(call(stage, &mut cx))
    }

    /// Notes that one had no item. It has driven itself, but what it was asked for may be in
    /// flight from now on.
    pub(crate) fn waits(&mut self, index: usize) {
        self.undriven.remove(index);
        self.asked.insert(index);
    }

    /// Takes one out, to be polled without its own waker from now on; `None` in the box if it has
    /// ended.
    pub(super) fn take(&mut self, index: usize) -> Pin<Box<Option<S>>> {
        let taken = std::mem::replace(&mut self.stages[index], Box::pin(None));
        if taken.is_some() {
            self.open -= 1;
            self.in_flight.remove(index);
            self.free.insert(index);
        }
        taken
    }

    /// Drops one that has ended.
    pub(crate) fn end(&mut self, index: usize) {
        if self.is_open(index) {
            self.stages[index].set(None);
            self.open -= 1;
            self.in_flight.remove(index);
            self.free.insert(index);
        }
    }

    /// Notes that items were taken from this one, which may make room for work in flight.
    pub(crate) fn took_from(&mut self, index: usize) {
        self.undriven.insert(index);
    }

    /// Adds those that were woken.
    pub(crate) fn take_woken(&mut self, into: &mut Bits) {
        self.wakes.take(|word, woken| {
            into.insert_word(word, woken);
            self.undriven.insert_word(word, woken);
        });
    }

    /// Drives work in flight, and adds those that were woken to `into`: they still have to be
    /// polled for items.
    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>, into: &mut Bits) -> Poll<()> {
        self.take_woken(into);
        if self.drive_all().is_ready() {
            return Poll::Ready(());
        }
        self.wakes.park(cx);
        Poll::Pending
    }

    /// Drives all work in flight. Ready if there is none.
    pub(crate) fn drive_all(&mut self) -> Poll<()> {
        while let Some(index) = self.asked.pop_first() {
            self.undriven.insert(index);
        }
        self.drive();
        if self.in_flight.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Drives the work in flight of those that were woken or gave an item, so that it wakes them
    /// from now on. An owner does so before it waits, if some of its inputs have to wait with it.
    pub(crate) fn drive(&mut self) {
        while let Some(index) = self.undriven.pop_first() {
            match self.with(index, |stage, cx| stage.poll_progress(cx)) {
                Some(Poll::Pending) => self.in_flight.insert(index),
                Some(Poll::Ready(())) | None => self.in_flight.remove(index),
            }
        }
    }

    /// To be called last before the owner returns `Pending`: see [`WakeSet::park`].
    pub(crate) fn park(&self, cx: &mut Context<'_>) {
        self.wakes.park(cx);
    }

    /// Bounds on the number of items left in all of them together.
    pub(crate) fn size_hint(&self) -> (usize, Option<usize>) {
        let stages = self.stages.iter().filter_map(|stage| stage.as_ref().as_pin_ref());
        stages.fold((0, Some(0)), |(least, most), stage| {
            let (stage_least, stage_most) = stage.size_hint();
            (
                least.saturating_add(stage_least),
                most.zip(stage_most).and_then(|(a, b)| a.checked_add(b)),
            )
        })
    }

    /// The size hint of each, in their order.
    pub(super) fn size_hints(&self) -> impl Iterator<Item = (usize, Option<usize>)> {
        self.stages.iter().map(|stage| stage.as_ref().as_pin_ref()).map(|stage| match stage {
            Some(stage) => stage.size_hint(),
            None => (0, Some(0)),
        })
    }

    pub(crate) fn outlines(&self) -> impl Iterator<Item = Outline> {
        let stages = self.stages.iter().filter_map(|stage| stage.as_ref().as_pin_ref());
        stages.map(|stage| Outline::of(&*stage))
    }
}
