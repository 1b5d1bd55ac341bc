//! `boxed`: a flow whose type says only what it brings.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// The most items that cross the virtual call at once.
const CHUNK: usize = 256;

impl<S: Stage> Flow<S> {
    /// Hides the type of the chain, so that flows of different kinds can stand in one collection,
    /// one field or one branch.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  --1--2----3--|    boxed()
    /// ```
    ///
    /// Terminals and operators that drain move up to 256 items through one virtual call, so that
    /// the chain above still runs as one loop. If whoever drains stops in the middle, the rest
    /// waits here and comes first afterwards. A flow that is not `Send` has
    /// [`boxed_local`](Flow::boxed_local).
    ///
    /// - **Emits** an item for each item, in the same poll.
    /// - **Backpressures** when downstream does, at most 256 items later.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** 256 items.
    /// - **Cost**: one allocation at construction, a few for the items when it is drained first;
    ///   at most one clock read for 256 items.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::iter;
    /// let flow = if true { iter(0..3).boxed() } else { iter([7]).map(|x| x + 1).boxed() };
    /// assert_eq!(flow.count().await, 3);
    /// # });
    /// ```
    #[doc(alias("hide", "erase", "as_observable"))]
    #[track_caller]
    pub fn boxed(self) -> Flow<Boxed<S::Item>>
    where
        S: Send + 'static,
    {
        Flow::from_stage(Boxed(Chunked::new(Box::pin(self.into_stage()), "boxed")))
    }
}

/// The stage behind [`Flow::boxed`].
pub struct Boxed<T>(Chunked<dyn Erased<T> + Send, T>);

impl<T> Stage for Boxed<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        Pin::new(&mut self.0).poll_next(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        Pin::new(&mut self.0).poll_drain(cx, each)
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.0.describe(outline);
    }
}

impl<T> fmt::Debug for Boxed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Boxed").finish_non_exhaustive()
    }
}

/// The part of [`Stage`] that can be called without knowing the stage.
pub(super) trait Erased<T> {
    fn next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>>;

    /// Fills an empty chunk with up to `most` items, the last one first. `Break` if there may be
    /// more at once, as of `poll_drain`.
    fn chunk(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        most: usize,
        chunk: &mut Vec<T>,
    ) -> Poll<ControlFlow<()>>;

    fn progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    fn hint(&self) -> (usize, Option<usize>);

    fn write(&self, outline: &mut Outline);
}

