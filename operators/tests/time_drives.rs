//! Time operators give the same items at the same times, drained or polled item by item.

use std::fmt::Debug;
use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use aqueduct_operators::time::{Edges, OnEnd};
use aqueduct_operators::{Alarm, Clock, Flow, Stage, Timestamp, Virtual, flow};
use futures::StreamExt;

const MILLI: Duration = Duration::from_millis(1);

/// `count` items in bursts: gaps of up to 10 µs, and every 50th one of 2 to 3 ms. Numbers are
/// drawn with splitmix64.
fn bursts(count: u64) -> Flow<impl Stage<Item = u64>> {
    flow(Box::pin(async_stream::stream! {
        let mut alarm = Alarm::for_source();
        let mut time = Timestamp::EPOCH;
        let mut seed = 4242u64;
        for index in 0..count {
            seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut r = (seed ^ (seed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            r = (r ^ (r >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            r ^= r >> 31;
            let gap = match r % 50 {
                0 => 2_000_000 + (r >> 32) % 1_000_000,
                _ => 1 + (r >> 32) % 10_000,
            };
            time = time + Duration::from_nanos(gap);
            alarm.set(time);
            poll_fn(|cx| alarm.poll(cx)).await;
            yield index;
        }
    }))
}

/// The items with their times: the same in both drives.
#[track_caller]
fn both_ways<S: Stage<Item: Debug + PartialEq>>(make: impl Fn() -> Flow<S>) -> Vec<S::Item> {
    let now = || Clock::current().now();
    let drained = Virtual::new().run(make().fold(Vec::new(), |mut all, item| {
        all.push((now(), item));
        all
    }));
    let polled = Virtual::new().run(async {
        let mut all = Vec::new();
        let mut flow = pin!(make());
        while let Some(item) = flow.next().await {
            all.push((now(), item));
        }
        all
    });
    assert_eq!(drained, polled);
    drained.into_iter().map(|(_, item)| item).collect()
}

const ITEMS: u64 = 20_000;

#[test]
fn throttle() {
    let of = |edges| both_ways(|| bursts(ITEMS).throttle(MILLI, edges));
    let leading = of(Edges::Leading);
    assert!(leading.len() > 300 && leading.len() < 500, "{}", leading.len());
    assert!(of(Edges::Both).len() > leading.len());
    assert_eq!(of(Edges::Trailing).last(), Some(&(ITEMS - 1)));
}

#[test]
fn sample() {
    let kept = both_ways(|| bursts(ITEMS).sample(MILLI));
    let dropped = both_ways(|| bursts(ITEMS).sample_with(MILLI, OnEnd::Drop));
    assert_eq!(kept.last(), Some(&(ITEMS - 1)));
    assert_eq!(kept[..kept.len() - 1], dropped);
}

#[test]
fn timeout() {
    let items = both_ways(|| bursts(ITEMS).timeout(Duration::from_micros(2500)));
    let silences = items.iter().filter(|item| item.is_err()).count();
    assert!(silences > 150 && silences < 250, "{silences}");
    assert!(items.into_iter().flatten().eq(0..ITEMS));
}

#[test]
fn chunks_timeout() {
    let chunks = both_ways(|| bursts(ITEMS).chunks_timeout(64, MILLI));
    assert!(chunks.iter().any(|chunk| chunk.len() == 64));
    assert!(chunks.iter().all(|chunk| (1..=64).contains(&chunk.len())));
    assert!(chunks.into_iter().flatten().eq(0..ITEMS));
}
