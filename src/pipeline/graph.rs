//! [`Pipeline`]: the assembly of nodes and edges.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_sink::Sink;

use crate::buffer::Policy;
use crate::window::Values;
use crate::{Bound, Budget, Clock, Flow, Outline, Site, Stage, Timestamp};

use super::edge::{AnyEdge, Branch, Edge, Port, Selecting, Stamped};
use super::node::{Driver, Feed, TimeOf};
use super::outline::PipelineOutline;
use super::report::{Kind, Report, StageReport};
use super::run::{Cause, Failure, Mode, RunError};
use super::stats::{Metered, NodeStats};

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Work = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// Named sources, stages and sinks, and the edges between them: see the [module](super).
#[derive(Debug)]
#[must_use = "a pipeline does nothing until it is run"]
pub struct Pipeline {
    graph: Arc<Graph>,
}

/// What the pipeline, its nodes and its probes share.
pub(super) struct Graph {
    pub(super) name: &'static str,
    pub(super) parts: Mutex<Parts>,
    pub(super) failure: Arc<Failure>,
}

#[derive(Default)]
pub(super) struct Parts {
    pub(super) nodes: Vec<NodeEntry>,
    pub(super) edges: Vec<EdgeEntry>,
    /// When the run began and, once it is over, when it ended, on the live clock.
    pub(super) started: Option<Timestamp>,
    pub(super) ended: Option<Timestamp>,
}

pub(super) struct NodeEntry {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) outline: Outline,
    pub(super) stats: Arc<NodeStats>,
    /// Makes the task of the node, once.
    pub(super) start: Option<Box<dyn FnOnce() -> Work + Send>>,
}

pub(super) struct EdgeEntry {
    /// The index of the node that it leaves.
    pub(super) from: usize,
    pub(super) name: &'static str,
    pub(super) capacity: NonZeroUsize,
    pub(super) policy: &'static str,
    pub(super) bound: Bound,
    pub(super) timed: bool,
    pub(super) edge: Arc<dyn AnyEdge>,
}

impl Graph {
    pub(super) fn parts(&self) -> MutexGuard<'_, Parts> {
        // No code of the user runs under this lock but constructors of tasks, before a run.
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn report(&self) -> Report {
        let parts = self.parts();
        let until = parts.ended.unwrap_or_else(|| Clock::live().now());
        let elapsed = until - parts.started.unwrap_or(until);
        let outline = PipelineOutline::of(self.name, &parts);
        let mut stages = Vec::new();
        for (index, node) in parts.nodes.iter().enumerate() {
            let counts = node.stats.read();
            let delivered = |edge: &usize| parts.edges[*edge].edge.counts().delivered;
            let items_in = match node.kind {
                Kind::Sink => outline.edges_into(index).map(|edge| delivered(&edge)).sum(),
                // Not a counter of its own, so that it adds up whenever somebody looks.
                _ => counts.given + counts.unrouted,
            };
            stages.push(StageReport {
                name: node.name.into(),
                kind: node.kind,
                items_in,
                items_out: counts.given,
                dropped: reasons([("unrouted", counts.unrouted)]),
                held: 0,
                held_high_water: 0,
                capacity: None,
                busy: counts.busy,
                starved: counts.starved,
                blocked: counts.blocked,
                watermark: counts.event_time.map(|time| time.watermark),
                watermark_lag: counts.event_time.map(|time| time.lag),
            });
            for edge in parts.edges.iter().filter(|edge| edge.from == index) {
                let counts = edge.edge.counts();
                stages.push(StageReport {
                    name: format!("{}.{}", node.name, edge.name),
                    kind: Kind::Edge,
                    items_in: counts.accepted,
                    items_out: counts.delivered,
                    dropped: reasons([
                        ("dropped_oldest", counts.dropped_oldest),
                        ("dropped_newest", counts.dropped_newest),
                        ("replaced", counts.replaced),
                        ("refused", counts.refused),
                        ("discarded", counts.discarded),
                    ]),
                    held: counts.held,
                    held_high_water: counts.high_water,
                    capacity: Some(edge.capacity.get()),
                    busy: Default::default(),
                    starved: Default::default(),
                    blocked: edge.edge.blocked(),
                    watermark: None,
                    watermark_lag: None,
                });
            }
        }
        Report { pipeline: self.name, elapsed, stages }
    }
}

