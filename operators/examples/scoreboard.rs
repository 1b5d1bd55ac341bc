//! Writes docs/scoreboard.md: the rules that operators keep, ours and those of other libraries.
//!
//! `cargo run -p aqueduct-operators --example scoreboard`

use std::fmt::{Debug, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use aqueduct_operators::testing::{
    CountingAllocator, Input, Outcome, Report, Rule, Tracked, check,
};
use aqueduct_operators::{Alarm, Bound, Flow, Outline, Stage};
use futures::Stream;
use pin_project::pin_project;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

/// What a [`Stream`] has no method for.
const NOT_IN_STREAM: [Rule; 4] =
    [Rule::Mixture, Rule::DeclaredBound, Rule::NoSnooze, Rule::OneClock];

/// An input as a plain stream, without the guard that a flow has.
struct Plain(Input);

impl Stream for Plain {
    type Item = Tracked;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Tracked>> {
        Stage::poll_next(Pin::new(&mut self.0), cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        Stage::size_hint(&self.0)
    }
}

/// A stream as a stage, without the guard that `flow` would put around it.
#[pin_project]
struct Unguarded<St>(#[pin] St);

impl<St: Stream> Stage for Unguarded<St> {
    type Item = St::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<St::Item>> {
        self.project().0.poll_next(cx)
    }

    fn poll_progress(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }

    #[track_caller]
    fn describe(&self, outline: &mut Outline) {
        outline.stage("stream", std::panic::Location::caller()).holds(Bound::Unknown);
    }
}

fn other<St, const N: usize>(name: &str, make: impl Fn([Plain; N]) -> St) -> Report
where
    St: Stream<Item: Debug>,
{
    eprintln!("{name}, theirs");
    check(name, |inputs: [Flow<Input>; N]| {
        Unguarded(make(inputs.map(|input| Plain(input.into_stage()))))
    })
}

/// A line of the table: the operator in each of the libraries, where it has one.
struct Line {
    name: &'static str,
    ours: Report,
    futures: Option<Report>,
    tokio: Option<Report>,
}

fn line<S, const N: usize>(name: &'static str, make: impl Fn([Flow<Input>; N]) -> Flow<S>) -> Line
where
    S: Stage<Item: Debug>,
{
    eprintln!("{name}");
    Line { name, ours: check(name, make), futures: None, tokio: None }
}

impl Line {
    fn futures<St, const N: usize>(self, make: impl Fn([Plain; N]) -> St) -> Self
    where
        St: Stream<Item: Debug>,
    {
        Self { futures: Some(other(self.name, make)), ..self }
    }

    fn tokio<St, const N: usize>(self, make: impl Fn([Plain; N]) -> St) -> Self
    where
        St: Stream<Item: Debug>,
    {
        Self { tokio: Some(other(self.name, make)), ..self }
    }
}

async fn sleep(millis: u32) {
    let mut alarm = Alarm::new();
    let due = alarm.now() + Duration::from_millis(millis.into());
    alarm.set(due);
    std::future::poll_fn(|cx| alarm.poll(cx)).await;
}

async fn slow(x: Tracked) -> Tracked {
    sleep(x.value() % 3).await;
    x
}

fn even(x: &Tracked) -> bool {
    x.value() % 2 == 0
}

fn small(x: &Tracked) -> bool {
    x.value() < 5
}

fn some(x: Tracked) -> Option<Tracked> {
    even(&x).then_some(x)
}

/// An inner flow that brings an item twice.
fn twice(x: &Tracked) -> std::iter::RepeatN<Tracked> {
    std::iter::repeat_n(x.clone(), 1 + x.value() as usize % 2)
}

mod ours {
    use super::*;
    use aqueduct_operators::{empty, iter, merge};

    pub fn lines() -> Vec<Line> {
        vec![
            line("map", |[a]| a.map(|x| x.value())),
            line("filter", |[a]| a.filter(even)),
            line("filter_map", |[a]| a.filter_map(some)),
            line("then", |[a]| a.then(slow)),
            line("take", |[a]| a.take(3)),
            line("take_while", |[a]| a.take_while(small)),
            line("take_until", |[a]| a.take_until(sleep(5))),
            line("skip", |[a]| a.skip(2)),
            line("skip_while", |[a]| a.skip_while(small)),
            line("scan", |[a]| a.scan(0, |sum, x| sum + x.value())),
            line("enumerate", |[a]| a.enumerate()),
            line("inspect", |[a]| a.inspect(|x| assert!(x.value() > 0))),
            line("flat_map, one at a time", |[a]| a.concat_map(|x| iter(twice(&x)))),
            line("flat_map, unordered", |[a]| a.flat_map(2, |x| iter(twice(&x)))),
            line("buffered", |[a]| a.map_async(2, slow)),
            line("buffer_unordered", |[a]| a.map_async_unordered(2, slow)),
            line("chunks", |[a]| a.chunks(3)),
            line("ready_chunks", |[a]| a.ready_chunks(3)),
            line("chain", |[a, b]| a.chain(b)),
            line("zip", |[a, b]| a.zip(b)),
            line("merge of two", |[a, b]| a.merge(b)),
            line("merge of many", |[a, b, c]| merge([a, b, c])),
            line("filter that drops everything", |[a]| a.filter(|x| x.value() == 0)),
            line("flat_map of nothing", |[a]| a.concat_map(|_| empty::<u8>())),
        ]
    }
}

mod with_futures {
    use super::*;
    use futures::stream::{StreamExt, empty, iter, select, select_all};
    use std::future::ready;

    pub fn add(line: Line) -> Line {
        match line.name {
            "map" => line.futures(|[a]| a.map(|x| x.value())),
            "filter" => line.futures(|[a]| a.filter(|x| ready(even(x)))),
            "filter_map" => line.futures(|[a]| a.filter_map(|x| ready(some(x)))),
            "then" => line.futures(|[a]| a.then(slow)),
            "take" => line.futures(|[a]| a.take(3)),
            "take_while" => line.futures(|[a]| a.take_while(|x| ready(small(x)))),
            "take_until" => line.futures(|[a]| a.take_until(Box::pin(sleep(5)))),
            "skip" => line.futures(|[a]| a.skip(2)),
            "skip_while" => line.futures(|[a]| a.skip_while(|x| ready(small(x)))),
            "scan" => line.futures(|[a]| {
                a.scan(0, |sum, x| {
                    *sum += x.value();
                    ready(Some(*sum))
                })
            }),
            "enumerate" => line.futures(|[a]| a.enumerate()),
            "inspect" => line.futures(|[a]| a.inspect(|x| assert!(x.value() > 0))),
            "flat_map, one at a time" => line.futures(|[a]| a.flat_map(|x| iter(twice(&x)))),
            "flat_map, unordered" => {
                line.futures(|[a]| a.flat_map_unordered(2, |x| iter(twice(&x))))
            }
            "buffered" => line.futures(|[a]| a.map(slow).buffered(2)),
            "buffer_unordered" => line.futures(|[a]| a.map(slow).buffer_unordered(2)),
            "chunks" => line.futures(|[a]| a.chunks(3)),
            "ready_chunks" => line.futures(|[a]| a.ready_chunks(3)),
            "chain" => line.futures(|[a, b]| a.chain(b)),
            "zip" => line.futures(|[a, b]| a.zip(b)),
            "merge of two" => line.futures(|[a, b]| select(a, b)),
            "merge of many" => line.futures(|[a, b, c]| select_all([a, b, c])),
            "filter that drops everything" => {
                line.futures(|[a]| a.filter(|x| ready(x.value() == 0)))
            }
            "flat_map of nothing" => line.futures(|[a]| a.flat_map(|_| empty::<u8>())),
            _ => line,
        }
    }
}

mod with_tokio {
    use super::*;
    use tokio_stream::{StreamExt, StreamMap};

    pub fn add(line: Line) -> Line {
        match line.name {
            "map" => line.tokio(|[a]| a.map(|x| x.value())),
            "filter" => line.tokio(|[a]| a.filter(even)),
            "filter_map" => line.tokio(|[a]| a.filter_map(some)),
            "then" => line.tokio(|[a]| a.then(slow)),
            "take" => line.tokio(|[a]| a.take(3)),
            "take_while" => line.tokio(|[a]| a.take_while(small)),
            "skip" => line.tokio(|[a]| a.skip(2)),
            "skip_while" => line.tokio(|[a]| a.skip_while(small)),
            "chain" => line.tokio(|[a, b]| a.chain(b)),
            "merge of two" => line.tokio(|[a, b]| a.merge(b)),
            "merge of many" => line.tokio(|inputs: [Plain; 3]| {
                inputs.into_iter().enumerate().collect::<StreamMap<_, _>>()
            }),
            "filter that drops everything" => line.tokio(|[a]| a.filter(|x| x.value() == 0)),
            _ => line,
        }
    }
}

/// The rules that a report finds broken, and in words what was seen.
fn broken(report: &Report, without: &[Rule]) -> Vec<(Rule, String)> {
    let mut broken = Vec::new();
    for (rule, outcome) in report.outcomes() {
        match outcome {
            Outcome::Broken(breach) if !without.contains(&rule) => {
                let what = breach.what.lines().next().unwrap_or_default();
                broken.push((rule, what.to_owned()));
            }
            _ => {}
        }
    }
    broken
}

fn cell(report: Option<&Report>, without: &[Rule]) -> String {
    let Some(report) = report else {
        return "none".to_owned();
    };
    let broken = broken(report, without);
    if broken.is_empty() {
        return "all kept".to_owned();
    }
    let names: Vec<_> = broken.iter().map(|(rule, _)| format!("{rule:?}")).collect();
    names.join(", ")
}

const PREFACE: &str = "\
# Which rules operators keep

Written by `cargo run -p aqueduct-operators --example scoreboard`; the test kit (`aqueduct::testing`)
did the checking, the same for each library. A cell names the rules that are broken; `none` means that
the library has no such operator.

";

const EPILOGUE: &str = "
## How to read it

The contract of `Stream` is weaker than ours, and these libraries keep theirs. It lets a stream panic,
block or go on after its end, so breaking `Fused` is allowed there, and `fuse()` is the remedy; it says
nothing of panics in closures, of when an input is dropped (`EagerRelease`), or of whether time and
order may depend on pending polls (`Invariance`). It has no method for draining, for driving work in
flight, for the bound of what is held and for the clock, so `Mixture`, `NoSnooze`, `DeclaredBound` and
`OneClock` are asked of ours only. Two rules are broken by a promise that is not made: which of two
inputs that are ready at one instant comes first (`Invariance` of merges, ours included), and vectors
and boxes that are handed out (`NoAllocation` of chunks). Ours are checked as users hold them, as a
`Flow`, which notes the end and a panic once for every stage (decision 0001); the bare stages would
break `Fused` and `PanicSafety` too. `NoHotLoop` of `buffered`, `flat_map_unordered` and `select_all`
is `FuturesUnordered` giving way to others after it has polled each of its futures once: a wake and a
poll more, not a loop. `NoSnooze` of our `chain` is meant: its second input is not started before its
turn. `DeclaredBound` of our flattening operators is broken because what
an inner flow holds is not known to them. Operators of tokio-stream that read tokio's clock (`throttle`,
`timeout`, `chunks_timeout`) are left out, because the checks run under virtual time.
";

fn main() {
    let lines: Vec<_> =
        ours::lines().into_iter().map(with_futures::add).map(with_tokio::add).collect();
    let mut text = PREFACE.to_owned();
    text += "| operator | aqueduct | futures-util 0.3 | tokio-stream 0.1 |\n|---|---|---|---|\n";
    for line in &lines {
        let ours = cell(Some(&line.ours), &[]);
        let futures = cell(line.futures.as_ref(), &NOT_IN_STREAM);
        let tokio = cell(line.tokio.as_ref(), &NOT_IN_STREAM);
        let _ = writeln!(text, "| {} | {ours} | {futures} | {tokio} |", line.name);
    }
    text += "\n## What was seen\n\n";
    for line in &lines {
        let reports = [
            ("aqueduct", Some(&line.ours)),
            ("futures-util", line.futures.as_ref()),
            ("tokio-stream", line.tokio.as_ref()),
        ];
        for (library, report) in reports {
            let without: &[Rule] = if library == "aqueduct" { &[] } else { &NOT_IN_STREAM };
            for (rule, what) in report.map(|report| broken(report, without)).unwrap_or_default() {
                // What every second line would say is in the table.
                if rule != Rule::Fused && rule != Rule::PanicSafety {
                    let _ = writeln!(text, "- {} of {library}, {rule}: {what}", line.name);
                }
            }
        }
    }
    text += EPILOGUE;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/scoreboard.md");
    match std::fs::write(path, text) {
        Ok(()) => println!("wrote {path}"),
        Err(error) => eprintln!("{path} could not be written: {error}"),
    }
}
