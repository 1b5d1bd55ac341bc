//! From a venue's messages to bars, order book and as-of join.
//!
//! ```text
//! trading [--replay FILE…] [--speed max|FACTOR] [--seconds N] [--headless] [--out DIR] [--strict]
//! ```
//!
//! Without `--replay` the venue is simulated, in this process. The exit code is 0 if the run was
//! complete, 1 if it was not, or if data was bad under `--strict`, and 2 for wrong arguments.

mod args;
mod assemble;
mod feed;
mod lines;
mod output;
mod problems;
mod rows;
mod screen;
mod tui;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Context as _;
use futures::channel::oneshot;
use futures::future::{Either, select};

use args::{Args, OutlineFormat, wrong};
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
    let (stop, stopped) = oneshot::channel::<()>();
    let feed = feed::open(&args, stopped).unwrap_or_else(|error| wrong(error));
    let out = match &args.out {
        Some(folder) if args.outline.is_none() => Output::new(Some(folder))
            .with_context(|| format!("{} cannot be made", folder.display()))?,
        _ => Output::new(None)?,
    };
    let screen = if args.headless { Screen::default() } else { Screen::visible() };
    let problems = Problems::default();
    let mode = feed.mode;
    let pipeline = assemble::assemble(feed.events, feed.places, &screen, &out, &problems)?;
    match args.outline {
        Some(OutlineFormat::Text) => say(pipeline.outline()),
        Some(OutlineFormat::Mermaid) => say(pipeline.outline().mermaid().trim_end()),
        None => {}
    }
    if args.outline.is_some() {
        return Ok(ExitCode::SUCCESS);
    }

    let probe = pipeline.probe();
    let running = pipeline.run(mode);
    let outcome = if args.headless {
        with_interrupt(running, stop).await
    } else if std::io::stdout().is_terminal() {
        problems.keep_quiet();
        tui::show(running, &screen, &probe, &problems, stop).await?
    } else {
        lines::print(with_interrupt(running, stop), &screen).await
    };

    let (report, failure) = match outcome {
        Ok(report) => (report, None),
        Err(error) => (error.report.clone(), Some(error)),
    };
    let counts = problems.counts();
    let summary = Summary::of(&report, &counts);
    say(&report);
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
async fn with_interrupt<F: Future>(running: F, stop: oneshot::Sender<()>) -> F::Output {
    let running = std::pin::pin!(running);
    let interrupted = std::pin::pin!(tokio::signal::ctrl_c());
    match select(running, interrupted).await {
        Either::Left((output, _)) => output,
        Either::Right((_, running)) => {
            // Gone already if the feed has just ended.
            let _ = stop.send(());
            running.await
        }
    }
}
