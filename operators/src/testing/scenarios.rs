//! What short runs do not show: panics, long inputs, work in flight that has to be driven.

use std::fmt::Debug;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::Rule;
use super::allocations::allocations;
use super::check::Check;
use super::consumer::{Case, Make, Step, Way};
use super::input::{Aborted, POISON, Script, abort};
use super::polled::Polled;
use super::record::{Asked, Record};
use crate::Virtual;

pub(super) fn all(check: &mut Check<'_>) {
    panic_safety(check);
    is_driven(check);
    long_inputs(check);
    if allocations().is_none() {
        let why = "no `CountingAllocator` is the global allocator of this program";
        check.not_measured.push((Rule::NoAllocation, why));
    } else if !check.counted {
        let why = "it ends before enough items have passed";
        check.not_measured.push((Rule::NoAllocation, why));
    }
}

/// A panic in a closure, wherever it comes: what is left can be polled and dropped.
fn panic_safety(check: &mut Check<'_>) {
    let calm = [(0, 1), (0, 2), (1, 3), (1, 4), (3, 2), (9, 1)];
    for poisoned in 0..calm.len() {
        for steps in [&[Step::Next][..], &[Step::Drain(usize::MAX)], &[Step::Progress, Step::Next]]
        {
            for poisoned_input in 0..check.inputs {
                let script = |input| {
                    let mut items = calm;
                    if input == poisoned_input {
                        items[poisoned].1 = POISON;
                    }
                    Arc::new(Script::new(items, 10))
                };
                let scripts = (0..check.inputs).map(script).collect();
                let case = Case { scripts, way: Way::new(steps) };
                check.runs += 1;
                if let Some(what) = panics(&case, check.make) {
                    let what = format!("{what}, with\n{case}");
                    check.breach_without_trace(Rule::PanicSafety, what);
                }
            }
        }
    }
}

/// More steps than the short inputs need here, and more items.
const STEPS: usize = 1_000;

/// Polls to the end, through a panic, and on.
fn panics(case: &Case, make: &Make<'_>) -> Option<String> {
    let record = Arc::new(Record::new(case.scripts.len(), case.items()));
    let mut wrong = None;
    let run = AssertUnwindSafe(|| {
        Virtual::new().try_run(async {
            let mut flow = make(case.inputs(&record, true));
            let mut panicked = false;
            let mut steps = case.way.steps.iter().cycle().take(STEPS);
            poll_fn(|cx| {
                loop {
                    let Some(step) = steps.next().copied() else {
                        // Endless: it got through the short inputs all the same.
                        return Poll::Ready(());
                    };
                    let polled = catch_unwind(AssertUnwindSafe(|| poll(flow.as_mut(), cx, step)));
                    match polled {
                        Ok(Poll::Pending) if step != Step::Progress => return Poll::Pending,
                        Ok(Poll::Pending | Poll::Ready(false)) => {}
                        Ok(Poll::Ready(true)) => return Poll::Ready(()),
                        Err(panic) if panic.is::<Aborted>() => {
                            wrong = Some("it polls an input after its end".to_owned());
                            return Poll::Ready(());
                        }
                        Err(_) => panicked = true,
                    }
                    if panicked {
                        return Poll::Ready(());
                    }
                }
            })
            .await;
            record.note_end();
            if panicked && wrong.is_none() {
                wrong = poll_fn(|cx| Poll::Ready(after(flow.as_mut(), cx))).await;
            }
        })
    });
    match catch_unwind(run) {
        Ok(Ok(())) => {}
        Ok(Err(_)) => wrong = wrong.or(Some("it stalls".to_owned())),
        Err(_) => wrong = wrong.or(Some("it panics when it is dropped".to_owned())),
    }
    let alive = record.ledger.alive();
    if alive > 0 {
        wrong = wrong.or(Some(format!("{alive} items leak after a panic")));
    }
    wrong
}

