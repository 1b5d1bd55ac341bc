//! Some of the items, and answers about them.

use std::cmp::Ordering;
use std::future::pending;
use std::sync::Arc;

use aqueduct::terminal::SingleError;
use aqueduct::{empty, fail, from_future};

use super::combining::AHEAD;
use super::op::{Function, Items, Region};
use super::{Built, Op};
use crate::callbacks::Callback;
use crate::cell::Cell;
use crate::value::Value;
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "take" => {
            let count = op.count("count")?.unwrap_or(0);
            op.over(|items, _| items.take(count))
        }
        "skip" => {
            let count = op.count("count")?.unwrap_or(0);
            op.over(|items, _| items.skip(count))
        }
        "takeWhile" => {
            let (predicate, inclusive) = (op.needed("predicate")?, op.flag("inclusive", false)?);
            if inclusive {
                op.over(|items, region| {
                    let mut predicate = region.function(predicate);
                    items.take_through(move |item| predicate.test(item))
                })
            } else {
                op.over(|items, region| {
                    let mut predicate = region.function(predicate);
                    items.take_while(move |item| predicate.test(item))
                })
            }
        }
        "skipWhile" => {
            let predicate = op.needed("predicate")?;
            op.over(|items, region| {
                let mut predicate = region.function(predicate);
                items.skip_while(move |item| predicate.test(item))
            })
        }
        "takeUntil" => {
            let notifier = op.stream("notifier")?.ok_or("takeUntil without a notifier")?;
            op.over(|items, region| items.take_until(first_item(region.build(&notifier))))
        }
        "skipUntil" => {
            let notifier = op.stream("notifier")?.ok_or("skipUntil without a notifier")?;
            op.over(|items, region| items.skip_until(first_item(region.build(&notifier))))
        }
        "takeLast" => {
            let count = op.count("count")?.unwrap_or(0);
            op.over(|items, _| match count {
                // Nothing is subscribed to.
                0 => empty().boxed(),
                count => items.take_last(count).boxed(),
            })
        }
        "skipLast" => {
            let count = op.count("count")?.unwrap_or(0);
            op.over(|items, _| items.skip_last(count))
        }
        "first" | "last" => first_or_last(op),
        "single" => single(op),
        "elementAt" => {
            let (index, default) = (op.number("index")?.unwrap_or(0.0), op.value("default")?);
            let missing = || Value::error("ArgumentOutOfRangeError");
            op.over(|items, region| {
                let found = match index < 0.0 {
                    true => fail(missing).boxed(),
                    false => {
                        let found = from_future(items.nth(index as u64));
                        found.map(move |item| item.or(default.clone()).ok_or_else(missing)).boxed()
                    }
                };
                region.errors.ok(found)
            })
        }
        "every" => {
            let predicate = op.needed("predicate")?;
            op.over(|items, region| {
                let mut predicate = region.function(predicate);
                from_future(items.all(move |item| predicate.test(&item))).map(Value::Bool)
            })
        }
        "find" => {
            let predicate = op.needed("predicate")?;
            op.over(|items, region| {
                let mut predicate = region.function(predicate);
                let found = from_future(items.find(move |item| predicate.test(item)));
                found.map(|item| item.unwrap_or(Value::Undefined))
            })
        }
        "findIndex" => {
            let predicate = op.needed("predicate")?;
            op.over(|items, region| {
                let mut predicate = region.function(predicate);
                let found = from_future(items.position(move |item| predicate.test(&item)));
                found.map(|index| Value::number(index.map_or(-1.0, |index| index as f64)))
            })
        }
        "isEmpty" => op.over(|items, _| from_future(items.is_empty()).map(Value::Bool)),
        "max" => {
            let comparator = op.callback("comparator")?;
            op.over(|items, region| {
                let order = order(comparator, &region);
                from_future(items.max_by(order)).filter_map(|item| item)
            })
        }
        "min" => {
            let comparator = op.callback("comparator")?;
            op.over(|items, region| {
                let order = order(comparator, &region);
                from_future(items.min_by(order)).filter_map(|item| item)
            })
        }
        "sequenceEqual" => {
            let other = op.stream("other")?.ok_or("sequenceEqual without another stream")?;
            let comparator = op.callback("comparator")?;
            op.over(|items, region| {
                let same = comparator.map(|same| region.function(same));
                let compared = move |item| Compared { item, same: same.clone() };
                let other = region.build(&other).prefetch(AHEAD).map(compared.clone());
                let items = items.prefetch(AHEAD).map(compared);
                from_future(items.sequence_equal(other)).map(Value::Bool)
            })
        }
        "count" => {
            let predicate = op.callback("predicate")?;
            op.over(|items, region| {
                let mut predicate = predicate.map(|predicate| region.function(predicate));
                let counted = items.filter(move |item| match &mut predicate {
                    Some(predicate) => predicate.test(item),
                    None => true,
                });
                from_future(counted.count()).map(|count| Value::number(count as f64))
            })
        }
        _ => return Ok(None),
    };
    built.map(Some)
}

/// Ready at the first item; never if there is none.
async fn first_item(notifier: Items) {
    if notifier.first().await.is_none() {
        pending().await
    }
}

fn first_or_last(op: &Op) -> Built {
    let (predicate, default) = (op.callback("predicate")?, op.value("default")?);
    let first = op.name() == "first";
    op.over(|items, region| {
        let mut predicate = predicate.map(|predicate| region.function(predicate));
        let matching = items.filter(move |item| predicate.as_mut().is_none_or(|p| p.test(item)));
        let found = match first {
            true => from_future(matching.first()).boxed(),
            false => from_future(matching.last()).boxed(),
        };
        let missing = || Value::error("EmptyError");
        region.errors.ok(found.map(move |item| item.or(default.clone()).ok_or_else(missing)))
    })
}

fn single(op: &Op) -> Built {
    let predicate = op.callback("predicate")?;
    op.over(|items, region| {
        let mut predicate = predicate.map(|predicate| region.function(predicate));
        let none = Arc::new(Cell::new(true));
        let seen = none.clone();
        let matching = items.inspect(move |_| *seen.lock() = false);
        let matching = matching.filter(move |item| predicate.as_mut().is_none_or(|p| p.test(item)));
        region.errors.ok(from_future(matching.single()).map(move |single| {
            single.map_err(|error| match error {
                SingleError::MoreThanOne => Value::error("SequenceError"),
                SingleError::Empty if *none.lock() => Value::error("EmptyError"),
                SingleError::Empty => Value::error("NotFoundError"),
            })
        }))
    })
}

/// The order that a comparator gives, by the sign of its number; without one, that of JavaScript.
fn order(
    comparator: Option<Callback>,
    region: &Region,
) -> impl FnMut(&Value, &Value) -> Ordering + Send + use<> {
    let comparator = comparator.map(|comparator| region.function(comparator));
    move |a, b| match &comparator {
        Some(comparator) => {
            let sign = comparator.call(&[a.clone(), b.clone()]).as_number();
            sign.partial_cmp(&0.0).unwrap_or(Ordering::Equal)
        }
        None if a.less(b) => Ordering::Less,
        None if b.less(a) => Ordering::Greater,
        None => Ordering::Equal,
    }
}

/// An item that is equal to another if a function says so.
struct Compared {
    item: Value,
    same: Option<Function>,
}

impl PartialEq for Compared {
    fn eq(&self, other: &Self) -> bool {
        match &self.same {
            Some(same) => same.call(&[self.item.clone(), other.item.clone()]).is_truthy(),
            None => self.item == other.item,
        }
    }
}
