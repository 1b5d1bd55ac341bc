//! `try_via` and `try_region`: any part of a flow over the `Ok` items only.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::{Errors, Oks, OnError};
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Runs a part of the flow over the `Ok` items; the first error leaves it and is the last
    /// item.
    ///
    /// ```text
    /// in       --1--2--3--#--4--|
    /// flush    -----a-----(b#|)    try_via(OnError::Flush, |oks| oks.chunks(2))
    /// discard  -----a-----(#|)     try_via(OnError::Discard, |oks| oks.chunks(2))
    ///
    /// where  a = [1, 2], b = [3]
    /// ```
    ///
    /// There is no second, `try_` form of each operator: every operator, and every chain of them,
    /// has one in here. An operator that is not in a region takes an error for an item like any
    /// other, so that errors are debounced, chunked and paired too.
    ///
    /// [`Discard`](OnError::Discard) is for results that are worth nothing once something failed,
    /// and for a prompt end: the item that a `debounce` holds back is lost, and so is a chunk that
    /// is not full. [`Flush`](OnError::Flush) is for data that must not be lost, such as chunks on
    /// their way to a file: the error comes after everything that came before it. Neither is
    /// needed to end a flow at its first error: `take_through(Result::is_ok)` does. Several inputs
    /// have [`try_region`], and errors that only their own item is lost for have no region at all:
    /// `filter_map(Result::ok)`.
    ///
    /// - **Emits** what the part emits, as `Ok`, in the same poll.
    /// - **Backpressures** when the part does.
    /// - **Ends** when the part ends, or after the error. The part is dropped then.
    /// - **On error**: the first one is emitted, and then the end. `Discard` drops the part and its
    ///   input before that, in the poll in which the error came; `Flush` drops the input then and
    ///   lets the part come to its end. A panic in a closure of the part comes out of the poll.
    /// - **Holds** 1 item, the error, besides what the part holds.
    /// - **Cost**: two loads for an item; one allocation when it is assembled; no clock read.
    ///
    /// ```
    /// use aqueduct_operators::{error::OnError, iter};
    /// # futures::executor::block_on(async {
    /// let lines = ["7", "8", "9", "x", "1"];
    /// let pairs = iter(lines)
    ///     .map(str::parse::<u32>)
    ///     .try_via(OnError::Flush, |numbers| numbers.chunks(2));
    /// let all: Vec<_> = pairs.map(|pair| pair.map_err(drop)).collect().await;
    /// assert_eq!(all, [Ok(vec![7, 8]), Ok(vec![9]), Err(())]);
    /// # });
    /// ```
    #[doc(alias(
        "try_map",
        "try_scan",
        "try_debounce",
        "try_chunks",
        "try_filter",
        "try_buffered"
    ))]
    #[doc(alias("try_stream", "delay_error", "fail_fast", "map_ok", "on_error"))]
    #[track_caller]
    pub fn try_via<F, P>(self, on_error: OnError, part: F) -> Flow<TryRegion<P, E>>
    where
        F: FnOnce(Flow<Oks<S, E>>) -> Flow<P>,
        P: Stage,
    {
        let errors = Errors::new(on_error);
        let part = part(errors.ok(self));
        TryRegion::flow(part, errors, "try_via")
    }
}

