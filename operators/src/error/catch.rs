//! `catch`: another flow from the first error on.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Goes on with the flow that `fallback` makes of the first error.
    ///
    /// ```text
    /// in        a-b-#
    /// fallback      --c--d|
    /// out       a-b---c--d|    catch(|_| fallback)
    /// ```
    ///
    /// The input is dropped before `fallback` is called. Only errors of the input are caught: a
    /// fallback that can fail itself has `Result`s as its items' type, one level further in. A flow
    /// that has begun cannot begin again: to go on with the input itself, as RxJS's selector can
    /// with its second argument, make it with [`retry_when`](crate::error::retry_when) and put this
    /// below it.
    ///
    /// - **Emits** the items of the input until its first error, then those of the fallback.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends without an error, or the fallback ends.
    /// - **On error**: the first one goes to `fallback`; what the input had after it is lost. A
    ///   panic in `fallback` comes out of the poll; the flow has ended then.
    /// - **Holds** what the fallback holds: its outline stands in the place of the input's once it
    ///   is made, and before that the bound is not known.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([Ok(7), Err("gap"), Ok(8)]).catch(|_| iter([0]));
    /// assert_eq!(prices.fold(1, |all, x| 10 * all + x).await, 170);
    /// # });
    /// ```
    #[doc(alias(
        "catch_error",
        "on_error_resume",
        "recover_with",
        "handle_error_with",
        "on_failure"
    ))]
    #[track_caller]
    pub fn catch<F, R>(self, fallback: F) -> Flow<Catch<S, F, R>>
    where
        F: FnOnce(E) -> Flow<R>,
        R: Stage<Item = T>,
    {
        Flow::from_stage(Catch {
            state: State::Input(self.into_stage()),
            fallback: Some(fallback),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::catch`].
#[pin_project]
#[derive(Debug)]
pub struct Catch<S, F, R> {
    #[pin]
    state: State<S, R>,
    fallback: Option<F>,
    site: Site,
}

#[pin_project(project = StateProjection)]
#[derive(Debug)]
enum State<S, R> {
    Input(#[pin] S),
    Fallback(#[pin] Flow<R>),
    /// The input is dropped and the fallback not made yet: it stays so only if that panics.
    Neither,
}

impl<S, F, R> Catch<S, F, R> {
    fn fall_back<E>(self: Pin<&mut Self>, error: E)
    where
        F: FnOnce(E) -> Flow<R>,
    {
        let mut this = self.project();
        this.state.set(State::Neither);
        if let Some(fallback) = this.fallback.take() {
            this.state.set(State::Fallback(fallback(error)));
        }
    }
}

/// Why the drain of the input broke.
enum Break<B, E> {
    Consumer(B),
    Error(E),
}

impl<S, F, R, T, E> Stage for Catch<S, F, R>
where
    S: Stage<Item = Result<T, E>>,
    F: FnOnce(E) -> Flow<R>,
    R: Stage<Item = T>,
{
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            match self.as_mut().project().state.project() {
                StateProjection::Input(input) => match ready!(input.poll_next(cx)) {
                    Some(Ok(item)) => return Poll::Ready(Some(item)),
                    Some(Err(error)) => self.as_mut().fall_back(error),
                    None => return Poll::Ready(None),
                },
                StateProjection::Fallback(fallback) => return Stage::poll_next(fallback, cx),
                StateProjection::Neither => return Poll::Ready(None),
            }
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            match self.as_mut().project().state.project() {
                StateProjection::Input(input) => {
                    let drained = input.poll_drain(cx, &mut |item| match item {
                        Ok(item) => each(item).map_break(Break::Consumer),
                        Err(error) => ControlFlow::Break(Break::Error(error)),
                    });
                    match ready!(drained) {
                        ControlFlow::Continue(()) => {
                            return Poll::Ready(ControlFlow::Continue(()));
                        }
                        ControlFlow::Break(Break::Consumer(value)) => {
                            return Poll::Ready(ControlFlow::Break(value));
                        }
                        ControlFlow::Break(Break::Error(error)) => self.as_mut().fall_back(error),
                    }
                }
                StateProjection::Fallback(fallback) => return fallback.poll_drain(cx, each),
                StateProjection::Neither => return Poll::Ready(ControlFlow::Continue(())),
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().state.project() {
            StateProjection::Input(input) => input.poll_progress(cx),
            StateProjection::Fallback(fallback) => fallback.poll_progress(cx),
            StateProjection::Neither => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.state {
            // The next item may be an error, and the fallback is not known yet.
            State::Input(_) => (0, None),
            State::Fallback(fallback) => Stage::size_hint(fallback),
            State::Neither => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        let bound = match &self.state {
            State::Input(input) => {
                input.describe(outline);
                // The fallback is not made.
                Bound::Unknown
            }
            State::Fallback(fallback) => {
                fallback.describe(outline);
                Bound::Items(0)
            }
            State::Neither => Bound::Items(0),
        };
        outline.stage("catch", self.site).holds(bound);
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::*;
    use crate::testing::{Timeline, specification};
    use crate::{Bound, Flow, Stage, Virtual, empty, iter};
    use futures::executor::block_on;
    use futures::{StreamExt, stream};
    use std::cell::Cell;

    #[test]
    fn the_fallback_made_of_the_error_takes_over() {
        let feed = [(1, Ok('a')), (2, Err('x')), (3, Ok('b'))];
        let flow = timetable(feed, 9).catch(|x| iter([x, 'y']));
        assert_eq!(timeline(flow), (vec![(1, 'a'), (2, 'x'), (2, 'y')], 2));
    }

    #[test]
    fn without_an_error_the_fallback_is_never_made() {
        let feed = iter([Ok::<_, ()>(1), Ok(2)]);
        let flow = feed.catch(|()| -> Flow<crate::source::Empty<i32>> { panic!("no error came") });
        assert_eq!(items(flow), [1, 2]);
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        let flow = iter([Ok(1), Err(5), Ok(2)]).catch(|x| iter(x..x + 2));
        assert_eq!(block_on(StreamExt::collect::<Vec<_>>(flow)), [1, 5, 6]);
    }

    #[test]
    fn the_input_is_dropped_before_the_fallback_is_made() {
        struct OnDrop<'a>(&'a Cell<bool>);
        impl Drop for OnDrop<'_> {
            fn drop(&mut self) {
                self.0.set(true);
            }
        }
        let dropped = Cell::new(false);
        let held = OnDrop(&dropped);
        let input = crate::flow(stream::iter([Err(())]).inspect(move |_| {
            let _held = &held;
        }));
        let flow = input.catch(|()| {
            assert!(dropped.get());
            empty::<i32>()
        });
        assert_eq!(items(flow), []);
    }

    #[test]
    fn the_outline_shows_the_fallback_once_it_is_made() {
        let mut flow = iter([Err(0), Ok(1)]).catch(|n| iter(n..9).pairwise().map(|pair| pair.0));
        assert_eq!(flow.outline().bound(), Bound::Unknown);
        Virtual::new().run(flow.next());
        assert_eq!(flow.outline().bound(), Bound::Items(1));
    }

    #[test]
    fn the_size_hint_promises_nothing_while_an_error_may_come() {
        let flow = iter([Err(3), Ok(1)]).catch(|n| iter(0..n));
        assert_eq!(flow.size_hint(), (0, None));
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(catch, |input: Result<char, String>, fallback| input.catch(|_| fallback));

    conformance!(catch, |input| input.map(checked).catch(|x| iter([x])), except [
        DeclaredBound: "an inner flow holds what its author decided",
    ]);

    specification!(catch, |a: Result<u8, u8>, b| a.catch(|_| b), |a, b| {
        let Some(failed) = a.events.iter().position(|(_, item)| item.is_err()) else {
            return a.map(|item| item.unwrap());
        };
        let at = a.events[failed].0;
        let before = a.events[..failed].iter().map(|(at, item)| (*at, item.unwrap()));
        // What the fallback had before its turn has waited.
        let after = b.events.iter().map(|(due, item)| (at.max(*due), *item));
        Timeline::new(before.chain(after), at.max(b.end))
    });
}
