//! `on_start`: a hook for the first poll.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Calls `f` when the flow is first asked for an item, before the input is.
    ///
    /// ```text
    /// in   --a--b--|
    /// f    ()
    /// out  --a--b--|    on_start(f)
    /// ```
    ///
    /// Assembling a flow does nothing, so this is the moment at which it begins.
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `f` comes out of the poll; the flow has
    ///   ended then.
    /// - **Holds** nothing; `f` is called at most once, and never if nothing is asked for.
    /// - **Cost**: one look whether it began for each turn; no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let flow = aqueduct_operators::iter([1, 2]).on_start(|| println!("connecting"));
    /// assert_eq!(flow.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("do_first", "do_on_subscribe", "on_first_poll", "on_subscription"))]
    #[track_caller]
    pub fn on_start<F: FnOnce()>(self, f: F) -> Flow<OnStart<S, F>> {
        Flow::from_stage(OnStart { input: self.into_stage(), f: Some(f), site: Location::caller() })
    }
}

/// The stage behind [`Flow::on_start`].
#[pin_project]
#[derive(Debug)]
pub struct OnStart<S, F> {
    #[pin]
    input: S,
    /// Until it began.
    f: Option<F>,
    site: Site,
}

impl<S, F: FnOnce()> OnStart<S, F> {
    fn begin(self: Pin<&mut Self>) -> Pin<&mut S> {
        let this = self.project();
        if let Some(f) = this.f.take() {
            f();
        }
        this.input
    }
}

impl<S: Stage, F: FnOnce()> Stage for OnStart<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        self.begin().poll_next(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.begin().poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("on_start", self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::iter;
    use crate::testing::{conformance, items, marbles, specification};

    #[test]
    fn it_is_called_once_before_the_input_is_asked() {
        let log = RefCell::new(Vec::new());
        let note = |what| log.borrow_mut().push(what);
        let flow = iter([1, 2]).inspect(|_| note("item")).on_start(|| note("start"));
        assert!(log.borrow().is_empty());
        items(flow);
        assert_eq!(log.take(), ["start", "item", "item"]);
    }

    #[test]
    fn without_a_poll_for_an_item_it_is_not_called() {
        let mut flow = pin!(iter([1]).on_start(|| panic!("it began")));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
    }

    marbles!(on_start, |input| input.on_start(|| ()));

    conformance!(on_start, |input| input.on_start(|| ()));

    specification!(on_start, at_any_pace, |input| input.on_start(|| ()), |input| input);
}
