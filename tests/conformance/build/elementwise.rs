//! Item by item.

use aqueduct::transform::Notification;
use aqueduct::{from_future, using};

use super::combining::AHEAD;
use super::{Built, Op};
use crate::sources::now;
use crate::value::{self, Value};
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "map" => {
            let project = op.needed("project")?;
            op.over(|items, region| {
                let mut project = region.function(project);
                items.map(move |item| project.of(&item))
            })
        }
        "filter" => {
            let predicate = op.needed("predicate")?;
            op.over(|items, region| {
                let mut predicate = region.function(predicate);
                items.filter(move |item| predicate.test(item))
            })
        }
        "scan" => {
            let accumulator = op.needed("accumulator")?;
            match op.value("seed")? {
                Some(seed) => op.over(|items, region| {
                    let mut add = region.function(accumulator);
                    items.scan(seed, move |state, item| add.add(state, item))
                }),
                None => op.over(|items, region| {
                    let mut add = region.function(accumulator);
                    items.scan_map(None, move |state: &mut Option<Value>, item| {
                        *state = Some(add.add_or_begin(state.take(), item));
                        state.clone()
                    })
                }),
            }
        }
        "reduce" => {
            let accumulator = op.needed("accumulator")?;
            let seed = op.value("seed")?;
            op.over(|items, region| {
                let mut add = region.function(accumulator);
                let last = items.fold(seed, move |state, item| Some(add.add_or_begin(state, item)));
                from_future(last).filter_map(|state| state)
            })
        }
        "tap" => {
            let next = op.callback("next")?;
            op.over(|items, region| {
                let mut next = next.map(|next| region.function(next));
                items.inspect(move |item| {
                    if let Some(next) = &mut next {
                        next.of(item);
                    }
                })
            })
        }
        "finalize" => {
            let (input, world) = (op.input()?, op.world.clone());
            let note = move |()| world.finalized().lock().push(now());
            Ok(using(|| (), |()| input, note).boxed())
        }
        "pairwise" => op.over(|items, _| items.pairwise().map(|(a, b)| Value::List(vec![a, b]))),
        "startWith" => {
            let values = op.values("values")?.unwrap_or_default();
            op.over(|items, _| items.prepend(values))
        }
        "endWith" => {
            let values = op.values("values")?.unwrap_or_default();
            op.over(|items, _| items.append(values))
        }
        "defaultIfEmpty" => {
            let value = op.value("value")?.unwrap_or(Value::Null);
            op.over(|items, _| items.default_if_empty(value))
        }
        "throwIfEmpty" => {
            let error = op.value("error")?.unwrap_or_else(|| Value::error("EmptyError"));
            Ok(op.input()?.fail_if_empty(error).boxed())
        }
        "ignoreElements" => op.over(|items, _| items.ignore_items()),
        "toArray" => op.over(|items, _| from_future(items.collect()).map(Value::List)),
        "materialize" => {
            let told = op.input()?.materialize();
            Ok(told.map(|told| Ok(value::Notification::from(told).into())).boxed())
        }
        "dematerialize" => op.over(|items, region| {
            let world = region.world.clone();
            let told = items.map(move |item| match item {
                Value::Notification(told) => (*told).into(),
                other => {
                    world.fail(format!("{other:?} is no notification"));
                    Notification::End
                }
            });
            region.errors.ok(told.dematerialize())
        }),
        "distinct" => distinct(op),
        "distinctUntilChanged" => distinct_until_changed(op),
        _ => return Ok(None),
    };
    built.map(Some)
}

fn distinct_until_changed(op: &Op) -> Built {
    let (key, comparator) = (op.callback("key")?, op.callback("comparator")?);
    op.over(|items, region| {
        let key = key.map(|key| region.function(key));
        let key = move |item: &Value| match &key {
            Some(key) => key.call(std::slice::from_ref(item)),
            None => item.clone(),
        };
        let same = comparator.map(|same| region.function(same));
        items.dedup_by(move |last, item| {
            let (last, item) = (key(last), key(item));
            match &same {
                Some(same) => same.call(&[last, item]).is_truthy(),
                None => last == item,
            }
        })
    })
}

fn distinct(op: &Op) -> Built {
    let (key, flushes) = (op.callback("key")?, op.stream("flushes")?);
    op.over(|items, region| {
        let key = key.map(|key| region.function(key));
        // Equal values are written alike.
        let key = move |item: &Value| match &key {
            Some(key) => format!("{:?}", key.call(std::slice::from_ref(item))),
            None => format!("{item:?}"),
        };
        match flushes {
            Some(flushes) => items.distinct_flushed(AHEAD, key, region.build(&flushes)).boxed(),
            None => items.distinct_by_key(AHEAD, key).boxed(),
        }
    })
}

impl From<Notification<Value, Value>> for value::Notification {
    fn from(told: Notification<Value, Value>) -> Self {
        match told {
            Notification::Item(item) => Self::Next(item),
            Notification::Error(error) => Self::Error(error),
            Notification::End => Self::Complete,
        }
    }
}

impl From<value::Notification> for Notification<Value, Value> {
    fn from(told: value::Notification) -> Self {
        match told {
            value::Notification::Next(item) => Self::Item(item),
            value::Notification::Error(error) => Self::Error(error),
            value::Notification::Complete => Self::End,
        }
    }
}
