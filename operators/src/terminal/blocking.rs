//! `blocking`: a flow for code that is not async.

use std::fmt;
use std::future::poll_fn;
use std::iter::FusedIterator;
use std::panic::Location;
use std::pin::Pin;

use tokio::runtime::{Builder, Runtime};

use crate::{Ambient, Flow, Stage};

impl<S: Stage> Flow<S> {
    /// The flow as an iterator, which blocks its thread until the next item is there.
    ///
    /// ```text
    /// in    --a-b-----c--|
    /// next  --a-b-----c--None
    /// ```
    ///
    /// It brings an event loop of its own, on the live clock, which runs only inside of `next`:
    /// between two calls nothing moves, tasks of a [`hop`](Self::hop) neither.
    ///
    /// Blocking an event loop would stop everything that runs on it, and this flow for ever if it
    /// waits for something there. So it refuses: see below. A worker thread of
    /// [`Ambient::offload`] may block.
    ///
    /// - **Emits** the next item for each call of `next`.
    /// - **Backpressures** between calls: nothing is asked for then.
    /// - **Ends** when the input ends; `next` gives `None` from then on.
    /// - **On error**: an error is an item here; a panic comes out of `next`, and the flow has
    ///   ended then.
    /// - **Holds** nothing.
    /// - **Cost**: two allocations and an event loop at construction; for an item, a turn of that.
    ///
    /// # Panics
    ///
    /// In `next`, on a thread that polls tasks of tokio or a run of [`Virtual`](crate::Virtual).
    /// Other executors cannot be recognised. At construction, if the operating system refuses
    /// what an event loop needs.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # use std::time::Duration;
    /// let late = iter([1, 2, 3]).delay(Duration::from_millis(1), 8).blocking();
    /// assert_eq!(late.sum::<i32>(), 6);
    /// ```
    #[doc(alias("to_iterable", "to_enumerable", "to_stream", "block_first", "block_on"))]
    #[track_caller]
    pub fn blocking(self) -> Blocking<S> {
        let runtime = match Builder::new_current_thread().enable_time().build() {
            Ok(runtime) => runtime,
            Err(error) => panic!("blocking: no event loop: {error}, at {}", Location::caller()),
        };
        Blocking { flow: Box::pin(self), runtime: Some(runtime) }
    }
}

/// The iterator behind [`Flow::blocking`].
pub struct Blocking<S> {
    flow: Pin<Box<Flow<S>>>,
    /// `None` only while this is dropped.
    runtime: Option<Runtime>,
}

impl<S: Stage> fmt::Debug for Blocking<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").field("left", &self.size_hint()).finish_non_exhaustive()
    }
}

impl<S: Stage> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        assert!(
            !Ambient::is_polling(),
            "blocking: this thread runs an event loop, which must not be blocked; use `next().await` \
             there, or move the loop to a worker with `Ambient::offload`"
        );
        let flow = &mut self.flow;
        let next = poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx));
        // Tokio refuses in the same way on a thread that polls one of its tasks.
        self.runtime.as_ref()?.block_on(next)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        Stage::size_hint(&*self.flow)
    }
}

impl<S: Stage> FusedIterator for Blocking<S> {}

impl<S> Drop for Blocking<S> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The ordinary drop of a runtime waits for its blocking jobs, and panics where waiting
            // is forbidden, which is where `next` has just refused.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use crate::testing::ms;
    use crate::{Overflow, Virtual, iter};

    fn refusal(run: impl FnOnce()) -> String {
        let panic = catch_unwind(AssertUnwindSafe(run)).unwrap_err();
        let text = panic.downcast_ref::<String>().cloned();
        text.or(panic.downcast_ref::<&str>().map(|text| text.to_string())).unwrap()
    }

    #[test]
    fn the_items_come_out_of_an_iterator_and_so_do_those_of_other_tasks() {
        let flow = iter(0..100).delay(ms(1), 100).hop(8, Overflow::Block);
        assert!(flow.blocking().eq(0..100));
        let mut twice = iter([1]).blocking();
        assert_eq!((twice.size_hint(), twice.next()), ((1, Some(1)), Some(1)));
        assert_eq!((twice.next(), twice.next()), (None, None));
    }

    #[test]
    fn it_refuses_to_block_an_event_loop() {
        let in_virtual_time = refusal(|| {
            Virtual::new().run(async { iter([1]).blocking().for_each(drop) });
        });
        assert!(in_virtual_time.starts_with("blocking: this thread runs"), "{in_virtual_time}");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let in_tokio = refusal(|| runtime.block_on(async { iter([1]).blocking().for_each(drop) }));
        assert!(in_tokio.contains("Cannot start a runtime from within a runtime"), "{in_tokio}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_worker_thread_may_block() {
        let job = crate::Ambient::current().offload(|| iter([1, 2]).blocking().sum::<i32>());
        assert_eq!(job.await, 3);
    }
}
