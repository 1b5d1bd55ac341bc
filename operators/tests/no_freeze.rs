//! Work in flight never stands still (AQ-20): the programs that freeze over `futures` streams.
//!
//! A stream that runs several futures polls them only while it is polled itself. While its
//! consumer awaits anything else, they stand still: they miss their timeouts, and one that holds a
//! permit or a place in the queue for it, for which the consumer waits, holds it for ever. The
//! programs here are those of rust-lang/futures-rs#2387, rust-lang/wg-async#131 and Oxide's RFD 609
//! ("futurelock"). Each finishes over every operator that keeps something in flight; the tests at
//! the end show that they do not over `futures`, so that they prove something.

use std::cell::Cell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aqueduct_operators::{Flow, Overflow, Stage, flow, iter, merge};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, sink};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::{sleep, timeout};

const ITEMS: u32 = 20;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the future gives, or `None` if it freezes. On tokio's paused clock an hour passes as soon
/// as nobody has anything to do.
fn finishes<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(3_600), future).await.ok() })
}

/// The one permit: a connection, a lock, a place in a queue.
type Permit = Arc<Semaphore>;

/// Holds the permit for a while. Whoever is polled first stands first in the queue for it.
async fn work(permit: Permit, x: u32) -> u32 {
    let _held = permit.acquire().await.unwrap();
    sleep(ms(3)).await;
    x
}

fn permit() -> Permit {
    Arc::new(Semaphore::new(1))
}

fn works(permit: &Permit) -> BoxStream<'static, u32> {
    let permit = permit.clone();
    stream::iter(0..ITEMS).then(move |x| work(permit.clone(), x)).boxed()
}

mod consumers {
    use super::*;

    pub async fn for_each_async<S: Stage<Item = u32>>(flow: Flow<S>, permit: Permit) -> u32 {
        let seen = Cell::new(0);
        flow.for_each_async(async |x| {
            work(permit.clone(), x).await;
            seen.set(seen.get() + 1);
        })
        .await;
        seen.get()
    }

    pub async fn for_each_concurrent<S: Stage<Item = u32>>(flow: Flow<S>, permit: Permit) -> u32 {
        let seen = Cell::new(0);
        flow.for_each_concurrent(2, async |x| {
            work(permit.clone(), x).await;
            seen.set(seen.get() + 1);
        })
        .await;
        seen.get()
    }

    pub async fn forward<S: Stage<Item = u32>>(flow: Flow<S>, permit: Permit) -> u32 {
        let seen = Cell::new(0);
        let sink = sink::unfold((), |(), x| {
            let (permit, seen) = (permit.clone(), &seen);
            async move {
                work(permit, x).await;
                seen.set(seen.get() + 1);
                Ok::<_, ()>(())
            }
        });
        flow.forward(sink).await.unwrap();
        seen.get()
    }

    /// A map with one future at a time is a consumer as well.
    pub async fn map_async<S: Stage<Item = u32>>(flow: Flow<S>, permit: Permit) -> u32 {
        let worked = flow.map_async(1, async |x| work(permit.clone(), x).await);
        u32::try_from(worked.count().await).unwrap()
    }

    pub async fn next_and_drive_during<S: Stage<Item = u32>>(flow: Flow<S>, permit: Permit) -> u32 {
        let mut flow = Flow::from_stage(Unpinned(Box::pin(flow)));
        let mut seen = 0;
        while let Some(x) = flow.next().await {
            flow.drive_during(work(permit.clone(), x)).await;
            seen += 1;
        }
        seen
    }
}

/// A stage in a box, so that it can be moved.
struct Unpinned<S>(std::pin::Pin<Box<S>>);

impl<S: Stage> Stage for Unpinned<S> {
    type Item = S::Item;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<S::Item>> {
        self.0.as_mut().poll_next(cx)
    }

    fn poll_progress(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        self.0.as_mut().poll_progress(cx)
    }

    fn describe(&self, outline: &mut aqueduct_operators::Outline) {
        self.0.describe(outline);
    }
}

/// Every flow before every consumer that waits for the permit which the flow's work holds.
macro_rules! programs {
    ($($name:ident: $items:expr, |$permit:ident| $flow:expr;)*) => {
        $(
            mod $name {
                use super::*;

                programs!(@over $items, |$permit| $flow,
                    for_each_async for_each_concurrent forward map_async next_and_drive_during);
            }
        )*
    };
    (@over $items:expr, |$permit:ident| $flow:expr, $($consumer:ident)*) => {
        $(programs!(@test $items, |$permit| $flow, $consumer);)*
    };
    (@test $items:expr, |$permit:ident| $flow:expr, $consumer:ident) => {
        #[test]
        fn $consumer() {
            let permit = permit();
            let $permit = permit.clone();
            assert_eq!(finishes(async { consumers::$consumer($flow, permit).await }), Some($items));
        }
    };
}

