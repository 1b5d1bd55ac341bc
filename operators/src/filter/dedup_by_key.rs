//! `dedup_by_key`: no key twice in a row.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Drops each item whose key equals that of the one before it.
    ///
    /// ```text
    /// in   --a--A--b--B--a--|
    /// out  --a-----b-----a--|    dedup_by_key(|x| x.to_ascii_lowercase())
    /// ```
    ///
    /// - **Emits** an item when its key differs from that of the last one emitted, in the same
    ///   poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `key` comes out of the poll; the flow has ended then.
    /// - **Holds** the last key, no item.
    /// - **Cost**: one call of `key` for an item, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let quotes = aqueduct_operators::iter([(1, 100), (2, 100), (3, 101)]);
    /// let moves = quotes.dedup_by_key(|(_, price)| *price).map(|(time, _)| time);
    /// assert_eq!(moves.collect::<Vec<_>>().await, [1, 3]);
    /// # });
    /// ```
    #[doc(alias("distinct_until_changed_by", "distinct_until_key_changed"))]
    #[track_caller]
    pub fn dedup_by_key<F, K>(self, key: F) -> Flow<DedupByKey<S, F, K>>
    where
        F: FnMut(&S::Item) -> K,
        K: PartialEq,
    {
        Flow::from_stage(DedupByKey {
            input: self.into_stage(),
            key,
            last: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::dedup_by_key`].
#[pin_project]
#[derive(Debug)]
pub struct DedupByKey<S, F, K> {
    #[pin]
    input: S,
    key: F,
    last: Option<K>,
    site: Site,
}

/// Whether the key differs from the last one, which it is from now on.
fn replaces<K: PartialEq>(last: &mut Option<K>, key: K) -> bool {
    let differs = last.as_ref() != Some(&key);
    if differs {
        *last = Some(key);
    }
    differs
}

impl<S, F, K> Stage for DedupByKey<S, F, K>
where
    S: Stage,
    F: FnMut(&S::Item) -> K,
    K: PartialEq,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        while let Some(item) = ready!(this.input.as_mut().poll_next(cx)) {
            if replaces(this.last, (this.key)(&item)) {
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
        let (key, last) = (this.key, this.last);
        this.input.poll_drain(cx, &mut |item| {
            if replaces(last, key(&item)) { each(item) } else { ControlFlow::Continue(()) }
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        (if self.last.is_none() { least.min(1) } else { 0 }, most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("dedup_by_key", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification};

    #[test]
    fn an_item_whose_key_equals_the_last_key_is_dropped() {
        let flow = || iter([10, 11, 20, 12, 13]).dedup_by_key(|x| x / 10);
        assert_eq!(every_way(flow), [10, 20, 12]);
    }

    /// Equal to what is at most 1 away: not transitive, so that it shows what is compared.
    struct Near(i32);

    impl PartialEq for Near {
        fn eq(&self, other: &Self) -> bool {
            (self.0 - other.0).abs() <= 1
        }
    }

    #[test]
    fn a_key_is_compared_with_that_of_the_last_item_that_came_out() {
        let flow = || iter([0, 1, 2, 3, 4]).dedup_by_key(|x| Near(*x));
        assert_eq!(every_way(flow), [0, 2, 4]);
    }

    conformance!(dedup_by_key, |input| input.dedup_by_key(|x| x.value() / 2));

    marbles!(dedup_by_key, |input| input.dedup_by_key(|x: &char| x.to_ascii_lowercase()));

    specification!(dedup_by_key, at_any_pace, |input| input.dedup_by_key(|x| x / 2), |input| {
        let mut last = None;
        input.flat_map(|_, x| (last.replace(x / 2) != Some(x / 2)).then_some(x))
    });
}
