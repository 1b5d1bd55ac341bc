//! A flow that runs again after its end.

use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::running::Running;
use crate::outline::Node;
use crate::{Alarm, Bound, Budget, Flow, Outline, Site, Stage};

/// Runs the flow that `factory` makes, and after its end another one, as `times` says.
///
/// ```text
/// first   a-b|
/// second       c-d|
/// out     a-b--c-d|    repeat(Times::new(2).pause(2), factory)
/// ```
///
/// A flow that has begun cannot be started again, so this is a source: it calls `factory` at the
/// first poll, and again after each end. The flow that ended is dropped before the pause. For a
/// flow that is to start again after an error, see [`retry`](crate::error::retry).
///
/// - **Emits** the items of each run.
/// - **Backpressures** when downstream does.
/// - **Ends** with the last run; no run at all ends at once.
/// - **On error**: an error is an item here, and a run that ends after it counts like any other.
///   A panic in `factory` comes out of the poll.
/// - **Holds** what the flow of a run holds.
/// - **Cost**: no allocation; with a pause one clock read and one timer operation a run. Runs
///   without items give way to others (see [`Budget`]).
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{iter, repeat, source::Times};
/// let mut round = 0;
/// let flow = repeat(Times::new(3), || {
///     round += 1;
///     iter(0..round)
/// });
/// assert_eq!(flow.collect::<Vec<_>>().await, [0, 0, 1, 0, 1, 2]);
/// # });
/// ```
#[doc(alias("forever", "do_while", "repeat_n"))]
#[track_caller]
pub fn repeat<F, S>(times: Times, factory: F) -> Flow<Repeat<F, S, Times>>
where
    F: FnMut() -> Flow<S>,
    S: Stage,
{
    Flow::from_stage(Repeat::new(times, factory, Location::caller()))
}

/// Runs the flow that `factory` makes, and after each end another one if `again(runs)` gives
/// `true`, where `runs` is how many there were; otherwise as [`repeat`].
///
/// ```text
/// first   a-b|
/// second       c|
/// again      --()
/// out     a-b--c|    repeat_when(again, factory)
/// ```
///
/// - **Emits** the items of each run.
/// - **Backpressures** when downstream does; a decision that was begun goes on meanwhile.
/// - **Ends** when `again` gives `false`.
/// - **On error**: an error is an item here, and a run that ends after it counts like any other. A
///   panic in `factory` or in `again` comes out of the poll.
/// - **Holds** what the flow of a run holds.
/// - **Cost**: no allocation, no clock read. Runs without items give way to others (see [`Budget`]).
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::{iter, repeat_when};
/// let flow = repeat_when(async |runs| runs < 2, || iter(["a", "b"]));
/// assert_eq!(flow.collect::<String>().await, "abab");
/// # });
/// ```
#[doc(alias("repeat_until", "repeat_while", "do_while"))]
#[track_caller]
pub fn repeat_when<A, Fut, F, S>(again: A, factory: F) -> Flow<Repeat<F, S, When<A, Fut>>>
where
    A: FnMut(u64) -> Fut,
    Fut: Future<Output = bool>,
    F: FnMut() -> Flow<S>,
    S: Stage,
{
    let when = When { again, running: Running::idle() };
    Flow::from_stage(Repeat::new(when, factory, Location::caller()))
}

/// How often [`repeat`] runs its flow, and how long it pauses in between.
#[derive(Debug)]
#[must_use]
pub struct Times {
    /// `None`: for ever.
    runs: Option<u64>,
    pause: Duration,
    /// Set during a pause.
    alarm: Alarm,
}

impl Times {
    /// This many runs in all.
    pub fn new(runs: u64) -> Self {
        Self { runs: Some(runs), pause: Duration::ZERO, alarm: Alarm::new() }
    }

    /// One run after the other, for ever.
    pub fn forever() -> Self {
        Self { runs: None, ..Self::new(0) }
    }

    /// Waits this long between the end of a run and the next one.
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }
}

/// Decides with a future whether [`repeat_when`] runs its flow again.
#[pin_project]
#[derive(Debug)]
pub struct When<A, Fut: Future> {
    again: A,
    #[pin]
    running: Running<Fut>,
}

