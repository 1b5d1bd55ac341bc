//! Runs the conformance cases of a directory against the operators of this library.
//!
//! The cases are marble tests of RxJS and of Swift's async algorithms as JSON; each is built from
//! our operators (see `build/`, which reads as a table from their names to ours), run under virtual
//! time, and compared event by event. `AQUEDUCT_CONFORMANCE_DIR` names the directory.

#![allow(missing_debug_implementations, reason = "nobody prints the parts of this runner")]

mod build;
mod callbacks;
mod case;
mod cell;
mod marble;
mod parser;
mod recipe;
mod run;
mod sources;
mod table;
mod value;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use aqueduct::Flow;
use aqueduct::transform::Boxed;
use serde_json::Value as Json;

use case::Case;
use run::Taking;
use table::Table;
use value::{Node, Value};
use world::Problem;

/// What RxJS calls `next` and `error`.
type Item = Result<Value, Value>;
type Stream = Flow<Boxed<Item>>;

fn main() -> ExitCode {
    // Asked for by tools that list the tests before they run them.
    if std::env::args().any(|argument| argument == "--list") {
        println!("conformance: test");
        return ExitCode::SUCCESS;
    }
    let directory = match std::env::var_os("AQUEDUCT_CONFORMANCE_DIR") {
        Some(directory) => PathBuf::from(directory),
        None => {
            let beside = Path::new(env!("CARGO_MANIFEST_DIR"));
            let directory = beside.join("../shared/conformance/visible");
            if !directory.is_dir() {
                println!("conformance: no cases at {}, nothing was run", directory.display());
                return ExitCode::SUCCESS;
            }
            directory
        }
    };
    match run_all(&directory) {
        Ok(table) => {
            println!("{table}");
            if table.is_empty() {
                println!("conformance: no cases in {}", directory.display());
            }
            if table.failed() == 0 && !table.is_empty() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(error) => {
            println!("conformance: {}: {error}", directory.display());
            ExitCode::FAILURE
        }
    }
}

fn run_all(directory: &Path) -> std::io::Result<Table> {
    // A panic is the failure of its case.
    std::panic::set_hook(Box::new(|_| {}));
    let only = std::env::var("AQUEDUCT_CONFORMANCE_ONLY").unwrap_or_default();
    let mut files: Vec<_> = std::fs::read_dir(directory)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_, std::io::Error>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "jsonl"));
    files.sort();
    let mut table = Table::default();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            let place = || format!("{}:{}", file.display(), number + 1);
            match serde_json::from_str::<Json>(line) {
                Ok(node) => {
                    let node: Node = Box::leak(Box::new(node));
                    let name = |field: &str| node.get(field).and_then(Json::as_str);
                    let operator = name("operator").unwrap_or("(no operator)");
                    let id = name("id").map_or_else(place, str::to_owned);
                    if id.contains(&only) {
                        table.add(operator, id, outcome(node));
                    }
                }
                Err(error) => {
                    table.add("(no case)", place(), Err(error.to_string().into()));
                }
            }
        }
    }
    Ok(table)
}

fn outcome(node: Node) -> Result<(), Problem> {
    let run = || match node.get("operator").and_then(Json::as_str) {
        Some("parse_marble") => parser::marble(node),
        Some("parse_subscription") => parser::subscription(node),
        _ => {
            let case = Case::read(node)?;
            run::run(&case, Taking::OneByOne)?;
            let drained = run::run(&case, Taking::Drained);
            drained.map_err(|problem| match problem {
                Problem::Failed(message) => format!("when drained: {message}").into(),
                other => other,
            })
        }
    };
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("of another kind")).into())
    })
}
