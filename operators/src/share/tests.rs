//! Consumers that come and go on a timetable.

use std::future::poll_fn;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::task::noop_waker_ref;
use futures_util::future::{join, join_all};

use super::*;
use crate::testing::{items, ms, timeline, timetable};
use crate::{Alarm, Ambient, Clock, Flow, Stage, Timestamp, Virtual, flow, iter, never};

async fn at(millis: i64) {
    let mut alarm = Alarm::new();
    alarm.set(Timestamp::from_millis(millis));
    poll_fn(|cx| alarm.poll(cx)).await;
}

/// What came and when, and when the end; the consumer leaves at `until`.
type Seen<T> = (Vec<(i64, T)>, Option<i64>);

async fn watch<S: Stage>(flow: Flow<S>, until: i64) -> Seen<S::Item> {
    let mut seen = Vec::new();
    let mut flow = pin!(flow);
    let now = || Clock::current().now().as_millis();
    let mut leave = Alarm::new();
    leave.set(Timestamp::from_millis(until));
    let end = poll_fn(|cx| {
        if leave.poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        let drained = flow.as_mut().poll_drain(cx, &mut |item| {
            seen.push((now(), item));
            ControlFlow::<()>::Continue(())
        });
        drained.map(|_| Some(now()))
    });
    let end = end.await;
    (seen, end)
}

/// A consumer of its own task from one millisecond to another.
async fn consumer<S>(shared: Shared<S>, from: i64, until: i64) -> Seen<S::Item>
where
    S: Stage<Item: Clone + Send + 'static> + Send + 'static,
{
    let task = Ambient::current().spawn(async move {
        if from > 0 {
            at(from).await;
        }
        watch(shared.subscribe(), until).await
    });
    task.await
}

const EVER: i64 = 1_000;

/// Counts how often the factory was called and how many of its flows are alive.
#[derive(Debug, Clone, Default)]
struct Calls(Arc<AtomicUsize>, Arc<()>);

impl Calls {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    fn alive(&self) -> usize {
        // Without its own and that of the factory.
        Arc::strong_count(&self.1) - 2
    }

    fn flow<T: Clone + Send + 'static>(
        &self,
        items: &[(i64, T)],
        end: i64,
    ) -> Flow<impl Stage<Item = T> + Send + use<T>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let (items, alive) = (items.to_vec(), self.1.clone());
        flow(Box::pin(async_stream::stream! {
            let _alive = alive;
            let mut alarm = Alarm::for_source();
            let start = alarm.now();
            for (after, item) in items {
                alarm.set(start + ms(after as u64));
                poll_fn(|cx| alarm.poll(cx)).await;
                yield item;
            }
            alarm.set(start + ms(end as u64));
            poll_fn(|cx| alarm.poll(cx)).await;
        }))
    }
}

/// A share of a flow that starts anew with each call; `end` of zero means at once.
fn restarting<T: Clone + Send + Sync + 'static>(
    config: Share<T>,
    items: &'static [(i64, T)],
    end: i64,
) -> (Shared<impl Stage<Item = T> + Send + 'static>, Calls) {
    let calls = Calls::default();
    let made = calls.clone();
    (share_from(config, move || made.flow(items, end)), calls)
}

#[test]
fn newcomers_get_the_last_items_first_and_after_the_end_as_well() {
    let input = timetable([(1, 1), (3, 2), (9, 3)], 11);
    let shared = input.share_with(Share::new(8).replay(2));
    let got = Virtual::new().run(join_all([
        consumer(shared.clone(), 0, EVER),
        consumer(shared.clone(), 4, EVER),
        consumer(shared, 15, EVER),
    ]));
    assert_eq!(got[0], (vec![(1, 1), (3, 2), (9, 3)], Some(11)));
    assert_eq!(got[1], (vec![(4, 1), (4, 2), (9, 3)], Some(11)));
    assert_eq!(got[2], (vec![(15, 2), (15, 3)], Some(15)));
}

#[test]
fn a_reset_at_the_end_leaves_newcomers_the_end_alone() {
    let config = Share::new(8).replay(2).on_end(Reset::AtOnce);
    let shared = iter(0..5).share_with(config);
    let first = shared.subscribe();
    assert_eq!(items(first), [0, 1, 2, 3, 4]);
    assert_eq!(shared.state(), ShareState::Ended);
    assert_eq!(items(shared.subscribe()), []);
}

