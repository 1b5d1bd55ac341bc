//! [`Hub`]: one input and several consumers, without a task.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::Waiting;
use crate::sync::{Mutex, MutexGuard, lock};
use crate::{Budget, Flow, Outline, Stage, Task};

/// Where the items of a hub lie until their consumers take them.
///
/// Its methods run under the lock of the hub. What they have no use for any more goes into
/// `waste`, which is dropped when the lock is free: an item may hold anything, even a consumer of
/// the same hub.
pub(crate) trait Board<T> {
    /// What a consumer gets.
    type Out;
    /// What may be of no use any more.
    type Waste;

    /// The next item for this consumer.
    fn take(&mut self, seat: usize, waste: &mut Vec<Self::Waste>) -> Option<Self::Out>;

    /// The next items for a consumer that is draining. They go on taking their room until they are
    /// [`settle`](Self::settle)d.
    fn take_batch(
        &mut self,
        seat: usize,
        into: &mut VecDeque<Self::Out>,
        waste: &mut Vec<Self::Waste>,
    ) {
        into.extend(self.take(seat, waste));
    }

    /// So many items of the batch are handed out.
    fn settle(&mut self, _seat: usize, _out: usize, _waste: &mut Vec<Self::Waste>) {}

    /// How many items may be put now.
    fn room(&self) -> usize;

    fn put(&mut self, item: T, waste: &mut Vec<Self::Waste>);

    /// Tells an item after which none may follow.
    fn is_last(&self) -> Option<fn(&T) -> bool> {
        None
    }

    /// The input is over.
    fn end(&mut self, _waste: &mut Vec<Self::Waste>) {}

    /// A consumer is gone; says whether the input is still wanted.
    fn leave(&mut self, seat: usize, waste: &mut Vec<Self::Waste>) -> bool;
}

/// Makes the input when it is first polled.
pub(crate) type Make<S> = Arc<Mutex<Box<dyn FnMut() -> Flow<S> + Send>>>;

/// Polls its input on behalf of whichever consumer is polled.
///
/// The input is taken out of the state while it is polled, so that no lock is held meanwhile; a
/// consumer that comes then is woken when the input is back. The input is polled with a waker that
/// wakes every consumer that waits: it does not matter who polled last, or is gone since. As that
/// waker is always the same, an input that was pending is asked again only after it woke: a
/// thousand consumers ask it as often as one does.
pub(crate) struct Hub<S: Stage, B> {
    state: Mutex<State<S, B>>,
    waiting: Arc<Waiting>,
    waker: Waker,
    /// Stops with the hub.
    keeper: Mutex<Option<Task<()>>>,
}

struct State<S: Stage, B> {
    board: B,
    input: Input<S>,
    /// The outline of the input.
    above: Outline,
    /// A consumer found the input away.
    contended: bool,
    /// The input was pending when it was polled last.
    asked: bool,
    /// The work in flight of the input was driven when it was polled last.
    driven: bool,
}

enum Input<S: Stage> {
    Here(Source<S>),
    /// A consumer polls it.
    Away,
    /// It has ended or panicked, or is not wanted any more.
    Over,
}

struct Source<S: Stage> {
    stage: Origin<S>,
    /// Taken from the stage and not yet on the board.
    batch: VecDeque<S::Item>,
}

pub(crate) enum Origin<S> {
    Made(Pin<Box<S>>),
    /// Not polled yet.
    Unmade(Make<S>),
}

impl<S: Stage, B> fmt::Debug for Hub<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// The most items that are taken from the input before they are shown to the consumers.
pub(super) const BATCH: usize = 32;

impl<S: Stage, B: Board<S::Item>> Hub<S, B> {
    pub(crate) fn new(input: S, board: B) -> Arc<Self> {
        let above = Outline::of(&input);
        Self::of(Origin::Made(Box::pin(input)), above, board)
    }

    pub(crate) fn of(stage: Origin<S>, above: Outline, board: B) -> Arc<Self> {
        let waiting = Arc::new(Waiting::default());
        let source = Source { stage, batch: VecDeque::new() };
        Arc::new(Self {
            state: Mutex::new(State {
                board,
                input: Input::Here(source),
                above,
                contended: false,
                asked: false,
                driven: false,
            }),
            waker: Waker::from(waiting.clone()),
            waiting,
            keeper: Mutex::new(None),
        })
    }

