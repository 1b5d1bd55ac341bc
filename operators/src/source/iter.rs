//! Any iterator as a flow.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Budget, Flow, Outline, Site, Stage};

/// A flow over anything that iterates, one item for each that is asked for.
///
/// ```text
/// out  (abc|)    iter(['a', 'b', 'c'])
/// ```
///
/// It shares the event loop: see [`Budget`]. The iterator itself must not block. A range of
/// numbers is an iterator too: `iter(0..10)`.
///
/// - **Emits** an item whenever one is asked for.
/// - **Backpressures** when downstream does: the iterator is asked only when an item is.
/// - **Ends** when the iterator does, which is dropped then.
/// - **On error**: an error is an item here. A panic of the iterator comes out of the poll; the
///   flow has ended then.
/// - **Holds** nothing beside the iterator.
/// - **Cost**: no allocation; a clock read in each long turn and every 1,024 items.
///
/// ```
/// # futures::executor::block_on(async {
/// let squares = aqueduct_operators::iter(1..4).map(|x| x * x);
/// assert_eq!(squares.fold(0, |sum, x| sum + x).await, 14);
/// # });
/// ```
#[doc(alias("from_iter", "from_iterable", "from_array", "of", "just", "range", "flow_of"))]
#[track_caller]
pub fn iter<I: IntoIterator>(items: I) -> Flow<Iter<I::IntoIter>> {
    Iter::over(items.into_iter(), "iter", Location::caller())
}

/// The stage behind [`iter`], and behind the sources that are an iterator of their own.
#[derive(Debug)]
pub struct Iter<I> {
    /// `None` once it has ended.
    items: Option<I>,
    budget: Budget,
    name: &'static str,
    site: Site,
}

impl<I: Iterator> Iter<I> {
    /// The source `name`, which is this iterator.
    pub(super) fn over(items: I, name: &'static str, site: Site) -> Flow<Self> {
        Flow::from_stage(Self { items: Some(items), budget: Budget::new(), name, site })
    }
}

// The iterator is never pinned.
impl<I> Unpin for Iter<I> {}

impl<I: Iterator> Stage for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let this = &mut *self;
        let Some(items) = &mut this.items else {
            return Poll::Ready(None);
        };
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        let item = items.next();
        if item.is_none() {
            this.items = None;
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = &mut *self;
        let Some(items) = &mut this.items else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        // It may be asked once more after its end, below.
        let mut items = items.fuse();
        loop {
            let granted = this.budget.left(cx);
            if granted == 0 {
                return Poll::Pending;
            }
            // One loop from the iterator through every closure below: this is what LLVM sees.
            let flow = items.by_ref().take(granted).try_for_each(&mut *each);
            if let ControlFlow::Break(_) = flow {
                this.budget.interrupt();
                return Poll::Ready(flow);
            }
            this.budget.used(granted);
            // Whether `take` was cut short shows only here; the item belongs to the next grant.
            match items.next() {
                None => {
                    this.items = None;
                    return Poll::Ready(ControlFlow::Continue(()));
                }
                Some(item) => {
                    if let broke @ ControlFlow::Break(_) = each(item) {
                        this.budget.interrupt();
                        return Poll::Ready(broke);
                    }
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let items = self.items.as_ref();
        items.map_or((0, Some(0)), Iterator::size_hint)
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage(self.name, self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake};

    use super::*;
    use crate::Virtual;
    use crate::testing::{Timeline, every_way, marbles, specification};

    #[test]
    fn the_items_come_in_order_over_many_slices() {
        assert!(every_way(|| iter(0..5_000)).into_iter().eq(0..5_000));
    }

    /// Starts over after its end.
    struct NotFused(u8);

    impl Iterator for NotFused {
        type Item = u8;

        fn next(&mut self) -> Option<u8> {
            self.0 += 1;
            (!self.0.is_multiple_of(3)).then_some(self.0)
        }
    }

    #[test]
    fn an_iterator_is_not_asked_again_after_its_end() {
        assert_eq!(every_way(|| iter(NotFused(0))), [1, 2]);
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn after_the_end_every_poll_ends_at_once_and_wakes_nobody() {
        let wakes = Arc::new(Wakes::default());
        let waker = wakes.clone().into();
        let mut cx = Context::from_waker(&waker);
        Virtual::new().run(async {
            let mut stage = pin!(iter([1]).into_stage());
            assert_eq!(stage.as_mut().poll_next(&mut cx), Poll::Ready(Some(1)));
            for _ in 0..3_000 {
                assert_eq!(stage.as_mut().poll_next(&mut cx), Poll::Ready(None));
                let drained = stage.as_mut().poll_drain(&mut cx, &mut ControlFlow::Break);
                assert_eq!(drained, Poll::Ready(ControlFlow::Continue(())));
            }
        });
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    }

    marbles!(iter, || super::iter(['a', 'b', 'c']));

    specification!(iter, at_any_pace, || super::iter(0..9), || Timeline::new(
        (0..9).map(|x| (0, x)),
        0
    ));
}
