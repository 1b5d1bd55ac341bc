//! `last`: the last item alone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow to its end and keeps the last item.
    ///
    /// ```text
    /// in     --a--b----c--|
    /// out    -------------(x|)    last()
    /// where  x = Some(c)
    /// ```
    ///
    /// - **Emits** the last item when the input ends, or `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here, and may be the last.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let close = aqueduct_operators::iter([101, 99, 100]).last();
    /// assert_eq!(close.await, Some(100));
    /// # });
    /// ```
    #[doc(alias("run_last", "last_value"))]
    pub fn last(self) -> Last<S> {
        Last { flow: self, latest: None }
    }
}

/// The future behind [`Flow::last`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Last<S: Stage> {
    #[pin]
    flow: Flow<S>,
    latest: Option<S::Item>,
}

impl<S: Stage> Future for Last<S> {
    type Output = Option<S::Item>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let latest = this.latest;
        this.flow.poll_each(cx, |item| *latest = Some(item)).map(|()| latest.take())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Virtual, from_future, iter};

    #[test]
    fn the_last_item_is_that_before_the_end_even_when_it_came_in_another_poll() {
        let last = timetable([(3, 'a'), (5, 'b')], 9).last();
        assert_eq!(Virtual::new().run(last), Some('b'));
    }

    #[test]
    fn an_empty_flow_has_no_last_item() {
        assert_eq!(Virtual::new().run(iter([0; 0]).last()), None);
    }

    marbles!(last, |input| input.last());

    specification!(last, |input| input.last(), |input| {
        let last = input.events.last().map(|(_, item)| *item);
        Timeline::new([(input.end, last)], input.end)
    });

    conformance!(last, |input| {
        from_future(input.last())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