    /// A consumer, if `seat` is its place on the board.
    pub(crate) fn seat(self: &Arc<Self>, seat: impl FnOnce(&mut B) -> usize) -> Seat<S, B> {
        let mut state = lock(&self.state);
        let was_full = state.board.room() == 0;
        let seat = seat(&mut state.board);
        let freed = was_full && state.board.room() > 0;
        drop(state);
        // What the keeper waits for may have changed.
        self.waiting.wake_keeper();
        if freed {
            self.waiting.wake_for_room(seat);
        }
        Seat {
            hub: self.clone(),
            seat,
            registered: false,
            batch: VecDeque::new(),
            out: 0,
            waste: Vec::new(),
            budget: Budget::new(),
        }
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&B) -> R) -> R {
        look(&lock(&self.state).board)
    }

    /// Changes the board, and wakes whom that may concern.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut B, &mut Vec<B::Waste>) -> R) -> R {
        let mut waste = Vec::new();
        let result = change(&mut lock(&self.state).board, &mut waste);
        self.waiting.wake_everybody();
        result
    }

    /// Changes the board if the input has not ended.
    pub(crate) fn put<R>(
        &self,
        waste: &mut Vec<B::Waste>,
        put: impl FnOnce(Option<&mut B>, &mut Vec<B::Waste>) -> (R, bool),
    ) -> R {
        let mut state = lock(&self.state);
        let over = matches!(state.input, Input::Over);
        let (result, news) = put((!over).then_some(&mut state.board), waste);
        drop(state);
        if news {
            self.waiting.wake_all_but(usize::MAX);
        }
        waste.clear();
        result
    }

    /// The input is not wanted any more.
    pub(crate) fn stop(&self, change: impl FnOnce(&mut B, &mut Vec<B::Waste>) -> bool) {
        let mut waste = Vec::new();
        let mut state = lock(&self.state);
        let stop = change(&mut state.board, &mut waste);
        let gone = stop.then(|| std::mem::replace(&mut state.input, Input::Over));
        drop(state);
        self.waiting.wake_everybody();
        drop(gone);
    }

    pub(crate) fn is_over(&self) -> bool {
        matches!(lock(&self.state).input, Input::Over)
    }

    pub(crate) fn waiting(&self) -> &Waiting {
        &self.waiting
    }

    pub(crate) fn above(&self) -> Outline {
        lock(&self.state).above.clone()
    }

    /// Starts a task that stops with the hub, once.
    pub(crate) fn keep(self: &Arc<Self>, spawn: impl FnOnce(&Arc<Self>) -> Task<()>) {
        let mut keeper = lock(&self.keeper);
        if keeper.is_none() {
            *keeper = Some(spawn(self));
        }
    }

    /// Drives the input while nobody is subscribed, as far as the board has room; the waker of the
    /// keeper is registered.
    pub(crate) fn drive(&self, budget: &mut Budget, cx: &mut Context<'_>) {
        let mut waste = Vec::new();
        loop {
            let state = lock(&self.state);
            let room = state.board.room();
            if room == 0 || self.is_waiting(&state) {
                return budget.rest();
            }
            if !budget.spend(cx) {
                return;
            }
            let Some(mut turn) = self.begin(state, usize::MAX) else {
                return budget.rest();
            };
            let drained = turn.pull(room.min(BATCH));
            turn.finish(drained, &mut waste);
        }
    }

    /// Whether there is no use in asking the input: it will wake who is registered.
    fn is_waiting(&self, state: &State<S, B>) -> bool {
        state.asked && !self.waiting.woken.load(Ordering::Acquire)
    }

    fn poll_progress(&self, seat: usize, waker: &Waker) -> Poll<()> {
        let state = lock(&self.state);
        if matches!(state.input, Input::Over) {
            return Poll::Ready(());
        }
        self.waiting.register(seat, waker);
        if (state.driven || state.asked) && !self.waiting.woken.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let Some(turn) = self.begin(state, seat) else {
            return Poll::Pending;
        };
        turn.progress()
    }

    /// Takes the input away to poll it.
    fn begin(&self, mut state: MutexGuard<'_, State<S, B>>, seat: usize) -> Option<Turn<'_, S, B>> {
        match std::mem::replace(&mut state.input, Input::Away) {
            Input::Here(source) => {
                (state.asked, state.driven) = (false, false);
                // Taken back before the poll: a wake from now on asks for another one.
                self.waiting.woken.store(false, Ordering::Release);
                let is_last = state.board.is_last();
                let source = Some(source);
                Some(Turn { hub: self, seat, source, is_last, asked: false, driven: false })
            }
            other => {
                state.input = other;
                state.contended = true;
                None
            }
        }
    }
}

