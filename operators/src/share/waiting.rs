//! [`Waiting`]: who waits at a hub.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Wake, Waker};

use crate::sync::{AtomicBool, Mutex, lock};

/// The consumers, producers and the keeper that wait at a hub; the waker of its input.
///
/// Each is woken at most once for each time that it began to wait, and no waker runs under the
/// lock. Whoever waits registers first and then looks at what it waits for; whoever changes that
/// does so first and then wakes: one of the two sees the other.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The input woke since it was last polled.
    pub(super) woken: AtomicBool,
    wakers: Mutex<Wakers>,
}

#[derive(Debug, Default)]
struct Wakers {
    /// By their seat.
    consumers: Vec<Option<Waker>>,
    producers: Vec<(u64, Waker)>,
    tickets: u64,
    keeper: Option<Waker>,
    /// Whether the keeper waits for the input too.
    keeper_drives: bool,
}

impl Waiting {
    pub(super) fn register(&self, seat: usize, waker: &Waker) {
        let mut wakers = lock(&self.wakers);
        let consumers = &mut wakers.consumers;
        if consumers.len() <= seat {
            consumers.resize(seat + 1, None);
        }
        match &mut consumers[seat] {
            Some(registered) => registered.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    pub(super) fn forget(&self, seat: usize) {
        let mut wakers = lock(&self.wakers);
        let waker = wakers.consumers.get_mut(seat).and_then(Option::take);
        drop(wakers);
        // A waker may be the last one to hold its task.
        drop(waker);
    }

    pub(super) fn register_keeper(&self, waker: &Waker, drives: bool) {
        let mut wakers = lock(&self.wakers);
        wakers.keeper_drives = drives;
        let before = wakers.keeper.replace(waker.clone());
        drop(wakers);
        drop(before);
    }

    /// Registers a producer; `ticket` is `None` at its first time.
    pub(super) fn register_producer(&self, ticket: &mut Option<u64>, waker: &Waker) {
        let mut wakers = lock(&self.wakers);
        let known = wakers.producers.iter_mut().find(|(id, _)| Some(*id) == *ticket);
        if let Some((_, registered)) = known {
            registered.clone_from(waker);
            return;
        }
        let id = wakers.tickets;
        wakers.tickets += 1;
        wakers.producers.push((id, waker.clone()));
        *ticket = Some(id);
    }

    pub(super) fn forget_producer(&self, ticket: u64) {
        let mut wakers = lock(&self.wakers);
        let place = wakers.producers.iter().position(|(id, _)| *id == ticket);
        let waker = place.map(|place| wakers.producers.remove(place));
        drop(wakers);
        drop(waker);
    }

    /// In the order of the seats, then the keeper if it drives the input.
    pub(super) fn wake_all_but(&self, seat: usize) {
        let mut next = 0;
        while let Some(waker) = self.take_waker(&mut next, seat) {
            waker.wake();
        }
        let keeper = {
            let mut wakers = lock(&self.wakers);
            if wakers.keeper_drives { wakers.keeper.take() } else { None }
        };
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    fn take_waker(&self, next: &mut usize, but: usize) -> Option<Waker> {
        let mut wakers = lock(&self.wakers);
        while let Some(place) = wakers.consumers.get_mut(*next) {
            let seat = std::mem::replace(next, *next + 1);
            if seat != but && place.is_some() {
                return place.take();
            }
        }
        None
    }

    /// There is room: for those who would move the input on, and for producers.
    pub(super) fn wake_for_room(&self, seat: usize) {
        self.wake_all_but(seat);
        self.wake_producers();
    }

    fn wake_producers(&self) {
        let producers = {
            let mut wakers = lock(&self.wakers);
            if wakers.producers.is_empty() {
                return;
            }
            std::mem::take(&mut wakers.producers)
        };
        for (_, producer) in producers {
            producer.wake();
        }
    }

    pub(super) fn wake_keeper(&self) {
        let keeper = lock(&self.wakers).keeper.take();
        if let Some(keeper) = keeper {
            keeper.wake();
        }
    }

    pub(super) fn wake_everybody(&self) {
        self.wake_all_but(usize::MAX);
        self.wake_producers();
        self.wake_keeper();
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.wake_all_but(usize::MAX);
    }
}
