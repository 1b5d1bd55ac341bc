//! No operator allocates for an item (AQ-17), except those that hand out vectors.

#![expect(unsafe_code, reason = "an allocator that counts")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aqueduct_operators::combine::merge;
use aqueduct_operators::error::{Backoff, retry};
use aqueduct_operators::time::Edges;
use aqueduct_operators::window::{Aggregate, AsOf};
use aqueduct_operators::{Flow, Overflow, Stage, Timestamp, flow, iter, merge_sorted};

/// Counts what the thread allocates.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<usize> = const { Cell::new(0) };
}

fn count() {
    // A thread that ends may allocate after its locals are gone; nobody asks about those.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call is passed on unchanged to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as promised by the caller.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as promised by the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const WARM: u32 = 5_000;
const COUNTED: u32 = 10_000;

/// Gives way so many times.
struct GiveWay(u32);

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0 == 0 {
            return Poll::Ready(());
        }
        self.0 -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// The items 0 to 16,000, and how much was allocated while 10,000 of them were taken.
fn input(counted: &'static AtomicUsize) -> Flow<impl Stage<Item = u32> + Send> {
    // An alarm allocates its timer when there is first something to wait for.
    let pause = flow(futures::stream::once(GiveWay(3))).filter_map(|()| None);
    let items = iter(0..1_000).chain(pause).chain(iter(1_000..WARM + COUNTED + 1_000));
    items.inspect(|x| match *x {
        WARM => counted.store(ALLOCATIONS.get(), Relaxed),
        x if x == WARM + COUNTED => {
            counted.store(ALLOCATIONS.get() - counted.load(Relaxed), Relaxed);
        }
        _ => {}
    })
}

/// Polls until it is ready: what an event loop allocates does not count.
fn spin(future: impl Future) {
    let mut future = pin!(future);
    let mut cx = Context::from_waker(Waker::noop());
    while future.as_mut().poll(&mut cx).is_pending() {}
}

/// How much the operator allocates for 10,000 items: drained, and pulled one by one.
macro_rules! allocated {
    ($make:expr) => {{
        // In a box for ever, so that operators that want a `'static` input can be tested.
        let [drained, pulled] =
            [(); 2].map(|()| &*Box::leak(Box::new(AtomicUsize::new(usize::MAX))));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let make = $make;
        let _alarms = runtime.enter();
        spin(make(input(drained)).drain());
        let make = $make;
        spin(async {
            let mut flow = pin!(make(input(pulled)));
            while poll_fn(|cx| Stage::poll_next(flow.as_mut(), cx)).await.is_some() {}
        });
        [drained.load(Relaxed), pulled.load(Relaxed)]
    }};
}

macro_rules! without_allocation {
    ($($name:ident $make:expr;)*) => {
        $(
            #[test]
            fn $name() {
                assert_eq!(allocated!($make), [0, 0]);
            }
        )*
    };
}

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn time(x: &u32) -> Timestamp {
    Timestamp::from_millis(i64::from(*x))
}

fn others() -> Flow<impl Stage<Item = u32>> {
    iter(0..WARM + COUNTED + 1_000)
}

struct Sum;

impl Aggregate<u32> for Sum {
    type State = u32;
    type Output = u32;

    fn init(&self) -> u32 {
        0
    }

    fn add(&self, sum: &mut u32, x: &u32) {
        *sum = sum.wrapping_add(*x);
    }

    fn finish(&self, sum: u32) -> u32 {
        sum
    }
}

without_allocation! {
    boxed_local |flow: Flow<_>| flow.boxed_local();
    enumerate |flow: Flow<_>| flow.enumerate();
    flat_map_iter |flow: Flow<_>| flow.flat_map_iter(|x| [x; 2]);
    flatten |flow: Flow<_>| flow.map(|x| iter([x; 2])).flatten();
    inspect |flow: Flow<_>| flow.inspect(|_| {});
    map |flow: Flow<_>| flow.map(|x: u32| x ^ 1);
    pairwise |flow: Flow<_>| flow.pairwise();
    prepend |flow: Flow<_>| flow.prepend([1]);
    scan |flow: Flow<_>| flow.scan(0, |max, x: u32| x.max(max));
    scan_map |flow: Flow<_>| flow.scan_map(0, |n, x| { *n ^= x; (*n > 9).then_some(x) });

    dedup |flow: Flow<_>| flow.map(|x| x / 2).dedup();
    dedup_by_key |flow: Flow<_>| flow.dedup_by_key(|x| x / 2);
    filter |flow: Flow<_>| flow.filter(|x| x % 2 == 0);
    filter_map |flow: Flow<_>| flow.filter_map(|x| (x % 2 == 0).then_some(x));
    skip |flow: Flow<_>| flow.skip(3);
    skip_while |flow: Flow<_>| flow.skip_while(|x| *x < 3);
    take |flow: Flow<_>| flow.take(usize::MAX);
    take_through |flow: Flow<_>| flow.take_through(|_| true);
    take_until |flow: Flow<_>| flow.take_until(std::future::pending::<()>());
    take_while |flow: Flow<_>| flow.take_while(|_| true);

    chain |flow: Flow<_>| flow.chain(others());
    combine_latest |flow: Flow<_>| flow.combine_latest(others());
    merge_of_many |flow: Flow<_>| merge([flow]);
    merge_of_two |flow: Flow<_>| flow.merge(others());
    merge_sorted_of_many |flow: Flow<_>| merge_sorted([flow], |x| *x);
    with_latest_from |flow: Flow<_>| flow.with_latest_from(others());
    with_latest_from_optional |flow: Flow<_>| flow.with_latest_from_optional(others());
    zip |flow: Flow<_>| flow.zip(others());

    map_async |flow: Flow<_>| flow.map_async(4, async |x| x);
    map_async_unordered |flow: Flow<_>| flow.map_async_unordered(4, async |x| x);

    buffer |flow: Flow<_>| flow.buffer(64, Overflow::Block);
    buffer_drop_oldest |flow: Flow<_>| flow.buffer(64, Overflow::DropOldest);
    buffer_latest |flow: Flow<_>| flow.buffer(64, Overflow::Latest);
    conflate_by_key |flow: Flow<_>| flow.conflate_by_key(64, |x| x % 64, |held, new| *held = new);

    debounce |flow: Flow<_>| flow.debounce(ms(1));
    delay |flow: Flow<_>| flow.delay(Duration::from_micros(1), 64);
    play |flow: Flow<_>| flow.play(|x| Some(time(x)));
    sample |flow: Flow<_>| flow.sample(ms(1));
    throttle |flow: Flow<_>| flow.throttle(ms(1), Edges::Both);
    timeout |flow: Flow<_>| flow.timeout(ms(1));

    catch |flow: Flow<_>| flow.map(Ok::<u32, u32>).catch(|x| iter([x]));
    retry_without_an_error |flow: Flow<_>| {
        let mut first = Some(flow.map(Ok::<u32, u32>));
        retry(Backoff::constant(ms(1)), move || first.take().expect("no error"))
    };

    partition |flow: Flow<_>| {
        let (even, odd) = flow.partition(64, |x| x % 2 == 0);
        even.merge(odd)
    };
    route |flow: Flow<_>| merge(flow.route(2, 64, |x| *x as usize % 2));
    share |flow: Flow<_>| {
        let shared = flow.share(64);
        shared.subscribe().zip(shared.subscribe())
    };

    as_of |flow: Flow<_>| {
        let right = others().event_time(time, ms(0));
        flow.event_time(time, ms(0)).as_of(right, AsOf::backward())
    };
    event_time |flow: Flow<_>| flow.event_time(time, ms(3));
    tumbling |flow: Flow<_>| flow.event_time(time, ms(30)).tumbling(ms(10), Sum);
    values |flow: Flow<_>| flow.event_time(time, ms(3)).values();
}

#[test]
fn a_hop_allocates_for_its_task_and_not_for_an_item() {
    static COUNTED_ABOVE: AtomicUsize = AtomicUsize::new(usize::MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(input(&COUNTED_ABOVE).hop(64, Overflow::Block).drain());
    // What the runtime allocates when it changes between the two tasks.
    assert!(COUNTED_ABOVE.load(Relaxed) < 10);
}

#[test]
fn an_operator_that_hands_out_vectors_allocates_once_for_each() {
    assert_eq!(allocated!(|flow: Flow<_>| flow.chunks(10)), [1_000, 1_000]);
    let [drained, pulled] = allocated!(|flow: Flow<_>| flow.chunks_timeout(10, ms(50)));
    assert_eq!([drained, pulled], [1_000, 1_000]);
}
