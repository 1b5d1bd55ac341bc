//! `first`: the first item alone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow until its first item.
    ///
    /// ```text
    /// in     --a----
    /// sub    ^-!
    /// out    --(x|)     first()
    /// where  x = Some(a)
    /// ```
    ///
    /// To take an item and keep the flow, see [`next`](Self::next).
    ///
    /// - **Emits** the first item, or `None` if the input was empty.
    /// - **Backpressures** never.
    /// - **Ends** with the first item; the input is dropped then.
    /// - **On error**: an error is an item here, and may be the first.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let big = aqueduct_operators::iter(1..).filter(|x| x * x > 50).first();
    /// assert_eq!(big.await, Some(8));
    /// # });
    /// ```
    #[doc(alias("head", "run_head"))]
    pub fn first(self) -> First<S> {
        First { flow: Some(self) }
    }
}

/// The future behind [`Flow::first`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct First<S> {
    /// `None` once the future is over.
    #[pin]
    flow: Option<Flow<S>>,
}

impl<S: Stage> Future for First<S> {
    type Output = Option<S::Item>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let Some(flow) = this.flow.as_mut().as_pin_mut() else {
            panic!("first: polled again after it was over")
        };
        let item = ready!(Stage::poll_next(flow, cx));
        this.flow.set(None);
        Poll::Ready(item)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::rc::Rc;

    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future, iter};

    #[test]
    fn the_first_item_ends_the_run() {
        let end = Virtual::new().run(async {
            let item = timetable([(3, 'a'), (5, 'b')], 9).first().await;
            (item, Clock::current().now().as_millis())
        });
        assert_eq!(end, (Some('a'), 3));
    }

    #[test]
    fn an_empty_flow_has_no_first_item() {
        assert_eq!(Virtual::new().run(iter([0; 0]).first()), None);
    }

    #[test]
    fn the_flow_is_dropped_with_its_first_item() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let mut first = pin!(iter([1]).map(move |x| (x, owned.clone()).0).first());
        let item = Virtual::new().run(poll_fn(|cx| first.as_mut().poll(cx)));
        assert_eq!((item, watch.strong_count()), (Some(1), 0));
    }

    marbles!(first, |input| input.first());

    specification!(first, |input| input.first(), |input| {
        let first = input.events.first();
        let (at, item) = first.map_or((input.end, None), |(at, item)| (*at, Some(*item)));
        Timeline::new([(at, item)], at)
    });

    conformance!(first, |input| {
        from_future(input.first())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
