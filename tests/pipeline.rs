//! Pipelines as values: one assembly under every mode, its checks, its policies and its report.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use aqueduct::pipeline::{Cause, Kind, Mode, Probe, Report, RunError};
use aqueduct::window::AsOf;
use aqueduct::{Alarm, ConflateBy, Fail, Flow, Overflow, Pipeline, Stage, Timestamp, iter};
use futures::executor::block_on;
use futures::sink::{self, Sink};

/// Notes what it gets.
#[derive(Debug, Clone)]
struct Kept<T>(Arc<Mutex<Vec<T>>>);

impl<T> Kept<T> {
    fn new() -> Self {
        Self(Arc::default())
    }

    fn sink(&self) -> impl Sink<T, Error = Infallible> + Send + 'static
    where
        T: Send + 'static,
    {
        let kept = self.0.clone();
        sink::unfold((), move |(), item| {
            kept.lock().unwrap().push(item);
            ready(Ok(()))
        })
    }

    fn take(&self) -> Vec<T> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// Notes what it gets, and needs some time before it is ready for more.
struct Slow<T> {
    kept: Kept<T>,
    pace: Duration,
    busy: Alarm,
}

impl<T> Slow<T> {
    fn new(kept: &Kept<T>, pace: Duration) -> Self {
        Self { kept: Kept(kept.0.clone()), pace, busy: Alarm::new() }
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        if self.busy.deadline().is_some() {
            ready!(self.busy.poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl<T> Unpin for Slow<T> {}

impl<T> Sink<T> for Slow<T> {
    type Error = Infallible;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_idle(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, item: T) -> Result<(), Infallible> {
        let due = self.busy.now() + self.pace;
        self.busy.set(due);
        self.kept.0.lock().unwrap().push(item);
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_idle(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.poll_idle(cx)
    }
}

const MS: Duration = Duration::from_millis(1);

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// One item a millisecond, from 1 on.
fn ticks(count: i64) -> Flow<impl Stage<Item = i64> + Send> {
    iter(1..=count).play(|n| Some(at(*n)))
}

fn every<T: Clone>(item: &T) -> Option<T> {
    Some(item.clone())
}

/// Runs where there is nothing but this thread.
fn run(pipeline: Pipeline, mode: Mode) -> Result<Report, RunError> {
    block_on(pipeline.run(mode))
}

fn replay() -> Mode {
    Mode::replay(Timestamp::EPOCH)
}

fn virtual_time() -> Mode {
    Mode::virtual_time(Timestamp::EPOCH)
}

#[track_caller]
fn assert_adds_up(report: &Report) {
    for row in &report.stages {
        if row.kind != Kind::Sink {
            assert_eq!(row.items_in, row.items_out + row.lost() + row.held as u64, "{row:?}");
        }
    }
}

#[track_caller]
fn row<'a>(report: &'a Report, name: &str) -> &'a aqueduct::pipeline::StageReport {
    report.stage(name).unwrap_or_else(|| panic!("no {name} in\n{report}"))
}

/// A diamond with a stage on one of its ways, and a window in event time.
fn diamond(pairs: &Kept<(i64, Option<i64>)>, sums: &Kept<i64>) -> Pipeline {
    let mut p = Pipeline::new("diamond");
    let source = p.timed_source("source", ticks(40), |n| at(*n));
    let odd = source.timed_branch("odd", |n| (n % 2 == 1).then_some(*n), 4, Overflow::Block);
    let third = source.timed_branch("third", |n| (n % 3 == 0).then_some(*n), 4, Overflow::Block);
    p.sink("pairs", odd.as_of(third, AsOf::backward()).values(), pairs.sink());
    let all = source.branch("all", every, 4, Overflow::Block);
    let squares = p.stage("squares", all.map(|n| n * n));
    let even = squares.branch("even", |n| (n % 2 == 0).then_some(*n), 4, Overflow::Block);
    let big = squares.branch("big", |n| (*n > 1_000).then_some(*n), 4, Overflow::Block);
    p.sink("sums", even.merge(big).scan(0, |sum, n| sum + n), sums.sink());
    p
}

#[test]
fn one_assembly_gives_one_answer_under_every_mode() {
    let last_third = |n: i64| Some(n - n % 3).filter(|third| *third > 0);
    let expected: Vec<_> = (1..=40).filter(|n| n % 2 == 1).map(|n| (n, last_third(n))).collect();
    let even: i64 = (1..=40).filter(|n| n % 2 == 0).map(|n| n * n).sum();
    let big: i64 = (32..=40).map(|n| n * n).sum();
    let live = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let modes = [
        ("replay", replay(), false),
        ("virtual", virtual_time(), false),
        ("replay in tokio", replay(), true),
        ("live", Mode::live(), true),
        ("paced", replay().at_speed(50.0), true),
        ("paced, policies rule", virtual_time().at_speed(50.0), true),
    ];
    for (name, mode, in_tokio) in modes {
        let (pairs, sums) = (Kept::new(), Kept::new());
        let pipeline = diamond(&pairs, &sums);
        let report = if in_tokio {
            live.block_on(pipeline.run(mode)).unwrap()
        } else {
            run(pipeline, mode).unwrap()
        };
        assert_adds_up(&report);
        assert_eq!(pairs.take(), expected, "{name}");
        assert_eq!(sums.take().last(), Some(&(even + big)), "{name}");
        assert_eq!(row(&report, "squares").dropped["unrouted"], 16, "odd squares up to 31");
    }
}

#[test]
fn virtual_time_gives_the_same_run_twice_to_the_last_item() {
    let once = || {
        let (pairs, sums) = (Kept::new(), Kept::new());
        run(diamond(&pairs, &sums), virtual_time()).unwrap();
        (pairs.take(), sums.take())
    };
    assert_eq!(once(), once());
}

/// Ticks over one edge into a sink that is slower than they come.
fn overrun<P>(policy: P, capacity: usize, kept: &Kept<i64>) -> Pipeline
where
    P: aqueduct::buffer::Policy<(Timestamp, i64), Store: Send> + Send + 'static,
{
    let mut p = Pipeline::new("overrun");
    let ticks = p.source("ticks", ticks(50));
    let edge = ticks.branch("all", every, capacity, policy);
    p.sink("slow", edge, Slow::new(kept, 10 * MS));
    p
}

#[test]
fn an_edge_that_must_not_lose_anything_stops_the_run_and_says_which_it_is() {
    let kept = Kept::new();
    let error = run(overrun(Fail, 4, &kept), virtual_time()).unwrap_err();
    let text = error.to_string();
    let Cause::Overflow { node, branch, capacity, site } = error.cause else {
        panic!("{error}");
    };
    assert_eq!((node, branch), ("ticks", "all"));
    assert_eq!(capacity, NonZeroUsize::new(4).unwrap());
    assert!(site.file().ends_with("tests/pipeline.rs"), "{site}");
    assert!(text.contains("`overrun`") && text.contains("`ticks.all`"), "{text}");
    assert!(text.contains(&site.to_string()) && text.contains("capacity of 4"), "{text}");
    // The first goes to the sink at once, one more each 10 ms, four wait: the sixth is too much.
    let edge = row(&error.report, "ticks.all");
    assert_eq!(edge.held_high_water, 4);
    assert!(edge.dropped["refused"] >= 1);
    assert_adds_up(&error.report);
    assert_eq!(kept.take(), [1, 2, 3, 4, 5], "what was held before the overflow came out");
}

#[test]
fn what_a_policy_drops_is_counted_and_the_rest_arrives_in_order() {
    for (policy, reason) in [
        (Overflow::DropOldest, "dropped_oldest"),
        (Overflow::DropNewest, "dropped_newest"),
        (Overflow::Latest, "replaced"),
    ] {
        let kept = Kept::new();
        let report = run(overrun(policy, 3, &kept), virtual_time()).unwrap();
        let got = kept.take();
        let edge = row(&report, "ticks.all");
        assert_adds_up(&report);
        assert_eq!(edge.items_in, 50);
        assert_eq!(edge.items_out, got.len() as u64);
        assert_eq!(edge.dropped[reason], 50 - got.len() as u64);
        assert_eq!(edge.dropped.len(), 1);
        assert!(got.is_sorted() && got.len() > 5 && got.len() < 12, "{policy:?}: {got:?}");
        assert_eq!(got[0], 1);
        assert_eq!(got.contains(&50), policy != Overflow::DropNewest, "{policy:?}: {got:?}");
        assert!(edge.held_high_water <= 3);
    }
}

#[test]
fn in_a_replay_every_edge_waits_whatever_its_policy() {
    fn lossless<P>(policy: P)
    where
        P: aqueduct::buffer::Policy<(Timestamp, i64), Store: Send> + Send + 'static,
    {
        let kept = Kept::new();
        let report = run(overrun(policy, 3, &kept), replay()).unwrap();
        assert_eq!(kept.take(), (1..=50).collect::<Vec<_>>());
        assert!(row(&report, "ticks.all").dropped.is_empty());
        assert_eq!(row(&report, "ticks.all").held_high_water, 3);
    }
    lossless(Overflow::Block);
    lossless(Overflow::DropOldest);
    lossless(Overflow::DropNewest);
    lossless(Overflow::Latest);
    lossless(Fail);
    lossless(ConflateBy::new(|_: &(Timestamp, i64)| 0, |held, new| *held = new));
    let kept = Kept::new();
    run(overrun(Overflow::Latest, 3, &kept), virtual_time().lossless()).unwrap();
    assert_eq!(kept.take().len(), 50);
}

#[test]
fn an_edge_that_conflates_by_key_keeps_the_newest_of_each_key() {
    let newest = |tenth: i64| {
        ConflateBy::new(
            move |item: &(Timestamp, i64)| item.1 % tenth,
            |held: &mut (Timestamp, i64), new| *held = new,
        )
    };
    let kept = Kept::new();
    let report = run(overrun(newest(2), 2, &kept), virtual_time()).unwrap();
    let got = kept.take();
    assert_adds_up(&report);
    let edge = row(&report, "ticks.all");
    assert_eq!(edge.dropped["replaced"], 50 - got.len() as u64);
    let last_two: BTreeSet<_> = got[got.len() - 2..].iter().copied().collect();
    assert_eq!(last_two, BTreeSet::from([49, 50]), "the newest of both keys: {got:?}");

    // More keys than places: what has a new key waits, nothing with another key is lost.
    let kept = Kept::new();
    let report = run(overrun(newest(100), 2, &kept), virtual_time()).unwrap();
    assert_eq!(kept.take(), (1..=50).collect::<Vec<_>>());
    assert!(row(&report, "ticks.all").dropped.is_empty());
}

#[test]
fn the_bound_of_an_outline_contains_the_item_that_waits_at_a_store_by_key() {
    let with = |pipeline: Pipeline| pipeline.outline().bound();
    let by_key = ConflateBy::new(|item: &(Timestamp, i64)| item.1, |held, new| *held = new);
    let plain = with(overrun(Overflow::Latest, 3, &Kept::new()));
    let keyed = with(overrun(by_key, 3, &Kept::new()));
    assert_eq!(keyed, plain.and(aqueduct::Bound::Items(1)));
}

#[test]
fn a_branch_that_leads_nowhere_is_an_error_before_anything_runs() {
    let pulled = Arc::new(AtomicU64::new(0));
    let source = || {
        let pulled = pulled.clone();
        iter(0..10).inspect(move |_| {
            pulled.fetch_add(1, Ordering::Relaxed);
        })
    };
    let mut p = Pipeline::new("p");
    let numbers = p.source("numbers", source());
    let kept = Kept::new();
    p.sink("kept", numbers.branch("some", every, 1, Overflow::Block), kept.sink());
    let _loose = numbers.branch("loose", every, 1, Overflow::Block);
    let error = run(p, replay()).unwrap_err();
    assert!(
        matches!(error.cause, Cause::Unconnected { node: "numbers", branch: "loose" }),
        "{error}"
    );

    let mut p = Pipeline::new("p");
    let numbers = p.source("numbers", source());
    let stage = p.stage("stage", numbers.branch("all", every, 1, Overflow::Block));
    let error = run(p, replay()).unwrap_err();
    assert!(matches!(error.cause, Cause::Unbranched { node: "stage" }), "{error}");
    assert_eq!(format!("{stage:?}"), "Node(stage)");
    assert_eq!(pulled.load(Ordering::Relaxed), 0);
    assert!(kept.take().is_empty());
}

#[test]
fn names_are_given_once_and_edges_hold_something() {
    #[track_caller]
    fn message(assemble: impl FnOnce(&mut Pipeline)) -> String {
        let panic = catch_unwind(AssertUnwindSafe(|| assemble(&mut Pipeline::new("p"))));
        *panic.unwrap_err().downcast::<String>().unwrap()
    }
    let text = message(|p| {
        p.source("a", iter(0..1));
        p.source("a", iter(0..1));
    });
    assert!(text.contains("two nodes are called `a`"), "{text}");
    let text = message(|p| {
        let a = p.source("a", iter(0..1));
        let _ = a.branch("b", every, 1, Overflow::Block);
        let _ = a.branch("b", every, 1, Overflow::Block);
    });
    assert!(text.contains("two branches are called `b`"), "{text}");
    let text = message(|p| {
        let _ = p.source("a", iter(0..1)).branch("b", every, 0, Overflow::Block);
    });
    assert!(text.contains("a.b: the capacity must not be zero"), "{text}");
    assert!(text.contains("tests/pipeline.rs"), "{text}");
}

#[test]
fn a_sink_that_fails_stops_the_run_and_is_named() {
    let mut p = Pipeline::new("p");
    let numbers = p.source("numbers", iter(0..1_000_000));
    let kept = Kept::new();
    p.sink("good", numbers.branch("good", every, 8, Overflow::Block), kept.sink());
    let bad = sink::unfold(0, |taken, _: i32| async move {
        if taken == 10 { Err(std::io::Error::other("no more")) } else { Ok(taken + 1) }
    });
    p.sink("bad", numbers.branch("bad", every, 8, Overflow::Block), Box::pin(bad));
    let error = run(p, replay()).unwrap_err();
    assert!(matches!(error.cause, Cause::Sink { sink: "bad", .. }), "{error}");
    assert_eq!(error.to_string(), "the pipeline `p` stopped: the sink `bad` failed: no more");
    assert_adds_up(&error.report);
    assert!(kept.take().len() < 100, "the other tasks were stopped where they were");
}

#[test]
fn a_panic_in_a_closure_comes_out_of_the_run() {
    fn panicking(at: &'static str) -> Pipeline {
        let boom = move |here: &'static str, n: i64| assert!(here != at || n < 5, "boom in {here}");
        let at_source = boom;
        let at_branch = boom;
        let mut p = Pipeline::new("p");
        let numbers = p.source("numbers", ticks(9).inspect(move |n| at_source("source", *n)));
        let select = move |n: &i64| {
            at_branch("branch", *n);
            Some(*n)
        };
        let items = numbers.branch("all", select, 2, Overflow::Block);
        let items = items.inspect(move |n| boom("sink", *n));
        p.sink("sink", items, Kept::new().sink());
        p
    }
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut texts = Vec::new();
    for at in ["source", "branch", "sink"] {
        texts.push((at, catch_unwind(AssertUnwindSafe(|| run(panicking(at), replay())))));
        let live = || tokio.block_on(panicking(at).run(Mode::live()));
        texts.push((at, catch_unwind(AssertUnwindSafe(live))));
    }
    for (at, outcome) in texts {
        let text = *outcome.unwrap_err().downcast::<String>().unwrap();
        assert_eq!(text, format!("boom in {at}"));
    }
}

#[test]
fn a_join_does_not_wait_for_a_branch_that_is_silent() {
    for mode in [replay(), virtual_time()] {
        let mut p = Pipeline::new("silent");
        let source = p.timed_source("source", iter(1..=10_000), |n| at(*n));
        let busy = source.timed_branch("busy", every, 4, Overflow::Block);
        let silent = source.timed_branch("silent", |_| None::<i64>, 4, Overflow::Block);
        let kept = Kept::new();
        p.sink("pairs", busy.as_of(silent, AsOf::backward()).values(), kept.sink());
        assert!(p.outline().to_string().contains("neither waits for a silent one"));
        let report = run(p, mode).unwrap();
        assert_eq!(kept.take(), (1..=10_000).map(|n| (n, None)).collect::<Vec<_>>());
        assert!(row(&report, "source.busy").held_high_water <= 4);
    }
    // And with the sides exchanged: all on the right.
    let mut p = Pipeline::new("silent");
    let source = p.timed_source("source", iter(1..=10_000), |n| at(*n));
    let last = |n: &i64| (*n == 10_000).then_some(*n);
    let silent = source.timed_branch("silent", last, 4, Overflow::Block);
    let busy = source.timed_branch("busy", every, 4, Overflow::Block);
    let kept = Kept::new();
    p.sink("pairs", silent.as_of(busy, AsOf::backward()).values(), kept.sink());
    run(p, replay()).unwrap();
    assert_eq!(kept.take(), [(10_000, Some(10_000))]);
}

#[test]
fn items_for_a_consumer_that_has_left_are_counted_and_hold_nobody_up() {
    let mut p = Pipeline::new("left");
    let numbers = p.source("numbers", ticks(100));
    let (all, few) = (Kept::new(), Kept::new());
    p.sink("few", numbers.branch("few", every, 4, Overflow::Block).take(3), few.sink());
    p.sink("all", numbers.branch("all", every, 4, Overflow::Block), all.sink());
    let report = run(p, replay()).unwrap();
    assert_eq!((few.take(), all.take().len()), (vec![1, 2, 3], 100));
    assert_adds_up(&report);
    let edge = row(&report, "numbers.few");
    assert_eq!((edge.items_in, edge.items_out), (100, 3));
    assert_eq!(edge.dropped["discarded"], 97);
}

#[test]
fn a_source_stops_when_nobody_wants_its_items_any_more() {
    let pulled = Arc::new(AtomicU64::new(0));
    let counter = pulled.clone();
    let mut p = Pipeline::new("left");
    let endless = iter(1..).inspect(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let numbers = p.source("numbers", endless);
    let few = Kept::new();
    p.sink("few", numbers.branch("few", every, 4, Overflow::Block).take(3), few.sink());
    run(p, replay()).unwrap();
    assert_eq!(few.take(), [1, 2, 3]);
    assert!(pulled.load(Ordering::Relaxed) < 20);
}

#[test]
fn the_outline_shows_nodes_edges_policies_and_diamonds() {
    let outline = diamond(&Kept::new(), &Kept::new()).outline();
    let text = outline.to_string();
    let has = |parts: &[&str]| {
        let found = text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found, "no line with {parts:?} in\n{text}");
    };
    has(&["pipeline diamond"]);
    has(&["source source"]);
    has(&["stage squares"]);
    has(&["sink pairs"]);
    has(&["as_of", "tests/pipeline.rs"]);
    has(&["> odd to pairs", "4 Block, with time"]);
    has(&["> all to squares", "4 Block"]);
    has(&["diamond: source to pairs by odd and third", "time passes on both"]);
    has(&["diamond: squares to sums by even and big", "would wait"]);
    has(&["loops: none"]);
    has(&["in all: "]);
    assert!(matches!(outline.bound(), aqueduct::Bound::Items(items) if items >= 20), "{text}");

    let drawn = outline.mermaid();
    assert!(drawn.starts_with("flowchart LR\n"), "{drawn}");
    for line in [
        "    n0([\"source\"])",
        "    n1[(\"pairs\")]",
        "    n2[\"squares\"]",
        "    n0 -->|\"odd 4 Block\"| n1",
        "    n2 -->|\"even 4 Block\"| n3",
    ] {
        assert!(drawn.lines().any(|drawn| drawn == line), "no {line} in\n{drawn}");
    }
}

#[test]
fn a_branch_without_a_place_leads_nowhere_in_the_outline() {
    let mut p = Pipeline::new("p");
    let _loose = p.source("a", iter(0..1)).branch("b", every, 1, Overflow::Block);
    assert!(p.outline().to_string().contains("> b to nowhere"));
    assert_eq!(p.outline().mermaid(), "flowchart LR\n    n0([\"a\"])\n");
}

#[test]
fn a_probe_sees_the_run_from_inside_and_it_adds_up_at_every_item() {
    let mut p = Pipeline::new("probed");
    let probe: Probe = p.probe();
    assert_eq!(row_in(&probe, "ticks"), None);
    let ticks = p.source("ticks", ticks(30));
    let seen = Kept::new();
    let look = {
        let probe = probe.clone();
        move |_: &i64| {
            let report = probe.report();
            assert_adds_up(&report);
            row(&report, "ticks.all").items_out
        }
    };
    let selecting = probe.clone();
    let select = move |n: &i64| {
        assert_adds_up(&selecting.report());
        Some(*n)
    };
    let all = ticks.branch("all", select, 2, Overflow::Block);
    p.sink("seen", all.map(move |n| look(&n)), seen.sink());
    let report = run(p, replay()).unwrap();
    assert_eq!(seen.take(), (1..=30).collect::<Vec<_>>());
    assert_eq!(row_in(&probe, "seen"), Some(30));
    assert_eq!(probe.report().elapsed, report.elapsed, "the run is over");
}

fn row_in(probe: &Probe, name: &str) -> Option<u64> {
    probe.report().stage(name).map(|row| row.items_out)
}

#[test]
fn a_replay_inside_tokio_lets_other_tasks_run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let turns = runtime.block_on(async {
        let turns = Arc::new(AtomicU64::new(0));
        let counter = turns.clone();
        let other = tokio::spawn(async move {
            loop {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let mut p = Pipeline::new("busy");
        let numbers = p.source("numbers", iter(0..200_000));
        let kept = Kept::new();
        p.sink("kept", numbers.branch("all", every, 64, Overflow::Block).count_up(), kept.sink());
        p.run(replay()).await.unwrap();
        other.abort();
        assert_eq!(kept.take().last(), Some(&200_000));
        turns.load(Ordering::Relaxed)
    });
    assert!(turns >= 5, "the other task had {turns} turns");
}

/// Numbers items, to have something that the run computes.
trait CountUp {
    fn count_up(self) -> Flow<impl Stage<Item = u64> + Send>;
}

impl<S: Stage<Item: Send> + Send> CountUp for Flow<S> {
    fn count_up(self) -> Flow<impl Stage<Item = u64> + Send> {
        self.scan(0, |count, _| count + 1)
    }
}

#[test]
fn a_run_that_waits_for_something_outside_of_virtual_time_is_an_error() {
    let (_sender, receiver) = futures::channel::mpsc::channel::<i32>(1);
    let mut p = Pipeline::new("stalled");
    let outside = p.source("outside", aqueduct::flow(receiver));
    p.sink("kept", outside.branch("all", every, 1, Overflow::Block), Kept::new().sink());
    let error = run(p, Mode::virtual_time(at(7))).unwrap_err();
    let Cause::Stalled(stalled) = error.cause else { panic!("{error}") };
    assert_eq!(stalled.at, at(7));
}

#[test]
fn a_run_that_is_dropped_stops_and_releases_everything() {
    let item = Arc::new(());
    let mut p = Pipeline::new("dropped");
    let endless = iter(std::iter::repeat(item.clone()));
    let numbers = p.source("numbers", endless);
    let never = sink::unfold((), |(), _: Arc<()>| std::future::pending::<Result<(), Infallible>>());
    p.sink("never", numbers.branch("all", every, 8, Overflow::Block), Box::pin(never));
    let mut run = Box::pin(p.run(virtual_time()));
    let polled = run.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
    assert!(matches!(polled, Poll::Ready(Err(_))), "it waits for nothing that could come");
    drop(run);
    assert_eq!(Arc::strong_count(&item), 1);
}

/// Ticks in event time, each `late` after its time, into a sink.
fn lagging(late: i64, kept: &Kept<i64>) -> Pipeline {
    let mut p = Pipeline::new("lagging");
    let ticks = p.source("ticks", ticks(50));
    let plain = ticks.branch("all", every, 8, Overflow::Block);
    let time = move |n: &i64| at(*n - late);
    p.sink("timed", plain.event_time(time, 2 * MS).values(), kept.sink());
    p
}

#[test]
fn the_report_says_how_far_event_time_is_behind_the_clock() {
    let kept = Kept::new();
    let report = run(lagging(30, &kept), virtual_time()).unwrap();
    let timed = row(&report, "timed");
    assert_eq!(timed.watermark, Some(at(50 - 30 - 2)));
    assert_eq!(timed.watermark_lag, Some(32 * MS));
    assert!(report.to_string().contains("watermark 0.018000000, 0.032s behind"), "{report}");
    // Where no event time is, nothing is said.
    for other in ["ticks", "ticks.all"] {
        assert_eq!(
            (row(&report, other).watermark, row(&report, other).watermark_lag),
            (None, None)
        );
    }
    let json: serde_json::Value = serde_json::to_value(timed).unwrap();
    assert_eq!(json["watermark_ns"], 18_000_000);
    assert_eq!(json["watermark_lag_s"], 0.032);
    assert!(serde_json::to_value(row(&report, "ticks")).unwrap()["watermark_ns"].is_null());

    // A clock that is behind the items is not behind by less than nothing.
    let report = run(lagging(-10, &kept), virtual_time()).unwrap();
    assert_eq!(row(&report, "timed").watermark_lag, Some(Duration::ZERO));
}

#[test]
fn the_lag_can_be_seen_while_it_grows() {
    let mut p = Pipeline::new("silent");
    // Silence after 20 ms; then one more at 80 ms.
    let items = iter((1..=20).chain([80])).play(|n| Some(at(*n)));
    let source = p.source("source", items);
    let timed = source.branch("all", every, 8, Overflow::Block).event_time(|n: &i64| at(*n), MS);
    let kept = Kept::<i64>::new();
    p.sink("timed", timed.values(), kept.sink());
    let probe = p.probe();
    let seen: Arc<Mutex<Vec<Option<Duration>>>> = Arc::default();
    let lags = seen.clone();
    let look = aqueduct::interval(25 * MS, aqueduct::source::Missed::Burst).take(3);
    let looks = p.source(
        "looks",
        look.inspect(move |_| {
            lags.lock().unwrap().push(row(&probe.report(), "timed").watermark_lag);
        }),
    );
    p.sink("none", looks.branch("all", |_| Some(()), 1, Overflow::Block), Kept::new().sink());
    let report = run(p, virtual_time()).unwrap();
    let behind = [25, 50, 75].map(|now| Some((now - 19) * MS));
    assert_eq!(*seen.lock().unwrap(), behind);
    assert_eq!(row(&report, "timed").watermark_lag, Some(MS));
}

#[test]
fn after_the_end_the_lag_does_not_grow() {
    let live = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pipeline = lagging(0, &Kept::new());
    let probe = pipeline.probe();
    let report = live.block_on(pipeline.run(Mode::live())).unwrap();
    std::thread::sleep(2 * MS);
    let (then, now) = (row(&report, "timed"), probe.report());
    assert!(then.watermark_lag > Some(Duration::from_secs(40 * 365 * 86_400)));
    assert_eq!(then.watermark_lag, row(&now, "timed").watermark_lag);
}

#[test]
fn event_time_above_a_hop_is_seen_although_it_runs_in_another_task() {
    let mut p = Pipeline::new("hop");
    let all = p.source("source", ticks(40)).branch("all", every, 4, Overflow::Block);
    let timed = all.event_time(|n: &i64| at(*n), MS).hop(8, Overflow::Block);
    let kept = Kept::new();
    p.sink("sink", timed.values(), kept.sink());
    let report = run(p, replay()).unwrap();
    assert_eq!(kept.take().len(), 40);
    assert_eq!(row(&report, "sink").watermark, Some(at(39)));
}
