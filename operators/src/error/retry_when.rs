//! A flow that starts again after an error if an async function says so.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::attempts::{Attempts, Next, Plan};
use crate::{Alarm, Flow, Node, Stage};

/// What follows an attempt that failed: see [`retry_when`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<E> {
    /// Another attempt, now.
    Retry,
    /// Another attempt after this time.
    RetryAfter(Duration),
    /// The end, without an error.
    End,
    /// The end, with this error.
    Fail(E),
}

/// Runs the flow that `factory` makes, and after an error does what `decide` says.
///
/// ```text
/// first   a-b-#
/// second        --c-#
/// out     a-b-----c-|    retry_when(decide, factory)
/// ```
///
/// `decide` gets the error and the number of the attempt that failed, from 1, and may wait for
/// whatever it likes: a token, a server that is up again, a signal. It owns the error and gives it
/// back to fail. For growing waits only, see [`retry`](super::retry).
///
/// It says in one function what RxJS says with `retry({ delay })` and `retryWhen`: an item of the
/// notifier is [`Decision::Retry`], its end is [`Decision::End`], its error [`Decision::Fail`].
/// The same goes for the second argument of its `catchError`, the input itself: a flow that has
/// begun cannot begin again, but `Retry` makes another one, and what `Fail` lets out a
/// [`catch`](Flow::catch) below can replace.
///
/// - **Emits** the items of each attempt, as `Ok`.
/// - **Backpressures** when downstream does; a decision goes on being made meanwhile.
/// - **Ends** when an attempt ends without an error, or when `decide` says so.
/// - **On error**: the attempt is dropped and `decide` is called. A panic in `decide` or `factory`
///   comes out of the poll.
/// - **Holds** what the flow of an attempt holds, whose outline stands in this one while it runs.
/// - **Cost**: no allocation; a clock read and a timer operation for a `RetryAfter`.
///
/// ```
/// # use aqueduct_operators::{Virtual, iter, error::{Decision, retry_when}};
/// let mut left = 3;
/// let flow = retry_when(
///     async |error, attempt| match error {
///         "lost" if attempt < 3 => Decision::Retry,
///         other => Decision::Fail(other),
///     },
///     || {
///         left -= 1;
///         iter([Ok(left), Err("lost")])
///     },
/// );
/// let all = Virtual::new().run(flow.collect::<Vec<_>>());
/// assert_eq!(all, [Ok(2), Ok(1), Ok(0), Err("lost")]);
/// ```
#[doc(alias("retry_until", "retry_if"))]
#[track_caller]
pub fn retry_when<D, Fut, F, S, T, E>(
    decide: D,
    factory: F,
) -> Flow<Attempts<F, S, Decides<D, Fut, E>>>
where
    D: FnMut(E, u64) -> Fut,
    Fut: Future<Output = Decision<E>>,
    F: FnMut() -> Flow<S>,
    S: Stage<Item = Result<T, E>>,
{
    let plan = Decides { decide, attempts: 0, deciding: None, decided: None, alarm: Alarm::new() };
    Flow::from_stage(Attempts::new(factory, plan, Location::caller()))
}

/// The plan of [`retry_when`].
#[pin_project]
pub struct Decides<D, Fut, E> {
    decide: D,
    /// How many have failed.
    attempts: u64,
    #[pin]
    deciding: Option<Fut>,
    decided: Option<Decision<E>>,
    /// Set while a decision to wait is waited for.
    alarm: Alarm,
}

impl<D, Fut, E> Plan for Decides<D, Fut, E>
where
    D: FnMut(E, u64) -> Fut,
    Fut: Future<Output = Decision<E>>,
{
    type Error = E;

    fn item_came(self: Pin<&mut Self>) {}

    fn failed(self: Pin<&mut Self>, error: E) {
        let mut this = self.project();
        *this.attempts += 1;
        this.deciding.set(Some((this.decide)(error, *this.attempts)));
    }

    fn ended(self: Pin<&mut Self>) -> bool {
        false
    }

    fn poll_decided(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(deciding) = this.deciding.as_mut().as_pin_mut() {
            let decision = ready!(deciding.poll(cx));
            this.deciding.set(None);
            if let Decision::RetryAfter(wait) = decision {
                let due = this.alarm.now() + wait;
                this.alarm.set(due);
            }
            *this.decided = Some(decision);
        }
        // Without a deadline there is nothing to wait for, or it has rung.
        if this.alarm.deadline().is_some() { this.alarm.poll(cx) } else { Poll::Ready(()) }
    }

    fn decision(self: Pin<&mut Self>) -> Next<E> {
        match self.project().decided.take() {
            Some(Decision::Retry | Decision::RetryAfter(_)) => Next::Attempt,
            Some(Decision::Fail(error)) => Next::Error(error),
            Some(Decision::End) | None => Next::End,
        }
    }

    fn name(&self) -> &'static str {
        "retry_when"
    }

    fn describe(&self, _: &mut Node) {}
}

