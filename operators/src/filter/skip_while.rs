//! `skip_while`: the items from the first that fails a predicate.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Drops items until the first for which `skip` says `false`; that one passes, and all after
    /// it do.
    ///
    /// ```text
    /// in   --1--2----9--1--|
    /// out  ----------9--1--|    skip_while(|x| *x < 5)
    /// ```
    ///
    /// - **Emits** the first item that fails `skip` and each item after it, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `skip` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let open = aqueduct_operators::iter([0, 0, 7, 0]).skip_while(|volume| *volume == 0);
    /// assert_eq!(open.collect::<Vec<_>>().await, [7, 0]);
    /// # });
    /// ```
    #[doc(alias = "drop_while")]
    #[track_caller]
    pub fn skip_while<F>(self, skip: F) -> Flow<SkipWhile<S, F>>
    where
        F: FnMut(&S::Item) -> bool,
    {
        Flow::from_stage(SkipWhile {
            input: self.into_stage(),
            skip,
            skipping: true,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::skip_while`].
#[pin_project]
#[derive(Debug)]
pub struct SkipWhile<S, F> {
    #[pin]
    input: S,
    skip: F,
    skipping: bool,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item) -> bool> Stage for SkipWhile<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        loop {
            let item = ready!(this.input.as_mut().poll_next(cx));
            *this.skipping = *this.skipping && item.as_ref().is_some_and(&mut *this.skip);
            if !*this.skipping {
                return Poll::Ready(item);
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        // In a drain of its own, so that the one after it has nothing to decide.
        if *this.skipping {
            let skip = this.skip;
            let skipped = this.input.as_mut().poll_drain(cx, &mut |item| {
                if skip(&item) {
                    return ControlFlow::Continue(());
                }
                *this.skipping = false;
                ControlFlow::Break(each(item))
            });
            match ready!(skipped) {
                ControlFlow::Continue(()) => return Poll::Ready(ControlFlow::Continue(())),
                ControlFlow::Break(broke @ ControlFlow::Break(_)) => return Poll::Ready(broke),
                ControlFlow::Break(ControlFlow::Continue(())) => {}
            }
        }
        this.input.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        (if self.skipping { 0 } else { least }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("skip_while", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn everything_from_the_first_item_that_fails_passes() {
        let flow = || iter([1, 2, 9, 1, 2]).skip_while(|x| *x < 5);
        assert_eq!(every_way(flow), [9, 1, 2]);
    }

    #[test]
    fn without_an_item_that_fails_nothing_passes() {
        assert!(every_way(|| iter(0..4).skip_while(|_| true)).is_empty());
    }

    #[test]
    fn it_goes_on_from_poll_to_poll() {
        let flow = timetable([(1, 1), (4, 9), (7, 1)], 8).skip_while(|x| *x < 5);
        assert_eq!(timeline(flow), (vec![(4, 9), (7, 1)], 8));
    }

    conformance!(skip_while, |input| input.skip_while(|x| x.value() < 3));

    marbles!(skip_while, |input: u32| input.skip_while(|x| *x < 5));

    specification!(skip_while, at_any_pace, |input| input.skip_while(|x| *x < 3), |input| {
        Timeline::new(input.events.into_iter().skip_while(|(_, x)| *x < 3), input.end)
    });
}
