//! `and_then`: an async function of each item, which can fail.

use std::future::Future;
use std::panic::Location;

use crate::transform::{Await, Awaiting};
use crate::{Flow, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Replaces each `Ok(item)` by what `f(item)` is ready with, one after the other; errors pass.
    ///
    /// ```text
    /// in   --1----2----#
    /// out  ---1----2---#    and_then(one_ms_later)
    /// ```
    ///
    /// As [`then`](Self::then): the next item is taken when the result of the one before has been,
    /// and a future that was started goes on while downstream is busy.
    ///
    /// - **Emits** one item for each item, when its future is ready.
    /// - **Backpressures** while a future runs or its result waits.
    /// - **Ends** when the input has ended and the last result is out.
    /// - **On error**: it passes in its turn, and the flow goes on; so it does after one that a
    ///   future made. A panic in `f` or in a future comes out of the poll; the flow has ended then.
    /// - **Holds** 1 item, as a future or as a result.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let found = iter([Ok(1), Err("gap")]).and_then(async |id| Ok(10 * id));
    /// assert_eq!(found.collect::<Vec<_>>().await, [Ok(10), Err("gap")]);
    /// # });
    /// ```
    #[doc(alias("try_then", "flat_map_ok"))]
    #[track_caller]
    pub fn and_then<F, Fut, U>(self, f: F) -> Flow<Awaiting<S, AndThen<F>>>
    where
        F: FnMut(T) -> Fut,
        Fut: Future<Output = Result<U, E>>,
    {
        Flow::from_stage(Awaiting::new(self, AndThen(f), Location::caller()))
    }
}

/// What [`Flow::and_then`] awaits.
#[derive(Debug)]
pub struct AndThen<F>(F);

impl<T, E, U, F, Fut> Await<Result<T, E>> for AndThen<F>
where
    F: FnMut(T) -> Fut,
    Fut: Future<Output = Result<U, E>>,
{
    type Future = Fut;
    type Out = Result<U, E>;

    const KEEPS_ALL: bool = true;

    fn start(&mut self, item: Result<T, E>) -> Result<Fut, Self::Out> {
        item.map(&mut self.0).map_err(Err)
    }

    fn finish(&mut self, output: Self::Out) -> Option<Self::Out> {
        Some(output)
    }

    fn name(&self) -> &'static str {
        "and_then"
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{
        Timeline, Tracked, conformance, every_way, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Stage, iter};

    #[test]
    fn errors_pass_in_their_turn_and_results_may_be_errors() {
        let feed = [(0, Ok(3)), (1, Err('x')), (2, Ok(9)), (5, Ok(1))];
        let flow = timetable(feed, 20).and_then(async |millis| {
            iter([()]).delay(ms(millis), 1).count().await;
            if millis == 9 { Err('y') } else { Ok(millis) }
        });
        let expected = vec![(3, Ok(3)), (3, Err('x')), (12, Err('y')), (13, Ok(1))];
        assert_eq!(timeline(flow), (expected, 20));
    }

    #[test]
    fn futures_that_are_ready_at_once_do_not_wait() {
        let flow = || iter([Ok(1), Err('x'), Ok(2)]).and_then(async |x| Ok(2 * x));
        assert_eq!(every_way(flow), [Ok(2), Err('x'), Ok(4)]);
        assert_eq!(Stage::size_hint(&flow()), (3, Some(3)));
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    async fn later(x: u64) {
        iter([()]).delay(ms(x), 1).count().await;
    }

    marbles!(and_then, |input: Result<u32, String>| input.and_then(async |x| {
        later(1).await;
        Ok(x)
    }));

    conformance!(and_then, |input| input.map(checked).and_then(async |x| {
        later(u64::from(x.value() % 3)).await;
        if x.value() % 4 == 0 { Err(x) } else { Ok(x) }
    }), except [NoAllocation: "the sleep in each future has a queue of its own",]);

    specification!(
        and_then,
        |input: Result<u8, u8>| input.and_then(async |x: u8| {
            later(u64::from(x % 3)).await;
            if x % 3 == 2 { Err(x) } else { Ok(x) }
        }),
        |input| {
            let mut free = 0;
            let mut all = Timeline::new([], input.end);
            for (at, item) in input.events {
                free = free.max(at) + item.map_or(0, |x| i64::from(x % 3));
                all.events.push((free, item.and_then(|x| if x % 3 == 2 { Err(x) } else { Ok(x) })));
            }
            all.end = all.end.max(free);
            all
        },
    );
}