/// Whether there is another run, and when.
pub trait Again {
    /// Asked after `runs` runs until it is ready; before the first one with 0.
    fn poll_again(self: Pin<&mut Self>, runs: u64, cx: &mut Context<'_>) -> Poll<bool>;

    /// Drives what it waits for.
    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Its line in the outline.
    fn describe(&self, outline: &mut Outline, site: Site);
}

impl Again for Times {
    fn poll_again(mut self: Pin<&mut Self>, runs: u64, cx: &mut Context<'_>) -> Poll<bool> {
        if self.runs.is_some_and(|all| runs >= all) {
            return Poll::Ready(false);
        }
        if runs > 0 && !self.pause.is_zero() {
            if self.alarm.deadline().is_none() {
                let due = self.alarm.now() + self.pause;
                self.alarm.set(due);
            }
            ready!(self.alarm.poll(cx));
        }
        Poll::Ready(true)
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, outline: &mut Outline, site: Site) {
        let node: &mut Node = outline.stage("repeat", site).holds(Bound::Unknown);
        match self.runs {
            Some(runs) => node.parameter("times", runs),
            None => node.parameter("times", "for ever"),
        };
        if !self.pause.is_zero() {
            node.parameter("pause", format_args!("{:?}", self.pause));
        }
    }
}

impl<A, Fut> Again for When<A, Fut>
where
    A: FnMut(u64) -> Fut,
    Fut: Future<Output = bool>,
{
    fn poll_again(self: Pin<&mut Self>, runs: u64, cx: &mut Context<'_>) -> Poll<bool> {
        if runs == 0 {
            return Poll::Ready(true);
        }
        let mut this = self.project();
        if this.running.is_idle() {
            let again = (this.again)(runs);
            this.running.as_mut().start(again);
        }
        this.running.poll(cx)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().running.drive(cx)
    }

    fn describe(&self, outline: &mut Outline, site: Site) {
        outline.stage("repeat_when", site).holds(Bound::Unknown);
    }
}

/// The stage behind [`repeat`] and [`repeat_when`].
#[pin_project]
#[derive(Debug)]
pub struct Repeat<F, S, A> {
    /// `None` before the first run, between two, and after the last.
    #[pin]
    input: Option<S>,
    /// `None` once the last run has ended.
    factory: Option<F>,
    #[pin]
    again: A,
    /// Runs that were begun.
    runs: u64,
    /// One unit for each run.
    budget: Budget,
    site: Site,
}

impl<F: FnMut() -> Flow<S>, S: Stage, A: Again> Repeat<F, S, A> {
    fn new(again: A, factory: F, site: Site) -> Self {
        let budget = Budget::new();
        Self { input: None, factory: Some(factory), again, runs: 0, budget, site }
    }

    /// Ready with the flow of the present run, or of the next one; `None` after the last.
    fn poll_run(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Pin<&mut S>>> {
        let mut this = self.project();
        if this.input.is_none()
            && let Some(factory) = this.factory
        {
            if !ready!(this.again.poll_again(*this.runs, cx)) {
                *this.factory = None;
                return Poll::Ready(None);
            }
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            *this.runs += 1;
            this.input.set(Some(factory().into_stage()));
        }
        Poll::Ready(this.input.as_pin_mut())
    }
}

impl<F: FnMut() -> Flow<S>, S: Stage, A: Again> Stage for Repeat<F, S, A> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        while let Some(input) = ready!(self.as_mut().poll_run(cx)) {
            if let Some(item) = ready!(input.poll_next(cx)) {
                return Poll::Ready(Some(item));
            }
            self.as_mut().project().input.set(None);
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        while let Some(input) = ready!(self.as_mut().poll_run(cx)) {
            if let broke @ ControlFlow::Break(_) = ready!(input.poll_drain(cx, each)) {
                return Poll::Ready(broke);
            }
            self.as_mut().project().input.set(None);
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match this.input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => this.again.poll_progress(cx),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let least = self.input.as_ref().map_or(0, |input| input.size_hint().0);
        (least, if self.factory.is_some() { None } else { Some(0) })
    }

