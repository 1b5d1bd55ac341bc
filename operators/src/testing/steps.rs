//! [`Steps`]: what a flow hands out, awaited step by step.

use std::fmt::{Debug, Write};
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use super::observe::Output;
use super::{Timeline, draw};
use crate::{Alarm, Clock, Flow, Stage, Timestamp};

/// The same steps to be awaited one by one, for tests with more than a flow in them.
///
/// ```
/// use aqueduct_operators::{Overflow, Virtual, channel};
/// use aqueduct_operators::testing::{Steps, ms};
///
/// Virtual::new().run(async {
///     let (sender, flow) = channel(8, Overflow::Block);
///     let mut steps = Steps::of(flow.debounce(ms(5)));
///     sender.try_send('a').unwrap();
///     steps.expect_no_event_for(ms(5)).await;
///     steps.expect('a').await;
///     drop(sender);
///     steps.expect_end().await;
/// });
/// ```
pub struct Steps<'a, T> {
    output: Option<Output<'a, T>>,
    line: Timeline<String>,
    /// Ends a silence, before anything else happens at that instant.
    alarm: Alarm,
}

impl<T> Debug for Steps<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Steps").field("so_far", &self.line).finish_non_exhaustive()
    }
}

/// Longer than any script lasts.
const PATIENCE: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// What happened.
enum Event<T> {
    Item(T),
    End,
    Nothing,
}

impl<'a, T: Debug> Steps<'a, T> {
    async fn and(&mut self, step: Step<'a, T>, site: &'static Location<'static>) {
        if let Err(why) = self.step(step).await {
            panic!("the step at {site}: {why}");
        }
    }

    /// The next item is this one.
    #[track_caller]
    pub fn expect(&mut self, item: T) -> impl Future<Output = ()>
    where
        T: PartialEq + 'a,
    {
        self.and(Step::Items(vec![equal(item)], When::Any), Location::caller())
    }

    /// The next item comes at this millisecond, and is this one.
    #[track_caller]
    pub fn expect_at(&mut self, millis: i64, item: T) -> impl Future<Output = ()>
    where
        T: PartialEq + 'a,
    {
        let when = When::At(Timestamp::from_millis(millis));
        self.and(Step::Items(vec![equal(item)], when), Location::caller())
    }

    /// The next items are these, all at one instant.
    #[track_caller]
    pub fn expect_at_once(&mut self, items: impl IntoIterator<Item = T>) -> impl Future<Output = ()>
    where
        T: PartialEq + 'a,
    {
        let judges = items.into_iter().map(equal).collect();
        self.and(Step::Items(judges, When::Together), Location::caller())
    }

    /// The next item is one for which this holds; `what` says it in words.
    #[track_caller]
    pub fn expect_that(
        &mut self,
        what: &str,
        holds: impl FnOnce(&T) -> bool + 'a,
    ) -> impl Future<Output = ()> {
        self.and(Step::Items(vec![judged(what, holds)], When::Any), Location::caller())
    }

    /// Nothing happens, neither an item nor the end, from now on to just before this has passed.
    #[track_caller]
    pub fn expect_no_event_for(&mut self, duration: Duration) -> impl Future<Output = ()> {
        self.and(Step::Silence(duration), Location::caller())
    }

    /// Nothing happens to just before this millisecond.
    #[track_caller]
    pub fn expect_no_event_until(&mut self, millis: i64) -> impl Future<Output = ()> {
        self.and(Step::SilenceUntil(Timestamp::from_millis(millis)), Location::caller())
    }

    /// The flow ends next.
    #[track_caller]
    pub fn expect_end(&mut self) -> impl Future<Output = ()> {
        self.and(Step::End(When::Any), Location::caller())
    }

    /// The flow ends next, at this millisecond.
    #[track_caller]
    pub fn expect_end_at(&mut self, millis: i64) -> impl Future<Output = ()> {
        self.and(Step::End(When::At(Timestamp::from_millis(millis))), Location::caller())
    }
}

impl<'a, T> Steps<'a, T> {
    /// The steps of a flow, which is polled only while a step is awaited.
    pub fn of<S: Stage<Item = T> + 'a>(flow: Flow<S>) -> Self {
        Self {
            output: Some(Box::pin(flow)),
            line: Timeline { events: Vec::new(), end: Timeline::<String>::NEVER },
            alarm: Alarm::for_consumer(),
        }
    }

    /// What happens next, before this time.
    async fn event(&mut self, limit: Timestamp) -> Event<T> {
        let Self { output: Some(output), alarm, .. } = self else {
            return Event::End;
        };
        alarm.set(limit);
        let event = poll_fn(|cx| {
            if let Poll::Ready(item) = output.as_mut().next(cx) {
                return Poll::Ready(item.map_or(Event::End, Event::Item));
            }
            alarm.poll(cx).map(|()| Event::Nothing)
        });
        let event = event.await;
        alarm.clear();
        event
    }
}