/// The input while one consumer polls it. If that panics, the input is over for everybody.
struct Turn<'a, S: Stage, B: Board<S::Item>> {
    hub: &'a Hub<S, B>,
    seat: usize,
    /// `None` once it was given back.
    source: Option<Source<S>>,
    is_last: Option<fn(&S::Item) -> bool>,
    asked: bool,
    driven: bool,
}

impl<S: Stage, B: Board<S::Item>> Turn<'_, S, B> {
    /// The input, made if it is not yet.
    fn source(&mut self) -> Option<(Pin<&mut S>, &mut VecDeque<S::Item>)> {
        let source = self.source.as_mut()?;
        if let Origin::Unmade(make) = &source.stage {
            let make = make.clone();
            let stage = (*lock(&make))().into_stage();
            lock(&self.hub.state).above = Outline::of(&stage);
            source.stage = Origin::Made(Box::pin(stage));
        }
        match &mut source.stage {
            Origin::Made(stage) => Some((stage.as_mut(), &mut source.batch)),
            Origin::Unmade(_) => None,
        }
    }

    fn pull(&mut self, most: usize) -> Poll<ControlFlow<bool>> {
        let (hub, is_last) = (self.hub, self.is_last);
        let Some((stage, batch)) = self.source() else {
            return Poll::Pending;
        };
        let mut cx = Context::from_waker(&hub.waker);
        stage.poll_drain(&mut cx, &mut |item| {
            let last = is_last.is_some_and(|is_last| is_last(&item));
            batch.push_back(item);
            if last || batch.len() >= most {
                ControlFlow::Break(last)
            } else {
                ControlFlow::Continue(())
            }
        })
    }

    fn progress(mut self) -> Poll<()> {
        let hub = self.hub;
        let Some((stage, _)) = self.source() else {
            return Poll::Ready(());
        };
        let mut cx = Context::from_waker(&hub.waker);
        let progress = stage.poll_progress(&mut cx);
        self.driven = progress.is_pending();
        self.give_back(false, &mut Vec::new());
        progress
    }

    /// Says whether the input is pending.
    fn finish(mut self, drained: Poll<ControlFlow<bool>>, waste: &mut Vec<B::Waste>) -> bool {
        self.asked = drained.is_pending();
        let over =
            matches!(drained, Poll::Ready(ControlFlow::Continue(()) | ControlFlow::Break(true)));
        self.give_back(over, waste);
        self.asked
    }

    fn give_back(&mut self, over: bool, waste: &mut Vec<B::Waste>) {
        let Some(mut source) = self.source.take() else {
            return;
        };
        let mut state = lock(&self.hub.state);
        let news = over || !source.batch.is_empty();
        while let Some(item) = source.batch.pop_front() {
            state.board.put(item, waste);
        }
        (state.asked, state.driven) = (self.asked, self.driven);
        // It may have been stopped meanwhile.
        let wanted = matches!(state.input, Input::Away);
        if over && wanted {
            state.board.end(waste);
        }
        let gone = if over || !wanted {
            state.input = Input::Over;
            Some(source)
        } else {
            state.input = Input::Here(source);
            None
        };
        let news = std::mem::take(&mut state.contended) || news;
        drop(state);
        if over {
            self.hub.waiting.wake_everybody();
        } else if news {
            self.hub.waiting.wake_all_but(self.seat);
        }
        // Outside of the lock: they may hold anything, even a consumer of this hub.
        drop(gone);
        waste.clear();
    }
}

impl<S: Stage, B: Board<S::Item>> Drop for Turn<'_, S, B> {
    fn drop(&mut self) {
        // Still here only if the poll panicked.
        self.give_back(true, &mut Vec::new());
    }
}

