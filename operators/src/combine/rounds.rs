//! [`Rounds`]: many inputs that have turns, round after round.

use std::ops::ControlFlow;
use std::task::{Context, Poll, Waker};

use super::Halt;
use super::inputs::Inputs;
use crate::wake_set::Bits;
use crate::{Budget, Flow, Stage};

/// The items one input may give before the next one has its turn.
pub(crate) const TURN: usize = 64;

/// What is behind every operator that mixes the items of many inputs: those that are ready have
/// turns in the order of their indices. A turn ends after 64 items, or when the input has no more.
#[derive(Debug)]
pub(crate) struct Rounds<S> {
    inputs: Inputs<S>,
    /// The inputs that have their turn in this round, after the current one.
    round: Bits,
    /// Those that have one in the next round, beside those that are woken until then.
    next_round: Bits,
    /// Whose turn it is, if `left` is not zero.
    current: usize,
    /// The items left in this turn.
    left: usize,
    /// The index of what the inputs come from, and whether it was woken.
    feed: Option<usize>,
    feed_woken: bool,
    halt: Halt,
    /// Needed beside the budgets of the inputs: see [`Budget::left`].
    budget: Budget,
}

/// Where the inputs of [`Rounds`] come from while it runs.
pub(crate) trait Feed<S: Stage> {
    /// Starts inputs as long as there is room for them. Whether more may come later.
    fn refill(&mut self, rounds: &mut Rounds<S>) -> bool;

    /// Sees an item before it is handed out.
    fn gives(&mut self, _: &S::Item) {}
}

/// All inputs were there at the beginning.
pub(super) struct NoMore;

impl<S: Stage> Feed<S> for NoMore {
    fn refill(&mut self, _: &mut Rounds<S>) -> bool {
        false
    }
}

impl<S: Stage> Rounds<S> {
    pub(super) fn new(inputs: impl IntoIterator<Item = Flow<S>>) -> Self {
        let inputs = Inputs::new(inputs);
        let len = inputs.len();
        Self::with(inputs, Bits::full(len), Bits::new(len), None)
    }

    /// Room for `limit` inputs, which a [`Feed`] brings.
    pub(crate) fn vacant(limit: usize) -> Self {
        let round = || Bits::new(limit + 1);
        Self::with(Inputs::vacant(limit), round(), round(), Some(limit))
    }

    fn with(inputs: Inputs<S>, round: Bits, next_round: Bits, feed: Option<usize>) -> Self {
        Self {
            inputs,
            round,
            next_round,
            current: 0,
            left: 0,
            feed,
            feed_woken: false,
            halt: Halt::All,
            budget: Budget::new(),
        }
    }

    /// Which end of an input ends all.
    pub(super) fn set_halt(&mut self, halt: Halt) {
        self.halt = halt;
    }

    pub(super) fn halt(&self) -> Halt {
        self.halt
    }

    pub(crate) fn inputs(&self) -> &Inputs<S> {
        &self.inputs
    }

    /// To set parameters of the inputs before they run.
    pub(crate) fn inputs_mut(&mut self) -> &mut Inputs<S> {
        &mut self.inputs
    }

    /// The waker with which the feed polls what the inputs come from.
    pub(crate) fn feed_waker(&self) -> &Waker {
        self.inputs.waker(self.feed.unwrap_or_default())
    }

    /// Whether that was woken since the last call.
    pub(crate) fn take_feed_wake(&mut self) -> bool {
        std::mem::take(&mut self.feed_woken)
    }

    /// Takes an input in, which has a turn in this round. Only called when there is room.
    pub(crate) fn start(&mut self, input: S) {
        if let Some(index) = self.inputs.insert(input) {
            self.round.insert(index);
        }
    }

    /// The input whose turn it is in this round.
    fn turn(&mut self) -> Option<usize> {
        while self.left == 0 {
            self.current = self.round.pop_first()?;
            // A waker may outlive its input.
            if self.inputs.is_open(self.current) {
                self.left = TURN;
            }
        }
        Some(self.current)
    }

    fn begin_round(&mut self) {
        std::mem::swap(&mut self.round, &mut self.next_round);
        self.inputs.take_woken(&mut self.round);
        if let Some(feed) = self.feed {
            self.feed_woken |= self.round.take(feed);
        }
    }

