//! An async block as a flow.

use std::fmt;
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use pin_project::pin_project;

use crate::util::lock;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// The items that an async block emits.
///
/// ```text
/// block  a-b---|
/// out    a-b---|    generator(async |emit| { .. })
/// ```
///
/// `emit(item).await` hands out one item and comes back when the next one is asked for, as `yield`
/// does: the block never runs ahead of its consumer. It can borrow and await whatever it wants
/// between two items. For a block that can fail there is [`try_generator`].
///
/// - **Emits** what the block emits.
/// - **Backpressures** when downstream does: the block stands at its `emit` until the next item is
///   asked for. What it awaits between two items goes on while downstream is busy.
/// - **Ends** when the block does, which is dropped then.
/// - **On error**: an error is an item here. A panic of the block comes out of the poll; the flow
///   has ended then.
/// - **Holds** 1 item. A `next()` that is given up loses nothing; dropping the flow drops the
///   block at its present await.
/// - **Cost**: one allocation at construction, two short locks for an item; a clock read in each
///   long turn and every 1,024 items.
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::generator;
/// let countdown = generator(async |mut emit| {
///     for n in (1..=3).rev() {
///         emit.emit(n).await;
///     }
/// });
/// assert_eq!(countdown.collect::<Vec<_>>().await, [3, 2, 1]);
/// # });
/// ```
#[doc(alias("stream", "yield", "async_stream", "create", "flow_builder"))]
#[track_caller]
pub fn generator<T, F, Fut>(block: F) -> Flow<Generator<T, F, Fut>>
where
    F: FnOnce(Emitter<T>) -> Fut,
    Fut: Future<Output = ()>,
{
    Flow::from_stage(Generator::new(block, "generator", Location::caller()))
}

/// The items that an async block emits, as `Ok`, and the error with which it ends; otherwise as
/// [`generator`].
///
/// ```text
/// block  a-b---()
/// out    a-b---(#|)    try_generator(async |emit| { .. })
/// ```
///
/// - **Emits** what the block emits.
/// - **Backpressures** when downstream does: the block stands at its `emit` until the next item is
///   asked for.
/// - **Ends** when the block does, which is dropped then.
/// - **On error**: `?` in the block ends it, and the error is the last item, after all that it emitted.
///   A panic of the block comes out of the poll; the flow has ended then.
/// - **Holds** 1 item. Dropping the flow drops the block at its present await.
/// - **Cost**: that of [`generator`].
///
/// ```
/// # futures::executor::block_on(async {
/// use aqueduct_operators::try_generator;
/// let parsed = try_generator(async |mut emit| {
///     for text in ["1", "x", "2"] {
///         emit.emit(text.parse::<u8>()?).await;
///     }
///     Ok::<_, std::num::ParseIntError>(())
/// });
/// assert_eq!(parsed.map(|item| item.ok()).collect::<Vec<_>>().await, [Some(1), None]);
/// # });
/// ```
#[doc(alias("try_stream", "async_try_stream"))]
#[track_caller]
pub fn try_generator<T, E, F, Fut>(block: F) -> Flow<Generator<T, F, Fut>>
where
    F: FnOnce(Emitter<T>) -> Fut,
    Fut: Future<Output = Result<(), E>>,
{
    Flow::from_stage(Generator::new(block, "try_generator", Location::caller()))
}

/// What the block of a [`generator`] gives at its end: nothing, or a `Result`.
pub trait Outcome<T> {
    /// What the flow hands out.
    type Item;

    /// An item that was emitted as one of the flow.
    fn item(item: T) -> Self::Item;

    /// The item after all those that were emitted.
    fn last_item(self) -> Option<Self::Item>;
}

impl<T> Outcome<T> for () {
    type Item = T;

    fn item(item: T) -> T {
        item
    }

    fn last_item(self) -> Option<T> {
        None
    }
}

impl<T, E> Outcome<T> for Result<(), E> {
    type Item = Result<T, E>;

    fn item(item: T) -> Self::Item {
        Ok(item)
    }

