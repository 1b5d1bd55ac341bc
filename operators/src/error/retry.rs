//! A flow that starts again after an error.

use std::panic::Location;

use super::Backoff;
use super::attempts::Attempts;
use super::waits::Waits;
use crate::{Flow, Stage};

/// Runs the flow that `factory` makes, and after an error another one.
///
/// ```text
/// first   a-b-#
/// second        --c|
/// out     a-b-----c|    retry(Backoff::constant(2 ms), factory)
/// ```
///
/// A flow that has begun cannot be started again, so this is a source: it calls `factory` at the
/// first poll, and after each error once `backoff` has let enough time pass. The flow that failed
/// is dropped before the wait. Items that are out are not undone. To decide by the error, or to
/// wait for something else than time, see [`retry_when`](super::retry_when); to start again after
/// an end too, see [`restart`](super::restart).
///
/// - **Emits** the items of each attempt, as `Ok`.
/// - **Backpressures** when downstream does.
/// - **Ends** when an attempt ends without an error, or after the last error.
/// - **On error**: it starts again; the error after the last retry that `backoff` allows comes
///   out, and the flow has ended then. A panic in `factory` comes out of the poll.
/// - **Holds** what the flow of an attempt holds, whose outline stands in this one while it runs.
/// - **Cost**: no allocation; one clock read for the first item and one for the error of each
///   attempt, one timer operation for each wait.
///
/// ```
/// # use aqueduct_operators::{Virtual, iter, error::{Backoff, retry}};
/// # use std::time::Duration;
/// let mut attempts = 0;
/// let flow = retry(Backoff::constant(Duration::from_secs(1)).max_retries(5), || {
///     attempts += 1;
///     iter([Ok(attempts), if attempts < 3 { Err("lost") } else { Ok(0) }])
/// });
/// let sum = Virtual::new().run(flow.fold(0, |sum, item| sum + item.unwrap()));
/// assert_eq!(sum, 1 + 2 + 3);
/// ```
#[doc(alias("retry_backoff", "with_backoff", "reconnect"))]
#[track_caller]
pub fn retry<F, S, T, E>(backoff: Backoff, factory: F) -> Flow<Attempts<F, S, Waits<E>>>
where
    F: FnMut() -> Flow<S>,
    S: Stage<Item = Result<T, E>>,
{
    let plan = Waits::new("retry", backoff, false);
    Flow::from_stage(Attempts::new(factory, plan, Location::caller()))
}

#[cfg(test)]
mod tests {
    use super::super::attempts::one_retry;
    use super::{Backoff, retry};
    use crate::testing::{
        Tracked, conformance, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Clock, Flow, Stage, Virtual, iter};
    use futures::StreamExt;
    use futures::executor::block_on;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// A connection that brings an item after 1 ms and fails after `up` more.
    fn flaky(up: i64) -> Flow<impl Stage<Item = Result<char, char>>> {
        let start = Clock::current().now().as_millis();
        timetable([(start + 1, Ok('a')), (start + 1 + up, Err('x'))], 0)
    }

    #[test]
    fn it_starts_again_after_growing_waits_until_the_last_error_comes_out() {
        let backoff = Backoff::exponential(ms(10), 2.0, ms(1000)).max_retries(2);
        let expected =
            vec![(1, Ok('a')), (1 + 1 + 10 + 1, Ok('a')), (14 + 20 + 1, Ok('a')), (36, Err('x'))];
        assert_eq!(timeline(retry(backoff, || flaky(1))), (expected, 36));
    }

    #[test]
    fn without_a_wait_the_next_attempt_begins_in_the_same_poll() {
        let backoff = Backoff::constant(ms(0)).max_retries(2);
        let mut flow = pin!(retry(backoff, || iter([Err::<u8, _>('x')])));
        let poll = poll_fn(|cx| Poll::Ready(Stage::poll_next(flow.as_mut(), cx)));
        assert_eq!(Virtual::new().run(poll), Poll::Ready(Some(Err('x'))));
    }

