//! The checks. Each runs an operator over many inputs, polls it in some hostile way, and looks
//! whether it keeps the rule.

use std::fmt::Debug;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use aqueduct_operators::{Alarm, Clock, Flow, Stage, Virtual};

use crate::input::{Input, Log, POISON, Script};

/// What an operator declares about itself: the rules that it keeps in a weaker form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Declares {
    /// Every rule is kept.
    Nothing,
    /// Which items of several inputs come first depends on which are ready (AQ-7): only the order
    /// within an input is promised.
    OrderOfReadyInputs,
    /// What comes out depends on which items are ready at once, or on how often it is driven
    /// (AQ-7).
    WhatIsReady,
    /// The input runs in a task of its own, which drives it and drops it (AQ-12, AQ-20).
    OwnTask,
    /// As both.
    WhatIsReadyAndOwnTask,
    /// The input is not started before its turn, not even its work in flight (AQ-20).
    NotStarted,
}

/// How a flow is polled. Each poll has a waker of its own, and those of earlier polls are dead.
#[derive(Debug, Clone, Copy)]
struct Way {
    /// After each item, as many are drained at most; 0: none.
    burst: usize,
    /// How often it is polled again after `Pending` although nobody was woken.
    again: usize,
    /// Whether work in flight is driven before each poll.
    driven: bool,
    /// Whether the consumer is busy after each item: for 2 ms, and until nothing is in flight.
    busy: bool,
}

const PULLED: Way = Way { burst: 0, again: 0, driven: false, busy: false };
const WAYS: [Way; 5] = [
    PULLED,
    Way { again: 2, ..PULLED },
    Way { burst: 1, again: 1, ..PULLED },
    Way { burst: 3, ..PULLED },
    Way { burst: usize::MAX, again: 1, ..PULLED },
];

/// Wakes the task as long as it is the waker of the latest poll.
struct Latest {
    task: Waker,
    live: AtomicBool,
    wakes: AtomicUsize,
}

impl Wake for Latest {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        if self.live.load(Relaxed) {
            self.task.wake_by_ref();
        }
    }
}

/// A flow that is being polled in some way.
struct Poller<'a, S: Stage> {
    flow: Pin<&'a mut Flow<S>>,
    latest: Option<Arc<Latest>>,
    polls: usize,
    /// How long the consumer is busy.
    pause: Alarm,
}

/// What came out and when, with the size hints before each item.
type Lines = Vec<(i64, String)>;
type Hints = Vec<(usize, (usize, Option<usize>))>;

impl<'a, S: Stage<Item: Debug>> Poller<'a, S> {
    fn new(flow: Pin<&'a mut Flow<S>>) -> Self {
        Self { flow, latest: None, polls: 0, pause: Alarm::new() }
    }

