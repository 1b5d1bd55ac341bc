//! What only Swift's async algorithms have, or have otherwise.

use std::time::Duration;

use aqueduct::error::OnError;
use aqueduct::{Clock, Overflow, Timestamp, timer};

use super::combining::AHEAD;
use super::{Built, Op};
use crate::value::Value;
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "identity" => op.input(),
        "saa.throttle" => throttle(op),
        "saa.chunkByPair" => {
            let same = op.needed("same")?;
            op.over(|items, region| {
                let same = region.function(same);
                let same =
                    move |a: &Value, b: &Value| same.call(&[a.clone(), b.clone()]).is_truthy();
                items.group_adjacent(AHEAD, same).map(Value::List)
            })
        }
        "saa.chunkByKey" => {
            let key = op.needed("key")?;
            op.over(|items, region| {
                let key = region.function(key);
                let chunks =
                    items.chunks_by_key(AHEAD, move |item| key.call(std::slice::from_ref(item)));
                chunks.map(|(_, chunk)| Value::List(chunk))
            })
        }
        "saa.intersperse" => {
            let (separator, every) = (op.needed("separator")?, op.count("every")?.unwrap_or(1));
            op.over(|items, region| {
                let separator = region.function(separator).call(&[]);
                items.intersperse_every(every, separator)
            })
        }
        "saa.joinWith" => {
            let separator = op.stream("separator")?.ok_or("joinWith without a separator")?;
            op.over(|items, region| {
                items.enumerate().concat_map(move |(number, stream)| {
                    let stream = region.stream(&stream);
                    match number {
                        0 => stream.boxed(),
                        _ => region.build(&separator).chain(stream).boxed(),
                    }
                })
            })
        }
        "saa.bufferPolicy" => {
            let limit = op.count("limit")?.unwrap_or(0);
            let policy = match op.value("policy")? {
                Some(Value::Text(name)) if name == "bounded" => Overflow::Block,
                Some(Value::Text(name)) if name == "keep_latest" => Overflow::DropOldest,
                Some(Value::Text(name)) if name == "keep_oldest" => Overflow::DropNewest,
                other => return Err(format!("unknown policy {other:?}").into()),
            };
            let input = op.input()?;
            // An error comes after what is held, and takes no room.
            Ok(match limit {
                0 => input,
                _ => input.try_via(OnError::Flush, |items| items.buffer(limit, policy)).boxed(),
            })
        }
        _ => return Ok(None),
    };
    built.map(Some)
}

/// What did not pass since the last item that did.
#[derive(Default)]
struct Held {
    last: Option<Timestamp>,
    held: Option<Value>,
}

/// Swift's `throttle` has no timer: an item passes when enough time has gone by since the last one
/// that did. One that comes earlier is kept, and takes the place of the next that passes if the
/// first is wanted instead of the latest; one that is left over passes before the end.
fn throttle(op: &Op) -> Built {
    let interval = op.time("interval")?.unwrap_or_default();
    let latest = op.flag("latest", true)?;
    op.over(|items, _| {
        let step = move |state: &mut Held, (time, item): (Timestamp, Value)| {
            let item = match state.held.take() {
                Some(first) if !latest => first,
                _ => item,
            };
            if state.last.is_some_and(|last| time - last < interval) {
                state.held = Some(item);
                return None;
            }
            state.last = Some(time);
            Some((Timestamp::EPOCH, item))
        };
        let end = move |state: Held| {
            let due = state.last.map_or(Timestamp::EPOCH, |last| last + interval);
            Some((due, state.held?))
        };
        let passing = items.timestamp().scan_map_with_end(Held::default(), step, end);
        passing.then(|(due, item)| async move {
            let wait = due.saturating_since(Clock::current().now());
            if wait > Duration::ZERO {
                timer(wait).first().await;
            }
            item
        })
    })
}
