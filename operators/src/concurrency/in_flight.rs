//! [`InFlight`]: a bounded group of running futures and of results that wait to be taken.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::wake_set::{Bits, WakeSet};

/// The order in which results are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As the futures were started.
    Started,
    /// As they became ready.
    Ready,
}

/// A fixed number of slots, each allocated once and used for one future after the other. A result
/// waits in its slot, so that it counts until it is taken.
///
/// Every slot has its own waker, and only futures that were woken are polled.
pub(super) struct InFlight<Fut: Future> {
    order: Order,
    slots: Box<[Slot<Fut>]>,
    /// The least is used first, so that futures started together are polled in that order.
    free: Bits,
    /// Futures that run and results that wait.
    held: usize,
    /// The slots in the order in which their results are taken: those of all futures with
    /// [`Order::Started`], those of the results with [`Order::Ready`].
    line: VecDeque<usize>,
    running: usize,
    /// The slots whose future is to be polled.
    woken: Bits,
    wakes: WakeSet,
}

struct Slot<Fut: Future> {
    future: Pin<Box<Option<Fut>>>,
    result: Option<Fut::Output>,
}

impl<Fut: Future> InFlight<Fut> {
    pub(super) fn new(limit: usize, order: Order) -> Self {
        let slot = |_| Slot { future: Box::pin(None), result: None };
        Self {
            order,
            slots: (0..limit).map(slot).collect(),
            free: Bits::full(limit),
            held: 0,
            line: VecDeque::with_capacity(limit),
            running: 0,
            woken: Bits::new(limit),
            wakes: WakeSet::new(limit),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.slots.len()
    }

    /// Futures that run and results that wait.
    pub(super) fn len(&self) -> usize {
        self.held
    }

    pub(super) fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    pub(super) fn is_running(&self) -> bool {
        self.running > 0
    }

    /// Takes a future in; it is polled when the group is driven next. Only called when there is
    /// room; without it the future is dropped. Gives its slot.
    pub(super) fn start(&mut self, future: Fut) -> Option<usize> {
        let slot = self.free.pop_first()?;
        self.slots[slot].future.set(Some(future));
        self.woken.insert(slot);
        self.running += 1;
        self.held += 1;
        if self.order == Order::Started {
            self.line.push_back(slot);
        }
        Some(slot)
    }

    /// Polls every future that was started or woken since the last time, once.
    pub(super) fn drive(&mut self) {
        self.drive_with(|_| {});
    }

    /// [`drive`](Self::drive), and says which slots have got their result.
    pub(super) fn drive_with(&mut self, mut ready: impl FnMut(usize)) {
        let Self { woken, wakes, .. } = self;
        wakes.take(|word, bits| woken.insert_word(word, bits));
        while let Some(index) = self.woken.pop_first() {
            let Slot { future, result } = &mut self.slots[index];
            // A waker may outlive the future that it was made for.
            let Some(running) = future.as_mut().as_pin_mut() else {
                continue;
            };
            let mut cx = Context::from_waker(self.wakes.waker(index));
            if let Poll::Ready(output) = running.poll(&mut cx) {
                *result = Some(output);
                self.running -= 1;
                if self.order == Order::Ready {
                    self.line.push_back(index);
                }
                future.set(None);
                ready(index);
            }
        }
    }

    /// The next result, if it is there.
    pub(super) fn take(&mut self) -> Option<Fut::Output> {
        let slot = *self.line.front()?;
        let result = self.slots[slot].result.take()?;
        self.line.pop_front();
        self.free.insert(slot);
        self.held -= 1;
        Some(result)
    }

    /// To be called last before the owner returns `Pending`: see [`WakeSet::park`].
    pub(super) fn park(&self, cx: &mut Context<'_>) {
        self.wakes.park(cx);
    }
}

impl<Fut: Future> fmt::Debug for InFlight<Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("order", &self.order)
            .field("limit", &self.limit())
            .field("running", &self.running)
            .field("held", &self.len())
            .finish()
    }
}
