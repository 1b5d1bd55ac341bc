//! The kit tested on itself: operators with one fault each, and the rule that has to show it.

use std::hint::black_box;
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use aqueduct_operators::testing::{
    CountingAllocator, Input, Outcome, Rule, Tracked, check, check_except,
};
use aqueduct_operators::{Alarm, Ambient, Bound, Clock, Flow, Outline, Stage, iter};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

type Item = Poll<Option<Tracked>>;
type Hint = (usize, Option<usize>);
type Next = Box<dyn FnMut(&mut Parts, &mut Context<'_>) -> Item>;

/// What the faulty operators are made of.
struct Parts {
    /// Dropped when it ends. Not behind the guard of a flow, which keeps some rules by itself.
    input: Option<Input>,
    held: Vec<Tracked>,
    count: usize,
    alarm: Alarm,
}

impl Parts {
    fn ask(&mut self, cx: &mut Context<'_>) -> Item {
        let Some(input) = &mut self.input else {
            return Poll::Ready(None);
        };
        let item = Pin::new(input).poll_next(cx);
        if let Poll::Ready(None) = item {
            self.input = None;
        }
        item
    }

    /// Sets the alarm and leaves the waker there.
    fn sleep(&mut self, millis: u64, cx: &mut Context<'_>) {
        let until = self.alarm.now() + Duration::from_millis(millis);
        self.alarm.set(until);
        let _ = self.alarm.poll(cx);
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(input) = &mut self.input {
            let _ = Pin::new(input).poll_progress(cx);
        }
    }
}

/// An operator that passes its items on, and does some of that wrong.
struct Faulty {
    parts: Parts,
    next: Next,
    drain: Option<Next>,
    drives: bool,
    hint: fn(Hint) -> Hint,
    bound: Bound,
    on_drop: fn(&mut Parts),
}

fn passes(input: Flow<Input>) -> Faulty {
    let input = Some(input.into_stage());
    Faulty {
        parts: Parts { input, held: Vec::new(), count: 0, alarm: Alarm::new() },
        next: Box::new(Parts::ask),
        drain: None,
        drives: true,
        hint: |hint| hint,
        bound: Bound::Items(0),
        on_drop: |_| {},
    }
}

impl Faulty {
    fn next(self, next: impl FnMut(&mut Parts, &mut Context<'_>) -> Item + 'static) -> Self {
        let mut this = self.any_hint();
        this.next = Box::new(next);
        this
    }

    fn drain(self, next: impl FnMut(&mut Parts, &mut Context<'_>) -> Item + 'static) -> Self {
        let mut this = self.any_hint();
        this.drain = Some(Box::new(next));
        this
    }

    fn any_hint(self) -> Self {
        self.hint(|_| (0, None))
    }

    fn hint(mut self, hint: fn(Hint) -> Hint) -> Self {
        self.hint = hint;
        self
    }

    fn holds(mut self, items: usize) -> Self {
        self.bound = Bound::Items(items);
        self
    }

    fn on_drop(mut self, on_drop: fn(&mut Parts)) -> Self {
        self.on_drop = on_drop;
        self
    }
}

impl Stage for Faulty {
    type Item = Tracked;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Item {
        let this = &mut *self;
        (this.next)(&mut this.parts, cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Tracked) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = &mut *self;
        let next = this.drain.as_mut().unwrap_or(&mut this.next);
        while let Some(item) = ready!(next(&mut this.parts, cx)) {
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.drives {
            self.parts.drive(cx);
        }
        Poll::Ready(())
    }

    fn size_hint(&self) -> Hint {
        let input = self.parts.input.as_ref();
        (self.hint)(input.map_or((0, Some(0)), Stage::size_hint))
    }

    #[track_caller]
    fn describe(&self, outline: &mut Outline) {
        outline.stage("faulty", std::panic::Location::caller()).holds(self.bound);
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        (self.on_drop)(&mut self.parts);
    }
}

/// The kit finds that exactly these rules are broken.
#[track_caller]
fn breaks<S: Stage<Item: std::fmt::Debug>>(rules: &[Rule], make: impl Fn(Flow<Input>) -> S) {
    let report = check("faulty", |[input]| make(input));
    assert_eq!(report.broken(), rules, "{report}");
}

#[test]
fn an_operator_without_a_fault_breaks_nothing() {
    breaks(&[], passes);
    breaks(&[], |input| input);
    breaks(&[], |input| passes(input).next(Parts::ask));
}

#[test]
fn an_item_after_the_end_breaks_fused() {
    breaks(&[Rule::Fused], |input| {
        passes(input).next(|parts, cx| match parts.input {
            None if parts.count < 2 => {
                parts.count += 1;
                Poll::Ready(parts.held.pop())
            }
            None => Poll::Pending,
            Some(_) => parts.ask(cx),
        })
    });
}

#[test]
fn a_wake_after_the_end_breaks_fused() {
    breaks(&[Rule::Fused], |input| {
        passes(input).next(|parts, cx| {
            if parts.input.is_none() {
                cx.waker().wake_by_ref();
            }
            parts.ask(cx)
        })
    });
}

#[test]
fn asking_an_input_after_its_end_breaks_upstream_discipline() {
    let asks_again = |parts: &mut Parts, cx: &mut Context<'_>| {
        let Some(input) = &mut parts.input else {
            return Poll::Ready(None);
        };
        match ready!(Pin::new(&mut *input).poll_next(cx)) {
            None => Pin::new(input).poll_next(cx),
            item => Poll::Ready(item),
        }
    };
    breaks(&[Rule::UpstreamDiscipline, Rule::PanicSafety], move |input| {
        passes(input).next(asks_again)
    });
}

#[test]
fn the_waker_of_the_first_poll_breaks_waker_registration() {
    breaks(&[Rule::WakerRegistration, Rule::Liveness], |input| {
        let mut first: Option<Waker> = None;
        passes(input).next(move |parts, cx| {
            let first = first.get_or_insert_with(|| cx.waker().clone());
            parts.ask(&mut Context::from_waker(first))
        })
    });
}

#[test]
fn pending_without_a_waker_anywhere_breaks_waker_registration() {
    let report = check("faulty", |[input]| {
        passes(input).next(|parts, cx| {
            parts.count += 1;
            if parts.count % 3 == 0 { Poll::Pending } else { parts.ask(cx) }
        })
    });
    assert!(report.broken().contains(&Rule::WakerRegistration), "{report}");
    assert!(report.broken().contains(&Rule::Liveness), "{report}");
}

#[test]
fn a_wake_at_every_pending_breaks_no_hot_loop() {
    breaks(&[Rule::NoHotLoop], |input| {
        passes(input).next(|parts, cx| {
            let item = parts.ask(cx);
            if item.is_pending() && parts.count < 9 {
                parts.count += 1;
                cx.waker().wake_by_ref();
            }
            item
        })
    });
}

#[test]
fn a_wake_for_ever_breaks_no_hot_loop() {
    let report = check("faulty", |[input]| {
        passes(input).next(|parts, cx| {
            let item = parts.ask(cx);
            cx.waker().wake_by_ref();
            item
        })
    });
    assert!(report.broken().contains(&Rule::NoHotLoop), "{report}");
}

#[test]
fn a_drain_that_keeps_an_item_back_breaks_liveness() {
    let late = |parts: &mut Parts, cx: &mut Context<'_>| {
        if parts.held.is_empty() {
            let item = ready!(parts.ask(cx));
            parts.held.extend(item);
        }
        // It looks for the next one before it gives this one.
        match parts.ask(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(parts.held.pop()),
            Poll::Ready(Some(next)) => {
                Poll::Ready(Some(std::mem::replace(&mut parts.held[0], next)))
            }
        }
    };
    let take = |parts: &mut Parts, cx: &mut Context<'_>| match parts.held.pop() {
        Some(item) => Poll::Ready(Some(item)),
        None => parts.ask(cx),
    };
    let report = check("faulty", |[input]| passes(input).next(take).drain(late).holds(1));
    assert!(report.broken().contains(&Rule::Liveness), "{report}");
}

#[test]
fn a_wrong_size_hint_breaks_size_hint() {
    breaks(&[Rule::SizeHint], |input| passes(input).hint(|(least, _)| (least + 1, None)));
    breaks(&[Rule::SizeHint], |input| passes(input).hint(|(_, most)| (0, most.map(|m| m / 2))));
}

#[test]
fn a_drain_that_loses_an_item_breaks_mixture() {
    let report = check("faulty", |[input]| {
        passes(input).drain(|parts, cx| {
            parts.count += 1;
            let item = parts.ask(cx);
            if parts.count == 1 && matches!(item, Poll::Ready(Some(_))) {
                return parts.ask(cx);
            }
            item
        })
    });
    assert!(report.broken().contains(&Rule::Mixture), "{report}");
}

#[test]
fn counting_pending_polls_breaks_invariance() {
    let report = check("faulty", |[input]| {
        passes(input).next(|parts, cx| {
            loop {
                match parts.ask(cx) {
                    Poll::Pending => {
                        parts.count += 1;
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(_)) if parts.count >= 3 => parts.count = 0,
                    item => return item,
                }
            }
        })
    });
    assert!(report.broken().contains(&Rule::Invariance), "{report}");
}

#[test]
fn what_is_kept_from_run_to_run_breaks_deterministic() {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let report = check("faulty", |[input]| {
        passes(input).next(|parts, cx| {
            loop {
                let item = parts.ask(cx);
                let drop = RUNS.fetch_add(1, Relaxed).is_multiple_of(7);
                if !drop || !matches!(item, Poll::Ready(Some(_))) {
                    return item;
                }
            }
        })
    });
    assert!(report.broken().contains(&Rule::Deterministic), "{report}");
}

#[test]
fn going_on_after_a_panic_breaks_panic_safety() {
    breaks(&[Rule::PanicSafety], |input| {
        passes(input).next(|parts, cx| parts.ask(cx).map(|item| item.inspect(|x| _ = x.value())))
    });
}

#[test]
fn a_leak_in_a_panic_breaks_panic_safety() {
    breaks(&[Rule::PanicSafety], |input| {
        let leaks = passes(input).next(|parts, cx| {
            let item = ready!(parts.ask(cx));
            if let Some(item) = &item {
                let copy = std::mem::ManuallyDrop::new(item.clone());
                let _ = copy.value();
                drop(std::mem::ManuallyDrop::into_inner(copy));
            }
            Poll::Ready(item)
        });
        Flow::from_stage(leaks)
    });
}

#[test]
fn a_panic_of_its_own_breaks_panic_safety() {
    breaks(&[Rule::PanicSafety], |input| {
        passes(input).next(|parts, cx| {
            let item = parts.ask(cx);
            parts.count += usize::from(item.is_pending());
            if parts.count == 3 {
                resume_unwind(Box::new("the third time"));
            }
            item
        })
    });
}

#[test]
fn a_leak_breaks_drop_anywhere() {
    let remember = |parts: &mut Parts, cx: &mut Context<'_>| {
        let item = parts.ask(cx);
        if let Poll::Ready(Some(item)) = &item {
            parts.held = vec![item.clone()];
        }
        item
    };
    let report = check("faulty", |[input]| {
        passes(input)
            .next(remember)
            .holds(1)
            .on_drop(|parts| std::mem::forget(std::mem::take(&mut parts.held)))
    });
    assert!(report.broken().contains(&Rule::DropAnywhere), "{report}");
    breaks(&[Rule::DropAnywhere], |input| {
        passes(input).on_drop(|parts| std::mem::forget(parts.input.take()))
    });
}