    fn last_item(self) -> Option<Self::Item> {
        self.err().map(Err)
    }
}

/// Where the block of a [`generator`] puts its items.
///
/// It belongs into its block. Moved out of it, an [`emit`](Self::emit) after the end of the block
/// never comes back, as if it were dropped there.
pub struct Emitter<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

impl<T> fmt::Debug for Emitter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emitter").finish_non_exhaustive()
    }
}

struct Slot<T> {
    item: Option<T>,
    /// Waits until the item is taken.
    emitter: Option<Waker>,
    /// Waits for an item. Needed only by a block that emits from elsewhere than its own poll.
    consumer: Option<Waker>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { item: None, emitter: None, consumer: None }
    }
}

impl<T> Emitter<T> {
    /// Hands out an item; ready when it was taken and the next one is asked for. Dropping the
    /// future takes the item back, unless it was taken.
    pub fn emit(&mut self, item: T) -> Emit<'_, T> {
        Emit { slot: &self.slot, state: EmitState::New(item) }
    }
}

/// The future behind [`Emitter::emit`].
#[must_use = "nothing is emitted before the future is polled"]
pub struct Emit<'a, T> {
    slot: &'a Mutex<Slot<T>>,
    state: EmitState<T>,
}

enum EmitState<T> {
    New(T),
    /// Its item is in the slot, or was taken.
    Waiting,
    Over,
}

impl<T> fmt::Debug for Emit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Emit").finish_non_exhaustive()
    }
}

// The item is never pinned.
impl<T> Unpin for Emit<'_, T> {}

impl<T> Future for Emit<'_, T> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut slot = lock(this.slot);
        match std::mem::replace(&mut this.state, EmitState::Over) {
            // One emitter, which waits for each item: the slot is free.
            EmitState::New(item) => slot.item = Some(item),
            EmitState::Waiting if slot.item.is_none() => return Poll::Ready(()),
            EmitState::Waiting => {}
            EmitState::Over => panic!("emit: polled again after it was over"),
        }
        this.state = EmitState::Waiting;
        match &mut slot.emitter {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        let consumer = slot.consumer.take();
        drop(slot);
        if let Some(consumer) = consumer {
            consumer.wake();
        }
        Poll::Pending
    }
}

impl<T> Drop for Emit<'_, T> {
    fn drop(&mut self) {
        if let EmitState::Waiting = self.state {
            let mut slot = lock(self.slot);
            let (item, waker) = (slot.item.take(), slot.emitter.take());
            // Dropped after the lock is free: both are the user's.
            drop(slot);
            drop((item, waker));
        }
    }
}

/// The stage behind [`generator`] and [`try_generator`].
#[pin_project]
pub struct Generator<T, F, Fut: Future<Output: Outcome<T>>> {
    /// Until the first poll.
    block: Option<F>,
    /// From then on, until it ends.
    #[pin]
    running: Option<Fut>,
    slot: Arc<Mutex<Slot<T>>>,
    /// That of the block, which is over.
    last: Option<<Fut::Output as Outcome<T>>::Item>,
    budget: Budget,
    name: &'static str,
    site: Site,
}

impl<T, F, Fut: Future<Output: Outcome<T>>> fmt::Debug for Generator<T, F, Fut> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Generator")
            .field("running", &self.running.is_some())
            .finish_non_exhaustive()
    }
}

impl<T, F, Fut> Generator<T, F, Fut>
where
    F: FnOnce(Emitter<T>) -> Fut,
    Fut: Future<Output: Outcome<T>>,
{
    fn new(block: F, name: &'static str, site: Site) -> Self {
        Self {
            block: Some(block),
            running: None,
            slot: Arc::default(),
            last: None,
            budget: Budget::new(),
            name,
            site,
        }
    }

    /// Runs the block as far as it goes without an item being taken.
    fn drive(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(running) = this.running.as_mut().as_pin_mut() else {
            return Poll::Ready(());
        };
        let Poll::Ready(output) = running.poll(cx) else {
            // The block has come as far as it can without an item being taken. If it waits for
            // other things beside that, they wake the task, and so it is driven again.
            let full = lock(this.slot).item.is_some();
            return if full { Poll::Ready(()) } else { Poll::Pending };
        };
        this.running.set(None);
        *this.last = output.last_item();
        Poll::Ready(())
    }
}