/// A consumer of a [`Hub`].
pub(crate) struct Seat<S: Stage, B: Board<S::Item>> {
    hub: Arc<Hub<S, B>>,
    seat: usize,
    /// Whether its waker may be among those that wait.
    registered: bool,
    /// Taken while draining and not handed out.
    batch: VecDeque<B::Out>,
    /// Handed out of the batch, and the board does not know yet.
    out: usize,
    /// Empty between two polls.
    waste: Vec<B::Waste>,
    budget: Budget,
}

impl<S: Stage, B: Board<S::Item>> fmt::Debug for Seat<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").field("seat", &self.seat).finish_non_exhaustive()
    }
}

impl<S: Stage, B: Board<S::Item>> Seat<S, B> {
    pub(crate) fn hub(&self) -> &Arc<Hub<S, B>> {
        &self.hub
    }

    /// What the board knows about this consumer.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&B, usize) -> R) -> R {
        self.hub.look(|board| look(board, self.seat))
    }

    /// How many items it has taken and not handed out.
    pub(crate) fn batched(&self) -> usize {
        self.batch.len()
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<B::Out>> {
        if let Some(item) = self.batch.pop_front() {
            // Of a drain that broke off.
            self.out += 1;
            self.settle();
            return Poll::Ready(Some(item));
        }
        self.poll(cx, |board, seat, _, waste| board.take(seat, waste))
    }

    pub(crate) fn poll_drain<R>(
        &mut self,
        cx: &mut Context<'_>,
        each: &mut impl FnMut(B::Out) -> ControlFlow<R>,
    ) -> Poll<ControlFlow<R>> {
        loop {
            while !self.batch.is_empty() {
                if !self.budget.spend(cx) {
                    self.settle();
                    return Poll::Pending;
                }
                let Some(item) = self.batch.pop_front() else {
                    break;
                };
                self.out += 1;
                if let broke @ ControlFlow::Break(_) = each(item) {
                    self.settle();
                    return Poll::Ready(broke);
                }
            }
            self.settle();
            let polled = self.poll(cx, |board, seat, batch, waste| {
                board.take_batch(seat, batch, waste);
                (!batch.is_empty()).then_some(())
            });
            match polled {
                Poll::Ready(Some(())) => {}
                Poll::Ready(None) => return Poll::Ready(ControlFlow::Continue(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Gives back the room of what was handed out.
    fn settle(&mut self) {
        if self.out == 0 {
            return;
        }
        let mut state = lock(&self.hub.state);
        let was_full = state.board.room() == 0;
        state.board.settle(self.seat, std::mem::take(&mut self.out), &mut self.waste);
        let freed = was_full && state.board.room() > 0;
        drop(state);
        self.waste.clear();
        if freed {
            self.hub.waiting.wake_for_room(self.seat);
        }
    }

    fn poll<R>(
        &mut self,
        cx: &mut Context<'_>,
        take: impl Fn(&mut B, usize, &mut VecDeque<B::Out>, &mut Vec<B::Waste>) -> Option<R>,
    ) -> Poll<Option<R>> {
        let hub = &*self.hub;
        let mut pending = false;
        loop {
            // In each round: the items of many may be for others, or for nobody.
            if !self.budget.spend(cx) {
                return Poll::Pending;
            }
            let mut state = lock(&hub.state);
            let was_full = state.board.room() == 0;
            let item = take(&mut state.board, self.seat, &mut self.batch, &mut self.waste);
            let room = state.board.room();
            if item.is_some() || matches!(state.input, Input::Over) {
                drop(state);
                self.waste.clear();
                if std::mem::take(&mut self.registered) {
                    hub.waiting.forget(self.seat);
                }
                if was_full && room > 0 {
                    hub.waiting.wake_for_room(self.seat);
                }
                if item.is_none() {
                    // A later poll must end as well and not give way.
                    self.budget.rest();
                }
                return Poll::Ready(item);
            }
            if pending {
                self.budget.rest();
                return Poll::Pending;
            }
            // Before the input is looked at: it may wake while it is polled.
            hub.waiting.register(self.seat, cx.waker());
            self.registered = true;
            if room == 0 || hub.is_waiting(&state) {
                self.budget.rest();
                return Poll::Pending;
            }
            let Some(mut turn) = hub.begin(state, self.seat) else {
                self.budget.rest();
                return Poll::Pending;
            };
            let drained = turn.pull(room.min(BATCH));
            pending = turn.finish(drained, &mut self.waste);
        }
    }

    pub(crate) fn poll_progress(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.registered = true;
        self.hub.poll_progress(self.seat, cx.waker())
    }
}

impl<S: Stage, B: Board<S::Item>> Drop for Seat<S, B> {
    fn drop(&mut self) {
        self.hub.waiting.forget(self.seat);
        let mut state = lock(&self.hub.state);
        let wanted = state.board.leave(self.seat, &mut self.waste);
        let gone = (!wanted).then(|| std::mem::replace(&mut state.input, Input::Over));
        drop(state);
        // The input may have counted on this one to poll it, and the others on the room it takes.
        self.hub.waiting.wake_everybody();
        drop(gone);
    }
}

#[cfg(all(test, loom))]
mod model {
    use std::future::poll_fn;

    use loom::future::block_on;
    use loom::thread;

    use super::*;
    use crate::share::Subject;
    use crate::sync::{all, model, next};
    use crate::{Overflow, channel, iter};

    #[test]
    fn consumers_on_two_threads_both_get_every_item_and_the_end() {
        model(2, || {
            let shared = iter(0..2).share(1);
            let (first, second) = (shared.subscribe(), shared.subscribe());
            let thread = thread::spawn(move || all(first));
            assert_eq!(all(second), [0, 1]);
            assert_eq!(thread.join().unwrap(), [0, 1]);
        });
    }

    #[test]
    fn a_consumer_that_leaves_with_items_not_taken_stops_nobody() {
        model(2, || {
            let shared = iter(0..3).share(1);
            let (mut first, second) = (shared.subscribe(), shared.subscribe());
            let thread = thread::spawn(move || assert_eq!(next(&mut first), Some(0)));
            assert_eq!(all(second), [0, 1, 2]);
            thread.join().unwrap();
        });
    }

    #[test]
    fn who_waits_for_room_gets_it_from_a_consumer_that_is_not_polled_again() {
        model(2, || {
            let shared = iter(0..2).share(1);
            let (mut first, mut second) = (shared.subscribe(), shared.subscribe());
            let thread = thread::spawn(move || (next(&mut first), first));
            assert_eq!((next(&mut second), next(&mut second)), (Some(0), Some(1)));
            assert_eq!(thread.join().unwrap().0, Some(0));
        });
    }

    #[test]
    fn who_finds_the_input_away_gets_it_from_a_consumer_that_only_drove_it() {
        model(2, || {
            let shared = iter(0..1).share(1);
            let (mut first, mut second) = (shared.subscribe(), shared.subscribe());
            let thread = thread::spawn(move || {
                block_on(poll_fn(|cx| {
                    let _ = Stage::poll_progress(Pin::new(&mut first), cx);
                    Poll::Ready(())
                }));
                first
            });
            assert_eq!(next(&mut second), Some(0));
            drop(thread.join().unwrap());
        });
    }

    #[test]
    fn a_consumer_that_leaves_while_the_input_wakes_it_leaves_nobody_waiting() {
        model(2, || {
            let (sender, input) = channel(1, Overflow::Block);
            let shared = input.share(1);
            let (first, second) = (shared.subscribe(), shared.subscribe());
            let leaves = thread::spawn(move || {
                let mut first = Some(first);
                block_on(poll_fn(|cx| {
                    if let Some(first) = &mut first {
                        let _ = Stage::poll_next(Pin::new(first), cx);
                    }
                    first = None;
                    Poll::Ready(())
                }));
            });
            let sends = thread::spawn(move || sender.try_send(7).unwrap());
            assert_eq!(all(second), [7]);
            leaves.join().unwrap();
            sends.join().unwrap();
        });
    }

    #[test]
    fn who_emits_into_a_subject_gets_the_room_that_its_consumer_frees() {
        model(2, || {
            let subject = Subject::new(1);
            let flow = subject.subscribe();
            let thread = thread::spawn(move || {
                block_on(subject.emit(1)).unwrap();
                block_on(subject.emit(2)).unwrap();
            });
            assert_eq!(all(flow), [1, 2]);
            thread.join().unwrap();
        });
    }
}
