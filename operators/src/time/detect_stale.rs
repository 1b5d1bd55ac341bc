//! `detect_stale`: says when nothing has come for too long, and when that is over.

use std::ops::ControlFlow;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::Silence;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage, Timestamp};

/// What comes out of a [`detect_stale`](Flow::detect_stale).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Staleness<T> {
    /// An item.
    Item(T),
    /// Nothing has come since then, for the time that was given.
    Stale {
        /// When the silence began.
        since: Timestamp,
    },
    /// The silence is over: the item that ended it follows.
    Over(Silence),
}

impl<S: Stage> Flow<S> {
    /// Says when nothing has come for longer than `after`, and when something comes again.
    ///
    /// ```text
    /// in   --a--b---------c----|
    /// out  --x--y----s----(oz)-|    detect_stale(5)
    ///
    /// where  x = Item(a), y = Item(b), z = Item(c)
    /// where  s = Stale { since: 5 ms }, o = Over { from: 5 ms, to: 15 ms }
    /// ```
    ///
    /// For a feed whose silence means that its last state can no longer be trusted. It is told once,
    /// however long it lasts; one that lasts to the end of the input has no end. To put something
    /// into the silence again and again, see [`keep_alive`](Self::keep_alive); for silences between
    /// the times that items carry, [`silences`](Self::silences).
    ///
    /// The time that counts is that in which the flow is asked for an item and has none, on the
    /// clock of the run, so that a consumer who is busy sees no silence. The first one begins when
    /// the flow is asked first. An item at the very instant at which the time is over comes before,
    /// and there is no silence then.
    ///
    /// - **Emits** each item, in the same poll; `Stale` when the time is over; `Over` before the
    ///   item that ends a silence that was told.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** 1 item, while the end of the silence before it is taken.
    /// - **Cost**: one clock read for each turn in which items came, no timer operation for an item.
    ///
    /// # Panics
    ///
    /// If `after` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, never, time::Staleness, Timestamp};
    /// # use std::time::Duration;
    /// let quotes = never::<u64>().detect_stale(Duration::from_millis(500));
    /// let first = Virtual::new().run(quotes.first());
    /// assert_eq!(first, Some(Staleness::Stale { since: Timestamp::EPOCH }));
    /// ```
    #[doc(alias("stale", "idle_detection", "silence", "watchdog", "liveness"))]
    #[track_caller]
    pub fn detect_stale(self, after: Duration) -> Flow<DetectStale<S>> {
        let site = Location::caller();
        assert!(!after.is_zero(), "detect_stale: the time must not be zero, at {site}");
        Flow::from_stage(DetectStale {
            input: self.into_stage(),
            after,
            state: State::Fresh,
            alarm: Alarm::new(),
            next: None,
            site,
        })
    }
}

/// The stage behind [`Flow::detect_stale`].
#[pin_project]
#[derive(Debug)]
pub struct DetectStale<S: Stage> {
    #[pin]
    input: S,
    after: Duration,
    state: State,
    alarm: Alarm,
    /// The item that ended a silence whose end is out.
    next: Option<S::Item>,
    site: Site,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// Nobody has waited since the last item.
    Fresh,
    /// The alarm is set for the silence that began then.
    Waiting(Timestamp),
    /// It was told.
    Stale(Timestamp),
}

impl State {
    /// The silence that an item ends now, if it was told.
    fn end(&mut self, alarm: &mut Alarm) -> Option<Silence> {
        match std::mem::replace(self, Self::Fresh) {
            Self::Stale(from) => Some(Silence { from, to: alarm.now() }),
            Self::Fresh | Self::Waiting(_) => None,
        }
    }

    /// Ready when a silence has to be told: its begin.
    fn poll(
        &mut self,
        after: Duration,
        alarm: &mut Alarm,
        cx: &mut Context<'_>,
    ) -> Poll<Timestamp> {
        let since = match *self {
            Self::Stale(_) => return Poll::Pending,
            Self::Waiting(since) => {
                ready!(alarm.poll(cx));
                since
            }
            Self::Fresh => {
                let now = alarm.now();
                alarm.set(now + after);
                *self = Self::Waiting(now);
                ready!(alarm.poll_at(now, cx));
                now
            }
        };
        *self = Self::Stale(since);
        Poll::Ready(since)
    }
}