/// As [`Flow::try_via`], for a part that has several inputs, or that makes inner flows.
///
/// ```text
/// a    --1-----3------|
/// b    ----a-------#---
/// out  ----x-------(#|)    try_region(OnError::Discard, |errors| ..)
///
/// where  x = (1, a)
/// ```
///
/// `part` gets the [`Errors`] of the region and takes the errors out of each input with
/// [`ok`](Errors::ok); an input that cannot fail needs that not. Flows made by `ok` belong into the
/// flow that `part` returns: in one that is kept elsewhere, an error would stop it without end.
///
/// With [`Discard`](OnError::Discard), whatever input fails first ends all of them at once: no
/// other input is polled, and no closure behind one is called, after the error. It may so come out
/// before items that the part holds back or has queued, also those of its own input. With
/// [`Flush`](OnError::Flush), errors never overtake: the other inputs go on to their ends, and the
/// error comes last. A merge of endless inputs then never gives it.
///
/// - **Emits** what the part emits, as `Ok`, in the same poll.
/// - **Backpressures** when the part does.
/// - **Ends** when the part ends, or after the error. The part is dropped then.
/// - **On error**: the first one is emitted, and then the end; those of other inputs after it are
///   dropped. `Discard` drops the part and all inputs before that, in the poll in which the error
///   came; if that was in another task (above a [`hop`](Flow::hop)), in the next one, for which it
///   is woken.
/// - **Holds** 1 item, the error, besides what the part holds.
/// - **Cost**: two loads for an item; one allocation when it is assembled; no clock read.
///
/// ```
/// use aqueduct_operators::{error::{OnError, try_region}, iter};
/// # futures::executor::block_on(async {
/// let days = iter([Ok(1), Ok(2)]);
/// let file = |day| iter([Ok(10 * day), if day == 1 { Ok(11) } else { Err("disk") }, Ok(0)]);
/// let lines = try_region(OnError::Discard, |errors| {
///     errors.ok(days).map(move |day| errors.ok(file(day))).flatten()
/// });
/// let all: Vec<_> = lines.collect().await;
/// assert_eq!(all, [Ok(10), Ok(11), Ok(0), Ok(20), Err("disk")]);
/// # });
/// ```
#[doc(alias("delay_errors", "merge_delay_error", "fail_fast", "try_merge", "try_zip"))]
#[doc(alias("try_join", "try_flatten", "supervise"))]
#[track_caller]
pub fn try_region<F, P, E>(on_error: OnError, part: F) -> Flow<TryRegion<P, E>>
where
    F: FnOnce(Errors<E>) -> Flow<P>,
    P: Stage,
{
    let errors = Errors::new(on_error);
    let part = part(errors.clone());
    TryRegion::flow(part, errors, "try_region")
}

/// The stage behind [`Flow::try_via`] and [`try_region`].
#[pin_project]
#[derive(Debug)]
pub struct TryRegion<P, E> {
    /// `None` once it has ended or was discarded.
    #[pin]
    part: Option<P>,
    errors: Errors<E>,
    /// Whether an error in another task would wake the task of the last poll.
    listening: bool,
    name: &'static str,
    site: Site,
}

impl<P: Stage, E> TryRegion<P, E> {
    #[track_caller]
    fn flow(part: Flow<P>, errors: Errors<E>, name: &'static str) -> Flow<Self> {
        Flow::from_stage(Self {
            part: Some(part.into_stage()),
            errors,
            listening: false,
            name,
            site: Location::caller(),
        })
    }

    /// Before a poll of the part: the errors of inputs that this polls itself need no wake.
    fn unlisten(self: Pin<&mut Self>) {
        let this = self.project();
        if std::mem::take(this.listening) {
            this.errors.unlisten();
        }
    }

