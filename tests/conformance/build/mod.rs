//! From the names of RxJS to our operators: a table for those who come from there.
//!
//! An error of RxJS is an `Err` item here, and its operators run over the `Ok` items in a region
//! ([`try_via`](aqueduct::Flow::try_via)) that discards what it holds at the first error.

mod buffers;
mod combining;
mod creation;
mod elementwise;
mod flattening;
mod op;
mod recovery;
mod sharing;
mod slicing;
mod swift;
mod time;

use aqueduct::iter;

pub use op::Op;

use crate::Stream;
use crate::recipe::{Kind, Recipe};
use crate::value::Value;
use crate::world::{Problem, Reason, World};

/// What an operator of a case becomes.
pub type Built = Result<Stream, Problem>;

/// Builds a stream; that is a subscription of its own, which begins at the first poll.
pub fn build(world: &World, recipe: &Recipe) -> Built {
    let node = match &recipe.kind {
        Kind::Described(node) => node,
        Kind::Items(items) => return Ok(iter(items.clone()).map(Ok).boxed()),
        Kind::Made(make) => return Ok(make()),
    };
    let Some(name) = node.as_str() else {
        let op = Op::read(world, node, &recipe.env)?;
        let built = operator(&op)?;
        op.finish()?;
        return Ok(built);
    };
    match name {
        "$shared" => match world.shared() {
            Some(shared) => build(world, &shared),
            None => Err("`$shared` without observers".into()),
        },
        name if name.starts_with("$arg") => stream(world, recipe.env.argument(name)?),
        name => match world.sources().flow(name) {
            Some(source) => Ok(source.boxed()),
            None => Err(format!("unknown source `{name}`").into()),
        },
    }
}

/// Builds a value that stands where a stream is expected.
pub fn stream(world: &World, value: &Value) -> Built {
    match value {
        Value::Stream(recipe) => build(world, recipe),
        Value::List(items) => build(world, &Recipe::items(items.clone())),
        Value::Text(text) => build(world, &Recipe::items(text.chars().map(Value::text).collect())),
        other => Err(format!("{other:?} is no stream").into()),
    }
}

fn operator(op: &Op) -> Built {
    for family in [
        creation::build,
        elementwise::build,
        slicing::build,
        flattening::build,
        combining::build,
        recovery::build,
        sharing::build,
        time::build,
        buffers::build,
        swift::build,
    ] {
        if let Some(built) = family(op)? {
            return Ok(built);
        }
    }
    match op.name() {
        name if name.starts_with("window") => Err(Problem::NotApplicable(Reason::Windows)),
        "groupBy" => Err(Problem::NotApplicable(Reason::Groups)),
        name => Err(format!("unknown operator `{name}`").into()),
    }
}
