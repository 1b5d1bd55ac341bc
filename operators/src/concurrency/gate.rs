//! `gate`: a flow that can be paused.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use pin_project::{pin_project, pinned_drop};
use slab::Slab;

use crate::util::lock;
use crate::{Alarm, Flow, Outline, Site, Stage, Timestamp};

impl<S: Stage> Flow<S> {
    /// Lets items through while `gate` is open.
    ///
    /// ```text
    /// in    a-b-c-d-e-------|
    /// gate  ---x------o------    closed at x, open again at o
    /// out   a-b-------(cde)-|    gate(&gate)
    /// ```
    ///
    /// While the gate is closed the input is not asked: nothing is lost, and what stands above
    /// feels the backpressure. A [`buffer`](Self::buffer) above with its policy decides what
    /// becomes of items that keep coming. Work in flight above goes on. One gate may stand in many
    /// flows, and it adds up for how long it held them. A flow of `bool`s moves it with
    /// [`with_background`](Self::with_background):
    /// `flow.gate(&gate).with_background(bools.inspect(move |open| gate.set(*open)))`.
    ///
    /// - **Emits** the items of the input.
    /// - **Backpressures** when downstream does, and while the gate is closed.
    /// - **Ends** when the input ends, which shows when the gate is open.
    /// - **On error**: an error is an item here, and waits like one.
    /// - **Holds** nothing.
    /// - **Cost**: one atomic load for an item; two clock reads for a pause.
    ///
    /// ```
    /// # use aqueduct_operators::{concurrency::PauseGate, iter};
    /// # futures::executor::block_on(async {
    /// let gate = PauseGate::closed();
    /// let flow = iter([1, 2]).gate(&gate);
    /// gate.resume();
    /// assert_eq!(flow.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("pause_when", "pause_demand", "valve", "pausable"))]
    #[track_caller]
    pub fn gate(self, gate: &PauseGate) -> Flow<Gated<S>> {
        Flow::from_stage(Gated {
            input: self.into_stage(),
            gate: gate.clone(),
            ticket: None,
            since: None,
            clock: Alarm::new(),
            site: Location::caller(),
        })
    }
}

/// The handle of a [`gate`](Flow::gate): pauses flows and lets them go on. A clone is the same
/// gate.
#[derive(Debug, Clone)]
pub struct PauseGate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    open: AtomicBool,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    /// Those of the flows that wait.
    wakers: Slab<Option<Waker>>,
    time: Duration,
}

impl PauseGate {
    /// A gate that is open at first.
    pub fn open() -> Self {
        Self::new(true)
    }

    /// A gate that is closed at first.
    pub fn closed() -> Self {
        Self::new(false)
    }

    fn new(open: bool) -> Self {
        Self(Arc::new(Shared { open: AtomicBool::new(open), held: Mutex::default() }))
    }

    /// Holds the flows before their next item.
    pub fn pause(&self) {
        self.set(false);
    }

    /// Lets the flows go on.
    pub fn resume(&self) {
        self.set(true);
    }

