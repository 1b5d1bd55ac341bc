//! `rate_limit`: no more items than a token bucket allows.

use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project::pin_project;

use super::Limiter;
use super::limiter::Seat;
use crate::{Alarm, Bound, Flow, Outline, Site, Stage};

/// What a [`rate_limit`](Flow::rate_limit) does with an item for which no token is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Excess {
    /// It waits for its tokens, and the input with it.
    #[doc(alias("shape", "shaping"))]
    Wait,
    /// It is dropped and counted.
    #[doc(alias("enforce", "enforcing"))]
    Drop,
}

impl<S: Stage> Flow<S> {
    /// Lets items pass at the pace of `limiter`, each for one token.
    ///
    /// ```text
    /// in    abcdef----------|
    /// wait  ab-c--d--e--f---|    rate_limit(&one_in_3ms_with_a_burst_of_2, Excess::Wait)
    /// drop  ab-d------------|    rate_limit(&one_in_3ms_with_a_burst_of_2, Excess::Drop)
    /// ```
    ///
    /// This is [`rate_limit_by`](Self::rate_limit_by) with a cost of 1.
    ///
    /// - **Emits** each item when there is a token for it; with `Excess::Drop` only those for which
    ///   there is one at once.
    /// - **Backpressures** with `Excess::Wait` while an item waits; else when downstream does.
    /// - **Ends** when the input ends and the item that waits is out.
    /// - **On error**: an error is an item here.
    /// - **Holds** 1 item; nothing with `Excess::Drop`.
    /// - **Cost**: one lock and one clock read for each item, one timer operation for an item that
    ///   waits.
    ///
    /// ```
    /// # use aqueduct_operators::{Clock, Virtual, iter, time::{Excess, Limiter, Pace}};
    /// let limiter = Limiter::new(Pace::per_second(10), 1);
    /// let calm = iter(0..=100).rate_limit(&limiter, Excess::Wait);
    /// let took = Virtual::new().run(async {
    ///     calm.count().await;
    ///     Clock::current().now()
    /// });
    /// assert_eq!((took.as_secs(), limiter.counts().delayed), (10, 100));
    /// ```
    #[doc(alias("throttle_shape", "throttle_enforce", "metered", "spaced", "pace"))]
    #[track_caller]
    #[allow(clippy::type_complexity, reason = "the cost is a plain function")]
    pub fn rate_limit(
        self,
        limiter: &Limiter,
        excess: Excess,
    ) -> Flow<RateLimit<S, fn(&S::Item) -> u32>> {
        let one: fn(&S::Item) -> u32 = |_| 1;
        self.rate_limit_by(limiter, excess, one)
    }

    /// Lets items pass at the pace of `limiter`, each for as many tokens as `cost` says.
    ///
    /// ```text
    /// in   132|
    /// out  1-3-----(2|)    rate_limit_by(&one_in_2ms_burst_2, Excess::Wait, |x| *x)
    /// ```
    ///
    /// An item is never early: it passes when its tokens are there. One that costs more than the
    /// burst waits for a full bucket, and those after it wait until the rest is paid; with
    /// `Excess::Drop` it never passes. One that costs nothing passes at once. Several flows may
    /// share a limiter; which of those that wait gets the next token is decided by who is polled
    /// first.
    ///
    /// A consumer that is busy saves tokens up, but no more than the burst.
    ///
    /// - **Emits** each item when its tokens are there; with `Excess::Drop` only those for which
    ///   they are there at once.
    /// - **Backpressures** with `Excess::Wait` while an item waits; else when downstream does.
    /// - **Ends** when the input ends and the item that waits is out.
    /// - **On error**: an error is an item here, and costs what `cost` says; a panic in `cost`
    ///   comes out of the poll.
    /// - **Holds** 1 item; nothing with `Excess::Drop`.
    /// - **Cost**: one lock and one clock read for each item, one timer operation for an item that
    ///   waits.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, time::{Excess, Limiter, Pace}};
    /// let bytes = Limiter::new(Pace::per_second(1_000), 100);
    /// let frames = iter(["short", "long enough to be dropped"]);
    /// let kept = frames.rate_limit_by(&bytes, Excess::Drop, |frame| frame.len() as u32 * 10);
    /// assert_eq!(Virtual::new().run(kept.count()), 1);
    /// assert_eq!(bytes.counts().dropped, 1);
    /// ```
    #[track_caller]
    pub fn rate_limit_by<C>(
        self,
        limiter: &Limiter,
        excess: Excess,
        cost: C,
    ) -> Flow<RateLimit<S, C>>
    where
        C: FnMut(&S::Item) -> u32,
    {
        Flow::from_stage(RateLimit {
            input: self.into_stage(),
            seat: limiter.join(),
            excess,
            cost,
            held: None,
            alarm: Alarm::new(),
            site: Location::caller(),
        })
    }
}

/// The stage behind [`Flow::rate_limit`] and [`Flow::rate_limit_by`].
#[pin_project]
#[derive(Debug)]
pub struct RateLimit<S: Stage, C> {
    #[pin]
    input: S,
    seat: Seat,
    excess: Excess,
    cost: C,
    /// An item that waits, and its cost.
    held: Option<(S::Item, u32)>,
    alarm: Alarm,
    site: Site,
}

