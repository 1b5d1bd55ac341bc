//! Any iterator as a flow.

use std::iter::Fuse;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::{Budget, Flow, Outline, Site, Stage};

/// A flow over anything that iterates, one item for each that is asked for.
///
/// It shares the event loop: see [`Budget`]. The iterator itself must not block.
///
/// ```
/// # futures::executor::block_on(async {
/// let squares = aqueduct_operators::iter(1..4).map(|x| x * x);
/// assert_eq!(squares.fold(0, |sum, x| sum + x).await, 14);
/// # });
/// ```
#[doc(alias("from_iter", "fromIterable", "from_iterable", "of", "just"))]
#[track_caller]
pub fn iter<I: IntoIterator>(items: I) -> Flow<Iter<I::IntoIter>> {
    Flow::from_stage(Iter {
        items: items.into_iter().fuse(),
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`iter`].
#[derive(Debug)]
pub struct Iter<I> {
    items: Fuse<I>,
    budget: Budget,
    site: Site,
}

// The iterator is never pinned.
impl<I> Unpin for Iter<I> {}

impl<I: Iterator> Stage for Iter<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        if !self.budget.spend(cx) {
            return Poll::Pending;
        }
        Poll::Ready(self.items.next())
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = &mut *self;
        loop {
            let granted = this.budget.left(cx);
            if granted == 0 {
                return Poll::Pending;
            }
            // One loop from the iterator through every closure below: this is what LLVM sees.
            let flow = this.items.by_ref().take(granted).try_for_each(&mut *each);
            if let ControlFlow::Break(_) = flow {
                this.budget.interrupt();
                return Poll::Ready(flow);
            }
            this.budget.used(granted);
            // Whether `take` was cut short shows only here; the item belongs to the next grant.
            match this.items.next() {
                None => return Poll::Ready(ControlFlow::Continue(())),
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
        self.items.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("iter", self.site);
    }
}
