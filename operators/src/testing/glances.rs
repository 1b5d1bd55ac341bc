//! A slow consumer for the specifications of operators that only a slow consumer can tell from
//! nothing at all, and what it sees.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use futures_util::stream;

use super::{Timeline, ms};
use crate::{Alarm, Clock, Flow, Stage, Timestamp};

/// Half a millisecond: what happens then happens after everything else of that millisecond.
pub(crate) const HALF: Duration = Duration::from_micros(500);

/// Takes one item, if there is one, at the end of every third millisecond from the first on, and
/// drives the flow in between.
pub(crate) fn glances<S: Stage>(flow: Flow<S>) -> Flow<impl Stage<Item = S::Item>> {
    let mut flow = Box::pin(flow);
    let mut alarm = Alarm::new();
    let mut due = Timestamp::from_millis(0) + HALF;
    crate::flow(stream::poll_fn(move |cx| {
        loop {
            if alarm.deadline().is_none() {
                alarm.set(due);
            }
            if alarm.poll(cx).is_pending() {
                let _ = flow.as_mut().poll_progress(cx);
                return Poll::Pending;
            }
            due = due + ms(3);
            if let taken @ Poll::Ready(_) = Stage::poll_next(flow.as_mut(), cx) {
                return taken;
            }
        }
    }))
}

/// What [`glances`] see of an operator that takes all that comes: `next` makes an item of what is
/// held, and takes it out.
pub(crate) fn at_glances<T, A>(
    input: Timeline<T>,
    mut next: impl FnMut(&mut Vec<T>) -> A,
) -> Timeline<A> {
    let mut coming = input.events.into_iter().peekable();
    let (mut held, mut seen, mut now) = (Vec::new(), Vec::new(), 0);
    loop {
        while let Some((_, item)) = coming.next_if(|(at, _)| *at <= now) {
            held.push(item);
        }
        if !held.is_empty() {
            seen.push((now, next(&mut held)));
        } else if input.end <= now {
            return Timeline::new(seen, now);
        }
        now += 3;
    }
}

/// What comes out of two branches that may hold two items each, the first one for a consumer that
/// is always ready, the second one for [`glances`]: nothing is taken from the input while the
/// second branch is full.
pub(crate) fn branched<T: Clone>(
    input: Timeline<T>,
    to_first: impl Fn(&T) -> bool,
    to_second: impl Fn(&T) -> bool,
) -> (Timeline<T>, Timeline<T>) {
    let (mut first, mut second) = (Vec::new(), Vec::<(i64, T)>::new());
    let room = |second: &[(i64, T)], at: i64| match second {
        [.., (seen, _), _] => at.max(*seen),
        _ => at,
    };
    // The glance at what is there at this time; the one before is over.
    let glance = |second: &[(i64, T)], at: i64| {
        let earliest = second.last().map_or(at, |(seen, _)| at.max(seen + 1));
        (earliest + 2) / 3 * 3
    };
    for (at, item) in input.events {
        let at = room(&second, at);
        if to_first(&item) {
            first.push((at, item.clone()));
        }
        if to_second(&item) {
            second.push((glance(&second, at), item));
        }
    }
    let end = room(&second, input.end);
    let seen = glance(&second, end);
    (Timeline::new(first, end), Timeline::new(second, seen))
}

/// What came out of the flow, as its timeline.
pub(crate) async fn line<S: Stage>(flow: Flow<S>) -> Timeline<S::Item> {
    let now = || Clock::current().now().as_millis();
    let push = |mut all: Vec<_>, item| {
        all.push((now(), item));
        all
    };
    let events = flow.fold(Vec::new(), push).await;
    Timeline::new(events, now())
}

/// Two timelines as one item, which is there at the end of both.
pub(crate) fn both<A, B>(
    (first, second): (Timeline<A>, Timeline<B>),
) -> Timeline<(Timeline<A>, Timeline<B>)> {
    let end = first.end.max(second.end);
    Timeline::new([(end, (first, second))], end)
}

/// What futures make that take so many milliseconds, `limit` of them at a time: an item starts
/// when it is there and an earlier one is done. By time and item, since the order of what is ready
/// at one instant is left open.
pub(crate) fn unordered(
    input: Timeline<u8>,
    limit: usize,
    takes: impl Fn(u8) -> i64,
) -> Timeline<Timeline<u8>> {
    let mut free = vec![0; limit];
    let mut done = Vec::new();
    for (at, item) in input.events {
        free.sort_unstable();
        free[0] = at.max(free[0]) + takes(item);
        done.push((free[0], item));
    }
    whole(done, input.end)
}

/// The timeline of these items, sorted, as one item at its end.
pub(crate) fn whole(mut events: Vec<(i64, u8)>, end: i64) -> Timeline<Timeline<u8>> {
    events.sort_unstable();
    let end = events.last().map_or(end, |(at, _)| end.max(*at));
    Timeline::new([(end, Timeline::new(events, end))], end)
}

/// [`line`] by time and item.
pub(crate) async fn sorted_line<S: Stage<Item = u8>>(flow: Flow<S>) -> Timeline<u8> {
    let mut line = line(flow).await;
    line.events.sort_unstable();
    line
}

/// The item after so many milliseconds.
pub(crate) async fn after<T>(millis: i64, item: T) -> T {
    let mut alarm = Alarm::new();
    let due = alarm.now() + ms(millis as u64);
    alarm.set(due);
    poll_fn(|cx| alarm.poll(cx)).await;
    item
}

/// Two flows out of a `Vec` of two.
pub(crate) fn two<T>(flows: Vec<T>) -> (T, T) {
    let mut flows = flows.into_iter();
    let mut next = || flows.next().expect("two flows");
    (next(), next())
}
