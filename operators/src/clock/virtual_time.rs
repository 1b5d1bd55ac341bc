//! [`Virtual`]: a run under virtual time, with a small deterministic executor of its own.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use pin_project::{pin_project, pinned_drop};
use slab::Slab;

use super::alarm::Rank;
use super::{Ambient, Clock, Timestamp};
use crate::util::lock;

/// A run under virtual time: when no task is ready, time jumps to the next alarm.
///
/// Time has nanosecond resolution, and what happens at one instant has a total order: first
/// everything that is ready, tasks in the order in which they were woken; then one alarm, and
/// again everything that it made ready; alarms of sources before alarms of operators, each in the
/// order in which they were set. The same program gives the same run, always.
///
/// ```
/// use aqueduct_operators::{Clock, Timestamp, Virtual, iter};
/// use std::time::Duration;
///
/// let run = Virtual::new();
/// let hour = Duration::from_secs(3600);
/// let ended = run.run(async move {
///     iter([1, 2, 3]).delay(hour, 16).count().await;
///     Clock::current().now()
/// });
/// assert_eq!(ended, Timestamp::EPOCH + hour); // and it took no time at all
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Virtual {
    start: Timestamp,
    workers: bool,
}

impl Default for Virtual {
    fn default() -> Self {
        Self::new()
    }
}

impl Virtual {
    /// A run that starts at the epoch and does blocking work in place.
    pub fn new() -> Self {
        Self { start: Timestamp::EPOCH, workers: false }
    }

    /// The run starts at this time.
    pub fn starting_at(mut self, start: Timestamp) -> Self {
        self.start = start;
        self
    }

    /// Blocking work goes to the threads of the surrounding tokio runtime instead. Time stands
    /// still while a task waits for it, so that no answer depends on how long it takes.
    pub fn with_workers(mut self) -> Self {
        self.workers = true;
        self
    }

    /// Runs the future to its end on this thread. Tasks that it started and did not wait for are
    /// dropped then.
    ///
    /// # Panics
    ///
    /// If the run stalls: no task is ready, no alarm is set, and the future has not ended.
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.try_run(future).unwrap_or_else(|stalled| panic!("{stalled}"))
    }

    /// As [`run`](Self::run), with a stall as an error.
    pub fn try_run<F: Future>(&self, future: F) -> Result<F::Output, Stalled> {
        let mut driven = Box::pin(self.drive(future));
        let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
        let mut cx = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(outcome) = driven.as_mut().poll(&mut cx) {
                return outcome;
            }
            std::thread::park();
        }
    }

    /// The run as a future, for an event loop that has other things to do: it yields about every
    /// millisecond.
    pub fn drive<F: Future>(&self, future: F) -> Driven<F> {
        let timers = Arc::new(Timers::starting_at(self.start));
        let executor = Arc::new(Executor::new(self.workers));
        executor.wake(ROOT);
        let root_queued = Arc::new(TaskWaker::new(ROOT, executor.clone()));
        Driven {
            root: Some(future),
            root_waker: Waker::from(root_queued.clone()),
            root_queued,
            tasks: Slab::new(),
            ready: VecDeque::new(),
            ambient: Some(Ambient::virtual_time(
                Clock::virtual_time(timers.clone()),
                executor.clone(),
            )),
            timers,
            executor,
        }
    }
}

/// A run under virtual time that cannot go on: no task is ready, no alarm is set, and the future
/// has not ended. It waits for something outside the run, such as a channel whose sender lives
/// elsewhere, or for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the virtual run stalled at {at}: no task is ready and no alarm is set, but the future has \
     not ended; it waits for itself, or for something outside the run"
)]
pub struct Stalled {
    /// The virtual time at which nothing was left to do.
    pub at: Timestamp,
}

struct Unpark(std::thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The waiting alarms and the time.
#[derive(Debug)]
pub(super) struct Timers {
    now: AtomicI64,
    order: AtomicU64,
    waiting: Mutex<BTreeMap<Key, Waker>>,
}

/// Identifies a waiting alarm and gives its place in the total order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) at: Timestamp,
    pub(super) rank: Rank,
    pub(super) order: u64,
}

