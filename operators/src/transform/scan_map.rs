//! `scan_map` and `scan_map_with_end`: a state that items change, and an output of its own.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Lets each item change a state, and emits what `f` makes of the two, if anything.
    ///
    /// ```text
    /// in   --3--1--4----|
    /// out  --3-----4----|    scan_map(0, new_highs)
    /// ```
    ///
    /// The state is `f`'s own and never comes out; it is dropped when the input ends. To use it
    /// for a last item, see [`scan_map_with_end`](Self::scan_map_with_end).
    ///
    /// - **Emits** `x` when `f` gives `Some(x)`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and resets nothing. A panic in `f` comes out of
    ///   the poll; the flow has ended then.
    /// - **Holds** the state, no item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let highs = aqueduct_operators::iter([3, 1, 4]).scan_map(0, |high, price| {
    ///     (price > *high).then(|| {
    ///         *high = price;
    ///         price
    ///     })
    /// });
    /// assert_eq!(highs.collect::<Vec<_>>().await, [3, 4]);
    /// # });
    /// ```
    #[doc(alias("stateful_map", "map_accumulate", "map_accum", "handle"))]
    #[track_caller]
    pub fn scan_map<St, F, U>(self, state: St, f: F) -> Flow<ScanMap<S, St, F, NoEnd<St, U>>>
    where
        F: FnMut(&mut St, S::Item) -> Option<U>,
    {
        Flow::from_stage(ScanMap {
            input: self.into_stage(),
            tail: Some((state, (|_| None) as NoEnd<St, U>)),
            f,
            name: "scan_map",
            site: Location::caller(),
        })
    }

    /// As [`scan_map`](Self::scan_map), and gives the state to `on_end` for one more item.
    ///
    /// ```text
    /// in     --a--b--c----|
    /// out    -----x-------(c|)    scan_map_with_end(None, pairs, rest)
    /// where  x = ab
    /// ```
    ///
    /// - **Emits** `x` when `f` gives `Some(x)`, in the same poll, and when `on_end` does.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and what `on_end` made is out.
    /// - **On error**: an error is an item here and resets nothing. A panic in `f` or `on_end`
    ///   comes out of the poll; the flow has ended then, and `on_end` is not called any more.
    /// - **Holds** the state, no item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let sums = aqueduct_operators::iter([40, 70, 5]).scan_map_with_end(
    ///     0,
    ///     |sum, volume| {
    ///         *sum += volume;
    ///         (*sum >= 100).then(|| std::mem::take(sum))
    ///     },
    ///     |rest| (rest > 0).then_some(rest),
    /// );
    /// assert_eq!(sums.collect::<Vec<_>>().await, [110, 5]);
    /// # });
    /// ```
    #[doc(alias("stateful_map", "map_accumulate", "map_accum"))]
    #[track_caller]
    pub fn scan_map_with_end<St, F, E, U>(
        self,
        state: St,
        f: F,
        on_end: E,
    ) -> Flow<ScanMap<S, St, F, E>>
    where
        F: FnMut(&mut St, S::Item) -> Option<U>,
        E: FnOnce(St) -> Option<U>,
    {
        Flow::from_stage(ScanMap {
            input: self.into_stage(),
            tail: Some((state, on_end)),
            f,
            name: "scan_map_with_end",
            site: Location::caller(),
        })
    }
}

/// In the place of `on_end` where there is none.
pub type NoEnd<St, U> = fn(St) -> Option<U>;

/// The stage behind [`Flow::scan_map`] and [`Flow::scan_map_with_end`].
#[pin_project]
#[derive(Debug)]
pub struct ScanMap<S, St, F, E> {
    #[pin]
    input: S,
    /// The state, and what makes the last item of it; `None` once the input has ended.
    tail: Option<(St, E)>,
    f: F,
    name: &'static str,
    site: Site,
}

impl<S, St, F, E, U> Stage for ScanMap<S, St, F, E>
where
    S: Stage,
    F: FnMut(&mut St, S::Item) -> Option<U>,
    E: FnOnce(St) -> Option<U>,
{
    type Item = U;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<U>> {
        let mut this = self.project();
        let Some((state, _)) = this.tail else {
            return Poll::Ready(None);
        };
        while let Some(item) = ready!(this.input.as_mut().poll_next(cx)) {
            if let made @ Some(_) = (this.f)(state, item) {
                return Poll::Ready(made);
            }
        }
        Poll::Ready(this.tail.take().and_then(|(state, on_end)| on_end(state)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(U) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let Some((state, _)) = this.tail else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let f = this.f;
        let mut pass = |made| match made {
            Some(made) => each(made),
            None => ControlFlow::Continue(()),
        };
        let drained = this.input.poll_drain(cx, &mut |item| pass(f(state, item)));
        if let broke @ ControlFlow::Break(_) = ready!(drained) {
            return Poll::Ready(broke);
        }
        let last = this.tail.take().and_then(|(state, on_end)| on_end(state));
        Poll::Ready(pass(last))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let last = usize::from(self.tail.is_some());
        let most = self.input.size_hint().1;
        (0, most.and_then(|most| most.checked_add(last)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage(self.name, self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Tracked, conformance, every_way, items, marbles, specification};

    fn rising(high: &mut i32, x: i32) -> Option<i32> {
        (x > *high).then(|| {
            *high = x;
            x
        })
    }

    #[test]
    fn the_state_is_changed_in_place_and_not_every_item_gives_one() {
        let flow = || iter([3, 1, 4, 1, 5]).scan_map(0, rising);
        assert_eq!(every_way(flow), [3, 4, 5]);
    }

    #[test]
    fn the_end_makes_one_more_item_of_the_state() {
        let flow = || iter([3, 1, 4]).scan_map_with_end(0, rising, |high| Some(high * 100));
        assert_eq!(every_way(flow), [3, 4, 400]);
    }

    #[test]
    fn an_end_that_makes_nothing_ends_at_once() {
        let flow = || iter([3, 1, 4]).scan_map_with_end(0, rising, |_| None);
        assert_eq!(every_way(flow), [3, 4]);
    }

    #[test]
    fn an_empty_input_gives_the_seed_to_the_end() {
        assert_eq!(items(iter([]).scan_map_with_end(7, rising, Some)), [7]);
    }

    conformance!(scan_map, |input| {
        input.scan_map(0, |n, x| {
            *n += x.value();
            (*n % 2 == 0).then_some(x)
        })
    });
    conformance!(scan_map_with_end, |input| {
        let previous = |last: &mut Option<Tracked>, x: Tracked| {
            let _ = x.value();
            last.replace(x)
        };
        input.scan_map_with_end(None, previous, |last| last)
    }, except [
        DeclaredBound: "what the state holds is decided by the caller",
    ]);

    marbles!(scan_map, |input: i32| input.scan_map(0, rising));
    marbles!(scan_map_with_end, |input| {
        let pairs = |first: &mut Option<char>, second| match first.take() {
            Some(first) => Some(format!("{first}{second}")),
            None => {
                *first = Some(second);
                None
            }
        };
        input.scan_map_with_end(None, pairs, |rest| rest.map(String::from))
    });

    specification!(scan_map, at_any_pace, |input: i32| input.scan_map(0, rising), |input| {
        let mut high = 0;
        input.flat_map(|_, x| rising(&mut high, x))
    });
    specification!(
        scan_map_with_end,
        at_any_pace,
        |input: i32| input.scan_map_with_end(0, rising, |high| Some(-high)),
        |input| {
            let mut high = 0;
            let end = input.end;
            let mut output = input.flat_map(|_, x| rising(&mut high, x));
            output.events.push((end, -high));
            output
        }
    );
}
