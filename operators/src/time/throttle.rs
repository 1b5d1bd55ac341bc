//! `throttle`: at most one item in each period.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

/// Which items of a window come out of a [`throttle`](Flow::throttle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Edges {
    /// The one that opens the window, at once.
    Leading,
    /// The latest one, at the end of the window.
    Trailing,
    /// Both; a window in which no other item followed the first gives only that one.
    Both,
}

impl<S: Stage> Flow<S> {
    /// Emits at most one item in each `period`.
    ///
    /// ```text
    /// in   abc-----d-e-----|
    /// out  a-------d-------|         throttle(4, Edges::Leading)
    /// out  ----c-------e---|         throttle(4, Edges::Trailing)
    /// out  a---c---d---e---|         throttle(4, Edges::Both)
    /// ```
    ///
    /// The first item opens a window of one period. What comes within it is dropped, except for
    /// the latest item if `edges` asks for it: that one comes out when the window is over and
    /// opens the next. Two items are never less than a period apart.
    ///
    /// An item at the very instant at which a window is over comes before the timer: if one waits
    /// there, the new one replaces it; if none does, the new one opens a window.
    ///
    /// - **Emits** the item that opens a window at once, the latest one of it at its end, as
    ///   `edges` says.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; if an item waits then, when that one is out at the end of
    ///   its window.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item; nothing with `Edges::Leading`.
    /// - **Cost**: two clock reads for each turn in which items came and one for each item that
    ///   goes out, one timer operation for an item that waits.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, time::Edges};
    /// # use std::time::Duration;
    /// let calm = iter([1, 2, 3]).throttle(Duration::from_millis(5), Edges::Both);
    /// let sum = Virtual::new().run(calm.fold(0, |sum, x| sum + x));
    /// assert_eq!(sum, 1 + 3);
    /// ```
    #[doc(alias(
        "throttle_first",
        "throttle_last",
        "throttle_latest",
        "throttle_time",
        "sample_first",
        "audit"
    ))]
    #[track_caller]
    pub fn throttle(self, period: Duration, edges: Edges) -> Flow<Throttle<S>> {
        let site = Location::caller();
        assert!(!period.is_zero(), "throttle: the period must not be zero, at {site}");
        Flow::from_stage(Throttle {
            input: self.into_stage(),
            window: Window { period, edges, end: None, waiting: None, alarm: Alarm::new() },
            ended: false,
            site,
        })
    }
}

/// The stage behind [`Flow::throttle`].
#[pin_project]
#[derive(Debug)]
pub struct Throttle<S: Stage> {
    #[pin]
    input: S,
    window: Window<S::Item>,
    ended: bool,
    site: Site,
}

#[derive(Debug)]
struct Window<T> {
    period: Duration,
    edges: Edges,
    /// End of the last window that was opened.
    end: Option<Timestamp>,
    waiting: Option<T>,
    /// Set to the end of the window while an item waits for it.
    alarm: Alarm,
}

impl<T> Window<T> {
    /// Takes an item and gives it back if it may go at once. `turn` is the time at which the turn
    /// began: one that is a little old only makes a window longer.
    fn offer(&mut self, item: T, turn: &mut Option<Timestamp>) -> Option<T> {
        if self.waiting.is_some() {
            self.waiting = Some(item);
            return None;
        }
        let now = *turn.get_or_insert_with(|| self.alarm.now());
        let is_open = self.end.is_some_and(|end| now < end);
        if !is_open {
            *turn = Some(self.open());
            if self.edges != Edges::Trailing {
                return Some(item);
            }
        }
        if self.edges != Edges::Leading
            && let Some(end) = self.end
        {
            self.alarm.set(end);
            self.waiting = Some(item);
        }
        None
    }

    /// The item that waited, once its window is over. Pending too if none waits.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if self.waiting.is_some() {
            ready!(self.alarm.poll(cx));
            self.open();
            return Poll::Ready(self.waiting.take());
        }
        Poll::Pending
    }

    /// Begins a window at the present, which is read anew: the turn may have been a long one.
    fn open(&mut self) -> Timestamp {
        let now = self.alarm.now();
        self.end = Some(now + self.period);
        now
    }
}