fn reasons<const N: usize>(
    counts: [(&'static str, u64); N],
) -> std::collections::BTreeMap<&'static str, u64> {
    counts.into_iter().filter(|(_, items)| *items > 0).collect()
}

impl fmt::Debug for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Graph").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Pipeline {
    /// An empty pipeline.
    pub fn new(name: &'static str) -> Self {
        let graph = Graph { name, parts: Mutex::default(), failure: Arc::default() };
        Self { graph: Arc::new(graph) }
    }

    /// Adds a source whose items have the time at which they come, on the clock of the run.
    #[track_caller]
    pub fn source<S>(&mut self, name: &'static str, flow: Flow<S>) -> Node<S::Item>
    where
        S: Stage<Item: Send> + Send + 'static,
    {
        self.node(name, Kind::Source, flow, None)
    }

    /// Adds a source whose items know their time. A time earlier than one before it counts as the
    /// latest so far: time on an edge never goes back.
    #[track_caller]
    pub fn timed_source<S, F>(
        &mut self,
        name: &'static str,
        flow: Flow<S>,
        time: F,
    ) -> Node<S::Item>
    where
        S: Stage<Item: Send> + Send + 'static,
        F: FnMut(&S::Item) -> Timestamp + Send + 'static,
    {
        self.node(name, Kind::Source, flow, Some(Box::new(time)))
    }

    /// Adds a stage: a flow over branches of other nodes, driven by a task of its own, that can
    /// be branched in turn. Its items have the time at which they come.
    #[track_caller]
    pub fn stage<S>(&mut self, name: &'static str, flow: Flow<S>) -> Node<S::Item>
    where
        S: Stage<Item: Send> + Send + 'static,
    {
        self.node(name, Kind::Stage, flow, None)
    }

    fn node<S>(
        &mut self,
        name: &'static str,
        kind: Kind,
        flow: Flow<S>,
        time_of: TimeOf<S::Item>,
    ) -> Node<S::Item>
    where
        S: Stage<Item: Send> + Send + 'static,
    {
        let ports: Ports<S::Item> = Arc::default();
        let (outline, stats) = (flow.outline(), Arc::<NodeStats>::default());
        let start = {
            let (ports, stats) = (ports.clone(), stats.clone());
            move || -> Work {
                let ports =
                    std::mem::take(&mut *ports.lock().unwrap_or_else(PoisonError::into_inner));
                let driver = Driver {
                    flow,
                    ports,
                    time_of,
                    clock: None,
                    reached: Timestamp::MIN,
                    stats: stats.clone(),
                };
                let task = Metered::new(driver, stats);
                Box::pin(async move {
                    task.await;
                    Ok(())
                })
            }
        };
        let id = self.add(NodeEntry { name, kind, outline, stats, start: Some(Box::new(start)) });
        Node { id, name, graph: self.graph.clone(), ports }
    }

    /// Adds a sink: a flow over branches, and where its items go. It has a task of its own.
    ///
    /// The sink is flushed only when it is closed, after the last item: one that collects what it
    /// gets decides itself when to send it on.
    #[track_caller]
    pub fn sink<S, K>(&mut self, name: &'static str, flow: Flow<S>, sink: K)
    where
        S: Stage<Item: Send> + Send + 'static,
        K: Sink<S::Item, Error: Into<BoxError>> + Send + 'static,
    {
        let (outline, stats) = (flow.outline(), Arc::<NodeStats>::default());
        let start = {
            let stats = stats.clone();
            move || -> Work {
                let feed = Feed { flow, sink, ended: false, stats: stats.clone() };
                let task = Metered::new(feed, stats);
                Box::pin(async move { task.await.map_err(Into::into) })
            }
        };
        self.add(NodeEntry {
            name,
            kind: Kind::Sink,
            outline,
            stats,
            start: Some(Box::new(start)),
        });
    }

    #[track_caller]
    fn add(&mut self, node: NodeEntry) -> usize {
        let mut parts = self.graph.parts();
        let taken = parts.nodes.iter().any(|other| other.name == node.name);
        assert!(!taken, "pipeline {}: two nodes are called `{}`", self.graph.name, node.name);
        parts.nodes.push(node);
        parts.nodes.len() - 1
    }

    /// What the pipeline is made of: text with `Display`, a diagram with
    /// [`mermaid`](PipelineOutline::mermaid).
    pub fn outline(&self) -> PipelineOutline {
        PipelineOutline::of(self.graph.name, &self.graph.parts())
    }

    /// A handle that reports while the pipeline runs.
    pub fn probe(&self) -> Probe {
        Probe { graph: self.graph.clone() }
    }

    /// Runs the pipeline until every source has ended and every sink has written what came.
    ///
    /// A source is stopped from outside by ending its flow, for example with
    /// [`take_until`](Flow::take_until); what is under way is then finished.
    ///
    /// # Errors
    ///
    /// If a node or a branch leads nowhere, before anything runs; if an edge with the policy
    /// [`Fail`](crate::Fail) overflows, a sink fails, or a run under virtual time stalls: then
    /// the other tasks are stopped where they are.
    ///
    /// # Panics
    ///
    /// If a closure of the user panics, with its panic. Live, outside a tokio runtime.
    pub async fn run(self, mode: Mode) -> Result<Report, RunError> {
        let outcome = self.check().map(|()| self.start(mode));
        let outcome = match outcome {
            Ok(run) => run.await,
            Err(cause) => Err(cause),
        };
        let ended = Clock::live().now();
        self.graph.parts().ended = Some(ended);
        let report = self.graph.report();
        outcome.map(|()| report.clone()).map_err(|cause| RunError { cause, report })
    }

    fn check(&self) -> Result<(), Cause> {
        let parts = self.graph.parts();
        let outline = PipelineOutline::of(self.graph.name, &parts);
        for (index, node) in parts.nodes.iter().enumerate() {
            if node.kind != Kind::Sink && parts.edges.iter().all(|edge| edge.from != index) {
                return Err(Cause::Unbranched { node: node.name });
            }
        }
        for (id, edge) in parts.edges.iter().enumerate() {
            if outline.end_of(id).is_none() {
                let node = parts.nodes[edge.from].name;
                return Err(Cause::Unconnected { node, branch: edge.name });
            }
        }
        Ok(())
    }

    fn start(&self, mode: Mode) -> impl Future<Output = Result<(), Cause>> + use<> {
        let mut parts = self.graph.parts();
        parts.started = Some(Clock::live().now());
        for edge in &parts.edges {
            edge.edge.open(mode.is_lossless());
        }
        let starts = parts.nodes.iter_mut();
        let work = starts.filter_map(|node| Some((node.name, node.start.take()?()))).collect();
        mode.drive(work, self.graph.failure.clone())
    }
}

/// Reports on a pipeline while it runs: see [`Pipeline::probe`].
#[derive(Debug, Clone)]
pub struct Probe {
    graph: Arc<Graph>,
}

impl Probe {
    /// What the pipeline has done so far.
    pub fn report(&self) -> Report {
        self.graph.report()
    }
}

type Ports<T> = Arc<Mutex<Vec<Box<dyn Port<T>>>>>;

/// A source or stage of a [`Pipeline`], to be branched.
pub struct Node<T> {
    id: usize,
    name: &'static str,
    graph: Arc<Graph>,
    ports: Ports<T>,
}

impl<T> fmt::Debug for Node<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.name)
    }
}

