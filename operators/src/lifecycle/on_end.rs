//! `on_end`: a hook for the end, however it comes.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::{pin_project, pinned_drop};

use crate::{Flow, Outline, Site, Stage};

/// How a flow came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The input ended.
    Done,
    /// It was dropped before that: the consumer had enough, or was dropped itself.
    Dropped,
    /// It was dropped by a panic, here or elsewhere in the task.
    Panicked,
}

impl<S: Stage> Flow<S> {
    /// Calls `f` exactly once: when the input has ended, or when the flow is dropped before.
    ///
    /// ```text
    /// in   --a--b--|
    /// f            ()
    /// out  --a--b--|    on_end(f)
    /// ```
    ///
    /// What stands below may go on after that: a [`delay`](Self::delay) holds items, a consumer is
    /// busy with one. For a hook that runs after everything, put it last. A flow that was never
    /// polled has an end too.
    ///
    /// An error is an item here, so an end after an error is [`End::Done`]; to see errors, look at
    /// the items with [`inspect`](Self::inspect).
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends; `f` is called before that is told, and the input is dropped
    ///   before `f` is called.
    /// - **On error**: an error is an item here. A panic above calls `f` when the flow is dropped;
    ///   one in `f` comes out of the poll or of the drop.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use std::cell::Cell;
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{iter, lifecycle::End};
    /// let end = Cell::new(None);
    /// iter(1..).on_end(|how| end.set(Some(how))).take(3).drain().await;
    /// assert_eq!(end.get(), Some(End::Dropped));
    /// # });
    /// ```
    #[doc(alias(
        "finalize",
        "finally",
        "do_finally",
        "on_finalize",
        "ensuring",
        "on_completion",
        "do_on_complete",
        "do_on_cancel",
        "do_on_terminate"
    ))]
    #[track_caller]
    pub fn on_end<F: FnOnce(End)>(self, f: F) -> Flow<OnEnd<S, F>> {
        Flow::from_stage(OnEnd::new(self, f, "on_end", Location::caller()))
    }
}

/// The stage behind [`Flow::on_end`].
#[pin_project(PinnedDrop)]
#[derive(Debug)]
pub struct OnEnd<S, F: FnOnce(End)> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    /// Until it was called.
    f: Option<F>,
    name: &'static str,
    site: Site,
}

impl<S, F: FnOnce(End)> OnEnd<S, F> {
    pub(super) fn new(input: Flow<S>, f: F, name: &'static str, site: Site) -> Self
    where
        S: Stage,
    {
        Self { input: Some(input.into_stage()), f: Some(f), name, site }
    }

    fn end(self: Pin<&mut Self>, how: End) {
        let mut this = self.project();
        this.input.set(None);
        if let Some(f) = this.f.take() {
            f(how);
        }
    }
}

#[pinned_drop]
impl<S, F: FnOnce(End)> PinnedDrop for OnEnd<S, F> {
    fn drop(self: Pin<&mut Self>) {
        self.end(if std::thread::panicking() { End::Panicked } else { End::Dropped });
    }
}

impl<S: Stage, F: FnOnce(End)> Stage for OnEnd<S, F> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let Some(input) = self.as_mut().project().input.as_pin_mut() else {
            return Poll::Ready(None);
        };
        let item = ready!(input.poll_next(cx));
        if item.is_none() {
            self.end(End::Done);
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let Some(input) = self.as_mut().project().input.as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let drained = ready!(input.poll_drain(cx, each));
        if drained.is_continue() {
            self.end(End::Done);
        }
        Poll::Ready(drained)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let input = self.project().input.as_pin_mut();
        input.map_or(Poll::Ready(()), |input| input.poll_progress(cx))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.as_ref().map_or((0, Some(0)), S::size_hint)
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage(self.name, self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::rc::Rc;

    use futures::FutureExt;

    use super::End;
    use crate::testing::{conformance, marbles, specification};
    use crate::{Flow, Stage, iter, never};

    /// How the flow ends when `run` is done with it; each call of the hook is noted.
    fn ends<S: Stage>(
        flow: Flow<S>,
        run: impl FnOnce(Flow<crate::lifecycle::OnEnd<S, Box<dyn FnOnce(End)>>>),
    ) -> Vec<End> {
        let ends = Rc::new(RefCell::new(Vec::new()));
        let seen = ends.clone();
        let hook: Box<dyn FnOnce(End)> = Box::new(move |how| seen.borrow_mut().push(how));
        run(flow.on_end(hook));
        ends.take()
    }

    #[test]
    fn it_is_called_once_with_how_it_ended() {
        assert_eq!(ends(iter([1, 2]), |flow| _ = flow.drain().now_or_never()), [End::Done]);
        assert_eq!(ends(iter(1..), |flow| _ = flow.first().now_or_never()), [End::Dropped]);
        assert_eq!(ends(never::<u8>(), |flow| _ = flow.drain().now_or_never()), [End::Dropped]);
        assert_eq!(ends(iter([1]), drop), [End::Dropped]);
        let panicking = iter([1]).map(|_| panic!("one"));
        let run = |flow: Flow<_>| {
            let run = AssertUnwindSafe(|| Flow::drain(flow).now_or_never());
            assert!(catch_unwind(run).is_err());
        };
        assert_eq!(ends(panicking, run), [End::Panicked]);
    }

    #[test]
    fn the_input_is_gone_before_and_the_end_is_told_after() {
        let log = RefCell::new(Vec::new());
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let flow = iter([1]).inspect(move |_| _ = &owned);
        let flow = flow.on_end(|_| log.borrow_mut().push(watch.strong_count()));
        let told = flow.drain().map(|()| log.borrow_mut().push(9));
        assert!(told.now_or_never().is_some());
        assert_eq!(log.take(), [0, 9]);
    }

    marbles!(on_end, |input| input.on_end(drop));

    conformance!(on_end, |input| input.on_end(drop));

    specification!(on_end, at_any_pace, |input| input.on_end(drop), |input| input);
}
