//! `inspect`: a look at each item that passes.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Calls `look` with each item and passes the item on.
    ///
    /// ```text
    /// in    --a--b----c--|
    /// look    a  b    c
    /// out   --a--b----c--|    inspect(look)
    /// ```
    ///
    /// - **Emits** each item, in the same poll.
    /// - **Backpressures** when downstream does; `look` must not block.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `look` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let mut seen = Vec::new();
    /// aqueduct_operators::iter([1, 2]).inspect(|x| seen.push(*x)).drain().await;
    /// assert_eq!(seen, [1, 2]);
    /// # });
    /// ```
    #[doc(alias("tap", "do_on_next", "on_each", "peek", "wire_tap"))]
    #[track_caller]
    pub fn inspect<F>(self, look: F) -> Flow<Inspect<S, F>>
    where
        F: FnMut(&S::Item),
    {
        Flow::from_stage(Inspect { input: self.into_stage(), look, site: Location::caller() })
    }
}

/// The stage behind [`Flow::inspect`].
#[pin_project]
#[derive(Debug)]
pub struct Inspect<S, F> {
    #[pin]
    input: S,
    look: F,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item)> Stage for Inspect<S, F> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.project();
        this.input.poll_next(cx).map(|item| item.inspect(|item| (this.look)(item)))
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let look = this.look;
        this.input.poll_drain(cx, &mut |item| {
            look(&item);
            each(item)
        })
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("inspect", self.site);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::iter;
    use crate::testing::{conformance, every_way, items, marbles, specification};

    #[test]
    fn each_item_is_seen_before_it_passes() {
        let order = RefCell::new(Vec::new());
        let flow = iter([1, 2]).inspect(|x| order.borrow_mut().push(('i', *x)));
        items(flow.map(|x| order.borrow_mut().push(('m', x))));
        assert_eq!(order.take(), [('i', 1), ('m', 1), ('i', 2), ('m', 2)]);
    }

    #[test]
    fn the_items_stay_as_they_are() {
        assert_eq!(every_way(|| iter([1, 2, 3]).inspect(|_| ())), [1, 2, 3]);
    }

    conformance!(inspect, |input| input.inspect(|x| assert!(x.value() > 0)));

    marbles!(inspect, |input| input.inspect(|_| {}));

    specification!(inspect, at_any_pace, |input| input.inspect(|_| {}), |input| input);
}
