//! `with_background`: another flow that runs as long as this one.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Runs `background` beside this flow, drops its items, and drops it when this flow ends.
    ///
    /// ```text
    /// in          a---b---c|
    /// background  --x--y---z--
    /// out         a---b---c|    with_background(background)
    /// ```
    ///
    /// For what has to happen while the flow runs: heartbeats to the server that feeds it, a timer
    /// that refreshes a token, `bools.inspect(|open| gate.set(*open))` for a
    /// [`gate`](Self::gate). It runs in the same task: whenever the flow is polled it goes first,
    /// as long as it has something ready and its slice lasts (see [`Budget`](crate::Budget)), and
    /// it goes on while the consumer is busy.
    ///
    /// - **Emits** the items of the input.
    /// - **Backpressures** when downstream does; the background goes on.
    /// - **Ends** when the input ends. That the background ends changes nothing; it is dropped
    ///   then.
    /// - **On error**: an error of the input is an item here, one of the background is dropped: see
    ///   [`try_with_background`](Self::try_with_background).
    /// - **Holds** nothing.
    /// - **Cost**: a poll of the background for each poll; no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([101, 102]).with_background(iter(0..10).map(|n| println!("beat {n}")));
    /// assert_eq!(prices.count().await, 2);
    /// # });
    /// ```
    #[doc(alias("concurrently", "drain_fork", "launch_in", "keep_alive_with"))]
    #[track_caller]
    pub fn with_background<O: Stage>(self, background: Flow<O>) -> Flow<WithBackground<S, O>> {
        Flow::from_stage(WithBackground::new(self, background, |_| None, "with_background"))
    }
}

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// [`with_background`](Self::with_background) that an error of `background` ends.
    ///
    /// ```text
    /// in          a---b---c|
    /// background  --x--y#
    /// out         a---b-#    try_with_background(background)
    /// ```
    ///
    /// - **Emits** the items of the input, and at the end the error of the background.
    /// - **Backpressures** when downstream does; the background goes on.
    /// - **Ends** when the input ends, or after the first error of the background; both are
    ///   dropped in the poll that finds it.
    /// - **On error**: an error of the input is an item here and does not end it.
    /// - **Holds** the error, if the consumer was busy when it came.
    /// - **Cost**: that of [`with_background`](Self::with_background).
    ///
    /// ```
    /// # use aqueduct_operators::{iter, once};
    /// # futures::executor::block_on(async {
    /// let login = once(Err::<(), _>("expired"));
    /// let prices = iter([Ok(101), Ok(102)]).try_with_background(login);
    /// assert_eq!(prices.collect::<Vec<_>>().await, [Err("expired")]);
    /// # });
    /// ```
    #[track_caller]
    pub fn try_with_background<O, U>(self, background: Flow<O>) -> Flow<WithBackground<S, O>>
    where
        O: Stage<Item = Result<U, E>>,
    {
        let failure = |item: Result<U, E>| item.err().map(Err);
        Flow::from_stage(WithBackground::new(self, background, failure, "try_with_background"))
    }
}

/// The stage behind [`Flow::with_background`] and [`Flow::try_with_background`].
#[pin_project]
#[derive(Debug)]
pub struct WithBackground<S: Stage, O: Stage> {
    /// `None` once the whole has ended.
    #[pin]
    input: Option<S>,
    /// `None` once it has ended.
    #[pin]
    background: Option<O>,
    /// The last item of the whole, if this item of the background ends it.
    failure: fn(O::Item) -> Option<S::Item>,
    failed: Option<S::Item>,
    name: &'static str,
    site: Site,
}

impl<S: Stage, O: Stage> WithBackground<S, O> {
    #[track_caller]
    fn new(
        input: Flow<S>,
        background: Flow<O>,
        failure: fn(O::Item) -> Option<S::Item>,
        name: &'static str,
    ) -> Self {
        Self {
            input: Some(input.into_stage()),
            background: Some(background.into_stage()),
            failure,
            failed: None,
            name,
            site: Location::caller(),
        }
    }

    /// Runs the background as far as it goes. Ready if it is over.
    fn run(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(background) = this.background.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let drained = background.poll_drain(cx, &mut |item| match (this.failure)(item) {
            Some(failure) => ControlFlow::Break(failure),
            None => ControlFlow::Continue(()),
        });
        let Poll::Ready(over) = drained else {
            return Poll::Pending;
        };
        this.background.set(None);
        if let ControlFlow::Break(failure) = over {
            *this.failed = Some(failure);
            this.input.set(None);
        }
        Poll::Ready(())
    }

    /// After the end of the input.
    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.input.set(None);
        this.background.set(None);
    }
}