#[test]
fn a_wake_after_it_is_gone_breaks_drop_anywhere() {
    let report = check("faulty", |[input]| {
        passes(input).next(|parts, cx| {
            let item = parts.ask(cx);
            if item.is_pending() && parts.count < 2 {
                parts.count += 1;
                let waker = cx.waker().clone();
                let task = async move {
                    iter([()]).delay(Duration::from_millis(500), 1).count().await;
                    waker.wake();
                };
                Ambient::current().spawn(task).detach();
            }
            item
        })
    });
    assert!(report.broken().contains(&Rule::DropAnywhere), "{report}");
}

#[test]
fn an_item_that_a_second_poll_forgets_breaks_next_loses_nothing() {
    let report = check("faulty", |[input]| {
        let loses = |parts: &mut Parts, cx: &mut Context<'_>| {
            if !parts.held.is_empty() {
                if parts.alarm.poll(cx).is_ready() {
                    return Poll::Ready(parts.held.pop());
                }
                parts.held.clear();
            }
            let item = ready!(parts.ask(cx));
            parts.held.extend(item);
            if parts.held.is_empty() {
                return Poll::Ready(None);
            }
            parts.sleep(1, cx);
            parts.drive(cx);
            Poll::Pending
        };
        passes(input).next(loses).holds(1)
    });
    assert!(report.broken().contains(&Rule::NextLosesNothing), "{report}");
}

