//! Items that are made from a state, one after the other.

use std::iter::FusedIterator;
use std::panic::Location;

use super::iter::Iter;
use crate::Flow;

/// Calls `step` with a state for each item: `Some((item, next state))` goes on, `None` ends.
///
/// ```text
/// out  (124|)    unfold(1, |n| (n < 8).then_some((n, n * 2)))
/// ```
///
/// For a step that has to wait for something there is [`unfold_async`](crate::unfold_async), and
/// [`generator`](crate::generator) for what is easier to write as a loop.
///
/// - **Emits** an item whenever one is asked for.
/// - **Backpressures** when downstream does: `step` is called only when an item is asked for.
/// - **Ends** when `step` gives `None`.
/// - **On error**: to end with an error, give it as an item with a state that ends. A panic in
///   `step` comes out of the poll; the flow has ended then.
/// - **Holds** the state.
/// - **Cost**: no allocation; a clock read in each long turn and every 1,024 items.
///
/// ```
/// # futures::executor::block_on(async {
/// let fibonacci = aqueduct_operators::unfold((0, 1), |(a, b)| Some((a, (b, a + b))));
/// assert_eq!(fibonacci.take(8).last().await, Some(13));
/// # });
/// ```
#[doc(alias("generate", "iterate", "generate_sequence", "try_unfold"))]
#[track_caller]
pub fn unfold<A, T, F>(init: A, step: F) -> Flow<Iter<Unfold<A, F>>>
where
    F: FnMut(A) -> Option<(T, A)>,
{
    Iter::over(Unfold { state: Some(init), step }, "unfold", Location::caller())
}

/// The iterator behind [`unfold`].
#[derive(Debug)]
pub struct Unfold<A, F> {
    /// `None` once it has ended, and while `step` runs.
    state: Option<A>,
    step: F,
}

impl<A, T, F: FnMut(A) -> Option<(T, A)>> Iterator for Unfold<A, F> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        let (item, state) = (self.step)(self.state.take()?)?;
        self.state = Some(state);
        Some(item)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, if self.state.is_some() { None } else { Some(0) })
    }
}

impl<A, T, F: FnMut(A) -> Option<(T, A)>> FusedIterator for Unfold<A, F> {}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::pin;
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};

    use super::unfold;
    use crate::Stage;
    use crate::testing::{every_way, marbles};

    #[test]
    fn the_state_is_handed_on_until_the_step_gives_none() {
        let powers = || unfold(1, |n| (n < 100).then_some((n, n * 3)));
        assert_eq!(every_way(powers), [1, 3, 9, 27, 81]);
    }

    #[test]
    fn a_panic_in_the_step_ends_the_flow_and_drops_the_state() {
        let state = Rc::new(());
        let mut flow = pin!(unfold((state.clone(), 0), |(state, n)| {
            assert_ne!(n, 1, "one");
            Some((n, (state, n + 1)))
        }));
        let mut cx = Context::from_waker(Waker::noop());
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(Some(0)));
        let panicking = AssertUnwindSafe(|| Stage::poll_next(flow.as_mut(), &mut cx));
        assert!(catch_unwind(panicking).is_err());
        assert_eq!(Rc::strong_count(&state), 1);
        assert_eq!(Stage::poll_next(flow.as_mut(), &mut cx), Poll::Ready(None));
    }

    marbles!(unfold, || unfold(1, |n| (n < 8).then_some((n, n * 2))));
}
