//! A flow that starts again after an error.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::Backoff;
use crate::{Alarm, Bound, Budget, Flow, Outline, Site, Stage, Timestamp};

/// Runs the flow that `factory` makes, and after an error another one.
///
/// ```text
/// 1st  a-b-x
/// 2nd        --x
/// 3rd                c-d|
/// out  a-b-----------c-d|    retry(backoff, factory)
/// ```
///
/// A flow that has begun cannot be started again, so this is a source: it calls `factory` at the
/// first poll, and after each error once `backoff` has let enough time pass. The flow that failed
/// is dropped before the wait. Items that are out are not undone.
///
/// - **Emits** the items of each attempt, as `Ok`.
/// - **Backpressures** when downstream does.
/// - **Ends** when an attempt ends without an error, or after the last error.
/// - **On error**: it starts again; the error after the last retry that `backoff` allows comes
///   out, and the flow has ended then. A panic in `factory` comes out of the poll.
/// - **Holds** what the flow of an attempt holds.
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
#[doc(alias("retry_when", "retry_backoff", "with_backoff", "reconnect"))]
#[track_caller]
pub fn retry<F, S, T, E>(backoff: Backoff, factory: F) -> Flow<Retry<F, S>>
where
    F: FnMut() -> Flow<S>,
    S: Stage<Item = Result<T, E>>,
{
    Flow::from_stage(Retry {
        attempt: None,
        factory,
        plan: Plan { backoff, row: 0, drawn: 0, up_since: None, alarm: Alarm::new() },
        ended: false,
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`retry`].
#[pin_project]
#[derive(Debug)]
pub struct Retry<F, S> {
    /// `None` before the first attempt, between two, and after the last.
    #[pin]
    attempt: Option<Flow<S>>,
    factory: F,
    plan: Plan,
    ended: bool,
    /// Attempts that fail at once and are retried at once would never return.
    budget: Budget,
    site: Site,
}

#[derive(Debug)]
struct Plan {
    backoff: Backoff,
    /// Retries since the last healthy attempt, and of all.
    row: u64,
    drawn: u64,
    /// When the first item of the attempt came.
    up_since: Option<Timestamp>,
    /// Set from an error until the next attempt.
    alarm: Alarm,
}

impl Plan {
    fn item_came(&mut self) {
        if self.up_since.is_none() {
            self.up_since = Some(self.alarm.now());
        }
    }

    /// Sets the alarm to the next attempt. `false`: there is none.
    fn failed(&mut self) -> bool {
        let now = self.alarm.now();
        let healthy = |since| now - since >= self.backoff.min_uptime();
        if self.up_since.take().is_some_and(healthy) {
            self.row = 0;
        }
        let Some(wait) = self.backoff.wait(self.row, self.drawn) else {
            return false;
        };
        self.row += 1;
        self.drawn += 1;
        self.alarm.set(now + wait);
        true
    }
}

impl<F: FnMut() -> Flow<S>, S> Retry<F, S> {
    /// Ready with whether there is an attempt to poll; if not, the flow is over.
    fn poll_attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut this = self.project();
        if *this.ended {
            return Poll::Ready(false);
        }
        if this.attempt.is_none() {
            if this.plan.alarm.deadline().is_some() {
                ready!(this.plan.alarm.poll(cx));
            }
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            this.attempt.set(Some((this.factory)()));
        }
        Poll::Ready(true)
    }

    /// Drops the attempt that failed. Gives the error back if it was the last.
    fn failed<E>(self: Pin<&mut Self>, error: E) -> Option<E> {
        let mut this = self.project();
        this.attempt.set(None);
        *this.ended = !this.plan.failed();
        this.ended.then_some(error)
    }

    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.attempt.set(None);
        *this.ended = true;
    }
}

/// Why the drain of an attempt broke.
enum Break<B, E> {
    Consumer(B),
    Error(E),
}

impl<F, S, T, E> Stage for Retry<F, S>
where
    F: FnMut() -> Flow<S>,
    S: Stage<Item = Result<T, E>>,
{
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        while ready!(self.as_mut().poll_attempt(cx)) {
            let this = self.as_mut().project();
            let (Some(attempt), plan) = (this.attempt.as_pin_mut(), this.plan) else {
                break;
            };
            match ready!(Stage::poll_next(attempt, cx)) {
                Some(Ok(item)) => {
                    plan.item_came();
                    return Poll::Ready(Some(Ok(item)));
                }
                Some(Err(error)) => {
                    if let Some(last) = self.as_mut().failed(error) {
                        return Poll::Ready(Some(Err(last)));
                    }
                }
                None => self.as_mut().end(),
            }
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        while ready!(self.as_mut().poll_attempt(cx)) {
            let this = self.as_mut().project();
            let (Some(attempt), plan) = (this.attempt.as_pin_mut(), this.plan) else {
                break;
            };
            let drained = attempt.poll_drain(cx, &mut |item| match item {
                Ok(item) => {
                    plan.item_came();
                    each(Ok(item)).map_break(Break::Consumer)
                }
                Err(error) => ControlFlow::Break(Break::Error(error)),
            });
            match ready!(drained) {
                ControlFlow::Break(Break::Consumer(value)) => {
                    return Poll::Ready(ControlFlow::Break(value));
                }
                ControlFlow::Break(Break::Error(error)) => {
                    if let Some(last) = self.as_mut().failed(error)
                        && let broke @ ControlFlow::Break(_) = each(Err(last))
                    {
                        return Poll::Ready(broke);
                    }
                }
                ControlFlow::Continue(()) => self.as_mut().end(),
            }
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().attempt.as_pin_mut() {
            Some(attempt) => attempt.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, if self.ended { Some(0) } else { None })
    }

    fn describe(&self, outline: &mut Outline) {
        outline
            .stage("retry", self.site)
            .parameter("backoff", self.plan.backoff)
            .holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use super::{Backoff, retry};
    use crate::testing::{items, ms, timeline, timetable};
    use crate::{Flow, Stage, iter};
    use futures::StreamExt;
    use futures::executor::block_on;

    /// A connection that brings an item after 1 ms and fails after `up` more.
    fn flaky(up: i64) -> Flow<impl Stage<Item = Result<char, char>>> {
        let start = crate::Clock::current().now().as_millis();
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
}
