//! [`Signal`]: a future that can be looked at for each item.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;
use pin_project::pin_project;

/// A future that is polled only when it has asked for it, so that a look at it costs one load:
/// polling the receiver of a channel for each item would cost more than most stages do.
#[pin_project]
#[derive(Debug)]
pub(super) struct Signal<F> {
    #[pin]
    future: F,
    bell: Arc<Bell>,
    /// Rings the bell.
    waker: Waker,
}

#[derive(Debug)]
struct Bell {
    /// Whether the future wants to be polled.
    rung: AtomicBool,
    /// The task that waits for the signal.
    task: AtomicWaker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.task.wake();
    }
}

impl<F: Future> Signal<F> {
    pub(super) fn new(future: F) -> Self {
        let bell = Arc::new(Bell {
            // The first poll is due.
            rung: AtomicBool::new(true),
            task: AtomicWaker::new(),
        });
        let waker = Waker::from(bell.clone());
        Self { future, bell, waker }
    }

    /// Whether the future is ready; after that the signal must be dropped. Nobody is woken: who
    /// goes on to wait calls [`poll`](Self::poll).
    #[inline]
    pub(super) fn is_ready(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        this.bell.rung.load(Ordering::Relaxed)
            // Taken back before the poll: a wake from now on asks for another one.
            && this.bell.rung.swap(false, Ordering::Acquire)
            && this
                .future
                .poll(&mut Context::from_waker(this.waker))
                .is_ready()
    }

    /// As [`is_ready`](Self::is_ready), and wakes the task of `cx` when that may have changed.
    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        if self.as_mut().is_ready() {
            return true;
        }
        self.bell.task.register(cx.waker());
        // It may have rung before the task was registered.
        self.is_ready()
    }
}
