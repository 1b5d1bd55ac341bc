//! `dedup`: no item twice in a row.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Drops each item that equals the one before it.
    ///
    /// ```text
    /// in   --a--a--b--b--a--|
    /// out  --a-----b-----a--|    dedup()
    /// ```
    ///
    /// An item is compared with the last one that came out. To compare only a part of it, or
    /// where cloning is dear, see [`dedup_by_key`](Self::dedup_by_key).
    ///
    /// - **Emits** an item when it differs from the last one emitted, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is compared like one.
    /// - **Holds** 1 item: a copy of the last one emitted.
    /// - **Cost**: one clone (`clone_from`) for an item that comes out, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let changes = aqueduct_operators::iter([1, 1, 2, 2, 1]).dedup();
    /// assert_eq!(changes.collect::<Vec<_>>().await, [1, 2, 1]);
    /// # });
    /// ```
    #[doc(alias("distinct_until_changed", "changes", "drop_repeats", "remove_duplicates"))]
    #[track_caller]
    pub fn dedup(self) -> Flow<Dedup<S>>
    where
        S::Item: PartialEq + Clone,
    {
        Flow::from_stage(Dedup { input: self.into_stage(), last: None, site: Location::caller() })
    }
}

/// The stage behind [`Flow::dedup`].
#[pin_project]
#[derive(Debug)]
pub struct Dedup<S: Stage> {
    #[pin]
    input: S,
    last: Option<S::Item>,
    site: Site,
}

/// Whether the item differs from the last one, which it is from now on.
fn differs<T: PartialEq + Clone>(last: &mut Option<T>, item: &T) -> bool {
    match last {
        Some(last) if last == item => return false,
        // Keeps what the last one has allocated.
        Some(last) => last.clone_from(item),
        None => *last = Some(item.clone()),
    }
    true
}

impl<S: Stage<Item: PartialEq + Clone>> Stage for Dedup<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        while let Some(item) = ready!(this.input.as_mut().poll_next(cx)) {
            if differs(this.last, &item) {
                return Poll::Ready(Some(item));
            }
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let last = this.last;
        this.input.poll_drain(cx, &mut |item| {
            if differs(last, &item) { each(item) } else { ControlFlow::Continue(()) }
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        // The first item of all has nothing to equal.
        (if self.last.is_none() { least.min(1) } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("dedup", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification};

    #[test]
    fn an_item_that_equals_the_last_one_is_dropped() {
        let flow = || iter([1, 1, 2, 2, 2, 1, 3]).dedup();
        assert_eq!(every_way(flow), [1, 2, 1, 3]);
    }

    /// Equal to what is at most 1 away: not transitive, so that it shows what is compared.
    #[derive(Debug, Clone)]
    struct Near(i32);

    impl PartialEq for Near {
        fn eq(&self, other: &Self) -> bool {
            (self.0 - other.0).abs() <= 1
        }
    }

    #[test]
    fn an_item_is_compared_with_the_last_one_that_came_out() {
        let items = every_way(|| iter([0, 1, 2, 3, 4]).map(Near).dedup());
        assert!(items.iter().map(|near| near.0).eq([0, 2, 4]));
    }

    conformance!(dedup, |input| input.dedup());

    marbles!(dedup, |input| input.dedup());

    specification!(dedup, at_any_pace, |input| input.dedup(), |input| {
        let mut last = None;
        input.flat_map(|_, x| (last.replace(x) != Some(x)).then_some(x))
    });
}
