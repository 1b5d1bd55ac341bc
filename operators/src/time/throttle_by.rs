//! `throttle_by` and `audit_by`: windows that the items themselves decide.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::Edges;
use crate::{Bound, Flow, Outline, Site, Stage};

impl<S: Stage> Flow<S> {
    /// Emits at most one item, or two with `Edges::Both`, in each window; the item that opens a
    /// window says how long it is.
    ///
    /// ```text
    /// in   abc-----d-e-----|
    /// out  a---c---d---e---|    throttle_by(Edges::Both, |_| timer(4))
    /// ```
    ///
    /// `window` makes a flow of the item that opens the window, and the first item of that flow
    /// ends it: [`timer`](crate::timer()), or any signal. A flow that ends without an item ends the
    /// window too, and the item that waits is dropped then. If an item and the end of a window
    /// are ready together, the item comes first. A trailing item opens the next window. Where all
    /// windows are alike, [`throttle`](Self::throttle) is cheaper.
    ///
    /// - **Emits** the item that opens a window at once, the latest one of it at its end, as
    ///   `edges` says.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; if an item waits then, when its window is over.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item, nothing with `Edges::Leading`, and what the window's flow holds.
    /// - **Cost**: no allocation, no clock read; a call of `window` for each window.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, time::Edges, timer};
    /// # use std::time::Duration;
    /// let calm = iter([30, 1, 2]).throttle_by(Edges::Both, |s| timer(Duration::from_secs(*s)));
    /// assert_eq!(Virtual::new().run(calm.fold(0, |sum, x| sum + x)), 30 + 2);
    /// ```
    #[track_caller]
    pub fn throttle_by<W, F>(self, edges: Edges, window: F) -> Flow<ThrottleBy<S, W, F>>
    where
        W: Stage,
        F: FnMut(&S::Item) -> Flow<W>,
    {
        let site = Location::caller();
        Flow::from_stage(ThrottleBy::new("throttle_by", self.into_stage(), edges, window, site))
    }

    /// Waits for an item, then for the window that it decides, and emits the latest item there is.
    ///
    /// ```text
    /// in   abc-----d-e----f-|
    /// out  ----c-------e------(f|)    audit_by(|_| timer(4))
    /// ```
    ///
    /// As [`throttle_by`](Self::throttle_by) with `Edges::Trailing`, except that the item that
    /// comes out opens no window: the next one does. See [`audit`](Self::audit) for windows that
    /// are all alike.
    ///
    /// - **Emits** the latest item when the window is over.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; if an item waits then, when its window is over.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item, and what the window's flow holds.
    /// - **Cost**: no allocation, no clock read; a call of `window` for each window.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, timer};
    /// # use std::time::Duration;
    /// let last = iter([3, 1, 2]).audit_by(|s| timer(Duration::from_secs(*s)));
    /// assert_eq!(Virtual::new().run(last.first()), Some(2));
    /// ```
    #[track_caller]
    pub fn audit_by<W, F>(self, window: F) -> Flow<ThrottleBy<S, W, F>>
    where
        W: Stage,
        F: FnMut(&S::Item) -> Flow<W>,
    {
        let (edges, site) = (Edges::Trailing, Location::caller());
        Flow::from_stage(ThrottleBy::new("audit_by", self.into_stage(), edges, window, site))
    }
}

/// The stage behind [`Flow::throttle_by`] and [`Flow::audit_by`].
#[pin_project]
#[derive(Debug)]
pub struct ThrottleBy<S: Stage, W, F> {
    #[pin]
    input: S,
    make: F,
    edges: Edges,
    /// Whether a trailing item opens the next window.
    follows: bool,
    /// While one is open.
    #[pin]
    window: Option<Flow<W>>,
    /// Only while a window is open.
    waiting: Option<S::Item>,
    ended: bool,
    operator: &'static str,
    site: Site,
}

impl<S: Stage, W, F> ThrottleBy<S, W, F> {
    fn new(operator: &'static str, input: S, edges: Edges, make: F, site: Site) -> Self {
        let follows = operator != "audit_by";
        let (window, waiting) = (None, None);
        Self { input, make, edges, follows, window, waiting, ended: false, operator, site }
    }
}

