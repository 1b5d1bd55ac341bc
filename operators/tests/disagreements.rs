//! Where the well-known libraries disagree, and what we do: one test for each question.
//!
//! The answer stands in the documentation of the operator. Where the other answer is wanted as
//! well, a parameter gives it, and the test shows both.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::rc::Rc;

use aqueduct_operators::error::{Backoff, OnError, retry};
use aqueduct_operators::share::{NoConsumers, Share, Slow};
use aqueduct_operators::source::Missed;
use aqueduct_operators::testing::{items, ms, timeline, timetable};
use aqueduct_operators::time::{Edges, OnEnd};
use aqueduct_operators::{Clock, Flow, Overflow, Stage, Virtual, interval, iter};

fn errors(
    items: Vec<(i64, Result<u8, char>)>,
    end: i64,
) -> Flow<impl Stage<Item = Result<u8, char>>> {
    timetable(items, end)
}

#[test]
fn scan_does_not_emit_its_seed_and_scan_with_seed_does() {
    assert_eq!(items(iter([1, 2]).scan(10, |sum, x| sum + x)), [11, 13]);
    assert_eq!(items(iter([1, 2]).scan_with_seed(10, |sum, x| sum + x)), [10, 11, 13]);
    assert_eq!(items(iter([0; 0]).scan(10, |sum, x| sum + x)), [0; 0]);
    assert_eq!(items(iter([0; 0]).scan_with_seed(10, |sum, x| sum + x)), [10]);
}

#[test]
fn sample_emits_what_waits_when_the_input_ends_unless_told_to_drop_it() {
    let input = || timetable([(1, 'a'), (12, 'b')], 14);
    assert_eq!(timeline(input().sample(ms(10))), (vec![(10, 'a'), (14, 'b')], 14));
    assert_eq!(timeline(input().sample_with(ms(10), OnEnd::Drop)), (vec![(10, 'a')], 14));
}

#[test]
fn the_end_of_a_sampling_signal_ends_nothing() {
    let input = timetable([(1, 'a'), (12, 'b')], 20);
    let sampled = input.sample_by(timetable([(5, ())], 7), OnEnd::Emit);
    assert_eq!(timeline(sampled), (vec![(5, 'a'), (20, 'b')], 20));
}

#[test]
fn only_a_signal_that_fires_stops_take_until() {
    let input = || timetable([(1, 'a'), (12, 'b')], 20);
    let fires = async |signal: Vec<(i64, ())>| {
        let mut signal = timetable(signal, 5);
        if signal.next().await.is_none() {
            std::future::pending().await
        }
    };
    assert_eq!(timeline(input().take_until(fires(vec![(3, ())]))), (vec![(1, 'a')], 3));
    let all = (vec![(1, 'a'), (12, 'b')], 20);
    assert_eq!(timeline(input().take_until(fires(vec![]))), all);
}

#[test]
fn debounce_emits_what_waits_at_the_end_and_discards_it_on_an_error() {
    let ended = timetable([(1, 'a')], 3).debounce(ms(10));
    assert_eq!(timeline(ended), (vec![(3, 'a')], 3));
    let failed = |on_error| {
        let input = errors(vec![(1, Ok(1)), (3, Err('x'))], 9);
        timeline(input.try_via(on_error, |oks| oks.debounce(ms(10))))
    };
    assert_eq!(failed(OnError::Discard), (vec![(3, Err('x'))], 3));
    assert_eq!(failed(OnError::Flush), (vec![(3, Ok(1)), (3, Err('x'))], 3));
}

#[test]
fn a_throttle_with_a_trailing_item_waits_for_its_time_when_the_input_ends() {
    let input = || timetable([(1, 'a'), (2, 'b')], 3);
    let (promise_kept, end) = timeline(input().throttle(ms(10), Edges::Both));
    assert_eq!((promise_kept, end), (vec![(1, 'a'), (11, 'b')], 11));
    let with = |on_end| timeline(input().throttle_with(ms(10), Edges::Both, on_end));
    assert_eq!(with(OnEnd::Emit), (vec![(1, 'a'), (3, 'b')], 3));
    assert_eq!(with(OnEnd::Drop), (vec![(1, 'a')], 3));
}

#[test]
fn combine_latest_ends_as_soon_as_an_input_has_ended_without_an_item() {
    let long = || timetable([(1, 'a')], 50);
    let empty = || timetable([(0, 'x')], 4).filter(|_| false);
    assert_eq!(timeline(long().combine_latest(empty())), (vec![], 4));
    assert_eq!(timeline(long().combine_latest(empty()).until_all_end()), (vec![], 50));
}

#[test]
fn combine_latest_emits_every_combination_unless_it_is_conflated() {
    let pairs = || iter([1, 2]).combine_latest(iter([7, 8]));
    assert_eq!(items(pairs()), [(1, 7), (2, 7), (2, 8)]);
    assert_eq!(items(pairs().conflated()), [(2, 8)]);
}

#[test]
fn a_chunk_that_is_not_full_is_discarded_on_an_error_unless_it_is_flushed() {
    let chunked = |on_error| {
        let input = errors(vec![(1, Ok(1)), (2, Ok(2)), (3, Ok(3)), (4, Err('x'))], 9);
        items(input.try_via(on_error, |oks| oks.chunks(2)))
    };
    assert_eq!(chunked(OnError::Discard), [Ok(vec![1, 2]), Err('x')]);
    assert_eq!(chunked(OnError::Flush), [Ok(vec![1, 2]), Ok(vec![3]), Err('x')]);
}

