//! `peekable`: a look at the next item before it is taken.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// The same flow, at whose next item one can look with [`peek`](Flow::peek), and which can be
    /// taken on a condition with [`next_if`](Flow::next_if).
    ///
    /// ```text
    /// in   --a--b--|
    /// out  --a--b--|    peekable()
    /// ```
    ///
    /// - **Emits** each item.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** 1 item, after a look at it. Dropping the flow drops it.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut lines = aqueduct_operators::iter(["# prices", "1", "2"]).peekable();
    /// while lines.next_if(|line| line.starts_with('#')).await.is_some() {}
    /// assert_eq!(lines.peek().await, Some(&"1"));
    /// assert_eq!(lines.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("buffered_iterator", "look_ahead"))]
    #[track_caller]
    pub fn peekable(self) -> Flow<Peekable<S>> {
        let site = Location::caller();
        Flow::from_stage(Peekable { input: self.into_stage(), peeked: None, site })
    }
}

/// The stage behind [`Flow::peekable`].
#[pin_project]
#[derive(Debug)]
pub struct Peekable<S: Stage> {
    #[pin]
    input: S,
    /// What was looked at and not taken: an item, or the end.
    peeked: Option<Option<S::Item>>,
    site: Site,
}

impl<S: Stage> Peekable<S> {
    fn poll_peek(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if this.peeked.is_none() {
            *this.peeked = Some(ready!(this.input.poll_next(cx)));
        }
        Poll::Ready(())
    }
}

impl<S: Stage> Flow<Peekable<S>>
where
    Self: Unpin,
{
    /// A look at the next item, which stays; `None` when the flow has ended. A flow that is not
    /// `Unpin` is [`boxed`](Flow::boxed) before it is made peekable.
    ///
    /// Dropping the future loses no item.
    pub fn peek(&mut self) -> Peek<'_, S> {
        Peek { flow: Some(self) }
    }

    /// The next item if `f` says `true` of it; otherwise it stays, and this gives `None`, as it
    /// does when the flow has ended.
    ///
    /// Dropping the future loses no item.
    pub fn next_if<F>(&mut self, f: F) -> NextIf<'_, S, F>
    where
        F: FnOnce(&S::Item) -> bool,
    {
        NextIf { flow: self, f: Some(f) }
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Option<&S::Item>> {
        let looked =
            Pin::new(&mut *self).guard(Poll::Ready(()), |stage| (stage.poll_peek(cx), false));
        ready!(looked);
        Poll::Ready(self.stage().peeked.as_ref().and_then(Option::as_ref))
    }
}

/// The future behind [`Flow::peek`].
#[must_use = "a flow does nothing until it is polled"]
pub struct Peek<'a, S: Stage> {
    /// `None` once the future is over.
    flow: Option<&'a mut Flow<Peekable<S>>>,
}

impl<S: Stage> fmt::Debug for Peek<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peek").field("over", &self.flow.is_none()).finish()
    }
}

impl<'a, S: Stage> Future for Peek<'a, S>
where
    Flow<Peekable<S>>: Unpin,
{
    type Output = Option<&'a S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(flow) = self.flow.take() else { panic!("peek: polled again after it was over") };
        if flow.poll_peek(cx).is_pending() {
            self.flow = Some(flow);
            return Poll::Pending;
        }
        Poll::Ready(flow.stage().peeked.as_ref().and_then(Option::as_ref))
    }
}

/// The future behind [`Flow::next_if`].
#[must_use = "a flow does nothing until it is polled"]
pub struct NextIf<'a, S: Stage, F> {
    flow: &'a mut Flow<Peekable<S>>,
    /// `None` once the future is over.
    f: Option<F>,
}

impl<S: Stage, F> fmt::Debug for NextIf<'_, S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextIf").field("over", &self.f.is_none()).finish()
    }
}

// The closure is never pinned.
impl<S: Stage, F> Unpin for NextIf<'_, S, F> {}

impl<S: Stage, F: FnOnce(&S::Item) -> bool> Future for NextIf<'_, S, F>
where
    Flow<Peekable<S>>: Unpin,
{
    type Output = Option<S::Item>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(item) = ready!(this.flow.poll_peek(cx)) else {
            return Poll::Ready(None);
        };
        let Some(f) = this.f.take() else { panic!("next_if: polled again after it was over") };
        if f(item) { Stage::poll_next(Pin::new(&mut *this.flow), cx) } else { Poll::Ready(None) }
    }
}

impl<S: Stage> Stage for Peekable<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        match this.peeked {
            // The end stays, so that the input is not asked again.
            Some(None) => Poll::Ready(None),
            Some(item) => {
                let item = item.take();
                *this.peeked = None;
                Poll::Ready(item)
            }
            None => this.input.poll_next(cx),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        match this.peeked.take() {
            Some(None) => {
                *this.peeked = Some(None);
                return Poll::Ready(ControlFlow::Continue(()));
            }
            Some(Some(item)) => {
                if let broke @ ControlFlow::Break(_) = each(item) {
                    return Poll::Ready(broke);
                }
            }
            None => {}
        }
        this.input.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = match &self.peeked {
            Some(None) => return (0, Some(0)),
            Some(Some(_)) => 1,
            None => 0,
        };
        let (least, most) = self.input.size_hint();
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("peekable", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use super::*;
    use crate::testing::{conformance, every_way, marbles, ms, specification};
    use crate::{Virtual, iter};

    #[test]
    fn a_look_leaves_the_item_where_it_is() {
        Virtual::new().run(async {
            let mut flow = iter([1, 2]).peekable();
            assert_eq!(flow.peek().await, Some(&1));
            assert_eq!(flow.peek().await, Some(&1));
            assert_eq!(Stage::size_hint(&flow), (2, Some(2)));
            assert_eq!(flow.next().await, Some(1));
            assert_eq!(flow.peek().await, Some(&2));
            assert_eq!(flow.collect::<Vec<_>>().await, [2]);
        });
    }

    #[test]
    fn an_item_is_taken_if_it_should_be() {
        Virtual::new().run(async {
            let mut flow = iter([1, 2]).peekable();
            assert_eq!(flow.next_if(|x| *x == 2).await, None);
            assert_eq!(flow.next_if(|x| *x == 1).await, Some(1));
            assert_eq!(flow.next_if(|x| *x == 1).await, None);
            assert_eq!(flow.next().await, Some(2));
            assert_eq!(flow.next_if(|_| true).await, None);
        });
    }

    #[test]
    fn the_end_can_be_looked_at_and_stays_the_end() {
        Virtual::new().run(async {
            let mut flow = iter([0; 0]).peekable();
            for _ in 0..2 {
                assert_eq!(flow.peek().await, None);
                assert_eq!(Stage::size_hint(&flow), (0, Some(0)));
            }
            assert_eq!(flow.next().await, None);
            assert_eq!(flow.peek().await, None);
        });
    }

    #[test]
    fn a_look_that_is_given_up_loses_nothing() {
        Virtual::new().run(async {
            let mut flow = iter(['a']).delay(ms(3), 1).peekable();
            let mut cx = Context::from_waker(Waker::noop());
            assert!(pin!(flow.peek()).poll(&mut cx).is_pending());
            assert!(pin!(flow.next_if(|_| true)).poll(&mut cx).is_pending());
            assert_eq!(flow.next().await, Some('a'));
        });
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        assert_eq!(every_way(|| iter([1, 2, 3]).peekable()), [1, 2, 3]);
    }

    marbles!(peekable, |input| input.peekable());

    conformance!(peekable, |input| input.peekable());

    specification!(peekable, at_any_pace, |input| input.peekable(), |input| input);
}
