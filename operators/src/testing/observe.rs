//! Takes what flows hand out, in any mixture of pulls and drains, and notes when it came.

use std::cell::RefCell;
use std::fmt::Debug;
use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Timeline, draw};
use crate::{Alarm, Clock, Flow, Stage, Timestamp, Virtual};

/// A stage behind a pointer, with its item: what a test drives is compiled once for each type of
/// item and not for each chain.
pub(super) trait Erased<T> {
    fn next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>>;
    fn drain(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut dyn FnMut(T) -> ControlFlow<()>,
    ) -> Poll<ControlFlow<()>>;
    fn progress(self: Pin<&mut Self>, cx: &mut Context<'_>);
}

/// An [`Erased`] in its box.
pub(super) type Output<'a, T> = Pin<Box<dyn Erased<T> + 'a>>;

impl<S: Stage> Erased<S::Item> for S {
    fn next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.poll_next(cx)
    }

    fn drain(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut each: &mut dyn FnMut(S::Item) -> ControlFlow<()>,
    ) -> Poll<ControlFlow<()>> {
        self.poll_drain(cx, &mut each)
    }

    fn progress(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let _ = self.poll_progress(cx);
    }
}

/// How the consumer takes items.
#[derive(Debug, Clone, Default)]
pub(super) struct How {
    /// In turn, over and over: 0 is a pull, any other number a drain that is broken off after so
    /// many items. Empty: one drain to the end.
    pub(super) turns: Vec<u8>,
    /// In turn, over and over: milliseconds of rest after an item.
    pub(super) rests: Vec<u8>,
    /// When it begins.
    pub(super) from: Option<i64>,
    /// When it lets go, before anything else that happens then.
    pub(super) until: Option<i64>,
}

/// Takes everything that one output hands out.
struct Recorder<'a, T> {
    output: Option<Output<'a, T>>,
    how: How,
    turn: usize,
    rest: Alarm,
    limit: Alarm,
    line: Rc<RefCell<Timeline<T>>>,
}

impl<'a, T> Recorder<'a, T> {
    fn new(output: Output<'a, T>, how: How) -> Self {
        let (mut limit, mut rest) = (Alarm::for_consumer(), Alarm::for_consumer());
        if let Some(until) = how.until {
            limit.set(Timestamp::from_millis(until));
        }
        if let Some(from) = how.from {
            rest.set(Timestamp::from_millis(from));
        }
        let line = Rc::new(RefCell::new(Timeline { events: Vec::new(), end: i64::MAX }));
        Self { output: Some(output), how, turn: 0, rest, limit, line }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(output) = &mut self.output else {
            return Poll::Ready(());
        };
        if self.limit.poll(cx).is_ready() {
            self.output = None;
            return Poll::Ready(());
        }
        loop {
            if self.rest.deadline().is_some() && self.rest.poll(cx).is_pending() {
                if !self.line.borrow().events.is_empty() {
                    output.as_mut().progress(cx);
                }
                return Poll::Pending;
            }
            let now = Clock::current().now().as_millis();
            let mut line = self.line.borrow_mut();
            let before = line.events.len();
            let rest = self.how.rests.get(before % self.how.rests.len().max(1));
            let rest = rest.copied().unwrap_or(0);
            let turn = self.how.turns.get(self.turn % self.how.turns.len().max(1)).copied();
            let most =
                if !self.how.rests.is_empty() { 1 } else { turn.map_or(usize::MAX, usize::from) };
            self.turn += 1;
            let ended = if turn == Some(0) {
                match output.as_mut().next(cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Some(item)) => {
                        line.events.push((now, item));
                        false
                    }
                    Poll::Ready(None) => true,
                }
            } else {
                let mut left = most;
                let drained = output.as_mut().drain(cx, &mut |item| {
                    line.events.push((now, item));
                    left -= 1;
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                match drained {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(broke) => broke.is_continue(),
                }
            };
            if ended {
                line.end = now;
                drop(line);
                self.output = None;
                return Poll::Ready(());
            }
            if rest > 0 {
                let until = Clock::current().now() + Duration::from_millis(rest.into());
                self.rest.set(until);
            }
        }
    }
}

/// Runs what `make` gives under virtual time, up to half a millisecond after `horizon`, and gives
/// what came out of each output. An output that has not ended by then ends
/// [`NEVER`](Timeline::NEVER).
pub(super) fn record<'a, T>(
    make: impl FnOnce() -> Vec<(Output<'a, T>, How)>,
    horizon: i64,
) -> Vec<Timeline<T>> {
    let lines = RefCell::new(Vec::new());
    // A run that stalls waits for something that never comes: it does not end.
    let _ = Virtual::new().try_run(async {
        let outputs = make();
        let mut recorders: Vec<_> =
            outputs.into_iter().map(|(output, how)| Recorder::new(output, how)).collect();
        lines.borrow_mut().extend(recorders.iter().map(|recorder| recorder.line.clone()));
        let mut limit = Alarm::new();
        limit.set(Timestamp::from_millis(horizon) + Duration::from_micros(500));
        poll_fn(|cx| {
            let ended = recorders.iter_mut().map(|recorder| recorder.poll(cx).is_ready());
            let all = ended.fold(true, |all, ended| all & ended);
            if all || limit.poll(cx).is_ready() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        drop(recorders);
    });
    let lines = lines.into_inner();
    lines.iter().map(|line| line.replace(Timeline { events: Vec::new(), end: 0 })).collect()
}

/// The items as diagrams print them.
fn shown<'a, S: Stage<Item: Debug> + 'a>(flow: Flow<S>) -> Output<'a, String> {
    Box::pin(flow.map(|item| draw::plain(&format!("{item:?}"))))
}

/// What a diagram is compared with: a flow, or the future of a terminal, whose result is an item
/// at the instant of its end.
pub trait Observed<'a> {
    #[doc(hidden)]
    fn observed(self) -> Observation<'a>;
}

/// One output of a diagram.
#[doc(hidden)]
#[allow(missing_debug_implementations)]
pub struct Observation<'a>(pub(super) Output<'a, String>);

impl<'a, S: Stage<Item: Debug> + 'a> Observed<'a> for Flow<S> {
    fn observed(self) -> Observation<'a> {
        Observation(shown(self))
    }
}

impl<'a, F: Future<Output: Debug> + 'a> Observed<'a> for F {
    fn observed(self) -> Observation<'a> {
        Observation(shown(crate::flow(futures_util::stream::once(self))))
    }
}

/// The flows of an operator that gives several.
pub trait ObservedAll<'a> {
    #[doc(hidden)]
    fn observed_all(self) -> Vec<Observation<'a>>;
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<'a, $($name: Observed<'a>),+> ObservedAll<'a> for ($($name,)+) {
            #[allow(non_snake_case)]
            fn observed_all(self) -> Vec<Observation<'a>> {
                let ($($name,)+) = self;
                vec![$($name.observed()),+]
            }
        }
    };
}

tuples!(A B);
tuples!(A B C);
tuples!(A B C D);

impl<'a, O: Observed<'a>> ObservedAll<'a> for Vec<O> {
    fn observed_all(self) -> Vec<Observation<'a>> {
        self.into_iter().map(Observed::observed).collect()
    }
}

impl<'a, O: Observed<'a>, const N: usize> ObservedAll<'a> for [O; N] {
    fn observed_all(self) -> Vec<Observation<'a>> {
        self.into_iter().map(Observed::observed).collect()
    }
}
