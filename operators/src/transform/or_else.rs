//! `or_else`: another flow in the place of an empty one.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Goes on with the flow that `other` makes if the input ends without an item.
    ///
    /// ```text
    /// in     ---|
    /// other     --c--d|
    /// out    -----c--d|    or_else(|| other)
    /// ```
    ///
    /// `other` is called only then, after the input was dropped. For a single item, see
    /// [`default_if_empty`](Self::default_if_empty).
    ///
    /// - **Emits** the items of the input, or those of the other flow.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends and had an item, or the other flow ends.
    /// - **On error**: an error is an item here, so the input was not empty. A panic in `other`
    ///   comes out of the poll; the flow has ended then.
    /// - **Holds** what the other flow holds: its outline stands in this one once it is made.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{empty, iter};
    /// # futures::executor::block_on(async {
    /// let prices = empty().or_else(|| iter([1, 2]));
    /// assert_eq!(prices.collect::<Vec<_>>().await, [1, 2]);
    /// # });
    /// ```
    #[doc(alias("switch_if_empty", "on_empty"))]
    #[track_caller]
    pub fn or_else<F, R>(self, other: F) -> Flow<OrElse<S, F, R>>
    where
        F: FnOnce() -> Flow<R>,
        R: Stage<Item = S::Item>,
    {
        Flow::from_stage(OrElse {
            input: Some(self.into_stage()),
            make: Some(other),
            other: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::or_else`].
#[pin_project]
#[derive(Debug)]
pub struct OrElse<S, F, R> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    /// `None` once the input brought an item, or has ended.
    make: Option<F>,
    #[pin]
    other: Option<Flow<R>>,
    site: Site,
}

impl<S, F: FnOnce() -> Flow<R>, R> OrElse<S, F, R> {
    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.input.set(None);
        if let Some(make) = this.make.take() {
            this.other.set(Some(make()));
        }
    }
}

impl<S: Stage, F: FnOnce() -> Flow<R>, R: Stage<Item = S::Item>> Stage for OrElse<S, F, R> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let this = self.as_mut().project();
        if let Some(input) = this.input.as_pin_mut() {
            if let item @ Some(_) = ready!(input.poll_next(cx)) {
                *this.make = None;
                return Poll::Ready(item);
            }
            self.as_mut().end();
        }
        match self.project().other.as_pin_mut() {
            Some(other) => Stage::poll_next(other, cx),
            None => Poll::Ready(None),
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.as_mut().project();
        if let Some(input) = this.input.as_pin_mut() {
            let make = this.make;
            let drained = input.poll_drain(cx, &mut |item| {
                *make = None;
                each(item)
            });
            if let broke @ ControlFlow::Break(_) = ready!(drained) {
                return Poll::Ready(broke);
            }
            self.as_mut().end();
        }
        match self.project().other.as_pin_mut() {
            Some(other) => other.poll_drain(cx, each),
            None => Poll::Ready(ControlFlow::Continue(())),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match (this.input.as_pin_mut(), this.other.as_pin_mut()) {
            (Some(input), _) => input.poll_progress(cx),
            (None, Some(other)) => other.poll_progress(cx),
            (None, None) => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match (&self.input, &self.other) {
            (Some(input), _) => {
                let (least, most) = input.size_hint();
                // The other flow is not known before it is made.
                let certain = self.make.is_none() || least > 0;
                (least, most.filter(|_| certain))
            }
            (None, Some(other)) => Stage::size_hint(other),
            (None, None) => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        let bound = match (&self.input, &self.other) {
            (_, Some(other)) => {
                other.describe(outline);
                Bound::Items(0)
            }
            (Some(input), None) => {
                input.describe(outline);
                if self.make.is_some() { Bound::Unknown } else { Bound::Items(0) }
            }
            (None, None) => Bound::Items(0),
        };
        outline.stage("or_else", self.site).holds(bound);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, specification, timeline, timetable,
    };
    use crate::{Bound, Flow, Stage, Virtual, empty, iter};

    #[test]
    fn an_empty_input_gives_way_to_the_other_flow() {
        assert_eq!(every_way(|| empty().or_else(|| iter([1, 2]))), [1, 2]);
    }

    #[test]
    fn with_an_item_the_other_flow_is_never_made() {
        let never = || -> Flow<crate::source::Empty<i32>> { panic!("the input was not empty") };
        assert_eq!(items(iter([1, 2]).or_else(never)), [1, 2]);
    }

    #[test]
    fn the_other_flow_begins_when_the_input_has_ended() {
        let start = || crate::Clock::current().now().as_millis();
        let flow = timetable::<char>([], 5).or_else(|| timetable([(start() + 2, 'a')], 9));
        assert_eq!(timeline(flow), (vec![(7, 'a')], 9));
    }

    #[test]
    fn the_input_is_dropped_before_the_other_flow_is_made() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let input = iter([0; 0]).inspect(move |_| drop(owned.clone()));
        let flow = input.or_else(|| {
            assert_eq!(watch.strong_count(), 0);
            iter([1])
        });
        assert_eq!(items(flow), [1]);
    }

    #[test]
    fn the_outline_shows_the_other_flow_once_it_is_made() {
        let mut flow = empty().or_else(|| iter(0..9).pairwise().map(|pair| pair.0));
        assert_eq!(flow.outline().bound(), Bound::Unknown);
        Virtual::new().run(flow.next());
        assert_eq!(flow.outline().bound(), Bound::Items(1));
        assert!(flow.outline().to_string().contains("pairwise"));
    }

    #[test]
    fn the_size_hint_counts_on_nothing_that_is_not_made() {
        let flow = timetable::<char>([], 5).or_else(|| iter(['a']));
        assert_eq!(Stage::size_hint(&flow), (0, None));
        assert_eq!(Stage::size_hint(&iter([1]).or_else(|| iter([2]))), (1, Some(1)));
    }

    marbles!(or_else, |input, other| input.or_else(|| other));

    specification!(or_else, |a, b| a.or_else(|| b), |a, b| {
        if !a.events.is_empty() {
            return a;
        }
        let late = b.events.into_iter().map(|(at, x)| (at.max(a.end), x));
        Timeline::new(late, a.end.max(b.end))
    });

    conformance!(or_else, |input| input.or_else(|| iter([])), except [
        DeclaredBound: "the other flow is not known before it is made",
    ]);
    conformance!(or_else_of_an_empty_flow, |a, b| a.filter(|_| false).or_else(|| b), except [
        DeclaredBound: "the other flow is not known before it is made",
        NoSnooze: "a flow is not started before its turn, nor driven",
    ]);
}