impl<T: Debug> Steps<'_, T> {
    pub(super) async fn step(&mut self, step: Step<'_, T>) -> Result<(), String> {
        match step {
            Step::Run(run) => {
                run();
                Ok(())
            }
            Step::Silence(duration) => self.silence(Clock::current().now() + duration).await,
            Step::SilenceUntil(time) => self.silence(time).await,
            Step::End(when) => match self.event(Clock::current().now() + PATIENCE).await {
                Event::End => {
                    self.note_end();
                    self.in_time(when, "the end")
                }
                Event::Item(item) => {
                    let item = self.note(&item);
                    Err(self.wrong("the end", &item))
                }
                Event::Nothing => Err(self.wrong("the end", "nothing, for ever")),
            },
            Step::Items(judges, when) => {
                let mut when = when;
                for judge in judges {
                    self.item(judge, when).await?;
                    if matches!(when, When::Together) {
                        when = When::At(Clock::current().now());
                    }
                }
                Ok(())
            }
        }
    }

    async fn item(&mut self, judge: Judge<'_, T>, when: When) -> Result<(), String> {
        match self.event(Clock::current().now() + PATIENCE).await {
            Event::Item(item) => {
                let shown = self.note(&item);
                judge(&item).map_err(|expected| self.wrong(&expected, &shown))?;
                self.in_time(when, &shown)
            }
            Event::End => {
                self.note_end();
                Err(self.wrong("an item", "the end"))
            }
            Event::Nothing => Err(self.wrong("an item", "nothing, for ever")),
        }
    }

    async fn silence(&mut self, until: Timestamp) -> Result<(), String> {
        if self.output.is_none() {
            return Ok(());
        }
        let expected = format!("nothing before {} ms", until.as_millis());
        match self.event(until).await {
            Event::Nothing => Ok(()),
            Event::Item(item) => {
                let item = self.note(&item);
                Err(self.wrong(&expected, &item))
            }
            Event::End => {
                self.note_end();
                Err(self.wrong(&expected, "the end"))
            }
        }
    }

    fn note(&mut self, item: &T) -> String {
        let shown = draw::plain(&format!("{item:?}"));
        self.line.events.push((Clock::current().now().as_millis(), shown.clone()));
        shown
    }

    fn note_end(&mut self) {
        self.output = None;
        self.line.end = self.line.end.min(Clock::current().now().as_millis());
    }

    fn in_time(&self, when: When, what: &str) -> Result<(), String> {
        let now = Clock::current().now();
        match when {
            When::At(time) if time != now => {
                Err(self.wrong(&format!("{what} at {} ms", time.as_millis()), what))
            }
            _ => Ok(()),
        }
    }

    fn wrong(&self, expected: &str, actual: &str) -> String {
        let now = Clock::current().now().as_millis();
        let mut text = format!("at {now} ms expected {expected}, got {actual}");
        let _ = write!(text, "\n{}", draw::rows(&[("so far", &self.line)]));
        text
    }
}

/// Judges an item: what was expected instead, if it is wrong.
pub(super) type Judge<'a, T> = Box<dyn FnOnce(&T) -> Result<(), String> + 'a>;

/// One step of a script.
pub(super) enum Step<'a, T> {
    Items(Vec<Judge<'a, T>>, When),
    End(When),
    Silence(Duration),
    SilenceUntil(Timestamp),
    Run(Box<dyn FnOnce() + 'a>),
}

/// When a step is to happen.
#[derive(Clone, Copy)]
pub(super) enum When {
    Any,
    At(Timestamp),
    /// All at one instant.
    Together,
}

/// It is this item.
pub(super) fn equal<'a, T: PartialEq + Debug + 'a>(expected: T) -> Judge<'a, T> {
    Box::new(
        move |item| {
            if *item == expected { Ok(()) } else { Err(draw::plain(&format!("{expected:?}"))) }
        },
    )
}

