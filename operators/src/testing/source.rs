//! [`TestSource`]: a source that does what a test says, and tells what was done to it.

use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project::{pin_project, pinned_drop};

use crate::util::lock;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage};

/// A source that does what a test says, step by step, and tells what was done to it.
///
/// It panics when it is polled after its end, unless it is told to [misbehave](Misbehavior).
/// Errors are items: of a `TestSource<Result<T, E>>`.
///
/// ```
/// use aqueduct_operators::testing::{TestSource, ms, timeline};
///
/// let source = TestSource::new().item('a').wait(ms(5)).item('b').pending().item('c');
/// let watch = source.watch();
/// assert_eq!(timeline(source.flow().take(2)), (vec![(0, 'a'), (5, 'b')], 5));
/// assert_eq!((watch.taken(), watch.ended(), watch.dropped()), (2, false, true));
/// ```
#[pin_project(PinnedDrop)]
pub struct TestSource<T> {
    steps: VecDeque<Step<T>>,
    misbehavior: Option<Misbehavior>,
    alarm: Alarm,
    watch: Watch,
    site: Site,
}

enum Step<T> {
    Item(T),
    Wait(Duration),
    Pending,
    Never,
    Panic(&'static str),
}

/// What a source may do that none should: for tests of operators that have to survive it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misbehavior {
    /// Every poll wakes, whatever it returns.
    WakesSpuriously,
    /// `Pending` without a waker anywhere: nobody will ever be woken.
    ForgetsTheWaker,
    /// The waker of the first pending poll is woken, not that of the latest.
    KeepsTheFirstWaker,
    /// The size hint promises exactly so many items.
    PromisesItems(usize),
    /// Polled after its end it starts to wait for ever, instead of ending again.
    HangsAfterItsEnd,
    /// Polled after its end it ends again, and does not panic. That is good behavior, but none
    /// that a stage may rely on.
    EndsAgain,
}

/// What was done to a [`TestSource`]. Clones see the same source.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    polls: usize,
    pending: usize,
    driven: usize,
    taken: usize,
    ended: bool,
    late_polls: usize,
    dropped: bool,
}

impl Watch {
    /// Polls for an item.
    pub fn polls(&self) -> usize {
        lock(&self.0).polls
    }

    /// Polls that were pending.
    pub fn pending(&self) -> usize {
        lock(&self.0).pending
    }

    /// Calls of [`poll_progress`](Stage::poll_progress).
    pub fn driven(&self) -> usize {
        lock(&self.0).driven
    }

    /// Items that were taken.
    pub fn taken(&self) -> usize {
        lock(&self.0).taken
    }

    /// Whether it has told its end.
    pub fn ended(&self) -> bool {
        lock(&self.0).ended
    }

    /// Polls after its end.
    pub fn polls_after_end(&self) -> usize {
        lock(&self.0).late_polls
    }

    /// Whether it was dropped.
    pub fn dropped(&self) -> bool {
        lock(&self.0).dropped
    }
}

impl<T> TestSource<T> {
    /// A source that ends at once.
    #[track_caller]
    #[expect(clippy::new_without_default, reason = "the place of the call would be lost")]
    pub fn new() -> Self {
        Self {
            steps: VecDeque::new(),
            misbehavior: None,
            alarm: Alarm::for_source(),
            watch: Watch::default(),
            site: Location::caller(),
        }
    }

    fn step(mut self, step: Step<T>) -> Self {
        self.steps.push_back(step);
        self
    }

    /// Then it brings an item.
    #[must_use]
    pub fn item(self, item: T) -> Self {
        self.step(Step::Item(item))
    }

    /// Then it brings these items.
    #[must_use]
    pub fn items(self, items: impl IntoIterator<Item = T>) -> Self {
        items.into_iter().fold(self, Self::item)
    }

    /// Then it waits so long, from the poll in which it comes to this step.
    #[must_use]
    pub fn wait(self, duration: Duration) -> Self {
        self.step(Step::Wait(duration))
    }

    /// Then one poll is pending for no reason, and wakes its task.
    #[must_use]
    pub fn pending(self) -> Self {
        self.step(Step::Pending)
    }

    /// Then it waits for ever.
    #[must_use]
    pub fn never(self) -> Self {
        self.step(Step::Never)
    }

    /// Then it panics with this text.
    #[must_use]
    pub fn panic(self, text: &'static str) -> Self {
        self.step(Step::Panic(text))
    }

