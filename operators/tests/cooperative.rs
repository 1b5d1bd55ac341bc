//! Flows share the event loop: one that always has another item leaves room for the others.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aqueduct_operators::source::Missed;
use aqueduct_operators::{Ambient, Clock, Flow, Outline, Stage, Virtual, interval, iter};
use futures::StreamExt;
use futures::future::join_all;

const PERIOD: Duration = Duration::from_millis(5);
const TICKS: u64 = 40;

/// How an endless future behaved beside a 5 ms interval on the one thread of a runtime.
#[derive(Debug, Default)]
struct Beside {
    /// How often the endless future was polled.
    turns: AtomicU64,
    /// When the tick that is awaited counts as late.
    late_from: AtomicI64,
    /// Turns that began while it was late.
    late_turns: AtomicU64,
}

/// What tokio's timers may add: they count milliseconds, and round up.
const RESOLUTION: Duration = Duration::from_millis(2);

/// Lets 40 ticks pass beside the endless future, and checks that it never had more than a few
/// turns while one was due. The lag is counted in turns and not in time, because a busy machine
/// stretches time at will, but gives the endless future no turn that the interval does not get.
#[track_caller]
fn assert_room(endless: impl Future<Output: Send> + Send + 'static) {
    // One at a time: they all keep a processor busy.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let beside = Arc::new(Beside::default());
    let seen = beside.clone();
    let counted = async move {
        let mut endless = pin!(endless);
        poll_fn(move |cx| {
            seen.turns.fetch_add(1, Relaxed);
            if Clock::live().now().as_nanos() >= seen.late_from.load(Relaxed) {
                seen.late_turns.fetch_add(1, Relaxed);
            }
            endless.as_mut().poll(cx).map(drop)
        })
        .await;
    };
    let seen = beside.clone();
    let ticker = async move {
        let mut ticks = pin!(interval(PERIOD, Missed::Delay));
        let mut worst = 0;
        for _ in 0..TICKS {
            let late_from = Clock::live().now() + PERIOD + RESOLUTION;
            seen.late_from.store(late_from.as_nanos(), Relaxed);
            seen.late_turns.store(0, Relaxed);
            ticks.next().await;
            worst = worst.max(seen.late_turns.load(Relaxed));
        }
        worst
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let worst = runtime.block_on(async {
        let endless = tokio::spawn(counted);
        let worst = tokio::spawn(ticker).await.unwrap();
        assert!(!endless.is_finished());
        worst
    });
    let turns = beside.turns.load(Relaxed);
    assert!(worst <= 3, "a tick was late for {worst} turns of its neighbour");
    assert!(turns > 2 * TICKS, "only {turns} turns in the time of {TICKS} ticks");
}

#[test]
fn a_drained_endless_flow_leaves_room_for_timers() {
    assert_room(iter(0u64..).fold(0u64, |sum, x| sum.wrapping_add(x)));
}

#[test]
fn an_endless_flow_that_is_polled_item_by_item_leaves_room_for_timers() {
    assert_room(async {
        let mut flow = pin!(iter(0u64..));
        while flow.next().await.is_some() {}
    });
}

#[test]
fn a_filter_that_drops_everything_leaves_room_for_timers() {
    let nothing = || iter(0u64..).filter(|x| *x == u64::MAX);
    assert_room(nothing().count());
    assert_room(async move {
        let mut flow = pin!(nothing());
        flow.next().await
    });
}

#[test]
fn chunks_cut_from_an_endless_flow_leave_room_for_timers() {
    let chunks = iter(0u64..).chunks_timeout(10, PERIOD);
    assert_room(chunks.count());
}

/// Counts the turns of the event loop that a future takes until it is ready.
async fn turns(future: impl Future) -> u64 {
    let mut future = pin!(future);
    let mut turns = 0;
    poll_fn(|cx| {
        turns += 1;
        future.as_mut().poll(cx).map(drop)
    })
    .await;
    turns
}

#[test]
fn slow_items_yield_long_before_a_full_stride() {
    let spin = |_: &u64| {
        let start = Instant::now();
        while start.elapsed() < Duration::from_millis(1) {}
        false
    };
    let drained = futures::executor::block_on(turns(iter(0..100).filter(spin).count()));
    assert!(drained > 40, "100 items of 1 ms in only {drained} turns");
    let polled =
        futures::executor::block_on(turns(async { pin!(iter(0..100).filter(spin)).next().await }));
    assert!(polled > 40, "100 items of 1 ms in only {polled} turns");
}

/// Takes its items in drains that break after each.
struct OneByOne<S>(S);

impl<S: Stage + Unpin> Stage for OneByOne<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let input = Pin::new(&mut self.0);
        input.poll_drain(cx, &mut ControlFlow::Break).map(ControlFlow::break_value)
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn describe(&self, outline: &mut Outline) {
        self.0.describe(outline);
    }
}

#[test]
fn drains_that_break_after_each_item_share_one_slice() {
    let flow = || Flow::from_stage(OneByOne(iter(0..1_000_000)));
    let live = futures::executor::block_on(turns(flow().count()));
    assert!(live > 10, "a million items in only {live} turns");
    let simulated = Virtual::new().run(turns(flow().count()));
    assert!((500..=2000).contains(&simulated), "{simulated} turns");
}

#[test]
fn under_virtual_time_long_flows_take_turns_in_a_fixed_order() {
    let order = || {
        Virtual::new().run(async {
            let order = Arc::new(Mutex::new(Vec::new()));
            let tasks = ['a', 'b'].map(|name| {
                let order = order.clone();
                Ambient::current().spawn(iter(0..5000).fold((), move |(), _| {
                    order.lock().unwrap().push(name);
                }))
            });
            join_all(tasks).await;
            Arc::into_inner(order).unwrap().into_inner().unwrap()
        })
    };
    let first = order();
    let runs = first.chunk_by(|x, y| x == y);
    let runs: Vec<_> = runs.map(|run| (run[0], run.len())).collect();
    assert_eq!(runs.len(), 10, "{runs:?}");
    assert!(runs.chunks(2).all(|pair| pair[0].1 == pair[1].1), "{runs:?}");
    assert_eq!(first, order());
}
