//! `kill_switch`: one switch that ends many flows.

use std::convert::Infallible;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use pin_project::pin_project;
use slab::Slab;

use crate::sync::{AtomicWaker, Mutex, lock};
use crate::{Bound, Flow, Outline, Site, Stage};

/// A switch that ends every flow it stands in, from anywhere: see [`Flow::kill_switch`] and
/// [`Flow::abortable`]. Clones are the same switch.
///
/// `E` is the error of an abort; a switch without one can only shut down.
pub struct KillSwitch<E = Infallible> {
    shared: Arc<Shared<E>>,
}

struct Shared<E> {
    /// Set once: `None` shuts down, an error aborts.
    order: OnceLock<Option<E>>,
    /// The flows that wait for the order.
    flows: Mutex<Slab<Arc<AtomicWaker>>>,
}

impl<E> KillSwitch<E> {
    /// A switch that is on.
    pub fn new() -> Self {
        Self { shared: Arc::new(Shared { order: OnceLock::new(), flows: Mutex::default() }) }
    }

    /// Ends the flows where the switch stands: what is held below it still comes out. Only the
    /// first order counts.
    pub fn shutdown(&self) {
        self.shared.give(None);
    }

    /// Ends the flows with this error where the switch stands. Only the first order counts.
    pub fn abort(&self, error: E) {
        self.shared.give(Some(error));
    }

    /// Whether the order was given, to shut down or to abort.
    pub fn is_off(&self) -> bool {
        self.shared.order.get().is_some()
    }
}

impl<E> Shared<E> {
    fn give(&self, order: Option<E>) {
        if self.order.set(order).is_ok() {
            // Woken after the lock is free: a flow that ends leaves its place.
            let flows: Vec<_> = lock(&self.flows).iter().map(|(_, flow)| flow.clone()).collect();
            flows.iter().for_each(|flow| flow.wake());
        }
    }
}

impl<E> Default for KillSwitch<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E> Clone for KillSwitch<E> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<E> fmt::Debug for KillSwitch<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KillSwitch").field("is_off", &self.is_off()).finish()
    }
}

impl<S: Stage> Flow<S> {
    /// Lets items pass until the switch is [shut down](KillSwitch::shutdown).
    ///
    /// ```text
    /// in        --a--b----c--d--|
    /// shutdown  ---------()
    /// out       --a--b---|    kill_switch(&switch)
    /// ```
    ///
    /// Put it where the flow may be cut: right below a source it lets everything that was taken
    /// run through to the end; at the end of the chain it drops what is held above. One switch
    /// stands in any number of flows, on any number of threads.
    ///
    /// The switch is looked at before each item is asked for: when both are there, the switch
    /// comes first.
    ///
    /// - **Emits** each item until the order, in the same poll.
    /// - **Backpressures** when downstream does; the order is awaited all the same.
    /// - **Ends** when the switch is shut down, and drops the input then, or when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** nothing.
    /// - **Cost**: one load for an item, one allocation when it is assembled, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{iter, lifecycle::KillSwitch};
    /// let switch = KillSwitch::new();
    /// let mut ticks = iter(1..).kill_switch(&switch);
    /// assert_eq!(ticks.next().await, Some(1));
    /// switch.shutdown();
    /// assert_eq!(ticks.next().await, None);
    /// # });
    /// ```
    #[doc(alias("interrupt_when", "halt_when", "cancellable", "cancellation_token", "stop"))]
    #[track_caller]
    pub fn kill_switch(self, switch: &KillSwitch) -> Flow<KillSwitched<S, Infallible>> {
        let site = Location::caller();
        Flow::from_stage(KillSwitched::new(self, switch, |_| None, "kill_switch", site))
    }
}

impl<T, E: Clone, S: Stage<Item = Result<T, E>>> Flow<S> {
    /// Lets items pass until the switch is shut down or [aborts](KillSwitch::abort), and then fails
    /// with its error.
    ///
    /// ```text
    /// in     --a--b----c--d--|
    /// abort  ---------()
    /// out    --a--b---(#|)    abortable(&switch)
    /// ```
    ///
    /// Otherwise as [`kill_switch`](Self::kill_switch).
    ///
    /// - **Emits** each item until the order, in the same poll, and the error of an abort.
    /// - **Backpressures** when downstream does; the order is awaited all the same.
    /// - **Ends** when the order is given, and drops the input then, or when the input ends.
    /// - **On error**: an error of the input is an item here.
    /// - **Holds** 1 error, if it was ordered while downstream was busy.
    /// - **Cost**: one load for an item, one allocation when it is assembled, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{iter, lifecycle::KillSwitch};
    /// let switch = KillSwitch::new();
    /// let mut ticks = iter(1..).map(Ok).abortable(&switch);
    /// assert_eq!(ticks.next().await, Some(Ok(1)));
    /// switch.abort("market closed");
    /// assert_eq!(ticks.next().await, Some(Err("market closed")));
    /// assert_eq!(ticks.next().await, None);
    /// # });
    /// ```
    #[doc(alias("kill_switch", "cancel_with_error"))]
    #[track_caller]
    pub fn abortable(self, switch: &KillSwitch<E>) -> Flow<KillSwitched<S, E>> {
        let last = |order: &Option<E>| order.clone().map(Err);
        Flow::from_stage(KillSwitched::new(self, switch, last, "abortable", Location::caller()))
    }
}