#[test]
fn an_input_kept_at_the_end_breaks_eager_release() {
    breaks(&[Rule::EagerRelease], |input| {
        passes(input).next(|parts, cx| {
            if parts.count > 0 {
                return Poll::Ready(None);
            }
            let item = parts.ask(cx);
            parts.count += usize::from(item.is_ready());
            item
        })
    });
}

#[test]
fn asking_before_being_asked_breaks_pull_discipline() {
    let report = check("faulty", |[input]| {
        let mut early = passes(input);
        let item = early.parts.ask(&mut Context::from_waker(Waker::noop()));
        let mut first = Some(item).filter(Poll::is_ready);
        early.next(move |parts, cx| first.take().unwrap_or_else(|| parts.ask(cx))).holds(1)
    });
    assert!(report.broken().contains(&Rule::PullDiscipline), "{report}");
}

#[test]
fn holding_more_than_was_said_breaks_declared_bound() {
    let hoards = |parts: &mut Parts, cx: &mut Context<'_>| {
        let item = parts.ask(cx);
        if let (Poll::Ready(Some(item)), ..3) = (&item, parts.held.len()) {
            parts.held.push(item.clone());
        }
        item
    };
    breaks(&[Rule::DeclaredBound], move |input| passes(input).next(hoards).holds(2));
    breaks(&[], move |input| passes(input).next(hoards).holds(3));
    breaks(&[Rule::DeclaredBound], |input| {
        let mut silent = passes(input);
        silent.bound = Bound::Unknown;
        silent
    });
}