impl<S: Stage> Stage for DetectStale<S> {
    type Item = Staleness<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if let Some(item) = this.next.take() {
            return Poll::Ready(Some(Staleness::Item(item)));
        }
        match this.input.poll_next(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(Some(match this.state.end(this.alarm) {
                Some(silence) => {
                    *this.next = Some(item);
                    Staleness::Over(silence)
                }
                None => Staleness::Item(item),
            })),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let since = ready!(this.state.poll(*this.after, this.alarm, cx));
                Poll::Ready(Some(Staleness::Stale { since }))
            }
        }
    }

    fn poll_drain<B>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(Self::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        let this = self.project();
        let (state, alarm, next) = (this.state, this.alarm, this.next);
        if let Some(item) = next.take()
            && let broke @ ControlFlow::Break(_) = each(Staleness::Item(item))
        {
            return Poll::Ready(broke);
        }
        let drained = this.input.poll_drain(cx, &mut |item| {
            if let Some(silence) = state.end(alarm)
                && let broke @ ControlFlow::Break(_) = each(Staleness::Over(silence))
            {
                *next = Some(item);
                return broke;
            }
            each(Staleness::Item(item))
        });
        if drained.is_ready() {
            return drained;
        }
        // The input was asked just now, and is awaited together with the end of the time.
        let since = ready!(state.poll(*this.after, alarm, cx));
        match each(Staleness::Stale { since }) {
            ControlFlow::Continue(()) => Poll::Pending,
            broke => Poll::Ready(broke),
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.input.size_hint().0.saturating_add(usize::from(self.next.is_some())), None)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("detect_stale", self.site)
            .parameter("after", format_args!("{:?}", self.after))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::poll_fn;

    use super::Staleness::{Item, Over, Stale};
    use super::{Silence, Staleness};
    use crate::testing::*;
    use crate::{Alarm, Timestamp, Virtual, iter};

    fn stale<T>(since: i64) -> Staleness<T> {
        Stale { since: Timestamp::from_millis(since) }
    }

    fn over<T>(from: i64, to: i64) -> Staleness<T> {
        let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
        Over(Silence { from, to })
    }

    marbles!(detect_stale, |input| {
        input.detect_stale(ms(5)).map(|told| match told {
            Item(item) => format!("Item({item})"),
            Stale { since } => format!("Stale {{ since: {} ms }}", since.as_millis()),
            Over(Silence { from, to }) => {
                format!("Over {{ from: {} ms, to: {} ms }}", from.as_millis(), to.as_millis())
            }
        })
    });
    conformance!(detect_stale, |input| input.detect_stale(ms(3)));

    #[test]
    fn an_item_at_the_very_instant_comes_before_and_there_is_no_silence() {
        let flow = timetable([(0, 'a'), (5, 'b'), (11, 'c')], 12).detect_stale(ms(5));
        let expected = vec![
            (0, Item('a')),
            (5, Item('b')),
            (10, stale(5)),
            (11, over(5, 11)),
            (11, Item('c')),
        ];
        assert_eq!(timeline(flow), (expected, 12));
    }

    #[test]
    fn a_silence_is_told_once_and_one_at_the_end_has_no_end() {
        let flow = timetable::<char>([], 50).detect_stale(ms(5));
        assert_eq!(timeline(flow), (vec![(5, stale(0))], 50));
    }

    #[test]
    fn a_busy_consumer_sees_no_silence() {
        let flow = timetable([(0, 'a'), (1, 'b')], 12).detect_stale(ms(4));
        let seen = RefCell::new(Vec::new());
        Virtual::new().run(flow.for_each_async(async |item| {
            seen.borrow_mut().push(item);
            let mut busy = Alarm::new();
            let until = busy.now() + ms(9);
            busy.set(until);
            poll_fn(|cx| busy.poll(cx)).await;
        }));
        assert_eq!(seen.into_inner(), [Item('a'), Item('b')]);
    }

    #[test]
    #[should_panic(expected = "detect_stale: the time must not be zero, at operators/src/time")]
    fn a_time_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).detect_stale(ms(0));
    }

    specification!(detect_stale, |input| input.detect_stale(ms(4)), |input| -> Timeline<_> {
        let mut output = Timeline::new([], input.end);
        let mut last = 0;
        let end = (input.end, None);
        for (at, item) in input.events.into_iter().map(|(at, item)| (at, Some(item))).chain([end]) {
            if last + 4 < at {
                output.events.push((last + 4, stale(last)));
                output.events.extend(item.map(|_| (at, over(last, at))));
            }
            output.events.extend(item.map(|item| (at, Item(item))));
            last = at;
        }
        output
    });
}
