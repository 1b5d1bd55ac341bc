//! [`Attempts`]: the stage of the sources that start again.

use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Node, Outline, Site, Stage};

/// Decides what follows an attempt that is over.
pub trait Plan {
    /// The error of an attempt.
    type Error;

    /// The attempt brought an item.
    fn item_came(self: Pin<&mut Self>);

    /// The attempt failed: there is something to decide.
    fn failed(self: Pin<&mut Self>, error: Self::Error);

    /// The attempt ended without an error. `false` if that is the end.
    fn ended(self: Pin<&mut Self>) -> bool;

    /// Ready when the decision is made and may be taken.
    fn poll_decided(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()>;

    /// Takes the decision.
    fn decision(self: Pin<&mut Self>) -> Next<Self::Error>;

    /// The name of the operator.
    fn name(&self) -> &'static str;

    /// Its parameters.
    fn describe(&self, node: &mut Node);
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<E> {
    /// Another one.
    Attempt,
    /// The end.
    End,
    /// The end, after this error.
    Error(E),
}

/// The stage behind [`retry`](super::retry), [`retry_when`](super::retry_when) and
/// [`restart`](super::restart).
#[pin_project]
pub struct Attempts<F, S, P> {
    /// `None` before the first attempt, between two, and after the last.
    #[pin]
    attempt: Option<Flow<S>>,
    factory: F,
    #[pin]
    plan: P,
    state: State,
    /// Attempts that are over at once and followed at once would never return.
    budget: Budget,
    site: Site,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is an attempt, or one is to be made.
    Running,
    /// The plan decides what follows.
    Deciding,
    Over,
}

/// What a poll comes to when no item is there.
enum Step<E> {
    Attempt,
    End,
    Error(E),
}

impl<F: FnMut() -> Flow<S>, S, P: Plan> Attempts<F, S, P> {
    pub(super) fn new(factory: F, plan: P, site: Site) -> Self {
        Self { attempt: None, factory, plan, state: State::Running, budget: Budget::new(), site }
    }

    /// Ready when there is an attempt to poll, or it is over.
    fn poll_attempt(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Step<P::Error>> {
        let mut this = self.project();
        if *this.state == State::Deciding {
            ready!(this.plan.as_mut().poll_decided(cx));
            *this.state = State::Over;
            match this.plan.decision() {
                Next::Attempt => *this.state = State::Running,
                Next::End => {}
                Next::Error(error) => return Poll::Ready(Step::Error(error)),
            }
        }
        if *this.state == State::Over {
            return Poll::Ready(Step::End);
        }
        if this.attempt.is_none() {
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            this.attempt.set(Some((this.factory)()));
        }
        Poll::Ready(Step::Attempt)
    }

    /// Drops the attempt that failed.
    fn failed(self: Pin<&mut Self>, error: P::Error) {
        let mut this = self.project();
        this.attempt.set(None);
        *this.state = State::Deciding;
        this.plan.failed(error);
    }

    /// Drops the attempt that ended.
    fn ended(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.attempt.set(None);
        let again = this.plan.ended();
        *this.state = if again { State::Deciding } else { State::Over };
    }
}

/// Why the drain of an attempt broke.
enum Break<B, E> {
    Consumer(B),
    Error(E),
}

impl<F, S, P, T> Stage for Attempts<F, S, P>
where
    F: FnMut() -> Flow<S>,
    S: Stage<Item = Result<T, P::Error>>,
    P: Plan,
{
    type Item = Result<T, P::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(self.as_mut().poll_attempt(cx)) {
                Step::Attempt => {}
                Step::End => return Poll::Ready(None),
                Step::Error(error) => return Poll::Ready(Some(Err(error))),
            }
            let this = self.as_mut().project();
            let Some(attempt) = this.attempt.as_pin_mut() else {
                return Poll::Ready(None);
            };
            match ready!(Stage::poll_next(attempt, cx)) {
                Some(Ok(item)) => {
                    this.plan.item_came();
                    return Poll::Ready(Some(Ok(item)));
                }
                Some(Err(error)) => self.as_mut().failed(error),
                None => self.as_mut().ended(),
            }
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            match ready!(self.as_mut().poll_attempt(cx)) {
                Step::Attempt => {}
                Step::End => return Poll::Ready(ControlFlow::Continue(())),
                Step::Error(error) => return Poll::Ready(each(Err(error))),
            }
            let mut this = self.as_mut().project();
            let Some(attempt) = this.attempt.as_pin_mut() else {
                return Poll::Ready(ControlFlow::Continue(()));
            };
            let plan = &mut this.plan;
            let drained = attempt.poll_drain(cx, &mut |item| match item {
                Ok(item) => {
                    plan.as_mut().item_came();
                    each(Ok(item)).map_break(Break::Consumer)
                }
                Err(error) => ControlFlow::Break(Break::Error(error)),
            });
            match ready!(drained) {
                ControlFlow::Break(Break::Consumer(value)) => {
                    return Poll::Ready(ControlFlow::Break(value));
                }
                ControlFlow::Break(Break::Error(error)) => self.as_mut().failed(error),
                ControlFlow::Continue(()) => self.as_mut().ended(),
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        match (this.attempt.as_pin_mut(), *this.state) {
            (Some(attempt), _) => attempt.poll_progress(cx),
            (None, State::Deciding) => this.plan.poll_decided(cx),
            (None, _) => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, if self.state == State::Over { Some(0) } else { None })
    }

    fn describe(&self, outline: &mut Outline) {
        let bound = match (&self.attempt, self.state) {
            (Some(attempt), _) => {
                attempt.describe(outline);
                Bound::Items(0)
            }
            (None, State::Over) => Bound::Items(0),
            // The next attempt is not made.
            (None, _) => Bound::Unknown,
        };
        let node = outline.stage(self.plan.name(), self.site);
        self.plan.describe(node.holds(bound));
    }
}

impl<F, S: fmt::Debug, P: fmt::Debug> fmt::Debug for Attempts<F, S, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempts")
            .field("attempt", &self.attempt)
            .field("plan", &self.plan)
            .field("state", &self.state)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

/// What comes of two attempts, the second of which begins `wait` milliseconds after the first has
/// failed: the specification of everything that tries again once.
#[cfg(test)]
pub(super) fn one_retry<T: Copy, E: Copy>(
    first: &crate::testing::Timeline<Result<T, E>>,
    second: &crate::testing::Timeline<Result<T, E>>,
    wait: i64,
) -> crate::testing::Timeline<Result<T, E>> {
    let Some(failed) = first.events.iter().position(|(_, item)| item.is_err()) else {
        return first.clone();
    };
    let since = first.events[failed].0 + wait;
    let mut all = first.clone();
    all.events.truncate(failed);
    all.end = since.max(second.end);
    for (at, item) in &second.events {
        all.events.push((since.max(*at), *item));
        if item.is_err() {
            all.end = since.max(*at);
            break;
        }
    }
    all
}
