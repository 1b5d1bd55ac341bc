//! Runs under virtual time: what happens at one instant, stalls, tasks and work on threads.

use std::cell::RefCell;
use std::future::{pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aqueduct_operators::source::Missed;
use aqueduct_operators::{
    Alarm, Ambient, Clock, Stalled, Timestamp, Virtual, interval_at, iter, once,
};
use futures::future::{join, join_all};
use futures::{FutureExt, StreamExt};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn now() -> Timestamp {
    Clock::current().now()
}

async fn ring(mut alarm: Alarm, due: Timestamp) {
    alarm.set(due);
    poll_fn(|cx| alarm.poll(cx)).await;
}

#[test]
fn at_one_instant_sources_ring_before_operators_whoever_was_first() {
    let order = RefCell::new(Vec::new());
    Virtual::new().run(async {
        let wait = |name: &'static str, alarm: Alarm, millis: i64| {
            let order = &order;
            async move {
                ring(alarm, at(millis)).await;
                order.borrow_mut().push(name);
            }
        };
        join_all([
            wait("first operator", Alarm::new(), 10),
            wait("later operator", Alarm::new(), 11),
            wait("second operator", Alarm::new(), 10),
            wait("first source", Alarm::for_source(), 10),
            wait("second source", Alarm::for_source(), 10),
        ])
        .await;
    });
    let expected =
        ["first source", "second source", "first operator", "second operator", "later operator"];
    assert_eq!(*order.borrow(), expected);
}

#[test]
fn an_alarm_that_was_moved_takes_its_place_when_it_is_set_not_when_it_is_armed() {
    let order = RefCell::new(Vec::new());
    Virtual::new().run(async {
        let (mut moved, mut other) = (Alarm::new(), Alarm::new());
        moved.set(at(5));
        // Armed for 5, and due at 10 only after that: it is armed again when it fires too early.
        assert!(poll_fn(|cx| moved.poll(cx)).now_or_never().is_none());
        moved.set(at(10));
        other.set(at(10));
        let wait = |name: char, mut alarm: Alarm| {
            let order = &order;
            async move {
                poll_fn(|cx| alarm.poll(cx)).await;
                order.borrow_mut().push((name, now()));
            }
        };
        join(wait('b', other), wait('a', moved)).await;
    });
    assert_eq!(*order.borrow(), [('a', at(10)), ('b', at(10))]);
}

#[test]
fn an_item_comes_before_a_timer_of_the_same_instant() {
    let last = Virtual::new().run(async {
        let ticks = interval_at(at(0), ms(5), Missed::Burst).debounce(ms(5));
        let timer = ring(Alarm::new(), at(52));
        futures::pin_mut!(ticks);
        // The tick of each period replaces the one that waits, at the instant it would go.
        futures::future::select(Box::pin(ticks.next()), Box::pin(timer))
            .map(|first| matches!(first, futures::future::Either::Right(_)))
            .await
    });
    assert!(last, "a debounced item came out between ticks that replace it");
}

#[test]
fn time_jumps_from_alarm_to_alarm_and_starts_where_it_was_told() {
    let run = Virtual::new().starting_at(Timestamp::from_secs(1_000_000));
    let ended = run.run(async {
        once('a').delay(Duration::from_secs(86_400), 1).count().await;
        now()
    });
    assert_eq!(ended, Timestamp::from_secs(1_086_400));
}

#[test]
fn a_run_that_waits_for_nothing_that_can_come_is_a_stall() {
    let stalled = Virtual::new().try_run(async {
        ring(Alarm::new(), at(7)).await;
        pending::<()>().await;
    });
    assert_eq!(stalled, Err(Stalled { at: at(7) }));
    let text = catch_unwind(|| Virtual::new().run(pending::<()>())).unwrap_err();
    let text = text.downcast::<String>().unwrap();
    assert!(text.starts_with("the virtual run stalled at 0.000000000"), "{text}");
}

#[test]
fn tasks_run_in_the_order_in_which_they_were_spawned_and_woken() {
    let order = Arc::new(Mutex::new(Vec::new()));
    Virtual::new().run(async {
        let tasks = (0..3).map(|task| {
            let order = order.clone();
            Ambient::current().spawn(async move {
                order.lock().unwrap().push((task, now()));
                ring(Alarm::new(), at(5)).await;
                order.lock().unwrap().push((task, now()));
            })
        });
        join_all(tasks.collect::<Vec<_>>()).await;
    });
    let expected = [0, 5].map(|millis| [0, 1, 2].map(|task| (task, at(millis))));
    assert_eq!(*order.lock().unwrap(), expected.concat());
}

