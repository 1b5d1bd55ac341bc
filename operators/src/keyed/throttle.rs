//! `throttle`, for each key: at most one item in each period.

use std::collections::VecDeque;
use std::fmt;
use std::hash::Hash;
use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::linked::Linked;
use super::{KeyLimits, KeyedFlow};
use crate::time::Edges;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

impl<S, K, F> KeyedFlow<S, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    /// Emits at most one item of each key in each `period`.
    ///
    /// ```text
    /// in        aAb-----a--|
    /// leading   aA------a--|        key_by(limits, is_upper_case).throttle(4, Edges::Leading)
    /// trailing  ----bA------(a|)    key_by(limits, is_upper_case).throttle(4, Edges::Trailing)
    /// both      aA--b---a--|        key_by(limits, is_upper_case).throttle(4, Edges::Both)
    /// ```
    ///
    /// Each key has windows of its own, which are those of [`Flow::throttle`]. A key is forgotten
    /// when its window is over, so the limit is for the keys with an open one, and an idle time
    /// changes nothing. When one more comes, the window that was opened first closes early: what
    /// waits there goes out. [`counts`](Flow::counts) tells how often that was, and how many items
    /// were dropped.
    ///
    /// - **Emits** the item that opens a window at once, the latest one of it at its end, as
    ///   `edges` says.
    /// - **Backpressures** never while it is polled: the input is taken as fast as it comes.
    /// - **Ends** when the input ends; if items wait then, when those are out at the ends of their
    ///   windows.
    /// - **On error**: an error is an item here and may be dropped like one.
    /// - **Holds** 1 item for each key with an open window, and 1 that comes out with another;
    ///   nothing with `Edges::Leading`.
    /// - **Cost**: one hash for an item; one clock read for each turn and for each item that opens a
    ///   window; one timer for all keys.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, keyed::KeyLimits, time::Edges};
    /// # use std::time::Duration;
    /// let quotes = iter([("btc", 7), ("eth", 9), ("btc", 8), ("btc", 9)]);
    /// let calm = quotes
    ///     .key_by(KeyLimits::new(64), |quote| quote.0)
    ///     .throttle(Duration::from_millis(5), Edges::Both);
    /// let all: Vec<_> = Virtual::new().run(calm.collect());
    /// assert_eq!(all, [("btc", 7), ("eth", 9), ("btc", 9)]);
    /// ```
    #[doc(alias("throttle_by_key", "throttle_latest", "sample_first"))]
    #[track_caller]
    pub fn throttle(self, period: Duration, edges: Edges) -> Flow<Throttle<S, K, F>> {
        let site = Location::caller();
        assert!(!period.is_zero(), "throttle: the period must not be zero, at {site}");
        let windows = Windows {
            limits: self.limits,
            key: self.key,
            period,
            edges,
            open: Linked::new(),
            waiting: 0,
            counts: ThrottleCounts::default(),
            alarm: Alarm::new(),
        };
        Flow::from_stage(Throttle {
            input: self.flow.into_stage(),
            windows,
            beyond: VecDeque::new(),
            ended: false,
            site,
        })
    }
}

/// What became of the items of a [`throttle`](KeyedFlow::throttle) by key: those that came are those
/// emitted, dropped and held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThrottleCounts {
    /// Items that came.
    pub accepted: u64,
    /// Items that were emitted.
    pub emitted: u64,
    /// Items that were dropped, because one of their key came out less than a period ago, or a
    /// newer one took their place.
    pub dropped: u64,
    /// Items that wait for the end of their window.
    pub held: usize,
    /// Windows that closed early, because there were more keys than the limit.
    pub evicted: u64,
}

/// The stage behind [`KeyedFlow::throttle`].
#[pin_project]
pub struct Throttle<S: Stage, K, F> {
    #[pin]
    input: S,
    windows: Windows<K, S::Item, F>,
    /// What one item made beyond what was asked for.
    beyond: VecDeque<S::Item>,
    ended: bool,
    site: Site,
}

struct Windows<K, T, F> {
    limits: KeyLimits,
    key: F,
    period: Duration,
    edges: Edges,
    /// By the times at which the windows were opened, and so by their ends.
    open: Linked<K, Window<T>>,
    /// How many of them have an item that waits.
    waiting: usize,
    /// Without `held`.
    counts: ThrottleCounts,
    /// Set to the end of the first window while items wait.
    alarm: Alarm,
}

struct Window<T> {
    end: Timestamp,
    waiting: Option<T>,
}