    /// Counts items of the current turn.
    fn took(&mut self, items: usize) {
        self.left -= items;
        if self.left == 0 {
            self.next_round.insert(self.current);
            self.inputs.took_from(self.current);
        }
    }

    /// Drops the current input, which has ended.
    fn end(&mut self) {
        self.inputs.end(self.current);
        self.left = 0;
        if self.halt.ends_with(self.current) {
            (0..self.inputs.len()).for_each(|index| self.inputs.end(index));
        }
    }

    /// The current input has nothing.
    fn pass(&mut self) {
        self.inputs.waits(self.current);
        self.left = 0;
    }

    fn wait<T>(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        self.budget.rest();
        self.inputs.park(cx);
        Poll::Pending
    }

    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut impl Feed<S>,
    ) -> Poll<Option<S::Item>> {
        // The rest of a round that was begun earlier, and then a whole one. An input that is woken
        // again within that one wants to give way, which it does by going through the task.
        for new_round in [false, true] {
            if new_round {
                self.begin_round();
                feed.refill(self);
            }
            loop {
                while let Some(index) = self.turn() {
                    if !self.budget.spend(cx) {
                        return Poll::Pending;
                    }
                    match self.inputs.with(index, |input, cx| input.poll_next(cx)) {
                        Some(Poll::Ready(Some(item))) => {
                            self.took(1);
                            feed.gives(&item);
                            return Poll::Ready(Some(item));
                        }
                        Some(Poll::Pending) => self.pass(),
                        Some(Poll::Ready(None)) | None => self.end(),
                    }
                }
                // Those that have ended made room. This is done at the end of a round and not in
                // its middle, which a drain does not see as often.
                let more = feed.refill(self);
                if !more && self.inputs.open() == 0 {
                    return Poll::Ready(None);
                }
                if self.round.is_empty() {
                    break;
                }
            }
        }
        self.wait(cx)
    }

    pub(crate) fn poll_drain<B>(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut impl Feed<S>,
        each: &mut impl FnMut(S::Item) -> ControlFlow<B>,
    ) -> Poll<ControlFlow<B>> {
        // As in `poll_next`; a round that gave items counts as the rest of an earlier one.
        let mut new_round = false;
        loop {
            while let Some(index) = self.turn() {
                let most = self.budget.left(cx).min(self.left);
                if most == 0 {
                    return Poll::Pending;
                }
                let mut items = 0;
                let drained = self.inputs.with(index, |input, cx| {
                    input.poll_drain(cx, &mut |item| {
                        items += 1;
                        feed.gives(&item);
                        match each(item) {
                            ControlFlow::Break(broke) => ControlFlow::Break(Some(broke)),
                            ControlFlow::Continue(()) if items == most => ControlFlow::Break(None),
                            ControlFlow::Continue(()) => ControlFlow::Continue(()),
                        }
                    })
                });
                // A turn without items took its time too.
                self.budget.used(items.max(1));
                new_round &= items == 0;
                match drained {
                    Some(Poll::Ready(ControlFlow::Break(broke))) => {
                        self.took(items);
                        if let Some(broke) = broke {
                            return Poll::Ready(ControlFlow::Break(broke));
                        }
                    }
                    Some(Poll::Pending) => self.pass(),
                    Some(Poll::Ready(ControlFlow::Continue(()))) | None => self.end(),
                }
            }
            let more = feed.refill(self);
            if !more && self.inputs.open() == 0 {
                return Poll::Ready(ControlFlow::Continue(()));
            }
            if !self.round.is_empty() {
                continue;
            }
            if new_round {
                return self.wait(cx);
            }
            new_round = true;
            self.begin_round();
            feed.refill(self);
        }
    }

    /// Drives work in flight. Whoever returns `Pending` then calls [`park`](Self::park).
    pub(crate) fn drive(&mut self) -> Poll<()> {
        if self.left > 0 {
            self.inputs.took_from(self.current);
        }
        self.inputs.take_woken(&mut self.next_round);
        if let Some(feed) = self.feed {
            self.feed_woken |= self.next_round.take(feed);
        }
        self.inputs.drive_all()
    }

    /// To be called last before the owner returns `Pending`.
    pub(crate) fn park(&self, cx: &mut Context<'_>) {
        self.inputs.park(cx);
    }
}
