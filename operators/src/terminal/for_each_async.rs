//! `for_each_async`: an async body for each item, one at a time.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and awaits `body` for each item, one item after the other.
    ///
    /// ```text
    /// in    --a-b-----|
    /// body  --[a ][b ]
    /// ```
    ///
    /// While a body is pending, work in flight above it goes on: futures of a `map_async` are
    /// polled, a `buffer` fills. Nothing that a body waits for can be frozen by the body itself.
    ///
    /// - **Emits** nothing; the future is ready when the last body is.
    /// - **Backpressures** while a body is pending.
    /// - **Ends** when the input has ended and the last body is ready.
    /// - **On error**: a panic in a body comes out of the future.
    /// - **Holds** 1 item, in its body.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (tx, mut rx) = tokio::sync::mpsc::channel(4);
    /// let tx = &tx;
    /// aqueduct_operators::iter([1, 2]).for_each_async(async |x| tx.send(x).await.unwrap()).await;
    /// assert_eq!(rx.recv().await, Some(1));
    /// # });
    /// ```
    #[doc(alias("subscribe", "run_foreach_async"))]
    pub fn for_each_async<F, Fut>(self, body: F) -> ForEachAsync<S, F, Fut>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future<Output = ()>,
    {
        ForEachAsync { flow: self, body, running: None }
    }
}

/// The future behind [`Flow::for_each_async`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct ForEachAsync<S, F, Fut> {
    #[pin]
    flow: Flow<S>,
    body: F,
    #[pin]
    running: Option<Fut>,
}

impl<S, F, Fut> Future for ForEachAsync<S, F, Fut>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = ()>,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            if let Some(running) = this.running.as_mut().as_pin_mut() {
                if running.poll(cx).is_pending() {
                    // Both register the waker; only the body decides when to go on.
                    let _ = this.flow.as_mut().poll_progress(cx);
                    return Poll::Pending;
                }
                this.running.set(None);
            }
            match ready!(Stage::poll_next(this.flow.as_mut(), cx)) {
                Some(item) => this.running.set(Some((this.body)(item))),
                None => return Poll::Ready(()),
            }
        }
    }
}
