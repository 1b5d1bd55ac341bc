//! `scan_with_seed`: the running state of a fold, beginning with the seed itself.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::Scan;
use crate::{Bound, Flow, Outline, Stage};

impl<S: Stage> Flow<S> {
    /// Emits `seed`, then combines the items into a state, starting from it, and emits the state
    /// after each item.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  0-1--3----6--|    scan_with_seed(0, |sum, x| sum + x)
    /// ```
    ///
    /// The seed does not wait for the input: an empty input gives the seed alone. Without it, see
    /// [`scan`](Self::scan).
    ///
    /// - **Emits** the seed at the first poll, and a clone of the state for each item, in the same
    ///   poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: a panic in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** 1 item, the seed until it is out, and the state.
    /// - **Cost**: one clone of the state for an item, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let balance = aqueduct_operators::iter([5, -2]).scan_with_seed(100, |sum, x| sum + x);
    /// assert_eq!(balance.collect::<Vec<_>>().await, [100, 105, 103]);
    /// # });
    /// ```
    #[doc(alias("running_fold", "scan_left"))]
    #[track_caller]
    pub fn scan_with_seed<A, F>(self, seed: A, f: F) -> Flow<ScanWithSeed<S, A, F>>
    where
        A: Clone,
        F: FnMut(A, S::Item) -> A,
    {
        let scan = self.scan(seed.clone(), f).into_stage();
        Flow::from_stage(ScanWithSeed { scan, seed: Some(seed) })
    }
}

/// The stage behind [`Flow::scan_with_seed`].
#[pin_project]
#[derive(Debug)]
pub struct ScanWithSeed<S, A, F> {
    #[pin]
    scan: Scan<S, A, F>,
    /// Until it is out.
    seed: Option<A>,
}

impl<S: Stage, A: Clone, F: FnMut(A, S::Item) -> A> Stage for ScanWithSeed<S, A, F> {
    type Item = A;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<A>> {
        let this = self.project();
        match this.seed.take() {
            None => this.scan.poll_next(cx),
            seed => Poll::Ready(seed),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(A) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        if let Some(seed) = this.seed.take()
            && let broke @ ControlFlow::Break(_) = each(seed)
        {
            return Poll::Ready(broke);
        }
        this.scan.poll_drain(cx, each)
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().scan.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let seed = usize::from(self.seed.is_some());
        let (least, most) = self.scan.size_hint();
        (least.saturating_add(seed), most.and_then(|most| most.checked_add(seed)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.scan.input.describe(outline);
        outline.stage("scan_with_seed", self.scan.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{conformance, every_way, marbles, specification, timeline, timetable};

    #[test]
    fn the_seed_comes_first_and_then_the_state_after_each_item() {
        let sums = || iter([1, 2, 3]).scan_with_seed(10, |sum, x| sum + x);
        assert_eq!(every_way(sums), [10, 11, 13, 16]);
    }

    #[test]
    fn an_empty_input_gives_the_seed_alone() {
        assert_eq!(every_way(|| iter([0; 0]).scan_with_seed(10, |sum, x| sum + x)), [10]);
    }

    #[test]
    fn the_seed_does_not_wait_for_the_input() {
        let flow = timetable([(5, 1)], 7).scan_with_seed(0, |sum, x| sum + x);
        assert_eq!(timeline(flow), (vec![(0, 0), (5, 1)], 7));
    }

    #[test]
    fn the_outline_shows_one_stage() {
        let outline = iter([1]).scan_with_seed(0, |sum, x| sum + x).outline();
        let last = outline.last().unwrap();
        assert_eq!((last.name(), last.inputs()[0].name()), ("scan_with_seed", "iter"));
    }

    marbles!(scan_with_seed, |input: u32| input.scan_with_seed(0, |sum, x| sum + x));

    specification!(
        scan_with_seed,
        |input| input.scan_with_seed(0, |sum, x: u8| sum + u32::from(x)),
        |input| {
            let mut sum = 0;
            let mut all = input.map(|x: u8| {
                sum += u32::from(x);
                sum
            });
            all.events.insert(0, (0, 0));
            all
        },
    );

    conformance!(scan_with_seed, |input| input.scan_with_seed(0, |sum, x| sum + x.value()));
}
