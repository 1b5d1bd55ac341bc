//! `dead_letter`: errors into a channel of their own.

use std::fmt;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::buffer::Store;
use crate::source::{Outbox, SendError, Sender};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Sends each error into a [`channel`](crate::channel), and goes on with the items.
    ///
    /// ```text
    /// in       --1--#--3--|
    /// letters  -----x-----|    the error
    /// out      --1-----3--|    dead_letter(letters)
    /// ```
    ///
    /// What the channel does when it is full is the policy it was made with: under `Block` an item
    /// behind the error waits until there is room, so that no failure is lost and none is
    /// overtaken; under `DropOldest` and the like the main flow never waits. To keep the item that
    /// failed, make it part of the error: `map(|x| parse(&x).map_err(|cause| (x, cause)))`.
    ///
    /// The letters have to be read by another task, or by the same one with a merge: a consumer
    /// that first wants the end of this flow makes a channel under `Block` wait for ever.
    ///
    /// - **Emits** each item that is `Ok`, in the same poll.
    /// - **Backpressures** when downstream does, and while an error waits for room.
    /// - **Ends** when the input has ended and its last error is sent; the sender is dropped with
    ///   that.
    /// - **On error**: it is sent, and [counted](Flow::letters); when nobody reads them any more it
    ///   is dropped, and counted as [lost](Flow::lost_letters).
    /// - **Holds** 1 error, which waits for room.
    /// - **Cost**: nothing for an item, one lock for an error; no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Overflow, channel, iter};
    /// # futures::executor::block_on(async {
    /// let (dead, letters) = channel(16, Overflow::DropOldest);
    /// let lines = iter(["7", "x", "8"]).map(|text| text.parse::<u32>().map_err(|e| (text, e)));
    /// assert_eq!(lines.dead_letter(dead).collect::<Vec<_>>().await, [7, 8]);
    /// let failed: Vec<_> = letters.map(|(text, _)| text).collect().await;
    /// assert_eq!(failed, ["x"]);
    /// # });
    /// ```
    #[doc(alias("divert_to", "handle_failed", "partition_either", "side_output"))]
    #[track_caller]
    pub fn dead_letter<Q: Store<E>>(self, letters: Sender<E, Q>) -> Flow<DeadLetter<S, E, Q>> {
        Flow::from_stage(DeadLetter {
            input: Some(self.into_stage()),
            outbox: Some(Outbox::new(letters)),
            sent: 0,
            lost: 0,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::dead_letter`].
#[pin_project]
pub struct DeadLetter<S, E, Q: Store<E>> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    /// `None` once the input has ended and its last error is sent.
    outbox: Option<Outbox<E, Q>>,
    sent: u64,
    lost: u64,
    site: Site,
}

impl<S, E, Q: Store<E>> Flow<DeadLetter<S, E, Q>>
where
    DeadLetter<S, E, Q>: Stage,
{
    /// How many errors were sent; what became of them the channel counts.
    pub fn letters(&self) -> u64 {
        self.stage().sent
    }

    /// How many errors were dropped because nobody reads them.
    pub fn lost_letters(&self) -> u64 {
        self.stage().lost
    }
}

impl<S, E, Q: Store<E>> DeadLetter<S, E, Q> {
    /// Ready when no error waits for room.
    fn poll_outbox(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if let Some(outbox) = this.outbox {
            count(ready!(outbox.poll_sent(cx)), this.sent, this.lost);
        }
        Poll::Ready(())
    }

    fn end(self: Pin<&mut Self>) {
        let mut this = self.project();
        this.input.set(None);
        *this.outbox = None;
    }
}

fn count<E>(sent: Option<Result<(), SendError<E>>>, delivered: &mut u64, lost: &mut u64) {
    match sent {
        Some(Ok(())) => *delivered += 1,
        Some(Err(_)) => *lost += 1,
        None => {}
    }
}

impl<S: Stage<Item = Result<T, E>>, T, E, Q: Store<E>> Stage for DeadLetter<S, E, Q> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            if self.as_mut().poll_outbox(cx).is_pending() {
                // The input is not asked, so its work in flight goes on only if it is driven.
                let _ = self.poll_progress_of_input(cx);
                return Poll::Pending;
            }
            let this = self.as_mut().project();
            let (Some(input), Some(outbox)) = (this.input.as_pin_mut(), this.outbox) else {
                return Poll::Ready(None);
            };
            match ready!(input.poll_next(cx)) {
                Some(Ok(item)) => return Poll::Ready(Some(item)),
                Some(Err(error)) => {
                    if let Poll::Ready(sent) = outbox.send(error) {
                        count(Some(sent), this.sent, this.lost);
                    }
                }
                None => self.as_mut().end(),
            }
        }
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(T) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        loop {
            if self.as_mut().poll_outbox(cx).is_pending() {
                let _ = self.poll_progress_of_input(cx);
                return Poll::Pending;
            }
            let this = self.as_mut().project();
            let (Some(input), Some(outbox)) = (this.input.as_pin_mut(), this.outbox) else {
                return Poll::Ready(ControlFlow::Continue(()));
            };
            let (sent, lost) = (this.sent, this.lost);
            let drained = input.poll_drain(cx, &mut |item| match item {
                Ok(item) => each(item).map_break(Some),
                Err(error) => match outbox.send(error) {
                    Poll::Ready(result) => {
                        count(Some(result), sent, lost);
                        ControlFlow::Continue(())
                    }
                    Poll::Pending => ControlFlow::Break(None),
                },
            });
            match ready!(drained) {
                ControlFlow::Break(Some(value)) => return Poll::Ready(ControlFlow::Break(value)),
                ControlFlow::Break(None) => {}
                ControlFlow::Continue(()) => self.as_mut().end(),
            }
        }
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sent = self.as_mut().poll_outbox(cx);
        ready!(self.poll_progress_of_input(cx));
        sent
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, self.input.as_ref().map_or(Some(0), |input| input.size_hint().1))
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(input) = &self.input {
            input.describe(outline);
        }
        outline.stage("dead_letter", self.site).holds(Bound::Items(1));
    }
}

impl<S: Stage, E, Q: Store<E>> DeadLetter<S, E, Q> {
    fn poll_progress_of_input(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.project().input.as_pin_mut() {
            Some(input) => input.poll_progress(cx),
            None => Poll::Ready(()),
        }
    }
}

impl<S: fmt::Debug, E, Q: Store<E>> fmt::Debug for DeadLetter<S, E, Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("input", &self.input)
            .field("sent", &self.sent)
            .field("lost", &self.lost)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::testing::{
        Timeline, Tracked, conformance, every_way, marbles, ms, specification, timeline, timetable,
    };
    use crate::{Flow, Overflow, Stage, Virtual, channel, iter};

    fn mixed() -> Flow<impl Stage<Item = Result<u8, char>>> {
        iter([Ok(1), Err('x'), Ok(2), Err('y'), Err('z'), Ok(3)])
    }

    #[test]
    fn errors_go_into_the_channel_and_items_pass() {
        let letters = RefCell::new(Vec::new());
        let flow = || {
            let (dead, flow) = channel(9, Overflow::Block);
            letters.borrow_mut().push(flow);
            mixed().dead_letter(dead)
        };
        assert_eq!(every_way(flow), [1, 2, 3]);
        for letters in letters.into_inner() {
            // The sender is gone, or this would wait for ever.
            let all: String = Virtual::new().run(letters.collect());
            assert_eq!(all, "xyz");
        }
    }

    #[test]
    fn an_error_that_waits_for_room_is_not_overtaken() {
        let (dead, letters) = channel(1, Overflow::Block);
        // Reads a letter every 10 ms.
        let slow = letters.then(async |_| iter([()]).delay(ms(10), 1).count().await);
        let feed = [(1, Ok('a')), (2, Err('x')), (3, Err('y')), (4, Err('z')), (5, Ok('b'))];
        let flow = timetable(feed, 6).dead_letter(dead);
        let both = flow.map(Some).merge(slow.map(|_| None)).filter_map(|item| item);
        // At 2 the reader takes x, y has the room, and z has to wait until 12.
        assert_eq!(timeline(both), (vec![(1, 'a'), (12, 'b')], 32));
    }

    #[test]
    fn errors_that_nobody_reads_are_counted() {
        let (dead, letters) = channel(1, Overflow::Block);
        drop(letters);
        let mut flow = mixed().dead_letter(dead);
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        assert_eq!((flow.letters(), flow.lost_letters()), (0, 3));
    }

    #[test]
    fn errors_that_were_sent_are_counted_whatever_the_policy_does() {
        let (dead, letters) = channel(1, Overflow::DropOldest);
        let mut flow = mixed().dead_letter(dead);
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        assert_eq!((flow.letters(), flow.lost_letters()), (3, 0));
        assert_eq!(Virtual::new().run(letters.collect::<String>()), "z");
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(dead_letter, |input: Result<u32, String>| {
        input.dead_letter(channel(9, Overflow::Block).0)
    });

    conformance!(dead_letter, |input| {
        input.map(checked).dead_letter(channel(9, Overflow::DropOldest).0)
    });
    conformance!(dead_letter_that_is_read, |input| {
        let (dead, letters) = channel(1, Overflow::Block);
        input.map(checked).dead_letter(dead).map(Ok).merge(letters.map(Err))
    }, except [
        Invariance: "which of two ready inputs comes first is not promised",
    ]);

    specification!(
        dead_letter,
        |input: Result<u8, u8>| input.dead_letter(channel(1, Overflow::DropNewest).0),
        |input| Timeline::new(
            input.events.into_iter().filter_map(|(at, item)| Some((at, item.ok()?))),
            input.end,
        ),
    );
}
