//! Runs a case under virtual time and compares what its consumers see.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};

use aqueduct::{Alarm, Stage, Virtual};

use crate::Stream;
use crate::build::build;
use crate::case::{Case, Observer};
use crate::marble::{Frame, Subscription};
use crate::sources::{Due, Event, Sources, now};
use crate::world::{Problem, World};

/// How a consumer takes items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Taking {
    OneByOne,
    Drained,
}

/// Longer than any case: what has not happened by then never will.
const REST: Frame = 1_000_000;
/// Far more than any case needs.
const MOST_TURNS: usize = 20_000;

struct Consumer {
    observer: Observer,
    stream: Option<Pin<Box<Stream>>>,
    seen: Vec<(Frame, Event)>,
    /// The frames of the requests of a slow consumer that are still to come.
    requests: Option<VecDeque<Frame>>,
    /// Whether it has made its first request: before that nothing runs.
    asked: bool,
}

pub fn run(case: &Case, taking: Taking) -> Result<(), Problem> {
    let world = World::default();
    case.declare_sources(&world)?;
    if case.requests().is_some() {
        world.sources().keep_for_slow_consumer();
    }
    world.share(case.stream());
    world.set_tags(case.tags());
    let consumer = |observer| Consumer {
        observer,
        stream: None,
        seen: Vec::new(),
        requests: case.requests().map(VecDeque::from),
        asked: false,
    };
    let mut consumers: Vec<_> = case.observers()?.into_iter().map(consumer).collect();
    // Problems show here, before anything runs.
    for consumer in &consumers {
        drop(build(&world, &consumer.observer.stream)?);
    }
    let ran = Virtual::new().try_run(drive(&world, &mut consumers, taking));
    if let Some(problem) = world.problem() {
        return Err(problem);
    }
    match ran {
        Ok(Ok(())) => {}
        Ok(Err(problem)) => return Err(problem),
        Err(stalled) => return Err(stalled.to_string().into()),
    }
    compare(case, &world, &consumers)
}

async fn drive(world: &World, consumers: &mut [Consumer], taking: Taking) -> Result<(), Problem> {
    let schedule = world.sources().schedule();
    for (index, consumer) in consumers.iter().enumerate() {
        let observer = &consumer.observer;
        schedule.add(Alarm::for_source(), observer.subscribe_at, Due::Subscribe(index));
        if let Some(frame) = observer.unsubscribe_at {
            schedule.add(Alarm::for_source(), frame, Due::Unsubscribe(index));
        }
        for frame in consumer.requests.iter().flatten() {
            schedule.add(Alarm::new(), *frame, Due::Request);
        }
    }
    world.sources().start();
    schedule.add(Alarm::for_source(), REST, Due::Rest);
    let mut turns = 0;
    poll_fn(|cx| {
        turns += 1;
        if turns > MOST_TURNS {
            return Poll::Ready(Err("it does not come to rest".into()));
        }
        match schedule.poll(cx) {
            Some(Due::Subscribe(index)) => {
                let consumer = &mut consumers[index];
                match build(world, &consumer.observer.stream) {
                    Ok(stream) => consumer.stream = Some(Box::pin(stream)),
                    Err(problem) => return Poll::Ready(Err(problem)),
                }
            }
            Some(Due::Unsubscribe(index)) => consumers[index].stream = None,
            Some(Due::Hot(place, event)) => world.sources().give(place, event),
            Some(Due::Cold(listener, event)) => Sources::give_to(&listener, event),
            Some(Due::Request) | None => {}
            // Streams that go on are not dropped: their subscriptions stay open in the logs.
            Some(Due::Rest) => return Poll::Ready(Ok(())),
        }
        for consumer in consumers.iter_mut() {
            consumer.poll(cx, taking);
        }
        schedule.arm(cx);
        Poll::Pending
    })
    .await
}

impl Consumer {
    fn poll(&mut self, cx: &mut Context<'_>, taking: Taking) {
        while let Some(stream) = &mut self.stream {
            let may_ask = match &self.requests {
                None => true,
                Some(requests) => requests.front().is_some_and(|frame| *frame <= now()),
            };
            if !may_ask {
                if self.asked {
                    let _ = stream.as_mut().poll_progress(cx);
                }
                return;
            }
            self.asked = true;
            let polled = if taking == Taking::Drained && self.requests.is_none() {
                let seen = &mut self.seen;
                let drained = stream.as_mut().poll_drain(cx, &mut |item| match item {
                    Ok(item) => {
                        seen.push((now(), Event::Next(item)));
                        ControlFlow::Continue(())
                    }
                    Err(error) => ControlFlow::Break(error),
                });
                match drained {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(ControlFlow::Continue(())) => Poll::Ready(None),
                    Poll::Ready(ControlFlow::Break(error)) => Poll::Ready(Some(Err(error))),
                }
            } else {
                Stage::poll_next(stream.as_mut(), cx)
            };
            let event = match polled {
                Poll::Pending => return,
                Poll::Ready(Some(Ok(item))) => Event::Next(item),
                Poll::Ready(Some(Err(error))) => Event::Error(error),
                Poll::Ready(None) => Event::Complete,
            };
            if !matches!(event, Event::Next(_)) {
                self.stream = None;
            }
            self.seen.push((now(), event));
            if let Some(requests) = &mut self.requests {
                requests.pop_front();
            }
        }
    }
}

fn compare(case: &Case, world: &World, consumers: &[Consumer]) -> Result<(), Problem> {
    for (index, consumer) in consumers.iter().enumerate() {
        let (seen, expected) = (&consumer.seen, &consumer.observer.expected);
        if seen != expected {
            let whom =
                if consumers.len() > 1 { format!("observer {index}: ") } else { String::new() };
            return Err(format!("{whom}{} instead of {}", show(seen), show(expected)).into());
        }
    }
    for (name, expected) in case.subscriptions()? {
        let Some(log) = world.sources().log(name) else {
            return Err(format!("subscriptions of {name}, which is no source").into());
        };
        // Tasks that went on to the end are dropped with the run.
        let open = |(from, until): Subscription| (from, until.filter(|until| *until < REST));
        let log: Vec<_> = log.into_iter().map(open).collect();
        if log != expected {
            return Err(format!("subscriptions of {name}: {log:?} instead of {expected:?}").into());
        }
    }
    if let Some(expected) = case.finalized() {
        let frames = world.finalized().lock();
        if *frames != expected {
            return Err(format!("finalized at {frames:?} instead of {expected:?}").into());
        }
    }
    Ok(())
}

fn show(events: &[(Frame, Event)]) -> String {
    let show = |(frame, event): &(Frame, Event)| match event {
        Event::Next(value) => format!("{frame}: {value:?}"),
        Event::Error(error) => format!("{frame}: error {error:?}"),
        Event::Complete => format!("{frame}: end"),
    };
    format!("[{}]", events.iter().map(show).collect::<Vec<_>>().join(", "))
}