programs! {
    map_async: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x))
    };
    map_async_unordered: ITEMS, |permit| {
        iter(0..ITEMS).map_async_unordered(4, move |x| work(permit.clone(), x))
    };
    map_async_above_map_async: ITEMS, |permit| {
        let lower = permit.clone();
        iter(0..ITEMS)
            .map_async(4, move |x| work(permit.clone(), x))
            .map_async(2, move |x| work(lower.clone(), x))
    };
    flat_map: ITEMS, |permit| iter(0..ITEMS).flat_map(4, move |x| {
        flow(stream::once(work(permit.clone(), x)).boxed())
    });
    flat_map_with_work_inside: ITEMS, |permit| iter(0..ITEMS).flat_map(4, move |x| {
        let permit = permit.clone();
        iter([x]).map_async(1, move |x| work(permit.clone(), x))
    });
    flat_map_below_work: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).flat_map(2, |x| iter([x]))
    };
    flatten_merge: ITEMS, |permit| {
        iter((0..ITEMS).map(move |x| flow(stream::once(work(permit.clone(), x)).boxed())))
            .flatten_merge(4)
    };
    concat_map_below_work: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).concat_map(|x| iter([x]))
    };
    concat_map_eager: ITEMS, |permit| iter(0..ITEMS).concat_map_eager(4, 2, move |x| {
        flow(stream::once(work(permit.clone(), x)).boxed())
    });
    switch_map: ITEMS, |permit| {
        flow(stream::iter([()]).boxed()).switch_map(move |()| flow(works(&permit)))
    };
    merge_of_many: 3 * ITEMS, |permit| merge((0..3).map(move |_| flow(works(&permit))));
    merge_of_two: 2 * ITEMS, |permit| flow(works(&permit)).merge(flow(works(&permit)));
    merge_of_chains: 2 * ITEMS, |permit| {
        let chain = |permit| flow(works(permit)).filter(|x| *x < 99).map(|x| x + 1);
        chain(&permit).merge(chain(&permit))
    };
    zip: ITEMS, |permit| flow(works(&permit)).zip(flow(works(&permit))).map(|(x, _)| x);
    with_latest_from: ITEMS, |permit| {
        flow(works(&permit)).with_latest_from_optional(flow(works(&permit))).map(|(x, _)| x)
    };
    prefetch: ITEMS, |permit| flow(works(&permit)).prefetch(3);
    prefetch_of_work: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).prefetch(2)
    };
    buffer: ITEMS, |permit| flow(works(&permit)).buffer(3, Overflow::Block);
    hop: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).hop(4, Overflow::Block)
    };
    hop_that_never_blocks: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).hop(64, Overflow::DropOldest)
    };
    share: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).share(2).subscribe()
    };
    route: ITEMS, |permit| {
        let work = iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x));
        merge(work.route(2, 2, |x| *x as usize % 2))
    };
    boxed: ITEMS, |permit| {
        iter(0..ITEMS).map_async(4, move |x| work(permit.clone(), x)).boxed()
    };
}

/// A request with two round trips of at most 12 ms that gives up after 30 ms.
async fn request(x: u32) -> Result<u32, tokio::time::error::Elapsed> {
    timeout(ms(30), async {
        for _ in 0..2 {
            sleep(ms(4 + 2 * u64::from(x % 5))).await;
        }
        x
    })
    .await
}

#[test]
fn requests_answer_in_time_while_the_consumer_is_slow() {
    let failed = Cell::new(0);
    let body = async |answer: Result<_, _>| {
        failed.set(failed.get() + u32::from(answer.is_err()));
        sleep(ms(100)).await;
    };
    let ordered = iter(0..ITEMS).map_async(5, request).for_each_async(body);
    assert_eq!(finishes(ordered), Some(()));
    let unordered = iter(0..ITEMS).map_async_unordered(5, request).for_each_async(body);
    assert_eq!(finishes(unordered), Some(()));
    let flows = iter(0..ITEMS).flat_map(5, |x| flow(stream::once(request(x)).boxed()));
    assert_eq!(finishes(flows.for_each_async(body)), Some(()));
    assert_eq!(failed.get(), 0);
}

#[test]
fn a_consumer_may_wait_for_the_next_future_to_come_half_way() {
    let half_way: Vec<_> = (0..ITEMS).map(|_| Semaphore::new(0)).collect();
    let jobs = iter(0..ITEMS).map_async(2, async |x| {
        sleep(ms(3)).await;
        half_way[x as usize].add_permits(1);
        sleep(ms(3)).await;
        x
    });
    let done = finishes(jobs.for_each_async(async |x| {
        if let Some(next) = half_way.get(x as usize + 1) {
            next.acquire().await.unwrap().forget();
        }
    }));
    assert_eq!(done, Some(()));
}

/// RFD 609: a branch of `select!` that waits for a lock, while another branch stands in the queue
/// for it.
mod select {
    use super::*;

