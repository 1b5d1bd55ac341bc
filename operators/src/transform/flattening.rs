//! What the flattening operators share: how an inner flow is made, the outer input that brings
//! them, and turns of an inner flow.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project::pin_project;

use crate::combine::{Feed, Rounds};
use crate::{Budget, Stage};

/// How a flattening operator makes an inner flow of an item.
pub trait Project<T> {
    /// The inner flow.
    type Inner: Stage;

    /// The inner flow of this item.
    fn start(&mut self, item: T) -> Self::Inner;

    /// Sees each item of an inner flow before it is handed out.
    fn gives(&mut self, _: &<Self::Inner as Stage>::Item) {}
}

/// The item is the inner flow.
#[derive(Debug)]
pub struct Itself;

impl<T: Stage> Project<T> for Itself {
    type Inner = T;

    fn start(&mut self, item: T) -> T {
        item
    }
}

/// A function of the user makes it.
#[derive(Debug)]
pub struct By<F>(pub(super) F);

impl<T, F, I> Project<T> for By<F>
where
    F: FnMut(T) -> I,
    I: Stage,
{
    type Inner = I;

    fn start(&mut self, item: T) -> I {
        (self.0)(item)
    }
}

/// A function of the user makes it of the state, which is the item that was handed out last.
#[derive(Debug)]
pub struct Folding<A, F> {
    pub(super) state: A,
    pub(super) f: F,
}

impl<T, A, F, I> Project<T> for Folding<A, F>
where
    A: Clone,
    F: FnMut(&A, T) -> I,
    I: Stage<Item = A>,
{
    type Inner = I;

    fn start(&mut self, item: T) -> I {
        (self.f)(&self.state, item)
    }

    fn gives(&mut self, item: &A) {
        self.state.clone_from(item);
    }
}

/// The input of an operator that runs several inner flows: polled with a waker of its own, and
/// only when it was woken.
#[pin_project]
#[derive(Debug)]
pub(super) struct Outer<S> {
    /// `None` once it has ended.
    #[pin]
    input: Option<S>,
    /// It had nothing, and was not woken since.
    asleep: bool,
    /// It was polled or woken since it was driven last.
    undriven: bool,
    in_flight: bool,
}

impl<S: Stage> Outer<S> {
    pub(super) fn new(input: S) -> Self {
        Self { input: Some(input), asleep: false, undriven: true, in_flight: false }
    }

    pub(super) fn input(&self) -> Option<&S> {
        self.input.as_ref()
    }

    /// It was woken.
    pub(super) fn wake(self: Pin<&mut Self>) {
        let this = self.project();
        *this.asleep = false;
        *this.undriven = true;
    }

    /// The next item; `Pending` also without asking, if it was not woken since it had none.
    pub(super) fn poll_next(self: Pin<&mut Self>, waker: &Waker) -> Poll<Option<S::Item>> {
        let mut this = self.project();
        if *this.asleep {
            return Poll::Pending;
        }
        let Some(input) = this.input.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let polled = input.poll_next(&mut Context::from_waker(waker));
        *this.asleep = polled.is_pending();
        *this.undriven = true;
        if let Poll::Ready(None) = polled {
            this.input.set(None);
        }
        polled
    }

    /// Drives its work in flight. Whoever returns `Pending` then parks the inner flows.
    pub(super) fn drive(self: Pin<&mut Self>, waker: &Waker) -> Poll<()> {
        let this = self.project();
        let Some(input) = this.input.as_pin_mut() else {
            return Poll::Ready(());
        };
        if std::mem::take(this.undriven) {
            *this.in_flight = input.poll_progress(&mut Context::from_waker(waker)).is_pending();
        }
        if *this.in_flight { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Before the owner waits: drives it unless it was asked until it had nothing, in which case it
    /// did so itself.
    pub(super) fn drive_unasked(mut self: Pin<&mut Self>, waker: &Waker) {
        if !self.asleep {
            let _ = self.as_mut().drive(waker);
            // Who drives the whole asks again whether something is in flight.
            *self.project().undriven = true;
        }
    }
}

/// Starts inner flows of the items of the outer input as long as there is room.
pub(super) struct Starting<'a, S, P> {
    pub(super) outer: Pin<&'a mut Outer<S>>,
    pub(super) project: &'a mut P,
}

impl<S, P, I> Feed<I> for Starting<'_, S, P>
where
    S: Stage,
    P: Project<S::Item, Inner = I>,
    I: Stage,
{
    fn refill(&mut self, rounds: &mut Rounds<I>) -> bool {
        if rounds.take_feed_wake() {
            self.outer.as_mut().wake();
        }
        while rounds.inputs().has_room() {
            match self.outer.as_mut().poll_next(rounds.feed_waker()) {
                Poll::Ready(Some(item)) => rounds.start(self.project.start(item)),
                Poll::Ready(None) => return false,
                Poll::Pending => break,
            }
        }
        true
    }

    fn gives(&mut self, item: &I::Item) {
        self.project.gives(item);
    }
}

/// How a turn of an inner flow ended.
pub(super) enum Turn<B> {
    /// The consumer broke.
    Broke(B),
    /// It may have more items.
    Over,
    /// The inner flow has ended.
    Ended,
    /// The inner flow is pending.
    Waits,
    /// The budget is used up.
    Yields,
}

/// Hands at most `most` items of an inner flow to the consumer.
#[inline]
pub(super) fn turn<I: Stage, B>(
    inner: Pin<&mut I>,
    cx: &mut Context<'_>,
    budget: &mut Budget,
    most: usize,
    each: &mut impl FnMut(I::Item) -> ControlFlow<B>,
) -> Turn<B> {
    let granted = budget.left(cx).min(most);
    if granted == 0 {
        return Turn::Yields;
    }
    let mut left = granted;
    let drained = inner.poll_drain(cx, &mut |item| {
        left -= 1;
        match each(item) {
            ControlFlow::Break(value) => ControlFlow::Break(Some(value)),
            ControlFlow::Continue(()) if left == 0 => ControlFlow::Break(None),
            ControlFlow::Continue(()) => ControlFlow::Continue(()),
        }
    });
    match drained {
        Poll::Ready(ControlFlow::Break(None)) => {
            budget.used(granted);
            Turn::Over
        }
        Poll::Ready(ControlFlow::Continue(())) => {
            // An inner flow without items took its time too.
            budget.used((granted - left).max(1));
            Turn::Ended
        }
        Poll::Ready(ControlFlow::Break(Some(value))) => {
            budget.rest();
            Turn::Broke(value)
        }
        Poll::Pending => {
            budget.rest();
            Turn::Waits
        }
    }
}

/// Bounds on the items left when one inner flow runs at a time.
pub(super) fn size_hint<S: Stage, I: Stage>(
    outer: Option<&S>,
    inner: Option<&I>,
) -> (usize, Option<usize>) {
    let inner = inner.map_or((0, Some(0)), Stage::size_hint);
    more_to_come(inner, outer)
}

/// The bounds of what inner flows have left, where the outer input may bring more of them.
pub(super) fn more_to_come<S: Stage>(
    (least, most): (usize, Option<usize>),
    outer: Option<&S>,
) -> (usize, Option<usize>) {
    match outer.map(Stage::size_hint) {
        None | Some((_, Some(0))) => (least, most),
        Some(_) => (least, None),
    }
}

/// Inner flows for the specifications of the operators that flatten.
#[cfg(test)]
pub(super) mod inner {
    use std::time::Duration;