    /// Polls with a fresh waker.
    fn poll<R>(
        &mut self,
        cx: &Context<'_>,
        poll: impl FnOnce(Pin<&mut Flow<S>>, &mut Context<'_>) -> R,
    ) -> R {
        self.polls += 1;
        assert!(self.polls < 1_000_000, "it wakes itself for ever (AQ-4)");
        let task = cx.waker().clone();
        let fresh = Latest { task, live: AtomicBool::new(true), wakes: AtomicUsize::new(0) };
        let fresh = Arc::new(fresh);
        if let Some(stale) = self.latest.replace(fresh.clone()) {
            stale.live.store(false, Relaxed);
        }
        poll(self.flow.as_mut(), &mut Context::from_waker(&Waker::from(fresh)))
    }

    /// Takes what there is, up to the end.
    fn turn(
        &mut self,
        cx: &Context<'_>,
        way: Way,
        lines: &mut Lines,
        hints: &mut Hints,
    ) -> Poll<()> {
        let now = || Clock::current().now().as_millis();
        loop {
            if way.busy {
                let driven = self.poll(cx, Stage::poll_progress);
                if self.pause.deadline().is_some() {
                    ready!(self.pause.poll(&mut Context::from_waker(cx.waker())));
                    continue;
                }
                ready!(driven);
            }
            if way.driven {
                let _ = self.poll(cx, Stage::poll_progress);
            }
            hints.push((lines.len(), Stage::size_hint(&*self.flow)));
            let mut polled = self.poll(cx, Stage::poll_next);
            for _ in 0..way.again {
                if polled.is_pending() {
                    polled = self.poll(cx, Stage::poll_next);
                }
            }
            match ready!(polled) {
                Some(item) => lines.push((now(), format!("{item:?}"))),
                None => return Poll::Ready(()),
            }
            if way.busy {
                let until = self.pause.now() + Duration::from_millis(2);
                self.pause.set(until);
            }
            let mut left = way.burst;
            if left > 0 {
                let drained = self.poll(cx, |flow, cx| {
                    flow.poll_drain(cx, &mut |item| {
                        lines.push((now(), format!("{item:?}")));
                        left -= 1;
                        if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    })
                });
                match drained {
                    Poll::Ready(ControlFlow::Continue(())) => return Poll::Ready(()),
                    Poll::Ready(ControlFlow::Break(())) => {}
                    // Which waker is registered is a matter of the poll that said so.
                    Poll::Pending => return Poll::Pending,
                }
            }
        }
    }
}

/// Runs the flow to its end and checks everything that shows on the way (AQ-1, 3, 4, 6, 12).
fn run<S: Stage<Item: Debug>>(
    make: &impl Fn(Flow<Input>) -> Flow<S>,
    script: &Script,
    way: Way,
    own_task: bool,
) -> Lines {
    let log = Arc::new(Log::default());
    let lines = Virtual::new().run(async {
        let flow = pin!(make(script.flow(&log)));
        let mut poller = Poller::new(flow);
        let (mut lines, mut hints) = (Lines::new(), Hints::new());
        // A waker that was not taken over stalls the run here.
        poll_fn(|cx| poller.turn(cx, way, &mut lines, &mut hints)).await;
        assert!(own_task || log.released.load(Relaxed), "the input was not dropped (AQ-12)");
        for (before, (least, most)) in hints {
            let left = lines.len() - before;
            let honest = least <= left && most.is_none_or(|most| left <= most);
            assert!(honest, "{left} are left of {lines:?}, not {least} to {most:?} (AQ-6)");
        }
        let ended = |cx: &mut Context<'_>| {
            for _ in 0..3 {
                assert!(matches!(poller.poll(cx, Stage::poll_next), Poll::Ready(None)), "AQ-1");
                let _ = poller.poll(cx, Stage::poll_progress);
                let drained =
                    poller.poll(cx, |flow, cx| flow.poll_drain(cx, &mut ControlFlow::Break));
                assert!(matches!(drained, Poll::Ready(ControlFlow::Continue(()))), "AQ-1");
                let wakes = poller.latest.as_ref().map_or(0, |latest| latest.wakes.load(Relaxed));
                assert_eq!(wakes, 0, "it wakes somebody after its end (AQ-1)");
            }
            Poll::Ready(())
        };
        poll_fn(ended).await;
        lines
    });
    assert_eq!(log.alive.load(Relaxed), 0, "items were leaked (AQ-10)");
    lines
}

/// What came, without order and times.
fn sorted(lines: &Lines) -> Vec<&str> {
    let mut all: Vec<_> = lines.iter().map(|(_, line)| line.as_str()).collect();
    all.sort_unstable();
    all
}

fn scripts() -> [Script; 6] {
    let items = [(0, 1), (0, 2), (1, 2), (1, 3), (4, 7), (9, 7), (9, 8), (9, 9), (20, 4)];
    [
        Script::new(items, 21),
        Script::new((1..=40).map(|value| (0, value)), 0),
        // A busy consumer falls behind.
        Script::new((1..=9).map(|value| (i64::from(value), value)), 10),
        Script::new((1..=10).map(|value| (i64::from(value), value)), 10),
        Script::new([(3, 5)], 3),
        Script::new([], 2),
    ]
}

