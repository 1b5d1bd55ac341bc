//! `spawn`: a flow that runs in a task of its own, and a handle on it.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use pin_project::{pin_project, pinned_drop};

use crate::{Ambient, Flow, Stage, Task};

impl<S: Stage> Flow<S> {
    /// Runs the flow to its end in a task of its own, and drops its items.
    ///
    /// ```text
    /// in     --a--b----c--|
    /// out    -------------(x|)    spawn(OnDropped::Abort)
    /// where  x = Ended { items: 3 }
    /// ```
    ///
    /// What is to be done with the items is done by the flow: by
    /// [`inspect`](Self::inspect) or [`map_async`](Self::map_async). The task starts at once, in
    /// the [`Ambient`] of the caller. For a terminal in a task of its own, there is
    /// [`Ambient::spawn`].
    ///
    /// - **Emits** nothing; the handle is a future, which gives the [`Outcome`].
    /// - **Backpressures** never.
    /// - **Ends** when the input ends, when it is [aborted](Spawned::abort), or with the handle, as
    ///   `on_dropped` says. To let it come to its end, stop its sources:
    ///   [`graceful_drain`](Spawned::graceful_drain).
    /// - **On error**: an error is an item here, and dropped. A panic in the task comes out of the
    ///   handle.
    /// - **Holds** nothing.
    /// - **Cost**: a task; one load for an item.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime and a run under virtual time.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, terminal::{OnDropped, Outcome}};
    /// Virtual::new().run(async {
    ///     let task = iter(0..3).map(|x| println!("{x}")).spawn(OnDropped::Abort);
    ///     assert_eq!(task.await, Outcome::Ended { items: 3 });
    /// });
    /// ```
    #[doc(alias("launch_in", "run", "subscribe", "start", "run_scoped", "connect"))]
    pub fn spawn(self, on_dropped: OnDropped) -> Spawned
    where
        S: Send + 'static,
    {
        let shared = Arc::new(Shared::default());
        let run = Run { flow: Some(self), shared: shared.clone(), over: false };
        Spawned { task: Some(Ambient::current().spawn(run)), shared, on_dropped }
    }
}

/// What becomes of a spawned flow whose handle is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OnDropped {
    /// It is dropped too.
    Abort,
    /// It runs on to its end.
    Detach,
}

/// How a spawned flow came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The flow ended.
    Ended {
        /// How many items it brought.
        items: u64,
    },
    /// It was aborted.
    Aborted {
        /// How many items it had brought.
        items: u64,
        /// Bounds on the number of items that were lost with it, those that its sources had not
        /// brought included: its [size hint](Stage::size_hint) when it was dropped.
        lost: (usize, Option<usize>),
    },
}

/// What a spawned flow is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// It runs, or waits for an item.
    Running,
    /// The flow has ended.
    Ended,
    /// It was aborted.
    Aborted,
    /// A panic ended it, or its runtime was shut down.
    Failed,
}

const STATUSES: [Status; 4] = [Status::Running, Status::Ended, Status::Aborted, Status::Failed];

#[derive(Debug, Default)]
struct Shared {
    items: AtomicU64,
    /// An index into `STATUSES`.
    status: AtomicU8,
    abort: AtomicBool,
    task: AtomicWaker,
}

/// A handle on a flow that runs in a task of its own: see [`Flow::spawn`].
#[derive(Debug)]
#[must_use = "dropping the handle may stop the flow"]
pub struct Spawned {
    /// `None` only while this is dropped.
    task: Option<Task<Outcome>>,
    shared: Arc<Shared>,
    on_dropped: OnDropped,
}

impl Spawned {
    /// Drops the flow at once, with everything that it holds; what the future of this handle then
    /// gives says how much that was.
    pub fn abort(&self) {
        self.shared.abort.store(true, Ordering::Release);
        self.shared.task.wake();
    }

    /// How many items the flow has brought; while it runs, as of its last turn.
    pub fn items(&self) -> u64 {
        self.shared.items.load(Ordering::Relaxed)
    }

    /// What the flow is doing.
    pub fn status(&self) -> Status {
        let status = self.shared.status.load(Ordering::Acquire);
        STATUSES.get(usize::from(status)).copied().unwrap_or(Status::Failed)
    }
}

impl Future for Spawned {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        self.task.as_mut().map_or(Poll::Pending, |task| Pin::new(task).poll(cx))
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if let (OnDropped::Detach, Some(task)) = (self.on_dropped, self.task.take()) {
            task.detach();
        }
    }
}

/// The task.
#[pin_project(PinnedDrop)]
struct Run<S> {
    #[pin]
    flow: Option<Flow<S>>,
    shared: Arc<Shared>,
    over: bool,
}

impl<S> Run<S> {
    fn end(self: Pin<&mut Self>, status: Status) {
        let mut this = self.project();
        // Before anybody learns that it is over, what it holds is gone.
        this.flow.set(None);
        *this.over = true;
        this.shared.status.store(status as u8, Ordering::Release);
    }
}

