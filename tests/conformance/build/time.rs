//! What depends on when items come.

use std::time::Duration;

use aqueduct::time::{Edges, OnEnd};
use aqueduct::transform::Boxed;
use aqueduct::{Flow, defer, never, once, timer};

use super::combining::AHEAD;
use super::{Built, Op};
use crate::sources::now;
use crate::value::Value;
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "debounceTime" => {
            let quiet = op.time("duration")?.unwrap_or_default();
            op.over(|items, _| items.debounce(quiet))
        }
        "debounce" => {
            let duration = op.needed("duration")?;
            op.over(|items, region| {
                let mut duration = region.function(duration);
                items.debounce_by(move |item| duration.stream_of(item))
            })
        }
        // As the original defines it. Our `throttle` counts an item at the very instant at which
        // the window is over as the first one after it.
        "throttleTime" => {
            let (period, edges) = (op.time("duration")?.unwrap_or_default(), edges(op)?);
            op.over(|items, _| match edges {
                Some(edges) => items.throttle_by(edges, move |_| timer(period)).boxed(),
                None => items.ignore_items().boxed(),
            })
        }
        "throttle" => {
            let (duration, edges) = (op.needed("duration")?, edges(op)?);
            op.over(|items, region| {
                let mut duration = region.function(duration);
                match edges {
                    Some(edges) => {
                        items.throttle_by(edges, move |item| duration.stream_of(item)).boxed()
                    }
                    None => items.ignore_items().boxed(),
                }
            })
        }
        "auditTime" => {
            let period = op.time("duration")?.unwrap_or_default();
            op.over(|items, _| match period.is_zero() {
                true => items.audit_by(move |_| timer(period)).boxed(),
                false => items.audit(period).boxed(),
            })
        }
        "audit" => {
            let duration = op.needed("duration")?;
            op.over(|items, region| {
                let mut duration = region.function(duration);
                items.audit_by(move |item| duration.stream_of(item))
            })
        }
        "sampleTime" => {
            let period = op.time("period")?.unwrap_or_default();
            op.over(|items, _| items.sample_with(period, OnEnd::Drop))
        }
        "sample" => {
            let notifier = op.stream("notifier")?.ok_or("sample without a notifier")?;
            op.over(|items, region| items.sample_by(region.build(&notifier), OnEnd::Drop))
        }
        "delay" => match op.value("duration")? {
            Some(Value::At(frame)) => op.over(|items, _| {
                items.flat_map(AHEAD, move |item| timer(until(frame)).map(move |_| item.clone()))
            }),
            _ => {
                let by = op.time("duration")?.unwrap_or_default();
                op.over(|items, _| items.delay(by, AHEAD))
            }
        },
        "delayWhen" => {
            let (duration, first) = (op.needed("duration")?, op.stream("subscriptionDelay")?);
            op.over(|items, region| {
                let mut duration = region.function(duration);
                let delayed = items.flat_map(AHEAD, move |item| {
                    duration.stream_of(&item).take(1).map(move |_| item.clone())
                });
                match first {
                    Some(first) => {
                        region.build(&first).take(1).ignore_items().chain(delayed).boxed()
                    }
                    None => delayed.boxed(),
                }
            })
        }
        "timeout" => timeout(op),
        "timestamp" => op.over(|items, _| {
            items.timestamp().map(|(time, value)| {
                let frame = Value::number(time.as_millis() as f64);
                Value::object([("value", value), ("timestamp", frame)])
            })
        }),
        "timeInterval" => op.over(|items, _| {
            items.elapsed().map(|(gap, value)| {
                let frames = Value::number(gap.as_millis() as f64);
                Value::object([("value", value), ("interval", frames)])
            })
        }),
        _ => return Ok(None),
    };
    built.map(Some)
}

/// How long it is until a frame; nothing if that has passed.
fn until(frame: i64) -> Duration {
    Duration::from_millis(u64::try_from(frame - now()).unwrap_or(0))
}

fn edges(op: &Op) -> Result<Option<Edges>, Problem> {
    Ok(match (op.flag("leading", true)?, op.flag("trailing", false)?) {
        (true, true) => Some(Edges::Both),
        (true, false) => Some(Edges::Leading),
        (false, true) => Some(Edges::Trailing),
        (false, false) => None,
    })
}

/// What `timeout` sees: the beginning, an item, the end.
enum Seen {
    Beginning,
    Item(Value),
    End,
}

fn timeout(op: &Op) -> Built {
    let each = op.time("each")?;
    let first = match op.value("first")? {
        Some(Value::At(frame)) => Some(until_later(frame)),
        Some(_) => op.time("first")?.map(wait),
        None => None,
    };
    let with = op.callback("with")?;
    op.over(|items, region| {
        let reported = match (each, first) {
            (Some(each), None) => items.timeout(each).map(|item| item.map_err(drop)).boxed(),
            // The first item has a time of its own: each item, and the beginning, opens a window
            // that the next one closes.
            (each, first) => {
                let mut first = first.or(each.map(wait));
                let seen = once(Seen::Beginning).chain(items.map(Seen::Item)).append([Seen::End]);
                let windows = seen.switch_map(move |seen| {
                    let silence = |wait: Wait| wait().map(|()| Some(Err(()))).boxed();
                    match seen {
                        Seen::Beginning => first.take().map_or_else(|| never().boxed(), silence),
                        Seen::Item(item) => {
                            let silence =
                                each.map_or_else(|| never().boxed(), |d| silence(wait(d)));
                            once(Some(Ok(item))).chain(silence).boxed()
                        }
                        Seen::End => once(None).boxed(),
                    }
                });
                windows.take_while(Option::is_some).filter_map(|item| item).boxed()
            }
        };
        match with {
            Some(with) => {
                let with = region.function(with);
                reported.catch(move |()| with.stream(&[])).boxed()
            }
            None => {
                let error = |()| Value::error("TimeoutError");
                region.errors.ok(reported.map(move |item| item.map_err(error))).boxed()
            }
        }
    })
}

/// Makes a flow that has an item when a time has passed since its first poll.
type Wait = Box<dyn FnOnce() -> Flow<Boxed<()>> + Send>;

fn wait(time: Duration) -> Wait {
    Box::new(move || timer(time).map(drop).boxed())
}

fn until_later(frame: i64) -> Wait {
    Box::new(move || defer(move || timer(until(frame))).map(drop).boxed())
}
