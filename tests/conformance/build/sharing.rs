//! One subscription for several consumers.

use std::future::poll_fn;
use std::task::Poll;

use aqueduct::from_stream_future;
use aqueduct::share::{NoConsumers, Reset, Share, share_from};

use super::combining::AHEAD;
use super::{Built, Op, stream};
use crate::Item;
use crate::value::Value;
use crate::world::Problem;

pub fn build(op: &Op) -> Result<Option<crate::Stream>, Problem> {
    let config = Share::<Item>::new(AHEAD);
    let config = match op.name() {
        "share" => config
            .on_error(reset(op, "resetOnError")?)
            .on_end(reset(op, "resetOnComplete")?)
            .on_idle(reset(op, "resetOnRefCountZero")?),
        "shareReplay" => {
            let size = op.count("bufferSize")?.unwrap_or(AHEAD).min(AHEAD);
            let counted = op.flag("refCount", false)?;
            config.replay(size).on_error(Reset::AtOnce).on_end(Reset::Never).on_idle(if counted {
                Reset::AtOnce
            } else {
                Reset::Never
            })
        }
        _ => return Ok(None),
    };
    // The original goes on while nobody listens.
    let config = config.no_consumers(NoConsumers::Drop);
    let (input, world) = (op.recipe()?, op.world.clone());
    let shared = op.world.hub(op.node, || share_from(config, move || world.build_or_never(&input)));
    let waits =
        ["resetOnError", "resetOnComplete", "resetOnRefCountZero"].map(|name| op.is_callback(name));
    let subscribe = async move {
        // A signal to reset is waited for in a task, which has its turn before another consumer
        // comes at the same instant.
        if waits.contains(&true) {
            give_way().await;
        }
        shared.subscribe()
    };
    let subscribed: Built = Ok(from_stream_future(subscribe).boxed());
    subscribed.map(Some)
}

/// Lets other tasks have a turn. Two: the event that led here may have asked for the first one
/// before it woke them.
async fn give_way() {
    let mut turns = 0;
    poll_fn(|cx| {
        turns += 1;
        if turns > 2 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await
}

/// Whether and when the share starts anew: at once, never, or when a stream brings an item.
fn reset(op: &Op, name: &'static str) -> Result<Reset, Problem> {
    if !op.is_callback(name) {
        return Ok(if op.flag(name, true)? { Reset::AtOnce } else { Reset::Never });
    }
    let (callback, world) = (op.needed(name)?, op.world.clone());
    Ok(Reset::when(move || {
        let signal = callback.call(&[]).unwrap_or(Value::List(Vec::new()));
        world.or_never(stream(&world, &signal)).filter_map(Result::ok)
    }))
}