    /// It does what no source should.
    #[must_use]
    pub fn misbehaving(mut self, misbehavior: Misbehavior) -> Self {
        self.misbehavior = Some(misbehavior);
        self
    }

    /// What is done to it, to be looked at later.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }

    /// The source as a flow.
    pub fn flow(self) -> Flow<Self> {
        Flow::from_stage(self)
    }
}

impl<T> Stage for TestSource<T> {
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let this = self.project();
        let seen = &mut *lock(&this.watch.0);
        seen.polls += 1;
        if *this.misbehavior == Some(Misbehavior::WakesSpuriously) {
            cx.waker().wake_by_ref();
        }
        if seen.ended {
            seen.late_polls += 1;
            return match this.misbehavior {
                Some(Misbehavior::HangsAfterItsEnd) => Poll::Pending,
                Some(Misbehavior::EndsAgain) => Poll::Ready(None),
                _ => panic!("the source made at {} is polled after its end", this.site),
            };
        }
        let pending = loop {
            match this.steps.pop_front() {
                None => {
                    seen.ended = true;
                    return Poll::Ready(None);
                }
                Some(Step::Item(item)) => {
                    seen.taken += 1;
                    return Poll::Ready(Some(item));
                }
                Some(Step::Panic(text)) => panic!("{text}"),
                Some(Step::Pending) => {
                    cx.waker().wake_by_ref();
                    break None;
                }
                Some(Step::Never) => break Some(Step::Never),
                Some(Step::Wait(duration)) => {
                    if this.alarm.deadline().is_none() {
                        let until = this.alarm.now() + duration;
                        this.alarm.set(until);
                    } else if *this.misbehavior == Some(Misbehavior::KeepsTheFirstWaker) {
                        break Some(Step::Wait(duration));
                    }
                    if *this.misbehavior == Some(Misbehavior::ForgetsTheWaker) {
                        break Some(Step::Wait(duration));
                    }
                    if this.alarm.poll(cx).is_pending() {
                        break Some(Step::Wait(duration));
                    }
                }
            }
        };
        seen.pending += 1;
        if let Some(step) = pending {
            this.steps.push_front(step);
        }
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        lock(&self.watch.0).driven += 1;
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        if let Some(Misbehavior::PromisesItems(items)) = self.misbehavior {
            return (items, Some(items));
        }
        let items = self.steps.iter().filter(|step| matches!(step, Step::Item(_))).count();
        let ends = !self.steps.iter().any(|step| matches!(step, Step::Never | Step::Panic(_)));
        (if ends { items } else { 0 }, Some(items))
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("test source", self.site).holds(Bound::Unknown);
    }
}

impl<T> fmt::Debug for TestSource<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSource").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

#[pinned_drop]
impl<T> PinnedDrop for TestSource<T> {
    fn drop(self: Pin<&mut Self>) {
        lock(&self.watch.0).dropped = true;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::testing::{items, ms, timeline};
    use crate::{Stalled, Timestamp, Virtual};

    #[test]
    fn it_takes_one_step_after_the_other() {
        let source = TestSource::new().items([1, 2]).wait(ms(3)).pending().item(3).wait(ms(2));
        let watch = source.watch();
        assert_eq!(timeline(source.flow()), (vec![(0, 1), (0, 2), (3, 3)], 5));
        assert_eq!((watch.taken(), watch.pending(), watch.ended()), (3, 3, true));
        assert_eq!((watch.polls(), watch.polls_after_end(), watch.dropped()), (7, 0, true));
    }

    #[test]
    #[should_panic(expected = "polled after its end")]
    fn it_panics_when_it_is_polled_after_its_end() {
        let mut cx = Context::from_waker(Waker::noop());
        let mut source = pin!(TestSource::<u8>::new());
        assert_eq!(source.as_mut().poll_next(&mut cx), Poll::Ready(None));
        let _ = source.poll_next(&mut cx);
    }

    #[test]
    fn a_forgotten_waker_stalls_the_run() {
        let source = TestSource::new().wait(ms(3)).item(1);
        let source = source.misbehaving(Misbehavior::ForgetsTheWaker);
        let run = Virtual::new().try_run(source.flow().count());
        assert_eq!(run, Err(Stalled { at: Timestamp::EPOCH }));
    }

    #[test]
    fn a_wrong_size_hint_says_what_it_was_told_to() {
        let source = TestSource::new().item(1).misbehaving(Misbehavior::PromisesItems(9));
        assert_eq!(source.size_hint(), (9, Some(9)));
        assert_eq!(items(source.flow()), [1]);
    }
}
