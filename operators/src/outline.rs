//! [`Outline`]: what a flow is made of, readable before it runs.

use std::fmt;
use std::panic::Location;

use crate::Stage;

/// Where a stage was assembled: file and line of the call that added it.
pub type Site = &'static Location<'static>;

/// How many items a stage may hold at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At most this many items.
    Items(usize),
    /// At most one item for each distinct key that the input brings.
    PerKey,
    /// Decided by code that the library cannot see into, such as a stream handed to
    /// [`flow`](crate::flow()) or a vector that [`collect`](crate::Flow::collect) fills.
    Unknown,
}

impl Bound {
    /// The bound of two stages together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Items(a), Self::Items(b)) => Self::Items(a.saturating_add(b)),
            (Self::Unknown, _) | (_, Self::Unknown) => Self::Unknown,
            (Self::PerKey, _) | (_, Self::PerKey) => Self::PerKey,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items(0) => f.write_str("holds nothing"),
            Self::Items(1) => f.write_str("holds 1 item"),
            Self::Items(n) => write!(f, "holds {n} items"),
            Self::PerKey => f.write_str("holds 1 item per key"),
            Self::Unknown => f.write_str("holds as its author decided"),
        }
    }
}

/// One stage in an [`Outline`].
#[derive(Debug, Clone)]
pub struct Node {
    name: &'static str,
    site: Option<Site>,
    parameters: Vec<(&'static str, String)>,
    bound: Bound,
    inputs: Vec<Node>,
}

impl Node {
    /// Adds a parameter, shown as `name: value`.
    pub fn parameter(&mut self, name: &'static str, value: impl fmt::Display) -> &mut Self {
        self.parameters.push((name, value.to_string()));
        self
    }

    /// Declares how many items the stage may hold; a stage that says nothing holds none.
    pub fn holds(&mut self, bound: Bound) -> &mut Self {
        self.bound = bound;
        self
    }

    /// The name of the operator.
    pub fn name(&self) -> &str {
        self.name
    }

    /// Where it was assembled.
    pub fn site(&self) -> Option<Site> {
        self.site
    }

    /// Its parameters, in the order of the method's arguments.
    pub fn parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        self.parameters.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// How many items it may hold.
    pub fn bound(&self) -> Bound {
        self.bound
    }

    /// The stages that feed it.
    pub fn inputs(&self) -> &[Node] {
        &self.inputs
    }

    fn total(&self) -> Bound {
        self.inputs.iter().map(Node::total).fold(self.bound, Bound::and)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        for (index, input) in self.inputs.iter().enumerate() {
            if self.inputs.len() == 1 {
                input.write(f, depth)?;
            } else {
                writeln!(f, "{:indent$}[{index}]", "", indent = 2 * depth + 2)?;
                input.write(f, depth + 2)?;
            }
        }
        let mut line = String::from(self.name);
        if !self.parameters.is_empty() {
            let list: Vec<_> = self.parameters().map(|(n, v)| format!("{n}: {v}")).collect();
            line += &format!("({})", list.join(", "));
        }
        write!(f, "{:indent$}{line:<36} {}", "", self.bound, indent = 2 * depth)?;
        match self.site {
            Some(site) => writeln!(f, "  at {}:{}", site.file(), site.line()),
            None => writeln!(f),
        }
    }
}

/// What a flow is made of: a tree of stages, the last one at its root.
///
/// Printed with `Display`, one line a stage from the source down, then the bound of the whole.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    last: Option<Node>,
}

impl Outline {
    /// The outline of a stage and everything above it.
    pub fn of<S: Stage + ?Sized>(stage: &S) -> Self {
        let mut outline = Self::default();
        stage.describe(&mut outline);
        outline
    }

    /// Adds a stage below what was described so far. Called last in
    /// [`Stage::describe`](crate::Stage::describe), after the upstream described itself.
    pub fn stage(&mut self, name: &'static str, site: Site) -> &mut Node {
        let inputs = self.last.take().into_iter().collect();
        self.put(name, Some(site), inputs)
    }

    /// Adds a stage that joins several inputs, each described on its own.
    pub fn join(
        &mut self,
        name: &'static str,
        site: Site,
        inputs: impl IntoIterator<Item = Outline>,
    ) -> &mut Node {
        let inputs = self.last.take().into_iter().chain(inputs.into_iter().filter_map(|o| o.last));
        let inputs = inputs.collect();
        self.put(name, Some(site), inputs)
    }

    fn put(&mut self, name: &'static str, site: Option<Site>, inputs: Vec<Node>) -> &mut Node {
        self.last.insert(Node {
            name,
            site,
            parameters: Vec::new(),
            bound: Bound::Items(0),
            inputs,
        })
    }

    /// The last stage; `None` if nothing was described.
    pub fn last(&self) -> Option<&Node> {
        self.last.as_ref()
    }

    /// How many items all stages together may hold.
    pub fn bound(&self) -> Bound {
        self.last.as_ref().map_or(Bound::Items(0), Node::total)
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(last) = &self.last {
            last.write(f, 0)?;
        }
        write!(f, "in all: {}", self.bound())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{Overflow, flow, iter};

    #[test]
    fn bounds_add_up_and_the_least_certain_one_decides() {
        let bounds = [Bound::Items(2), Bound::PerKey, Bound::Unknown];
        for (index, a) in bounds.into_iter().enumerate() {
            for b in &bounds[..index] {
                assert_eq!((a.and(*b), b.and(a)), (a, a));
            }
        }
        assert_eq!(Bound::Items(2).and(Bound::Items(3)), Bound::Items(5));
        assert_eq!(Bound::Items(usize::MAX).and(Bound::Items(1)), Bound::Items(usize::MAX));
    }

    #[test]
    fn a_line_for_each_stage_from_the_source_down_and_the_bound_of_all() {
        let here = line!() + 1;
        let flow = iter(0..9).delay(Duration::from_millis(2), 5).buffer(3, Overflow::Latest);
        let text = flow.outline().to_string();
        let lines: Vec<_> = text.lines().collect();
        assert!(lines[0].starts_with("iter "), "{text}");
        assert!(lines[1].starts_with("delay(by: 2ms, capacity: 5)"), "{text}");
        assert!(lines[1].ends_with(&format!("holds 5 items  at {}:{here}", file!())), "{text}");
        assert!(lines[2].starts_with("buffer(capacity: 3, policy: Latest)"), "{text}");
        assert_eq!(lines[3..], ["in all: holds 8 items"]);
    }

    #[test]
    fn the_inputs_of_a_join_are_numbered_and_count_for_the_whole() {
        let joined = iter(0..9).pairwise().zip(flow(futures::stream::empty::<u8>()));
        let outline = joined.outline();
        let zip = outline.last().unwrap();
        let names: Vec<_> = zip.inputs().iter().map(Node::name).collect();
        assert_eq!((zip.name(), names), ("zip", vec!["pairwise", "stream"]));
        assert_eq!(outline.bound(), Bound::Unknown);
        let text = outline.to_string();
        let marks: Vec<_> = text.lines().map(str::trim).filter(|l| l.starts_with('[')).collect();
        assert_eq!(marks, ["[0]", "[1]"]);
    }
}