#[test]
fn a_box_for_each_item_breaks_no_allocation() {
    breaks(&[Rule::NoAllocation], |input| {
        passes(input).next(|parts, cx| {
            black_box(Box::new(parts.count));
            parts.ask(cx)
        })
    });
}

#[test]
fn recursion_over_items_breaks_constant_stack() {
    fn without_twos(parts: &mut Parts, cx: &mut Context<'_>) -> Item {
        match ready!(parts.ask(cx)) {
            Some(item) if item.value() == 2 => {
                drop(item);
                let next = without_twos(parts, cx);
                black_box(&next);
                next
            }
            item => Poll::Ready(item),
        }
    }
    breaks(&[Rule::ConstantStack], |input| Flow::from_stage(passes(input).next(without_twos)));
}

#[test]
fn going_on_when_the_input_gives_way_breaks_budget() {
    let report = check("faulty", |[input]| {
        passes(input).next(|parts, cx| {
            loop {
                match parts.ask(cx) {
                    Poll::Ready(Some(_)) => {}
                    Poll::Pending if parts.count < 9 => parts.count += 1,
                    item => return item,
                }
            }
        })
    });
    assert!(report.broken().contains(&Rule::Budget), "{report}");
}

#[test]
fn endless_items_out_of_one_break_budget() {
    let report = check("faulty", |[input]| {
        let repeats = |parts: &mut Parts, cx: &mut Context<'_>| {
            if parts.held.is_empty() {
                let item = ready!(parts.ask(cx));
                parts.held.extend(item);
                parts.input = None;
            }
            Poll::Ready(parts.held.first().cloned())
        };
        passes(input).next(repeats).holds(1)
    });
    assert_eq!(report.broken(), [Rule::Budget], "{report}");
}

#[test]
fn progress_that_is_not_passed_on_breaks_no_snooze() {
    breaks(&[Rule::NoSnooze], |input| {
        let mut lazy = passes(input);
        lazy.drives = false;
        lazy
    });
}

#[test]
fn waiting_for_a_timer_without_driving_the_input_breaks_no_snooze() {
    breaks(&[Rule::NoSnooze], |input| {
        let waits = |parts: &mut Parts, cx: &mut Context<'_>| {
            if parts.held.is_empty() {
                let item = ready!(parts.ask(cx));
                parts.held.extend(item);
                if parts.held.is_empty() {
                    return Poll::Ready(None);
                }
                parts.sleep(1, cx);
                return Poll::Pending;
            }
            ready!(parts.alarm.poll(cx));
            Poll::Ready(parts.held.pop())
        };
        passes(input).next(waits).holds(1)
    });
}

#[test]
fn the_live_clock_breaks_one_clock() {
    breaks(&[Rule::OneClock], |input| {
        passes(input).next(|parts, cx| {
            let _ = Clock::live().now();
            parts.ask(cx)
        })
    });
}

#[test]
fn a_declared_exception_is_reported_and_a_stale_one_fails() {
    let lazy = |[input]: [Flow<Input>; 1]| {
        let mut lazy = passes(input);
        lazy.drives = false;
        lazy
    };
    let report = check_except("lazy", lazy, &[(Rule::NoSnooze, "nothing here is in flight")]);
    report.assert();
    assert!(matches!(report.outcome(Rule::NoSnooze), Outcome::Excused { broken: Some(_), .. }));
    let report = check_except("map", |[input]| input, &[(Rule::NoSnooze, "nothing")]);
    assert_eq!(report.stale(), [Rule::NoSnooze]);
    assert!(std::panic::catch_unwind(|| report.assert()).is_err());
}