    use crate::testing::Timeline;
    use crate::{Flow, Stage, timer};

    const MS: i64 = 1_000_000;

    /// Makes inner flows of two items, and says what they do.
    #[derive(Debug, Default)]
    pub(crate) struct Inner {
        /// How many there were.
        started: i64,
    }

    impl Inner {
        /// The nanoseconds before the first item and between the two; `None` for a flow without
        /// items. They differ from flow to flow, so that no two have anything at one instant, nor
        /// one of them and the input.
        fn gaps(&mut self, x: u8) -> Option<[i64; 2]> {
            self.started += 1;
            let odd = self.started.pow(5) * 7_919 % 999_983;
            (x % 4 != 3).then_some([i64::from(x % 4) * MS + odd, 3 * MS + odd])
        }

        /// The next inner flow.
        pub(crate) fn flow<T>(
            &mut self,
            x: u8,
            items: [T; 2],
        ) -> Flow<impl Stage<Item = T> + use<T>> {
            let gaps = self.gaps(x);
            let [first, second] = gaps.unwrap_or_default().map(i64::unsigned_abs);
            let mut items = items.into_iter();
            timer(Duration::from_nanos(first))
                .chain(timer(Duration::from_nanos(second)))
                .take(if gaps.is_some() { 2 } else { 0 })
                .filter_map(move |_| items.next())
        }

        /// What it does if it starts then, all in nanoseconds.
        pub(crate) fn line<T>(&mut self, x: u8, items: [T; 2], start: i64) -> Timeline<T> {
            match self.gaps(x) {
                None => Timeline::new([], start),
                Some([first, second]) => {
                    let times = [start + first, start + first + second];
                    Timeline::new(times.into_iter().zip(items), times[1])
                }
            }
        }
    }

    /// The items of the inner flow of this item.
    pub(crate) fn pair(x: u8) -> [(u8, u8); 2] {
        [(x, 1), (x, 2)]
    }

    pub(crate) fn nanos<T>(line: Timeline<T>) -> Timeline<T> {
        Timeline::new(line.events.into_iter().map(|(at, x)| (at * MS, x)), line.end * MS)
    }

    pub(crate) fn millis<T>(line: Timeline<T>) -> Timeline<T> {
        Timeline::new(line.events.into_iter().map(|(at, x)| (at / MS, x)), line.end / MS)
    }

    /// What up to `limit` inner flows at a time give, of which each starts when its item is there
    /// and a place is free. `items` are told what came out last before that.
    pub(crate) fn merged<T: Clone>(
        input: Timeline<u8>,
        limit: usize,
        items: impl Fn(Option<T>, u8) -> [T; 2],
    ) -> Timeline<T> {
        let input = nanos(input);
        let (mut inner, mut output) = (Inner::default(), Timeline::new([], input.end));
        let mut places = vec![0; limit];
        for (at, x) in input.events {
            places.sort_unstable();
            let start = at.max(places[0]);
            let before = output.events.iter().filter(|(at, _)| *at <= start);
            let last = before.max_by_key(|(at, _)| *at).map(|(_, item): &(i64, T)| item.clone());
            let line = inner.line(x, items(last, x), start);
            places[0] = line.end;
            output.end = output.end.max(line.end);
            output.events.extend(line.events);
        }
        output.events.sort_by_key(|(at, _)| *at);
        millis(output)
    }
}