    /// After the part was pending: `Ready` if it failed meanwhile.
    fn listen(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<()> {
        let this = self.project();
        // An error that is not to stop the part ends one of its inputs, which wakes it.
        if this.errors.on_error() == OnError::Discard {
            *this.listening = true;
            this.errors.listen(cx);
            if this.errors.stopped() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// Drops the part, and gives the error that comes last, if there is one.
    fn end(self: Pin<&mut Self>) -> Option<E> {
        let mut this = self.project();
        this.part.set(None);
        this.errors.take()
    }
}

impl<P: Stage, E> Stage for TryRegion<P, E> {
    type Item = Result<P::Item, E>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.as_mut().unlisten();
        let this = self.as_mut().project();
        let polled = match this.part.as_pin_mut() {
            Some(part) if !this.errors.stopped() => part.poll_next(cx),
            _ => Poll::Ready(None),
        };
        match polled {
            Poll::Ready(Some(item)) if !this.errors.stopped() => {
                return Poll::Ready(Some(Ok(item)));
            }
            // Else an item that was still on its way out when the error came: discarded too.
            Poll::Ready(_) => {}
            Poll::Pending if this.errors.stopped() => {}
            Poll::Pending => {
                if self.as_mut().listen(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(self.end().map(Err))
    }

    fn poll_drain<B>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        self.as_mut().unlisten();
        let mut this = self.as_mut().project();
        let errors = &*this.errors;
        let drained = match this.part.as_mut().as_pin_mut() {
            Some(part) if !errors.stopped() => part.poll_drain(cx, &mut |item| {
                if errors.stopped() {
                    return ControlFlow::Break(None);
                }
                each(Ok(item)).map_break(Some)
            }),
            _ => Poll::Ready(ControlFlow::Continue(())),
        };
        match drained {
            Poll::Ready(ControlFlow::Break(Some(value))) => {
                if errors.stopped() {
                    this.part.set(None);
                }
                return Poll::Ready(ControlFlow::Break(value));
            }
            Poll::Ready(_) => {}
            Poll::Pending if errors.stopped() => {}
            Poll::Pending => {
                if self.as_mut().listen(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(match self.end() {
            Some(error) => each(Err(error)),
            None => ControlFlow::Continue(()),
        })
    }

    fn poll_progress(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_mut().unlisten();
        let mut this = self.as_mut().project();
        let progress = match this.part.as_mut().as_pin_mut() {
            Some(part) => part.poll_progress(cx),
            None => return Poll::Ready(()),
        };
        if this.errors.stopped() || progress.is_pending() && self.as_mut().listen(cx).is_ready() {
            // The error waits for the next poll; what the part holds does not.
            self.project().part.set(None);
            return Poll::Ready(());
        }
        progress
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let error = usize::from(self.errors.has_failed());
        match self.part.as_ref().map(Stage::size_hint) {
            None => (error, Some(error)),
            Some(_) if self.errors.stopped() => (error, Some(error)),
            Some((least, most)) => {
                let least = match self.errors.on_error() {
                    OnError::Discard => least.min(1),
                    OnError::Flush => least.saturating_add(error),
                };
                (least, most.and_then(|most| most.checked_add(1)))
            }
        }
    }

    fn describe(&self, outline: &mut Outline) {
        if let Some(part) = &self.part {
            part.describe(outline);
        }
        outline
            .stage(self.name, self.site)
            .parameter("on_error", self.errors.on_error())
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Wake, Waker};

    use super::*;
    use crate::error::try_region;
    use crate::testing::*;
    use crate::{Overflow, iter, merge, never};
    use futures::FutureExt;

    const FEED: [Result<u8, char>; 5] = [Ok(1), Ok(2), Ok(3), Err('x'), Ok(4)];

    marbles!(try_via[flush], |input: Result<u32, String>| {
        input.try_via(OnError::Flush, |oks| oks.chunks(2))
    });
    marbles!(try_via[discard], |input: Result<u32, String>| {
        input.try_via(OnError::Discard, |oks| oks.chunks(2))
    });
    marbles!(try_region, |a: Result<u32, String>, b: Result<char, String>| {
        try_region(OnError::Discard, |errors| errors.ok(a).zip(errors.ok(b)))
    });

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    conformance!(try_via_flush, |input| {
        input.map(checked).try_via(OnError::Flush, |oks| oks.map(|x| x))
    });
    conformance!(try_via_discard, |input| {
        input.map(checked).try_via(OnError::Discard, |oks| oks.map(|x| x))
    });

    #[test]
    fn flush_lets_what_the_part_holds_out_before_the_error() {
        let flow = || iter(FEED).try_via(OnError::Flush, |oks| oks.chunks(2));
        assert_eq!(every_way(flow), [Ok(vec![1, 2]), Ok(vec![3]), Err('x')]);
    }

    #[test]
    fn discard_drops_what_the_part_holds() {
        let flow = || iter(FEED).try_via(OnError::Discard, |oks| oks.chunks(2));
        assert_eq!(every_way(flow), [Ok(vec![1, 2]), Err('x')]);
    }

    #[test]
    fn discard_does_not_depend_on_the_batches_of_a_boxed_part() {
        let flow = || iter(FEED).try_via(OnError::Discard, |oks| oks.boxed());
        assert_eq!(every_way(flow), [Ok(1), Ok(2), Ok(3), Err('x')]);
    }

    #[test]
    fn without_an_error_nothing_changes() {
        for on_error in [OnError::Discard, OnError::Flush] {
            let feed = || iter([1, 2, 3]).map(Ok::<_, ()>);
            let flow = || feed().try_via(on_error, |oks| oks.chunks(2));
            assert_eq!(every_way(flow), [Ok(vec![1, 2]), Ok(vec![3])]);
        }
    }

    #[test]
    fn a_part_that_ends_by_itself_never_sees_the_error() {
        let flow = || iter(FEED).try_via(OnError::Flush, |oks| oks.take(2));
        assert_eq!(every_way(flow), [Ok(1), Ok(2)]);
    }

    #[test]
    fn a_debounced_item_is_discarded_by_an_error_and_flushed_by_the_end() {
        let feed = || timetable([(1, Ok('a')), (9, Ok('b')), (10, Err('x'))], 99);
        let discarded = feed().try_via(OnError::Discard, |oks| oks.debounce(ms(5)));
        assert_eq!(timeline(discarded), (vec![(6, Ok('a')), (10, Err('x'))], 10));
        let flushed = feed().try_via(OnError::Flush, |oks| oks.debounce(ms(5)));
        assert_eq!(timeline(flushed), (vec![(6, Ok('a')), (10, Ok('b')), (10, Err('x'))], 10));
    }

    #[test]
    fn the_siblings_are_dropped_before_the_error_comes_out() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let held = never::<Result<u8, char>>().map(move |x| (x, owned.clone()).0);
        let flow = try_region(OnError::Discard, |errors| {
            errors.ok(held).merge(errors.ok(timetable([(3, Err('x'))], 99)))
        });
        let flow = flow.inspect(|_| assert_eq!(watch.strong_count(), 0));
        assert_eq!(timeline(flow), (vec![(3, Err('x'))], 3));
    }

    #[test]
    fn after_the_error_discard_neither_polls_a_sibling_nor_calls_a_closure() {
        let flow = || {
            try_region(OnError::Discard, |errors| {
                let failing = errors.ok(iter([Ok(1), Err('x')]));
                let sibling = errors.ok(iter([Ok(2)]).inspect(|_| panic!("polled")));
                failing.chain(sibling)
            })
        };
        assert_eq!(every_way(flow), [Ok(1), Err('x')]);
        let merged = || {
            try_region(OnError::Discard, |errors| {
                let sibling = errors.ok(iter([Ok(2)])).inspect(|_| panic!("called"));
                errors.ok(iter([Err('x')])).map(|x| x).merge(sibling)
            })
        };
        assert_eq!(every_way(merged), [Err('x')]);
    }

    #[test]
    fn flush_finishes_the_other_inputs_and_gives_the_first_error() {
        let a = timetable([(1, Ok('a')), (2, Err('x'))], 99);
        let b = timetable([(4, Ok('b')), (5, Err('y'))], 99);
        let flow = try_region(OnError::Flush, |errors| {
            merge([errors.ok(a).boxed(), errors.ok(b).boxed()])
        });
        assert_eq!(timeline(flow), (vec![(1, Ok('a')), (4, Ok('b')), (5, Err('x'))], 5));
    }

    #[test]
    fn an_error_of_an_inner_flow_leaves_the_region_too() {
        let flow = || {
            try_region(OnError::Discard, |errors| {
                let outer = errors.ok(iter([Ok(1), Ok(2), Ok(3)]));
                outer.map(move |x| errors.ok(iter([Ok(x), Err(x)]))).flatten()
            })
        };
        assert_eq!(every_way(flow), [Ok(1), Err(1)]);
    }

    #[test]
    fn a_closure_can_fail_the_region() {
        let flow = || {
            try_region(OnError::Discard, |errors| {
                iter(0..9).filter(move |x| {
                    if *x == 2 {
                        errors.fail('x');
                    }
                    true
                })
            })
        };
        assert_eq!(every_way(flow), [Ok(0), Ok(1), Err('x')]);
    }

    #[test]
    fn an_error_above_a_hop_wakes_the_region_and_overtakes_its_queue() {
        let feed = || timetable([(1, Ok('a')), (5, Err('x'))], 99);
        let flow = try_region(OnError::Discard, |errors| {
            errors.ok(feed()).hop(8, Overflow::Block).delay(ms(20), 8)
        });
        assert_eq!(timeline(flow), (vec![(5, Err('x'))], 5));
        let flow = try_region(OnError::Flush, |errors| {
            errors.ok(feed()).hop(8, Overflow::Block).delay(ms(20), 8)
        });
        assert_eq!(timeline(flow), (vec![(21, Ok('a')), (21, Err('x'))], 21));
    }

    #[test]
    fn an_error_found_while_work_is_driven_frees_the_part_at_once() {
        let owned = Rc::new(());
        let watch = Rc::downgrade(&owned);
        let feed = iter([Ok(1), Err('x')]).inspect(move |_| drop(owned.clone()));
        // The item is queued by the first call, and the error found by the second.
        let region = feed.try_via(OnError::Discard, |oks| oks.buffer(8, Overflow::Block));
        let mut region = std::pin::pin!(region);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(region.as_mut().poll_progress(&mut cx).is_pending());
        assert_eq!(watch.strong_count(), 1);
        assert!(region.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(watch.strong_count(), 0);
        assert_eq!(Stage::size_hint(&*region), (1, Some(1)));
        assert_eq!(Stage::poll_next(region.as_mut(), &mut cx), Poll::Ready(Some(Err('x'))));
        assert_eq!(Stage::poll_next(region, &mut cx), Poll::Ready(None));
    }

    #[test]
    fn an_error_that_the_poll_itself_finds_wakes_nobody() {
        struct Wakes(AtomicUsize);
        impl Wake for Wakes {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let fail = Rc::new(Cell::new(false));
        let when = fail.clone();
        let input = futures::stream::poll_fn(move |_| match when.get() {
            true => Poll::Ready(Some(Err::<u8, _>('x'))),
            false => Poll::Pending,
        });
        let wakes = Arc::new(Wakes(AtomicUsize::new(0)));
        let waker = Waker::from(wakes.clone());
        let mut cx = Context::from_waker(&waker);
        let mut flow = crate::flow(input).try_via(OnError::Discard, |oks| oks);
        assert!(flow.next().poll_unpin(&mut cx).is_pending());
        fail.set(true);
        assert_eq!(flow.next().poll_unpin(&mut cx), Poll::Ready(Some(Err('x'))));
        assert_eq!(flow.next().poll_unpin(&mut cx), Poll::Ready(None));
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn the_outline_shows_the_part_and_what_happens_to_it() {
        let flow = iter(FEED).try_via(OnError::Flush, |oks| oks.chunks(2));
        let text = flow.outline().to_string();
        let names: Vec<_> =
            text.lines().filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["iter", "ok", "chunks(size:", "try_via(on_error:", "in"], "{text}");
        assert!(text.contains("try_via(on_error: Flush)"), "{text}");
        assert_eq!(items(flow).len(), 3);
    }

    type Results<T> = Timeline<Result<T, u8>>;

    /// The values before the first error, which is the end of them, and that error.
    fn values(input: &Results<u8>) -> (Timeline<u8>, Option<(i64, u8)>) {
        let failed = input.events.iter().find_map(|(at, x)| Some((*at, x.err()?)));
        let values = input.events.iter().map_while(|(at, x)| Some((*at, x.ok()?)));
        (Timeline::new(values, failed.map_or(input.end, |(at, _)| at)), failed)
    }

    /// Pairs of values; a single last one is flushed by the end, or by an error as `on_error` says.
    fn in_chunks(on_error: OnError, input: &Results<u8>) -> Results<Vec<u8>> {
        let (values, failed) = values(input);
        let mut output = Timeline::new([], values.end);
        for chunk in values.events.chunks(2) {
            let items: Vec<u8> = chunk.iter().map(|(_, x)| *x).collect();
            match chunk {
                [_, (at, _)] => output.events.push((*at, Ok(items))),
                _ if failed.is_some() && on_error == OnError::Discard => {}
                _ => output.events.push((values.end, Ok(items))),
            }
        }
        output.events.extend(failed.map(|(at, error)| (at, Err(error))));
        output
    }

    specification!(
        try_via_flush,
        at_any_pace,
        |input: Result<u8, u8>| input.try_via(OnError::Flush, |oks| oks.chunks(2)),
        |input| in_chunks(OnError::Flush, &input)
    );
    specification!(
        try_via_discard,
        at_any_pace,
        |input: Result<u8, u8>| input.try_via(OnError::Discard, |oks| oks.chunks(2)),
        |input| in_chunks(OnError::Discard, &input)
    );
    specification!(
        try_region_flush,
        |a: Result<u8, u8>, b: Result<u8, u8>| {
            try_region(OnError::Flush, |errors| errors.ok(a).merge(errors.ok(b)))
        },
        |a, b| -> Results<u8> {
            // Each input up to its own error, and at the end the error that came first.
            let ((a, a_failed), (b, b_failed)) = (values(&a), values(&b));
            let end = a.end.max(b.end);
            let mut output = Timeline::new(a.events.into_iter().chain(b.events), end).map(Ok);
            output.events.sort_by_key(|(at, _)| *at);
            let first = a_failed.into_iter().chain(b_failed).min_by_key(|(at, _)| *at);
            output.events.extend(first.map(|(_, error)| (end, Err(error))));
            output
        }
    );
    specification!(
        try_region_discard,
        |a: Result<u8, u8>, b: Result<u8, u8>| {
            try_region(OnError::Discard, |errors| errors.ok(a).merge(errors.ok(b)))
        },
        |a, b| -> Results<u8> {
            // Both inputs up to the first error of any.
            let all = a.events.into_iter().chain(b.events);
            let mut output = Timeline::new(all, a.end.max(b.end));
            output.events.sort_by_key(|(at, _)| *at);
            if let Some(failed) = output.events.iter().position(|(_, x)| x.is_err()) {
                output.events.truncate(failed + 1);
                output.end = output.events[failed].0;
            }
            output
        }
    );

    conformance!(try_region_flush, |a, b| {
        let (a, b) = (a.map(checked), b.map(checked));
        try_region(OnError::Flush, |errors| errors.ok(a).zip(errors.ok(b)))
    });
    conformance!(try_region_discard, |a, b| {
        let (a, b) = (a.map(checked), b.map(checked));
        try_region(OnError::Discard, |errors| errors.ok(a).zip(errors.ok(b)))
    });
}