/// It is one for which this holds.
pub(super) fn judged<'a, T>(what: &str, holds: impl FnOnce(&T) -> bool + 'a) -> Judge<'a, T> {
    let what = what.to_owned();
    Box::new(move |item| if holds(item) { Ok(()) } else { Err(what) })
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::Virtual;
    use crate::testing::script;
    use crate::testing::{ms, timetable};
    use crate::{Overflow, channel, iter, never};

    fn message(run: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it should have failed");
        panic.downcast_ref::<String>().expect("a message").clone()
    }

    fn input() -> Flow<impl Stage<Item = char>> {
        timetable([(2, 'a'), (5, 'b'), (5, 'c')], 9)
    }

    #[test]
    fn a_right_script_passes() {
        script(input())
            .expect_no_event_for(ms(2))
            .expect('a')
            .expect_no_event_for(ms(1))
            .expect_no_event_for(ms(2))
            .expect_at_once(['b', 'c'])
            .expect_no_event_until(9)
            .expect_end_at(9);
    }

    #[test]
    fn a_wrong_item_names_the_step_its_line_and_what_came_before() {
        let line = line!() + 1;
        let said = message(|| script(input()).expect('a').expect('x').then_drop());
        let start = format!("step 2 of the script, at operators/src/testing/steps.rs:{line}:");
        assert!(said.starts_with(&start), "{said}");
        assert!(said.ends_with("at 5 ms expected x, got b\nso far  --a--b"), "{said}");
    }

    #[test]
    fn a_wrong_time_fails() {
        let said = message(|| script(input()).expect_at(3, 'a').then_drop());
        assert!(said.contains("at 2 ms expected a at 3 ms, got a"), "{said}");
        let said = message(|| script(input()).expect_at_once(['a', 'b']).then_drop());
        assert!(said.contains("at 5 ms expected b at 2 ms, got b"), "{said}");
        let said = message(|| script(iter(['a'])).expect('a').expect_end_at(1));
        assert!(said.contains("at 0 ms expected the end at 1 ms, got the end"), "{said}");
    }

    #[test]
    fn an_event_in_a_silence_fails() {
        let said = message(|| script(input()).expect_no_event_for(ms(3)).then_drop());
        assert!(said.contains("at 2 ms expected nothing before 3 ms, got a"), "{said}");
        let ends = || timetable::<char>([], 4);
        let said = message(|| script(ends()).expect_no_event_until(5).then_drop());
        assert!(said.contains("at 4 ms expected nothing before 5 ms, got the end"), "{said}");
        script(ends()).expect_no_event_until(4).expect_end();
    }

    #[test]
    fn an_end_for_an_item_and_an_item_for_an_end_fail() {
        let said = message(|| script(iter(['a'])).expect('a').expect('b').then_drop());
        assert!(said.contains("expected an item, got the end\nso far  (a|)"), "{said}");
        let said = message(|| script(iter(['a'])).expect_end());
        assert!(said.contains("expected the end, got a"), "{said}");
    }

    #[test]
    fn a_flow_in_which_nothing_happens_fails_and_does_not_hang() {
        let said = message(|| script(never()).expect('a').then_drop());
        assert!(said.contains("expected an item, got nothing, for ever"), "{said}");
        script(never::<char>()).expect_no_event_for(ms(50)).then_drop();
    }

    #[test]
    fn errors_and_conditions_are_expected_too() {
        script(iter([Ok(1), Err("late"), Ok(7)]))
            .expect_ok(1)
            .expect_err("late")
            .expect_that("an odd number", |item| matches!(item, Ok(x) if x % 2 == 1))
            .expect_end();
        let said = message(|| {
            script(iter([4])).expect_that("an odd number", |x| x % 2 == 1).then_drop();
        });
        assert!(said.contains("expected an odd number, got 4"), "{said}");
    }

    #[test]
    fn something_can_be_done_between_two_steps() {
        let (sender, flow) = channel(4, Overflow::Block);
        script(flow)
            .expect_no_event_for(ms(3))
            .then(move || sender.try_send('a').unwrap())
            .expect_at(3, 'a')
            .expect_end();
    }

    #[test]
    fn then_drop_drops_the_flow() {
        let token = std::rc::Rc::new(());
        let held = token.clone();
        script(input().map(move |x| (x, std::rc::Rc::strong_count(&held))))
            .expect(('a', 2))
            .then_drop();
        assert_eq!(std::rc::Rc::strong_count(&token), 1);
    }

    #[test]
    fn awaited_steps_name_their_line() {
        let line = line!() + 4;
        let said = message(|| {
            Virtual::new().run(async {
                let mut steps = Steps::of(input());
                steps.expect('x').await;
            });
        });
        assert!(said.starts_with("the step at operators/src/testing/steps.rs:"), "{said}");
        assert!(
            said.contains(&format!("{line}:")) || said.contains(&format!("{}:", line - 1)),
            "{said}"
        );
    }
}
