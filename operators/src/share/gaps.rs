//! Consumers that are told what they missed, or fail for it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::cursors::Cursors;
use super::{Shared, Slow, Subscription};
use crate::{Bound, Flow, Outline, Site, Stage};

/// What a consumer does about items that it was too slow for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGap {
    /// It gets an error in their place, and goes on.
    Report,
    /// It gets an error in their place, and its flow ends.
    Fail,
}

/// A consumer was too slow for some items of a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a consumer missed {missed} items of the share at {site}: it is too slow; give the share more \
     room, or let it block"
)]
pub struct Lagged {
    /// How many it missed here.
    pub missed: u64,
    /// Where the share was made.
    pub site: Site,
}

impl<S: Stage<Item: Clone>> Shared<S> {
    /// As [`subscribe_as`](Self::subscribe_as), with an error wherever items were missed: between
    /// two items of the flow there is either no gap or one error that says how long it is.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, share::{OnGap, Slow}};
    /// let shared = iter(0..5).share(2);
    /// let slow = shared.subscribe_gaps(Slow::Lag, OnGap::Report);
    /// Virtual::new().run(shared.subscribe().drain());
    /// let got = Virtual::new().run(slow.map(|x| x.map_err(|gap| gap.missed)).collect::<Vec<_>>());
    /// assert_eq!(got, [Err(3), Ok(3), Ok(4)]);
    /// ```
    pub fn subscribe_gaps(&self, slow: Slow, on_gap: OnGap) -> Flow<Gaps<S>> {
        let input = Some(self.subscribe_as(slow).into_stage());
        Flow::from_stage(Gaps { input, known: 0, waiting: None, on_gap })
    }
}

/// The stage behind [`Shared::subscribe_gaps`].
#[derive(Debug)]
pub struct Gaps<S: Stage<Item: Clone>> {
    /// `None` once it has failed.
    input: Option<Subscription<S>>,
    /// Missed items that were reported.
    known: u64,
    /// Comes after the error.
    waiting: Option<S::Item>,
    on_gap: OnGap,
}

// Items are never pinned.
impl<S: Stage<Item: Clone>> Unpin for Gaps<S> {}

impl<S: Stage<Item: Clone>> Stage for Gaps<S> {
    type Item = Result<S::Item, Lagged>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(item) = this.waiting.take() {
            return Poll::Ready(Some(Ok(item)));
        }
        let Some(input) = &mut this.input else {
            return Poll::Ready(None);
        };
        let Some(item) = ready!(Pin::new(&mut *input).poll_next(cx)) else {
            return Poll::Ready(None);
        };
        let missed = input.look(Cursors::missed_before) - this.known;
        if missed == 0 {
            return Poll::Ready(Some(Ok(item)));
        }
        this.known += missed;
        let gap = Lagged { missed, site: input.site() };
        match this.on_gap {
            OnGap::Report => this.waiting = Some(item),
            OnGap::Fail => this.input = None,
        }
        Poll::Ready(Some(Err(gap)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.get_mut().input {
            Some(input) => Pin::new(input).poll_progress(cx),
            None => Poll::Ready(()),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.waiting.is_some());
        match (&self.input, self.on_gap) {
            (Some(input), OnGap::Report) => (input.size_hint().0 + waiting, None),
            // The next one may be the error that ends it.
            (Some(input), OnGap::Fail) => (input.size_hint().0.min(1), None),
            (None, _) => (waiting, Some(waiting)),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
            outline
                .stage("subscribe_gaps", input.site())
                .parameter("on_gap", format_args!("{:?}", self.on_gap))
                .holds(Bound::Items(1));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;
    use crate::iter;
    use crate::testing::items;

    crate::conformance!(gaps, |input| { input.share(2).subscribe_gaps(Slow::Lag, OnGap::Report) });
    crate::conformance!(no_gaps, |input| input.share(2).subscribe_gaps(Slow::Lag, OnGap::Fail));

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn each_gap_is_reported_once_and_as_long_as_it_is() {
        let shared = iter(0..10).share(2);
        let mut slow = shared.subscribe_gaps(Slow::Lag, OnGap::Report);
        let mut fast = shared.subscribe();
        let mut got = Vec::new();
        for taken in [1, 4, 1, 4] {
            for _ in 0..taken {
                assert!(try_next(&mut fast).is_ready());
            }
            while let Poll::Ready(Some(item)) = try_next(&mut slow) {
                got.push(item.map_err(|gap| gap.missed));
                if got.last().is_some_and(|item| item.is_ok()) {
                    break;
                }
            }
        }
        got.extend(items(slow).into_iter().map(|item| item.map_err(|gap| gap.missed)));
        let numbers = got.iter().fold(0, |next, item| match item {
            Ok(n) => {
                assert_eq!(*n, next);
                next + 1
            }
            Err(missed) => next + *missed as i32,
        });
        assert!(got.iter().any(Result::is_err) && numbers == 10, "{got:?}");
    }

    #[test]
    fn a_consumer_that_must_not_miss_anything_fails_at_the_first_gap_and_leaves() {
        let shared = iter(0..10).share(2);
        let strict = shared.subscribe_gaps(Slow::Lag, OnGap::Fail);
        assert_eq!(items(shared.subscribe()).len(), 10);
        assert_eq!(shared.consumers(), 1);
        let got = items(strict);
        assert!(matches!(got[..], [Err(Lagged { missed: 8, .. })]), "{got:?}");
        assert_eq!(shared.consumers(), 0);
    }

    #[test]
    fn a_consumer_that_keeps_up_gets_no_error() {
        let got = items(iter(0..100).share(2).subscribe_gaps(Slow::Lag, OnGap::Fail));
        assert!(got.into_iter().map(Result::unwrap).eq(0..100));
    }
}