impl<S: Stage> Stage for Throttle<S> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let mut turn = None;
        while !*this.ended {
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) => {
                    if let Some(item) = this.window.offer(item, &mut turn) {
                        return Poll::Ready(Some(item));
                    }
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
        }
        if *this.ended && this.window.waiting.is_none() {
            return Poll::Ready(None);
        }
        this.window.poll_waiting(cx)
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let window = this.window;
        if !*this.ended {
            let mut turn = None;
            let drained =
                this.input.poll_drain(cx, &mut |item| match window.offer(item, &mut turn) {
                    Some(item) => each(item),
                    None => ControlFlow::Continue(()),
                });
            match drained {
                Poll::Ready(ControlFlow::Continue(())) => *this.ended = true,
                Poll::Pending => {}
                broke => return broke,
            }
        }
        if window.waiting.is_some()
            && let Some(item) = ready!(window.poll_waiting(cx))
            && let broke @ ControlFlow::Break(_) = each(item)
        {
            return Poll::Ready(broke);
        }
        // Without an item that waits, only the input moves the stage on, and it has the waker.
        if *this.ended { Poll::Ready(ControlFlow::Continue(())) } else { Poll::Pending }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.window.waiting.is_some());
        let most = self.input.size_hint().1;
        (waiting, most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let edges = self.window.edges;
        outline
            .stage("throttle", self.site)
            .parameter("period", format_args!("{:?}", self.window.period))
            .parameter("edges", format_args!("{edges:?}"))
            .holds(Bound::Items(usize::from(edges != Edges::Leading)));
    }
}

#[cfg(test)]
mod tests {
    use super::Edges::{Both, Leading, Trailing};
    use crate::testing::{items, ms, timeline, timetable};
    use crate::{Flow, Stage, iter};

    fn feed() -> Flow<impl Stage<Item = char>> {
        timetable([(0, 'a'), (1, 'b'), (2, 'c'), (8, 'd'), (10, 'e')], 20)
    }

    #[test]
    fn the_leading_edge_is_the_item_that_opens_a_window() {
        let expected = (vec![(0, 'a'), (8, 'd')], 20);
        assert_eq!(timeline(feed().throttle(ms(4), Leading)), expected);
    }

    #[test]
    fn the_trailing_edge_is_the_latest_item_at_the_end_of_the_window() {
        let expected = (vec![(4, 'c'), (12, 'e')], 20);
        assert_eq!(timeline(feed().throttle(ms(4), Trailing)), expected);
    }

    #[test]
    fn with_both_edges_a_trailing_item_opens_the_next_window() {
        let feed = timetable([(0, 'a'), (1, 'b'), (5, 'c'), (20, 'd')], 30);
        let expected = (vec![(0, 'a'), (4, 'b'), (8, 'c'), (20, 'd')], 30);
        assert_eq!(timeline(feed.throttle(ms(4), Both)), expected);
    }

    #[test]
    fn a_lone_item_comes_out_once_with_both_edges() {
        let flow = timetable([(1, 'a')], 30).throttle(ms(4), Both);
        assert_eq!(timeline(flow), (vec![(1, 'a')], 30));
    }

    #[test]
    fn the_end_waits_for_the_window_of_the_item_that_waits() {
        let flow = timetable([(0, 'a'), (1, 'b')], 2).throttle(ms(10), Both);
        assert_eq!(timeline(flow), (vec![(0, 'a'), (10, 'b')], 10));
        let flow = timetable([(0, 'a'), (1, 'b')], 2).throttle(ms(10), Leading);
        assert_eq!(timeline(flow), (vec![(0, 'a')], 2));
    }

    #[test]
    fn an_item_at_the_end_of_a_window_replaces_the_one_that_waits() {
        let flow = timetable([(0, 'a'), (1, 'b'), (4, 'c')], 9).throttle(ms(4), Both);
        assert_eq!(timeline(flow), (vec![(0, 'a'), (4, 'c')], 9));
    }

    #[test]
    fn an_item_at_the_end_of_a_window_in_which_nothing_waits_opens_the_next() {
        let flow = timetable([(0, 'a'), (4, 'b'), (7, 'c')], 9).throttle(ms(4), Leading);
        assert_eq!(timeline(flow), (vec![(0, 'a'), (4, 'b')], 9));
    }

    #[test]
    fn an_input_that_is_always_ready_is_thinned_out() {
        let flow = iter(0..5000).throttle(ms(1), Both);
        assert_eq!(items(flow), [0, 4999]);
    }

    #[test]
    #[should_panic(expected = "throttle: the period must not be zero, at operators/src/time")]
    fn a_period_of_zero_is_refused_where_it_was_written() {
        let _ = iter(0..1).throttle(ms(0), Leading);
    }
}
