//! `try_for_each`: a closure that can fail, or an async body that can, for each item.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::bodies::Bodies;
use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and calls `f` with each item, until `f` fails.
    ///
    /// ```text
    /// in   --a--b----c--
    /// out  ----------(e|)    try_for_each(|x| if x == 'c' { Err(x) } else { Ok(()) })
    /// where  e = Err(c)
    /// ```
    ///
    /// Where the items are `Result`s themselves, `?` lets the first error of the input end the run.
    ///
    /// - **Emits** `Ok(())` when the input ends.
    /// - **Backpressures** never; `f` must not block.
    /// - **Ends** when the input ends, or when `f` fails, and drops the input then.
    /// - **On error**: the future gives the error of `f`. A panic in `f` comes out of the future,
    ///   which must not be polled again.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut sum = 0;
    /// let done = aqueduct_operators::iter(["1", "2", "x"]).try_for_each(|text| {
    ///     sum += text.parse::<u32>()?;
    ///     Ok::<_, std::num::ParseIntError>(())
    /// });
    /// assert!(done.await.is_err());
    /// assert_eq!(sum, 3);
    /// # });
    /// ```
    #[doc(alias("for_each_while", "run_foreach"))]
    pub fn try_for_each<E, F>(self, f: F) -> Decide<S, TryForEach<F>>
    where
        F: FnMut(S::Item) -> Result<(), E>,
    {
        Decide::new(self, "try_for_each", TryForEach { f })
    }

    /// Runs the flow and awaits `body` for each item, one item after the other, until one fails.
    ///
    /// ```text
    /// in    --a-b-----c--
    /// body  --[a ][b ][c ]
    /// out   --------------(e|)    try_for_each_async(body)
    /// where  e = Err(c)
    /// ```
    ///
    /// While a body is pending, work in flight above it goes on, as in
    /// [`for_each_async`](Self::for_each_async).
    ///
    /// - **Emits** `Ok(())` when the last body is ready.
    /// - **Backpressures** while a body is pending.
    /// - **Ends** when the input has ended and the last body is ready, or when a body fails, and
    ///   drops the input then.
    /// - **On error**: the future gives the error of the body. A panic in a body comes out of the
    ///   future.
    /// - **Holds** 1 item, in its body.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let done = aqueduct_operators::iter([1, 2, 3]).try_for_each_async(async |x| {
    ///     if x == 3 { Err("three") } else { Ok(()) }
    /// });
    /// assert_eq!(done.await, Err("three"));
    /// # });
    /// ```
    pub fn try_for_each_async<E, F, Fut>(self, body: F) -> TryForEachAsync<S, F, Fut>
    where
        F: FnMut(S::Item) -> Fut,
        Fut: Future<Output = Result<(), E>>,
    {
        TryForEachAsync { bodies: Some(Bodies::new(self, body)) }
    }
}

/// How [`Flow::try_for_each`] comes to its answer.
#[derive(Debug)]
pub struct TryForEach<F> {
    f: F,
}

impl<F> TryForEach<F> {
    pub(super) fn new(f: F) -> Self {
        Self { f }
    }
}

impl<T, E, F: FnMut(T) -> Result<(), E>> Answer<T> for TryForEach<F> {
    type Output = Result<(), E>;

    fn item(&mut self, item: T) -> ControlFlow<Result<(), E>> {
        match (self.f)(item) {
            Ok(()) => ControlFlow::Continue(()),
            failed => ControlFlow::Break(failed),
        }
    }

    fn end(self) -> Result<(), E> {
        Ok(())
    }
}

/// The future behind [`Flow::try_for_each_async`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct TryForEachAsync<S, F, Fut> {
    /// `None` once the future is over.
    #[pin]
    bodies: Option<Bodies<S, F, Fut>>,
}

impl<S, F, Fut, E> Future for TryForEachAsync<S, F, Fut>
where
    S: Stage,
    F: FnMut(S::Item) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), E>> {
        let mut this = self.project();
        let Some(mut bodies) = this.bodies.as_mut().as_pin_mut() else {
            panic!("try_for_each_async: polled again after it was over")
        };
        let outcome = loop {
            match ready!(bodies.as_mut().poll_body(cx)) {
                Some(Ok(())) => {}
                Some(Err(error)) => break Err(error),
                None => break Ok(()),
            }
        };
        this.bodies.set(None);
        Poll::Ready(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::rc::Rc;

    use crate::testing::{Timeline, conformance, marbles, ms, specification, timetable};
    use crate::{Clock, Virtual, from_future, iter, timer};

    #[test]
    fn it_stops_at_the_first_failure() {
        let mut seen = Vec::new();
        let (outcome, at) = Virtual::new().run(async {
            let flow = timetable([(1, 'a'), (2, 'b'), (3, 'c')], 9);
            let outcome = flow.try_for_each(|item| {
                seen.push(item);
                if item == 'b' { Err(item) } else { Ok(()) }
            });
            (outcome.await, Clock::current().now().as_millis())
        });
        assert_eq!((outcome, at, seen), (Err('b'), 2, vec!['a', 'b']));
        let fine = iter([1, 2]).try_for_each(|_| Ok::<_, ()>(()));
        assert_eq!(Virtual::new().run(fine), Ok(()));
    }

    #[test]
    fn async_bodies_run_one_at_a_time_until_one_fails() {
        let log = RefCell::new(Vec::new());
        let outcome = Virtual::new().run(iter(['a', 'b', 'c']).try_for_each_async(async |item| {
            iter([()]).delay(ms(5), 1).drain().await;
            log.borrow_mut().push((Clock::current().now().as_millis(), item));
            if item == 'b' { Err(item) } else { Ok(()) }
        }));
        assert_eq!((outcome, log.take()), (Err('b'), vec![(5, 'a'), (10, 'b')]));
        let fine = iter([1, 2]).try_for_each_async(async |_| Ok::<_, ()>(()));
        assert_eq!(Virtual::new().run(fine), Ok(()));
    }

    #[test]
    fn the_flow_is_dropped_with_the_failure_of_a_body() {
        let owned = Rc::new(());
        let inside = owned.clone();
        let flow = iter([1, 2]).inspect(move |_| _ = &inside);
        let mut failing = pin!(flow.try_for_each_async(async |_| Err(())));
        assert_eq!(Virtual::new().run(poll_fn(|cx| failing.as_mut().poll(cx))), Err(()));
        assert_eq!(Rc::strong_count(&owned), 1);
    }

    marbles!(try_for_each, |input| {
        input.try_for_each(|x| if x == 'c' { Err(x) } else { Ok(()) })
    });
    marbles!(try_for_each_async, |input| {
        input.try_for_each_async(async |x| {
            timer(ms(4)).drain().await;
            if x == 'c' { Err(x) } else { Ok(()) }
        })
    });

    specification!(
        try_for_each,
        |input| input.try_for_each(|x| if x > 2 { Err(x) } else { Ok(()) }),
        |input| -> Timeline<Result<(), u8>> {
            let failed = input.events.iter().find(|(_, x)| *x > 2);
            let at = failed.map_or(input.end, |(at, _)| *at);
            Timeline::new([(at, failed.map_or(Ok(()), |(_, x)| Err(*x)))], at)
        }
    );

    conformance!(try_for_each_async, |input| {
        from_future(input.try_for_each_async(async |x| {
            timer(ms(u64::from(x.value() % 3))).drain().await;
            if x.value() > 9 { Err(()) } else { Ok(()) }
        }))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
