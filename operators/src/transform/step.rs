//! `step`: an operator given as what it does with one item.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Flow, Node, Outline, Site, Stage};

/// What an operator does that neither waits nor looks at a clock: how it answers an item, and the
/// end.
///
/// Whatever it makes of an item it hands to `out`, which never refuses; downstream gets it in that
/// order. Most operators of this library that keep a state and no futures are written so, and so
/// can be one of your own: see [`Flow::step`].
pub trait Step<In> {
    /// What comes out.
    type Out;

    /// Answers an item. `Break` ends the flow once what `out` got is out; the input is dropped in
    /// the same poll.
    fn step(&mut self, item: In, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()>;

    /// Answers the end of the input; called at most once, and not after a `Break`.
    fn end(&mut self, _out: &mut impl FnMut(Self::Out)) {}

    /// Bounds on what still comes out, the answer to the end counted in, if the input has between
    /// these numbers of items left.
    fn size_hint(&self, _input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, None)
    }

    /// The name of the operator, as the outline shows it.
    fn name(&self) -> &'static str;

    /// Its parameters, and how many items it may hold.
    fn describe(&self, _node: &mut Node) {}
}

impl<S: Stage> Flow<S> {
    /// Answers each item, and the end, as `step` says.
    ///
    /// ```text
    /// in   --1--2-----3-----|
    /// out  --1--(22)--(333)-|    step(Repeat)
    /// ```
    ///
    /// For an operator of your own. Where a closure is enough, see [`scan_map`](Self::scan_map) and
    /// [`transform`](Self::transform).
    ///
    /// - **Emits** what `step` hands out, in the poll in which the item came.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input has ended and the answer to that is out, or when `step` breaks.
    /// - **On error**: a panic in `step` comes out of the poll; the flow has ended then.
    /// - **Holds** what `step` declares, and what one item made beyond what was asked for.
    /// - **Cost**: no allocation for an item that makes at most one, no clock read.
    ///
    /// ```
    /// use std::ops::ControlFlow;
    /// use aqueduct_operators::{iter, transform::Step};
    ///
    /// struct Repeat;
    ///
    /// impl Step<usize> for Repeat {
    ///     type Out = usize;
    ///
    ///     fn step(&mut self, item: usize, out: &mut impl FnMut(usize)) -> ControlFlow<()> {
    ///         (0..item).for_each(|_| out(item));
    ///         ControlFlow::Continue(())
    ///     }
    ///
    ///     fn name(&self) -> &'static str {
    ///         "repeat"
    ///     }
    /// }
    ///
    /// # futures::executor::block_on(async {
    /// assert_eq!(iter(1..=3).step(Repeat).collect::<Vec<_>>().await, [1, 2, 2, 3, 3, 3]);
    /// # });
    /// ```
    #[track_caller]
    pub fn step<M: Step<S::Item>>(self, step: M) -> Flow<Stepped<S, M>> {
        Flow::from_stage(Stepped {
            input: Some(self.into_stage()),
            step,
            beyond: VecDeque::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::step`], and behind the operators that are a [`Step`].
#[pin_project]
pub struct Stepped<S: Stage, M: Step<S::Item>> {
    /// `None` once it has ended, or `step` has broken.
    #[pin]
    input: Option<S>,
    step: M,
    /// What the last item made beyond what was asked for.
    beyond: VecDeque<M::Out>,
    site: Site,
}

impl<S: Stage, M: Step<S::Item>> Stepped<S, M> {
    /// The step, to read what it counts.
    pub fn step(&self) -> &M {
        &self.step
    }
}

impl<S: Stage, M: Step<S::Item>> Flow<Stepped<S, M>> {
    /// The same input under another step, before anything has come.
    pub(crate) fn map_step<N: Step<S::Item>>(
        self,
        other: impl FnOnce(M) -> N,
    ) -> Flow<Stepped<S, N>> {
        let Stepped { input, step, site, .. } = self.into_stage();
        Flow::from_stage(Stepped { input, step: other(step), beyond: VecDeque::new(), site })
    }

    /// Drops the input of an operator that needs none of its items, not even the end.
    pub(crate) fn without_input(self) -> Self {
        Self::from_stage(Stepped { input: None, ..self.into_stage() })
    }
}

impl<S: Stage + fmt::Debug, M: Step<S::Item> + fmt::Debug> fmt::Debug for Stepped<S, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stepped")
            .field("input", &self.input)
            .field("step", &self.step)
            .field("beyond", &self.beyond.len())
            .field("site", &self.site)
            .finish()
    }
}

impl<S: Stage, M: Step<S::Item>> Stage for Stepped<S, M> {
    type Item = M::Out;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<M::Out>> {
        let mut this = self.project();
        let beyond = this.beyond;
        if let item @ Some(_) = beyond.pop_front() {
            return Poll::Ready(item);
        }
        while let Some(input) = this.input.as_mut().as_pin_mut() {
            let item = ready!(input.poll_next(cx));
            let mut first = None;
            let mut out = |made| match first {
                None => first = Some(made),
                Some(_) => beyond.push_back(made),
            };
            let over = match item {
                Some(item) => this.step.step(item, &mut out).is_break(),
                None => {
                    this.step.end(&mut out);
                    true
                }
            };
            if over {
                this.input.set(None);
            }
            if first.is_some() {
                return Poll::Ready(first);
            }
        }
        Poll::Ready(None)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(M::Out) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let (step, beyond) = (this.step, this.beyond);
        while let Some(item) = beyond.pop_front() {
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(ControlFlow::Continue(()));
        };
        let mut over = false;
        let drained = input.poll_drain(cx, &mut |item| {
            let mut broke = ControlFlow::Continue(());
            over = step
                .step(item, &mut |made| match broke {
                    ControlFlow::Continue(()) => broke = each(made),
                    ControlFlow::Break(_) => beyond.push_back(made),
                })
                .is_break();
            match broke {
                ControlFlow::Continue(()) if over => ControlFlow::Break(None),
                broke => broke.map_break(Some),
            }
        });
        match drained {
            Poll::Pending => Poll::Pending,
            Poll::Ready(ControlFlow::Break(broke)) => {
                if over {
                    this.input.set(None);
                }
                Poll::Ready(broke.map_or(ControlFlow::Continue(()), ControlFlow::Break))
            }
            Poll::Ready(ControlFlow::Continue(())) => {
                this.input.set(None);
                let mut broke = ControlFlow::Continue(());
                step.end(&mut |made| match broke {
                    ControlFlow::Continue(()) => broke = each(made),
                    ControlFlow::Break(_) => beyond.push_back(made),
                });
                Poll::Ready(broke)
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let made = self.beyond.len();
        let (least, most) = match &self.input {
            Some(input) => self.step.size_hint(input.size_hint()),
            None => (0, Some(0)),
        };
        (least.saturating_add(made), most.and_then(|most| most.checked_add(made)))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        self.step.describe(outline.stage(self.step.name(), self.site));
    }
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;
    use std::rc::Rc;

    use super::Step;
    use crate::testing::{Timeline, conformance, every_way, items, marbles, specification};
    use crate::{Virtual, iter};

    /// Makes `x` items of `x`, and three of the end; breaks at 9.
    struct Many;

    impl Step<usize> for Many {
        type Out = usize;

        fn step(&mut self, item: usize, out: &mut impl FnMut(usize)) -> ControlFlow<()> {
            (0..item).for_each(|_| out(item));
            if item == 9 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }

        fn end(&mut self, out: &mut impl FnMut(usize)) {
            (0..3).for_each(|_| out(100));
        }

        fn name(&self) -> &'static str {
            "many"
        }
    }

    #[test]
    fn all_that_an_item_and_the_end_make_comes_out_in_order() {
        let flow = || iter([2, 0, 3]).step(Many);
        assert_eq!(every_way(flow), [2, 2, 3, 3, 3, 100, 100, 100]);
    }

    #[test]
    fn a_break_ends_the_flow_after_what_the_item_made() {
        let flow = || iter([1, 9, 2]).step(Many);
        assert_eq!(every_way(flow), [1, 9, 9, 9, 9, 9, 9, 9, 9, 9]);
    }

    #[test]
    fn the_input_is_dropped_in_the_poll_that_breaks() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let mut flow = iter([9]).map(move |x| (x, owned.clone()).0).step(Many);
        Virtual::new().run(async {
            assert_eq!(flow.next().await, Some(9));
            assert_eq!(watch.strong_count(), 0);
        });
        assert_eq!(items(flow).len(), 8);
    }

    #[test]
    fn the_outline_shows_its_name() {
        let outline = iter([9]).step(Many).outline();
        assert_eq!(outline.last().map(|node| node.name()), Some("many"));
    }

    conformance!(step, |input| input.map(|x| x.value() as usize % 4).step(Many));

    /// As many items as the item says.
    struct Repeat;

    impl Step<usize> for Repeat {
        type Out = usize;

        fn step(&mut self, item: usize, out: &mut impl FnMut(usize)) -> ControlFlow<()> {
            (0..item).for_each(|_| out(item));
            ControlFlow::Continue(())
        }

        fn name(&self) -> &'static str {
            "repeat"
        }
    }

    marbles!(step, |input: usize| input.step(Repeat));

    specification!(step, |input| input.map(|x: u8| usize::from(x % 4)).step(Repeat), |input| {
        let all = input.events.iter().map(|(at, x)| (*at, usize::from(*x % 4)));
        Timeline::new(all.flat_map(|(at, x)| vec![(at, x); x]), input.end)
    });
}