/// The stage behind [`Flow::kill_switch`] and [`Flow::abortable`].
#[pin_project]
pub struct KillSwitched<S: Stage, E> {
    /// `None` once this has ended; the place goes with it.
    #[pin]
    input: Option<S>,
    place: Option<Place<E>>,
    /// The error of an order that was given while downstream was busy.
    last: Option<S::Item>,
    last_of: fn(&Option<E>) -> Option<S::Item>,
    name: &'static str,
    site: Site,
}

/// A flow's place at the switch.
struct Place<E> {
    shared: Arc<Shared<E>>,
    bell: Arc<AtomicWaker>,
    key: usize,
}

impl<E> Drop for Place<E> {
    fn drop(&mut self) {
        lock(&self.shared.flows).try_remove(self.key);
    }
}

impl<S: Stage, E> fmt::Debug for KillSwitched<S, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let over = self.input.is_none();
        f.debug_struct("KillSwitched").field("over", &over).finish_non_exhaustive()
    }
}

impl<S: Stage, E> KillSwitched<S, E> {
    fn new(
        input: Flow<S>,
        switch: &KillSwitch<E>,
        last_of: fn(&Option<E>) -> Option<S::Item>,
        name: &'static str,
        site: Site,
    ) -> Self {
        let (shared, bell) = (switch.shared.clone(), Arc::new(AtomicWaker::new()));
        let key = lock(&shared.flows).insert(bell.clone());
        Self {
            input: Some(input.into_stage()),
            place: Some(Place { shared, bell, key }),
            last: None,
            last_of,
            name,
            site,
        }
    }

    /// Ends it if the order was given.
    fn obey(self: Pin<&mut Self>) {
        let mut this = self.project();
        if let Some(order) = this.place.as_ref().and_then(|place| place.shared.order.get()) {
            *this.last = (this.last_of)(order);
            this.input.set(None);
            *this.place = None;
        }
    }

    /// As [`obey`](Self::obey), and the order wakes the task from now on.
    fn wait(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if let Some(place) = &self.place {
            place.bell.register(cx.waker());
        }
        self.obey();
    }

    /// Leaves the switch, because the input has ended.
    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.input.set(None);
        *this.place = None;
    }
}

