//! `then`: an async function of each item, one at a time.

use std::future::Future;
use std::panic::Location;

use super::awaiting::{Await, Awaiting};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Replaces each item by what `f(item)` is ready with, one after the other.
    ///
    /// ```text
    /// in   --1----1--|
    /// out  ---1----1-|    then(one_ms_later)
    /// ```
    ///
    /// The next item is taken when the result of the one before has been. While a terminal is busy
    /// with an item, a future that was started goes on. For more than one at a time, see
    /// [`map_async`](Self::map_async).
    ///
    /// - **Emits** one item for each item, when its future is ready.
    /// - **Backpressures** while a future runs or its result waits.
    /// - **Ends** when the input has ended and the last result is out.
    /// - **On error**: an error is an item here; a panic in `f` or in a future comes out of the
    ///   poll, and the flow has ended then.
    /// - **Holds** 1 item, as a future or as a result.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let looked_up = aqueduct_operators::iter([1, 2, 3]).then(async |x| x * 10);
    /// assert_eq!(looked_up.fold(0, |sum, x| sum + x).await, 60);
    /// # });
    /// ```
    #[doc(alias("concat_map_single", "eval_map", "map_zio", "select_await", "and_then"))]
    #[track_caller]
    pub fn then<F, Fut>(self, f: F) -> Flow<Awaiting<S, Then<F>>>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future,
    {
        Flow::from_stage(Awaiting::new(self, Then(f), Location::caller()))
    }
}

/// What [`Flow::then`] awaits.
#[derive(Debug)]
pub struct Then<F>(F);

impl<T, F: FnMut(T) -> Fut, Fut: Future> Await<T> for Then<F> {
    type Future = Fut;
    type Out = Fut::Output;

    const KEEPS_ALL: bool = true;

    fn start(&mut self, item: T) -> Result<Fut, Fut::Output> {
        Ok((self.0)(item))
    }

    fn finish(&mut self, output: Fut::Output) -> Option<Fut::Output> {
        Some(output)
    }

    fn name(&self) -> &'static str {
        "then"
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::sync::Mutex;

    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Virtual, iter};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    #[test]
    fn results_come_in_order_and_one_future_runs_at_a_time() {
        let flow = timetable([(0, 5), (1, 1), (20, 2)], 30).then(async |millis| {
            sleep(millis).await;
            millis
        });
        assert_eq!(timeline(flow), (vec![(5, 5), (6, 1), (22, 2)], 30));
    }

    #[test]
    fn the_end_waits_for_the_last_result() {
        let flow = iter([3]).then(async |millis| sleep(millis).await);
        assert_eq!(timeline(flow), (vec![(3, ())], 3));
    }

    #[test]
    fn futures_that_are_ready_at_once_do_not_wait() {
        assert_eq!(every_way(|| iter(0..9).then(async |x| x)), Vec::from_iter(0..9));
    }

    #[test]
    fn a_future_goes_on_while_downstream_is_busy_and_no_other_is_started() {
        let (started, finished) = (Cell::new(0), Cell::new(0));
        let flow = iter(0..3).then(|_| {
            started.set(started.get() + 1);
            async {
                sleep(2).await;
                finished.set(finished.get() + 1);
            }
        });
        let mut flow = std::pin::pin!(flow);
        Virtual::new().run(async {
            use crate::Stage;
            use std::future::poll_fn;
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
            assert_eq!(started.get(), 0, "driving takes no item");
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
            poll_fn(|cx| flow.as_mut().poll_progress(cx)).await;
            assert_eq!((started.get(), finished.get()), (1, 1));
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_ready());
            assert_eq!((started.get(), finished.get()), (1, 1));
        });
    }

    #[test]
    fn futures_above_a_busy_one_are_not_frozen() {
        // The lower future waits for a lock that an upper one holds.
        let lock = Mutex::new(());
        let flow = iter(0..20)
            .map_async(4, async |x| {
                let _held = lock.lock().await;
                sleep(3).await;
                x
            })
            .then(async |x| {
                let _held = lock.lock().await;
                sleep(1).await;
                x
            });
        assert_eq!(items(flow), Vec::from_iter(0..20));
    }

    marbles!(then, |input| input.then(async |x| {
        sleep(1).await;
        x
    }));

    specification!(
        then,
        |input| input.then(async |x: u8| {
            sleep(u64::from(x % 3)).await;
            x
        }),
        |input| {
            let mut free = 0;
            let mut all = Timeline::new([], input.end);
            for (at, x) in input.events {
                free = free.max(at) + i64::from(x % 3);
                all.events.push((free, x));
            }
            all.end = all.end.max(free);
            all
        },
    );

    conformance!(then, |input| input.then(async |x| {
        sleep(u64::from(x.value() % 3)).await;
        x
    }), except [NoAllocation: "the sleep in each future has a queue of its own",]);
    conformance!(then_ready, |input| input.then(async |x| x));
}
