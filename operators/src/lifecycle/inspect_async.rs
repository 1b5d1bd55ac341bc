//! `inspect_async`: a look at each item that may take its time.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Awaits `look(&item)` and then passes the item on, one item after the other.
    ///
    /// ```text
    /// in    --a--b----c--|
    /// look    [] []   []
    /// out   ----a--b----c|    inspect_async(look)
    /// ```
    ///
    /// The future cannot borrow the item, which may move while it runs: `look` clones what it
    /// wants to keep.
    ///
    /// - **Emits** each item when its future is ready.
    /// - **Backpressures** while a future is pending; work in flight above it goes on.
    /// - **Ends** when the input has ended and the last item is out.
    /// - **On error**: an error is an item here. A panic in `look` comes out of the poll; the flow
    ///   has ended then.
    /// - **Holds** 1 item, while `look` is busy with it. Dropping the flow drops both.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let (log, mut lines) = futures::channel::mpsc::channel(16);
    /// let audited = aqueduct_operators::iter([1, 2]).inspect_async(|x| {
    ///     let (mut log, line) = (log.clone(), format!("order {x}"));
    ///     async move { log.try_send(line).unwrap() }
    /// });
    /// assert_eq!(audited.sum::<i32>().await, 3);
    /// assert_eq!(lines.try_recv().unwrap(), "order 1");
    /// # });
    /// ```
    #[doc(alias("eval_tap", "invoke", "tap_async", "call", "do_on_next_async"))]
    #[track_caller]
    pub fn inspect_async<F, Fut>(self, look: F) -> Flow<InspectAsync<S, F, Fut>>
    where
        F: FnMut(&S::Item) -> Fut,
        Fut: Future<Output = ()>,
    {
        Flow::from_stage(InspectAsync {
            input: self.into_stage(),
            look,
            item: None,
            looking: None,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::inspect_async`].
#[pin_project]
pub struct InspectAsync<S: Stage, F, Fut> {
    #[pin]
    input: S,
    look: F,
    /// The item that `looking` is busy with, or was.
    item: Option<S::Item>,
    #[pin]
    looking: Option<Fut>,
    site: Site,
}

impl<S: Stage, F, Fut> fmt::Debug for InspectAsync<S, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let busy = self.looking.is_some();
        f.debug_struct("InspectAsync").field("busy", &busy).finish_non_exhaustive()
    }
}

impl<S, F, Fut> InspectAsync<S, F, Fut>
where
    S: Stage,
    Fut: Future<Output = ()>,
{
    /// Ready when no future runs.
    fn poll_look(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if let Some(looking) = this.looking.as_mut().as_pin_mut() {
            ready!(looking.poll(cx));
            this.looking.set(None);
        }
        Poll::Ready(())
    }
}

impl<S, F, Fut> Stage for InspectAsync<S, F, Fut>
where
    S: Stage,
    F: FnMut(&S::Item) -> Fut,
    Fut: Future<Output = ()>,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.as_mut().project();
        if this.item.is_none() {
            let Some(item) = ready!(this.input.as_mut().poll_next(cx)) else {
                return Poll::Ready(None);
            };
            let looking = (this.look)(&item);
            this.looking.set(Some(looking));
            *this.item = Some(item);
        }
        if self.as_mut().poll_look(cx).is_pending() {
            let _ = self.project().input.poll_progress(cx);
            return Poll::Pending;
        }
        Poll::Ready(self.project().item.take())
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let looked = self.as_mut().poll_look(cx);
        let above = self.project().input.poll_progress(cx);
        if looked.is_ready() { above } else { Poll::Pending }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.input.size_hint();
        let held = usize::from(self.item.is_some());
        (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline.stage("inspect_async", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use crate::testing::{
        Timeline, conformance, every_way, marbles, ms, specification, timeline, timetable,
    };
    use crate::{iter, timer};

    #[test]
    fn an_item_passes_when_its_look_is_over_and_the_next_one_waits() {
        let flow = timetable([(0, 'a'), (1, 'b'), (9, 'c')], 10);
        let looked = flow.inspect_async(|_| async { timer(ms(3)).drain().await });
        assert_eq!(timeline(looked), (vec![(3, 'a'), (6, 'b'), (12, 'c')], 12));
    }

    #[test]
    fn every_item_is_seen_once() {
        let seen = RefCell::new(Vec::new());
        let look = |x: &u8| {
            seen.borrow_mut().push(*x);
            async {}
        };
        assert_eq!(every_way(|| iter([1, 2, 3]).inspect_async(look)), [1, 2, 3]);
        assert_eq!(seen.take(), [1, 2, 3].repeat(4));
    }

    marbles!(inspect_async, |input| {
        input.inspect_async(|_| async { timer(ms(2)).drain().await })
    });

    conformance!(inspect_async, |input| {
        input.inspect_async(|x| {
            let n = u64::from(x.value());
            async move { timer(ms(n % 3)).drain().await }
        })
    });

    specification!(
        inspect_async,
        |input| input.inspect_async(|_| async { timer(ms(2)).drain().await }),
        |input| -> Timeline<u8> {
            let mut free = 0;
            let end = input.end;
            let pass = |(at, item): (i64, u8)| {
                free = free.max(at) + 2;
                (free, item)
            };
            let events: Vec<_> = input.events.into_iter().map(pass).collect();
            let last = events.last().map_or(0, |(at, _)| *at);
            Timeline::new(events, end.max(last))
        }
    );
}