impl<S: Stage, E> Stage for KillSwitched<S, E> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.as_mut().obey();
        if let Some(input) = self.as_mut().project().input.as_pin_mut() {
            match input.poll_next(cx) {
                Poll::Ready(None) => self.as_mut().end(),
                Poll::Ready(item) => return Poll::Ready(item),
                Poll::Pending => self.as_mut().wait(cx),
            }
        }
        let this = self.project();
        if this.input.is_some() { Poll::Pending } else { Poll::Ready(this.last.take()) }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.as_mut().obey();
        let this = self.as_mut().project();
        if let Some((input, place)) = this.input.as_pin_mut().zip(this.place.as_ref()) {
            let order = &place.shared.order;
            let drained = input.poll_drain(cx, &mut |item| match each(item) {
                ControlFlow::Break(value) => ControlFlow::Break(Some(value)),
                ControlFlow::Continue(()) if order.get().is_some() => ControlFlow::Break(None),
                ControlFlow::Continue(()) => ControlFlow::Continue(()),
            });
            match drained {
                Poll::Ready(ControlFlow::Break(Some(value))) => {
                    return Poll::Ready(ControlFlow::Break(value));
                }
                Poll::Ready(ControlFlow::Break(None)) => self.as_mut().obey(),
                Poll::Ready(ControlFlow::Continue(())) => self.as_mut().end(),
                Poll::Pending => self.as_mut().wait(cx),
            }
        }
        let this = self.project();
        if this.input.is_some() {
            return Poll::Pending;
        }
        Poll::Ready(this.last.take().map_or(ControlFlow::Continue(()), each))
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_mut().wait(cx);
        let input = self.project().input.as_pin_mut();
        input.map_or(Poll::Ready(()), |input| input.poll_progress(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.input {
            // An error may come in the place of them all.
            Some(input) => (0, input.size_hint().1.and_then(|most| most.checked_add(1))),
            None => (usize::from(self.last.is_some()), Some(usize::from(self.last.is_some()))),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        let held = usize::from(self.name == "abortable");
        outline.stage(self.name, self.site).holds(Bound::Items(held));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use futures::FutureExt;
    use futures::future::join;

    use super::KillSwitch;
    use crate::testing::{
        conformance, every_way, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Flow, Stage, Virtual, iter, never, timer};

    #[test]
    fn one_switch_ends_many_flows_and_what_is_held_below_comes_out() {
        let switch = KillSwitch::new();
        let delayed = timetable([(0, 1), (9, 2), (20, 3)], 30).kill_switch(&switch).delay(ms(5), 8);
        let silent = never::<u8>().kill_switch(&switch);
        let stop = async {
            timer(ms(10)).drain().await;
            switch.shutdown();
        };
        let (delayed, (silent, ())) =
            Virtual::new().run(join(delayed.collect::<Vec<_>>(), join(silent.count(), stop)));
        assert_eq!((delayed, silent), (vec![1, 2], 0));
    }

    #[test]
    fn an_abort_ends_with_its_error_and_only_the_first_order_counts() {
        let switch = KillSwitch::new();
        let flow = |switch: &KillSwitch<char>| iter([1, 2]).map(Ok).abortable(switch);
        let early = flow(&switch);
        switch.abort('x');
        switch.shutdown();
        switch.abort('y');
        assert!(switch.is_off());
        assert_eq!(items(early), [Err('x')]);
        assert_eq!(every_way(|| flow(&switch)), [Err('x')]);
        let shut = KillSwitch::new();
        shut.shutdown();
        assert_eq!(items(flow(&shut)), []);
        assert_eq!(items(flow(&KillSwitch::new())), [Ok(1), Ok(2)]);
    }

    #[test]
    fn an_order_in_the_middle_of_a_drain_ends_it_with_the_next_item() {
        let switch = KillSwitch::new();
        let flow = iter(1..).map(Ok::<_, char>).abortable(&switch);
        let seen: Vec<_> = items(flow.inspect(|x| {
            if *x == Ok(3) {
                switch.abort('x');
            }
        }));
        assert_eq!(seen, [Ok(1), Ok(2), Ok(3), Err('x')]);
    }

    #[test]
    fn the_input_is_dropped_with_the_order_even_while_downstream_is_busy() {
        let switch = KillSwitch::new();
        let owned = Rc::new(());
        let inside = owned.clone();
        let flow = iter(1..).inspect(move |_| _ = &inside).kill_switch(&switch);
        let body = async |_| {
            timer(ms(1)).drain().await;
            switch.shutdown();
            timer(ms(1)).drain().await;
            assert_eq!(Rc::strong_count(&owned), 1);
        };
        Virtual::new().run(flow.for_each_async(body));
    }

    #[test]
    fn a_flow_that_is_gone_leaves_its_place() {
        let switch = KillSwitch::new();
        fn places(switch: &KillSwitch) -> usize {
            switch.shared.flows.lock().unwrap().len()
        }
        let flow = iter([1]).kill_switch(&switch);
        assert_eq!(places(&switch), 1);
        assert!(flow.drain().now_or_never().is_some());
        drop(iter([1]).kill_switch(&switch));
        assert_eq!(places(&switch), 0);
    }

    /// The switch is pressed when a diagram says so.
    fn pressed<S: Stage>(
        flow: Flow<S>,
        press: impl FnOnce() + 'static,
    ) -> Flow<impl Stage<Item = S::Item>> {
        let press = async move {
            timer(ms(9)).drain().await;
            press();
            std::future::pending::<()>().await;
        };
        flow.take_until(press)
    }

    marbles!(kill_switch, |input| {
        let switch = KillSwitch::new();
        pressed(input.kill_switch(&switch), move || switch.shutdown())
    });
    marbles!(abortable, |input: Result<char, char>| {
        let switch = KillSwitch::new();
        pressed(input.abortable(&switch), move || switch.abort('#'))
    });

    conformance!(kill_switch, |input| input.kill_switch(&KillSwitch::new()));
    conformance!(abortable, |input| input.map(Ok::<_, ()>).abortable(&KillSwitch::new()));

    #[test]
    fn an_order_wakes_a_flow_that_waits() {
        let switch = KillSwitch::new();
        let flow = timetable([(1, 'a')], 50).kill_switch(&switch);
        let cut = flow.take_until(async {
            timer(ms(4)).drain().await;
            switch.shutdown();
            std::future::pending::<()>().await;
        });
        assert_eq!(timeline(cut), (vec![(1, 'a')], 4));
    }

    specification!(
        kill_switch,
        at_any_pace,
        |input| input.kill_switch(&KillSwitch::new()),
        |input| input
    );
}

#[cfg(all(test, loom))]
mod model {
    use loom::thread;

    use super::*;
    use crate::never;
    use crate::sync::{all, model};

    #[test]
    fn an_order_reaches_a_flow_that_is_about_to_wait() {
        model(3, || {
            let switch = KillSwitch::new();
            let flow = never::<u8>().kill_switch(&switch);
            let thread = thread::spawn(move || switch.shutdown());
            assert_eq!(all(flow), []);
            thread.join().unwrap();
        });
    }
}