#[test]
fn items_that_are_too_old_are_not_replayed() {
    let input = timetable([(1, 1), (5, 2), (8, 3)], 100);
    let config = Share::new(8).replay(10).replay_for(ms(4)).on_idle(Reset::Never);
    let shared = input.share_with(config);
    let got = Virtual::new().run(join_all([
        consumer(shared.clone(), 0, 30),
        consumer(shared.clone(), 9, 30),
        consumer(shared, 13, 30),
    ]));
    assert_eq!(got[1].0, [(9, 2), (9, 3)]);
    assert_eq!(got[2].0, []);
}

#[test]
fn what_is_replayed_is_bounded_and_dropped_with_the_share() {
    let alive = Arc::new(());
    let inside = alive.clone();
    let shared = iter(0..1_000).map(move |_| inside.clone()).share_with(Share::new(2).replay(5));
    assert_eq!(items(shared.subscribe().map(|_| ())).len(), 1_000);
    assert_eq!(Arc::strong_count(&alive) - 1, 5);
    drop(shared);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[test]
fn a_share_that_waits_for_two_consumers_does_not_begin_with_one() {
    let two = NonZeroUsize::new(2).unwrap();
    let shared = iter(0..3).share_with(Share::new(8).start(Start::Consumers(two)));
    let got = Virtual::new()
        .run(join_all([consumer(shared.clone(), 0, EVER), consumer(shared.clone(), 7, EVER)]));
    assert!(got.iter().all(|got| *got == (vec![(7, 0), (7, 1), (7, 2)], Some(7))), "{got:?}");
}

#[test]
fn a_consumer_that_leaves_before_the_start_ends_nothing() {
    let two = NonZeroUsize::new(2).unwrap();
    let shared = iter(0..3).share_with(Share::new(8).start(Start::Consumers(two)));
    drop(shared.subscribe());
    assert_eq!(shared.state(), ShareState::Waiting);
    let got = Virtual::new()
        .run(join_all([consumer(shared.clone(), 0, EVER), consumer(shared, 1, EVER)]));
    assert_eq!(got[0], got[1]);
    assert_eq!(got[0].0.len(), 3);
}

#[test]
fn a_share_that_is_to_be_connected_waits_for_that() {
    let shared = iter(0..3).share_with(Share::new(8).start(Start::Connect));
    let got = Virtual::new().run(async {
        let connect = async {
            at(5).await;
            assert_eq!(shared.state(), ShareState::Waiting);
            shared.connect();
            assert_eq!(shared.state(), ShareState::Running);
        };
        join(consumer(shared.clone(), 0, EVER), connect).await.0
    });
    assert_eq!(got, (vec![(5, 0), (5, 1), (5, 2)], Some(5)));
}

#[test]
fn the_input_outlives_its_last_consumer_by_the_grace_period() {
    let config = Share::new(8).on_idle(Reset::After(ms(5)));
    let (shared, calls) = restarting(config, &[(2, 'a'), (8, 'b'), (30, 'c')], 40);
    let (first, second, third) = Virtual::new().run(async {
        let first = consumer(shared.clone(), 0, 4).await;
        // Within the grace period: the same input goes on.
        let second = consumer(shared.clone(), 7, 10).await;
        at(14).await;
        assert_eq!((calls.count(), calls.alive(), shared.state()), (1, 1, ShareState::Running));
        at(16).await;
        assert_eq!((calls.count(), calls.alive(), shared.state()), (1, 0, ShareState::Waiting));
        let third = consumer(shared.clone(), 20, 25).await;
        (first, second, third)
    });
    assert_eq!((first.0, second.0, third.0), (vec![(2, 'a')], vec![(8, 'b')], vec![(22, 'a')]));
    assert_eq!(calls.count(), 2);
}

#[test]
fn a_share_without_a_factory_has_ended_after_the_grace_period() {
    let shared = never::<u8>().share_with(Share::new(8).on_idle(Reset::After(ms(5))));
    let states = Virtual::new().run(async {
        consumer(shared.clone(), 0, 3).await;
        at(7).await;
        let before = shared.state();
        at(9).await;
        (before, shared.state(), consumer(shared.clone(), 10, EVER).await)
    });
    assert_eq!(states, (ShareState::Running, ShareState::Ended, (vec![], Some(10))));
}

#[test]
fn without_consumers_an_input_that_blocks_stands_still_and_loses_nothing() {
    let shared = iter(0..10).share_with(Share::new(8).on_idle(Reset::Never));
    let mut first = shared.subscribe();
    let mut cx = Context::from_waker(noop_waker_ref());
    assert_eq!(Stage::poll_next(Pin::new(&mut first), &mut cx), Poll::Ready(Some(0)));
    drop(first);
    assert_eq!(items(shared.subscribe()), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn without_consumers_an_input_that_drops_goes_on_and_counts() {
    let config = Share::new(8).on_idle(Reset::Never).no_consumers(NoConsumers::Drop);
    let shared = timetable((1..=9).map(|n| (n, n)), 20).share_with(config);
    let got = Virtual::new().run(async {
        let first = consumer(shared.clone(), 0, 3).await;
        let second = consumer(shared.clone(), 7, EVER).await;
        (first, second)
    });
    // Those of an instant come before whoever comes or goes then.
    assert_eq!(got.0.0, [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(got.1, (vec![(8, 8), (9, 9)], Some(20)));
    assert_eq!(shared.unseen(), 4);
}

#[test]
fn without_consumers_so_many_are_kept_as_was_said() {
    let two = NonZeroUsize::new(2).unwrap();
    let config = Share::new(1).start(Start::Connect).no_consumers(NoConsumers::Buffer(two));
    let shared = timetable((1..=4).map(|n| (n, n)), 4).share_with(config);
    let got = Virtual::new().run(async {
        shared.connect();
        at(3).await;
        consumer(shared.clone(), 10, EVER).await
    });
    let numbers: Vec<_> = got.0.iter().map(|(_, n)| *n).collect();
    assert_eq!((numbers, got.0[0].0, shared.unseen()), (vec![1, 2, 3, 4], 10, 0));
}

#[test]
fn a_consumer_chooses_what_it_does_when_it_is_slow() {
    let shared = iter(0..10).share_with(Share::new(4));
    let lagging = shared.subscribe_as(Slow::Lag);
    let newest = shared.subscribe_as(Slow::Latest);
    assert_eq!(items(shared.subscribe()).len(), 10);
    assert_eq!((lagging.lagged(), items(lagging)), (6, vec![6, 7, 8, 9]));
    let (sum, count) = (newest.lagged(), items(newest));
    assert_eq!((sum, count), (6, vec![9]));
}

#[test]
fn who_only_wants_the_newest_item_knows_what_it_missed() {
    let shared = iter(0..4).share_with(Share::new(4));
    let mut newest = shared.subscribe_as(Slow::Latest);
    assert_eq!(items(shared.subscribe()).len(), 4);
    let mut cx = Context::from_waker(noop_waker_ref());
    assert_eq!(Stage::poll_next(Pin::new(&mut newest), &mut cx), Poll::Ready(Some(3)));
    assert_eq!(newest.lagged(), 3);
}

#[test]
fn an_error_that_ends_the_flow_is_what_newcomers_get_until_the_reset() {
    let items = &[(3, Ok(1)), (7, Ok(2)), (11, Err("x")), (12, Ok(3))];
    let config = Share::new(8).on_error(Reset::After(ms(5)));
    let (shared, calls) = restarting(config, items, 20);
    let got = Virtual::new().run(async {
        let first = consumer(shared.clone(), 0, EVER).await;
        let second = consumer(shared.clone(), 14, EVER).await;
        let third = consumer(shared.clone(), 17, EVER).await;
        (first, second, third)
    });
    assert_eq!(got.0, (vec![(3, Ok(1)), (7, Ok(2)), (11, Err("x"))], Some(11)));
    assert_eq!(got.1, (vec![(14, Err("x"))], Some(14)));
    assert_eq!(got.2, (vec![(20, Ok(1)), (24, Ok(2)), (28, Err("x"))], Some(28)));
    assert_eq!((calls.count(), calls.alive()), (2, 0));
}

#[test]
fn a_signal_that_ends_without_an_item_resets_nothing() {
    for (signal, starts) in [(vec![(2, ())], 2), (vec![], 1)] {
        let reset = Reset::when(move || {
            let start = Clock::current().now().as_millis();
            timetable(
                signal.clone().into_iter().map(move |(after, x)| (start + after, x)),
                start + 3,
            )
        });
        let (shared, calls) = restarting(Share::new(8).on_end(reset), &[(1, 1)], 4);
        Virtual::new().run(async {
            consumer(shared.clone(), 0, EVER).await;
            consumer(shared.clone(), 5, EVER).await;
            consumer(shared.clone(), 10, EVER).await;
        });
        assert_eq!(calls.count(), starts);
    }
}

#[test]
fn when_all_resets_are_at_once_every_retry_shares_a_new_flow() {
    // The case "should be retryable" of RxJS.
    let items = &[(1, Ok('1')), (3, Ok('2')), (5, Ok('3')), (10, Ok('4')), (12, Err('x'))];
    let config = Share::new(8).on_error(Reset::AtOnce).on_end(Reset::AtOnce).on_idle(Reset::AtOnce);
    let (shared, calls) = restarting(config, items, 12);
    let twice = |from| {
        let shared = shared.clone();
        Ambient::current().spawn(async move {
            at(from).await;
            let first = watch(shared.subscribe(), EVER).await;
            let second = watch(shared.subscribe(), EVER).await;
            (first.0.len(), second.0.len(), second.1)
        })
    };
    let got = Virtual::new().run(async { join(twice(0), twice(4)).await });
    assert_eq!(got, ((5, 5, Some(24)), (3, 5, Some(24))));
    assert_eq!((calls.count(), calls.alive()), (2, 0));
}

#[test]
fn the_factory_is_called_at_the_first_poll_and_not_before() {
    let (shared, calls) = restarting(Share::new(8), &[(0, 1)], 0);
    let first = shared.subscribe();
    assert_eq!((calls.count(), shared.state()), (0, ShareState::Running));
    assert_eq!(timeline(first), (vec![(0, 1)], 0));
    assert_eq!((calls.count(), shared.state()), (1, ShareState::Ended));
}

#[test]
fn an_input_that_is_pending_is_asked_once_by_however_many_consumers() {
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = polls.clone();
    let mut input = Box::pin(timetable([(5, 'a')], 9));
    let shared = flow(futures::stream::poll_fn(move |cx| {
        counted.fetch_add(1, Ordering::Relaxed);
        Stage::poll_next(input.as_mut(), cx)
    }))
    .share(8);
    let all = join_all((0..100).map(|_| shared.subscribe().count()));
    assert_eq!(Virtual::new().run(all), [1; 100]);
    // Pending at 0, the item and pending at 5, the end at 9.
    assert_eq!(polls.load(Ordering::Relaxed), 4);
}

#[test]
fn a_consumer_is_woken_once_for_a_batch() {
    struct Count(AtomicUsize);
    impl std::task::Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let shared = iter(0..20).chain(never()).share(64);
    let (mut first, mut second) = (shared.subscribe(), shared.subscribe());
    let count = Arc::new(Count(AtomicUsize::new(0)));
    let waker = std::task::Waker::from(count.clone());
    // Driven, it takes nothing and waits.
    let _ = Stage::poll_progress(Pin::new(&mut second), &mut Context::from_waker(&waker));
    let mut cx = Context::from_waker(noop_waker_ref());
    for n in 0..20 {
        assert_eq!(Stage::poll_next(Pin::new(&mut first), &mut cx), Poll::Ready(Some(n)));
    }
    assert_eq!(count.0.load(Ordering::Relaxed), 1);
}

#[test]
fn an_item_that_holds_a_consumer_of_its_own_share_can_be_dropped_with_it() {
    #[derive(Clone)]
    struct Item(#[expect(dead_code, reason = "held")] Rc<dyn std::any::Any>);
    let shared = iter(0..9).map(|_| Item(Rc::new(()))).share_lagging(1);
    drop(items(shared.subscribe().map(|_| ())));
    let (sender, input) = crate::channel(8, crate::Overflow::Block);
    let shared = input.share_lagging(1);
    let mut first = shared.subscribe();
    for _ in 0..4 {
        let inside: Item = Item(Rc::new(shared.subscribe()));
        assert!(sender.try_send(inside).is_ok());
    }
    let mut cx = Context::from_waker(noop_waker_ref());
    while Stage::poll_next(Pin::new(&mut first), &mut cx).is_ready() {}
    drop(first);
}

#[test]
#[should_panic(expected = "share: the capacity must not be zero, at operators/src/share/tests.rs")]
fn a_configuration_without_capacity_is_refused_where_it_was_written() {
    let _ = Share::<u8>::new(0);
}
