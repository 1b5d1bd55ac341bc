//! [`Keeper`]: what a share does while no consumer is polled.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use super::config::Verdict;
use super::cursors::Pending;
use super::{Cursors, Hub};
use crate::{Ambient, Budget, Stage, Task};

/// A task that waits for the reset of a share and drives its input while nobody is subscribed.
///
/// It is woken when a consumer comes or the last one leaves, when the input ends, and by the input
/// only while it drives it.
pub(super) struct Keeper<S: Stage> {
    hub: Weak<Hub<S, Cursors<S::Item>>>,
    verdict: Option<(Pending, Verdict)>,
    budget: Budget,
}

/// What starts the keeper of a hub: known where the bounds for a task are.
pub(super) type Tend<S> = fn(&Arc<Hub<S, Cursors<<S as Stage>::Item>>>) -> Task<()>;

/// Starts the keeper in the surroundings of this poll.
pub(super) fn tend<S>(hub: &Arc<Hub<S, Cursors<S::Item>>>) -> Task<()>
where
    S: Stage<Item: Clone + Send + 'static> + Send + 'static,
{
    let hub = Arc::downgrade(hub);
    Ambient::current().spawn(Keeper { hub, verdict: None, budget: Budget::new() })
}

impl<S: Stage<Item: Clone>> Future for Keeper<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(hub) = this.hub.upgrade() else {
            return Poll::Ready(());
        };
        loop {
            // First: whatever changes after the look wakes this task.
            let alone = hub.look(Cursors::is_alone);
            hub.waiting().register_keeper(cx.waker(), alone);
            let (alone, pending, live) =
                hub.look(|board| (board.is_alone(), board.pending(), board.is_live()));
            if !live && pending.is_none() {
                return Poll::Ready(());
            }
            if alone {
                // Before the wait: at one instant items come first.
                hub.waiting().register_keeper(cx.waker(), true);
                hub.drive(&mut this.budget, cx);
            }
            let Some(pending) = pending else {
                let given_up = this.verdict.take();
                drop(given_up);
                return Poll::Pending;
            };
            if !matches!(&this.verdict, Some((known, _)) if *known == pending) {
                let signal = hub.look(|board| board.policy(pending.1).clone()).signal();
                this.verdict = signal.map(|signal| (pending, signal));
            }
            let Some((_, verdict)) = &mut this.verdict else {
                return Poll::Pending;
            };
            let Poll::Ready(reset) = verdict.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            this.verdict = None;
            hub.stop(|board, waste| board.decide(pending, reset, waste));
        }
    }
}
