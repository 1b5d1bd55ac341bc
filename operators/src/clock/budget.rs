//! [`Budget`]: how long a loop over ready items may go on before it lets others run.

use std::task::Context;
use std::time::Duration;

use crate::{Clock, Timestamp};

/// The slice after which a loop over ready items yields.
const SLICE: Duration = Duration::from_micros(100);
/// The most items between two looks at the clock.
const STRIDE: u32 = 1024;
/// Between two looks at the clock should pass at most this.
const LOOK: Duration = Duration::from_micros(25);

/// Shares the event loop: a source, or an operator that can make many items of one, spends it.
///
/// A loop that always finds another item would never return to the event loop, and its
/// neighbours there would starve. It spends one unit an item instead, and yields when
/// [`spend`](Self::spend) says so: after about 100 µs on the live clock, where the clock is looked
/// at every 1,024 items, or more often where items are slow; after 1,024 items under virtual time,
/// which stands still while a loop runs.
///
/// ```
/// # use aqueduct_operators::Budget;
/// # use std::task::{Context, Poll};
/// # struct Numbers { next: u64, budget: Budget }
/// # impl Numbers {
/// fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<u64>> {
///     if !self.budget.spend(cx) {
///         return Poll::Pending; // the budget has woken the task: it runs again after the others
///     }
///     self.next += 1;
///     Poll::Ready(Some(self.next))
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Budget {
    clock: Option<Clock>,
    /// Items between two looks, and what is left of them.
    stride: u32,
    left: u32,
    /// When the slice began, and the last look in it. `None`: the next item begins one.
    slice: Option<(Timestamp, Timestamp)>,
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

impl Budget {
    /// A full budget. The clock is that of the run which first spends from it.
    pub fn new() -> Self {
        Self {
            clock: None,
            stride: 16,
            left: 0,
            slice: None,
        }
    }

    /// Asks to handle one more item. `false` means: return `Pending` now; the task is already
    /// woken to go on later.
    #[inline]
    pub fn spend(&mut self, cx: &mut Context<'_>) -> bool {
        if self.left == 0 && self.refill(cx) == 0 {
            return false;
        }
        self.left -= 1;
        true
    }

    /// How many items may be handled before the next look at the clock: at least one, or zero,
    /// which means: return `Pending` now; the task is already woken to go on later. They are
    /// spent by [`used`](Self::used).
    ///
    /// For an operator that drains its input in short turns: an input that is broken off believes
    /// that it came to rest, so that its own budget never runs out.
    #[inline]
    pub fn left(&mut self, cx: &mut Context<'_>) -> usize {
        if self.left == 0 {
            return self.refill(cx);
        }
        self.left as usize
    }

    /// [`grant`](Self::grant), on a budget that is moved out of its place for the call: if the call
    /// saw that place, the compiler could keep nothing of the stage around it in registers.
    #[inline]
    fn refill(&mut self, cx: &mut Context<'_>) -> usize {
        let mut budget = std::mem::take(self);
        let granted = budget.grant(cx);
        *self = budget;
        granted
    }

    /// Spends what was used of [`left`](Self::left).
    #[inline]
    pub fn used(&mut self, items: usize) {
        self.left = self
            .left
            .saturating_sub(u32::try_from(items).unwrap_or(u32::MAX));
    }

    /// How many items may be handled before the next call; for loops that count for themselves.
    /// Zero means: return `Pending` now; the task is already woken to go on later.
    #[inline(never)]
    pub fn grant(&mut self, cx: &mut Context<'_>) -> usize {
        let clock = self.clock.get_or_insert_with(Clock::current);
        let now = clock.now();
        match &mut self.slice {
            None => {
                self.slice = Some((now, now));
                if clock.is_virtual() {
                    self.stride = STRIDE;
                }
            }
            Some((start, last_look)) => {
                if now - *start >= SLICE || clock.is_virtual() {
                    self.slice = None;
                    self.left = 0;
                    cx.waker().wake_by_ref();
                    return 0;
                }
                let took = now - *last_look;
                if took > LOOK {
                    self.stride = (self.stride / 2).max(1);
                } else if took * 2 < LOOK {
                    self.stride = (self.stride * 2).min(STRIDE);
                }
                *last_look = now;
            }
        }
        self.left = self.stride;
        self.stride as usize
    }

    /// Says that the loop returned for a reason of its own, so that the time until it is polled
    /// again does not count.
    #[inline]
    pub fn rest(&mut self) {
        self.left = 0;
        self.slice = None;
    }
}
