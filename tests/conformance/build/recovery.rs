//! After an error or an end.

use std::sync::Arc;
use std::time::Duration;

use aqueduct::error::{Backoff, retry};
use aqueduct::source::Times;
use aqueduct::{Overflow, Sender, channel, defer, empty, fail, from_stream_future, iter, never};
use aqueduct::{once, repeat, repeat_when};
use futures::channel::oneshot;

use super::combining::AHEAD;
use super::op::{Items, Region};
use super::{Built, Op, stream};
use crate::Stream;
use crate::callbacks::Callback;
use crate::cell::Cell;
use crate::recipe::Recipe;
use crate::value::Value;
use crate::world::{Problem, World};

pub fn build(op: &Op) -> Result<Option<Stream>, Problem> {
    let built: Built = match op.name() {
        "retry" if op.is_callback("delay") => {
            let most = op.number("count")?.unwrap_or(f64::INFINITY);
            let plan = Retrying {
                input: op.recipe()?,
                delay: op.needed("delay")?,
                most,
                world: op.world.clone(),
            };
            Ok(plan.attempt(1))
        }
        "retry" => {
            let (input, world) = (op.recipe()?, op.world.clone());
            let wait = op.time("delay")?.unwrap_or_default();
            let mut backoff = Backoff::constant(wait).reset_after(Duration::MAX);
            if let Some(count) = op.number("count")?.filter(|count| count.is_finite()) {
                backoff = backoff.max_retries(count as u64);
            }
            Ok(retry(backoff, move || world.build_or_never(&input)).boxed())
        }
        "repeat" => {
            let (input, count) = (op.recipe()?, op.number("count")?.unwrap_or(f64::INFINITY));
            if op.is_callback("delay") {
                let delay = op.needed("delay")?;
                op.region(|region| {
                    let inner = region.clone();
                    let delay = region.function(delay);
                    let again = move |runs: u64| {
                        let wanted = (runs as f64) < count;
                        let signal = wanted.then(|| delay.stream(&[Value::number(runs as f64)]));
                        async move {
                            match signal {
                                Some(signal) => signal.first().await.is_some(),
                                None => false,
                            }
                        }
                    };
                    repeat_when(again, move || inner.build(&input))
                })
            } else {
                let times = match count.is_finite() {
                    true => Times::new(count as u64),
                    false => Times::forever(),
                };
                let times = times.pause(op.time("delay")?.unwrap_or_default());
                op.region(|region| repeat(times, move || region.build(&input)))
            }
        }
        "catchError" => {
            let (selector, world) = (op.needed("selector")?, op.world.clone());
            let caught = Value::Stream(Recipe::new(op.node, op.env.clone()));
            let input = op.input()?.map(|item| item.map(Ok));
            let rest = move |error| match selector.call(&[error, caught]) {
                Ok(value) => world.or_never(stream(&world, &value)),
                Err(error) => fail(|| error).boxed(),
            };
            Ok(input.catch(rest).boxed())
        }
        "onErrorResumeNext" => {
            let inputs = op.inputs()?.into_iter().map(|input| input.catch(|_| empty()));
            Ok(iter(inputs.collect::<Vec<_>>()).flatten().map(Ok).boxed())
        }
        "retryWhen" => {
            let (input, notifier) = (op.recipe()?, op.needed("notifier")?);
            op.region(|region| {
                let (signals, bell) = signals(&region, notifier);
                // An item starts the input again; the end of the signals is the end of all.
                let starts = once(true).chain(signals.map(|_| true)).append([false]);
                let attempts = starts.switch_map(move |start| {
                    if !start {
                        return once(None).boxed();
                    }
                    let bell = bell.clone();
                    let attempt = region.world.build_or_never(&input).map(|item| item.map(Some));
                    let attempt = attempt.chain(once(Ok(None)));
                    let silent = move |error| {
                        bell.ring(error);
                        never()
                    };
                    attempt.catch(silent).boxed()
                });
                attempts.take_while(Option::is_some).filter_map(|item| item)
            })
        }
        "repeatWhen" => {
            let (input, notifier) = (op.recipe()?, op.needed("notifier")?);
            op.region(|region| {
                let (signals, bell) = signals(&region, notifier);
                let starts = once(()).chain(signals.map(|_| ()));
                starts.switch_map(move |()| {
                    let bell = bell.clone();
                    let ring = move || {
                        bell.ring(Value::Undefined);
                        empty()
                    };
                    region.build(&input).chain(defer(ring))
                })
            })
        }
        _ => return Ok(None),
    };
    built.map(Some)
}

/// `retry` that asks a stream when to start again: each attempt catches its error with the next.
#[derive(Clone)]
struct Retrying {
    input: Recipe,
    delay: Callback,
    most: f64,
    world: World,
}

impl Retrying {
    /// `number` counts from 1.
    fn attempt(self, number: u32) -> Stream {
        let input = self.world.build_or_never(&self.input).map(|item| item.map(Ok));
        let again = move |error: Value| {
            if f64::from(number) > self.most {
                return fail(|| error).boxed();
            }
            let signal = match self.delay.call(&[error, Value::number(f64::from(number))]) {
                Ok(value) => self.world.or_never(stream(&self.world, &value)),
                Err(error) => return fail(|| error).boxed(),
            };
            let next = async move {
                match signal.first().await {
                    Some(Ok(_)) => self.attempt(number + 1),
                    Some(Err(error)) => fail(|| error).boxed(),
                    None => empty().boxed(),
                }
            };
            from_stream_future(next).boxed()
        };
        input.catch(again).boxed()
    }
}

/// Tells the notifier of an error or an end; the first one calls it.
#[derive(Clone)]
struct Bell {
    first: Arc<Cell<Option<oneshot::Sender<()>>>>,
    told: Sender<Value>,
}

impl Bell {
    fn ring(&self, value: Value) {
        if let Some(first) = self.first.lock().take() {
            let _ = first.send(());
        }
        // Nobody listens any more: nothing will start again.
        let _ = self.told.try_send(value);
    }
}

/// What a notifier makes of the errors, or ends, that the bell tells it.
fn signals(region: &Region, notifier: Callback) -> (Items, Bell) {
    let (first, rang) = oneshot::channel();
    let (told, events) = channel(AHEAD, Overflow::Block);
    let bell = Bell { first: Arc::new(Cell::new(Some(first))), told };
    let events = events.map(Ok).share(AHEAD);
    let world = region.world.clone();
    let signals = from_stream_future(async move {
        if rang.await.is_err() {
            return never().boxed();
        }
        let events = Recipe::made(move || events.subscribe().boxed());
        match notifier.call(&[Value::Stream(events)]) {
            Ok(value) => world.or_never(stream(&world, &value)),
            Err(error) => fail(|| error).boxed(),
        }
    });
    (region.items(signals.boxed()), bell)
}
