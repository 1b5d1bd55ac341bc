//! [`Script`]: what a flow hands out, said step by step.

use std::fmt::Debug;
use std::panic::Location;
use std::time::Duration;

use super::Steps;
use super::steps::{Step, When, equal, judged};
use crate::{Flow, Stage, Timestamp, Virtual};

/// Begins a script for a flow: what it shall hand out, step by step, under virtual time.
///
/// Nothing runs before the last step, [`expect_end`](Script::expect_end),
/// [`then_drop`](Script::then_drop) or [`verify`](Script::verify). A step that fails panics with
/// its line in the source and with everything that came before as a marble.
///
/// ```
/// use aqueduct_operators::testing::{ms, script, timetable};
///
/// script(timetable([(2, 'a'), (7, 'b'), (7, 'c')], 9).delay(ms(1), 8))
///     .expect_no_event_for(ms(3))
///     .expect('a')
///     .expect_at(8, 'b')
///     .expect_at_once(['c'])
///     .expect_end();
/// ```
pub fn script<'a, S: Stage + 'a>(flow: Flow<S>) -> Script<'a, S::Item> {
    Script { steps: Steps::of(flow), script: Vec::new() }
}

/// What a flow shall do, step by step: see [`script`].
#[must_use = "a script runs when its last step is said"]
pub struct Script<'a, T> {
    steps: Steps<'a, T>,
    script: Vec<(&'static Location<'static>, Step<'a, T>)>,
}

impl<T> Debug for Script<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Script").field("steps", &self.script.len()).finish_non_exhaustive()
    }
}

impl<'a, T: Debug> Script<'a, T> {
    #[track_caller]
    fn and(mut self, step: Step<'a, T>) -> Self {
        self.script.push((Location::caller(), step));
        self
    }

    /// The next item is this one.
    #[track_caller]
    pub fn expect(self, item: T) -> Self
    where
        T: PartialEq + 'a,
    {
        self.and(Step::Items(vec![equal(item)], When::Any))
    }

    /// The next item comes at this millisecond, and is this one.
    #[track_caller]
    pub fn expect_at(self, millis: i64, item: T) -> Self
    where
        T: PartialEq + 'a,
    {
        self.and(Step::Items(vec![equal(item)], When::At(Timestamp::from_millis(millis))))
    }

    /// The next items are these, all at one instant.
    #[track_caller]
    pub fn expect_at_once(self, items: impl IntoIterator<Item = T>) -> Self
    where
        T: PartialEq + 'a,
    {
        self.and(Step::Items(items.into_iter().map(equal).collect(), When::Together))
    }

    /// The next item is one for which this holds; `what` says it in words.
    #[track_caller]
    pub fn expect_that(self, what: &'a str, holds: impl FnOnce(&T) -> bool + 'a) -> Self {
        self.and(Step::Items(vec![judged(what, holds)], When::Any))
    }

    /// Nothing happens, neither an item nor the end, from now on to just before this has passed.
    #[track_caller]
    pub fn expect_no_event_for(self, duration: Duration) -> Self {
        self.and(Step::Silence(duration))
    }

    /// Nothing happens to just before this millisecond.
    #[track_caller]
    pub fn expect_no_event_until(self, millis: i64) -> Self {
        self.and(Step::SilenceUntil(Timestamp::from_millis(millis)))
    }

    /// Does something between two steps: sends to a channel, drops a sender.
    #[track_caller]
    pub fn then(self, run: impl FnOnce() + 'a) -> Self {
        self.and(Step::Run(Box::new(run)))
    }

    /// The flow ends next. Runs the script.
    #[track_caller]
    pub fn expect_end(self) {
        self.and(Step::End(When::Any)).verify();
    }

    /// The flow ends next, at this millisecond. Runs the script.
    #[track_caller]
    pub fn expect_end_at(self, millis: i64) {
        self.and(Step::End(When::At(Timestamp::from_millis(millis)))).verify();
    }

    /// The flow is dropped here, where it may still be open. Runs the script.
    #[track_caller]
    pub fn then_drop(self) {
        self.verify();
    }

    /// Runs the script.
    #[track_caller]
    pub fn verify(self) {
        let Self { mut steps, script } = self;
        let failed = Virtual::new().try_run(async {
            for (number, (site, step)) in script.into_iter().enumerate() {
                if let Err(why) = steps.step(step).await {
                    return Some((number + 1, site, why));
                }
            }
            None
        });
        // A run in which nothing can happen any more is a silence that steps have to expect, so
        // that they always set an alarm: it never stalls.
        if let Ok(Some((number, site, why))) = failed {
            panic!("step {number} of the script, at {site}: {why}");
        }
    }
}

impl<'a, T: Debug + PartialEq + 'a, E: Debug + PartialEq + 'a> Script<'a, Result<T, E>> {
    /// The next item is `Ok` of this.
    #[track_caller]
    pub fn expect_ok(self, item: T) -> Self {
        self.expect(Ok(item))
    }

    /// The next item is `Err` of this.
    #[track_caller]
    pub fn expect_err(self, error: E) -> Self {
        self.expect(Err(error))
    }
}
