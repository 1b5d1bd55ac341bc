//! `for_each`: a body for each item.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and calls `body` with each item.
    ///
    /// ```text
    /// in     --a--b----c--|
    /// body     a  b    c
    /// out    -------------(x|)    for_each(body)
    /// where  x = ()
    /// ```
    ///
    /// The body runs on the event loop and must not block; one that waits belongs in
    /// [`for_each_async`](Self::for_each_async).
    ///
    /// - **Emits** nothing; the future is ready when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `body` comes out of the future.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut lines = String::new();
    /// aqueduct_operators::iter([1, 2]).for_each(|x| lines += &format!("{x}\n")).await;
    /// assert_eq!(lines, "1\n2\n");
    /// # });
    /// ```
    #[doc(alias("subscribe", "run_foreach", "run_for_each", "each"))]
    pub fn for_each<F>(self, body: F) -> ForEach<S, F>
    where
        F: FnMut(S::Item),
    {
        ForEach { flow: self, body }
    }
}

/// The future behind [`Flow::for_each`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct ForEach<S, F> {
    #[pin]
    flow: Flow<S>,
    body: F,
}

impl<S: Stage, F: FnMut(S::Item)> Future for ForEach<S, F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        this.flow.poll_each(cx, this.body)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future};

    #[test]
    fn the_body_runs_for_each_item_when_it_comes() {
        let mut log = Vec::new();
        let flow = timetable([(1, 'a'), (4, 'b')], 6);
        let run = flow.for_each(|item| log.push((Clock::current().now().as_millis(), item)));
        Virtual::new().run(run);
        assert_eq!(log, [(1, 'a'), (4, 'b')]);
    }

    marbles!(for_each, |input| input.for_each(|_| {}));

    specification!(for_each, |input| input.for_each(|_| {}), |input| {
        Timeline::new([(input.end, ())], input.end)
    });

    conformance!(for_each, |input| {
        from_future(input.for_each(|x| _ = x.value()))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