#[test]
fn timed_operators_do_not_run_their_input_ahead_of_the_consumer() {
    let made = Rc::new(Cell::new(0));
    let count = made.clone();
    let source = iter(0..1_000).inspect(move |_| count.set(count.get() + 1));
    let mut chunks = source.chunks_timeout(10, ms(5));
    assert_eq!(Virtual::new().run(chunks.next()).map(|chunk| chunk.len()), Some(10));
    assert_eq!(made.get(), 10);
}

#[test]
fn zip_takes_at_most_one_item_more_from_the_longer_side() {
    let made = Rc::new(Cell::new(0));
    let count = made.clone();
    let longer = iter(0..1_000).inspect(move |_| count.set(count.get() + 1));
    assert_eq!(items(longer.zip(iter([7, 8]))), [(0, 7), (1, 8)]);
    assert_eq!(made.get(), 3);
}

#[test]
fn a_share_that_has_ended_stays_ended_for_those_who_come_late() {
    let shared = iter([1, 2]).share(4);
    assert_eq!(items(shared.subscribe()), [1, 2]);
    assert_eq!(shared.state(), aqueduct_operators::share::ShareState::Ended);
    assert_eq!(items(shared.subscribe()), [0; 0]);
}

#[test]
fn what_a_slow_consumer_does_is_said_for_the_hub_and_for_each_consumer() {
    let taken = |slow_one: Slow| {
        let shared = iter(0..10).share_with(Share::new(2).slow(Slow::Block));
        let mut slow = shared.subscribe_as(slow_one);
        let fast = shared.subscribe();
        Virtual::new().run(async move {
            let first = slow.next().await;
            assert_eq!(fast.count().await, 10);
            (first, slow.collect::<Vec<_>>().await)
        })
    };
    assert_eq!(taken(Slow::Lag), (Some(0), vec![8, 9]));
    assert_eq!(taken(Slow::Latest), (Some(1), vec![9]));
}

#[test]
fn without_consumers_a_hub_waits_or_drops_or_keeps_some_as_it_was_told() {
    let rest = |policy| {
        let shared = timetable((1..=9).map(|x| (x, x)).collect::<Vec<_>>(), 10).share_with(
            Share::new(4).on_idle(aqueduct_operators::share::Reset::Never).no_consumers(policy),
        );
        Virtual::new().run(async move {
            let mut first = shared.subscribe();
            assert_eq!(first.next().await, Some(1));
            drop(first);
            iter([()]).delay(ms(5), 1).count().await;
            shared.subscribe().collect::<Vec<_>>().await
        })
    };
    assert_eq!(rest(NoConsumers::Block), [2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(rest(NoConsumers::Buffer(NonZeroUsize::new(2).unwrap())).len(), 8);
}

#[test]
fn at_one_instant_items_come_before_timers_and_inputs_by_their_index() {
    let replaced = timetable([(1, 'a'), (6, 'b')], 20).debounce(ms(5));
    assert_eq!(timeline(replaced).0, [(11, 'b')]);
    let merged = timetable([(3, 'a')], 4).merge(timetable([(3, 'x')], 4));
    assert_eq!(timeline(merged).0, [(3, 'a'), (3, 'x')]);
}

#[test]
fn what_an_interval_does_with_ticks_that_it_missed_must_be_said() {
    let ticks = |missed| {
        Virtual::new().run(async move {
            let mut ticks = interval(ms(10), missed);
            let mut at = Vec::new();
            for busy in [25, 0, 0] {
                ticks.next().await;
                at.push(Clock::current().now().as_millis());
                iter([()]).delay(ms(busy), 1).count().await;
            }
            at
        })
    };
    assert_eq!(ticks(Missed::Burst), [10, 35, 35]);
    assert_eq!(ticks(Missed::Skip), [10, 35, 40]);
    assert_eq!(ticks(Missed::Delay), [10, 35, 45]);
}

#[test]
fn an_error_never_overtakes_items_that_came_before_it_on_its_path() {
    let input = || errors(vec![(0, Ok(1)), (0, Ok(2)), (0, Err('x'))], 9);
    let buffered = input().buffer(8, Overflow::Block).delay(ms(3), 8);
    assert_eq!(items(buffered), [Ok(1), Ok(2), Err('x')]);
    let through_a_task = input().try_via(OnError::Flush, |oks| oks.delay(ms(3), 8));
    assert_eq!(items(through_a_task), [Ok(1), Ok(2), Err('x')]);
}

#[test]
fn retries_are_counted_anew_only_after_enough_healthy_time() {
    let runs = |uptime: u64| {
        let count = Rc::new(Cell::new(0));
        let counted = count.clone();
        let backoff = Backoff::constant(ms(1)).max_retries(2).reset_after(ms(50));
        let flow = retry(backoff, move || {
            counted.set(counted.get() + 1);
            let fails = if counted.get() < 8 { Err('x') } else { Ok(1) };
            iter([Ok(0)]).chain(iter([fails]).delay(ms(uptime), 1))
        });
        Virtual::new().run(flow.drain());
        count.get()
    };
    assert_eq!(runs(10), 3, "the first run and two retries");
    assert_eq!(runs(60), 8, "each run was healthy for long enough");
}

#[test]
fn no_result_depends_on_how_items_were_chunked() {
    let whole = || iter((0..50).collect::<Vec<_>>());
    let rechunked = |n| whole().chunks(n).flatten_chunks();
    for n in [1, 3, 50] {
        assert_eq!(items(rechunked(n).pairwise()), items(whole().pairwise()));
        let sums = items(rechunked(n).chunks(7).map(|chunk| chunk.iter().sum::<i32>()));
        assert_eq!(sums, items(whole().chunks(7).map(|chunk| chunk.iter().sum::<i32>())));
    }
}
