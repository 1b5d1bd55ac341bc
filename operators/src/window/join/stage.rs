//! [`Join`]: the stage behind the joins that answer one left item after the other.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use pin_project::pin_project;

use super::{Core, Index, JoinCounts, Matched, Outcome, Padded, Reach, Split, drive, poll_side};
use crate::{Bound, Budget, Flow, Outline, Site, Stage, Timed};

/// The stage behind [`Flow::as_of`], [`Flow::interval_join`] and their variants by key. `C` is
/// what it knows.
#[pin_project]
#[derive(Debug)]
pub struct Join<S, R, C> {
    /// `None` once it has ended.
    #[pin]
    left: Option<S>,
    /// `None` once it, or the flow, has ended.
    #[pin]
    right: Option<R>,
    core: C,
    /// For items that have many matches.
    budget: Budget,
    site: Site,
}

/// The flow with a certain outcome.
type Joined<S, R, L, T, I, M, O> = Flow<Join<S, R, Core<L, T, I, M, O>>>;

impl<S, R, L, T, I, M, O> Join<S, R, Core<L, T, I, M, O>> {
    pub(in crate::window) fn flow(
        left: Flow<S>,
        right: Flow<R>,
        reach: M,
        index: I,
        site: Site,
    ) -> Flow<Self>
    where
        Self: Stage,
        S: Stage,
        R: Stage,
    {
        let core = Core::new(reach, index);
        Flow::from_stage(Self {
            left: Some(left.into_stage()),
            right: Some(right.into_stage()),
            core,
            budget: Budget::new(),
            site,
        })
    }
}

impl<S, R, L, T, I, M, O> Flow<Join<S, R, Core<L, T, I, M, O>>>
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
    T: Clone,
    I: Index<L, T>,
    M: Reach<L>,
    O: Outcome<L, T>,
{
    /// How many elements of the left side may wait for the right one, and how many items of the
    /// right side are kept beyond those that every left item to come has passed: 16,384 each
    /// without this call.
    ///
    /// A left side that has brought so many waits. If so many right items are kept and the right
    /// side has still not passed the left item in front, that one is answered with what is known,
    /// and counted as [`forced`](JoinCounts::forced).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn capacity(self, capacity: usize) -> Self {
        let mut stage = self.into_stage();
        stage.core.capacity = crate::buffer::checked(capacity, M::NAME, Location::caller());
        Flow::from_stage(stage)
    }

    /// Items without a match give nothing, and are [counted](JoinCounts::unmatched): an inner join.
    #[doc(alias("inner"))]
    pub fn drop_unmatched(self) -> Joined<S, R, L, T, I, M, Matched> {
        self.with_outcome()
    }

    /// Items without a match come with `None`: a left outer join.
    #[doc(alias("left_outer", "left_join"))]
    pub fn keep_unmatched(self) -> Joined<S, R, L, T, I, M, Padded> {
        self.with_outcome()
    }

    /// Pairs come as `Either::Left`, items without a match as `Either::Right`: to be sent apart
    /// with [`partition`](Flow::partition).
    #[doc(alias("side_output"))]
    pub fn split_unmatched(self) -> Joined<S, R, L, T, I, M, Split> {
        self.with_outcome()
    }

    fn with_outcome<P: Outcome<L, T>>(self) -> Joined<S, R, L, T, I, M, P> {
        let Join { left, right, core, budget, site } = self.into_stage();
        Flow::from_stage(Join { left, right, core: core.with_outcome(), budget, site })
    }

    /// What became of the items so far.
    pub fn counts(&self) -> JoinCounts {
        let core = &self.stage().core;
        JoinCounts { evicted: core.index.slots().evicted(), ..core.counts }
    }
}