/// All checks.
pub(crate) fn check<S: Stage<Item: Debug>>(
    declares: Declares,
    make: impl Fn(Flow<Input>) -> Flow<S>,
) {
    use Declares::{NotStarted, OrderOfReadyInputs, OwnTask, WhatIsReady, WhatIsReadyAndOwnTask};
    let own_task = matches!(declares, OwnTask | WhatIsReadyAndOwnTask);
    let fickle = matches!(declares, WhatIsReady | WhatIsReadyAndOwnTask);
    for script in scripts() {
        let expected = run(&make, &script, PULLED, own_task);
        for way in WAYS {
            let lines = run(&make, &script, way, own_task);
            assert_eq!(lines, expected, "polled as {way:?} (AQ-7)");
            let stuttering = Script { stutters: true, ..script.clone() };
            let lines = run(&make, &stuttering, way, own_task);
            let driven = run(&make, &script, Way { driven: true, ..way }, own_task);
            if declares == OrderOfReadyInputs {
                assert_eq!(sorted(&lines), sorted(&expected), "stuttering, {way:?} (AQ-7)");
            } else if !fickle {
                assert_eq!(lines, expected, "stuttering, polled as {way:?} (AQ-7)");
            }
            if !fickle {
                assert_eq!(driven, expected, "driven, polled as {way:?} (AQ-7)");
            }
        }
        // Pending there too means that the waker is registered (AQ-3).
        run(&make, &script, Way { busy: true, ..PULLED }, own_task);
        drop_anywhere(&make, &script);
    }
    panic_safety(&make);
    if !own_task && declares != NotStarted {
        is_driven(&make);
    }
    many_items(&make);
}

/// AQ-10: after any number of polls, dropping the flow drops every item.
fn drop_anywhere<S: Stage<Item: Debug>>(make: &impl Fn(Flow<Input>) -> Flow<S>, script: &Script) {
    for polls in 0..12 {
        let log = Arc::new(Log::default());
        Virtual::new().run(async {
            let mut flow = pin!(make(script.flow(&log)));
            for _ in 0..polls {
                poll_fn(|cx| {
                    let _ = Stage::poll_next(flow.as_mut(), cx);
                    let _ = flow.as_mut().poll_progress(cx);
                    Poll::Ready(())
                })
                .await;
            }
        });
        assert!(log.released.load(Relaxed), "the input outlives the flow (AQ-10)");
        assert_eq!(log.alive.load(Relaxed), 0, "items leak after {polls} polls (AQ-10)");
    }
}

/// AQ-9: after a panic in a closure the flow has ended and can be dropped.
fn panic_safety<S: Stage<Item: Debug>>(make: &impl Fn(Flow<Input>) -> Flow<S>) {
    let script = Script::new([(0, 1), (0, 2), (0, POISON), (0, 3), (1, 4)], 2);
    for burst in [0, usize::MAX] {
        let log = Arc::new(Log::default());
        Virtual::new().run(async {
            let flow = pin!(make(script.flow(&log)));
            let mut poller = Poller::new(flow);
            let (mut lines, mut hints) = (Lines::new(), Hints::new());
            poll_fn(|cx| {
                let way = Way { burst, ..PULLED };
                let turn = AssertUnwindSafe(|| poller.turn(cx, way, &mut lines, &mut hints));
                catch_unwind(turn).unwrap_or(Poll::Ready(()))
            })
            .await;
            let after = poll_fn(|cx| Poll::Ready(poller.poll(cx, Stage::poll_next))).await;
            assert!(matches!(after, Poll::Ready(None)), "it goes on after a panic (AQ-9)");
        });
        assert_eq!(log.alive.load(Relaxed), 0, "items leak after a panic (AQ-9)");
    }
}

/// AQ-20: whoever drives the flow drives its input.
fn is_driven<S: Stage<Item: Debug>>(make: &impl Fn(Flow<Input>) -> Flow<S>) {
    let log = Arc::new(Log::default());
    let script = Script::new([(5, 1)], 9);
    Virtual::new().run(async {
        let mut flow = pin!(make(script.flow(&log)));
        poll_fn(|cx| {
            let _ = flow.as_mut().poll_progress(cx);
            Poll::Ready(())
        })
        .await;
        assert!(log.driven.load(Relaxed) > 0, "poll_progress is not passed on (AQ-20)");
    });
}

/// AQ-18: the stack does not grow with the items.
fn many_items<S: Stage<Item: Debug>>(make: &impl Fn(Flow<Input>) -> Flow<S>) {
    let log = Arc::new(Log::default());
    let script = Script::new((0..100_000).map(|value| (0, 1 + value % 7)), 0);
    Virtual::new().run(async {
        make(script.flow(&log)).drain().await;
        log.released.store(false, Relaxed);
        let mut flow = pin!(make(script.flow(&log)));
        while poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await.is_some() {}
    });
    assert_eq!(log.alive.load(Relaxed), 0);
}
