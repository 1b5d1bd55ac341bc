//! A stream of streams to one.
//!
//! Where the original takes outer items while an inner stream runs, the outer stream runs ahead
//! ([`prefetch`](aqueduct::Flow::prefetch)), so that its error comes as early as there.

use super::combining::AHEAD;
use super::{Built, Op};
use crate::value::Value;
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "mergeMap" => {
            let project = op.needed("project")?;
            let limit = op.count("concurrency")?.unwrap_or(AHEAD).min(AHEAD);
            op.over(|items, region| {
                let mut project = region.function(project);
                items.prefetch(AHEAD).flat_map(limit, move |item| project.stream_of(&item))
            })
        }
        "concatMap" => {
            let project = op.needed("project")?;
            op.over(|items, region| {
                let mut project = region.function(project);
                items.prefetch(AHEAD).concat_map(move |item| project.stream_of(&item))
            })
        }
        "switchMap" => {
            let project = op.needed("project")?;
            op.over(|items, region| {
                let mut project = region.function(project);
                items.switch_map(move |item| project.stream_of(&item))
            })
        }
        "exhaustMap" => {
            let project = op.needed("project")?;
            op.over(|items, region| {
                let mut project = region.function(project);
                items.exhaust_map(move |item| project.stream_of(&item))
            })
        }
        "mergeAll" => {
            let limit = op.count("concurrency")?.unwrap_or(AHEAD).min(AHEAD);
            op.over(|items, region| {
                let ahead = items.prefetch(AHEAD);
                ahead.map(move |item| region.stream(&item)).flatten_merge(limit)
            })
        }
        "concatAll" => op.over(|items, region| {
            items.prefetch(AHEAD).map(move |item| region.stream(&item)).flatten()
        }),
        "switchAll" => op.over(|items, region| items.switch_map(move |item| region.stream(&item))),
        "exhaustAll" => {
            op.over(|items, region| items.exhaust_map(move |item| region.stream(&item)))
        }
        "expand" => {
            let project = op.needed("project")?;
            let limit = op.count("concurrency")?.unwrap_or(AHEAD).min(AHEAD);
            op.over(|items, region| {
                let mut project = region.function(project);
                items.expand(limit, AHEAD, move |item| project.stream_of(item))
            })
        }
        "mergeScan" => {
            let accumulator = op.needed("accumulator")?;
            let seed = op.value("seed")?.unwrap_or(Value::Undefined);
            let limit = op.count("concurrency")?.unwrap_or(AHEAD).min(AHEAD);
            op.over(|items, region| {
                let mut add = region.function(accumulator);
                let add = move |state: &Value, item| add.stream_added(state, item);
                items.prefetch(AHEAD).merge_scan(limit, seed, add)
            })
        }
        "switchScan" => {
            let accumulator = op.needed("accumulator")?;
            let seed = op.value("seed")?.unwrap_or(Value::Undefined);
            op.over(|items, region| {
                let mut add = region.function(accumulator);
                items.switch_scan(seed, move |state: &Value, item| add.stream_added(state, item))
            })
        }
        _ => return Ok(None),
    };
    built.map(Some)
}