impl<S, R, L, T, I, M, O> Stage for Join<S, R, Core<L, T, I, M, O>>
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
    T: Clone,
    I: Index<L, T>,
    M: Reach<L>,
    O: Outcome<L, T>,
{
    type Item = Timed<O::Out>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.project();
        let core = this.core;
        let mut left_waits = false;
        loop {
            if core.matches.is_some() && !this.budget.spend(cx) {
                let _ = drive(this.left, cx);
                let _ = drive(this.right, cx);
                return Poll::Pending;
            }
            if let Some(out) = core.next() {
                return Poll::Ready(Some(out));
            }
            if !left_waits && this.left.is_some() && core.wants_left() {
                match poll_side(this.left.as_mut(), cx) {
                    Poll::Ready(Some(element)) => core.push_left(element),
                    Poll::Ready(None) => core.end_left(),
                    Poll::Pending => left_waits = true,
                }
                continue;
            }
            if core.waiting.is_over() {
                this.right.set(None);
                core.clear();
                return Poll::Ready(None);
            }
            if this.right.is_none() || !core.wants_right() {
                // It waits for the left side.
                let _ = drive(this.right, cx);
                return Poll::Pending;
            }
            match poll_side(this.right.as_mut(), cx) {
                Poll::Ready(Some(element)) => {
                    core.push_right(element);
                }
                Poll::Ready(None) => core.right_ended = true,
                Poll::Pending => {
                    read_ahead(core, this.left, left_waits, cx);
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let mut this = self.project();
        let core = this.core;
        let mut left = this.left;
        let mut left_waits = false;
        let waker = cx.waker();
        loop {
            // Everything but the right side, as far as it goes: outside of its drain ..
            loop {
                if core.matches.is_some() && !this.budget.spend(cx) {
                    let _ = drive(left.as_mut(), cx);
                    let _ = drive(this.right.as_mut(), cx);
                    return Poll::Pending;
                }
                if let Some(out) = core.next() {
                    if let broke @ ControlFlow::Break(_) = each(out) {
                        return Poll::Ready(broke);
                    }
                } else if !take_left(core, left.as_mut(), &mut left_waits, cx) {
                    break;
                }
            }
            if core.waiting.is_over() {
                this.right.set(None);
                core.clear();
                return Poll::Ready(ControlFlow::Continue(()));
            }
            if this.right.is_none() || !core.wants_right() {
                // It waits for the left side.
                let _ = drive(this.right, cx);
                return Poll::Pending;
            }
            let Some(right) = this.right.as_mut().as_pin_mut() else {
                continue;
            };
            let drained = right.poll_drain(cx, &mut |element| {
                if !core.push_right(element) {
                    return ControlFlow::Continue(());
                }
                // .. and inside of it, so that a busy right side is drained in one go.
                turn(core, left.as_mut(), &mut left_waits, waker, each)
            });
            match drained {
                Poll::Ready(ControlFlow::Break(None)) => {}
                Poll::Ready(ControlFlow::Break(Some(broke))) => {
                    return Poll::Ready(ControlFlow::Break(broke));
                }
                Poll::Ready(ControlFlow::Continue(())) => {
                    this.right.set(None);
                    core.right_ended = true;
                }
                Poll::Pending => {
                    read_ahead(core, left, left_waits, cx);
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let left = drive(this.left, cx);
        let right = drive(this.right, cx);
        ready!(left);
        right
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.left.as_ref().map_or((0, Some(0)), Stage::size_hint);
        let waiting = self.core.waiting.len();
        let least = if O::KEEPS_UNMATCHED { least.saturating_add(waiting) } else { 0 };
        let most = most.and_then(|most| most.checked_add(waiting));
        let most = most.filter(|most| M::ONE || *most == 0);
        (least, most)
    }

    fn describe(&self, outline: &mut Outline) {
        let left = self.left.as_ref().map(Outline::of);
        let right = self.right.as_ref().map(Outline::of);
        let core = &self.core;
        let node = outline.join(M::NAME, self.site, left.into_iter().chain(right));
        core.reach.describe(node);
        core.index.describe(node);
        let capacity = core.capacity.get();
        let known = if core.reach.keeps_last() { core.index.most(core.capacity) } else { 0 };
        let most = capacity.saturating_mul(2).saturating_add(known);
        node.parameter("capacity", capacity).holds(Bound::Items(most));
    }
}

/// Lets out what can be while the right side is drained, with new elements of the left side. Breaks
/// if the right side is not needed for now.
#[inline(never)]
fn turn<S, L, T, I, M, O, B>(
    core: &mut Core<L, T, I, M, O>,
    mut left: Pin<&mut Option<S>>,
    waits: &mut bool,
    waker: &Waker,
    each: &mut impl FnMut(Timed<O::Out>) -> ControlFlow<B>,
) -> ControlFlow<Option<B>>
where
    S: Stage<Item = Timed<L>>,
    T: Clone,
    I: Index<L, T>,
    M: Reach<L>,
    O: Outcome<L, T>,
{
    let cx = &mut Context::from_waker(waker);
    while M::ONE || core.matches.is_none() {
        if let Some(out) = core.next() {
            each(out).map_break(Some)?;
        } else if !take_left(core, left.as_mut(), waits, cx) {
            let needed = core.wants_right();
            return if needed { ControlFlow::Continue(()) } else { ControlFlow::Break(None) };
        }
    }
    ControlFlow::Break(None)
}

/// Takes an element of the left side, if it is wanted and there.
#[inline]
fn take_left<S, L, T, I, M, O>(
    core: &mut Core<L, T, I, M, O>,
    left: Pin<&mut Option<S>>,
    waits: &mut bool,
    cx: &mut Context<'_>,
) -> bool
where
    S: Stage<Item = Timed<L>>,
    T: Clone,
    I: Index<L, T>,
    M: Reach<L>,
    O: Outcome<L, T>,
{
    if *waits || left.is_none() || !core.wants_left() {
        return false;
    }
    match poll_side(left, cx) {
        Poll::Ready(Some(element)) => core.push_left(element),
        Poll::Ready(None) => core.end_left(),
        Poll::Pending => *waits = true,
    }
    !*waits
}

/// While the right side has nothing, takes from the left side what has room: a source that feeds
/// both may not come to the right side otherwise.
fn read_ahead<S, L, T, I, M, O>(
    core: &mut Core<L, T, I, M, O>,
    mut left: Pin<&mut Option<S>>,
    mut waits: bool,
    cx: &mut Context<'_>,
) where
    S: Stage<Item = Timed<L>>,
    T: Clone,
    I: Index<L, T>,
    M: Reach<L>,
    O: Outcome<L, T>,
{
    if let Some(stage) = left.as_mut().as_pin_mut()
        && !waits
        && core.has_room()
        && !core.waiting.is_empty()
    {
        let drained = stage.poll_drain(cx, &mut |element| {
            core.push_left(element);
            if core.has_room() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        match drained {
            Poll::Ready(ControlFlow::Break(())) => {}
            Poll::Ready(ControlFlow::Continue(())) => {
                left.set(None);
                core.end_left();
            }
            Poll::Pending => waits = true,
        }
    }
    if !waits {
        let _ = drive(left, cx);
    }
}
