//! `throttle`: at most one item in each period.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::OnEnd;
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
    /// in        abc-----d-e-----|
    /// leading   a-------d-------|    throttle(4, Edges::Leading)
    /// trailing  ----c-------e---|    throttle(4, Edges::Trailing)
    /// both      a---c---d---e---|    throttle(4, Edges::Both)
    /// ```
    ///
    /// The first item opens a window of one period. What comes within it is dropped, except for
    /// the latest item if `edges` asks for it: that one comes out when the window is over and
    /// opens the next. Two items are never less than a period apart.
    ///
    /// An item at the very instant at which a window is over comes before the timer: if one waits
    /// there, the new one replaces it; if none does, the new one opens a window.
    ///
    /// At the end an item that waits goes out when its window is over, and the flow ends after it:
    /// [`throttle_with`](Self::throttle_with) can do otherwise. A window that an item itself
    /// decides is [`throttle_by`](Self::throttle_by), one in which nothing comes after the trailing
    /// item [`audit`](Self::audit).
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
        "sample_first"
    ))]
    #[track_caller]
    pub fn throttle(self, period: Duration, edges: Edges) -> Flow<Throttle<S>> {
        self.throttle_with(period, edges, OnEnd::Wait)
    }

    /// Emits at most one item in each `period`, and at the end does with the item that waits what
    /// `on_end` says.
    ///
    /// ```text
    /// in    ab|
    /// wait  a---(b|)    throttle_with(4, Edges::Both, OnEnd::Wait)
    /// emit  a-(b|)      throttle_with(4, Edges::Both, OnEnd::Emit)
    /// drop  a-|         throttle_with(4, Edges::Both, OnEnd::Drop)
    /// ```
    ///
    /// With `OnEnd::Emit` the last two items may be less than a period apart. For the rest see
    /// [`throttle`](Self::throttle).
    ///
    /// - **Emits** the item that opens a window at once, the latest one of it at its end, as
    ///   `edges` says.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; with `OnEnd::Wait`, when the item that waits is out at the
    ///   end of its window.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item; nothing with `Edges::Leading`.
    /// - **Cost**: as `throttle`.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, time::{Edges, OnEnd}};
    /// # use std::time::Duration;
    /// let hour = Duration::from_secs(3600);
    /// let calm = iter([1, 2, 3]).throttle_with(hour, Edges::Both, OnEnd::Drop);
    /// assert_eq!(Virtual::new().run(calm.count()), 1);
    /// ```
    #[track_caller]
    pub fn throttle_with(self, period: Duration, edges: Edges, on_end: OnEnd) -> Flow<Throttle<S>> {
        let site = Location::caller();
        Flow::from_stage(Throttle::new("throttle", self.into_stage(), period, edges, on_end, site))
    }

    /// Waits for an item, then for a time of `period`, and emits the latest item there is.
    ///
    /// ```text
    /// in   abc-----d-e----f-|
    /// out  ----c-------e------(f|)    audit(4)
    /// ```
    ///
    /// As [`throttle`](Self::throttle) with `Edges::Trailing`, except that the item that comes out
    /// opens no window: the next one does. So an item always waits for a whole period after the
    /// first that came.
    ///
    /// - **Emits** the latest item, `period` after the one that opened the window.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; if an item waits then, when that one is out at the end of
    ///   its window.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item.
    /// - **Cost**: two clock reads for each turn in which items came and one for each item that
    ///   goes out, one timer operation for an item that goes out.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter};
    /// # use std::time::Duration;
    /// let last = iter([1, 2, 3]).audit(Duration::from_millis(5));
    /// assert_eq!(Virtual::new().run(last.fold(0, |sum, x| sum + x)), 3);
    /// ```
    #[doc(alias("audit_time"))]
    #[track_caller]
    pub fn audit(self, period: Duration) -> Flow<Throttle<S>> {
        let (edges, site) = (Edges::Trailing, Location::caller());
        Flow::from_stage(Throttle::new(
            "audit",
            self.into_stage(),
            period,
            edges,
            OnEnd::Wait,
            site,
        ))
    }
}

/// The stage behind [`Flow::throttle`], [`Flow::throttle_with`] and [`Flow::audit`].
#[pin_project]
#[derive(Debug)]
pub struct Throttle<S: Stage> {
    #[pin]
    input: S,
    window: Window<S::Item>,
    on_end: OnEnd,
    ended: bool,
    operator: &'static str,
    site: Site,
}

impl<S: Stage> Throttle<S> {
    fn new(
        operator: &'static str,
        input: S,
        period: Duration,
        edges: Edges,
        on_end: OnEnd,
        site: Site,
    ) -> Self {
        assert!(!period.is_zero(), "{operator}: the period must not be zero, at {site}");
        let follows = operator != "audit";
        let alarm = Alarm::new();
        let window = Window { period, edges, follows, end: None, waiting: None, alarm };
        Self { input, window, on_end, ended: false, operator, site }
    }
}

