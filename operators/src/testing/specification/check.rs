//! Runs an operator and its specification side by side, and reports the smallest difference.

use std::fmt::{Debug, Write};
use std::future::Future;

use proptest::test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner};

use super::SpecItem;
use super::run::{Run, runs};
use crate::testing::observe::{How, Output, record};
use crate::testing::{Feed, Timeline, draw};
use crate::{Flow, Stage};

/// The inputs of one run, as the macro takes them.
#[doc(hidden)]
#[derive(Debug)]
pub struct Case<'a> {
    run: &'a Run,
    next: usize,
}

impl<'a> Case<'a> {
    fn new(run: &'a Run) -> Self {
        Self { run, next: 0 }
    }

    /// The next input as a flow.
    #[track_caller]
    pub fn flow<T: SpecItem>(&mut self) -> Flow<Feed<T>> {
        let number = self.next as u16;
        let stumbles = self.run.stumbles.clone();
        Flow::from_stage(Feed::new(self.timeline(), number, stumbles))
    }

    /// The next input as a timeline.
    pub fn timeline<T: SpecItem>(&mut self) -> Timeline<T> {
        self.next += 1;
        self.run.inputs[self.next - 1].clone().map(T::of)
    }
}

/// What a specification is compared with: a flow, or the future of a terminal, whose result is an
/// item at the instant of its end.
pub trait Specified<'a> {
    /// What it hands out.
    type Item;

    #[doc(hidden)]
    fn erased(self) -> Erasure<'a, Self::Item>;
}

impl<'a, S: Stage + 'a> Specified<'a> for Flow<S> {
    type Item = S::Item;

    fn erased(self) -> Erasure<'a, S::Item> {
        Erasure(Box::pin(self))
    }
}

impl<'a, F: Future + 'a> Specified<'a> for F {
    type Item = F::Output;

    fn erased(self) -> Erasure<'a, F::Output> {
        Erasure(Box::pin(crate::flow(futures_util::stream::once(self))))
    }
}

/// The output behind a pointer.
#[doc(hidden)]
pub fn erased<'a, O: Specified<'a>>(output: O) -> Erasure<'a, O::Item> {
    output.erased()
}

/// An output of an operator, behind a pointer.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Erasure<'a, T>(Output<'a, T>);

/// What may vary from run to run.
#[doc(hidden)]
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub inputs: usize,
    /// The answer at the pace of a slow consumer is the same, only later.
    pub any_pace: bool,
}