impl<S: Stage, C: FnMut(&S::Item) -> u32> Stage for RateLimit<S, C> {
    type Item = S::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        let mut waited = this.held.is_some();
        let (item, cost) = match this.held.take() {
            Some(held) => held,
            None => loop {
                let Some(item) = ready!(this.input.as_mut().poll_next(cx)) else {
                    return Poll::Ready(None);
                };
                let cost = (this.cost)(&item);
                match this.excess {
                    Excess::Wait => break (item, cost),
                    Excess::Drop if this.seat.take_or_drop(cost) => return Poll::Ready(Some(item)),
                    Excess::Drop => {}
                }
            },
        };
        loop {
            let Err((now, due)) = this.seat.take(cost, waited, cx.waker()) else {
                this.alarm.clear();
                return Poll::Ready(Some(item));
            };
            waited = true;
            if this.alarm.deadline() != Some(due) {
                this.alarm.set(due);
            }
            if this.alarm.poll_at(now, cx).is_pending() {
                *this.held = Some((item, cost));
                // The input was not asked, so what is in flight above goes on only if it is driven.
                let _ = this.input.poll_progress(cx);
                return Poll::Pending;
            }
        }
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().input.poll_progress(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(self.held.is_some());
        let (least, most) = self.input.size_hint();
        match self.excess {
            Excess::Wait => {
                (least.saturating_add(held), most.and_then(|most| most.checked_add(held)))
            }
            Excess::Drop => (0, most),
        }
    }

    fn describe(&self, outline: &mut Outline) {
        self.input.describe(outline);
        let limiter = self.seat.limiter();
        outline
            .stage("rate_limit", self.site)
            .parameter("pace", limiter.pace())
            .parameter("burst", limiter.burst())
            .parameter("excess", format_args!("{:?}", self.excess))
            .holds(Bound::Items(usize::from(self.excess == Excess::Wait)));
    }
}

#[cfg(test)]
mod tests {
    use super::{Excess, Limiter};
    use crate::testing::*;
    use crate::time::Pace;
    use crate::{Alarm, Timestamp, Virtual, iter};
    use futures::future::join;
    use std::future::poll_fn;

    fn limiter(per: u64, burst: u32) -> Limiter {
        Limiter::new(Pace::new(1, ms(per)), burst)
    }

    marbles!(rate_limit[wait], |input| input.rate_limit(&limiter(3, 2), Excess::Wait));
    marbles!(rate_limit[drop], |input| input.rate_limit(&limiter(3, 2), Excess::Drop));
    marbles!(rate_limit_by, |input: u32| {
        input.rate_limit_by(&limiter(2, 2), Excess::Wait, |x| *x)
    });
    conformance!(limited, |input| {
        input.rate_limit_by(&limiter(2, 2), Excess::Wait, |x| x.value() % 3)
    });
    conformance!(limited_and_dropped, |input| input.rate_limit(&limiter(2, 2), Excess::Drop));
    specification!(
        rate_limit,
        |input| input.rate_limit(&limiter(3, 1), Excess::Wait),
        |input| -> Timeline<_> {
            let (mut free, mut output) = (0, Timeline::new([], input.end));
            for (at, item) in input.events {
                let out = at.max(free);
                free = out + 3;
                output.events.push((out, item));
                output.end = input.end.max(out);
            }
            output
        }
    );

    async fn sleep(millis: u64) {
        let mut alarm = Alarm::new();
        let until = alarm.now() + ms(millis);
        alarm.set(until);
        poll_fn(|cx| alarm.poll(cx)).await;
    }

    #[test]
    fn a_flow_that_waits_is_told_of_another_pace() {
        let limiter = limiter(1_000, 1);
        let times = Virtual::new().run(async {
            let faster = async {
                sleep(4).await;
                limiter.set_pace(Pace::new(1, ms(10)));
            };
            let flow = iter(0..3).rate_limit(&limiter, Excess::Wait).timestamp();
            let flow = flow.map(|(at, _)| (at - Timestamp::EPOCH).as_micros());
            join(flow.collect::<Vec<_>>(), faster).await.0
        });
        // 4 ms at the old pace bring 0.004 tokens; the rest takes 9.96 ms at the new one.
        assert_eq!(times, [0, 13_960, 23_960]);
    }

    #[test]
    fn flows_share_a_limiter() {
        let limiter = limiter(10, 1);
        let counts = Virtual::new().run(async {
            let flow = || iter(0..5).rate_limit(&limiter, Excess::Wait).count();
            join(flow(), flow()).await;
            (limiter.counts(), crate::Clock::current().now().as_millis())
        });
        assert_eq!((counts.0.passed, counts.0.delayed, counts.1), (1, 9, 90));
    }

    #[test]
    fn what_is_dropped_is_counted() {
        let limiter = limiter(10, 2);
        let flow = || iter(0..9).rate_limit(&limiter, Excess::Drop);
        assert_eq!(items(flow()), [0, 1]);
        let counts = limiter.counts();
        assert_eq!((counts.passed, counts.delayed, counts.dropped), (2, 0, 7));
    }
}