impl<T: 'static> Node<T> {
    /// A branch: what `select` makes of the items that it wants, over an edge that holds at most
    /// `capacity` items. Each call makes one more edge, and each edge gets every item that its
    /// own `select` wants. Items that no branch wants are dropped and counted.
    ///
    /// In a replay every edge is lossless: it waits, whatever its policy.
    ///
    /// # Panics
    ///
    /// If `capacity` is zero, or another branch of this node has the same name.
    #[track_caller]
    pub fn branch<U, F, P>(
        &self,
        name: &'static str,
        select: F,
        capacity: usize,
        policy: P,
    ) -> Flow<Values<Branch<U, P>>>
    where
        U: Send + 'static,
        F: FnMut(&T) -> Option<U> + Send + 'static,
        P: Policy<Stamped<U>, Store: Send> + Send + 'static,
    {
        self.connect(name, select, capacity, policy, false, Location::caller()).values()
    }

    /// As [`branch`](Self::branch), with the time of each item, and with watermarks: every item
    /// of the node moves the time of this branch on, also those that go elsewhere. So a join of
    /// two branches never waits for one that is merely silent.
    #[track_caller]
    pub fn timed_branch<U, F, P>(
        &self,
        name: &'static str,
        select: F,
        capacity: usize,
        policy: P,
    ) -> Flow<Branch<U, P>>
    where
        U: Send + 'static,
        F: FnMut(&T) -> Option<U> + Send + 'static,
        P: Policy<Stamped<U>, Store: Send> + Send + 'static,
    {
        self.connect(name, select, capacity, policy, true, Location::caller())
    }

    fn connect<U, F, P>(
        &self,
        name: &'static str,
        select: F,
        capacity: usize,
        policy: P,
        timed: bool,
        site: Site,
    ) -> Flow<Branch<U, P>>
    where
        U: Send + 'static,
        F: FnMut(&T) -> Option<U> + Send + 'static,
        P: Policy<Stamped<U>, Store: Send> + Send + 'static,
    {
        let node = self.name;
        let Some(capacity) = NonZeroUsize::new(capacity) else {
            panic!("{node}.{name}: the capacity must not be zero, at {site}")
        };
        let mut parts = self.graph.parts();
        let taken = parts.edges.iter().any(|edge| edge.from == self.id && edge.name == name);
        assert!(!taken, "{node}: two branches are called `{name}`, at {site}");
        let (label, bound) = (policy.name(), policy.bound(capacity));
        let (id, failure) = (parts.edges.len(), self.graph.failure.clone());
        let edge = Edge::new(id, node, name, capacity, policy, timed, failure, site);
        let edge = Arc::new(edge);
        parts.edges.push(EdgeEntry {
            from: self.id,
            name,
            capacity,
            policy: label,
            bound,
            timed,
            edge: edge.clone(),
        });
        drop(parts);
        let port = Selecting::new(select, edge.clone());
        self.ports.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(port));
        Flow::from_stage(Branch {
            edge,
            told: Timestamp::MIN,
            got: Timestamp::MIN,
            budget: Budget::new(),
        })
    }
}
