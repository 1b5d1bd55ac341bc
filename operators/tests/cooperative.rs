//! Flows share the event loop: one that always has another item leaves room for the others.

use std::future::{Future, poll_fn};
use std::ops::ControlFlow;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use aqueduct_operators::source::Missed;
use aqueduct_operators::{Ambient, Flow, Outline, Stage, Virtual, interval, iter};
use futures::StreamExt;
use futures::future::join_all;

const PERIOD: Duration = Duration::from_millis(5);
const RUN: Duration = Duration::from_millis(200);

/// How many ticks of a 5 ms interval come in 200 ms while an endless future runs beside it on the
/// one thread of a runtime.
fn ticks_beside(endless: impl Future<Output: Send> + Send + 'static) -> u128 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let endless = tokio::spawn(endless);
        let ticker = tokio::spawn(async {
            let start = Instant::now();
            let mut ticks = pin!(interval(PERIOD, Missed::Skip));
            let mut taken = 0;
            while start.elapsed() < RUN {
                ticks.next().await;
                taken += 1;
            }
            taken
        });
        let taken = ticker.await.unwrap();
        assert!(!endless.is_finished());
        taken
    })
}

#[track_caller]
fn assert_room(ticks: u128) {
    let least = RUN.as_millis() / PERIOD.as_millis() / 2;
    assert!(ticks >= least, "only {ticks} ticks came, not even {least}");
}

#[test]
fn a_drained_endless_flow_leaves_room_for_timers() {
    assert_room(ticks_beside(iter(0u64..).fold(0u64, |sum, x| sum.wrapping_add(x))));
}

#[test]
fn an_endless_flow_that_is_polled_item_by_item_leaves_room_for_timers() {
    assert_room(ticks_beside(async {
        let mut flow = pin!(iter(0u64..));
        while flow.next().await.is_some() {}
    }));
}

#[test]
fn a_filter_that_drops_everything_leaves_room_for_timers() {
    let nothing = || iter(0u64..).filter(|x| *x == u64::MAX);
    assert_room(ticks_beside(nothing().count()));
    assert_room(ticks_beside(async move {
        let mut flow = pin!(nothing());
        flow.next().await
    }));
}

#[test]
fn chunks_cut_from_an_endless_flow_leave_room_for_timers() {
    let chunks = iter(0u64..).chunks_timeout(10, PERIOD);
    assert_room(ticks_beside(chunks.count()));
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
