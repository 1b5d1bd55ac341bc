//! Items together.

use std::time::Duration;

use aqueduct::source::Missed;
use aqueduct::transform::{Empty, Tail};
use aqueduct::{interval, once, timer};

use super::combining::AHEAD;
use super::{Built, Op};
use crate::value::Value;
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let built: Built = match op.name() {
        "bufferCount" => {
            let size = op.count("size")?.unwrap_or(1);
            let every = op.count("every")?.unwrap_or(size);
            op.over(|items, _| items.sliding(size, every, Tail::All).map(Value::List))
        }
        "bufferTime" => {
            let span = op.time("span")?.unwrap_or_default();
            let max = op.count("maxSize")?.unwrap_or(AHEAD).min(AHEAD);
            match op.time("every")? {
                None => {
                    op.over(|items, _| items.chunks_every(span, max, Empty::Emit).map(Value::List))
                }
                Some(every) => op.over(|items, _| {
                    let openings = once(()).chain(interval(every, Missed::Burst).map(drop));
                    let closing = move |()| timer(span);
                    items.chunks_toggle(openings, closing, AHEAD, max).map(Value::List)
                }),
            }
        }
        "buffer" => {
            let notifier = op.stream("notifier")?.ok_or("buffer without a notifier")?;
            op.over(|items, region| {
                let signal = region.build(&notifier);
                items.chunks_by_signal(signal, AHEAD, Empty::Emit).map(Value::List)
            })
        }
        "bufferToggle" => {
            let openings = op.stream("openings")?.ok_or("bufferToggle without openings")?;
            let closing = op.needed("closing")?;
            op.over(|items, region| {
                let openings = region.build(&openings);
                let closing = region.function(closing);
                let closing = move |opening| closing.stream(&[opening]);
                items.chunks_toggle(openings, closing, AHEAD, AHEAD).map(Value::List)
            })
        }
        "bufferWhen" => {
            let closing = op.needed("closing")?;
            op.over(|items, region| {
                let closing = region.function(closing);
                let closing = move || closing.stream(&[]);
                items.chunks_when(closing, AHEAD, Empty::Emit).map(Value::List)
            })
        }
        "saa.chunkBySignal" => {
            let signal = op.stream("signal")?.ok_or("chunkBySignal without a signal")?;
            let size = op.count("size")?.unwrap_or(AHEAD).min(AHEAD);
            op.over(|items, region| {
                let signal = region.build(&signal);
                items.chunks_by_signal(signal, size, Empty::Skip).map(Value::List)
            })
        }
        "saa.chunkByTime" => {
            let every = op.time("every")?.unwrap_or(Duration::from_millis(1));
            let size = op.count("size")?.unwrap_or(AHEAD).min(AHEAD);
            // A chunk that is full does not shift the ticks.
            let ticks = interval(every, Missed::Burst);
            op.over(|items, _| items.chunks_by_signal(ticks, size, Empty::Skip).map(Value::List))
        }
        _ => return Ok(None),
    };
    built.map(Some)
}
