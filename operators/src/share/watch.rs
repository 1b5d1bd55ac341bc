//! [`Watch`]: a value that can be read, changed, and followed.

use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::sync::{Mutex, lock};
use crate::{Bound, Flow, Outline, Site, Stage};

/// A value that is always there, and flows of its changes.
///
/// ```text
/// set      --1-2-3------4-x      the last Watch is dropped
/// changes  0-1-2-3------4-|
/// slow     0-----(3)----4-|      polled from 6 on again
/// ```
///
/// Clones stand for the same value. [`changes`](Self::changes) begins with the value of the moment
/// and goes on with every newer one, or the newest if the consumer is slow: it is conflated, so no
/// consumer ever slows the others or whoever sets it. It ends when the last `Watch` is dropped and
/// the last value is out.
///
/// ```
/// # use aqueduct_operators::{Virtual, share::Watch};
/// let limit = Watch::new(10);
/// let changes = limit.changes();
/// limit.set(20);
/// limit.update(|limit| *limit += 1);
/// assert_eq!(limit.get(), 21);
/// drop(limit);
/// assert_eq!(Virtual::new().run(changes.collect::<Vec<_>>()), [21]);
/// ```
#[doc(alias(
    "BehaviorSubject",
    "StateFlow",
    "state_in",
    "SubscriptionRef",
    "SignallingRef",
    "hold"
))]
pub struct Watch<T> {
    owner: Arc<Owner<T>>,
}

/// Shared by all handles: dropped with the last one.
struct Owner<T> {
    cell: Arc<Cell<T>>,
}

struct Cell<T> {
    state: Mutex<State<T>>,
}

struct State<T> {
    value: T,
    /// Counts the changes, from one.
    version: u64,
    /// No handle is left.
    closed: bool,
    /// Those who follow, with their waker while they wait.
    followers: Slab<Option<Waker>>,
}

impl<T> Clone for Watch<T> {
    fn clone(&self) -> Self {
        Self { owner: self.owner.clone() }
    }
}

impl<T: fmt::Debug> fmt::Debug for Watch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.read(|value| f.debug_struct("Watch").field("value", value).finish())
    }
}

impl<T> Cell<T> {
    /// Wakes those who wait, in the order of their places; no waker runs under the lock.
    fn wake(&self) {
        let mut next = 0;
        loop {
            let waker = {
                let mut state = lock(&self.state);
                let mut waiting =
                    state.followers.iter_mut().filter(|(at, waker)| *at >= next && waker.is_some());
                waiting.next().and_then(|(at, waker)| {
                    next = at + 1;
                    waker.take()
                })
            };
            match waker {
                Some(waker) => waker.wake(),
                None => return,
            }
        }
    }
}

impl<T> Drop for Owner<T> {
    fn drop(&mut self) {
        lock(&self.cell.state).closed = true;
        self.cell.wake();
    }
}

impl<T> Watch<T> {
    /// A value to begin with.
    pub fn new(value: T) -> Self {
        let followers = Slab::new();
        let state = Mutex::new(State { value, version: 1, closed: false, followers });
        Self { owner: Arc::new(Owner { cell: Arc::new(Cell { state }) }) }
    }

    /// Looks at the value. The lock is held meanwhile: `read` must not use the same `Watch`.
    pub fn read<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        read(&lock(&self.owner.cell.state).value)
    }

    /// The value of this moment.
    pub fn get(&self) -> T
    where
        T: Clone,
    {
        self.read(T::clone)
    }

    /// Puts another value, and gives back the one before.
    pub fn set(&self, value: T) -> T {
        let before = {
            let mut state = lock(&self.owner.cell.state);
            state.version += 1;
            std::mem::replace(&mut state.value, value)
        };
        self.owner.cell.wake();
        before
    }

    /// Puts another value unless it equals the one that is there; says whether it did.
    #[doc(alias("distinct_until_changed"))]
    pub fn set_if_changed(&self, value: T) -> bool
    where
        T: PartialEq,
    {
        let before = {
            let mut state = lock(&self.owner.cell.state);
            if state.value == value {
                return false;
            }
            state.version += 1;
            std::mem::replace(&mut state.value, value)
        };
        self.owner.cell.wake();
        drop(before);
        true
    }

    /// Changes the value in place. The lock is held meanwhile: `update` must not use the same
    /// `Watch`. If it panics, what it has done to the value stays, and counts as a change.
    pub fn update<R>(&self, update: impl FnOnce(&mut T) -> R) -> R {
        self.update_if(|value| (update(value), true))
    }

    /// Changes the value in place; `update` gives what to return, and whether that was a change.
    /// Otherwise as [`update`](Self::update).
    pub fn update_if<R>(&self, update: impl FnOnce(&mut T) -> (R, bool)) -> R {
        struct Changed<'a, T>(&'a Cell<T>, bool);
        impl<T> Drop for Changed<'_, T> {
            fn drop(&mut self) {
                if self.1 {
                    lock(&self.0.state).version += 1;
                    self.0.wake();
                }
            }
        }
        // Dropped after the lock, also when `update` panics.
        let mut changed = Changed(&self.owner.cell, true);
        let (result, is_change) = update(&mut lock(&changed.0.state).value);
        changed.1 = is_change;
        result
    }

    /// The value of this moment, and from then on every newer one, or the newest.
    ///
    /// - **Emits** the value, and the newest one after each change.
    /// - **Backpressures** nobody: a value that was not taken gives way to the next one.
    /// - **Ends** when the last `Watch` is dropped and the last value is out.
    /// - **On error**: an error is a value here.
    /// - **Holds** nothing but the value itself.
    /// - **Cost**: one lock and one clone for an item.
    #[track_caller]
    pub fn changes(&self) -> Flow<Changes<T>>
    where
        T: Clone,
    {
        let cell = self.owner.cell.clone();
        let place = lock(&cell.state).followers.insert(None);
        Flow::from_stage(Changes { cell, place, seen: 0, site: Location::caller() })
    }
}