impl<T, F, Fut> Stage for Generator<T, F, Fut>
where
    F: FnOnce(Emitter<T>) -> Fut,
    Fut: Future<Output: Outcome<T>>,
{
    type Item = <Fut::Output as Outcome<T>>::Item;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut this = self.as_mut().project();
        if let Some(block) = this.block.take() {
            let emitter = Emitter { slot: this.slot.clone() };
            this.running.set(Some(block(emitter)));
        }
        let held = lock(this.slot).item.is_some();
        if !held && this.running.is_some() {
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            let _ = self.as_mut().drive(cx);
        }
        let this = self.project();
        let mut slot = lock(this.slot);
        if let Some(item) = slot.item.take() {
            let emitter = slot.emitter.take();
            drop(slot);
            // A block that waits with the waker of this task is polled with the next item anyway.
            if let Some(waker) = emitter.filter(|waker| !waker.will_wake(cx.waker())) {
                waker.wake();
            }
            return Poll::Ready(Some(<Fut::Output as Outcome<T>>::item(item)));
        }
        if this.running.is_none() {
            return Poll::Ready(this.last.take());
        }
        match &mut slot.consumer {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        drop(slot);
        this.budget.rest();
        Poll::Pending
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.drive(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let held = usize::from(lock(&self.slot).item.is_some()) + usize::from(self.last.is_some());
        let over = self.block.is_none() && self.running.is_none();
        (held, if over { Some(held) } else { None })
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage(self.name, self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::pin::pin;
    use std::rc::Rc;

    use futures::future::join;
    use futures::stream::FuturesUnordered;
    use futures::{FutureExt, StreamExt};

    use super::*;
    use crate::iter;
    use crate::testing::{conformance, every_way, items, marbles, ms, timeline};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).drain().await;
    }

    #[test]
    fn the_items_come_when_they_are_emitted_and_the_end_with_that_of_the_block() {
        let flow = generator(async |mut emit| {
            emit.emit('a').await;
            sleep(2).await;
            emit.emit('b').await;
            sleep(4).await;
        });
        assert_eq!(timeline(flow), (vec![(0, 'a'), (2, 'b')], 6));
    }

    #[test]
    fn one_by_one_the_items_are_the_same() {
        let count = || {
            generator(async |mut emit| {
                for n in 0..2_000 {
                    emit.emit(n).await;
                }
            })
        };
        assert_eq!(every_way(count), Vec::from_iter(0..2_000));
        assert_eq!(every_way(|| generator(async |_: Emitter<u8>| ())), []);
    }

    #[test]
    fn the_error_of_the_block_is_the_last_item() {
        let failing = || {
            try_generator(async |mut emit| {
                emit.emit(1).await;
                Err('x')
            })
        };
        assert_eq!(every_way(failing), [Ok(1), Err('x')]);
    }

    #[test]
    fn the_block_stands_at_its_item_until_the_next_is_asked_for() {
        let log = RefCell::new(Vec::new());
        let flow = generator(async |mut emit| {
            for n in 0..2 {
                log.borrow_mut().push(("before", n));
                emit.emit(n).await;
                log.borrow_mut().push(("after", n));
            }
        });
        let mut flow = pin!(flow);
        assert_eq!(log.take(), []);
        assert_eq!(flow.next().now_or_never(), Some(Some(0)));
        assert_eq!(log.take(), [("before", 0)]);
        assert_eq!(flow.next().now_or_never(), Some(Some(1)));
        assert_eq!(log.take(), [("after", 0), ("before", 1)]);
        assert_eq!(flow.next().now_or_never(), Some(None));
        assert_eq!(log.take(), [("after", 1)]);
    }

    #[test]
    fn an_item_that_is_emitted_while_downstream_is_busy_is_kept() {
        let mut cx = Context::from_waker(Waker::noop());
        let (send, receive) = futures::channel::oneshot::channel::<()>();
        let mut flow = pin!(generator(async |mut emit| {
            let _ = receive.await;
            emit.emit('a').await;
            emit.emit('b').await;
        }));
        assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
        assert!(flow.as_mut().poll_progress(&mut cx).is_pending());
        send.send(()).unwrap();
        for _ in 0..3 {
            let _ = flow.as_mut().poll_progress(&mut cx);
            assert_eq!(Stage::size_hint(&*flow), (1, None));
        }
        for expected in [Some('a'), Some('b'), None, None] {
            assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(expected));
        }
    }

    #[test]
    fn an_emit_that_is_given_up_before_its_item_was_taken_takes_it_back() {
        let mut cx = Context::from_waker(Waker::noop());
        let (send, receive) = futures::channel::oneshot::channel::<()>();
        let (give_up, given_up) = futures::channel::oneshot::channel::<()>();
        let mut flow = pin!(generator(async |mut emit| {
            let _ = receive.await;
            let emitting = emit.emit('a');
            let _ = futures::future::select(emitting, given_up).await;
            emit.emit('b').await;
        }));
        assert!(Stage::poll_next(flow.as_mut(), &mut cx).is_pending());
        send.send(()).unwrap();
        let _ = flow.as_mut().poll_progress(&mut cx);
        assert_eq!(Stage::size_hint(&*flow), (1, None));
        give_up.send(()).unwrap();
        let _ = flow.as_mut().poll_progress(&mut cx);
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(Some('b')));
        assert_eq!(Stage::poll_next(flow, &mut cx), Poll::Ready(None));
    }

    #[test]
    fn an_emit_inside_of_a_group_of_futures_with_wakers_of_its_own_goes_on() {
        let flow = generator(async |mut emit| {
            let emitting = async {
                for n in 0..3 {
                    emit.emit(n).await;
                }
            };
            let group: FuturesUnordered<_> = std::iter::once(emitting).collect();
            join(group.collect::<Vec<_>>(), sleep(1)).await;
        });
        assert_eq!(timeline(flow), (vec![(0, 0), (0, 1), (0, 2)], 1));
    }

    #[test]
    fn an_item_from_another_task_wakes_the_consumer() {
        let flow = generator(async |mut emit| {
            let other = crate::Ambient::current().spawn(async move {
                sleep(3).await;
                emit.emit('a').await;
            });
            other.await;
        });
        assert_eq!(timeline(flow), (vec![(3, 'a')], 3));
    }

    #[test]
    fn dropping_the_flow_drops_the_block_where_it_stands() {
        let owned = Rc::new(());
        let inside = owned.clone();
        let mut flow = Box::pin(generator(async move |mut emit| {
            emit.emit(1).await;
            drop(inside);
        }));
        assert_eq!(flow.next().now_or_never(), Some(Some(1)));
        drop(flow);
        assert_eq!(Rc::strong_count(&owned), 1);
    }

    #[test]
    fn a_block_that_never_waits_lets_others_run() {
        let flow = generator(async |mut emit| {
            loop {
                emit.emit(()).await;
            }
        });
        assert!(flow.drain().now_or_never().is_none());
        assert_eq!(items(generator(async |mut emit| emit.emit(1).await)), [1]);
    }

    marbles!(generator, || {
        generator(async |mut emit| {
            emit.emit('a').await;
            sleep(2).await;
            emit.emit('b').await;
            sleep(4).await;
        })
    });
    marbles!(try_generator, || {
        try_generator(async |mut emit| {
            emit.emit('a').await;
            sleep(2).await;
            emit.emit('b').await;
            sleep(4).await;
            Err('#')
        })
    });

    conformance!(generator, |input| {
        generator(async move |mut emit| {
            let mut input = pin!(input);
            while let Some(item) = input.next().await {
                emit.emit(item).await;
            }
        })
    }, except [
        NoSnooze: "the block polls what it wants, and begins when an item is asked for",
    ]);
}
