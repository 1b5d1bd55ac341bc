//! `enumerate`: each item with its number.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use crate::{Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Pairs each item with the number of items before it.
    ///
    /// ```text
    /// in     --a----b----c--|
    /// out    --x----y----z--|    enumerate()
    /// where  x = (0, a), y = (1, b), z = (2, c)
    /// ```
    ///
    /// - **Emits** `(number, item)` for each item, in the same poll; numbers count up from 0.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and gets a number.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let numbered = aqueduct_operators::iter(["a", "b"]).enumerate();
    /// assert_eq!(numbered.collect::<Vec<_>>().await, [(0, "a"), (1, "b")]);
    /// # });
    /// ```
    #[doc(alias("zip_with_index", "with_index", "index"))]
    #[track_caller]
    pub fn enumerate(self) -> Flow<Enumerate<S>> {
        Flow::from_stage(Enumerate { input: self.into_stage(), next: 0, site: Location::caller() })
    }
}

/// The stage behind [`Flow::enumerate`].
#[pin_project]
#[derive(Debug)]
pub struct Enumerate<S> {
    #[pin]
    input: S,
    next: u64,
    site: Site,
}

impl<S: Stage> Stage for Enumerate<S> {
    type Item = (u64, S::Item);

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        this.input.poll_next(cx).map(|item| {
            item.map(|item| {
                let number = *this.next;
                *this.next += 1;
                (number, item)
            })
        })
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        // In a local, so that the loop keeps it in a register.
        let mut next = *this.next;
        let drained = this.input.poll_drain(cx, &mut |item| {
            let number = next;
            next += 1;
            each((number, item))
        });
        *this.next = next;
        drained
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.size_hint()
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("enumerate", self.site);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification};

    #[test]
    fn the_numbers_count_up_from_zero() {
        let flow = || iter(['a', 'b', 'c', 'd']).enumerate();
        assert_eq!(every_way(flow), [(0, 'a'), (1, 'b'), (2, 'c'), (3, 'd')]);
    }

    conformance!(enumerate, |input| input.enumerate());

    marbles!(enumerate, |input| input.enumerate());

    specification!(enumerate, at_any_pace, |input| input.enumerate(), |input| {
        let mut number = 0..;
        input.flat_map(|_, item| number.next().map(|number| (number, item)))
    });
}
