//! `flatten`: items that are streams themselves, one after the other.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage};

impl<S: Stage<Item: Stream>> Flow<S> {
    /// Emits the items of each inner stream, one stream after the other.
    ///
    /// ```text
    /// in   --+-------+--|
    ///        |       \-----d-|
    ///        \--a-b----c-|
    /// out  -----a-b----c-----d-|
    /// ```
    ///
    /// The next stream is taken when the one before has ended, so that the order is theirs and
    /// at most one runs. Any [`futures::Stream`](Stream) will do; a flow is one.
    ///
    /// A stream can be driven only by asking it for an item. While downstream is busy the inner
    /// one runs on until it has one, and then both wait, with all work in flight inside it.
    ///
    /// - **Emits** each item of each inner stream.
    /// - **Backpressures** when downstream does, and takes no stream before the previous one has
    ///   ended.
    /// - **Ends** when the input and the last inner stream have ended.
    /// - **On error**: an error is an item here and passes; the inner stream goes on after it.
    /// - **Holds** the inner stream, which holds as its author decided, and 1 item of it that came
    ///   while downstream was busy.
    /// - **Cost**: no allocation; a clock read in each turn and every 1,024 items, because one
    ///   stream can make endless ones (see [`Budget`]).
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let days = iter([iter(["mon 9:00", "mon 9:01"]), iter(["tue 9:00", "tue 9:01"])]);
    /// assert_eq!(days.flatten().last().await, Some("tue 9:01"));
    /// # });
    /// ```
    #[doc(alias(
        "concat_all",
        "flatten_concat",
        "flat_map_concat",
        "switch_on_completed"
    ))]
    #[track_caller]
    pub fn flatten(self) -> Flow<Flatten<S, S::Item>> {
        Flow::from_stage(Flatten {
            input: self.into_stage(),
            inner: None,
            waiting: None,
            budget: Budget::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::flatten`].
#[pin_project]
#[derive(Debug)]
pub struct Flatten<S, I: Stream> {
    #[pin]
    input: S,
    #[pin]
    inner: Option<I>,
    /// What the inner stream had ready when it was driven without being asked for an item.
    waiting: Option<I::Item>,
    budget: Budget,
    site: Site,
}

impl<S, I: Stream> Flatten<S, I> {
    /// The next item of the inner stream; `None` if there is none (any more).
    fn poll_inner(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<I::Item>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        if !this.budget.spend(cx) {
            return Poll::Pending;
        }
        let Poll::Ready(item) = inner.poll_next(cx) else {
            this.budget.rest();
            return Poll::Pending;
        };
        if item.is_none() {
            this.inner.set(None);
        }
        Poll::Ready(item)
    }
}

impl<S: Stage<Item = I>, I: Stream> Stage for Flatten<S, I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let waiting @ Some(_) = self.as_mut().project().waiting.take() {
            return Poll::Ready(waiting);
        }
        loop {
            if let item @ Some(_) = ready!(self.as_mut().poll_inner(cx)) {
                return Poll::Ready(item);
            }
            let mut this = self.as_mut().project();
            let Poll::Ready(next) = this.input.poll_next(cx) else {
                this.budget.rest();
                return Poll::Pending;
            };
            if next.is_none() {
                return Poll::Ready(None);
            }
            this.inner.set(next);
        }
    }

    // A stream has no way to be driven but to be asked: its item waits here for downstream.
    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut driven = Poll::Ready(());
        if self.waiting.is_none() {
            match self.as_mut().poll_inner(cx) {
                Poll::Ready(item) => *self.as_mut().project().waiting = item,
                Poll::Pending => driven = Poll::Pending,
            }
        }
        let above = self.project().input.poll_progress(cx);
        if driven.is_ready() { above } else { driven }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = match &self.inner {
            Some(inner) => inner.size_hint(),
            None => (0, Some(0)),
        };
        let waiting = usize::from(self.waiting.is_some());
        let most = match self.input.size_hint() {
            (_, Some(0)) => most.and_then(|most| most.checked_add(waiting)),
            _ => None,
        };
        (least.saturating_add(waiting), most)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("flatten", self.site).holds(Bound::Unknown);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use futures::stream::{empty, repeat};
    use tokio::sync::mpsc;
    use tokio_stream::wrappers::ReceiverStream;

    use crate::testing::{every_way, timeline, timetable};
    use crate::{Stage, Virtual, iter};

    #[test]
    fn the_items_of_each_stream_follow_one_another() {
        let flow = || iter([2, 0, 3]).map(|n| iter(0..n)).flatten();
        assert_eq!(every_way(flow), [0, 1, 0, 1, 2]);
    }

    #[test]
    fn the_next_stream_starts_when_the_one_before_has_ended() {
        let inner = |name| timetable([(2, (name, 2)), (4, (name, 4))], 6);
        let flow = timetable([(1, inner('a')), (3, inner('b'))], 9).flatten();
        // Everything of the second is overdue at the end of the first.
        let expected = vec![(2, ('a', 2)), (4, ('a', 4)), (6, ('b', 2)), (6, ('b', 4))];
        assert_eq!(timeline(flow), (expected, 9));
    }

    #[test]
    fn endless_streams_share_the_event_loop() {
        let mut cx = Context::from_waker(Waker::noop());
        Virtual::new().run(async {
            let mut endless = pin!(iter([repeat(1)]).flatten().count());
            assert!(endless.as_mut().poll(&mut cx).is_pending());
            let mut nothing = pin!(iter(std::iter::repeat(empty::<u8>())).flatten().count());
            assert!(nothing.as_mut().poll(&mut cx).is_pending());
        });
    }

    #[test]
    fn the_inner_stream_is_driven_while_downstream_is_busy() {
        let mut cx = Context::from_waker(Waker::noop());
        let (sender, receiver) = mpsc::channel(1);
        let mut flow = pin!(iter([ReceiverStream::new(receiver)]).flatten());
        assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
        sender.try_send('a').unwrap();
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        sender
            .try_send('b')
            .expect("driving has made room in the channel");
        // One item waits already: driving on takes no other.
        assert!(flow.as_mut().poll_progress(&mut cx).is_ready());
        for item in ['a', 'b'] {
            let polled = Stage::poll_next(flow.as_mut(), &mut cx);
            assert_eq!(polled, Poll::Ready(Some(item)));
        }
    }
}
