//! Streams out of nothing.

use aqueduct::source::Missed;
use aqueduct::transform::Boxed;
use aqueduct::{Flow, defer, empty, fail, interval_after, iter, never, timer};
use std::time::Duration;

use super::{Built, Op, stream};
use crate::value::Value;
use crate::world::Problem;
use crate::{Item, sources};

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "of" | "from" => Ok(iter(op.values("values")?.unwrap_or_default()).map(Ok).boxed()),
        "empty" => Ok(empty::<Item>().boxed()),
        "never" => Ok(never::<Item>().boxed()),
        "throwError" => {
            let error = op.value("error")?.unwrap_or(Value::Undefined);
            Ok(fail::<Value, _, _>(|| error).boxed())
        }
        "range" => {
            let start = op.number("start")?.unwrap_or(0.0);
            let count = op.count("count")?.unwrap_or(0);
            Ok(iter(0..count).map(move |n| Ok(Value::number(start + n as f64))).boxed())
        }
        "defer" => {
            let (factory, world) = (op.needed("factory")?, op.world.clone());
            Ok(defer(move || match factory.call(&[]) {
                Ok(value) => world.or_never(stream(&world, &value)),
                Err(error) => fail(|| error).boxed(),
            })
            .boxed())
        }
        "interval" => {
            let period = op.time("period")?.unwrap_or_default();
            Ok(numbers(period, Some(period.as_millis() as f64)).map(Ok).boxed())
        }
        "timer" => build_timer(op),
        _ => return Ok(None),
    };
    built.map(Some)
}

fn build_timer(op: &Op) -> Built {
    let period = op.number("period")?;
    Ok(match op.value("due")? {
        // A time that has passed is now.
        Some(Value::At(frame)) => {
            let wait = move || u64::try_from(frame - sources::now()).unwrap_or(0);
            defer(move || numbers(Duration::from_millis(wait()), period)).map(Ok).boxed()
        }
        Some(Value::Text(text)) if text == "inf" => never().boxed(),
        _ => numbers(op.time("due")?.unwrap_or_default(), period).map(Ok).boxed(),
    })
}

/// 0 when it is due, and then one number each period, if there is one that is not negative.
fn numbers(due: Duration, period: Option<f64>) -> Flow<Boxed<Value>> {
    match period {
        Some(period) if period.is_infinite() => {
            timer(due).map(|_| number(0)).chain(never()).boxed()
        }
        // An interval needs a period; without one the numbers follow at once.
        Some(0.0) => timer(due).map(|_| iter((0..).map(number))).flatten().boxed(),
        Some(period) if period > 0.0 => {
            let period = Duration::from_millis(period as u64);
            interval_after(due, period, Missed::Burst).enumerate().map(|(n, _)| number(n)).boxed()
        }
        _ => timer(due).map(|_| number(0)).boxed(),
    }
}

fn number(n: u64) -> Value {
    Value::number(n as f64)
}