impl Timers {
    fn starting_at(start: Timestamp) -> Self {
        Self {
            now: AtomicI64::new(start.as_nanos()),
            order: AtomicU64::new(0),
            waiting: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now.load(Ordering::Relaxed))
    }

    pub(super) fn next_order(&self) -> u64 {
        self.order.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn arm(&self, key: Key, waker: &Waker) {
        lock(&self.waiting).insert(key, waker.clone());
    }

    pub(super) fn cancel(&self, key: Key) {
        // Dropped after the lock is free: the last waker of a task may drop alarms with it.
        let waker = lock(&self.waiting).remove(&key);
        drop(waker);
    }

    /// Whether the alarm has not fired yet; if so, `waker` is the one to wake.
    pub(super) fn is_waiting(&self, key: Key, waker: &Waker) -> bool {
        match lock(&self.waiting).get_mut(&key) {
            Some(registered) => {
                registered.clone_from(waker);
                true
            }
            None => false,
        }
    }

    /// Moves the time on to the next alarm and fires it.
    fn fire_next(&self) -> bool {
        let Some((key, waker)) = lock(&self.waiting).pop_first() else {
            return false;
        };
        self.now.fetch_max(key.at.as_nanos(), Ordering::Relaxed);
        waker.wake();
        true
    }
}

/// The part of the executor that wakers and spawning tasks reach.
pub(super) struct Executor {
    ready: Mutex<VecDeque<usize>>,
    spawned: Mutex<Vec<SpawnedFuture>>,
    has_spawned: AtomicBool,
    /// Jobs on worker threads that somebody waits for.
    holds: AtomicUsize,
    workers: bool,
    /// Whether the run has returned to the event loop around it, which then has to be woken.
    parked: AtomicBool,
    outside: AtomicWaker,
}

type SpawnedFuture = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The id of the future that the run was started with.
const ROOT: usize = usize::MAX;

impl Executor {
    fn new(workers: bool) -> Self {
        Self {
            ready: Mutex::default(),
            spawned: Mutex::default(),
            has_spawned: AtomicBool::new(false),
            holds: AtomicUsize::new(0),
            workers,
            parked: AtomicBool::new(false),
            outside: AtomicWaker::new(),
        }
    }

    pub(super) fn has_workers(&self) -> bool {
        self.workers
    }

    pub(super) fn spawn(&self, future: SpawnedFuture) {
        lock(&self.spawned).push(future);
        self.has_spawned.store(true, Ordering::Release);
    }

    pub(super) fn hold_time(self: &Arc<Self>) -> Held {
        self.holds.fetch_add(1, Ordering::SeqCst);
        Held(self.clone())
    }

    fn wake(&self, task: usize) {
        lock(&self.ready).push_back(task);
        if self.parked.load(Ordering::SeqCst) {
            self.outside.wake();
        }
    }
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor").field("workers", &self.workers).finish_non_exhaustive()
    }
}

/// Virtual time does not move while this lives.
#[derive(Debug)]
pub(super) struct Held(Arc<Executor>);

impl Drop for Held {
    fn drop(&mut self) {
        let before = self.0.holds.fetch_sub(1, Ordering::SeqCst);
        // The run may have returned to the event loop around it because of this hold, and if the
        // job was dropped elsewhere nothing else calls it back.
        if before == 1 && self.0.parked.load(Ordering::SeqCst) {
            self.0.outside.wake();
        }
    }
}

struct TaskWaker {
    task: usize,
    /// Already in the queue: further wakes add nothing.
    queued: AtomicBool,
    executor: Arc<Executor>,
}

impl TaskWaker {
    /// A waker for a task that is already queued.
    fn new(task: usize, executor: Arc<Executor>) -> Self {
        Self { task, queued: AtomicBool::new(true), executor }
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.executor.wake(self.task);
        }
    }
}

struct SpawnedTask {
    future: SpawnedFuture,
    queued: Arc<TaskWaker>,
    waker: Waker,
}