impl<S, W, F> Stage for ThrottleBy<S, W, F>
where
    S: Stage,
    W: Stage,
    F: FnMut(&S::Item) -> Flow<W>,
{
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        while !*this.ended {
            match this.input.as_mut().poll_next(cx) {
                Poll::Ready(Some(item)) if this.window.is_some() => {
                    if *this.edges != Edges::Leading {
                        *this.waiting = Some(item);
                    }
                }
                Poll::Ready(Some(item)) => {
                    let window = (this.make)(&item);
                    this.window.set(Some(window));
                    if *this.edges != Edges::Trailing {
                        // Polled now, so that a timer in it begins with the item.
                        if let Some(window) = this.window.as_mut().as_pin_mut()
                            && window.poll_next(cx).is_ready()
                        {
                            this.window.set(None);
                        }
                        return Poll::Ready(Some(item));
                    }
                    *this.waiting = Some(item);
                }
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending => break,
            }
        }
        if this.waiting.is_none() && *this.ended {
            this.window.set(None);
        }
        let Some(window) = this.window.as_mut().as_pin_mut() else {
            return if *this.ended { Poll::Ready(None) } else { Poll::Pending };
        };
        let over = ready!(window.poll_next(cx));
        this.window.set(None);
        if let (Some(item), Some(_)) = (this.waiting.take(), over) {
            if *this.follows && !*this.ended {
                let window = (this.make)(&item);
                this.window.set(Some(window));
            }
            return Poll::Ready(Some(item));
        }
        if *this.ended { Poll::Ready(None) } else { Poll::Pending }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let window = this.window.as_pin_mut();
        let window = window.map_or(Poll::Ready(()), |window| window.poll_progress(cx));
        ready!(this.input.poll_progress(cx));
        window
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let waiting = usize::from(self.waiting.is_some());
        (0, self.input.size_hint().1.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let node = outline.stage(self.operator, self.site);
        node.holds(Bound::Items(usize::from(self.edges != Edges::Leading)));
        if self.follows {
            node.parameter("edges", format_args!("{:?}", self.edges));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Edges::{Both, Leading, Trailing};
    use crate::source::Timer;
    use crate::testing::*;
    use crate::{Flow, Stage, empty, never, timer};
    use std::time::Duration;

    /// What comes out of a flow that is tested elsewhere.
    fn made<S: Stage>(flow: Flow<S>) -> Timeline<S::Item> {
        let (events, end) = timeline(flow);
        Timeline::new(events, end)
    }

    /// A window that is never over at the instant of an item: there the order of two sources
    /// decides.
    fn window<T>(_: &T) -> Flow<Timer> {
        timer(Duration::from_micros(3_490))
    }

    marbles!(throttle_by, |input| input.throttle_by(Both, |_| timer(ms(4))));
    marbles!(audit_by, |input| input.audit_by(|_| timer(ms(4))));
    conformance!(throttle_by_both, |input| input.throttle_by(Both, window));
    conformance!(throttle_by_leading, |input| input.throttle_by(Leading, window));
    conformance!(audit_by_timer, |input| input.audit_by(|x| {
        x.value();
        window(x)
    }));
    specification!(throttle_by, |input| input.throttle_by(Both, window), |input| made(
        input.flow().throttle(Duration::from_micros(3_490), Both)
    ));
    specification!(audit_by, |input| input.audit_by(window), |input| made(
        input.flow().audit(Duration::from_micros(3_490))
    ));

    #[test]
    fn each_item_decides_how_long_its_own_window_is() {
        let feed = timetable([(0, 5), (3, 1), (6, 2), (7, 3), (8, 4)], 20);
        let flow = feed.throttle_by(Leading, |millis| timer(ms(*millis)));
        assert_eq!(timeline(flow), (vec![(0, 5), (6, 2), (8, 4)], 20));
    }

    #[test]
    fn a_window_that_ends_without_an_item_drops_the_one_that_waits() {
        let feed = || timetable([(0, 'a'), (1, 'b'), (5, 'c'), (9, 'd')], 9);
        let lapse = |_: &char| timer(ms(2)).filter(|_| false);
        assert_eq!(timeline(feed().audit_by(lapse)), (vec![], 11));
        assert_eq!(timeline(feed().throttle_by(Trailing, lapse)), (vec![], 11));
        let flow = feed().throttle_by(Both, |_| empty::<u8>());
        assert_eq!(timeline(flow).0, [(0, 'a'), (1, 'b'), (5, 'c'), (9, 'd')]);
    }

    #[test]
    fn a_window_without_end_lets_only_the_first_item_pass() {
        let flow = timetable([(0, 'a'), (1, 'b')], 2).throttle_by(Leading, |_| never::<u8>());
        assert_eq!(timeline(flow), (vec![(0, 'a')], 2));
    }
}
