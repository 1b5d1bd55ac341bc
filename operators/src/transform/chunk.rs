//! [`Chunk`]: a vector that is being filled, for the operators that cut a flow into chunks.

use std::mem;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Site, Stage};

/// What becomes of a chunk without any item in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Empty {
    /// It comes out, so that every signal and every period gives a chunk.
    Emit,
    /// It is left out.
    Skip,
}

/// The most room that a chunk is given before an item needs it.
const ROOM: usize = 1024;

/// Never holds more than `max` items.
#[derive(Debug)]
pub(crate) struct Chunk<T> {
    items: Vec<T>,
    pub(crate) max: NonZeroUsize,
    pub(crate) empty: Empty,
}

/// Why filling came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Filled {
    Full,
    /// The input has ended.
    Ended,
    /// The input has nothing ready.
    Waiting,
}

impl<T> Chunk<T> {
    /// `operator` and `site` are for the message if `max` is zero.
    pub(crate) fn new(max: usize, empty: Empty, operator: &str, site: Site) -> Self {
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("{operator}: the most items of a chunk must not be zero, at {site}")
        };
        Self { items: Vec::new(), max, empty }
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= self.max.get()
    }

    pub(crate) fn push(&mut self, item: T) {
        if self.items.capacity() == 0 {
            self.items.reserve(self.max.get().min(ROOM));
        }
        self.items.push(item);
    }

    /// Takes what the input has ready, until the chunk is full.
    pub(crate) fn fill<S: Stage<Item = T>>(
        &mut self,
        input: Pin<&mut S>,
        cx: &mut Context<'_>,
    ) -> Filled {
        let drained = input.poll_drain(cx, &mut |item| {
            self.push(item);
            if self.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        match drained {
            Poll::Ready(ControlFlow::Break(())) => Filled::Full,
            Poll::Ready(ControlFlow::Continue(())) => Filled::Ended,
            Poll::Pending => Filled::Waiting,
        }
    }

    /// The chunk, if it comes out; another one begins.
    pub(crate) fn cut(&mut self) -> Option<Vec<T>> {
        match self.empty {
            Empty::Skip if self.items.is_empty() => None,
            Empty::Skip | Empty::Emit => Some(mem::take(&mut self.items)),
        }
    }

    /// How many chunks may come of what is here and `most` items more, at the least.
    pub(crate) fn least(&self, least: usize) -> usize {
        least.saturating_add(self.items.len()).div_ceil(self.max.get())
    }
}
