//! A flow that starts again whenever it is over.

use std::panic::Location;

use super::Backoff;
use super::attempts::Attempts;
use super::waits::Waits;
use crate::{Flow, Stage};

/// Runs the flow that `factory` makes, and another one when that has failed or ended.
///
/// ```text
/// first   a-b-#
/// second        --c|
/// third              d-e-
/// out     a-b-----c--d-e-    restart(Backoff::constant(2 ms), factory)
/// ```
///
/// For a feed that should never be over: a connection that the other side closes properly is as
/// little wanted as one that breaks. As with [`retry`](super::retry), what is over is dropped
/// before the wait, so that each attempt begins with a fresh state, and the wait grows from one
/// attempt to the next until one of them was [healthy](Backoff::reset_after).
///
/// When `backoff` allows no more, the flow ends, after the error if the last attempt had one; give
/// it [`max_retries_within`](Backoff::max_retries_within), so that an attempt which dies at once
/// is not repeated for ever. To stop it from outside, put a
/// [`take_until`](Flow::take_until) below: it drops the attempt that runs, and ends a wait.
///
/// - **Emits** the items of each attempt, as `Ok`.
/// - **Backpressures** when downstream does.
/// - **Ends** when `backoff` allows no other attempt.
/// - **On error**: it starts again; the error of the last attempt comes out. The others are
///   dropped: an [`inspect`](Flow::inspect) within `factory` sees them. A panic in `factory` comes
///   out of the poll.
/// - **Holds** what the flow of an attempt holds, whose outline stands in this one while it runs.
/// - **Cost**: no allocation; one clock read for the first item and one for the end of each
///   attempt, one timer operation for each wait.
///
/// ```
/// # use aqueduct_operators::{Virtual, iter, error::{Backoff, restart}};
/// # use std::time::Duration;
/// let mut attempts = 0;
/// let backoff = Backoff::constant(Duration::from_secs(1)).max_retries(2);
/// let flow = restart(backoff, || {
///     attempts += 1;
///     iter([Ok::<_, ()>(attempts)])
/// });
/// let sum = Virtual::new().run(flow.fold(0, |sum, item| sum + item.unwrap()));
/// assert_eq!(sum, 1 + 2 + 3);
/// ```
#[doc(alias("restart_source", "with_backoff", "reconnect", "repeat_when", "supervise"))]
#[track_caller]
pub fn restart<F, S, T, E>(backoff: Backoff, factory: F) -> Flow<Attempts<F, S, Waits<E>>>
where
    F: FnMut() -> Flow<S>,
    S: Stage<Item = Result<T, E>>,
{
    let plan = Waits::new("restart", backoff, true);
    Flow::from_stage(Attempts::new(factory, plan, Location::caller()))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use super::{Backoff, restart};
    use crate::testing::{
        Timeline, Tracked, conformance, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Alarm, Bound, Flow, Stage, Timestamp, Virtual, iter};

    /// An attempt that brings an item after 1 ms and is over after `up` more.
    fn attempt(up: i64, error: Option<char>) -> Flow<impl Stage<Item = Result<char, char>>> {
        let start = crate::Clock::current().now().as_millis();
        let error = error.map(|error| (start + 1 + up, Err(error)));
        timetable([(start + 1, Ok('a'))].into_iter().chain(error), start + 1 + up)
    }

    #[test]
    fn it_starts_again_after_an_end_as_after_an_error() {
        let mut errors = [None, Some('x'), None].into_iter();
        let backoff = Backoff::exponential(ms(10), 2.0, ms(1000)).max_retries(2);
        let flow = restart(backoff, || attempt(1, errors.next().unwrap()));
        // The waits are 10 and 20.
        let expected = vec![(1, Ok('a')), (13, Ok('a')), (35, Ok('a'))];
        assert_eq!(timeline(flow), (expected, 36));
    }

    #[test]
    fn the_error_of_the_last_attempt_comes_out() {
        let backoff = Backoff::constant(ms(0)).max_retries(1);
        let flow = restart(backoff, || iter([Ok(1), Err('x'), Ok(9)]));
        assert_eq!(items(flow), [Ok(1), Ok(1), Err('x')]);
    }

    #[test]
    fn too_many_within_a_time_are_the_end_and_fewer_are_not() {
        let backoff = Backoff::constant(ms(1)).max_retries_within(3, ms(100));
        // Each attempt takes 2 ms and the wait one more: retries at 2, 5, 8, and none at 11.
        assert_eq!(timeline(restart(backoff, || attempt(1, None))).1, 11);
        // Three in 100 ms are never reached with one in 41.
        let flow = restart(backoff, || attempt(39, None)).take(50);
        assert_eq!(items(flow).len(), 50);
    }

    #[test]
    fn a_signal_stops_it_in_an_attempt_and_in_a_wait() {
        async fn at(millis: i64) {
            let mut alarm = Alarm::new();
            alarm.set(Timestamp::from_millis(millis));
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
        }
        let flow = || restart(Backoff::constant(ms(50)), || attempt(9, None));
        assert_eq!(timeline(flow().take_until(at(5))), (vec![(1, Ok('a'))], 5));
        assert_eq!(timeline(flow().take_until(at(30))), (vec![(1, Ok('a'))], 30));
    }

    #[test]
    fn an_attempt_is_dropped_before_the_wait() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let mut first = Some(owned);
        let flow = restart(Backoff::constant(Duration::from_secs(3600)), move || {
            let owned = first.take();
            iter([Ok::<_, ()>(1)]).map(move |item| (item, &owned).0)
        });
        let mut flow = std::pin::pin!(flow);
        Virtual::new().run(async {
            flow.next().await;
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
            assert_eq!(watch.strong_count(), 0);
        });
    }

    #[test]
    fn the_outline_shows_the_attempt_that_runs() {
        let attempt = || iter(vec![Ok::<_, ()>(1); 9]).pairwise().map(|(a, _)| a);
        let mut flow = restart(Backoff::constant(ms(0)), attempt);
        assert_eq!(flow.outline().bound(), Bound::Unknown);
        Virtual::new().run(flow.next());
        assert_eq!(flow.outline().bound(), Bound::Items(1));
        assert!(flow.outline().to_string().contains("pairwise"));
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    conformance!(restart, |input| {
        let mut first = Some(input.map(checked));
        restart(Backoff::constant(ms(2)).max_retries(2), move || match first.take() {
            Some(flow) => flow.boxed_local(),
            None => iter([]).boxed_local(),
        })
    }, except [
        NoSnooze: "a flow is not started before its turn, nor driven",
        DeclaredBound: "an inner flow holds what its author decided",
    ]);

    specification!(
        restart,
        |a: Result<u8, u8>, b: Result<u8, u8>| {
            let mut attempts = [a, b].into_iter();
            restart(Backoff::constant(ms(3)).max_retries(1), move || attempts.next().unwrap())
        },
        |a, b| {
            let over = a.events.iter().position(|(_, item)| item.is_err());
            let (len, end) = over.map_or((a.events.len(), a.end), |at| (at, a.events[at].0));
            let mut all = Timeline::new(a.events[..len].iter().copied(), end);

            let since = end + 3;
            for (at, item) in b.events {
                all.events.push((since.max(at), item));
                if item.is_err() {
                    all.end = since.max(at);
                    return all;
                }
            }
            all.end = since.max(b.end);
            all
        },
    );

    marbles!(restart, |first: Result<char, String>,
                       second: Result<char, String>,
                       third: Result<char, String>| {
        let mut attempts = [first, second, third].into_iter();
        restart(Backoff::constant(ms(2)), move || attempts.next().unwrap())
    });
}
