//! [`PipelineOutline`]: what a pipeline is made of.

use std::fmt::{self, Write};

use crate::{Bound, Node as Stage, Outline};

use super::edge::{BRANCH, EDGE};
use super::graph::Parts;
use super::report::Kind;

/// What a pipeline is made of: nodes with their flows, edges with capacity and policy, the bound
/// of it all, and the diamonds in it.
///
/// `Display` gives text; [`mermaid`](Self::mermaid) gives a diagram.
#[derive(Debug, Clone)]
pub struct PipelineOutline {
    name: &'static str,
    nodes: Vec<NodeOutline>,
    edges: Vec<EdgeOutline>,
}

#[derive(Debug, Clone)]
struct NodeOutline {
    name: &'static str,
    kind: Kind,
    flow: Outline,
}

#[derive(Debug, Clone)]
struct EdgeOutline {
    from: usize,
    to: Option<usize>,
    name: &'static str,
    capacity: usize,
    policy: &'static str,
    bound: Bound,
    timed: bool,
}

impl PipelineOutline {
    pub(super) fn of(name: &'static str, parts: &Parts) -> Self {
        let nodes = parts.nodes.iter().map(|node| NodeOutline {
            name: node.name,
            kind: node.kind,
            flow: node.outline.clone(),
        });
        let mut edges: Vec<_> = parts
            .edges
            .iter()
            .map(|edge| EdgeOutline {
                from: edge.from,
                to: None,
                name: edge.name,
                capacity: edge.capacity.get(),
                policy: edge.policy,
                bound: edge.bound,
                timed: edge.timed,
            })
            .collect();
        for (index, node) in parts.nodes.iter().enumerate() {
            each_edge(node.outline.last(), &mut |id| {
                if let Some(edge) = edges.get_mut(id) {
                    edge.to = Some(index);
                }
            });
        }
        Self { name, nodes: nodes.collect(), edges }
    }

    /// How many items the whole pipeline may hold, all edges and all stages.
    pub fn bound(&self) -> Bound {
        let edges = self.edges.iter().map(|edge| edge.bound);
        self.nodes
            .iter()
            .map(|node| node.flow.bound())
            .chain(edges)
            .fold(Bound::Items(0), Bound::and)
    }

    /// The pipeline as a Mermaid flowchart.
    pub fn mermaid(&self) -> String {
        let mut text = String::from("flowchart LR\n");
        for (index, node) in self.nodes.iter().enumerate() {
            let (open, close) = match node.kind {
                Kind::Source => ("([", "])"),
                Kind::Sink => ("[(", ")]"),
                Kind::Stage | Kind::Edge => ("[", "]"),
            };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "    n{index}{open}\"{}\"{close}", node.name);
        }
        for edge in &self.edges {
            let Some(to) = edge.to else { continue };
            let label = format!("{} {} {}", edge.name, edge.capacity, edge.policy);
            let _ = writeln!(text, "    n{} -->|\"{label}\"| n{to}", edge.from);
        }
        text
    }

    /// The indices of the edges that a node reads.
    pub(super) fn edges_into(&self, node: usize) -> impl Iterator<Item = usize> {
        let edges = self.edges.iter().enumerate();
        edges.filter(move |(_, edge)| edge.to == Some(node)).map(|(id, _)| id)
    }

    /// The node that reads an edge.
    pub(super) fn end_of(&self, edge: usize) -> Option<usize> {
        self.edges.get(edge)?.to
    }

    /// Nodes at which ways that parted come together again.
    fn diamonds(&self) -> impl Iterator<Item = Diamond<'_>> {
        self.nodes.iter().enumerate().flat_map(|(at, node)| {
            let edges: Vec<_> = self.edges_into(at).map(|id| &self.edges[id]).collect();
            let mut found = Vec::new();
            for (index, a) in edges.iter().enumerate() {
                for b in &edges[index + 1..] {
                    let above = self.above(a.from);
                    if let Some(&split) =
                        self.above(b.from).iter().filter(|node| above.contains(node)).max()
                    {
                        let split = self.nodes[split].name;
                        let timed = a.timed && b.timed;
                        found.push(Diamond {
                            split,
                            join: node.name,
                            edges: [a.name, b.name],
                            timed,
                        });
                    }
                }
            }
            found
        })
    }

    /// A node and all from which it is reached. Edges lead only to nodes added later.
    fn above(&self, node: usize) -> Vec<usize> {
        let mut above = vec![node];
        let mut next = 0;
        while let Some(&node) = above.get(next) {
            next += 1;
            for edge in self.edges_into(node) {
                let from = self.edges[edge].from;
                if !above.contains(&from) {
                    above.push(from);
                }
            }
        }
        above
    }
}

struct Diamond<'a> {
    split: &'a str,
    join: &'a str,
    edges: [&'a str; 2],
    timed: bool,
}

fn each_edge(stage: Option<&Stage>, found: &mut impl FnMut(usize)) {
    let Some(stage) = stage else { return };
    if stage.name() == BRANCH
        && let Some((_, id)) = stage.parameters().find(|(name, _)| *name == EDGE)
        && let Ok(id) = id.parse()
    {
        found(id);
    }
    for input in stage.inputs() {
        each_edge(Some(input), found);
    }
}

impl fmt::Display for PipelineOutline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "pipeline {}", self.name)?;
        for (index, node) in self.nodes.iter().enumerate() {
            writeln!(f, "{} {}", node.kind, node.name)?;
            let flow = node.flow.to_string();
            let stages = flow.lines().filter(|line| !line.starts_with("in all: "));
            for stage in stages {
                writeln!(f, "    {stage}")?;
            }
            for edge in self.edges.iter().filter(|edge| edge.from == index) {
                let to = edge.to.map_or("nowhere", |to| self.nodes[to].name);
                let timed = if edge.timed { ", with time" } else { "" };
                let way = format!("{} to {to}", edge.name);
                writeln!(f, "  > {way:<36} {} {}{timed}", edge.capacity, edge.policy)?;
            }
        }
        for diamond in self.diamonds() {
            let [a, b] = diamond.edges;
            write!(f, "diamond: {} to {} by {a} and {b}; ", diamond.split, diamond.join)?;
            match diamond.timed {
                true => writeln!(f, "time passes on both, so neither waits for a silent one")?,
                false => writeln!(f, "a join by time would wait: make both timed branches")?,
            }
        }
        writeln!(f, "loops: none, an edge leads only to a node that was added after it")?;
        write!(f, "in all: {}", self.bound())
    }
}