impl<S: Stage> Future for Run<S> {
    type Output = Outcome;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self.as_mut().project();
        let Some(flow) = this.flow.as_pin_mut() else {
            panic!("spawn: polled again after it was over")
        };
        let shared = &**this.shared;
        // Registered first, so that an abort from now on is either seen below or wakes the task.
        shared.task.register(cx.waker());
        let mut items = shared.items.load(Ordering::Relaxed);
        let aborted = || shared.abort.load(Ordering::Acquire);
        let lost = flow.size_hint();
        let mut drained = Poll::Ready(ControlFlow::Break(()));
        if !aborted() {
            drained = flow.poll_drain(cx, &mut |_| {
                items += 1;
                if aborted() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            shared.items.store(items, Ordering::Relaxed);
        }
        match drained {
            Poll::Pending => Poll::Pending,
            Poll::Ready(ControlFlow::Continue(())) => {
                self.end(Status::Ended);
                Poll::Ready(Outcome::Ended { items })
            }
            Poll::Ready(ControlFlow::Break(())) => {
                let lost = self.flow.as_ref().map_or(lost, Stage::size_hint);
                self.end(Status::Aborted);
                Poll::Ready(Outcome::Aborted { items, lost })
            }
        }
    }
}

#[pinned_drop]
impl<S> PinnedDrop for Run<S> {
    fn drop(self: Pin<&mut Self>) {
        if !self.over {
            self.end(Status::Failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use futures::FutureExt;

    use super::{OnDropped, Outcome, Status};
    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Overflow, Virtual, from_future, iter, timer};

    #[test]
    fn the_handle_gives_the_items_and_the_end() {
        Virtual::new().run(async {
            let task = timetable([(1, 'a'), (3, 'b')], 5).spawn(OnDropped::Abort);
            timer(ms(2)).drain().await;
            assert_eq!((task.items(), task.status()), (1, Status::Running));
            timer(ms(4)).drain().await;
            assert_eq!((task.items(), task.status()), (2, Status::Ended));
            assert_eq!(task.await, Outcome::Ended { items: 2 });
        });
    }

    #[test]
    fn an_abort_says_what_was_lost() {
        Virtual::new().run(async {
            let held = iter(0..10).delay(ms(1_000), 4).spawn(OnDropped::Abort);
            timer(ms(2)).drain().await;
            held.abort();
            assert_eq!(held.await, Outcome::Aborted { items: 0, lost: (10, Some(10)) });
            let endless = iter(0..).buffer(4, Overflow::Block).spawn(OnDropped::Abort);
            endless.abort();
            let Outcome::Aborted { items: 0, lost: (_, None) } = endless.await else {
                panic!("aborted before it began")
            };
        });
    }

    #[test]
    fn a_handle_that_is_dropped_stops_the_flow_or_lets_it_run_on() {
        for (on_dropped, expected) in [(OnDropped::Abort, 1), (OnDropped::Detach, 2)] {
            let seen = std::sync::Arc::new(std::sync::atomic::AtomicU8::new(0));
            let count = seen.clone();
            Virtual::new().run(async {
                let flow = timetable([(1, ()), (5, ())], 5);
                let counting = flow.inspect(move |()| {
                    count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                });
                let task = counting.spawn(on_dropped);
                timer(ms(2)).drain().await;
                drop(task);
                timer(ms(20)).drain().await;
            });
            assert_eq!(seen.load(std::sync::atomic::Ordering::Relaxed), expected);
        }
    }

    #[test]
    fn a_panic_comes_out_of_the_handle() {
        Virtual::new().run(async {
            let task = iter([1]).map(|_| panic!("one")).spawn(OnDropped::Abort);
            timer(ms(1)).drain().await;
            assert_eq!(task.status(), Status::Failed);
            let result = catch_unwind(AssertUnwindSafe(|| task.now_or_never()));
            assert_eq!(result.unwrap_err().downcast_ref(), Some(&"one"));
        });
    }

    #[test]
    fn an_endless_flow_can_be_aborted_in_the_middle_of_its_turn() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let outcome = runtime.block_on(async {
            let task = iter(0u64..).spawn(OnDropped::Abort);
            while task.items() == 0 {
                tokio::task::yield_now().await;
            }
            task.abort();
            task.await
        });
        assert!(matches!(outcome, Outcome::Aborted { items: 1.., .. }));
    }

    marbles!(spawn, |input| input.spawn(OnDropped::Abort));

    specification!(spawn, |input| input.spawn(OnDropped::Abort), |input| {
        let items = input.events.len() as u64;
        Timeline::new([(input.end, Outcome::Ended { items })], input.end)
    });

    conformance!(spawn, |input| {
        from_future(input.spawn(OnDropped::Abort))
    }, except [
        NoSnooze: "the task polls the input, whoever polls the handle",
    ]);
}
