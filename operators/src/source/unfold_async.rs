//! Items that are made from a state, each by a future.

use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project::pin_project;

use super::running::Running;
use crate::{Bound, Budget, Flow, Outline, Site, Stage};

/// Awaits `step(state)` for each item: `Some((item, next state))` goes on, `None` ends.
///
/// ```text
/// step  --()--()--()
/// out   --1---2---|    unfold_async(init, step)
/// ```
///
/// The state moves into the future, and comes back with the item: a `next()` that is given up in
/// between has lost nothing, because the flow keeps the future.
///
/// - **Emits** an item when its future is ready.
/// - **Backpressures** when downstream does: a step begins only when an item is asked for, and
///   then goes on while downstream is busy.
/// - **Ends** when a step gives `None`.
/// - **On error**: to end with an error, give it as an item with a state that ends. A panic in a
///   step comes out of the poll; the flow has ended then.
/// - **Holds** the state, and 1 item. Dropping the flow drops the future with the state in it.
/// - **Cost**: no allocation; a clock read in each long turn and every 1,024 items.
///
/// ```
/// # futures::executor::block_on(async {
/// # async fn read(offset: u64) -> Option<u64> { (offset < 3).then_some(offset * 10) }
/// let records = aqueduct_operators::unfold_async(0, async |offset| {
///     Some((read(offset).await?, offset + 1))
/// });
/// assert_eq!(records.collect::<Vec<_>>().await, [0, 10, 20]);
/// # });
/// ```
#[doc(alias("unfold", "unfold_eval", "unfold_zio", "generate_async", "try_unfold"))]
#[track_caller]
pub fn unfold_async<A, T, F, Fut>(init: A, step: F) -> Flow<UnfoldAsync<A, F, Fut>>
where
    F: FnMut(A) -> Fut,
    Fut: Future<Output = Option<(T, A)>>,
{
    Flow::from_stage(UnfoldAsync {
        state: Some(init),
        step,
        running: Running::idle(),
        budget: Budget::new(),
        site: Location::caller(),
    })
}

/// The stage behind [`unfold_async`].
#[pin_project]
#[derive(Debug)]
pub struct UnfoldAsync<A, F, Fut: Future> {
    /// `None` while a step has it, and once the flow has ended.
    state: Option<A>,
    step: F,
    #[pin]
    running: Running<Fut>,
    budget: Budget,
    site: Site,
}

impl<A, T, F, Fut> Stage for UnfoldAsync<A, F, Fut>
where
    F: FnMut(A) -> Fut,
    Fut: Future<Output = Option<(T, A)>>,
{
    type Item = T;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let mut this = self.project();
        if this.running.is_idle() {
            if this.state.is_none() {
                return Poll::Ready(None);
            }
            if !this.budget.spend(cx) {
                return Poll::Pending;
            }
            if let Some(state) = this.state.take() {
                let step = (this.step)(state);
                this.running.as_mut().start(step);
            }
        }
        let Poll::Ready(made) = this.running.poll(cx) else {
            this.budget.rest();
            return Poll::Pending;
        };
        Poll::Ready(made.map(|(item, state)| {
            *this.state = Some(state);
            item
        }))
    }

    fn poll_progress(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().running.drive(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let over = self.state.is_none() && self.running.is_idle();
        (0, if over { Some(0) } else { None })
    }

    fn describe(&self, outline: &mut Outline) {
        outline.stage("unfold_async", self.site).holds(Bound::Items(1));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::Waker;

    use futures::FutureExt;

    use super::*;
    use crate::testing::{every_way, marbles, ms, timeline};
    use crate::{Virtual, iter, timer};

    async fn sleep(millis: u64) {
        iter([()]).delay(ms(millis), 1).drain().await;
    }

    #[test]
    fn one_step_after_the_other_until_one_gives_none() {
        let flow = unfold_async(1, async |n| {
            sleep(n).await;
            (n < 4).then_some((n, n * 2))
        });
        assert_eq!(timeline(flow), (vec![(1, 1), (3, 2)], 7));
        let ready = || unfold_async(0, async |n| (n < 2_000).then_some((n, n + 1)));
        assert_eq!(every_way(ready), Vec::from_iter(0..2_000));
    }

    #[test]
    fn a_next_that_is_given_up_loses_nothing() {
        Virtual::new().run(async {
            let mut flow = Box::pin(unfold_async(5, async |n| {
                sleep(n).await;
                Some((n, n + 1))
            }));
            assert!(futures::StreamExt::next(&mut flow).now_or_never().is_none());
            assert_eq!(futures::StreamExt::next(&mut flow).await, Some(5));
            assert_eq!(futures::StreamExt::next(&mut flow).await, Some(6));
        });
    }

    #[test]
    fn a_step_goes_on_while_downstream_is_busy_but_the_next_does_not_begin() {
        let begun = Cell::new(0);
        let (send, receive) = futures::channel::oneshot::channel::<()>();
        let receive = receive.shared();
        let mut stage = pin!(
            unfold_async((), |()| {
                begun.set(begun.get() + 1);
                let receive = receive.clone();
                async move {
                    let _ = receive.await;
                    Some(('a', ()))
                }
            })
            .into_stage()
        );
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stage.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(begun.get(), 0);
        assert!(stage.as_mut().poll_next(&mut cx).is_pending());
        assert!(stage.as_mut().poll_progress(&mut cx).is_pending());
        send.send(()).unwrap();
        assert!(stage.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(begun.get(), 1);
        assert_eq!(stage.as_mut().poll_next(&mut cx), Poll::Ready(Some('a')));
        assert!(stage.as_mut().poll_progress(&mut cx).is_ready());
        assert_eq!(begun.get(), 1);
    }

    #[test]
    fn dropping_the_flow_drops_the_state_wherever_it_is() {
        let state = Rc::new(());
        let endless = async |state| {
            std::future::pending::<()>().await;
            Some(((), state))
        };
        let mut flow = Box::pin(unfold_async(state.clone(), endless));
        assert!(futures::StreamExt::next(&mut flow).now_or_never().is_none());
        assert_eq!(Rc::strong_count(&state), 2);
        drop(flow);
        assert_eq!(Rc::strong_count(&state), 1);
    }

    #[test]
    fn steps_that_are_always_ready_let_others_run() {
        assert!(unfold_async((), async |()| Some(((), ()))).drain().now_or_never().is_none());
    }

    marbles!(unfold_async, || {
        unfold_async(1, async |n| {
            timer(ms(if n == 1 { 2 } else { 4 })).drain().await;
            (n < 3).then_some((n, n + 1))
        })
    });
}
