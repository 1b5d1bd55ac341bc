//! `map_chunk`: a function of slices.

use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::Collector;
use super::ready_chunks::{Gathered, gather};
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Hands the items that are ready to `f`, a slice of up to `max` at a time, and emits what it
    /// pushes for them.
    ///
    /// ```text
    /// in   --(123)-------4--|
    /// out  --(149)-------x--|    map_chunk(2, squares)
    /// where  x = 16
    /// ```
    ///
    /// For work that is cheaper for many items than for each alone. Where a slice ends depends on
    /// which items are ready, so **the result must not**: `f` answers each item by itself, or by a
    /// state of its own that goes on from one slice to the next. It may push at most one item for
    /// each item of the slice.
    ///
    /// - **Emits** what `f` pushes, in that order, without delay.
    /// - **Backpressures** when downstream does; nothing is taken before all that the slice made is
    ///   out.
    /// - **Ends** when the input has ended and what the last slice made is out.
    /// - **On error**: an error is an item here. A panic in `f`, or pushing more than the slice
    ///   has, comes out of the poll; the flow has ended then.
    /// - **Holds** `max` items, as a slice within one poll or as what was made of it.
    /// - **Cost**: no allocation once the two buffers have grown; a clock read in each turn and
    ///   every 1,024 items (see [`Budget`]).
    ///
    /// # Panics
    ///
    /// If `max` is zero.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let scaled = aqueduct_operators::iter(1..=4).map_chunk(64, |prices, out| {
    ///     prices.iter().for_each(|price| out.push(price * 100));
    /// });
    /// assert_eq!(scaled.collect::<Vec<_>>().await, [100, 200, 300, 400]);
    /// # });
    /// ```
    #[doc(alias("map_chunks", "map_batch"))]
    #[track_caller]
    pub fn map_chunk<U, F>(self, max: usize, f: F) -> Flow<MapChunk<S, U, F>>
    where
        F: FnMut(&[S::Item], &mut Collector<U>),
    {
        let site = Location::caller();
        let Some(max) = NonZeroUsize::new(max) else {
            panic!("map_chunk: the maximum must not be zero, at {site}")
        };
        Flow::from_stage(MapChunk {
            input: Some(self.into_stage()),
            max,
            f,
            slice: Vec::new(),
            made: Collector::new("map_chunk", max, site),
            budget: Budget::new(),
            site,
        })
    }
}

/// The stage behind [`Flow::map_chunk`].
#[pin_project]
#[derive(Debug)]
pub struct MapChunk<S: Stage, U, F> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    max: NonZeroUsize,
    f: F,
    /// Empty between two polls.
    slice: Vec<S::Item>,
    made: Collector<U>,
    /// While there are slices, that the input gives way does not show.
    budget: Budget,
    site: Site,
}

impl<S: Stage, U, F: FnMut(&[S::Item], &mut Collector<U>)> MapChunk<S, U, F> {
    /// Makes what it can of the items that are ready. Ready with whether that is all there will
    /// be; only called when nothing that was made waits.
    fn poll_make(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<bool> {
        let mut this = self.project();
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(true);
        };
        let gathered = gather(input, this.slice, *this.max, this.budget, cx);
        if gathered == Gathered::End {
            this.input.set(None);
        }
        if this.slice.is_empty() {
            return if gathered == Gathered::End { Poll::Ready(true) } else { Poll::Pending };
        }
        this.made.allow(this.slice.len());
        (this.f)(this.slice, this.made);
        this.slice.clear();
        Poll::Ready(false)
    }
}

impl<S: Stage, U, F: FnMut(&[S::Item], &mut Collector<U>)> Stage for MapChunk<S, U, F> {
    type Item = U;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<U>> {
        loop {
            if let item @ Some(_) = self.as_mut().project().made.pop() {
                return Poll::Ready(item);
            }
            match self.as_mut().poll_make(cx) {
                Poll::Ready(false) => {}
                Poll::Ready(true) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(U) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            let this = self.as_mut().project();
            while let Some(item) = this.made.pop() {
                if let broke @ ControlFlow::Break(_) = each(item) {
                    return Poll::Ready(broke);
                }
            }
            match self.as_mut().poll_make(cx) {
                Poll::Ready(false) => {}
                Poll::Ready(true) => return Poll::Ready(ControlFlow::Continue(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let most = self.input.as_ref().map_or(Some(0), |input| input.size_hint().1);
        let made = self.made.len();
        (made, most.and_then(|most| most.checked_add(made)))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline
            .stage("map_chunk", self.site)
            .parameter("max", self.max)
            .holds(Bound::Items(self.max.get()));
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{
        Timeline, Tracked, conformance, every_way, items, marbles, specification, timeline,
        timetable,
    };
    use crate::transform::Collector;
    use crate::{Flow, Stage, iter};

    fn odd_squares(slice: &[u32], out: &mut Collector<u32>) {
        slice.iter().filter(|x| *x % 2 == 1).for_each(|x| out.push(x * x));
    }

    #[test]
    fn where_a_slice_ends_does_not_show() {
        for max in [1, 2, 3, 100] {
            let flow = || iter(1..=7).map_chunk(max, odd_squares);
            assert_eq!(every_way(flow), [1, 9, 25, 49]);
        }
    }

    #[test]
    fn nothing_waits_for_a_slice_to_be_full() {
        let flow = timetable([(1, 1), (1, 3), (4, 5)], 9).map_chunk(100, odd_squares);
        assert_eq!(timeline(flow), (vec![(1, 1), (1, 9), (4, 25)], 9));
    }

    #[test]
    fn a_slice_that_makes_nothing_does_not_end_the_flow() {
        assert_eq!(every_way(|| iter([2, 4, 3]).map_chunk(2, odd_squares)), [9]);
    }

    #[test]
    fn slices_are_no_longer_than_they_may_be() {
        let lens = |slice: &[u32], out: &mut Collector<usize>| out.push(slice.len());
        assert_eq!(items(iter(0..5).map_chunk(2, lens)), [2, 2, 1]);
    }

    fn twice(n: u32) -> Flow<impl Stage<Item = u32>> {
        iter(0..n).map_chunk(9, |slice: &[u32], out: &mut Collector<u32>| {
            slice.iter().for_each(|x| {
                out.push(*x);
                out.push(*x);
            })
        })
    }

    #[test]
    #[should_panic(expected = "map_chunk: more was made than there is room for (3), at operators")]
    fn more_than_one_item_for_an_item_is_a_panic_that_names_the_place() {
        items(twice(3));
    }

    #[test]
    #[should_panic(expected = "map_chunk: the maximum must not be zero, at operators/src/transfo")]
    fn a_maximum_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).map_chunk(0, odd_squares);
    }

    marbles!(map_chunk, |input: u32| input.map_chunk(
        2,
        |slice: &[u32], out: &mut Collector<u32>| {
            slice.iter().for_each(|x| out.push(x * x));
        }
    ));

    specification!(
        map_chunk,
        |input| input.map_chunk(3, |slice: &[u8], out: &mut Collector<u8>| {
            slice.iter().filter(|x| *x % 2 == 0).for_each(|x| out.push(*x));
        }),
        |input| Timeline::new(input.events.into_iter().filter(|(_, x)| x % 2 == 0), input.end),
    );

    conformance!(map_chunk, |input| input.map_chunk(
        3,
        |slice: &[Tracked], out: &mut Collector<_>| {
            slice.iter().for_each(|x| out.push(x.value()));
        }
    ));
}
