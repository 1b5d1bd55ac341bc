//! `collect`: all items in a collection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and gathers its items: in a vector, a map, a string, anything that extends.
    ///
    /// ```text
    /// in     --a--b----c--|
    /// out    -------------(x|)    collect()
    /// where  x = [a, b, c]
    /// ```
    ///
    /// For a flow that may be long, put [`take`](Self::take) before it: that is the bound which
    /// `collect` does not have.
    ///
    /// - **Emits** the collection when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here and is gathered too.
    /// - **Holds** every item: [`Bound::Unknown`](crate::Bound::Unknown).
    /// - **Cost**: what the collection costs, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let squares: Vec<_> = aqueduct_operators::iter(1..4).map(|x| x * x).collect().await;
    /// assert_eq!(squares, [1, 4, 9]);
    /// # });
    /// ```
    #[doc(alias("collect_list", "to_list", "to_vec", "to_array", "run_collect"))]
    pub fn collect<C>(self) -> Collect<S, C>
    where
        C: Default + Extend<S::Item>,
    {
        Collect { flow: self, collection: Some(C::default()) }
    }
}

/// The future behind [`Flow::collect`].
#[pin_project]
#[derive(Debug)]
#[must_use = "a flow does nothing until it is polled"]
pub struct Collect<S, C> {
    #[pin]
    flow: Flow<S>,
    /// `None` once the future is over.
    collection: Option<C>,
}

impl<S: Stage, C: Extend<S::Item>> Future for Collect<S, C> {
    type Output = C;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<C> {
        let this = self.project();
        if let Some(collection) = this.collection {
            ready!(this.flow.poll_each(cx, |item| collection.extend(Some(item))));
        }
        match this.collection.take() {
            Some(collection) => Poll::Ready(collection),
            None => panic!("collect: polled again after it was over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Virtual, from_future};

    #[test]
    fn anything_that_extends_gathers_the_items() {
        let flow = || timetable([(1, ('a', 1)), (2, ('b', 2))], 3);
        let map: BTreeMap<_, _> = Virtual::new().run(flow().collect());
        assert_eq!(map, BTreeMap::from([('a', 1), ('b', 2)]));
        let text: String = Virtual::new().run(flow().map(|(c, _)| c).collect());
        assert_eq!(text, "ab");
    }

    marbles!(collect, |input| input.collect::<Vec<_>>());

    specification!(collect, |input| input.collect::<Vec<_>>(), |input| Timeline::new(
        [(input.end, input.clone().items())],
        input.end
    ));

    conformance!(collect, |input| {
        from_future(input.collect::<Vec<_>>())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "every item is held, and a future has no outline to say so",
    ]);
}
