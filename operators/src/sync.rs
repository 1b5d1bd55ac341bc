//! The locks and atomics of the parts that are modelled with loom: the standard library's, and
//! loom's under `--cfg loom`. See docs/models.md.

#[cfg(all(test, loom))]
pub(crate) use self::check::{all, model, next};
#[cfg(loom)]
pub(crate) use self::loom::{AtomicWaker, lock};
#[cfg(loom)]
pub(crate) use ::loom::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(loom)]
pub(crate) use ::loom::sync::{Mutex, MutexGuard};
#[cfg(not(loom))]
pub(crate) use futures_util::task::AtomicWaker;
#[cfg(not(loom))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
#[cfg(not(loom))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(not(loom))]
pub(crate) use crate::util::lock;

#[cfg(loom)]
mod loom {
    use std::sync::PoisonError;
    use std::task::Waker;

    use super::{Mutex, MutexGuard};

    /// As `util::lock`.
    pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `futures` promises of its `AtomicWaker`, with a lock: the last waker that was
    /// registered is woken by a wake that comes after that, once.
    #[derive(Debug, Default)]
    pub(crate) struct AtomicWaker(Mutex<Option<Waker>>);

    impl AtomicWaker {
        pub(crate) fn new() -> Self {
            Self::default()
        }

        pub(crate) fn register(&self, waker: &Waker) {
            let before = lock(&self.0).replace(waker.clone());
            drop(before);
        }

        pub(crate) fn wake(&self) {
            let waker = lock(&self.0).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

/// What the models share.
#[cfg(all(test, loom))]
mod check {
    use std::future::poll_fn;
    use std::pin::Pin;

    use ::loom::future::block_on;
    use ::loom::model::Builder;

    use crate::{Flow, Stage};

    /// Runs `check` under every order of its steps in which threads are interrupted no more than
    /// `preemptions` times.
    pub(crate) fn model(preemptions: usize, check: impl Fn() + Sync + Send + 'static) {
        let mut model = Builder::new();
        model.preemption_bound = Some(preemptions);
        model.check(check);
    }

    /// The next item, waited for on this thread.
    pub(crate) fn next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Option<S::Item> {
        block_on(poll_fn(|cx| Stage::poll_next(Pin::new(&mut *flow), cx)))
    }

    /// All items, waited for on this thread.
    pub(crate) fn all<S: Stage>(flow: Flow<S>) -> Vec<S::Item> {
        block_on(flow.fold(Vec::new(), |mut all, item| {
            all.push(item);
            all
        }))
    }
}
