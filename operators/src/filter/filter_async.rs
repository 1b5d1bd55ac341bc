//! `filter_async`: only the items for which an async predicate says `true`.

use std::future::Future;
use std::panic::Location;

use crate::transform::{Await, Awaiting};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Lets pass the items for which the future of `keep` is ready with `true`, one after the
    /// other.
    ///
    /// ```text
    /// in   --1--2--3--4--|
    /// out  ------2-----4-|    filter_async(even_after_one_ms)
    /// ```
    ///
    /// The future cannot borrow the item, which waits beside it: `keep` gives it what it needs. It
    /// goes on while downstream is busy.
    ///
    /// - **Emits** an item when its future is ready with `true`.
    /// - **Backpressures** while a future runs or the item that it kept waits.
    /// - **Ends** when the input has ended and the last future is ready.
    /// - **On error**: an error is an item here; a panic in `keep` or in a future comes out of the
    ///   poll, and the flow has ended then.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// async fn known(id: u32) -> bool { id < 3 }
    /// let flow = aqueduct_operators::iter(1..9).filter_async(|id| known(*id));
    /// assert_eq!(flow.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("filter_when", "eval_filter", "filter_zio", "where_await"))]
    #[track_caller]
    pub fn filter_async<F, Fut>(self, keep: F) -> Flow<Awaiting<S, FilterAsync<S::Item, F>>>
    where
        F: FnMut(&S::Item) -> Fut,
        Fut: Future<Output = bool>,
    {
        let step = FilterAsync { keep, item: None };
        Flow::from_stage(Awaiting::new(self, step, Location::caller()))
    }
}

/// What [`Flow::filter_async`] awaits.
#[derive(Debug)]
pub struct FilterAsync<T, F> {
    keep: F,
    /// While its future runs.
    item: Option<T>,
}

impl<T, F, Fut> Await<T> for FilterAsync<T, F>
where
    F: FnMut(&T) -> Fut,
    Fut: Future<Output = bool>,
{
    type Future = Fut;
    type Out = T;

    const KEEPS_ALL: bool = false;

    fn start(&mut self, item: T) -> Result<Fut, T> {
        Ok((self.keep)(self.item.insert(item)))
    }

    fn finish(&mut self, keep: bool) -> Option<T> {
        self.item.take().filter(|_| keep)
    }

    fn name(&self) -> &'static str {
        "filter_async"
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{
        Timeline, conformance, every_way, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Stage, iter};

    #[test]
    fn items_pass_when_their_future_says_so() {
        let flow = timetable([(0, 1), (1, 2), (9, 4)], 20).filter_async(|x| {
            let even = x % 2 == 0;
            async move {
                iter([()]).delay(ms(2), 1).count().await;
                even
            }
        });
        assert_eq!(timeline(flow), (vec![(4, 2), (11, 4)], 20));
    }

    #[test]
    fn futures_that_are_ready_at_once_do_not_wait() {
        let flow = || iter(0..9).filter_async(|x| std::future::ready(x % 3 == 0));
        assert_eq!(every_way(flow), [0, 3, 6]);
        assert_eq!(Stage::size_hint(&flow()), (0, Some(9)));
    }

    async fn even_after_one_ms(x: u32) -> bool {
        iter([()]).delay(ms(1), 1).count().await;
        x.is_multiple_of(2)
    }

    marbles!(filter_async, |input: u32| input.filter_async(|x| even_after_one_ms(*x)));

    conformance!(filter_async, |input| input.filter_async(|x| even_after_one_ms(x.value())), except [NoAllocation: "the sleep in each future has a queue of its own",]);
    conformance!(filter_async_ready, |input| {
        input.filter_async(|x| std::future::ready(x.value() % 2 == 0))
    });

    specification!(
        filter_async,
        |input| input.filter_async(|x: &u8| even_after_one_ms(u32::from(*x))),
        |input| {
            let mut free = 0;
            let mut all = Timeline::new([], input.end);
            for (at, x) in input.events {
                free = free.max(at) + 1;
                if x % 2 == 0 {
                    all.events.push((free, x));
                }
            }
            all.end = all.end.max(free);
            all
        },
    );
}