impl<S: Stage, O: Stage> Stage for WithBackground<S, O> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let _ = self.as_mut().run(cx);
        let this = self.as_mut().project();
        let Some(input) = this.input.as_pin_mut() else {
            return Poll::Ready(this.failed.take());
        };
        let polled = input.poll_next(cx);
        if let Poll::Ready(None) = polled {
            self.end();
        }
        polled
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let _ = self.as_mut().run(cx);
        let this = self.as_mut().project();
        let Some(input) = this.input.as_pin_mut() else {
            return Poll::Ready(this.failed.take().map_or(ControlFlow::Continue(()), each));
        };
        let drained = input.poll_drain(cx, each);
        if let Poll::Ready(ControlFlow::Continue(())) = drained {
            self.end();
        }
        drained
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let background = self.as_mut().run(cx);
        let above = match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        };
        if background.is_pending() { background } else { above }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.input {
            None => {
                let failed = usize::from(self.failed.is_some());
                (failed, Some(failed))
            }
            // An error may come after the items, or instead of them.
            Some(input) if self.background.is_some() => {
                (0, input.size_hint().1.and_then(|most| most.checked_add(1)))
            }
            Some(input) => input.size_hint(),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        let inputs =
            [self.input.as_ref().map(Outline::of), self.background.as_ref().map(Outline::of)];
        outline
            .join(self.name, self.site, inputs.into_iter().flatten())
            .holds(Bound::Items(usize::from(self.name == "try_with_background")));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use std::cell::Cell;

    use crate::testing::{
        HALF, Timeline, conformance, items, marbles, ms, specification, timetable,
    };
    use crate::{Clock, Virtual, iter, never};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).count().await;
    }

    fn now() -> i64 {
        Clock::current().now().as_millis()
    }

    #[test]
    fn the_background_runs_while_the_consumer_is_busy_and_ends_with_the_input() {
        let beats = RefCell::new(Vec::new());
        let background = timetable((0..9).map(|n| (4 * n, n)), 99).inspect(|n| {
            beats.borrow_mut().push((now(), *n));
        });
        let flow = timetable([(1, 'a'), (2, 'b')], 3).with_background(background);
        Virtual::new().run(flow.for_each_async(async |_| sleep(7).await));
        assert_eq!(beats.take(), [(0, 0), (4, 1), (8, 2), (12, 3)]);
    }

    #[test]
    fn the_background_is_dropped_when_the_input_ends() {
        let alive = Rc::new(());
        let guard = alive.clone();
        let background = never::<u8>().map(move |x| (x, guard.clone()).0);
        let mut flow = iter([1]).with_background(background);
        Virtual::new().run(async {
            assert_eq!(flow.next().await, Some(1));
            assert_eq!(flow.next().await, None);
        });
        assert_eq!(Rc::strong_count(&alive), 1);
    }

    #[test]
    fn an_error_of_the_background_comes_out_though_the_consumer_was_busy() {
        let background = timetable([(3, Ok(())), (5, Err('x')), (6, Err('y'))], 7);
        let flow = timetable([(1, Ok(1)), (4, Ok(2))], 20).try_with_background(background);
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(flow.for_each_async(async |item| {
            seen.borrow_mut().push((now(), item));
            sleep(10).await;
        }));
        assert_eq!(seen.take(), [(1, Ok(1)), (11, Err('x'))]);
    }

    #[test]
    fn an_endless_background_lets_the_input_run() {
        let flow = iter(0..3_000).with_background(iter(0..));
        assert_eq!(items(flow).len(), 3_000);
    }

    conformance!(with_background, |input, other| input.with_background(other));
    conformance!(try_with_background, |input, other| {
        input
            .map(|x| Ok(x.value()))
            .try_with_background(other.map(|x| if x.value() == 7 { Err(()) } else { Ok(()) }))
    }, except [
        Invariance: "items that are ready beside the error may come before it or not at all",
    ]);
    marbles!(
        try_with_background,
        |input: Result<char, String>, background: Result<char, String>| {
            input.try_with_background(background)
        }
    );
    // The background goes half a millisecond later, so that no two things happen at one instant.
    specification!(
        with_background,
        |input, other| {
            let ran = Rc::new(Cell::new(0));
            let count = ran.clone();
            let background = other.delay(HALF, 1_000).inspect(move |_| count.set(count.get() + 1));
            input.with_background(background).map(move |x| (x, ran.get()))
        },
        |input, other| input.flat_map(|now, x| {
            let ran = other.events.iter().filter(|(at, _)| *at < now).count();
            Some((x, ran))
        })
    );
    specification!(
        try_with_background,
        |input: Result<u8, u8>, other: Result<u8, u8>| {
            input.try_with_background(other.delay(HALF, 1_000))
        },
        |input: Result<u8, u8>, other: Result<u8, u8>| -> Timeline<_> {
            let mut errors = other.events.into_iter().filter(|(_, x)| x.is_err());
            let Some((at, error)) = errors.next().filter(|(at, _)| *at < input.end) else {
                return input;
            };
            let before = input.events.into_iter().take_while(|(time, _)| *time <= at);
            Timeline::new(before.chain([(at, error)]), at)
        }
    );
    marbles!(with_background, |input, background| input.with_background(background));
}