    /// Opens or closes it.
    pub fn set(&self, open: bool) {
        self.0.open.store(open, Ordering::Release);
        if open {
            // They are woken outside the lock: a waker may run anything.
            let mut held = lock(&self.0.held);
            let woken: Vec<_> = held.wakers.iter_mut().filter_map(|(_, w)| w.take()).collect();
            drop(held);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether it is open.
    pub fn is_open(&self) -> bool {
        self.0.open.load(Ordering::Acquire)
    }

    /// For how long flows that were asked for an item were held, all flows and pauses together; a
    /// pause counts when it is over.
    pub fn held_for(&self) -> Duration {
        lock(&self.0.held).time
    }
}

/// The stage behind [`Flow::gate`].
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct Gated<S> {
    #[pin]
    input: S,
    gate: PauseGate,
    /// Its place among those that wait.
    ticket: Option<usize>,
    /// When it was first held in this pause.
    since: Option<Timestamp>,
    /// Knows the clock of the run.
    clock: Alarm,
    site: Site,
}

impl<S: Stage> Gated<S> {
    /// Ready when the gate is open; drives the input until then.
    fn poll_open(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.gate.is_open() && this.since.is_none() {
            return Poll::Ready(());
        }
        if !this.gate.is_open() {
            let waker = Some(cx.waker().clone());
            let mut held = lock(&this.gate.0.held);
            match *this.ticket {
                Some(ticket) => held.wakers[ticket] = waker,
                None => *this.ticket = Some(held.wakers.insert(waker)),
            }
        }
        // It may have been opened before the waker was there.
        if !this.gate.is_open() {
            this.since.get_or_insert(this.clock.now());
            let _ = this.input.poll_progress(cx);
            return Poll::Pending;
        }
        let time = this.since.take().map_or(Duration::ZERO, |since| this.clock.now() - since);
        let mut held = lock(&this.gate.0.held);
        held.time += time;
        if let Some(ticket) = this.ticket.take() {
            held.wakers.remove(ticket);
        }
        Poll::Ready(())
    }
}

impl<S: Stage> Stage for Gated<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        ready!(self.as_mut().poll_open(cx));
        self.project().input.poll_next(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            ready!(self.as_mut().poll_open(cx));
            let this = self.as_mut().project();
            let gate = &*this.gate;
            let drained = this.input.poll_drain(cx, &mut |item| match each(item) {
                ControlFlow::Break(broke) => ControlFlow::Break(Some(broke)),
                ControlFlow::Continue(()) if gate.is_open() => ControlFlow::Continue(()),
                ControlFlow::Continue(()) => ControlFlow::Break(None),
            });
            match ready!(drained) {
                ControlFlow::Break(Some(broke)) => return Poll::Ready(ControlFlow::Break(broke)),
                ControlFlow::Break(None) => {}
                ControlFlow::Continue(()) => return Poll::Ready(ControlFlow::Continue(())),
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("gate", self.site);
    }
}

#[pinned_drop]
impl<S> PinnedDrop for Gated<S> {
    fn drop(self: Pin<&mut Self>) {
        if let Some(ticket) = self.ticket {
            lock(&self.gate.0.held).wakers.remove(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{
        HALF, Timeline, conformance, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Virtual, iter};

    #[test]
    fn items_wait_while_it_is_closed_and_none_is_lost() {
        let gate = PauseGate::open();
        let control = gate.clone();
        let moves = timetable([(3, false), (8, true)], 99).inspect(move |open| control.set(*open));
        let flow = timetable([(0, 'a'), (2, 'b'), (4, 'c'), (6, 'd'), (9, 'e')], 10);
        let expected = vec![(0, 'a'), (2, 'b'), (8, 'c'), (8, 'd'), (9, 'e')];
        assert_eq!(timeline(flow.gate(&gate).with_background(moves)), (expected, 10));
        // From the first look while it was closed on.
        assert_eq!(gate.held_for(), ms(5));
    }

    #[test]
    fn a_drain_stops_with_the_item_that_closes_it() {
        let gate = PauseGate::open();
        let mut flow = Box::pin(iter(0..9).gate(&gate));
        let mut seen = 0;
        let mut cx = Context::from_waker(Waker::noop());
        let mut drain = || {
            flow.as_mut().poll_drain(&mut cx, &mut |x| {
                seen = x;
                gate.set(x != 4);
                ControlFlow::<()>::Continue(())
            })
        };
        assert!(drain().is_pending());
        assert!(drain().is_pending());
        gate.resume();
        assert!(drain().is_ready());
        assert_eq!(seen, 8);
    }

    #[test]
    fn one_gate_holds_many_flows_and_forgets_those_that_are_dropped() {
        let gate = PauseGate::closed();
        Virtual::new().run(async {
            let mut flows = [iter([1]).gate(&gate), iter([2]).gate(&gate)];
            for flow in &mut flows {
                assert!(futures::poll!(flow.next()).is_pending());
            }
            let [first, mut second] = flows;
            drop(first);
            gate.resume();
            assert_eq!(second.next().await, Some(2));
        });
        assert!(lock(&gate.0.held).wakers.is_empty());
        assert_eq!(items(iter([1, 2]).gate(&gate)), [1, 2]);
    }

    marbles!(gate, |input, moves| {
        let gate = PauseGate::open();
        let control = gate.clone();
        input.gate(&gate).with_background(moves.inspect(move |x| control.set(*x == 'o')))
    });

    // The gate moves half a millisecond later, so that it never does while an item comes.
    specification!(
        gate,
        |input, moves: bool| {
            let gate = PauseGate::open();
            let control = gate.clone();
            // Of several moves at one instant the last one counts.
            let moves = moves.chain(crate::never()).debounce(HALF);
            let moves = moves.inspect(move |open| control.set(*open));
            input.gate(&gate).with_background(moves)
        },
        |input, moves: bool| -> Timeline<_> {
            let moves = moves.events;
            let open_after = |at: i64| {
                moves.iter().rev().find(|(moved, _)| *moved <= at).is_none_or(|(_, open)| *open)
            };
            let through = |at: i64| {
                let mut later = moves.iter().map(|(moved, _)| *moved).filter(|moved| *moved >= at);
                if open_after(at - 1) { Some(at) } else { later.find(|moved| open_after(*moved)) }
            };
            let events = input.events.iter().map_while(|(at, x)| Some((through(*at)?, *x)));
            Timeline::new(events, through(input.end).unwrap_or(Timeline::<u8>::NEVER))
        }
    );

    conformance!(gate, |input| input.gate(&PauseGate::open()));
}
