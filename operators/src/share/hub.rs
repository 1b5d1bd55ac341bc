//! [`Hub`]: one input and several consumers, without a task.

use std::collections::VecDeque;
use std::fmt;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};

use crate::util::lock;
use crate::{Budget, Outline, Stage};

/// Where the items of a hub lie until their consumers take them.
pub(crate) trait Board<T> {
    /// What a consumer gets.
    type Out;
    /// The next item for this consumer.
    fn take(&mut self, seat: usize) -> Option<Self::Out>;
    /// How many items may be put now.
    fn room(&self) -> usize;
    fn put(&mut self, item: T);
    /// A consumer is gone; says whether others are left.
    fn leave(&mut self, seat: usize) -> bool;
}

/// Polls its input on behalf of whichever consumer is polled.
///
/// The input is taken out of the state while it is polled, so that no lock is held meanwhile; a
/// consumer that comes then is woken when the input is back. The input is polled with a waker that
/// wakes every consumer that waits: it does not matter who polled last, or is gone since.
pub(crate) struct Hub<S: Stage, B> {
    state: Mutex<State<S, B>>,
    waiting: Arc<Waiting>,
    waker: Waker,
    /// The outline of the input.
    above: Outline,
}

struct State<S: Stage, B> {
    board: B,
    input: Input<S>,
    /// A consumer found the input away.
    contended: bool,
}

enum Input<S: Stage> {
    Here(Source<S>),
    /// A consumer polls it.
    Away,
    /// It has ended or panicked, or all consumers have left.
    Over,
}

struct Source<S: Stage> {
    stage: Pin<Box<S>>,
    /// Taken from the stage and not yet on the board.
    batch: VecDeque<S::Item>,
}

impl<S: Stage, B> fmt::Debug for Hub<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").finish_non_exhaustive()
    }
}

/// The most items that are taken from the input before they are shown to the consumers.
const BATCH: usize = 32;

impl<S: Stage, B: Board<S::Item>> Hub<S, B> {
    pub(crate) fn new(input: S, board: B) -> Arc<Self> {
        let waiting = Arc::new(Waiting::default());
        Arc::new(Self {
            above: Outline::of(&input),
            state: Mutex::new(State {
                board,
                input: Input::Here(Source { stage: Box::pin(input), batch: VecDeque::new() }),
                contended: false,
            }),
            waker: Waker::from(waiting.clone()),
            waiting,
        })
    }

    /// A consumer, if `seat` is its place on the board.
    pub(crate) fn seat(self: &Arc<Self>, seat: impl FnOnce(&mut B) -> usize) -> Seat<S, B> {
        let seat = seat(&mut lock(&self.state).board);
        Seat { hub: self.clone(), seat, registered: false, budget: Budget::new() }
    }

    pub(crate) fn look<R>(&self, look: impl FnOnce(&B) -> R) -> R {
        look(&lock(&self.state).board)
    }

    pub(crate) fn above(&self) -> Outline {
        self.above.clone()
    }

    fn poll(
        &self,
        seat: usize,
        cx: &mut Context<'_>,
        registered: &mut bool,
        budget: &mut Budget,
    ) -> Poll<Option<B::Out>> {
        let mut pending = false;
        loop {
            // In each round: the items of many may be for others, or for nobody.
            if !budget.spend(cx) {
                return Poll::Pending;
            }
            let mut state = lock(&self.state);
            let was_full = state.board.room() == 0;
            let item = state.board.take(seat);
            if item.is_some() || matches!(state.input, Input::Over) {
                let freed = was_full && state.board.room() > 0;
                drop(state);
                if std::mem::take(registered) {
                    self.waiting.forget(seat);
                }
                if freed {
                    self.waiting.wake_all_but(seat);
                }
                if item.is_none() {
                    // A later poll must end as well and not give way.
                    budget.rest();
                }
                return Poll::Ready(item);
            }
            if pending {
                budget.rest();
                return Poll::Pending;
            }
            // Before the input is looked at: it may wake while it is polled.
            self.waiting.register(seat, cx.waker());
            *registered = true;
            let room = state.board.room();
            if room == 0 {
                return Poll::Pending;
            }
            let Some(mut turn) = self.begin(state, seat) else {
                return Poll::Pending;
            };
            let drained = turn.pull(room.min(BATCH));
            pending = drained.is_pending();
            turn.finish(matches!(drained, Poll::Ready(ControlFlow::Continue(()))));
        }
    }

