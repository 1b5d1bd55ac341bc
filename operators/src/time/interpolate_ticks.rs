//! `interpolate_ticks`: time made visible in a flow of items that carry their own.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use crate::{Bound, Budget, Flow, Outline, Site, Stage, Timestamp};

/// What [`interpolate_ticks`](Flow::interpolate_ticks) emits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ticked<T> {
    /// In item time it is now this.
    Tick(Timestamp),
    /// An item of the input.
    Item(T),
}

impl<S: Stage> Flow<S> {
    /// Puts a tick between the items for each `period` that passes in their own time.
    ///
    /// ```text
    /// in   -1-5----7---|
    /// out  -1-(xy5)(z7)|    interpolate_ticks(2, time)
    /// ```
    ///
    /// In the diagram x, y and z are the ticks of 2, 4 and 6 ms.
    ///
    /// A silence in a recording is nothing that anybody could see; ticks make it something. A
    /// tick stands for a multiple of `period`, counted from the epoch, and comes before the first
    /// item that is not earlier: what lies between two ticks is a tumbling window. The first tick
    /// is the first one after the first item. An item that is late in its own time passes without
    /// a tick. No clock is involved, so nothing tells of a silence before the item that ends it.
    ///
    /// - **Emits** before an item the ticks that have become due, then the item.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here, and `time` tells its time; a panic in `time`
    ///   comes out of the poll.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read but for sharing the event loop (see [`Budget`]): a
    ///   time far ahead makes many ticks.
    ///
    /// # Panics
    ///
    /// If `period` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let trades = iter([1, 2, 9]);
    /// let ticked = trades.interpolate_ticks(Duration::from_secs(2), |s| Timestamp::from_secs(*s));
    /// assert_eq!(ticked.count().await, 3 + 4); // at 2, 4, 6 and 8 seconds
    /// # });
    /// ```
    #[track_caller]
    pub fn interpolate_ticks<F>(self, period: Duration, time: F) -> Flow<InterpolateTicks<S, F>>
    where
        F: FnMut(&S::Item) -> Timestamp,
    {
        let site = Location::caller();
        assert!(!period.is_zero(), "interpolate_ticks: the period must not be zero, at {site}");
        Flow::from_stage(InterpolateTicks {
            input: self.into_stage(),
            period,
            time,
            next: None,
            held: None,
            budget: Budget::new(),
            site,
        })
    }
}

/// The stage behind [`Flow::interpolate_ticks`].
#[pin_project]
#[derive(Debug)]
pub struct InterpolateTicks<S: Stage, F> {
    #[pin]
    input: S,
    period: Duration,
    time: F,
    /// The tick that comes next, once there was an item.
    next: Option<Timestamp>,
    /// An item and its time, while ticks go before it.
    held: Option<(Timestamp, S::Item)>,
    budget: Budget,
    site: Site,
}

impl<S: Stage, F: FnMut(&S::Item) -> Timestamp> Stage for InterpolateTicks<S, F> {
    type Item = Ticked<S::Item>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.project();
        if this.held.is_none() {
            let Some(item) = ready!(this.input.poll_next(cx)) else {
                return Poll::Ready(None);
            };
            let time = (this.time)(&item);
            let period = *this.period;
            this.next.get_or_insert_with(|| time.floor(period) + period);
            *this.held = Some((time, item));
        }
        if let (Some((time, _)), Some(next)) = (&*this.held, &mut *this.next)
            && *next <= *time
        {
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            let tick = *next;
            *next = tick + *this.period;
            if *next == tick {
                // The end of time: there is no tick after it.
                *this.next = Some(Timestamp::MAX);
                return Poll::Ready(this.held.take().map(|(_, item)| Ticked::Item(item)));
            }
            return Poll::Ready(Some(Ticked::Tick(tick)));
        }
        Poll::Ready(this.held.take().map(|(_, item)| Ticked::Item(item)))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        (self.input.size_hint().0.saturating_add(held), None)
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        outline
            .stage("interpolate_ticks", self.site)
            .parameter("period", format_args!("{:?}", self.period))
            .holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use super::Ticked::{self, Item, Tick};
    use crate::testing::*;
    use crate::{Timestamp, iter};
    use std::time::Duration;

    fn at(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    conformance!(ticked, |input| {
        input.interpolate_ticks(ms(2), |x| Timestamp::from_millis(x.value().into()))
    });

    // In the diagram x, y, z are the ticks of 2, 4 and 6 ms.
    marbles!(interpolate_ticks, |input: u32| {
        let ticked = input.interpolate_ticks(ms(2), |x| at(&i64::from(*x)));
        ticked.map(|ticked| match ticked {
            Tick(at) => char::from(b'w' + at.as_millis() as u8 / 2),
            Item(x) => char::from(b'0' + x as u8),
        })
    });

    fn ticked(times: &[i64]) -> Vec<Ticked<i64>> {
        let times = times.to_vec();
        every_way(|| iter(times.clone()).interpolate_ticks(ms(2), at))
    }

    #[test]
    fn a_tick_comes_for_every_period_before_the_first_item_that_is_not_earlier() {
        let tick = |millis| Tick(at(&millis));
        let expected = [Item(1), tick(2), tick(4), Item(5), tick(6), Item(6), Item(7)];
        assert_eq!(ticked(&[1, 5, 6, 7]), expected);
        assert_eq!(ticked(&[2]), [Item(2)]);
    }

    #[test]
    fn an_item_that_is_late_passes_and_time_does_not_go_back() {
        let tick = |millis| Tick(at(&millis));
        assert_eq!(
            ticked(&[3, 4, 1, 5, 6]),
            [Item(3), tick(4), Item(4), Item(1), Item(5), tick(6), Item(6)]
        );
    }

    #[test]
    fn ticks_come_to_an_end_at_the_end_of_time() {
        let times = [Timestamp::EPOCH, Timestamp::MAX, Timestamp::MAX];
        let period = Duration::from_nanos(i64::MAX as u64 / 2 + 1);
        let ticks = every_way(|| iter(times).interpolate_ticks(period, |at| *at));
        assert_eq!(ticks.len(), 3 + 1);
    }

    #[test]
    #[should_panic(expected = "interpolate_ticks: the period must not be zero, at operators/src/")]
    fn a_period_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).interpolate_ticks(ms(0), at);
    }

    specification!(
        interpolate_ticks,
        at_any_pace,
        |input: i64| input.interpolate_ticks(ms(3), at),
        |input| {
            let mut latest: Option<i64> = None;
            input.flat_map(|_, x| {
                let ticks = (latest.unwrap_or(x) + 1..=x).filter(|time| time % 3 == 0);
                latest = latest.max(Some(x));
                ticks.map(|time| Tick(at(&time))).chain([Item(x)])
            })
        }
    );
}