impl<K: Hash + Eq + Clone, T, F: FnMut(&T) -> K> Windows<K, T, F> {
    /// Takes an item, and hands out what may go at once. `turn` is the time at which the turn
    /// began: one that is a little old only makes a window longer.
    fn offer(&mut self, item: T, turn: &mut Option<Timestamp>, out: &mut impl FnMut(T)) {
        self.counts.accepted += 1;
        let key = (self.key)(&item);
        let hash = self.open.hash(&key);
        let now = *turn.get_or_insert_with(|| self.alarm.now());
        let mut known = false;
        if let Some(window) = self.open.get(hash, &key) {
            if window.waiting.is_some() {
                window.waiting = Some(item);
                self.counts.dropped += 1;
                return;
            }
            if now < window.end {
                if self.edges == Edges::Leading {
                    self.counts.dropped += 1;
                } else {
                    window.waiting = Some(item);
                    self.waiting += 1;
                }
                return;
            }
            known = true;
        }
        // Read anew: the turn may have been a long one.
        let now = self.alarm.now();
        *turn = Some(now);
        let (now_or_never, waits) = match self.edges {
            Edges::Trailing => (None, Some(item)),
            Edges::Leading | Edges::Both => (Some(item), None),
        };
        self.waiting += usize::from(waits.is_some());
        let window = Window { end: now + self.period, waiting: waits };
        if known {
            if let Some(old) = self.open.touch(hash, &key, now) {
                *old = window;
            }
        } else {
            self.make_room(now, out);
            self.open.add(hash, key, window, now);
        }
        if let Some(item) = now_or_never {
            self.counts.emitted += 1;
            out(item);
        }
    }

    /// Forgets windows that are over, two at most, so that there are never more of these than of
    /// open ones for long, and one that is open if there are too many.
    fn make_room(&mut self, now: Timestamp, out: &mut impl FnMut(T)) {
        for _ in 0..2 {
            let is_over = |window: &mut Window<T>| window.end <= now && window.waiting.is_none();
            if self.open.oldest_mut().is_some_and(is_over) {
                self.open.pop_oldest();
            }
        }
        if self.open.len() >= self.limits.max_keys()
            && let Some((_, window)) = self.open.pop_oldest()
        {
            self.counts.evicted += 1;
            if let Some(item) = window.waiting {
                self.waiting -= 1;
                self.counts.emitted += 1;
                out(item);
            }
        }
    }

    /// The next item that waited, once its window is over. Pending too if none waits.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        while self.waiting > 0
            && let Some(window) = self.open.oldest_mut()
        {
            let end = window.end;
            if self.alarm.deadline() != Some(end) {
                self.alarm.set(end);
            }
            ready!(self.alarm.poll(cx));
            let Some(item) = window.waiting.take() else {
                self.open.pop_oldest();
                continue;
            };
            let now = self.alarm.now();
            if let Some(window) = self.open.renew_oldest(now) {
                window.end = now + self.period;
            }
            self.waiting -= 1;
            self.counts.emitted += 1;
            return Poll::Ready(item);
        }
        self.alarm.clear();
        Poll::Pending
    }
}

impl<S, K, F> Stage for Throttle<S, K, F>
where
    S: Stage,
    K: Hash + Eq + Clone,
    F: FnMut(&S::Item) -> K,
{
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut out = None;
        match self.as_mut().poll_drain(cx, &mut |item| {
            out = Some(item);
            ControlFlow::Break(())
        }) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(_) => Poll::Ready(out),
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let (windows, beyond) = (this.windows, this.beyond);
        while let Some(item) = beyond.pop_front() {
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        if !*this.ended {
            let mut turn = None;
            let drained = this.input.poll_drain(cx, &mut |item| {
                let mut broke = ControlFlow::Continue(());
                windows.offer(item, &mut turn, &mut |made| match broke {
                    ControlFlow::Continue(()) => broke = each(made),
                    ControlFlow::Break(_) => beyond.push_back(made),
                });
                broke
            });
            match drained {
                Poll::Ready(ControlFlow::Continue(())) => *this.ended = true,
                Poll::Pending => {}
                broke => return broke,
            }
        }
        while !*this.ended || windows.waiting > 0 {
            let item = ready!(windows.poll_waiting(cx));
            if let broke @ ControlFlow::Break(_) = each(item) {
                return Poll::Ready(broke);
            }
        }
        Poll::Ready(ControlFlow::Continue(()))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = self.beyond.len() + self.windows.waiting;
        (held, self.input.size_hint().1.and_then(|most| most.checked_add(held)))
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let Windows { limits, period, edges, .. } = &self.windows;
        let node = outline.stage("throttle", self.site);
        node.parameter("max_keys", limits.max_keys())
            .parameter("period", format_args!("{period:?}"))
            .parameter("edges", format_args!("{edges:?}"));
        if *edges != Edges::Leading {
            node.holds(Bound::Items(limits.max_keys().saturating_add(1)));
        }
    }
}

impl<S: Stage, K: Hash + Eq, F> Flow<Throttle<S, K, F>>
where
    Throttle<S, K, F>: Stage,
{
    /// What became of the items so far.
    pub fn counts(&self) -> ThrottleCounts {
        let Throttle { windows, beyond, .. } = self.stage();
        let unseen = beyond.len();
        let emitted = windows.counts.emitted - unseen as u64;
        ThrottleCounts { emitted, held: windows.waiting + unseen, ..windows.counts }
    }
}