/// Notes that it was dropped.
struct OnDrop(Arc<AtomicBool>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn on_drop() -> (OnDrop, impl Fn() -> bool) {
    let dropped = Arc::new(AtomicBool::new(false));
    (OnDrop(dropped.clone()), move || dropped.load(Ordering::SeqCst))
}

#[test]
fn dropping_the_handle_stops_the_task_and_detaching_it_does_not() {
    let (held, is_dropped) = on_drop();
    let (kept, is_kept_dropped) = on_drop();
    Virtual::new().run(async {
        let task = Ambient::current().spawn(async move {
            let _held = held;
            pending::<()>().await;
        });
        Ambient::current()
            .spawn(async move {
                let _kept = kept;
                pending::<()>().await;
            })
            .detach();
        ring(Alarm::new(), at(1)).await;
        assert!(!is_dropped());
        drop(task);
        ring(Alarm::new(), at(2)).await;
        assert!(is_dropped());
        assert!(!is_kept_dropped());
    });
    assert!(is_kept_dropped(), "a task outlived its run");
}

#[test]
fn a_task_that_was_never_polled_goes_with_its_run() {
    struct SpawnsOnDrop(Ambient);
    impl Drop for SpawnsOnDrop {
        fn drop(&mut self) {
            self.0.spawn(async {}).detach();
        }
    }
    Virtual::new().run(async {
        let ambient = Ambient::current();
        let held = SpawnsOnDrop(ambient.clone());
        ambient.spawn(async move { drop(held) }).detach();
    });
}

#[test]
fn a_panic_of_a_task_comes_out_of_its_handle_and_the_run_goes_on() {
    let ended = Virtual::new().run(async {
        let task = Ambient::current().spawn(async {
            ring(Alarm::new(), at(3)).await;
            panic!("lost");
        });
        let outcome = AssertUnwindSafe(task).catch_unwind().await;
        let panic = outcome.map(|(): ()| ()).unwrap_err();
        assert_eq!(panic.downcast_ref::<&str>(), Some(&"lost"));
        ring(Alarm::new(), at(9)).await;
        now()
    });
    assert_eq!(ended, at(9));
}

#[test]
fn work_is_done_in_place_and_takes_no_time() {
    let here = std::thread::current().id();
    let (there, when) = Virtual::new().run(async {
        let job = Ambient::current().offload(|| std::thread::current().id());
        (job.await, now())
    });
    assert_eq!((there, when), (here, at(0)));
}

#[test]
fn a_panic_of_work_comes_out_of_its_handle() {
    let outcome = Virtual::new().run(async {
        let job = Ambient::current().offload(|| panic!("lost"));
        AssertUnwindSafe(job).catch_unwind().await.map(|(): ()| ())
    });
    assert_eq!(outcome.unwrap_err().downcast_ref::<&str>(), Some(&"lost"));
}

#[tokio::test]
async fn time_stands_still_while_a_worker_is_waited_for() {
    let here = std::thread::current().id();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let run = Virtual::new().with_workers().drive(async {
        let job = Ambient::current().offload(move || {
            released.recv().unwrap();
            std::thread::current().id()
        });
        let timer = ring(Alarm::new(), at(10)).map(|()| now());
        let job = job.map(|thread| (thread, now()));
        join(job, timer).await
    });
    let free = async {
        // The run is polled first: it waits for the worker here, with an alarm set.
        tokio::task::yield_now().await;
        release.send(()).unwrap();
    };
    let (outcome, ()) = join(run, free).await;
    let ((thread, answered), rang) = outcome.unwrap();
    assert_ne!(thread, here);
    assert_eq!((answered, rang), (at(0), at(10)));
}

#[tokio::test(start_paused = true)]
async fn a_flow_on_a_paced_clock_takes_less_live_time() {
    let live = Clock::live();
    let started = live.now();
    let clock = Clock::paced(Timestamp::from_secs(100), 60.0);
    let ended = Ambient::on(clock)
        .scope(async {
            iter([1, 2]).delay(Duration::from_secs(60), 4).count().await;
            now()
        })
        .await;
    let took = live.now() - started;
    assert!(ended >= Timestamp::from_secs(160));
    assert!((ms(1000)..ms(1005)).contains(&took), "{took:?}");
}
