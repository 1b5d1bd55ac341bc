//! `count`: how many items there were.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and counts its items.
    ///
    /// ```text
    /// in   --a--b----c--|
    /// out  -------------(3|)    count()
    /// ```
    ///
    /// - **Emits** the number of items when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is counted.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// assert_eq!(aqueduct_operators::iter(["a", "b"]).count().await, 2);
    /// # });
    /// ```
    pub fn count(self) -> Count<S> {
        Count { flow: self, items: 0 }
    }
}

/// The future behind [`Flow::count`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Count<S> {
    #[pin]
    flow: Flow<S>,
    items: u64,
}

impl<S: Stage> Future for Count<S> {
    type Output = u64;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let this = self.project();
        let mut items = *this.items;
        let drained = this.flow.poll_each(cx, |_| items += 1);
        *this.items = items;
        drained.map(|()| items)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Virtual, empty, from_future};

    #[test]
    fn items_are_counted_over_all_polls() {
        let flow = timetable([(1, 'a'), (1, 'b'), (4, 'c')], 6);
        assert_eq!(Virtual::new().run(flow.count()), 3);
        assert_eq!(Virtual::new().run(empty::<u8>().count()), 0);
    }

    marbles!(count, |input| input.count());

    specification!(count, |input| input.count(), |input| {
        Timeline::new([(input.end, input.events.len() as u64)], input.end)
    });

    conformance!(count, |input| {
        from_future(input.count())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