impl<S: Stage, K, F> fmt::Debug for Throttle<S, K, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("open", &self.windows.open)
            .field("counts", &self.windows.counts)
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::ThrottleCounts;
    use crate::keyed::KeyLimits;
    use crate::testing::*;
    use crate::time::Edges;
    use crate::{Virtual, iter};

    marbles!(throttle[leading], |input| {
        input.key_by(KeyLimits::new(9), |x: &char| x.is_uppercase()).throttle(ms(4), Edges::Leading)
    });
    marbles!(throttle[trailing], |input| {
        input
            .key_by(KeyLimits::new(9), |x: &char| x.is_uppercase())
            .throttle(ms(4), Edges::Trailing)
    });
    marbles!(throttle[both], |input| {
        input.key_by(KeyLimits::new(9), |x: &char| x.is_uppercase()).throttle(ms(4), Edges::Both)
    });
    conformance!(throttle_leading, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).throttle(ms(3), Edges::Leading)
    });
    conformance!(throttle_trailing, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).throttle(ms(3), Edges::Trailing)
    });
    conformance!(throttle_both, |input| {
        input.key_by(KeyLimits::new(2), |x| x.value() % 3).throttle(ms(3), Edges::Both)
    });

    #[test]
    fn a_key_too_many_closes_the_window_that_was_opened_first() {
        let mut flow = iter([(1, 'a'), (1, 'b'), (2, 'c'), (1, 'd')])
            .key_by(KeyLimits::new(1), |x| x.0)
            .throttle(ms(5), Edges::Both);
        let out = Virtual::new().run(async {
            let mut out = Vec::new();
            while let Some((_, item)) = flow.next().await {
                let counts = flow.counts();
                assert_eq!(counts.accepted, counts.emitted + counts.dropped + counts.held as u64);
                out.push(item);
            }
            out
        });
        assert_eq!(out, ['a', 'b', 'c', 'd']);
        let expected = ThrottleCounts { accepted: 4, emitted: 4, evicted: 2, ..Default::default() };
        assert_eq!(flow.counts(), expected);
    }

    #[test]
    fn what_is_dropped_is_counted() {
        let mut flow =
            iter([1, 1, 1, 2, 1]).key_by(KeyLimits::new(9), |x| *x).throttle(ms(5), Edges::Leading);
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        let counts = flow.counts();
        assert_eq!((counts.accepted, counts.emitted, counts.dropped), (5, 2, 3));
    }

    #[test]
    #[should_panic(expected = "throttle: the period must not be zero, at operators/src/keyed")]
    fn a_period_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).key_by(KeyLimits::new(1), |x| *x).throttle(ms(0), Edges::Both);
    }

    /// One key after the other, and then all in the order of time: at one instant items first, then
    /// what waited, by the beginning of its window.
    fn specified(input: Timeline<u8>, edges: Edges) -> Timeline<u8> {
        let mut all = Vec::new();
        for key in 0..3 {
            let mut end = i64::MIN;
            let mut waiting: Option<u8> = None;
            // When the window was opened, how many before it were so by an item that had waited, and
            // which item opened the first of these.
            let mut opened = (0, 0, 0);
            let own = input.events.iter().enumerate().filter(|(_, (_, x))| x % 3 == key);
            for (n, (at, x)) in own {
                let (at, x) = (*at, *x);
                if waiting.is_some() && end < at {
                    all.push(((end, 1, opened), waiting.take()));
                    opened = (end, opened.1 + 1, opened.2);
                    end += 4;
                }
                if waiting.is_some() || at < end {
                    if edges != Edges::Leading {
                        waiting = Some(x);
                    }
                    continue;
                }
                (end, opened) = (at + 4, (at, 0, n));
                match edges {
                    Edges::Trailing => waiting = Some(x),
                    _ => all.push(((at, 0, (0, 0, n)), Some(x))),
                }
            }
            if waiting.is_some() {
                all.push(((end, 1, opened), waiting));
            }
        }
        all.sort_by_key(|(order, _)| *order);
        let last = all.last().map_or(0, |((at, ..), _)| *at);
        let waits = all.iter().any(|((at, kind, _), _)| *kind == 1 && *at > input.end);
        let end = if waits { last.max(input.end) } else { input.end };
        Timeline::new(all.into_iter().filter_map(|((at, ..), x)| Some((at, x?))), end)
    }

    specification!(
        throttle_leading,
        |input| input.key_by(KeyLimits::new(3), |x| x % 3).throttle(ms(4), Edges::Leading),
        |input| specified(input, Edges::Leading)
    );
    specification!(
        throttle_trailing,
        |input| input.key_by(KeyLimits::new(3), |x| x % 3).throttle(ms(4), Edges::Trailing),
        |input| specified(input, Edges::Trailing)
    );
    specification!(
        throttle_both,
        |input| input.key_by(KeyLimits::new(3), |x| x % 3).throttle(ms(4), Edges::Both),
        |input| specified(input, Edges::Both)
    );
}