/// A step; whether that was the end.
fn poll(flow: Pin<&mut (dyn Polled + '_)>, cx: &mut Context<'_>, step: Step) -> Poll<bool> {
    match step {
        Step::Next => flow.poll_next(cx, &mut |_| {}).map(|item| item.is_none()),
        Step::Drain(_) => {
            let mut left = STEPS;
            let each = &mut |_: &dyn Debug| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            flow.poll_drain(cx, each).map(|end| end.is_continue())
        }
        Step::Progress => flow.poll_progress(cx).map(|()| false),
    }
}

/// After a panic every poll ends, or panics again.
fn after(mut flow: Pin<&mut (dyn Polled + '_)>, cx: &mut Context<'_>) -> Option<String> {
    for step in [Step::Next, Step::Drain(1), Step::Progress, Step::Next] {
        let polled = catch_unwind(AssertUnwindSafe(|| poll(flow.as_mut(), cx, step)));
        match polled {
            Ok(Poll::Ready(true)) | Err(_) => {}
            Ok(Poll::Ready(false)) if step == Step::Progress => {}
            Ok(other) => return Some(format!("after a panic, {step:?} gives {other:?}")),
        }
    }
    None
}

/// Whoever drives the flow drives its inputs: at the start, and after an item was taken. An input
/// that was pending when it was last asked is woken and needs nobody.
fn is_driven(check: &mut Check<'_>) {
    for asked in [false, true] {
        let script = Arc::new(Script::new([(0, 1), (0, 2), (6, 2)], 9));
        let scripts = vec![script; check.inputs];
        let case = Case { scripts, way: Way::pulled() };
        let record = Arc::new(Record::new(case.scripts.len(), case.items()));
        check.runs += 1;
        let make = check.make;
        // A panic here was found by the short runs.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            Virtual::new().run(async {
                let mut flow = make(case.inputs(&record, true));
                poll_fn(|cx| {
                    if asked {
                        let _ = flow.as_mut().poll_next(cx, &mut |_| {});
                    }
                    let _ = flow.as_mut().poll_progress(cx);
                    Poll::Ready(())
                })
                .await;
                for (index, input) in record.inputs().iter().enumerate() {
                    let waits = input.asked == Asked::Pending;
                    if !input.driven_since && !waits && !input.released() {
                        let when = if asked { "after an item" } else { "before its first item" };
                        let what =
                            format!("poll_progress is not passed on to input {index} {when}");
                        check.breach_without_trace(Rule::NoSnooze, what);
                    }
                }
            });
        }));
    }
}

/// Items before the count of allocations begins, and those that are counted.
const WARM: usize = 2_200;
const COUNTED: usize = 2_200;
/// More than a slice of the budget takes, with what a stage may add.
const SLICE: usize = 3_000;
/// More items than come out of one poll of a stage that gives way.
const ITEMS: usize = 20_000;
/// More polls than a long input needs.
const POLLS: usize = 40_000;
/// What a constant stack may vary by.
const STACK: usize = 32 * 1024;

/// Inputs of items that are all there at once.
fn long_inputs(check: &mut Check<'_>) {
    for values in [&[1, 2, 3, 4, 5, 6, 7][..], &[1], &[2]] {
        for step in [Step::Drain(usize::MAX), Step::Next] {
            let rounds = (WARM + COUNTED + 100) / values.len();
            let script = Arc::new(Script::long(values, rounds));
            let case = Case { scripts: vec![script; check.inputs], way: Way::new(&[step]) };
            check.runs += 1;
            long_input(check, &case, step);
        }
    }
}

fn long_input(check: &mut Check<'_>, case: &Case, step: Step) {
    let record = Arc::new(Record::new(case.scripts.len(), case.items()));
    let mut counted = None;
    let (mut most, mut out) = (0, 0);
    let mut polls = 0;
    let make = check.make;
    let _ = catch_unwind(AssertUnwindSafe(|| {
        Virtual::new().try_run(async {
            let mut flow = make(case.inputs(&record, true));
            let mut start = None;
            poll_fn(|cx| {
                loop {
                    let before = record.taken();
                    out = 0;
                    polls += 1;
                    if polls > POLLS {
                        // Endless, and gives way.
                        abort();
                    }
                    let mut look = || {
                        let taken = record.taken();
                        if taken >= WARM && start.is_none() {
                            start = allocations();
                        }
                        if taken >= WARM + COUNTED && counted.is_none() {
                            counted = allocations().zip(start).map(|(end, start)| end - start);
                        }
                        out += 1;
                        if out > ITEMS {
                            abort();
                        }
                    };
                    let polled = match step {
                        Step::Next => {
                            flow.as_mut().poll_next(cx, &mut |_| look()).map(|item| item.is_none())
                        }
                        _ => flow
                            .as_mut()
                            .poll_drain(cx, &mut |_| {
                                look();
                                ControlFlow::Continue(())
                            })
                            .map(|end| end.is_continue()),
                    };
                    most = most.max(record.taken() - before);
                    match polled {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(true) => return Poll::Ready(()),
                        Poll::Ready(false) => {}
                    }
                }
            })
            .await;
        })
    }));
    let depth = record.stack_depth();
    if depth > STACK {
        let what = format!("{depth} bytes of stack at {} items\n{case}", record.taken());
        check.breach_without_trace(Rule::ConstantStack, what);
    }
    if most > SLICE * check.inputs {
        let what = format!("one poll took {most} items\n{case}");
        check.breach_without_trace(Rule::Budget, what);
    }
    if out > ITEMS {
        let what = format!("more than {ITEMS} items in one poll\n{case}");
        check.breach_without_trace(Rule::Budget, what);
    }
    check.counted |= counted.is_some();
    if let Some(count @ 1..) = counted {
        let what = format!("{count} allocations for {COUNTED} items\n{case}");
        check.breach_without_trace(Rule::NoAllocation, what);
    }
}
