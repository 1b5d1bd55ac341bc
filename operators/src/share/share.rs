//! `share`: every consumer gets every item.

use std::panic::Location;

use super::keeper::tend;
use super::{Share, Shared, Slow};
use crate::buffer::checked;
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Gives every item to each of several consumers; the slowest one sets the pace.
    ///
    /// ```text
    /// in        --a-b-c-d|
    /// first     --a-b-c-d|
    /// second        ^-c-d|    subscribed at ^: new items only
    /// ```
    ///
    /// Nothing runs before a consumer polls, and there is no task: whichever consumer is polled
    /// moves the input on for all. An item lies in one ring until the last consumer has it.
    ///
    /// - **Emits** to each consumer every item that is taken after it subscribed.
    /// - **Backpressures** when the slowest consumer is `capacity` items behind. A subscription
    ///   that is kept and never polled stops the others: drop it, or use
    ///   [`share_lagging`](Self::share_lagging).
    /// - **Ends** when the input has ended and what is held is out; a subscription made later ends
    ///   at once. When the last consumer leaves, the input is dropped and the share is over.
    /// - **On error**: an error is an item here. A panic in the input comes out of the poll of the
    ///   consumer that polled it, and is the end for the others. A consumer that panics is a
    ///   consumer that leaves, once it is dropped.
    /// - **Holds** `capacity` items for all consumers together.
    /// - **Cost**: one lock and one clone for an item and consumer; the last one to take an item
    ///   gets it without a clone. One allocation for the share; the clock is read once a slice.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let shared = iter([1, 2, 3]).share(16);
    /// let (sum, count) = (shared.subscribe(), shared.subscribe());
    /// let both = futures::join!(sum.fold(0, |sum, x| sum + x), count.count());
    /// assert_eq!(both, (6, 3));
    /// # });
    /// ```
    #[doc(alias("publish", "broadcast", "multicast", "share_in", "ref_count"))]
    #[track_caller]
    pub fn share(self, capacity: usize) -> Shared<S>
    where
        S::Item: Clone,
    {
        let site = Location::caller();
        let capacity = checked(capacity, "share", site);
        Shared::new(self.into_stage(), "share", Share::of(capacity, Slow::Block), None, site)
    }

    /// As [`share`](Self::share), but a consumer that is more than `capacity` items behind skips
    /// ahead, and the others never wait for it.
    ///
    /// ```text
    /// in    --a-b-c-d-e|
    /// fast  --a-b-c-d-e|
    /// slow  --a----------d-e|    capacity 2; lagged: 2
    /// ```
    ///
    /// - **Emits** to each consumer the items that are taken after it subscribed, without those
    ///   that it was too slow for: [`lagged`](Flow::lagged) counts them.
    /// - **Backpressures** when no consumer is polled.
    /// - **Ends** as `share` does.
    /// - **On error**: as `share`.
    /// - **Holds** `capacity` items for all consumers together.
    /// - **Cost**: as `share`.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let shared = iter([1, 2, 3]).share_lagging(1);
    /// let (all, newest) = (shared.subscribe(), shared.subscribe());
    /// assert_eq!(all.count().await, 3);
    /// assert_eq!(newest.fold(0, |sum, x| sum + x).await, 3);
    /// # });
    /// ```
    #[doc(alias("broadcast", "shared_flow"))]
    #[track_caller]
    pub fn share_lagging(self, capacity: usize) -> Shared<S>
    where
        S::Item: Clone,
    {
        let site = Location::caller();
        let capacity = checked(capacity, "share_lagging", site);
        Shared::new(self.into_stage(), "share_lagging", Share::of(capacity, Slow::Lag), None, site)
    }

    /// As [`share`](Self::share), with everything that can be said about it.
    ///
    /// ```text
    /// in      --a-b-c-----d-|
    /// first   --a-b-c-----d-|
    /// second          (bc)d-|    subscribed at 8, with .replay(2)
    /// ```
    ///
    /// Where something is to happen while no consumer is polled (a reset after a grace period or at
    /// a signal, an input that goes on without consumers), a task of its own sees to it. It starts
    /// with the first poll, in the [`Ambient`](crate::Ambient) of that poll, and is woken only
    /// when consumers come and go.
    ///
    /// - **Emits** to each consumer what newcomers get ([`replay`](Share::replay)) and every item
    ///   that is taken after it subscribed, as far as it keeps up or blocks.
    /// - **Backpressures** when a consumer that blocks is `capacity` items behind, before
    ///   the [`start`](Share::start), and without a consumer as
    ///   [`no_consumers`](Share::no_consumers) says.
    /// - **Ends** when the input has ended and what is held is out; when the share is reset, only
    ///   for those who subscribe later. [`Shared::state`] tells.
    /// - **On error**: an error is an item here, unless [`on_error`](Share::on_error) says that it
    ///   ends the flow. A panic in the input is its end, after it has come out of the poll of one
    ///   consumer.
    /// - **Holds** `capacity` items for all consumers together; more if more are to be replayed
    ///   or kept for the first consumer.
    /// - **Cost**: as `share`; with a [`replay`](Share::replay) the last consumer clones too, with
    ///   [`replay_for`](Share::replay_for) the clock is read once an item.
    ///
    /// Items are cloned while the share is locked: a `Clone` of theirs must not use this share.
    ///
    /// # Panics
    ///
    /// If a task is needed, at the first poll outside a tokio runtime and a run under virtual time.
    ///
    /// ```
    /// # use aqueduct_operators::{Virtual, iter, share::Share};
    /// let shared = iter([1, 2, 3]).share_with(Share::new(16).replay(2));
    /// assert_eq!(Virtual::new().run(shared.subscribe().count()), 3);
    /// assert_eq!(Virtual::new().run(shared.subscribe().count()), 2);
    /// ```
    #[doc(alias("share_replay", "replay", "cache", "share_in", "ref_count", "auto_connect"))]
    #[track_caller]
    pub fn share_with(self, config: Share<S::Item>) -> Shared<S>
    where
        S: Send + 'static,
        S::Item: Clone + Send + 'static,
    {
        let site = Location::caller();
        Shared::new(self.into_stage(), "share_with", config, Some(tend), site)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::task::noop_waker_ref;
    use futures_util::future::join_all;
    use proptest::prelude::*;

    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};

    use super::*;
    use crate::testing::{
        Timeline, after, at_glances, both, branched, conformance, glances, items, line, ms,
        specification, timetable,
    };
    use crate::{Alarm, Ambient, Clock, Virtual, iter};

    crate::marbles!(share[first], |input| input.share(16).subscribe());
    crate::marbles!(share_lagging[fast], |input| input.share_lagging(2).subscribe());
    crate::marbles!(share_with[first], |input| {
        input.share_with(Share::new(8).replay(2)).subscribe()
    });
    crate::conformance!(share_with_replay, |input| {
        input.share_with(Share::new(4).replay(2)).subscribe()
    });
    crate::conformance!(share_with_grace, |input| {
        let grace = crate::share::Reset::After(ms(3));
        input.share_with(Share::new(4).on_idle(grace)).subscribe()
    });

    fn try_next<S: Stage + Unpin>(flow: &mut Flow<S>) -> Poll<Option<S::Item>> {
        Stage::poll_next(Pin::new(flow), &mut Context::from_waker(noop_waker_ref()))
    }

    async fn collect<S: Stage>(flow: Flow<S>) -> Vec<S::Item> {
        let push = |mut all: Vec<_>, item| {
            all.push(item);
            all
        };
        flow.fold(Vec::new(), push).await
    }

    #[test]
    fn after_the_end_every_poll_ends_at_once() {
        let mut stage = iter(0..0).share(1).subscribe().into_stage();
        Virtual::new().run(async {
            let mut cx = Context::from_waker(noop_waker_ref());
            for _ in 0..3_000 {
                assert_eq!(Pin::new(&mut stage).poll_next(&mut cx), Poll::Ready(None));
            }
        });
    }

    #[test]
    fn every_consumer_gets_every_item_whatever_the_capacity() {
        for capacity in [1, 2, 7, 1024] {
            let shared = iter(0..3_000).share(capacity);
            let all = join_all((0..3).map(|_| collect(shared.subscribe())));
            for got in Virtual::new().run(all) {
                assert!(got.into_iter().eq(0..3_000), "capacity {capacity}");
            }
        }
    }

    #[test]
    fn who_joins_late_sees_new_items_only_and_after_the_end_only_the_end() {
        let shared = timetable((1..=4).map(|n| (n, n)), 5).share(8);
        let early = shared.subscribe();
        let late = async {
            let mut alarm = Alarm::new();
            alarm.set(Clock::current().now() + ms(3));
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            collect(shared.subscribe()).await
        };
        let got = Virtual::new().run(async { futures::join!(collect(early), late) });
        assert_eq!(got, (vec![1, 2, 3, 4], vec![4]));
        assert_eq!(items(shared.subscribe()), []);
    }

    #[test]
    fn the_slowest_consumer_sets_the_pace_and_its_leaving_sets_the_others_free() {
        let shared = iter(0..).share(2);
        let (mut fast, slow) = (shared.subscribe(), shared.subscribe());
        assert_eq!(try_next(&mut fast), Poll::Ready(Some(0)));
        assert_eq!(try_next(&mut fast), Poll::Ready(Some(1)));
        assert_eq!(try_next(&mut fast), Poll::Pending);
        drop(slow);
        assert_eq!(try_next(&mut fast), Poll::Ready(Some(2)));
    }

    #[test]
    fn a_consumer_that_may_lag_skips_ahead_and_knows_by_how_much() {
        let shared = iter(0..5).share_lagging(2);
        let (fast, mut slow) = (shared.subscribe(), shared.subscribe());
        assert_eq!(items(fast), [0, 1, 2, 3, 4]);
        assert_eq!(slow.lagged(), 3);
        assert_eq!(try_next(&mut slow), Poll::Ready(Some(3)));
        assert_eq!(try_next(&mut slow), Poll::Ready(Some(4)));
        assert_eq!(try_next(&mut slow), Poll::Ready(None));
        assert_eq!(slow.lagged(), 3);
    }

    #[test]
    fn when_the_last_consumer_leaves_the_input_is_dropped() {
        let alive = Arc::new(());
        let inside = alive.clone();
        let shared = iter(0..).map(move |_| inside.clone()).share(4);
        let (mut a, b) = (shared.subscribe(), shared.subscribe());
        assert!(try_next(&mut a).is_ready());
        drop(a);
        assert!(Arc::strong_count(&alive) > 1);
        drop(b);
        assert_eq!(Arc::strong_count(&alive), 1);
        assert!(items(shared.subscribe()).is_empty());
    }

    #[test]
    fn a_consumer_that_leaves_after_it_polled_the_input_leaves_nobody_waiting() {
        let shared = timetable([(2, 'a')], 3).share(4);
        let (first, second) = (shared.subscribe(), shared.subscribe());
        let got = Virtual::new().run(async {
            let first = Ambient::current().spawn(first.count());
            let second = Ambient::current().spawn(collect(second));
            let mut alarm = Alarm::new();
            alarm.set(Clock::current().now() + ms(1));
            std::future::poll_fn(|cx| alarm.poll(cx)).await;
            drop(first);
            second.await
        });
        assert_eq!(got, ['a']);
    }

    #[test]
    fn a_panic_in_the_input_is_the_end_for_the_others() {
        let shared = iter(0..9).map(|x| if x == 2 { panic!("two") } else { x }).share(8);
        let (mut a, b) = (shared.subscribe(), shared.subscribe());
        assert!(catch_unwind(AssertUnwindSafe(|| try_next(&mut a))).is_err());
        assert_eq!(items(b), [0, 1]);
    }

    #[test]
    fn the_last_one_to_take_an_item_gets_it_without_a_clone() {
        struct Counted(Arc<AtomicUsize>);
        impl Clone for Counted {
            fn clone(&self) -> Self {
                self.0.fetch_add(1, Ordering::Relaxed);
                Self(self.0.clone())
            }
        }
        let clones = Arc::new(AtomicUsize::new(0));
        let item = clones.clone();
        let shared = iter(0..10).map(move |_| Counted(item.clone())).share(3);
        let all = join_all((0..3).map(|_| shared.subscribe().count()));
        assert_eq!(Virtual::new().run(all), [10, 10, 10]);
        assert_eq!(clones.load(Ordering::Relaxed), 20);
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Join,
        Poll(usize),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            2 => Just(Step::Join),
            20 => any::<usize>().prop_map(Step::Poll),
            1 => any::<usize>().prop_map(Step::Leave),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn what_a_consumer_gets_has_no_gap_but_the_one_that_it_is_told(
            steps in steps(),
            capacity in 1usize..6,
            lagging in any::<bool>(),
        ) {
            let alive = Arc::new(());
            let inside = alive.clone();
            let input = iter(0u64..).map(move |n| (n, inside.clone()));
            let shared = if lagging { input.share_lagging(capacity) } else { input.share(capacity) };
            // Each with the number that it got last, and how many it had missed by then.
            let mut consumers = vec![(shared.subscribe(), None)];
            for step in steps {
                match step {
                    Step::Join => consumers.push((shared.subscribe(), None)),
                    Step::Leave(at) if consumers.len() > 1 => {
                        drop(consumers.remove(at % consumers.len()));
                    }
                    Step::Leave(_) => {}
                    Step::Poll(at) => {
                        let at = at % consumers.len();
                        let (flow, last) = &mut consumers[at];
                        let missed = flow.lagged();
                        if let Poll::Ready(item) = try_next(flow) {
                            let (n, _) = item.unwrap();
                            if let Some((before, missed_before)) = *last {
                                prop_assert_eq!(n - before - 1, missed - missed_before);
                            }
                            prop_assert!(lagging || missed == 0);
                            *last = Some((n, missed));
                        }
                    }
                }
                // One reference is the closure's.
                prop_assert!(Arc::strong_count(&alive) - 2 <= capacity);
            }
            drop(consumers);
            prop_assert_eq!(Arc::strong_count(&alive), 1);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn consumers_on_several_threads_all_get_everything() {
        for capacity in [1, 5, 256] {
            let shared = iter(0..5_000u64).share(capacity);
            // All have subscribed before the first one runs.
            let all: Vec<_> = (0..4).map(|_| shared.subscribe()).collect();
            let tasks = all.into_iter().map(|flow| {
                let check = |(next, good), x| (next + 1, good && x == next);
                tokio::spawn(flow.fold((0, true), check))
            });
            for got in join_all(tasks.collect::<Vec<_>>()).await {
                assert_eq!(got.unwrap(), (5_000, true));
            }
        }
    }

    #[test]
    #[should_panic(expected = "share: the capacity must not be zero, at operators/src/share")]
    fn a_capacity_of_zero_is_refused_where_it_was_written() {
        let _ = iter([1]).share(0);
    }

    // To one consumer it is nothing at all.
    specification!(share_with_one, at_any_pace, |input| input.share(2).subscribe(), |input| input);
    specification!(
        share,
        |input| async move {
            let shared = input.share(2);
            let (quick, slow) = (shared.subscribe(), shared.subscribe());
            futures::join!(line(quick), line(glances(slow)))
        },
        |input| both(branched(input, |_| true, |_| true))
    );
    specification!(
        share_lagging,
        |input| async move {
            let shared = input.share_lagging(2);
            let (quick, slow) = (shared.subscribe(), shared.subscribe());
            futures::join!(line(quick), line(glances(slow)))
        },
        |input| {
            let newest = |held: &mut Vec<u8>| {
                held.drain(..held.len().saturating_sub(2));
                held.remove(0)
            };
            both((input.clone(), at_glances(input, newest)))
        }
    );
    specification!(
        share_with,
        |input| async move {
            let shared = input.share_with(Share::new(64).replay(2));
            let early = shared.subscribe();
            let late = async {
                after(4, ()).await;
                after_half().await;
                line(shared.subscribe()).await
            };
            futures::join!(line(early), late)
        },
        |input| {
            let missed = input.events.iter().filter(|(at, _)| *at <= 4).count();
            let events = input.events[missed.saturating_sub(2)..].iter();
            let late = Timeline::new(events.map(|(at, x)| (4.max(*at), *x)), input.end.max(4));
            both((input, late))
        }
    );

    /// Until everything else of this millisecond has happened.
    async fn after_half() {
        let mut alarm = Alarm::new();
        alarm.set(Clock::current().now() + crate::testing::HALF);
        std::future::poll_fn(|cx| alarm.poll(cx)).await;
    }

    conformance!(share, |input| input.share(2).subscribe());
    conformance!(share_lagging, |input| input.share_lagging(2).subscribe());
    conformance!(share_of_two, |input| {
        let shared = input.share(2);
        shared.subscribe().zip(shared.subscribe())
    });
}
