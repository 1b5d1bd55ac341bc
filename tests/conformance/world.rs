//! [`World`]: what all parts of a case share while it runs.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use crate::cell::Cell;
use crate::marble::Frame;
use crate::recipe::Recipe;
use crate::sources::Sources;
use crate::value::Node;

/// Why a case does not pass.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    Failed(String),
    NotApplicable(Reason),
}

/// Why a case cannot be asked of this library at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// Windows as streams of streams are refused; there are aggregating windows.
    Windows,
    /// Groups as streams of streams are refused; there are states for each key.
    Groups,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Windows => f.write_str("streams of windows are refused (1c)"),
            Self::Groups => f.write_str("streams of groups are refused (1c)"),
        }
    }
}

impl From<String> for Problem {
    fn from(message: String) -> Self {
        Self::Failed(message)
    }
}

impl From<&str> for Problem {
    fn from(message: &str) -> Self {
        Self::Failed(message.to_owned())
    }
}

/// What all parts of a case share while it runs.
#[derive(Clone, Default)]
pub struct World(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sources: Sources,
    problem: Cell<Option<Problem>>,
    calls: Cell<HashMap<usize, usize>>,
    hubs: Cell<HashMap<usize, Arc<dyn std::any::Any + Send + Sync>>>,
    finalized: Cell<Vec<Frame>>,
    shared: Cell<Option<Recipe>>,
    tags: Cell<Vec<&'static str>>,
}

impl World {
    pub fn sources(&self) -> &Sources {
        &self.0.sources
    }

    pub fn set_tags(&self, tags: Vec<&'static str>) {
        *self.0.tags.lock() = tags;
    }

    pub fn has_tag(&self, tag: &str) -> bool {
        self.0.tags.lock().contains(&tag)
    }

    /// What `$shared` stands for.
    pub fn shared(&self) -> Option<Recipe> {
        self.0.shared.lock().clone()
    }

    pub fn share(&self, recipe: Recipe) {
        *self.0.shared.lock() = Some(recipe);
    }

    /// The first problem that came up inside the run.
    pub fn problem(&self) -> Option<Problem> {
        self.0.problem.lock().clone()
    }

    pub fn fail(&self, problem: impl Into<Problem>) {
        self.0.problem.lock().get_or_insert(problem.into());
    }

    /// How often the function at this place in the case was called before.
    pub fn count_call(&self, node: Node) -> usize {
        let mut calls = self.0.calls.lock();
        let calls = calls.entry(std::ptr::from_ref(node).addr()).or_default();
        *calls += 1;
        *calls - 1
    }

    /// What all subscriptions to the operator at this place in the case share.
    pub fn hub<H: Send + Sync + 'static>(&self, node: Node, make: impl FnOnce() -> H) -> Arc<H> {
        let place = std::ptr::from_ref(node).addr();
        if let Some(hub) = self.0.hubs.lock().get(&place)
            && let Ok(hub) = hub.clone().downcast()
        {
            return hub;
        }
        let hub = Arc::new(make());
        self.0.hubs.lock().insert(place, hub.clone());
        hub
    }

    /// The frames at which the callback of `finalize` ran.
    pub fn finalized(&self) -> &Cell<Vec<Frame>> {
        &self.0.finalized
    }
}
