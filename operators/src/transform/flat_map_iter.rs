//! `flat_map_iter`: many items for each item, out of an iterator.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits everything that `f(item)` iterates over, one item's after the other's.
    ///
    /// ```text
    /// in   --2-----0--3----|
    /// out  --(ab)-----(abc)|    flat_map_iter(first_letters)
    /// ```
    ///
    /// The iterator is asked for an item only when downstream asks; it must not block.
    ///
    /// - **Emits** each item of each iterator.
    /// - **Backpressures** when downstream does, and takes no item before the iterator of the
    ///   previous one is through.
    /// - **Ends** when the input has ended and the last iterator is through.
    /// - **On error**: a panic in `f` or in an iterator comes out of the poll; the flow has ended
    ///   then.
    /// - **Holds** 1 iterator.
    /// - **Cost**: no allocation; a clock read in each turn and every 1,024 items, because one item
    ///   can make endless ones (see [`Budget`]).
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let words = aqueduct_operators::iter(["a b", "", "c"]).flat_map_iter(str::split_whitespace);
    /// assert_eq!(words.collect::<Vec<_>>().await, ["a", "b", "c"]);
    /// # });
    /// ```
    #[doc(alias("flat_map_iterable", "map_concat", "concat_map_iterable", "select_many"))]
    #[track_caller]
    pub fn flat_map_iter<F, I>(self, f: F) -> Flow<FlatMapIter<S, F, I::IntoIter>>
    where
        F: FnMut(S::Item) -> I,
        I: IntoIterator,
    {
        Flow::from_stage(FlatMapIter {
            input: self.into_stage(),
            f,
            current: None,
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::flat_map_iter`].
#[pin_project]
#[derive(Debug)]
pub struct FlatMapIter<S, F, I> {
    #[pin]
    input: S,
    f: F,
    /// The iterator of the last item, while it may have more.
    current: Option<I>,
    /// One unit for each call of an iterator, so that empty ones are counted too.
    budget: Budget,
    site: Site,
}

/// Why a drain of the input broke.
enum Stop<B> {
    Downstream(B),
    Spent,
}

impl<S, F, I> Stage for FlatMapIter<S, F, I::IntoIter>
where
    S: Stage,
    F: FnMut(S::Item) -> I,
    I: IntoIterator,
{
    type Item = I::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let mut this = self.project();
        loop {
            if let Some(current) = this.current {
                if !this.budget.spend(cx) {
                    return Poll::Pending;
                }
                if let item @ Some(_) = current.next() {
                    return Poll::Ready(item);
                }
                *this.current = None;
            }
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => *this.current = Some((this.f)(item).into_iter()),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => {
                    this.budget.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let (f, current) = (this.f, this.current);
        loop {
            let granted = this.budget.left(cx);
            if granted == 0 {
                return Poll::Pending;
            }
            let mut left = granted;
            let carried = current.take();
            // Takes from the iterator until it is through, and keeps it if it is not.
            let mut through = |mut items: I::IntoIter| {
                while left > 0 {
                    left -= 1;
                    let Some(item) = items.next() else {
                        return ControlFlow::Continue(());
                    };
                    if let ControlFlow::Break(value) = each(item) {
                        *current = Some(items);
                        return ControlFlow::Break(Stop::Downstream(value));
                    }
                }
                *current = Some(items);
                ControlFlow::Break(Stop::Spent)
            };
            let drained = match carried.map_or(ControlFlow::Continue(()), &mut through) {
                ControlFlow::Continue(()) => {
                    this.input.as_mut().poll_drain(cx, &mut |item| through(f(item).into_iter()))
                }
                broke @ ControlFlow::Break(_) => Poll::Ready(broke),
            };
            match drained {
                Poll::Ready(ControlFlow::Break(Stop::Spent)) => this.budget.used(granted),
                Poll::Ready(ControlFlow::Break(Stop::Downstream(value))) => {
                    this.budget.rest();
                    return Poll::Ready(ControlFlow::Break(value));
                }
                Poll::Ready(ControlFlow::Continue(())) => {
                    return Poll::Ready(ControlFlow::Continue(()));
                }
                Poll::Pending => {
                    this.budget.rest();
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = match &self.current {
            Some(current) => current.size_hint(),
            None => (0, Some(0)),
        };
        match self.input.size_hint() {
            (_, Some(0)) => (least, most),
            _ => (least, None),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("flat_map_iter", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::iter::repeat_n;
    use std::iter::{empty, repeat};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use crate::testing::{conformance, every_way, marbles, specification};
    use crate::{Flow, Stage, Virtual, iter};

    #[test]
    fn the_items_of_each_iterator_follow_one_another() {
        let flow = || iter([2, 0, 1, 0, 3]).flat_map_iter(|n| (0..n).map(move |i| (n, i)));
        let expected = [(2, 0), (2, 1), (1, 0), (3, 0), (3, 1), (3, 2)];
        assert_eq!(every_way(flow), expected);
    }

    #[test]
    fn one_item_may_make_more_than_a_slice_of_items() {
        let flow = || iter([3000, 2000]).flat_map_iter(|n| 0..n);
        assert!(every_way(flow).into_iter().eq((0..3000).chain(0..2000)));
    }

    fn yields<S: Stage<Item = u8>>(flow: Flow<S>) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        pin!(flow.count()).as_mut().poll(&mut cx).is_pending()
    }

    #[test]
    fn endless_iterators_share_the_event_loop() {
        Virtual::new().run(async {
            assert!(yields(iter([1]).flat_map_iter(repeat)));
            assert!(yields(iter(repeat(1)).flat_map_iter(|_| empty())));
            let mut pulled = pin!(iter(repeat(1)).flat_map_iter(|_| empty::<u8>()));
            let mut cx = Context::from_waker(Waker::noop());
            assert!(matches!(Stage::poll_next(pulled.as_mut(), &mut cx), Poll::Pending));
        });
    }

    conformance!(flat_map_iter, |input| {
        input.flat_map_iter(|x| repeat_n(x.clone(), x.value() as usize % 3))
    });
    conformance!(flat_map_iter_of_nothing, |input| input
        .flat_map_iter(|x| (x.value() == 0).then_some(x)));

    marbles!(flat_map_iter, |input: usize| input.flat_map_iter(|n| ('a'..='z').take(n)));

    specification!(
        flat_map_iter,
        at_any_pace,
        |input| input.flat_map_iter(|x| 0..x % 4),
        |input| input.flat_map(|_, x| 0..x % 4)
    );
}
