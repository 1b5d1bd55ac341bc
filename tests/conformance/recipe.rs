//! [`Recipe`]: a stream that is not built yet. Each time it is built is a subscription of its own.

use std::fmt;
use std::sync::Arc;

use crate::value::{Node, Value};

/// The arguments of the callbacks around a stream, the innermost first.
#[derive(Clone, Default)]
pub struct Env(Option<Arc<Frame>>);

struct Frame {
    arguments: Vec<Value>,
    outer: Env,
}

impl Env {
    /// Within one more callback.
    pub fn within(&self, arguments: &[Value]) -> Self {
        Self(Some(Arc::new(Frame { arguments: arguments.to_vec(), outer: self.clone() })))
    }

    /// What `$arg1` and `$arg0^1` stand for.
    pub fn argument(&self, name: &str) -> Result<&Value, String> {
        let unknown = || format!("unknown stream `{name}`");
        let (index, level) = match name.strip_prefix("$arg").ok_or_else(unknown)?.split_once('^') {
            Some((index, level)) => (index, level.parse::<usize>().map_err(|_| unknown())?),
            None => (name.strip_prefix("$arg").ok_or_else(unknown)?, 0),
        };
        let index: usize = index.parse().map_err(|_| unknown())?;
        let mut env = self;
        for _ in 0..level {
            env = &env.0.as_ref().ok_or_else(unknown)?.outer;
        }
        let frame = env.0.as_ref().ok_or_else(unknown)?;
        frame.arguments.get(index).ok_or_else(unknown)
    }
}

/// A stream of a case, with what it needs to be built.
#[derive(Clone)]
pub struct Recipe {
    pub kind: Kind,
    pub env: Env,
}

#[derive(Clone)]
pub enum Kind {
    /// As the case describes it.
    Described(Node),
    /// These items at once, then the end: an array where a stream is expected.
    Items(Vec<Value>),
    /// A stream that an operator made, such as that of the errors for `retryWhen`.
    Made(Arc<dyn Fn() -> crate::Stream + Send + Sync>),
}

impl Recipe {
    pub fn new(node: Node, env: Env) -> Self {
        Self { kind: Kind::Described(node), env }
    }

    pub fn items(items: Vec<Value>) -> Self {
        Self { kind: Kind::Items(items), env: Env::default() }
    }

    pub fn made(make: impl Fn() -> crate::Stream + Send + Sync + 'static) -> Self {
        Self { kind: Kind::Made(Arc::new(make)), env: Env::default() }
    }
}

/// No two streams are equal: no case compares them.
impl PartialEq for Recipe {
    fn eq(&self, _: &Self) -> bool {
        false
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Described(node) => write!(f, "stream {node}"),
            Kind::Items(items) => write!(f, "stream of {items:?}"),
            Kind::Made(_) => f.write_str("stream"),
        }
    }
}
