//! [`Report`]: what a run did, stage by stage.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::Timestamp;

/// What a pipeline has done, at its end or so far.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The name of the pipeline.
    pub pipeline: &'static str,
    /// How long it has run, on the live clock.
    #[serde(rename = "elapsed_s", serialize_with = "seconds")]
    pub elapsed: Duration,
    /// Each source, stage, edge and sink, in the order of assembly.
    pub stages: Vec<StageReport>,
}

/// One row of a [`Report`].
///
/// For sources, stages and edges `items_in = items_out + dropped + held` holds at every instant.
/// A sink counts what its edges delivered and what it wrote; the flow between may make fewer or
/// more of them.
#[derive(Debug, Clone, Serialize)]
pub struct StageReport {
    /// Its name; an edge is called `node.branch`.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Items that came.
    #[serde(rename = "in")]
    pub items_in: u64,
    /// Items that went on.
    #[serde(rename = "out")]
    pub items_out: u64,
    /// Items that were lost, by reason; reasons that did not occur are left out.
    pub dropped: BTreeMap<&'static str, u64>,
    /// Items that are held.
    pub held: usize,
    /// The most items that were held at once.
    pub held_high_water: usize,
    /// How many items may be held; `None` for what the flow of a node holds, see the outline.
    pub capacity: Option<usize>,
    /// Time in its own code; zero for an edge. An estimate where its turns are shorter than 2 µs,
    /// of which one in four is measured.
    #[serde(rename = "busy_s", serialize_with = "seconds")]
    pub busy: Duration,
    /// Time without input.
    #[serde(rename = "starved_s", serialize_with = "seconds")]
    pub starved: Duration,
    /// Time without room downstream.
    #[serde(rename = "blocked_s", serialize_with = "seconds")]
    pub blocked: Duration,
    /// How far event time has come: the watermark of a node whose flow has one. Of several
    /// [`event_time`](crate::Flow::event_time)s in a node the one furthest behind that has not
    /// ended counts.
    #[serde(rename = "watermark_ns", serialize_with = "nanos")]
    pub watermark: Option<Timestamp>,
    /// How far the watermark is behind the clock of the run, or was when the node ended; zero if
    /// it is ahead. In a replay at a clock that does not follow the recording it says nothing.
    #[serde(rename = "watermark_lag_s", serialize_with = "some_seconds")]
    pub watermark_lag: Option<Duration>,
}

/// What a row of a [`Report`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A flow that begins the pipeline.
    Source,
    /// A flow between two edges.
    Stage,
    /// A flow that ends in a sink.
    Sink,
    /// What lies between them.
    Edge,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Source => "source",
            Self::Stage => "stage",
            Self::Sink => "sink",
            Self::Edge => "edge",
        })
    }
}

impl StageReport {
    /// All items that were lost, whatever the reason.
    pub fn lost(&self) -> u64 {
        self.dropped.values().sum()
    }
}

impl Report {
    /// The row of that name.
    pub fn stage(&self, name: &str) -> Option<&StageReport> {
        self.stages.iter().find(|stage| stage.name == name)
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

fn some_seconds<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    duration.as_ref().map(Duration::as_secs_f64).serialize(serializer)
}

fn nanos<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(Timestamp::as_nanos).serialize(serializer)
}

/// A table, one line a row, and below a row what it lost and how far event time has come in it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24} {:<6} {:>10} {:>10} {:>8} {:>10} {:>9} {:>9} {:>9}",
            self.pipeline, "kind", "in", "out", "lost", "most held", "busy", "starved", "blocked"
        )?;
        for stage in &self.stages {
            writeln!(
                f,
                "{:<24} {:<6} {:>10} {:>10} {:>8} {:>10} {:>8.3}s {:>8.3}s {:>8.3}s",
                stage.name,
                stage.kind,
                stage.items_in,
                stage.items_out,
                stage.lost(),
                stage.held_high_water,
                stage.busy.as_secs_f64(),
                stage.starved.as_secs_f64(),
                stage.blocked.as_secs_f64(),
            )?;
            for (reason, items) in &stage.dropped {
                writeln!(f, "{:<31} {items} {reason}", "")?;
            }
            if let (Some(watermark), Some(lag)) = (stage.watermark, stage.watermark_lag) {
                writeln!(f, "{:<31} watermark {watermark}, {:.3}s behind", "", lag.as_secs_f64())?;
            }
        }
        write!(f, "{:.3} s", self.elapsed.as_secs_f64())
    }
}
