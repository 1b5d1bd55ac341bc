//! [`Budget`]: how long a loop over ready items may go on before it lets others run.

use std::future::Future;
use std::pin::pin;
use std::task::Context;
use std::time::Duration;

use crate::{Clock, Timestamp};

/// The slice after which a loop over ready items yields.
const SLICE: Duration = Duration::from_micros(100);
/// The most items between two looks at the clock.
const STRIDE: u32 = 1024;
/// Between two looks at the clock should pass at most this.
const LOOK: Duration = Duration::from_micros(25);

/// Items at the beginning of a slice for which the clock is not read at all. A stage that waits
/// after every few items, as most live ones do, never comes further.
const FREE: u32 = 4;

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
    slice: Slice,
    /// The grant before this was not used up, so that the time it took says nothing.
    interrupted: bool,
}

#[derive(Debug, Clone, Copy)]
enum Slice {
    /// The next item begins one.
    Rest,
    /// Begun, with the items that are free.
    Free,
    /// The clock was looked at when it began, and last.
    Measured {
        start: Timestamp,
        last_look: Timestamp,
        /// Only virtual time counts them: it stands still meanwhile.
        interruptions: u32,
    },
}

impl Default for Budget {
    fn default() -> Self {
        Self::new()
    }
}

impl Budget {
    /// A full budget. The clock is that of the run which first spends from it.
    pub const fn new() -> Self {
        Self { clock: None, stride: 16, left: 0, slice: Slice::Rest, interrupted: false }
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
    /// spent by [`used`](Self::used). For an operator that drains its inputs in short turns.
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
        self.left = self.left.saturating_sub(u32::try_from(items).unwrap_or(u32::MAX));
    }

    /// How many items may be handled before the next call; for loops that count for themselves.
    /// Zero means: return `Pending` now; the task is already woken to go on later.
    #[inline(never)]
    pub fn grant(&mut self, cx: &mut Context<'_>) -> usize {
        let clock = self.clock.get_or_insert_with(Clock::current);
        let interrupted = std::mem::take(&mut self.interrupted);
        let over = match &mut self.slice {
            // Where items are slow, none is free.
            Slice::Rest if !clock.is_virtual() && self.stride > FREE => {
                self.slice = Slice::Free;
                self.left = FREE;
                return self.left as usize;
            }
            Slice::Rest | Slice::Free => {
                let now = clock.now();
                self.slice = Slice::Measured { start: now, last_look: now, interruptions: 0 };
                if clock.is_virtual() {
                    self.stride = STRIDE;
                }
                false
            }
            Slice::Measured { interruptions, .. } if clock.is_virtual() => {
                *interruptions += u32::from(interrupted);
                !interrupted || *interruptions >= STRIDE
            }
            Slice::Measured { start, last_look, .. } => {
                let now = clock.now();
                let took = now - *last_look;
                *last_look = now;
                if took > LOOK {
                    // At once to what fits: halving would take ten slices that are far too long.
                    let fits = LOOK.as_nanos() * u128::from(self.stride) / took.as_nanos();
                    self.stride = u32::try_from(fits).map_or(STRIDE, |fits| fits.max(1));
                } else if took * 2 < LOOK && !interrupted {
                    self.stride = (self.stride * 2).min(STRIDE);
                }
                now - *start >= SLICE
            }
        };
        if over {
            self.slice = Slice::Rest;
            self.left = 0;
            if clock.is_virtual() {
                cx.waker().wake_by_ref();
            } else {
                yield_to_tokio(cx);
            }
            return 0;
        }
        self.left = self.stride;
        self.stride as usize
    }

    /// Says that the loop has to wait for something else, so that the time until it is polled
    /// again does not count.
    #[inline]
    pub fn rest(&mut self) {
        self.left = 0;
        self.slice = Slice::Rest;
    }

    /// Says that a loop over a [`grant`](Self::grant) broke before it was used up. Whoever broke
    /// it may come back for more at once and for ever, so the slice goes on.
    #[inline]
    pub fn interrupt(&mut self) {
        self.left = 0;
        self.interrupted = true;
    }
}

/// Wakes the task once tokio has looked at its timers and sockets. A plain wake would queue it in
/// front of them, and tokio looks there only once in 61 turns: 6 ms of slices. Outside tokio it is
/// a plain wake.
fn yield_to_tokio(cx: &mut Context<'_>) {
    // Its first poll is always pending, and leaves the waker with tokio.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}
