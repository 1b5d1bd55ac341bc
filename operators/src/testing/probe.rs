//! [`Probe`]: a consumer that asks when a test says so.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::task::AtomicWaker;

use crate::{Alarm, Clock, Flow, Stage, Timestamp};

/// A consumer that asks for an item when a test says so, and notes what comes and when.
///
/// It is used within a [`Virtual`](crate::Virtual) run, whose time passes while it waits.
///
/// ```
/// use aqueduct_operators::testing::{Probe, ms, timetable};
/// use aqueduct_operators::{Timestamp, Virtual};
/// use std::task::Poll;
///
/// Virtual::new().run(async {
///     let mut probe = Probe::new(timetable([(1, 'a'), (2, 'b'), (9, 'c')], 9).debounce(ms(3)));
///     assert_eq!(probe.poll(), Poll::Pending);
///     probe.wait(ms(2)).await; // nobody polls meanwhile
///     assert!(probe.is_woken());
///     assert_eq!(probe.next().await, Some('b'));
///     assert_eq!(probe.seen(), [(Timestamp::from_millis(5), 'b')]);
/// });
/// ```
pub struct Probe<S: Stage> {
    flow: Pin<Box<Flow<S>>>,
    wakes: Arc<Wakes>,
    /// Wakes at the latest poll.
    wakes_before: usize,
    polls: usize,
    seen: Vec<(Timestamp, S::Item)>,
}

/// Counts wakes, and passes them on to whoever waits.
#[derive(Default)]
struct Wakes {
    count: AtomicUsize,
    task: AtomicWaker,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.count.fetch_add(1, Relaxed);
        self.task.wake();
    }
}

/// More polls than are ever needed between two items.
const POLLS: usize = 100_000;

impl<S: Stage> Probe<S> {
    /// A consumer that has not asked for anything yet.
    pub fn new(flow: Flow<S>) -> Self {
        let (flow, wakes) = (Box::pin(flow), Arc::default());
        Self { flow, wakes, wakes_before: 0, polls: 0, seen: Vec::new() }
    }

    fn poll_with<R>(&mut self, poll: impl FnOnce(Pin<&mut Flow<S>>, &mut Context<'_>) -> R) -> R {
        self.polls += 1;
        self.wakes_before = self.wakes();
        let waker = Waker::from(self.wakes.clone());
        poll(self.flow.as_mut(), &mut Context::from_waker(&waker))
    }

    /// Asks once.
    pub fn poll(&mut self) -> Poll<Option<S::Item>>
    where
        S::Item: Clone,
    {
        let polled = self.poll_with(Stage::poll_next);
        if let Poll::Ready(Some(item)) = &polled {
            self.seen.push((Clock::current().now(), item.clone()));
        }
        polled
    }

    /// Drives work in flight once, and takes nothing.
    pub fn drive(&mut self) -> Poll<()> {
        self.poll_with(Stage::poll_progress)
    }

    /// Waits for the next item.
    ///
    /// # Panics
    ///
    /// If the flow wakes its consumer 100,000 times and brings nothing.
    pub async fn next(&mut self) -> Option<S::Item>
    where
        S::Item: Clone,
    {
        let first = self.polls;
        poll_fn(|cx| {
            self.wakes.task.register(cx.waker());
            let polls = self.polls - first;
            assert!(
                polls < POLLS,
                "the flow schedules itself: {polls} polls for one item, each woken by itself, at {}",
                Clock::current().now(),
            );
            self.poll()
        })
        .await
    }

    /// Waits for so many items; fewer if the flow ends.
    pub async fn take(&mut self, items: usize) -> Vec<S::Item>
    where
        S::Item: Clone,
    {
        let mut all = Vec::with_capacity(items);
        while all.len() < items
            && let Some(item) = self.next().await
        {
            all.push(item);
        }
        all
    }

    /// Lets time pass without asking.
    pub async fn wait(&mut self, duration: Duration) {
        let mut alarm = Alarm::new();
        let until = alarm.now() + duration;
        alarm.set(until);
        poll_fn(|cx| alarm.poll(cx)).await;
    }

    /// Everything that came, and when.
    pub fn seen(&self) -> &[(Timestamp, S::Item)] {
        &self.seen
    }

    /// How often it was woken.
    pub fn wakes(&self) -> usize {
        self.wakes.count.load(Relaxed)
    }

    /// Whether it was woken since it last asked.
    pub fn is_woken(&self) -> bool {
        self.wakes() > self.wakes_before
    }

    /// How often it has asked or driven.
    pub fn polls(&self) -> usize {
        self.polls
    }

    /// The flow, to read what it counts.
    pub fn flow(&self) -> &Flow<S> {
        &self.flow
    }
}

impl<S: Stage> fmt::Debug for Probe<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe").field("polls", &self.polls).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Virtual;
    use crate::testing::{Misbehavior, TestSource, ms, timetable};

    #[test]
    fn it_asks_only_when_it_is_told_to() {
        let source = TestSource::new().items(['a', 'b', 'c']);
        let watch = source.watch();
        Virtual::new().run(async {
            let mut probe = Probe::new(source.flow());
            probe.wait(ms(9)).await;
            assert_eq!(watch.polls(), 0);
            assert_eq!(probe.take(2).await, ['a', 'b']);
            assert_eq!((watch.taken(), probe.polls()), (2, 2));
            assert!(probe.drive().is_ready());
            assert_eq!((watch.taken(), watch.driven()), (2, 1));
            assert_eq!(probe.take(9).await, ['c']);
        });
    }

    #[test]
    fn it_sees_each_wake() {
        Virtual::new().run(async {
            let mut probe = Probe::new(timetable([(3, 'a')], 3));
            assert_eq!(probe.poll(), Poll::Pending);
            assert!(!probe.is_woken());
            probe.wait(ms(4)).await;
            assert!(probe.is_woken());
            assert_eq!((probe.wakes(), probe.poll()), (1, Poll::Ready(Some('a'))));
        });
    }

    #[test]
    #[should_panic(expected = "schedules itself")]
    fn a_flow_that_wakes_itself_for_ever_is_found_out() {
        let source = TestSource::<u8>::new().never().misbehaving(Misbehavior::WakesSpuriously);
        Virtual::new().run(async { Probe::new(source.flow()).next().await });
    }
}
