//! `as_of`: joins each item with what was known at its time.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project::pin_project;

use super::Timed;
use crate::{Bound, Flow, Outline, Site, Stage, Timestamp};

/// Which item on the right an as-of join takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsOf {
    strict: bool,
    tolerance: Option<Duration>,
}

impl AsOf {
    /// The last item at or before the time of the left one. Of several at one instant the last to
    /// arrive wins.
    pub const fn backward() -> Self {
        Self { strict: false, tolerance: None }
    }

    /// Only items strictly before the left one.
    #[must_use]
    pub const fn strict(self) -> Self {
        Self { strict: true, ..self }
    }

    /// Only items at most this much older than the left one.
    #[must_use]
    pub const fn within(self, tolerance: Duration) -> Self {
        Self { tolerance: Some(tolerance), ..self }
    }
}

impl<S: Stage<Item = Timed<L>>, L> Flow<S> {
    /// Pairs each item with the last one of `right` as of its time.
    ///
    /// ```text
    /// in     --a-----b--------|
    /// time     1     4
    /// right  ----x--y-----z---|
    /// time       0  3     5
    /// out    -------p-----q---|    as_of(right, AsOf::backward()).values()
    /// where  p = (a, Some(x)), q = (b, Some(y))
    /// ```
    ///
    /// An item waits until the right side has come past its time, by an item or by a watermark, so
    /// that the answer does not depend on which side is faster. Nothing from the right that is
    /// later than an item can reach it.
    ///
    /// - **Emits** each item with its match, or with `None`, in order; watermarks of the left side
    ///   pass in order.
    /// - **Backpressures** the right side when it is ahead of the left, the left side while the
    ///   right one is behind.
    /// - **Ends** when the left input has ended; the right one is dropped then.
    /// - **On error**: nothing here can fail.
    /// - **Holds** 3 items: one on the left, and on the right the last match and the next one.
    /// - **Cost**: a clone of the match for each item; no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{Timestamp, iter, window::AsOf};
    /// # use std::time::Duration;
    /// # futures::executor::block_on(async {
    /// let time = |s: &i64| Timestamp::from_secs(*s);
    /// let trades = iter([3, 5, 9]).event_time(time, Duration::ZERO);
    /// let quotes = iter([4, 5, 8]).event_time(time, Duration::ZERO);
    /// let pairs: Vec<_> = trades.as_of(quotes, AsOf::backward()).values().collect().await;
    /// assert_eq!(pairs, [(3, None), (5, Some(5)), (9, Some(8))]);
    /// # });
    /// ```
    #[doc(alias("asof_join", "merge_asof", "join_asof"))]
    #[track_caller]
    pub fn as_of<R, T>(self, right: Flow<R>, which: AsOf) -> Flow<AsOfJoin<S, R, L, T>>
    where
        R: Stage<Item = Timed<T>>,
        T: Clone,
    {
        Flow::from_stage(AsOfJoin {
            left: Some(self.into_stage()),
            right: Some(right),
            which,
            waiting: None,
            left_reached: Timestamp::MIN,
            known: None,
            ahead: None,
            right_reached: Timestamp::MIN,
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::as_of`].
#[pin_project]
#[derive(Debug)]
pub struct AsOfJoin<S, R, L, T> {
    /// `None` once it has ended.
    #[pin]
    left: Option<S>,
    /// `None` once it, or the left side, has ended.
    #[pin]
    right: Option<Flow<R>>,
    which: AsOf,
    /// The left item that waits for the right side to come past it.
    waiting: Option<(Timestamp, L)>,
    /// The time that no further left item precedes.
    left_reached: Timestamp,
    /// The latest right item that is not ahead of the left side.
    known: Option<(Timestamp, T)>,
    /// The first right item that is.
    ahead: Option<(Timestamp, T)>,
    /// The time that no further right item precedes.
    right_reached: Timestamp,
    site: Site,
}

/// The next of one side, which is dropped at its end.
fn poll_side<S: Stage>(
    mut side: Pin<&mut Option<S>>,
    cx: &mut Context<'_>,
) -> Poll<Option<S::Item>> {
    let Some(stage) = side.as_mut().as_pin_mut() else {
        return Poll::Ready(None);
    };
    let next = ready!(stage.poll_next(cx));
    if next.is_none() {
        side.set(None);
    }
    Poll::Ready(next)
}

impl<S, R, L, T> AsOfJoin<S, R, L, T>
where
    R: Stage<Item = Timed<T>>,
{
    /// Takes right items as far as `until`. Ready when no more can come that far.
    fn advance(self: Pin<&mut Self>, until: Timestamp, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let precedes = |time: Timestamp| time < until || (time == until && !this.which.strict);
        loop {
            match this.ahead.take() {
                Some((time, item)) if precedes(time) => *this.known = Some((time, item)),
                Some(later) => {
                    *this.ahead = Some(later);
                    return Poll::Ready(());
                }
                None if this.right.is_none() || !precedes(*this.right_reached) => {
                    return Poll::Ready(());
                }
                None => match ready!(poll_side(this.right.as_mut(), cx)) {
                    Some(Timed::Item(time, item)) => *this.ahead = Some((time, item)),
                    Some(Timed::Watermark(time)) => {
                        *this.right_reached = (*this.right_reached).max(time);
                    }
                    None => {}
                },
            }
        }
    }
}

impl<S, R, L, T> Stage for AsOfJoin<S, R, L, T>
where
    S: Stage<Item = Timed<L>>,
    R: Stage<Item = Timed<T>>,
    T: Clone,
{
    type Item = Timed<(L, Option<T>)>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some((time, _)) = self.waiting {
                let advanced = self.as_mut().advance(time, cx);
                let this = self.as_mut().project();
                if advanced.is_pending() {
                    // The left side is not asked meanwhile, but what is in flight there goes on.
                    let _ = this.left.as_pin_mut().map(|left| left.poll_progress(cx));
                    return Poll::Pending;
                }
                let Some((time, left)) = this.waiting.take() else {
                    continue;
                };
                let right = this.known.as_ref().filter(|(known, _)| {
                    // A late left item may find the right side past its time.
                    *known <= time && this.which.tolerance.is_none_or(|most| time - *known <= most)
                });
                let right = right.map(|(_, item)| item.clone());
                return Poll::Ready(Some(Timed::Item(time, (left, right))));
            }
            let mut this = self.as_mut().project();
            match poll_side(this.left, cx) {
                Poll::Ready(Some(Timed::Item(time, item))) => {
                    *this.waiting = Some((time, item));
                }
                Poll::Ready(Some(Timed::Watermark(time))) => {
                    *this.left_reached = (*this.left_reached).max(time);
                    return Poll::Ready(Some(Timed::Watermark(time)));
                }
                Poll::Ready(None) => {
                    this.right.set(None);
                    *this.known = None;
                    *this.ahead = None;
                    return Poll::Ready(None);
                }
                Poll::Pending => {
                    // What is not ahead of the left side can be taken already: a busy right side
                    // is not held up by a silent left one.
                    let until = self.left_reached;
                    if self.as_mut().advance(until, cx).is_ready() {
                        let right = self.as_mut().project().right;
                        let _ = right.as_pin_mut().map(|right| right.poll_progress(cx));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        let left = this.left.as_pin_mut().map(|left| left.poll_progress(cx));
        let right = this.right.as_pin_mut().map(|right| right.poll_progress(cx));
        ready!(left.unwrap_or(Poll::Ready(())));
        right.unwrap_or(Poll::Ready(()))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let (least, most) = self.left.as_ref().map_or((0, Some(0)), Stage::size_hint);
        let waiting = usize::from(self.waiting.is_some());
        (least.saturating_add(waiting), most.and_then(|most| most.checked_add(waiting)))
    }

    fn describe(&self, outline: &mut Outline) {
        let left = self.left.as_ref().map(Outline::of);
        let right = self.right.as_ref().map(Outline::of);
        outline
            .join("as_of", self.site, left.into_iter().chain(right))
            .parameter("which", format_args!("{:?}", self.which))
            .holds(Bound::Items(3));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iter;
    use crate::testing::*;

    fn time(s: &i64) -> Timestamp {
        Timestamp::from_secs(*s)
    }

    fn pairs(left: &[i64], right: &[i64], which: AsOf) -> Vec<(i64, Option<i64>)> {
        let left = iter(left.to_vec()).event_time(time, Duration::ZERO);
        let right = iter(right.to_vec()).event_time(time, Duration::ZERO);
        items(left.as_of(right, which).values())
    }

    #[test]
    fn an_equal_time_matches_unless_the_join_is_strict() {
        assert_eq!(pairs(&[2], &[1, 2, 3], AsOf::backward()), [(2, Some(2))]);
        assert_eq!(pairs(&[2], &[1, 2, 3], AsOf::backward().strict()), [(2, Some(1))]);
    }

    #[test]
    fn an_item_at_the_end_of_time_does_not_wait_for_a_side_that_has_ended() {
        let left = iter([i64::MAX]).event_time(|ns| Timestamp::from_nanos(*ns), Duration::ZERO);
        let right = iter([4]).event_time(time, Duration::ZERO);
        let pairs = items(left.as_of(right, AsOf::backward()).values());
        assert_eq!(pairs, [(i64::MAX, Some(4))]);
    }

    #[test]
    fn a_match_older_than_the_tolerance_is_none() {
        let which = AsOf::backward().within(Duration::from_secs(2));
        assert_eq!(pairs(&[3, 5], &[1], which), [(3, Some(1)), (5, None)]);
    }

    #[test]
    fn of_several_right_items_at_one_instant_the_last_to_arrive_wins() {
        let left = iter([5]).event_time(time, Duration::ZERO);
        let right = iter([(5, 'x'), (5, 'y')]).event_time(|x| time(&x.0), Duration::ZERO);
        assert_eq!(items(left.as_of(right, AsOf::backward()).values()), [(5, Some((5, 'y')))]);
    }

    #[test]
    fn the_answer_does_not_depend_on_which_side_is_faster() {
        for (left, right) in [(0, 100), (100, 0)] {
            let left = timetable([2, 4, 6].map(|s| (left + s, s)), left + 7);
            let right = timetable([1, 4, 5].map(|s| (right + s, s)), right + 7);
            let joined = left
                .event_time(time, Duration::ZERO)
                .as_of(right.event_time(time, Duration::ZERO), AsOf::backward())
                .values();
            let pairs: Vec<_> = timeline(joined).0.into_iter().map(|(_, pair)| pair).collect();
            assert_eq!(pairs, [(2, Some(1)), (4, Some(4)), (6, Some(5))]);
        }
    }

    fn value_as_time(x: &Tracked) -> Timestamp {
        Timestamp::from_millis(i64::from(x.value()))
    }

    conformance!(as_of, |a, b| {
        let right = b.event_time(value_as_time, ms(0));
        a.event_time(value_as_time, ms(0)).as_of(right, AsOf::backward())
    });

    marbles!(as_of, |input: Timed<char>, right: Timed<char>| {
        input.as_of(right, AsOf::backward()).values()
    });

    /// The join of items at most 9 ms apart, and at least `apart` ms.
    fn joined(
        left: Timeline<i64>,
        right: Timeline<i64>,
        apart: i64,
    ) -> Timeline<(i64, Option<i64>)> {
        let (left, right) = (sums(left), sums(right));
        let mut output = Timeline::new([], 0);
        for (at, time) in left.events {
            let newest = time - apart;
            // Known when the right side has come past it.
            let past = right.events.iter().find(|(_, other)| *other > newest);
            let known = past.map_or(right.end, |(at, _)| *at);
            let found = right.events.iter().rfind(|(_, other)| *other <= newest);
            let found = found.map(|(_, other)| *other).filter(|other| time - other <= 9);
            output.end = output.end.max(at).max(known);
            output.events.push((output.end, (time, found)));
        }
        output.end = output.end.max(left.end);
        output
    }

    specification!(
        as_of,
        |left: i64, right: i64| {
            let right = right.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            left.as_of(right, AsOf::backward().within(ms(9))).values()
        },
        |left, right| joined(left, right, 0)
    );
    specification!(
        as_of_strict,
        |left: i64, right: i64| {
            let right = right.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            let left = left.scan(0, |sum, x| sum + x).event_time(millis, Duration::ZERO);
            left.as_of(right, AsOf::backward().strict().within(ms(9))).values()
        },
        |left, right| joined(left, right, 1)
    );

    fn millis(x: &i64) -> Timestamp {
        Timestamp::from_millis(*x)
    }

    /// Times that never go back.
    fn sums(line: Timeline<i64>) -> Timeline<i64> {
        let mut sum = 0;
        line.map(|x| {
            sum += x;
            sum
        })
    }
}
