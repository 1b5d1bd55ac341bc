//! `trace`: what happens at one place of a flow, for the subscribers of `tracing`.

use std::fmt::Debug;
use std::panic::Location;

use super::{Log, Signal};
use crate::{Flow, Stage};

impl<S: Stage<Item: Debug>> Flow<S> {
    /// Gives what happens here to the subscribers of the crate `tracing`: the start and the end at
    /// the level `DEBUG`, each item at `TRACE`, all within a span `flow` that has the name.
    ///
    /// ```text
    /// in   --a--b--|
    /// out  --a--b--|    trace("quotes")
    /// ```
    ///
    /// Needs the feature `tracing`. Levels, targets and places of your own:
    /// [`log`](Self::log) with the macros of that crate.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is shown as one.
    /// - **Holds** nothing.
    /// - **Cost**: that of a disabled event for an item, if nobody subscribes; no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let flow = aqueduct_operators::iter([1, 2]).trace("quotes");
    /// assert_eq!(flow.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("log", "debug", "instrument", "span"))]
    #[track_caller]
    #[expect(clippy::type_complexity, reason = "a flow with its parts")]
    pub fn trace(self, name: &'static str) -> Flow<Log<S, impl FnMut(Signal<'_, S::Item>)>> {
        let span = tracing::debug_span!("flow", name);
        let note = move |signal: Signal<'_, S::Item>| match signal {
            Signal::Item(item) => tracing::trace!(parent: &span, item = ?item),
            Signal::Waiting => {}
            signal => tracing::debug!(parent: &span, "{signal}"),
        };
        Flow::from_stage(Log::new(self, note, "trace", Location::caller()))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write};
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use crate::testing::{conformance, items, marbles, specification};
    use crate::{iter, once};

    /// Writes one line for each span and for each event.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<String>>);

    impl Visit for Lines {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            let _ = write!(self.0.lock().unwrap(), " {field}={value:?}");
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, span: &Attributes<'_>) -> Id {
            let _ = write!(self.0.lock().unwrap(), "\nspan {}", span.metadata().name());
            span.record(&mut self.clone());
            Id::from_u64(7)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            let level = event.metadata().level();
            let within = event.parent().map_or(0, Id::into_u64);
            let _ = write!(self.0.lock().unwrap(), "\n{level} in {within}");
            event.record(&mut self.clone());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn a_span_with_the_name_holds_the_start_the_items_and_the_end() {
        let lines = Lines::default();
        tracing::subscriber::with_default(lines.clone(), || {
            items(iter([1, 2]).trace("quotes"));
            drop(once(3).trace("bars"));
        });
        let lines = lines.0.lock().unwrap();
        let expected = [
            "span flow name=\"quotes\"",
            "DEBUG in 7 message=started",
            "TRACE in 7 item=1",
            "TRACE in 7 item=2",
            "DEBUG in 7 message=ended",
            "span flow name=\"bars\"",
            "DEBUG in 7 message=dropped",
        ];
        assert_eq!(lines.trim().lines().collect::<Vec<_>>(), expected);
    }

    marbles!(trace, |input| input.trace("quotes"));

    specification!(trace, at_any_pace, |input| input.trace("quotes"), |input| input);

    conformance!(trace, |input| input.trace("quotes"));
}
