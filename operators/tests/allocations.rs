//! On the live clock, no operator of time allocates for an item. What operators allocate under
//! virtual time is measured by the rows of their unit tests (AQ-17).

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use aqueduct_operators::testing::{CountingAllocator, allocations};
use aqueduct_operators::time::Edges;
use aqueduct_operators::{Flow, Overflow, Stage, Timestamp, flow, iter};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// How often this thread has allocated.
fn count() -> usize {
    allocations().unwrap_or_default()
}

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
        WARM => counted.store(count(), Relaxed),
        x if x == WARM + COUNTED => {
            counted.store(count() - counted.load(Relaxed), Relaxed);
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

without_allocation! {
    debounce |flow: Flow<_>| flow.debounce(ms(1));
    delay |flow: Flow<_>| flow.delay(Duration::from_micros(1), 64);
    play |flow: Flow<_>| flow.play(|x| Some(time(x)));
    sample |flow: Flow<_>| flow.sample(ms(1));
    throttle |flow: Flow<_>| flow.throttle(ms(1), Edges::Both);
    timeout |flow: Flow<_>| flow.timeout(ms(1));
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
