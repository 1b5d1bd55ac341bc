//! `log`: everything that happens at one place of a flow.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::{pin_project, pinned_drop};

use super::End;
use crate::{Flow, Outline, Site, Stage};

/// What happens at one place of a flow: see [`Flow::log`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal<'a, T> {
    /// It is asked for its first item.
    Started,
    /// An item passes.
    Item(&'a T),
    /// Nothing is ready: it waits.
    Waiting,
    /// It is over.
    Ended(End),
}

impl<T: fmt::Debug> fmt::Display for Signal<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Started => f.write_str("started"),
            Self::Item(item) => write!(f, "item {item:?}"),
            Self::Waiting => f.write_str("waiting"),
            Self::Ended(End::Done) => f.write_str("ended"),
            Self::Ended(End::Dropped) => f.write_str("dropped"),
            Self::Ended(End::Panicked) => f.write_str("dropped by a panic"),
        }
    }
}

impl<S: Stage> Flow<S> {
    /// Calls `note` with everything that happens here: the start, each item, each wait, the end.
    ///
    /// ```text
    /// in   --a--b--|
    /// out  --a--b--|    log(|signal| println!("{signal}"))
    /// ```
    ///
    /// For an item alone there is [`inspect`](Self::inspect); with the feature `tracing`, `trace`
    /// gives all this to the subscribers of that crate.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does; `note` must not block.
    /// - **Ends** when the input ends, and notes [`End::Done`] before that is told; a flow that is
    ///   dropped before notes that.
    /// - **On error**: an error is an item here. A panic in `note` comes out of the poll; the flow
    ///   has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: one call for a signal; no allocation, no clock read.
    ///
    /// ```
    /// # use std::cell::RefCell;
    /// # futures::executor::block_on(async {
    /// let lines = RefCell::new(Vec::new());
    /// let flow = aqueduct_operators::iter([7]).log(|signal| {
    ///     lines.borrow_mut().push(format!("ticks: {signal}"));
    /// });
    /// flow.drain().await;
    /// assert_eq!(lines.take(), ["ticks: started", "ticks: item 7", "ticks: ended"]);
    /// # });
    /// ```
    #[doc(alias("debug", "do_on_each", "log_with_marker", "do_on_signal"))]
    #[track_caller]
    pub fn log<F>(self, note: F) -> Flow<Log<S, F>>
    where
        F: FnMut(Signal<'_, S::Item>),
    {
        Flow::from_stage(Log::new(self, note, "log", Location::caller()))
    }
}

/// The stage behind [`Flow::log`].
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct Log<S: Stage, F: FnMut(Signal<'_, S::Item>)> {
    #[pin]
    input: S,
    note: F,
    state: State,
    name: &'static str,
    site: Site,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Running,
    Over,
}

impl<S: Stage, F: FnMut(Signal<'_, S::Item>)> Log<S, F> {
    pub(super) fn new(input: Flow<S>, note: F, name: &'static str, site: Site) -> Self {
        Self { input: input.into_stage(), note, state: State::New, name, site }
    }

    fn begin(self: Pin<&mut Self>) {
        let this = self.project();
        if *this.state == State::New {
            *this.state = State::Running;
            (this.note)(Signal::Started);
        }
    }

    fn end(self: Pin<&mut Self>, how: End) {
        let this = self.project();
        if *this.state != State::Over {
            *this.state = State::Over;
            (this.note)(Signal::Ended(how));
        }
    }
}

#[pinned_drop]
impl<S: Stage, F: FnMut(Signal<'_, S::Item>)> PinnedDrop for Log<S, F> {
    fn drop(self: Pin<&mut Self>) {
        self.end(if std::thread::panicking() { End::Panicked } else { End::Dropped });
    }
}

impl<S: Stage, F: FnMut(Signal<'_, S::Item>)> Stage for Log<S, F> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.as_mut().begin();
        let this = self.as_mut().project();
        let polled = this.input.poll_next(cx);
        match &polled {
            Poll::Ready(Some(item)) => (this.note)(Signal::Item(item)),
            Poll::Ready(None) => self.end(End::Done),
            Poll::Pending => (this.note)(Signal::Waiting),
        }
        polled
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.as_mut().begin();
        let this = self.as_mut().project();
        let note = this.note;
        let drained = this.input.poll_drain(cx, &mut |item| {
            note(Signal::Item(&item));
            each(item)
        });
        match drained {
            Poll::Ready(ControlFlow::Continue(())) => self.end(End::Done),
            Poll::Ready(ControlFlow::Break(_)) => {}
            Poll::Pending => note(Signal::Waiting),
        }
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage(self.name, self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures::FutureExt;

    use super::Signal;
    use crate::testing::{conformance, items, marbles, specification, timetable};
    use crate::{Flow, Stage, iter, never};

    #[test]
    fn everything_is_noted_in_its_order() {
        let log = RefCell::new(Vec::new());
        let note = |signal: Signal<'_, char>| log.borrow_mut().push(signal.to_string());
        items(timetable([(0, 'a'), (2, 'b')], 3).log(note));
        let expected = ["started", "item 'a'", "waiting", "item 'b'", "waiting", "ended"];
        assert_eq!(log.take(), expected);
    }

    #[test]
    fn a_flow_that_is_dropped_notes_that_and_nothing_after_its_end() {
        let log = RefCell::new(Vec::new());
        fn logged<'a, S: Stage<Item = u8>>(
            flow: Flow<S>,
            log: &'a RefCell<Vec<String>>,
        ) -> Flow<impl Stage<Item = u8> + use<'a, S>> {
            flow.log(|signal| log.borrow_mut().push(signal.to_string()))
        }
        drop(logged(iter([1]), &log));
        assert_eq!(log.take(), ["dropped"]);
        let _ = logged(never(), &log).drain().now_or_never();
        assert_eq!(log.take(), ["started", "waiting", "dropped"]);
        let _ = logged(iter([1, 2]), &log).first().now_or_never();
        assert_eq!(log.take(), ["started", "item 1", "dropped"]);
    }

    marbles!(log, |input| input.log(|_| ()));

    conformance!(log, |input| input.log(|signal| {
        if let Signal::Item(item) = signal {
            item.value();
        }
    }));

    specification!(log, at_any_pace, |input| input.log(|_| ()), |input| input);
}