/// A run under virtual time, as a future: see [`Virtual::drive`].
#[pin_project(PinnedDrop)]
#[must_use = "a run does nothing until it is polled"]
pub struct Driven<F> {
    #[pin]
    root: Option<F>,
    root_waker: Waker,
    root_queued: Arc<TaskWaker>,
    tasks: Slab<SpawnedTask>,
    /// The tasks whose turn it is, before those that wait in the executor.
    ready: VecDeque<usize>,
    timers: Arc<Timers>,
    executor: Arc<Executor>,
    ambient: Option<Ambient>,
}

impl<F> fmt::Debug for Driven<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven")
            .field("tasks", &self.tasks.len())
            .field("now", &self.timers.now())
            .finish_non_exhaustive()
    }
}

/// How long the run goes on before it lets the event loop around it do other things.
const SLICE: Duration = Duration::from_millis(1);
/// Turns between two looks at the live clock.
const LOOK: u32 = 64;

impl<F: Future> Future for Driven<F> {
    type Output = Result<F::Output, Stalled>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let executor = this.executor;
        executor.outside.register(cx.waker());
        executor.parked.store(false, Ordering::SeqCst);
        Ambient::enter(this.ambient, || {
            let live = Clock::live();
            let started = live.now();
            let mut turns = 0u32;
            loop {
                if this.ready.is_empty() {
                    // All at once: a lock for a batch, and none is held while a task runs.
                    std::mem::swap(this.ready, &mut *lock(&executor.ready));
                }
                match this.ready.pop_front() {
                    Some(ROOT) => {
                        // Only the root's own waker queues it, and that always before the end.
                        let Some(root) = this.root.as_mut().as_pin_mut() else {
                            continue;
                        };
                        this.root_queued.queued.store(false, Ordering::Release);
                        let mut cx = Context::from_waker(this.root_waker);
                        if let Poll::Ready(output) = root.poll(&mut cx) {
                            this.root.set(None);
                            this.tasks.clear();
                            return Poll::Ready(Ok(output));
                        }
                    }
                    Some(task) => poll_task(this.tasks, task),
                    None if executor.holds.load(Ordering::SeqCst) > 0 => {
                        executor.parked.store(true, Ordering::SeqCst);
                        if lock(&executor.ready).is_empty() {
                            return Poll::Pending;
                        }
                        executor.parked.store(false, Ordering::SeqCst);
                    }
                    None => {
                        if !this.timers.fire_next() {
                            return Poll::Ready(Err(Stalled { at: this.timers.now() }));
                        }
                    }
                }
                if executor.has_spawned.load(Ordering::Acquire) {
                    executor.has_spawned.store(false, Ordering::Relaxed);
                    adopt(this.tasks, executor);
                }
                turns += 1;
                if turns.is_multiple_of(LOOK) && live.now() - started > SLICE {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        })
    }
}

fn poll_task(tasks: &mut Slab<SpawnedTask>, id: usize) {
    // A task that has ended may have been woken once more.
    let Some(task) = tasks.get_mut(id) else {
        return;
    };
    task.queued.queued.store(false, Ordering::Release);
    let mut cx = Context::from_waker(&task.waker);
    if task.future.as_mut().poll(&mut cx).is_ready() {
        tasks.remove(id);
    }
}

/// Takes over what the last turn spawned, each task ready to be polled for the first time.
fn adopt(tasks: &mut Slab<SpawnedTask>, executor: &Arc<Executor>) {
    let spawned = std::mem::take(&mut *lock(&executor.spawned));
    for future in spawned {
        let entry = tasks.vacant_entry();
        let queued = Arc::new(TaskWaker::new(entry.key(), executor.clone()));
        executor.wake(entry.key());
        entry.insert(SpawnedTask { future, waker: Waker::from(queued.clone()), queued });
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Driven<F> {
    fn drop(self: Pin<&mut Self>) {
        // Wakers hold the executor and may outlive the run; its tasks must not.
        let mut this = self.project();
        this.root.set(None);
        this.tasks.clear();
        // Dropped after the lock is free: a future may spawn another when it is dropped.
        let spawned = std::mem::take(&mut *lock(&this.executor.spawned));
        drop(spawned);
    }
}