    fn poll_progress(&self, seat: usize, waker: &Waker) -> Poll<()> {
        let state = lock(&self.state);
        if matches!(state.input, Input::Over) {
            return Poll::Ready(());
        }
        self.waiting.register(seat, waker);
        let Some(mut turn) = self.begin(state, seat) else {
            return Poll::Pending;
        };
        let progress = turn.progress();
        turn.finish(false);
        progress
    }

    /// Takes the input away to poll it.
    fn begin(&self, mut state: MutexGuard<'_, State<S, B>>, seat: usize) -> Option<Turn<'_, S, B>> {
        match std::mem::replace(&mut state.input, Input::Away) {
            Input::Here(source) => Some(Turn { hub: self, seat, source: Some(source) }),
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
}

impl<S: Stage, B: Board<S::Item>> Turn<'_, S, B> {
    fn pull(&mut self, most: usize) -> Poll<ControlFlow<()>> {
        let Some(Source { stage, batch }) = &mut self.source else {
            return Poll::Pending;
        };
        let mut cx = Context::from_waker(&self.hub.waker);
        stage.as_mut().poll_drain(&mut cx, &mut |item| {
            batch.push_back(item);
            if batch.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
    }

    fn progress(&mut self) -> Poll<()> {
        let Some(source) = &mut self.source else {
            return Poll::Ready(());
        };
        let mut cx = Context::from_waker(&self.hub.waker);
        source.stage.as_mut().poll_progress(&mut cx)
    }

    fn finish(mut self, over: bool) {
        self.give_back(over);
    }

    fn give_back(&mut self, over: bool) {
        let Some(mut source) = self.source.take() else {
            return;
        };
        let mut state = lock(&self.hub.state);
        let news = over || !source.batch.is_empty();
        while let Some(item) = source.batch.pop_front() {
            state.board.put(item);
        }
        let gone = if over {
            state.input = Input::Over;
            Some(source)
        } else {
            state.input = Input::Here(source);
            None
        };
        let news = std::mem::take(&mut state.contended) || news;
        drop(state);
        if news {
            self.hub.waiting.wake_all_but(self.seat);
        }
        // Outside of the lock: it may hold anything, even a consumer of this hub.
        drop(gone);
    }
}

impl<S: Stage, B: Board<S::Item>> Drop for Turn<'_, S, B> {
    fn drop(&mut self) {
        // Still here only if the poll panicked.
        self.give_back(true);
    }
}

/// A consumer of a [`Hub`].
#[derive(Debug)]
pub(crate) struct Seat<S: Stage, B: Board<S::Item>> {
    hub: Arc<Hub<S, B>>,
    seat: usize,
    /// Whether its waker may be among those that wait.
    registered: bool,
    budget: Budget,
}

impl<S: Stage, B: Board<S::Item>> Seat<S, B> {
    pub(crate) fn hub(&self) -> &Arc<Hub<S, B>> {
        &self.hub
    }

    /// What the board knows about this consumer.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&B, usize) -> R) -> R {
        self.hub.look(|board| look(board, self.seat))
    }

    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<B::Out>> {
        self.hub.poll(self.seat, cx, &mut self.registered, &mut self.budget)
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
        let left = state.board.leave(self.seat);
        let gone = if left { None } else { Some(std::mem::replace(&mut state.input, Input::Over)) };
        drop(state);
        // The input may have counted on this one to poll it, and the others on the room it takes.
        self.hub.waiting.wake_by_ref();
        drop(gone);
    }
}

/// The consumers that wait, by their seat.
#[derive(Debug, Default)]
struct Waiting(Mutex<Vec<Option<Waker>>>);

impl Waiting {
    fn register(&self, seat: usize, waker: &Waker) {
        let mut wakers = lock(&self.0);
        if wakers.len() <= seat {
            wakers.resize(seat + 1, None);
        }
        match &mut wakers[seat] {
            Some(registered) => registered.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
    }

    fn forget(&self, seat: usize) {
        if let Some(waker) = lock(&self.0).get_mut(seat) {
            *waker = None;
        }
    }

    /// In the order of the seats; no waker runs under the lock.
    fn wake_all_but(&self, seat: usize) {
        let mut next = 0;
        loop {
            let mut wakers = lock(&self.0);
            let found = (next..wakers.len()).find(|&at| at != seat && wakers[at].is_some());
            let Some(at) = found else {
                return;
            };
            let waker = wakers[at].take();
            drop(wakers);
            if let Some(waker) = waker {
                waker.wake();
            }
            next = at + 1;
        }
    }
}

impl Wake for Waiting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all_but(usize::MAX);
    }
}
