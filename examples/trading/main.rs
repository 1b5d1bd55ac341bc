//! From a venue's messages to bars, order book and as-of join.
//!
//! ```text
//! trading [--replay FILE…] [--speed max|FACTOR] [--seconds N] [--headless] [--out DIR [--all]] [--strict]
//! ```
//!
//! Without `--replay` the venue is simulated, in this process. Each venue has a pipeline of its own; they
//! run one after the other. The exit code is 0 if the run was
//! complete, 1 if it was not, or if data was bad under `--strict`, and 2 for wrong arguments.

mod args;
mod assemble;
mod feed;
mod kraken;
mod lines;
mod output;
mod problems;
mod rows;
mod screen;
mod sections;
mod tui;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use futures::future::{Either, select};

use args::{Args, OutlineFormat, wrong};
use feed::{Source, Stop, Venue};
use output::{Output, Summary, say};
use problems::Problems;
use screen::Screen;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::read()).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let (stop, stopped) = Stop::new();
    let venues = feed::open(&args, &stopped).unwrap_or_else(|error| wrong(error));
    let out = match &args.out {
        Some(folder) if args.outline.is_none() => Output::new(Some(folder))
            .with_context(|| format!("{} cannot be made", folder.display()))?,
        _ => Output::new(None)?,
    };
    let screen = if args.headless { Screen::default() } else { Screen::visible() };
    let problems = Problems::default();

    let (mut messages, mut elapsed, mut stages, mut failure) =
        (0, Duration::ZERO, Vec::new(), None);
    for venue in venues {
        let (source, pipeline, mode, viewed) = match venue {
            Venue::Binance(Source { events, places, mode }) => {
                let all = args.all;
                let pipeline = assemble::assemble(events, places, all, &screen, &out, &problems)?;
                (assemble::SOURCE, pipeline, mode, !args.headless)
            }
            Venue::Kraken(Source { events, places, mode }) => {
                let pipeline = kraken::assemble(events, places, &out, &problems)?;
                (kraken::SOURCE, pipeline, mode, false)
            }
        };
        match args.outline {
            Some(OutlineFormat::Text) => say(pipeline.outline()),
            Some(OutlineFormat::Mermaid) => say(pipeline.outline().mermaid().trim_end()),
            None => {}
        }
        if args.outline.is_some() {
            continue;
        }
        let probe = pipeline.probe();
        let running = pipeline.run(mode);
        let outcome = if !viewed {
            with_interrupt(running, &stop).await
        } else if std::io::stdout().is_terminal() {
            problems.keep_quiet();
            tui::show(running, &screen, &probe, &problems, &stop).await?
        } else {
            lines::print(with_interrupt(running, &stop), &screen).await
        };
        let report = match outcome {
            Ok(report) => report,
            Err(error) => {
                let report = error.report.clone();
                failure = Some(error);
                report
            }
        };
        say(&report);
        messages += report.stage(source).map_or(0, |source| source.items_in);
        elapsed += report.elapsed;
        stages.extend(report.stages);
        if failure.is_some() {
            break;
        }
    }
    if args.outline.is_some() {
        return Ok(ExitCode::SUCCESS);
    }

    let counts = problems.counts();
    let summary = Summary::of(messages, elapsed, &stages, &counts);
    summary.print();
    for (kind, times) in &counts {
        say(format_args!("problem: {times} x {kind}"));
    }
    out.report(&summary).context("report.json cannot be written")?;
    if let Some(failure) = failure {
        return Err(failure.into());
    }
    let bad = args.strict && !counts.is_empty();
    Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Ends the feed at Ctrl-C; what is under way is finished and written.
async fn with_interrupt<F: Future>(running: F, stop: &Stop) -> F::Output {
    let running = std::pin::pin!(running);
    let interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    match select(running, interrupted).await {
        Either::Left((output, _)) => output,
        Either::Right((_, running)) => {
            stop.now();
            running.await
        }
    }
}