/// The stage behind [`Watch::changes`].
pub struct Changes<T> {
    cell: Arc<Cell<T>>,
    place: usize,
    /// The version that was handed out last.
    seen: u64,
    site: Site,
}

impl<T> fmt::Debug for Changes<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("seen", &self.seen).finish_non_exhaustive()
    }
}

impl<T: Clone> Stage for Changes<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = &mut *self;
        let mut state = lock(&this.cell.state);
        if state.version != this.seen {
            let value = state.value.clone();
            this.seen = state.version;
            return Poll::Ready(Some(value));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        if let Some(waker) = state.followers.get_mut(this.place) {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
        }
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let state = lock(&self.cell.state);
        let left = usize::from(state.version != self.seen);
        (left, state.closed.then_some(left))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("changes", self.site).holds(Bound::Items(1));
    }
}

impl<T> Drop for Changes<T> {
    fn drop(&mut self) {
        let waker = lock(&self.cell.state).followers.remove(self.place);
        drop(waker);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::Virtual;
    use crate::testing::items;

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_follows_gets_the_value_of_the_moment_and_then_the_newest() {
        let watch = Watch::new('a');
        let mut flow = watch.changes();
        assert_eq!(try_next(&mut flow), Poll::Ready(Some('a')));
        assert_eq!(try_next(&mut flow), Poll::Pending);
        assert_eq!((watch.set('b'), watch.set('c')), ('a', 'b'));
        assert_eq!(try_next(&mut flow), Poll::Ready(Some('c')));
        let late = watch.changes();
        watch.clone().set('d');
        drop(watch);
        assert_eq!((items(flow), items(late)), (vec!['d'], vec!['d']));
    }

    #[test]
    fn an_equal_value_is_no_change_if_that_is_wanted() {
        let watch = Watch::new(1);
        let mut flow = watch.changes();
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(1)));
        assert!(!watch.set_if_changed(1));
        watch.update_if(|_| ((), false));
        assert_eq!(try_next(&mut flow), Poll::Pending);
        assert!(watch.set_if_changed(2));
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(2)));
    }

    #[test]
    fn an_update_that_panics_leaves_a_value_that_can_be_used() {
        let watch = Watch::new(1);
        let mut flow = watch.changes();
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(1)));
        let update = || {
            watch.update(|value| {
                *value = 5;
                panic!("update")
            })
        };
        assert!(catch_unwind(AssertUnwindSafe(update)).is_err());
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(5)));
        watch.set(6);
        assert_eq!(watch.get(), 6);
    }

    #[test]
    fn a_follower_is_woken_once_for_many_changes_and_one_that_left_is_not() {
        struct Count(std::sync::atomic::AtomicUsize);
        impl std::task::Wake for Count {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
        }
        let watch = Watch::new(0);
        let (mut flow, mut gone) = (watch.changes(), watch.changes());
        let count = Arc::new(Count(0.into()));
        let waker = Waker::from(count.clone());
        for flow in [&mut flow, &mut gone] {
            let mut cx = Context::from_waker(&waker);
            while Stage::poll_next(Pin::new(&mut *flow), &mut cx).is_ready() {}
        }
        drop(gone);
        for n in 1..10 {
            watch.set(n);
        }
        assert_eq!(count.0.load(std::sync::atomic::Ordering::Relaxed), 1);
        assert_eq!(try_next(&mut flow), Poll::Ready(Some(9)));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn the_last_value_always_arrives() {
        for _ in 0..200 {
            let watch = Watch::new(0);
            let last = tokio::spawn(watch.changes().last());
            tokio::spawn(async move {
                for n in 1..=50 {
                    watch.set(n);
                }
            });
            assert_eq!(last.await.unwrap(), Some(50));
        }
    }

    #[test]
    fn the_end_comes_to_one_who_waits() {
        let watch = Watch::new(1);
        let flow = watch.changes();
        let got = Virtual::new().run(async {
            let last = crate::Ambient::current().spawn(flow.collect::<Vec<_>>());
            crate::Ambient::current().spawn(async move { drop(watch) }).await;
            last.await
        });
        assert_eq!(got, [1]);
    }
}

#[cfg(all(test, loom))]
mod model {
    use loom::thread;

    use super::*;
    use crate::sync::{all, model};

    #[test]
    fn the_last_value_and_the_end_come_to_who_follows() {
        model(3, || {
            let watch = Watch::new(0);
            let flow = watch.changes();
            let thread = thread::spawn(move || {
                watch.set(1);
                watch.set(2);
            });
            let got = all(flow);
            assert!(got.is_sorted() && got.last() == Some(&2), "{got:?}");
            thread.join().unwrap();
        });
    }
}
