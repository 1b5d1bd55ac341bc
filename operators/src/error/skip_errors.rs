//! `skip_errors`: the items without the errors.

use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Drops each error, counts it, and goes on.
    ///
    /// ```text
    /// in   --1--#--3--|
    /// out  --1-----3--|    skip_errors()
    /// ```
    ///
    /// It drops items and nothing else: what is above does not know of it and is not started
    /// again. [`skipped`](Flow::skipped) counts the errors. To keep them elsewhere, see
    /// [`dead_letter`](Self::dead_letter).
    ///
    /// - **Emits** each item that is `Ok`, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: it is dropped and counted.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([Ok(7), Err("gap"), Ok(8)]).skip_errors();
    /// assert_eq!(prices.collect::<Vec<_>>().await, [7, 8]);
    /// # });
    /// ```
    #[doc(alias("on_error_continue", "collect_success", "filter_ok", "resume"))]
    #[track_caller]
    pub fn skip_errors(self) -> Flow<Stepped<S, SkipErrors>> {
        self.step(SkipErrors { skipped: 0 })
    }
}

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<Stepped<S, SkipErrors>> {
    /// How many errors were dropped.
    pub fn skipped(&self) -> u64 {
        self.stage().step().skipped
    }
}

/// The step behind [`Flow::skip_errors`].
#[derive(Debug)]
pub struct SkipErrors {
    skipped: u64,
}

impl<T, E> Step<Result<T, E>> for SkipErrors {
    type Out = T;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        match item {
            Ok(item) => out(item),
            Err(_) => self.skipped += 1,
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, most)
    }

    fn name(&self) -> &'static str {
        "skip_errors"
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{Timeline, Tracked, conformance, every_way, marbles, specification};
    use crate::{Virtual, iter};

    #[test]
    fn errors_are_dropped_and_counted() {
        let flow = || iter([Err('x'), Ok(1), Err('y'), Ok(2)]).skip_errors();
        assert_eq!(every_way(flow), [1, 2]);
        let mut flow = flow();
        Virtual::new().run(async { while flow.next().await.is_some() {} });
        assert_eq!(flow.skipped(), 2);
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(skip_errors, |input: Result<u32, String>| input.skip_errors());

    conformance!(skip_errors, |input| input.map(checked).skip_errors());

    specification!(
        skip_errors,
        |input: Result<u8, u8>| input.skip_errors(),
        |input| Timeline::new(
            input.events.into_iter().filter_map(|(at, item)| Some((at, item.ok()?))),
            input.end,
        ),
    );
}