/// Compares the operator with its specification over random runs.
#[doc(hidden)]
pub fn check<'a, T: PartialEq + Debug>(
    name: &str,
    kind: Kind,
    operator: &dyn Fn(&mut Case<'_>) -> Erasure<'a, T>,
    specification: &dyn Fn(&mut Case<'_>) -> Timeline<T>,
) {
    if let Err(message) = compare(name, kind, operator, specification) {
        panic!("{message}");
    }
}

fn compare<'a, T: PartialEq + Debug>(
    name: &str,
    kind: Kind,
    operator: &dyn Fn(&mut Case<'_>) -> Erasure<'a, T>,
    specification: &dyn Fn(&mut Case<'_>) -> Timeline<T>,
) -> Result<(), String> {
    let failure = explore(kind, &|run| {
        let expected = specification(&mut Case::new(run));
        let expected = at_pace(expected, &run.rests);
        let how = How { turns: run.turns.clone(), rests: run.rests.clone(), ..How::default() };
        let build = || vec![(operator(&mut Case::new(run)).0, how)];
        let actual = record(build, HORIZON).remove(0);
        (expected != actual).then(|| (expected.shown(), actual.shown()))
    });
    match failure {
        None => Ok(()),
        Some((run, (expected, actual))) => Err(report(name, &run, &expected, &actual)),
    }
}

/// No run lasts longer; what has not ended by then never does.
const HORIZON: i64 = 100_000;

type Line = Timeline<String>;
/// What was specified and what came, if that is not the same.
type Difference = Option<(Line, Line)>;

/// Looks for a run that fails, and makes it as small as possible.
fn explore(kind: Kind, run_one: &dyn Fn(&Run) -> Difference) -> Option<(Run, (Line, Line))> {
    let seed = std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok());
    let config = Config {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(128),
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(seed.unwrap_or(0)),
        max_shrink_iters: 4_096,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let outcome = runner.run(&runs(kind), |run| match run_one(&run) {
        None => Ok(()),
        Some(_) => Err(TestCaseError::fail("the timelines differ")),
    });
    match outcome {
        Ok(()) => None,
        Err(TestError::Fail(reason, run)) => match run_one(&run) {
            Some(difference) => Some((run, difference)),
            None => panic!("{reason}, but not again; the run was {run:?}"),
        },
        Err(aborted) => panic!("{aborted}"),
    }
}

/// The timeline as a consumer sees it that rests after each item.
fn at_pace<T>(mut line: Timeline<T>, rests: &[u8]) -> Timeline<T> {
    let mut ready = 0;
    let rest_after = |index: usize| i64::from(rests[index % rests.len()]);
    if rests.is_empty() {
        return line;
    }
    for (index, (at, _)) in line.events.iter_mut().enumerate() {
        *at = ready.max(*at);
        ready = *at + rest_after(index);
    }
    line.end = line.end.max(ready);
    line
}

fn report(name: &str, run: &Run, expected: &Line, actual: &Line) -> String {
    let difference = draw::difference(expected, actual)
        .unwrap_or_else(|| "items that print alike are not equal".to_owned());
    let mut text = format!("{name} is not what its specification says: {difference}\n");
    let names = ["a", "b", "c"];
    let inputs: Vec<_> = run.inputs.iter().map(Timeline::shown).collect();
    let mut rows: Vec<(&str, &Line)> = names.into_iter().zip(&inputs).collect();
    if let [(name, _)] = &mut rows[..] {
        *name = "in";
    }
    rows.extend([("specified", expected), ("actual", actual)]);
    let _ = writeln!(text, "{}", draw::rows(&rows));
    if !run.turns.is_empty() {
        let _ = writeln!(text, "taken by turns (0 a pull, n a drain of n): {:?}", run.turns);
    }
    if !run.rests.is_empty() {
        let _ = writeln!(text, "milliseconds of rest after each item: {:?}", run.rests);
    }
    if run.stumbles.contains(&true) {
        let _ = writeln!(text, "the inputs were pending once before: {:?}", run.stumbles);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ms, specification};

    fn one(inputs: usize, any_pace: bool) -> Kind {
        Kind { inputs, any_pace }
    }

    /// What the smallest failing run looks like.
    fn smallest<T: PartialEq + Debug>(
        kind: Kind,
        operator: impl Fn(&mut Case<'_>) -> Erasure<'static, T>,
        specification: impl Fn(&mut Case<'_>) -> Timeline<T>,
    ) -> String {
        compare("it", kind, &operator, &specification).expect_err("it should have failed")
    }

    #[test]
    fn a_wrong_item_is_reported_with_the_smallest_input() {
        let said = smallest(
            one(1, false),
            |case| erased(case.flow::<u8>()),
            |case| case.timeline::<u8>().map(|x| if x > 2 { 0 } else { x }),
        );
        let expected = "it is not what its specification says: at 0 ms expected (0|), got (3|)\n\
                        in         (3|)\nspecified  (0|)\nactual     (3|)\n";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_wrong_time_is_reported() {
        let said = smallest(
            one(1, false),
            |case| erased(case.flow::<u8>().delay(ms(3), 1_000)),
            |case| {
                let mut line = case.timeline::<u8>();
                line.events.iter_mut().for_each(|(at, _)| *at += 2);
                line.end = line.events.last().map_or(line.end, |(at, _)| line.end.max(*at));
                line
            },
        );
        assert!(said.contains("at 2 ms expected (0|), got nothing"), "{said}");
        assert!(said.contains("in         (0|)"), "{said}");
    }

    #[test]
    fn an_early_end_and_no_end_are_reported() {
        let early = smallest(
            one(1, false),
            |case| erased(case.flow::<u8>().take(3)),
            |case| case.timeline::<u8>(),
        );
        assert!(early.contains("in "), "{early}");
        let never = smallest(
            one(1, false),
            |case| erased(case.flow::<u8>().chain(crate::never())),
            |case| case.timeline::<u8>(),
        );
        assert!(never.contains("at 0 ms expected the end, got nothing"), "{never}");
    }

    #[test]
    fn a_difference_between_pulling_and_draining_is_found() {
        /// Drops the item that a drain begins with.
        struct Lossy(Flow<Feed<u8>>);
        impl Stage for Lossy {
            type Item = u8;
            fn poll_next(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<u8>> {
                Stage::poll_next(std::pin::Pin::new(&mut self.0), cx)
            }
            fn poll_drain<B>(
                mut self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                each: &mut impl FnMut(u8) -> std::ops::ControlFlow<B>,
            ) -> std::task::Poll<std::ops::ControlFlow<B>> {
                let mut first = true;
                std::pin::Pin::new(&mut self.0).poll_drain(cx, &mut |item| {
                    if std::mem::take(&mut first) && item == 1 {
                        return std::ops::ControlFlow::Continue(());
                    }
                    each(item)
                })
            }
            fn poll_progress(
                self: std::pin::Pin<&mut Self>,
                _: &mut std::task::Context<'_>,
            ) -> std::task::Poll<()> {
                std::task::Poll::Ready(())
            }
            fn describe(&self, _: &mut crate::Outline) {}
        }
        let said = smallest(
            one(1, false),
            |case| erased(Flow::from_stage(Lossy(case.flow()))),
            |case| case.timeline::<u8>(),
        );
        assert!(said.contains("expected (1|), got the end"), "{said}");
    }

    #[test]
    fn an_answer_that_depends_on_the_pace_is_found_only_where_it_must_not() {
        let operator = |case: &mut Case<'_>| erased(case.flow::<u8>().timestamped());
        let specification = |case: &mut Case<'_>| {
            let line = case.timeline::<u8>();
            let events = line.events.iter().map(|(at, item)| (*at, (*at, *item)));
            Timeline::new(events, line.end)
        };
        assert_eq!(compare("it", one(1, false), &operator, &specification), Ok(()));
        let said = compare("it", one(1, true), &operator, &specification).unwrap_err();
        assert!(said.contains("milliseconds of rest after each item"), "{said}");
    }

    impl<S: Stage<Item = u8>> Flow<S> {
        /// Each item with the millisecond at which it was taken.
        fn timestamped(self) -> Flow<impl Stage<Item = (i64, u8)>> {
            self.map(|item| (crate::Clock::current().now().as_millis(), item))
        }
    }

    #[test]
    fn three_inputs_are_told_apart() {
        let said = smallest(
            one(3, false),
            |case| {
                let (a, b, c) = (case.flow::<u8>(), case.flow::<u8>(), case.flow::<u8>());
                erased(a.chain(b).chain(c))
            },
            |case| case.timeline::<u8>(),
        );
        assert!(said.contains("\nb "), "{said}");
        assert!(said.contains("\nc "), "{said}");
    }

    specification!(identity, at_any_pace, |input| input, |input| input);
    specification!(
        first_of_three,
        |a: char, b: Result<u8, u8>, c: (u8, u8)| {
            drop((b, c));
            a
        },
        |a, _b, _c| -> Timeline<char> { a }
    );
}
