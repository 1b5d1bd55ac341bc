//! Several streams to one.

use aqueduct::combine::{combine_latest_all, join_all, merge, race, zip_all};
use aqueduct::{Flow, Stage, from_future, iter, never};

use super::op::{Function, Items, Region};
use super::{Built, Op};
use crate::callbacks::Callback;
use crate::value::Value;
use crate::world::Problem;

/// How far an input may run ahead where the original queues without bound: further than any case.
pub const AHEAD: usize = 1_000;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "concat" => op.several(|inputs, _| iter(inputs).flatten()),
        "merge" => match op.count("concurrency")? {
            None => op.several(|inputs, _| merge(inputs)),
            Some(limit) => op.several(move |inputs, _| iter(inputs).flatten_merge(limit)),
        },
        "race" => op.several(|inputs, _| race(inputs)),
        "zip" => {
            let project = op.callback("project")?;
            let pull = op.world.has_tag("pull-order");
            op.several(|inputs, region| {
                let project = Project::new(project, &region);
                zip(inputs, pull).map(move |row| project.of(row))
            })
        }
        "combineLatest" => {
            let (project, keys) = (op.callback("project")?, op.values("keys")?);
            op.several(|inputs, region| {
                let project = Project::new(project, &region);
                let rows = combine_latest_all(inputs).until_all_end();
                rows.map(move |row| project.of(named(row, &keys)))
            })
        }
        "forkJoin" => {
            let (project, keys) = (op.callback("project")?, op.values("keys")?);
            op.several(|inputs, region| {
                let project = Project::new(project, &region);
                join_all(inputs).map(move |row| project.of(named(row, &keys)))
            })
        }
        "withLatestFrom" => {
            let project = op.callback("project")?;
            op.several(|mut inputs, region| {
                let project = Project::new(project, &region);
                let others = inputs.split_off(1.min(inputs.len()));
                // The end of the others means nothing, also if they had no item at all.
                let latest = combine_latest_all(others).until_all_end().chain(never());
                let rows = iter(inputs).flatten().with_latest_from(latest);
                rows.map(move |(item, others)| {
                    project.of(Value::List([vec![item], others].concat()))
                })
            })
        }
        "zipAll" => {
            let project = op.callback("project")?;
            op.over(|outer, region| {
                let project = Project::new(project, &region);
                let inner = region.clone();
                let rows = from_future(outer.collect::<Vec<_>>()).map(move |streams| {
                    zip(streams.iter().map(|stream| inner.stream(stream)).collect(), false)
                });
                rows.flatten().map(move |row| project.of(row))
            })
        }
        "combineLatestAll" => {
            let project = op.callback("project")?;
            op.over(|outer, region| {
                let project = Project::new(project, &region);
                let inner = region.clone();
                let rows = from_future(outer.collect::<Vec<_>>()).map(move |streams| {
                    combine_latest_all(streams.iter().map(|stream| inner.stream(stream)))
                        .until_all_end()
                });
                rows.flatten().map(move |row| project.of(Value::List(row)))
            })
        }
        _ => return Ok(None),
    };
    built.map(Some)
}

impl Op {
    /// A part over the items of all inputs.
    fn several<P>(&self, part: impl FnOnce(Vec<Items>, Region) -> Flow<P>) -> Built
    where
        P: Stage<Item = Value> + Send + 'static,
    {
        let inputs = self.inputs()?;
        self.region(|region| {
            let inputs = inputs.into_iter().map(|input| region.items(input)).collect();
            part(inputs, region)
        })
    }
}

/// Rows of the items at the same place. In the original the inputs do not wait for each other: an
/// error comes at once even if its input is ahead.
fn zip(inputs: Vec<Items>, pull: bool) -> Flow<impl Stage<Item = Value> + Send + 'static> {
    let inputs = inputs.into_iter().map(move |input| match pull {
        true => input.boxed(),
        false => input.prefetch(AHEAD).boxed(),
    });
    zip_all(inputs).map(Value::List)
}

/// What becomes of a row: a list, or what a function makes of its items.
struct Project(Option<Function>);

impl Project {
    fn new(callback: Option<Callback>, region: &Region) -> Self {
        Self(callback.map(|callback| region.function(callback)))
    }

    fn of(&self, row: Value) -> Value {
        match (&self.0, row) {
            (Some(project), Value::List(row)) => project.call(&row),
            (Some(project), row) => project.call(&[row]),
            (None, row) => row,
        }
    }
}

/// An object with the keys that were given, else the list.
fn named(row: Vec<Value>, keys: &Option<Vec<Value>>) -> Value {
    match keys {
        Some(keys) => Value::Object(keys.iter().map(Value::to_text).zip(row).collect()),
        None => Value::List(row),
    }
}
