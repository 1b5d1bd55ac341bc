//! `split_first`: the first items decide what becomes of the rest.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Takes the first `n` items and goes on with the flow that `f` makes of them and of the rest.
    ///
    /// ```text
    /// in   --2--a--b--c--|
    /// out  -----a--(b|)        split_first(1, first_says_how_many)
    /// ```
    ///
    /// For an input that begins with a header. `f` is called once: with fewer items if the input
    /// has fewer, and with none, at the first poll, if `n` is zero. The items it gets are gone
    /// from the rest; [`prepend`](Self::prepend) puts them back.
    ///
    /// - **Emits** the items of the flow that `f` makes.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when that flow ends. If `f` drops the rest, the input ends with it.
    /// - **On error**: an error is an item here, and may be one of the first. A panic in `f` comes
    ///   out of the poll; the flow has ended then.
    /// - **Holds** `n` items until `f` has them; then what the flow holds that it makes, whose
    ///   outline stands in this one.
    /// - **Cost**: one allocation when it is assembled and one for the first items, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let table = aqueduct_operators::iter([10, 1, 2, 3]).split_first(1, |first, rest| {
    ///     let unit = first.first().copied().unwrap_or(1);
    ///     rest.map(move |x| x * unit)
    /// });
    /// assert_eq!(table.collect::<Vec<_>>().await, [10, 20, 30]);
    /// # });
    /// ```
    #[doc(alias("switch_on_first", "flat_map_prefix", "prefix_and_tail", "peel", "uncons"))]
    #[track_caller]
    pub fn split_first<F, R>(self, n: usize, f: F) -> Flow<SplitFirst<S, F, R>>
    where
        F: FnOnce(Vec<S::Item>, Flow<Rest<S>>) -> Flow<R>,
        R: Stage,
    {
        Flow::from_stage(SplitFirst {
            begun: Some(Begun {
                n,
                first: Vec::new(),
                rest: Rest { input: Some(Box::pin(self.into_stage())) },
                f,
            }),
            made: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::split_first`].
#[pin_project]
#[derive(Debug)]
pub struct SplitFirst<S: Stage, F, R> {
    /// `None` once `f` is called.
    begun: Option<Begun<S, S::Item, F>>,
    #[pin]
    made: Option<Flow<R>>,
    site: Site,
}

#[derive(Debug)]
struct Begun<S, T, F> {
    n: usize,
    first: Vec<T>,
    rest: Rest<S>,
    f: F,
}

/// What follows the first items: see [`Flow::split_first`].
#[derive(Debug)]
pub struct Rest<S> {
    /// On the heap, because `f` may put it anywhere. `None` once it has ended.
    input: Option<Pin<Box<S>>>,
}

impl<S: Stage> Stage for Rest<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let Some(input) = &mut self.input else {
            return Poll::Ready(None);
        };
        let item = ready!(input.as_mut().poll_next(cx));
        if item.is_none() {
            self.input = None;
        }
        Poll::Ready(item)
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let Some(input) = &mut self.input else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let drained = input.as_mut().poll_drain(cx, each);
        if matches!(drained, Poll::Ready(ControlFlow::Continue(()))) {
            self.input = None;
        }
        drained
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.input {
            Some(input) => input.as_mut().poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.input.as_ref().map_or((0, Some(0)), |input| input.size_hint())
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
    }
}

impl<S, F, R> SplitFirst<S, F, R>
where
    S: Stage,
    F: FnOnce(Vec<S::Item>, Flow<Rest<S>>) -> Flow<R>,
{
    /// Ready when `f` has been called.
    fn poll_first(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(begun) = this.begun else {
            return Poll::Ready(());
        };
        while begun.first.len() < begun.n {
            match ready!(Pin::new(&mut begun.rest).poll_next(cx)) {
                Some(item) => begun.first.push(item),
                None => break,
            }
        }
        if let Some(Begun { first, rest, f, .. }) = this.begun.take() {
            this.made.set(Some(f(first, Flow::from_stage(rest))));
        }
        Poll::Ready(())
    }
}

impl<S, F, R> Stage for SplitFirst<S, F, R>
where
    S: Stage,
    F: FnOnce(Vec<S::Item>, Flow<Rest<S>>) -> Flow<R>,
    R: Stage,
{
    type Item = R::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<R::Item>> {
        ready!(self.as_mut().poll_first(cx));
        match self.project().made.as_pin_mut() {
            Some(made) => Stage::poll_next(made, cx),
            None => Poll::Ready(None),
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(R::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        ready!(self.as_mut().poll_first(cx));
        match self.project().made.as_pin_mut() {
            Some(made) => made.poll_drain(cx, each),
            None => Poll::Ready(ControlFlow::Continue(())),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match (this.begun, this.made.as_pin_mut()) {
            (Some(begun), _) => Pin::new(&mut begun.rest).poll_progress(cx),
            (None, Some(made)) => made.poll_progress(cx),
            (None, None) => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match (&self.begun, &self.made) {
            (Some(_), _) => (0, None),
            (None, Some(made)) => Stage::size_hint(made),
            (None, None) => (0, Some(0)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        match (&self.begun, &self.made) {
            (Some(begun), _) => {
                begun.rest.describe(outline);
                outline
                    .stage("split_first", self.site)
                    .parameter("n", begun.n)
                    .holds(Bound::Unknown);
            }
            (None, made) => {
                if let Some(made) = made {
                    made.describe(outline);
                }
                outline.stage("split_first", self.site);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use crate::testing::{
        Timeline, conformance, every_way, items, marbles, specification, timeline, timetable,
    };
    use crate::{Bound, Stage, Virtual, iter};

    #[test]
    fn the_first_items_decide_what_becomes_of_the_rest() {
        let flow = || {
            iter([10, 1, 7, 8, 9])
                .split_first(2, |first, rest| rest.map(move |x| x * first[0] + first[1]))
        };
        assert_eq!(every_way(flow), [71, 81, 91]);
    }

    #[test]
    fn a_short_input_gives_fewer_items_and_a_rest_that_has_ended() {
        let flow = || iter([1, 2]).split_first(3, |first, rest| rest.prepend(first));
        assert_eq!(every_way(flow), [1, 2]);
    }

    #[test]
    fn without_first_items_the_rest_is_everything() {
        let flow = || {
            iter([1, 2]).split_first(0, |first, rest| {
                assert!(first.is_empty());
                rest.map(|x| x * 10)
            })
        };
        assert_eq!(every_way(flow), [10, 20]);
    }

    #[test]
    fn the_rest_goes_on_in_its_time() {
        let feed = [(1, 'a'), (4, 'b'), (9, 'c')];
        let flow = timetable(feed, 12).split_first(1, |_, rest| rest);
        assert_eq!(timeline(flow), (vec![(4, 'b'), (9, 'c')], 12));
    }

    #[test]
    fn a_rest_that_is_not_wanted_is_dropped_at_once() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let input = iter(0..).map(move |x| (x, owned.clone()).0);
        let flow = input.split_first(2, |first, rest| {
            drop(rest);
            assert_eq!(watch.strong_count(), 0);
            iter(first)
        });
        assert_eq!(items(flow), [0, 1]);
    }

    #[test]
    fn the_outline_shows_what_was_made() {
        let mut flow = iter(0..9).split_first(2, |_, rest| rest.pairwise());
        assert_eq!(flow.outline().bound(), Bound::Unknown);
        Virtual::new().run(flow.next());
        assert_eq!(flow.outline().bound(), Bound::Items(1));
        let text = flow.outline().to_string();
        assert!(text.starts_with("iter ") && text.contains("pairwise"), "{text}");
        assert_eq!(Stage::size_hint(&flow), (5, Some(5)));
    }

    marbles!(split_first, |input| input
        .split_first(1, |first, rest| { rest.take(first[0].to_digit(10).unwrap() as usize) }));

    conformance!(split_first, |input| input.split_first(2, |first, rest| rest.prepend(first)), except [
        DeclaredBound: "what holds the first items is not known before it is made",
        NoSnooze: "prepend does not drive the rest before its turn",
    ]);

    specification!(
        split_first,
        |input| input.split_first(2, |first: Vec<u8>, rest| rest.map(move |x| (first.len(), x))),
        |input| Timeline::new(input.events.iter().skip(2).map(|(at, x)| (*at, (2, *x))), input.end),
    );
}