    /// Somebody else holds the lock at first, so that all stand in the queue.
    async fn contended() -> Arc<Mutex<()>> {
        let lock = Arc::new(Mutex::new(()));
        let held = lock.clone().lock_owned().await;
        tokio::spawn(async move {
            sleep(ms(50)).await;
            drop(held);
        });
        lock
    }

    async fn locked(lock: Arc<Mutex<()>>, x: u32) -> u32 {
        let _guard = lock.lock().await;
        sleep(ms(1)).await;
        x
    }

    #[test]
    fn a_branch_that_drives_the_flow_gets_the_lock() {
        let seen = finishes(async {
            let lock = contended().await;
            let mut jobs = iter(0..ITEMS).map_async(4, {
                let lock = lock.clone();
                move |x| locked(lock.clone(), x)
            });
            let mut tick = tokio::time::interval(ms(5));
            let (mut seen, mut ticks) = (0, 0);
            loop {
                tokio::select! {
                    job = jobs.next() => match job {
                        Some(_) => seen += 1,
                        None => break seen,
                    },
                    _ = tick.tick(), if ticks < 9 => {
                        ticks += 1;
                        jobs.drive_during(locked(lock.clone(), 0)).await;
                    }
                }
            }
        });
        assert_eq!(seen, Some(ITEMS));
    }

    #[test]
    fn a_merge_instead_of_a_select_needs_nothing() {
        let seen = finishes(async {
            let lock = contended().await;
            let queue = lock.clone();
            let jobs = iter(0..ITEMS).map_async(4, move |x| locked(queue.clone(), x));
            let ticks = tokio_stream::wrappers::IntervalStream::new(tokio::time::interval(ms(5)));
            let ticks = flow(ticks).take(9).map(|_| 1_000);
            let seen = Cell::new(0);
            jobs.merge(ticks)
                .for_each_async(async |x| {
                    if x == 1_000 {
                        locked(lock.clone(), 0).await;
                    } else {
                        seen.set(seen.get() + 1);
                    }
                })
                .await;
            seen.get()
        });
        assert_eq!(seen, Some(ITEMS));
    }

    #[test]
    fn over_futures_the_same_select_freezes() {
        let seen = finishes(async {
            let lock = contended().await;
            let queue = lock.clone();
            let mut jobs = stream::iter(0..ITEMS)
                .map(move |x| locked(queue.clone(), x))
                .buffer_unordered(4)
                .boxed();
            let mut tick = tokio::time::interval(ms(5));
            let mut seen = 0;
            loop {
                tokio::select! {
                    job = jobs.next() => match job {
                        Some(_) => seen += 1,
                        None => break seen,
                    },
                    _ = tick.tick() => {
                        locked(lock.clone(), 0).await;
                    }
                }
            }
        });
        assert_eq!(seen, None);
    }
}

mod over_futures {
    use super::*;

    #[test]
    fn a_consumer_that_wants_the_permit_freezes() {
        let streams: [fn(Permit) -> BoxStream<'static, u32>; 4] = [
            |permit| {
                stream::iter(0..ITEMS).map(move |x| work(permit.clone(), x)).buffered(4).boxed()
            },
            |permit| {
                stream::iter(0..ITEMS)
                    .map(move |x| work(permit.clone(), x))
                    .buffer_unordered(4)
                    .boxed()
            },
            |permit| {
                stream::iter(0..ITEMS)
                    .flat_map_unordered(4, move |x| stream::once(work(permit.clone(), x)).boxed())
                    .boxed()
            },
            |permit| stream::select_all((0..3).map(|_| works(&permit))).boxed(),
        ];
        for (index, stream) in streams.into_iter().enumerate() {
            let permit = permit();
            let body = |x| {
                let permit = permit.clone();
                async move {
                    work(permit, x).await;
                }
            };
            let run = async { stream(permit.clone()).for_each(body).await };
            assert_eq!(finishes(run), None, "stream {index}");
        }
    }

    #[test]
    fn requests_time_out_while_the_consumer_is_slow() {
        let failed = Cell::new(0);
        let run = stream::iter(0..ITEMS).map(request).buffer_unordered(5);
        let run = run.for_each(async |answer| {
            failed.set(failed.get() + u32::from(answer.is_err()));
            sleep(ms(100)).await;
        });
        assert_eq!(finishes(run), Some(()));
        assert!(failed.get() > 0);
    }
}

#[test]
fn next_in_a_loop_that_awaits_freezes_here_too() {
    let permit = permit();
    let frozen = finishes(async {
        let mut jobs = iter(0..ITEMS).map_async(4, |x| work(permit.clone(), x));
        while let Some(x) = jobs.next().await {
            // This is what `drive_during` is for.
            work(permit.clone(), x).await;
        }
    });
    assert_eq!(frozen, None);
}
