//! What event time costs in memory when the data is bad, and that what comes out does not depend on
//! how the inputs interleave. The figures are printed: `cargo test --test event_time -- --nocapture`.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};
use std::time::Duration;

use aqueduct_operators::aggregate::{count, sum};
use aqueduct_operators::keyed::KeyLimits;
use aqueduct_operators::testing::{TestSource, ms};
use aqueduct_operators::window::{AsOf, Firing, Rolling, Watermarks, Windows};
use aqueduct_operators::{Flow, Stage, Timestamp, Virtual, iter, merge_timed};
use proptest::prelude::*;

/// The system's allocator, which counts the bytes that each thread holds.
struct Bytes;

thread_local! {
    static HELD: AtomicIsize = const { AtomicIsize::new(0) };
    static MOST: AtomicIsize = const { AtomicIsize::new(0) };
}

fn hold(bytes: isize) {
    let held = HELD.try_with(|held| held.fetch_add(bytes, Relaxed) + bytes);
    let _ = held.map(|held| MOST.try_with(|most| most.fetch_max(held, Relaxed)));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
#[expect(unsafe_code, reason = "an allocator that counts")]
unsafe impl GlobalAlloc for Bytes {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        hold(layout.size().cast_signed());
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        hold(-layout.size().cast_signed());
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bytes = Bytes;

/// Runs a flow to its end, and tells the most bytes that it held meanwhile.
fn most_bytes<S: Stage>(name: &str, flow: Flow<S>) -> isize {
    let before = HELD.with(|held| held.load(Relaxed));
    MOST.with(|most| most.store(before, Relaxed));
    let results = Virtual::new().run(flow.count());
    let most = MOST.with(|most| most.load(Relaxed)) - before;
    println!("{name}: at most {:.1} KiB held, {results} results", most as f64 / 1024.0);
    most
}

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const MIB: isize = 1 << 20;

/// A time, a key and a value.
type Item = (i64, u64, i64);

fn time(item: &Item) -> Timestamp {
    Timestamp::from_millis(item.0)
}

/// Items a millisecond apart, each up to an hour early.
fn an_hour_of_disorder() -> Flow<impl Stage<Item = Item>> {
    let mut state = 1_u64;
    iter((0..150_000_i64).map(move |n| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let early = i64::try_from(state >> 42).unwrap_or(0) % 3_600_000;
        (7_200_000 + n - early, state >> 60, n)
    }))
}

#[test]
fn an_hour_of_disorder_takes_no_more_memory_than_is_declared() {
    let timed = || an_hour_of_disorder().event_time(time, HOUR);
    // 3,600 windows of 16 keys, 24 bytes and a slot each.
    let windows =
        timed().by_key(KeyLimits::new(16), |item| item.1).tumbling(SECOND, sum(|x: &Item| x.2));
    assert!(most_bytes("tumbling, an hour of disorder", windows) < 24 * MIB);
    // The same, when there may be only a hundred windows at once.
    let few = Windows::tumbling(SECOND).open(100);
    let mut flow = timed().by_key(KeyLimits::new(16), |item| item.1).windows(few, count());
    assert!(most_bytes("100 windows at once", flow.by_ref()) < MIB);
    let counts = flow.counts();
    assert!(counts.high_water <= 1_600 && counts.evicted > 0 && counts.late > 0, "{counts:?}");
    let ordered = timed().reorder(10_000);
    assert!(most_bytes("reorder of 10,000", ordered) < MIB);
    let rolling = timed().rolling(Rolling::time(HOUR).at_most(1_000), count());
    assert!(most_bytes("rolling over 1,000 items", rolling) < MIB);
    let joined = timed().as_of(timed(), AsOf::nearest()).capacity(1_000);
    assert!(most_bytes("as-of join of 1,000", joined) < MIB);
}

#[test]
fn a_source_that_never_advances_holds_time_back_and_not_memory() {
    let going = || iter((0..150_000_i64).map(|n| (n, n as u64 % 16, n))).event_time(time, SECOND);
    let stalled = || {
        // It brings one item, and the next one a day later.
        let day = Duration::from_secs(86_400);
        TestSource::new().item((0, 0, 0)).wait(day).flow().event_time(time, SECOND)
    };
    let both = || merge_timed([going().boxed_local(), stalled().boxed_local()]);
    let mut flow = both()
        .by_key(KeyLimits::new(16), |item| item.1)
        .windows(Windows::tumbling(ms(1)).open(50), count());
    assert!(most_bytes("windows behind a stalled source", flow.by_ref()) < MIB);
    let counts = flow.counts();
    assert!(counts.high_water <= 50 * 16 && counts.evicted > 100_000, "{counts:?}");
    // Once the source counts as idle, time goes on and nothing has to go early.
    let idle = both().idle(SECOND).by_key(KeyLimits::new(16), |item| item.1);
    let mut flow = idle.windows(Windows::tumbling(ms(1)), count());
    assert!(most_bytes("the same with an idle time", flow.by_ref()) < 8 * MIB);
    let joined = going().as_of(stalled(), AsOf::backward()).capacity(1_000);
    assert!(most_bytes("as-of join with a stalled side", joined) < MIB);
}

#[test]
fn three_hundred_thousand_keys_take_the_room_of_those_that_are_allowed() {
    let items = || iter((0..300_000_i64).map(|n| (n / 1_000, n as u64, n))).event_time(time, ms(0));
    let limits = KeyLimits::new(1_000);
    let windows = || items().by_key(limits, |item| item.1);
    let all_day = Duration::from_secs(86_400);
    assert!(most_bytes("tumbling, 300,000 keys", windows().tumbling(all_day, count())) < MIB);
    assert!(most_bytes("hopping", windows().hopping(2 * all_day, all_day, count())) < MIB);
    assert!(most_bytes("sessions", windows().sessions(all_day, count())) < MIB);
    assert!(most_bytes("count windows", windows().count_windows(2, count())) < MIB);
    assert!(most_bytes("rolling", windows().rolling(Rolling::last(2), count())) < MIB);
    let plain = iter(0..300_000_u64).key_by(limits, |key| *key);
    let scan = plain.scan(0_u32, |seen, _| seen + 1);
    assert!(most_bytes("scan", scan) < MIB);
}

#[test]
fn a_key_costs_what_its_state_and_its_place_in_the_table_need() {
    for keys in [64_u64, 100_000] {
        let items = || iter((0..keys).map(move |key| (0, key, 1_i64))).event_time(time, ms(0));
        let limits = KeyLimits::new(100_000);
        let by_key = || items().by_key(limits, |item| item.1);
        let per_key = |bytes: isize| bytes / keys.cast_signed() as isize;
        let tumbling = by_key().tumbling(SECOND, sum(|x: &Item| x.2));
        let tumbling = per_key(most_bytes("tumbling sums", tumbling));
        let rolling = by_key().rolling(Rolling::all(), sum(|x: &Item| x.2));
        let rolling = per_key(most_bytes("rolling sums", rolling));
        println!("{keys} keys: {tumbling} bytes a key in a window, {rolling} in a rolling sum");
        assert!(tumbling < 400 && rolling < 800, "{tumbling} and {rolling} bytes a key");
    }
}

/// The windows of a run by start and key, whatever order they came in.
type Sums = BTreeMap<(i64, u64), (i128, Firing)>;

/// What comes out of several sources that bring their items after these pauses.
fn run(sources: &[Vec<Item>], pauses: &[u8], disorder: u64) -> (Sums, u64) {
    let mut pauses = pauses.iter().cycle();
    let inputs = sources.iter().map(|items| {
        let mut source = TestSource::new();
        for item in items {
            source = match pauses.next() {
                None | Some(0) => source,
                Some(1) => source.pending(),
                Some(millis) => source.wait(ms((*millis).into())),
            };
            source = source.item(*item);
        }
        source.flow().event_time(time, ms(disorder))
    });
    let merged = merge_timed(inputs.collect::<Vec<_>>()).by_key(KeyLimits::new(9), |item| item.1);
    let mut flow = merged.hopping(ms(9), ms(3), sum(|item: &Item| item.2));
    let windows = Virtual::new().run(flow.by_ref().values().collect::<Vec<_>>());
    let late = flow.counts().late;
    let sums = windows.into_iter().map(|window| {
        let firing = if window.complete { Firing::OnTime } else { window.firing };
        ((window.start.as_millis(), window.key), (window.value, firing))
    });
    (sums.collect(), late)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn the_same_windows_come_out_however_the_sources_interleave(
        steps in prop::collection::vec(prop::collection::vec((0_i64..6, 0_i64..8, 0_u64..3), 0..30), 1..4),
        pauses in prop::collection::vec(0_u8..5, 0..40),
        other in prop::collection::vec(0_u8..5, 0..40),
    ) {
        // Each item is up to 8 ms earlier than the latest of its source, which is allowed.
        let sources: Vec<Vec<Item>> = steps.iter().map(|steps| {
            let mut now = 0;
            let item = |(step, early, key): &(i64, i64, u64)| {
                now += step;
                (now - early, *key, now + 1)
            };
            steps.iter().map(item).collect()
        }).collect();
        let (first, late) = run(&sources, &pauses, 8);
        prop_assert_eq!(late, 0);
        let (second, _) = run(&sources, &other, 8);
        prop_assert_eq!(&first, &second);
        // And they are the windows that one counts by hand.
        let mut by_hand: BTreeMap<(i64, u64), i128> = BTreeMap::new();
        for (time, key, value) in sources.iter().flatten() {
            for start in (0..3).map(|n| time.div_euclid(3) * 3 - 3 * n) {
                *by_hand.entry((start, *key)).or_default() += i128::from(*value);
            }
        }
        let sums: BTreeMap<_, _> = first.into_iter().map(|(window, (sum, _))| (window, sum)).collect();
        prop_assert_eq!(sums, by_hand);
    }
}

#[test]
fn an_absurd_time_makes_nothing_late_where_it_has_to_be_confirmed() {
    let times = (0..100).map(|n| if n == 50 { i64::from(u32::MAX) * 1_000 } else { n * 1_000 });
    let items: Vec<Item> = times.map(|time| (time, 0, 1)).collect();
    let guarded = Watermarks::disorder(SECOND).most_ahead(HOUR);
    for (watermarks, late) in [(guarded, 0), (Watermarks::disorder(SECOND), 49)] {
        let timed = iter(items.clone()).event_time(time, watermarks);
        let mut flow = timed.tumbling(SECOND, count());
        let windows = Virtual::new().run(flow.by_ref().values().count());
        assert_eq!((flow.counts().late, windows as u64), (late, 100 - late));
    }
}