    #[test]
    fn an_attempt_that_stayed_up_for_long_enough_resets_the_waits() {
        let backoff = Backoff::exponential(ms(10), 2.0, ms(1000)).max_retries(1);
        let mut ups = [50, 49, 1].into_iter();
        let flow = retry(backoff.reset_after(ms(50)), || flaky(ups.next().unwrap()));
        // The first attempt is healthy, the second is not and was the retry allowed.
        let expected = vec![(1, Ok('a')), (51 + 10 + 1, Ok('a')), (62 + 49, Err('x'))];
        assert_eq!(timeline(flow), (expected, 111));

        let mut ups = [1, 50, 1].into_iter();
        let flow = retry(backoff.reset_after(ms(50)), || flaky(ups.next().unwrap()));
        let expected = vec![(1, Ok('a')), (13, Ok('a')), (63 + 10 + 1, Ok('a')), (75, Err('x'))];
        assert_eq!(timeline(flow), (expected, 75));
    }

    #[test]
    fn an_end_without_an_error_is_the_end() {
        let mut runs = 0;
        let flow = retry(Backoff::constant(ms(1)), || {
            runs += 1;
            iter([Ok::<_, ()>(runs)])
        });
        assert_eq!(items(flow), [Ok(1)]);
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        let mut runs = 0;
        let backoff = Backoff::constant(ms(0)).max_retries(1);
        let flow = retry(backoff, || {
            runs += 1;
            iter([Ok(runs), Err('x'), Ok(9)])
        });
        let all = block_on(StreamExt::collect::<Vec<_>>(flow));
        assert_eq!(all, [Ok(1), Ok(2), Err('x')]);
    }

    #[test]
    fn no_retry_at_all_gives_the_first_error() {
        let flow = retry(Backoff::constant(ms(1)).max_retries(0), || iter([Err::<(), _>('x')]));
        assert_eq!(items(flow), [Err('x')]);
    }

    #[test]
    fn no_retry_begins_when_the_time_since_the_first_error_is_over() {
        let backoff = Backoff::constant(ms(10)).max_elapsed(ms(25));
        // Errors at 1, 12 and 23: the retries begin at 11 and 22, and the next one would at 33.
        let flow = retry(backoff, || flaky(0));
        assert_eq!(timeline(flow).1, 23);
    }

    #[test]
    fn the_wait_goes_on_while_downstream_is_busy() {
        let mut runs = 0;
        let flow = retry(Backoff::constant(ms(10)), || {
            runs += 1;
            iter([if runs == 1 { Err('x') } else { Ok(runs) }])
        });
        let mut flow = pin!(flow);
        Virtual::new().run(async {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
            poll_fn(|cx| flow.as_mut().poll_progress(cx)).await;
            assert_eq!(Clock::current().now().as_millis(), 10);
            let item = Stage::poll_next(flow.as_mut(), &mut cx);
            assert_eq!(item, Poll::Ready(Some(Ok(2))));
        });
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    conformance!(retry, |input| {
        let mut first = Some(input.map(checked));
        retry(Backoff::constant(ms(2)), move || match first.take() {
            Some(flow) => flow.boxed_local(),
            None => iter([]).boxed_local(),
        })
    }, except [
        NoSnooze: "a flow is not started before its turn, nor driven",
        DeclaredBound: "an inner flow holds what its author decided",
    ]);

    specification!(
        retry,
        |a: Result<u8, u8>, b: Result<u8, u8>| {
            let mut attempts = [a, b].into_iter();
            retry(Backoff::constant(ms(3)).max_retries(1), move || attempts.next().unwrap())
        },
        |a, b| one_retry(&a, &b, 3),
    );

    marbles!(retry, |first: Result<char, String>, second: Result<char, String>| {
        let mut attempts = [first, second].into_iter();
        retry(Backoff::constant(ms(2)), move || attempts.next().unwrap())
    });
}