#[derive(Debug)]
struct Window<T> {
    period: Duration,
    edges: Edges,
    /// Whether an item that waited opens the next window when it goes.
    follows: bool,
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
            if self.follows {
                self.open();
            } else {
                self.end = None;
            }
            return Poll::Ready(self.waiting.take());
        }
        Poll::Pending
    }

    /// The input has ended: the item that waited goes now, if it goes at all now.
    fn end(&mut self, on_end: OnEnd) -> Option<T> {
        match on_end {
            OnEnd::Wait => return None,
            OnEnd::Emit => {}
            OnEnd::Drop => self.waiting = None,
        }
        self.waiting.take()
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
                Poll::Ready(None) => {
                    *this.ended = true;
                    if let waited @ Some(_) = this.window.end(*this.on_end) {
                        return Poll::Ready(waited);
                    }
                }
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
                Poll::Ready(ControlFlow::Continue(())) => {
                    *this.ended = true;
                    if let Some(item) = window.end(*this.on_end)
                        && let broke @ ControlFlow::Break(_) = each(item)
                    {
                        return Poll::Ready(broke);
                    }
                }
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
        let least = if self.on_end == OnEnd::Drop { 0 } else { waiting };
        (least, most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let edges = self.window.edges;
        let node = outline.stage(self.operator, self.site);
        node.parameter("period", format_args!("{:?}", self.window.period))
            .holds(Bound::Items(usize::from(edges != Edges::Leading)));
        if self.window.follows {
            node.parameter("edges", format_args!("{edges:?}"))
                .parameter("on_end", format_args!("{:?}", self.on_end));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Edges::{Both, Leading, Trailing};
    use super::OnEnd;
    use crate::testing::*;
    use crate::{Flow, Stage, iter};

    marbles!(audit, |input| input.audit(ms(4)));
    marbles!(throttle[leading], |input| input.throttle(ms(4), Leading));
    marbles!(throttle[trailing], |input| input.throttle(ms(4), Trailing));
    marbles!(throttle[both], |input| input.throttle(ms(4), Both));
    marbles!(throttle_with[wait], |input| input.throttle_with(ms(4), Both, OnEnd::Wait));
    marbles!(throttle_with[emit], |input| input.throttle_with(ms(4), Both, OnEnd::Emit));
    marbles!(throttle_with[drop], |input| input.throttle_with(ms(4), Both, OnEnd::Drop));
    conformance!(throttled_emit, |input| input.throttle_with(ms(4), Trailing, OnEnd::Emit));
    conformance!(audited, |input| input.audit(ms(4)));
    specification!(audit, |input| input.audit(ms(4)), |input| -> Timeline<_> {
        let mut output: Vec<(i64, u8)> = Vec::new();
        for (at, item) in input.events {
            match output.last_mut() {
                Some(last) if at <= last.0 => last.1 = item,
                _ => output.push((at + 4, item)),
            }
        }
        let end = output.last().map_or(input.end, |last| last.0.max(input.end));
        Timeline::new(output, end)
    });

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
    fn the_item_that_waits_at_the_end_can_go_at_once_or_be_dropped() {
        let feed = || timetable([(0, 'a'), (1, 'b')], 2);
        let emit = timeline(feed().throttle_with(ms(10), Both, OnEnd::Emit));
        assert_eq!(emit, (vec![(0, 'a'), (2, 'b')], 2));
        let dropped = timeline(feed().throttle_with(ms(10), Both, OnEnd::Drop));
        assert_eq!(dropped, (vec![(0, 'a')], 2));
        for on_end in [OnEnd::Emit, OnEnd::Wait, OnEnd::Drop] {
            every_way(|| iter(0..5).throttle_with(ms(10), Both, on_end));
        }
    }

    #[test]
    fn an_audit_begins_anew_with_the_next_item() {
        // A trailing item opens the next window, and then 'b' comes earlier.
        let feed = || timetable([(0, 'a'), (5, 'b')], 20);
        assert_eq!(timeline(feed().audit(ms(4))), (vec![(4, 'a'), (9, 'b')], 20));
        assert_eq!(timeline(feed().throttle(ms(4), Trailing)), (vec![(4, 'a'), (8, 'b')], 20));
        assert_eq!(timeline(timetable([(0, 'a')], 1).audit(ms(4))), (vec![(4, 'a')], 4));
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

    conformance!(throttle_both, |input| input.throttle(ms(3), Both));
    conformance!(throttle_leading, |input| input.throttle(ms(3), Leading));
    conformance!(throttle_trailing, |input| input.throttle(ms(3), Trailing));

    /// What comes out at the edges of windows of 4 ms.
    fn specified(input: Timeline<u8>, leading: bool, trailing: bool) -> Timeline<u8> {
        let mut output = Timeline::new([], input.end);
        let (mut window, mut waiting) = (None, None);
        for (at, item) in input.events {
            while let Some(end) = window
                && end < at
            {
                output.events.extend(waiting.map(|item| (end, item)));
                window = waiting.take().map(|_| end + 4);
            }
            match window {
                Some(end) if at < end || waiting.is_some() => waiting = trailing.then_some(item),
                _ => {
                    window = Some(at + 4);
                    output.events.extend(leading.then_some((at, item)));
                    waiting = (!leading).then_some(item);
                }
            }
        }
        if let (Some(end), Some(item)) = (window, waiting) {
            output.events.push((end, item));
            output.end = output.end.max(end);
        }
        output
    }

    specification!(throttle_leading, |input| input.throttle(ms(4), Leading), |input| specified(
        input, true, false
    ));
    specification!(throttle_trailing, |input| input.throttle(ms(4), Trailing), |input| specified(
        input, false, true
    ));
    specification!(throttle_both, |input| input.throttle(ms(4), Both), |input| specified(
        input, true, true
    ));
}
