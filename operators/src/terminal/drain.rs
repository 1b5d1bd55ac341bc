//! `drain`: run to the end for the effects alone.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow to its end and discards the items.
    ///
    /// ```text
    /// in     --a--b----c--|
    /// out    -------------(x|)    drain()
    /// where  x = ()
    /// ```
    ///
    /// - **Emits** nothing; the future is ready when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is discarded too.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut seen = 0;
    /// aqueduct_operators::iter(["a", "b"]).inspect(|_| seen += 1).drain().await;
    /// assert_eq!(seen, 2);
    /// # });
    /// ```
    #[doc(alias("ignore_elements", "ignore_items", "run_drain", "ignore", "then"))]
    pub fn drain(self) -> Drain<S> {
        Drain { flow: self }
    }
}

/// The future behind [`Flow::drain`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Drain<S> {
    #[pin]
    flow: Flow<S>,
}

impl<S: Stage> Future for Drain<S> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().flow.poll_each(cx, drop)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future};

    #[test]
    fn it_runs_to_the_end_of_the_flow() {
        let end = Virtual::new().run(async {
            timetable([(1, 'a'), (4, 'b')], 6).drain().await;
            Clock::current().now().as_millis()
        });
        assert_eq!(end, 6);
    }

    marbles!(drain, |input| input.drain());

    specification!(drain, |input| input.drain(), |input| {
        Timeline::new([(input.end, ())], input.end)
    });

    conformance!(drain, |input| {
        from_future(input.drain())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