impl<S: Stage> Erased<S::Item> for S {
    fn next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        Stage::poll_next(self, cx)
    }

    fn chunk(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        most: usize,
        chunk: &mut Vec<S::Item>,
    ) -> Poll<ControlFlow<()>> {
        chunk.reserve(CHUNK);
        let drained = self.poll_drain(cx, &mut |item| {
            chunk.push(item);
            if chunk.len() >= most { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        chunk.reverse();
        drained
    }

    fn progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Stage::poll_progress(self, cx)
    }

    fn hint(&self) -> (usize, Option<usize>) {
        Stage::size_hint(self)
    }

    fn write(&self, outline: &mut Outline) {
        Stage::describe(self, outline);
    }
}

/// What the stages of `boxed` and `boxed_local` share.
pub(super) struct Chunked<E: ?Sized, T> {
    stage: Pin<Box<E>>,
    /// The rest of a chunk, the next item last: comes before anything else.
    rest: Vec<T>,
    ended: bool,
    /// Needed beside the budget of the source: see [`Budget::left`].
    budget: Budget,
    name: &'static str,
    site: Site,
}

// Items are never pinned.
impl<E: ?Sized, T> Unpin for Chunked<E, T> {}

impl<E: Erased<T> + ?Sized, T> Chunked<E, T> {
    #[track_caller]
    pub(super) fn new(stage: Pin<Box<E>>, name: &'static str) -> Self {
        Self {
            stage,
            rest: Vec::new(),
            ended: false,
            budget: Budget::new(),
            name,
            site: Location::caller(),
        }
    }
}

impl<E: Erased<T> + ?Sized, T> Stage for Chunked<E, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(item) = self.rest.pop() {
            return Poll::Ready(Some(item));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        self.stage.as_mut().next(cx)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = &mut *self;
        let mut pending = false;
        loop {
            while let Some(item) = this.rest.pop() {
                if let broke @ ControlFlow::Break(_) = each(item) {
                    return Poll::Ready(broke);
                }
            }
            if this.ended {
                return Poll::Ready(ControlFlow::Continue(()));
            }
            if pending {
                this.budget.rest();
                return Poll::Pending;
            }
            let most = this.budget.left(cx).min(CHUNK);
            if most == 0 {
                return Poll::Pending;
            }
            let drained = this.stage.as_mut().chunk(cx, most, &mut this.rest);
            pending = drained.is_pending();
            this.ended = drained == Poll::Ready(ControlFlow::Continue(()));
            this.budget.used(this.rest.len());
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended {
            return Poll::Ready(());
        }
        self.stage.as_mut().progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.rest.len();
        if self.ended {
            return (rest, Some(rest));
        }
        let (least, most) = self.stage.hint();
        (least.saturating_add(rest), most.and_then(|most| most.checked_add(rest)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.stage.write(outline);
        outline.stage(self.name, self.site).holds(Bound::Items(CHUNK));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::testing::{conformance, items, marbles, specification, timeline, timetable};
    use crate::{Virtual, iter};
    use futures::FutureExt;

    #[test]
    fn flows_of_different_kinds_stand_in_one_collection() {
        let flows = [iter(0..3).boxed(), iter([5]).map(|x| x * 2).boxed()];
        assert_eq!(flows.map(items), [vec![0, 1, 2], vec![10]]);
    }

    #[test]
    fn items_keep_their_times() {
        let flow = timetable([(1, 'a'), (1, 'b'), (7, 'c')], 9).boxed();
        assert_eq!(timeline(flow), (vec![(1, 'a'), (1, 'b'), (7, 'c')], 9));
    }

    #[test]
    fn nothing_is_lost_or_reordered_when_a_drain_is_broken_off_anywhere() {
        let mut flow = std::pin::pin!(iter(0..2_000).boxed());
        let mut seen = Vec::new();
        Virtual::new().run(std::future::poll_fn(|cx| {
            for stride in (1..).step_by(37) {
                let mut left = stride;
                let drained = flow.as_mut().poll_drain(cx, &mut |item| {
                    seen.push(item);
                    left -= 1;
                    if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                match drained {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(ControlFlow::Continue(())) => return Poll::Ready(()),
                    Poll::Ready(ControlFlow::Break(())) => {}
                }
                let (least, most) = Stage::size_hint(&*flow);
                assert_eq!((least, most), (2_000 - seen.len(), Some(2_000 - seen.len())));
                match Stage::poll_next(flow.as_mut(), cx) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(None) => return Poll::Ready(()),
                    Poll::Ready(Some(item)) => seen.push(item),
                }
            }
            Poll::Pending
        }));
        assert_eq!(seen, Vec::from_iter(0..2_000));
    }

    #[test]
    fn a_consumer_that_polls_gets_each_item_as_it_is_made() {
        let made = std::rc::Rc::new(Cell::new(0));
        let count = made.clone();
        let mut flow = iter(0..10).map(move |_| count.set(count.get() + 1)).boxed_local();
        let _ = flow.next().now_or_never();
        assert_eq!(made.get(), 1);
    }

    #[test]
    fn a_flow_without_end_gives_way_to_other_tasks() {
        let flow = iter(std::iter::repeat(1)).boxed();
        assert!(flow.count().now_or_never().is_none());
    }

    #[test]
    fn the_outline_shows_what_is_in_the_box() {
        let text = iter(0..3).map(|x| x).boxed().outline().to_string();
        let names: Vec<_> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(names, ["iter", "map", "boxed", "in"]);
        assert!(text.ends_with("in all: holds 256 items"), "{text}");
    }

    #[test]
    fn a_boxed_flow_is_send() {
        fn send<T: Send>(flow: T) -> T {
            flow
        }
        assert_eq!(items(send(iter([1]).boxed())), [1]);
    }

    conformance!(boxed, |input| input.boxed());

    marbles!(boxed, |input| input.boxed());

    specification!(boxed, at_any_pace, |input| input.boxed(), |input| input);
}
