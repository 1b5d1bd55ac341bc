//! Declarative assembly: named sources, branches, stages and sinks, with a capacity and a policy on
//! every edge.
//!
//! A [`Pipeline`] is a value. While it is put together nothing runs; it can be printed, drawn and
//! summed up first. Then one and the same pipeline runs live, in replay or under virtual time.
//!
//! ```
//! use aqueduct::{Overflow, Pipeline, Timestamp, iter, pipeline::Mode};
//! use std::time::Duration;
//!
//! let mut p = Pipeline::new("numbers");
//! let numbers = p.source("numbers", iter(1..=10));
//! let even = numbers.branch("even", |n| (n % 2 == 0).then_some(*n), 64, Overflow::Block);
//! let (sink, squares) = futures::channel::mpsc::channel(16);
//! p.sink("squares", even.map(|n| n * n), sink);
//!
//! println!("{}", p.outline());
//! let report = futures::executor::block_on(p.run(Mode::virtual_time(Timestamp::EPOCH)))?;
//! assert_eq!(futures::executor::block_on_stream(squares).sum::<i32>(), 220);
//! assert_eq!(report.stage("numbers").unwrap().dropped["unrouted"], 5);
//! # Ok::<(), aqueduct::pipeline::RunError>(())
//! ```

mod edge;
mod graph;
mod node;
mod outline;
mod report;
mod run;
mod stats;

pub use edge::Branch;
pub use graph::{Node, Pipeline, Probe};
pub use outline::PipelineOutline;
pub use report::{Kind, Report, StageReport};
pub use run::{Cause, Mode, RunError};