    fn describe(&self, outline: &mut Outline) {
        self.again.describe(outline, self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use futures::FutureExt;

    use super::{Times, repeat, repeat_when};
    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Clock, Flow, Stage, empty, iter, timer};

    /// A run of 3 ms with an item after 1.
    fn short_run() -> Flow<impl Stage<Item = char>> {
        let start = Clock::current().now().as_millis();
        timetable([(start + 1, 'a')], start + 3)
    }

    #[test]
    fn a_run_follows_the_other_and_the_last_one_ends_the_flow() {
        let flow = repeat(Times::new(2), short_run);
        assert_eq!(timeline(flow), (vec![(1, 'a'), (4, 'a')], 6));
    }

    #[test]
    fn there_is_a_pause_between_two_runs_and_none_at_the_end() {
        let flow = repeat(Times::new(2).pause(ms(10)), short_run);
        assert_eq!(timeline(flow), (vec![(1, 'a'), (14, 'a')], 16));
    }

    #[test]
    fn no_run_at_all_never_calls_the_factory() {
        let flow = repeat(Times::new(0), || -> Flow<crate::source::Empty<u8>> { panic!("a run") });
        assert_eq!(items(flow), []);
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        assert_eq!(every_way(|| repeat(Times::new(3), || iter([1, 2]))), [1, 2, 1, 2, 1, 2]);
        let forever = || repeat(Times::forever(), || iter([1, 2])).take(5);
        assert_eq!(every_way(forever), [1, 2, 1, 2, 1]);
    }

    #[test]
    fn an_empty_flow_for_ever_gives_way() {
        assert!(repeat(Times::forever(), empty::<u8>).drain().now_or_never().is_none());
    }

    #[test]
    fn a_run_is_dropped_before_the_next_is_made() {
        let alive = Rc::new(());
        let flow = repeat(Times::new(3), || {
            assert_eq!(Rc::strong_count(&alive), 1);
            let alive = alive.clone();
            iter([1]).inspect(move |_| assert_eq!(Rc::strong_count(&alive), 2))
        });
        assert_eq!(items(flow), [1, 1, 1]);
    }

    #[test]
    fn a_future_decides_when_and_whether_to_go_on() {
        let asked = RefCell::new(Vec::new());
        let flow = repeat_when(
            async |runs| {
                asked.borrow_mut().push((Clock::current().now().as_millis(), runs));
                iter([()]).delay(ms(5), 1).drain().await;
                runs < 2
            },
            short_run,
        );
        assert_eq!(timeline(flow), (vec![(1, 'a'), (9, 'a')], 16));
        assert_eq!(asked.take(), [(3, 1), (11, 2)]);
    }

    #[test]
    fn the_decision_goes_on_while_downstream_is_busy() {
        let decided = Cell::new(0);
        let flow = repeat_when(
            async |_| {
                iter([()]).delay(ms(5), 1).drain().await;
                decided.set(decided.get() + 1);
                decided.get() < 2
            },
            || iter(['a']),
        );
        let busy = RefCell::new(Vec::new());
        crate::Virtual::new().run(flow.map_async(2, async |item| item).for_each_async(
            async |_| {
                iter([()]).delay(ms(20), 1).drain().await;
                busy.borrow_mut().push((Clock::current().now().as_millis(), decided.get()));
            },
        ));
        assert_eq!(busy.take(), [(20, 2), (40, 2)]);
    }

    marbles!(repeat, |first, second| {
        let mut runs = vec![second, first];
        repeat(Times::new(2).pause(ms(2)), move || runs.pop().unwrap())
    });
    marbles!(repeat_when, |first, second| {
        let mut runs = vec![second, first];
        let again = async |runs| {
            if runs < 2 {
                timer(ms(2)).drain().await;
            }
            runs < 2
        };
        repeat_when(again, move || runs.pop().unwrap())
    });

    conformance!(repeat, |first, second| {
        let mut runs = vec![second, first];
        repeat(Times::new(2).pause(ms(2)), move || runs.pop().unwrap())
    }, except [
        NoSnooze: "a flow is not started before its turn, nor driven",
        DeclaredBound: "the flow of a run holds what its author decided",
    ]);

    specification!(
        repeat,
        |input| {
            let mut first = Some(input);
            repeat(Times::new(2), move || match first.take() {
                Some(flow) => flow.boxed_local(),
                None => iter([9]).boxed_local(),
            })
        },
        |input| -> Timeline<u8> {
            let end = input.end;
            Timeline::new(input.events.into_iter().chain([(end, 9)]), end)
        }
    );
}