impl<D, Fut, E> fmt::Debug for Decides<D, Fut, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decides")
            .field("attempts", &self.attempts)
            .field("deciding", &self.deciding.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::attempts::one_retry;
    use std::cell::RefCell;

    use super::{Decision, retry_when};
    use crate::testing::{
        Tracked, conformance, items, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Clock, Flow, Stage, iter};

    /// A connection that brings an item after 1 ms and fails after another.
    fn flaky() -> Flow<impl Stage<Item = Result<char, char>>> {
        let start = Clock::current().now().as_millis();
        timetable([(start + 1, Ok('a')), (start + 2, Err('x'))], 0)
    }

    #[test]
    fn a_decision_may_take_time_and_an_end_is_an_end() {
        let decide = async |_, attempt| {
            iter([()]).delay(ms(10 * attempt), 1).count().await;
            if attempt < 3 { Decision::Retry } else { Decision::End }
        };
        // Errors at 2, 14 and 36; the decisions take 10, 20 and 30.
        let expected = vec![(1, Ok('a')), (13, Ok('a')), (35, Ok('a'))];
        assert_eq!(timeline(retry_when(decide, flaky)), (expected, 66));
    }

    #[test]
    fn a_decision_may_be_to_wait() {
        let decide = async |error, attempt| match attempt {
            1 => Decision::RetryAfter(ms(10)),
            _ => Decision::Fail(error),
        };
        let expected = vec![(1, Ok('a')), (13, Ok('a')), (14, Err('x'))];
        assert_eq!(timeline(retry_when(decide, flaky)), (expected, 14));
    }

    #[test]
    fn a_wait_of_an_earlier_decision_does_not_hold_the_next_one_up() {
        let decide = async |_, attempt| match attempt {
            1 => Decision::RetryAfter(ms(10)),
            2 => Decision::Retry,
            _ => Decision::End,
        };
        let (items, end) = timeline(retry_when(decide, flaky));
        assert_eq!(
            (items.iter().map(|item| item.0).collect::<Vec<_>>(), end),
            (vec![1, 13, 15], 16)
        );
    }

    #[test]
    fn it_gets_the_error_and_the_number_of_the_attempt() {
        let seen = RefCell::new(Vec::new());
        let mut attempt = 0;
        let flow = retry_when(
            |error, number| {
                seen.borrow_mut().push((error, number));
                std::future::ready(Decision::Retry)
            },
            || {
                attempt += 1;
                iter([if attempt < 3 { Err(attempt) } else { Ok(attempt) }])
            },
        );
        assert_eq!(items(flow), [Ok(3)]);
        assert_eq!(seen.take(), [(1, 1), (2, 2)]);
    }

    #[test]
    fn another_flow_may_take_over_from_an_error_that_is_let_out() {
        let decide = async |error, attempt| match attempt {
            1 => Decision::Retry,
            _ => Decision::Fail(error),
        };
        let flow = retry_when(decide, || iter([Ok(1), Err('x')])).catch(|_| iter([2]));
        assert_eq!(items(flow), [1, 1, 2]);
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    conformance!(retry_when, |input| {
        let mut first = Some(input.map(checked));
        let decide = async |_, _| Decision::RetryAfter(ms(2));
        retry_when(decide, move || match first.take() {
            Some(flow) => flow.boxed_local(),
            None => iter([]).boxed_local(),
        })
    }, except [
        NoSnooze: "a flow is not started before its turn, nor driven",
        DeclaredBound: "an inner flow holds what its author decided",
    ]);

    specification!(
        retry_when,
        |a: Result<u8, u8>, b: Result<u8, u8>| {
            let mut attempts = [a, b].into_iter();
            let decide = async |error, attempt| match attempt {
                1 => Decision::RetryAfter(ms(3)),
                _ => Decision::Fail(error),
            };
            retry_when(decide, move || attempts.next().unwrap())
        },
        |a, b| one_retry(&a, &b, 3),
    );

    marbles!(retry_when, |first: Result<char, String>, second: Result<char, String>| {
        let mut attempts = [first, second].into_iter();
        let decide = async |_, attempt| match attempt {
            1 => Decision::RetryAfter(ms(2)),
            _ => Decision::End,
        };
        retry_when(decide, move || attempts.next().unwrap())
    });
}
