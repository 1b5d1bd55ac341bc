//! `on_error_resume_next`: another flow after an error and after an end alike.

use super::CompleteOnErr;
use crate::combine::Chain;
use crate::transform::{Map, Stepped};
use crate::{Flow, Stage};

/// What makes an item that came before an error an item of the flow that follows it.
type IntoOk<T, E> = fn(T) -> Result<T, E>;

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Goes on with `next` when this flow has failed, or has ended.
    ///
    /// ```text
    /// in    --a--b--#
    /// next          --c--d--|
    /// out   --a--b----c--d--|    on_error_resume_next(next)
    /// ```
    ///
    /// It is [`complete_on_err`](Self::complete_on_err) [chained](Self::chain) to `next`, and the
    /// outline shows it so. Errors of `next` pass: `a.on_error_resume_next(b)
    /// .on_error_resume_next(c).complete_on_err()` goes through all three whatever fails.
    ///
    /// - **Emits** the items before the first error, then those of `next`.
    /// - **Backpressures** when downstream does; `next` is not polled before its turn.
    /// - **Ends** when `next` ends.
    /// - **On error**: the first one of the input is dropped, and the input with it; those of
    ///   `next` pass.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([Ok(1), Err("gap"), Ok(2)]).on_error_resume_next(iter([Ok::<_, ()>(3)]));
    /// assert_eq!(prices.collect::<Vec<_>>().await, [Ok(1), Ok(3)]);
    /// # });
    /// ```
    #[expect(clippy::type_complexity, reason = "the stages that it is made of")]
    #[track_caller]
    pub fn on_error_resume_next<R, E2>(
        self,
        next: Flow<R>,
    ) -> Flow<Chain<Map<Stepped<S, CompleteOnErr>, IntoOk<T, E2>>, R>>
    where
        R: Stage<Item = Result<T, E2>>,
    {
        self.complete_on_err().map(Ok as IntoOk<T, E2>).chain(next)
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, Tracked, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_next_flow_follows_an_error_and_an_end() {
        let flow = || {
            iter([Ok(1), Err('x'), Ok(9)])
                .on_error_resume_next(iter([Ok::<_, char>(2)]))
                .on_error_resume_next(iter([Ok(3), Err('y'), Ok(9)]))
                .complete_on_err()
        };
        assert_eq!(every_way(flow), [1, 2, 3]);
    }

    #[test]
    fn it_follows_at_once() {
        let flow = timetable([(1, Ok('a')), (4, Err('x'))], 9)
            .on_error_resume_next(timetable([(2, Ok::<_, ()>('b')), (6, Ok('c'))], 8));
        assert_eq!(timeline(flow), (vec![(1, Ok('a')), (4, Ok('b')), (6, Ok('c'))], 8));
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(on_error_resume_next, |input: Result<char, String>, next: Result<char, String>| {
        input.on_error_resume_next(next)
    });

    conformance!(on_error_resume_next, |a, b| {
        a.map(checked).on_error_resume_next(b.map(checked))
    }, except [
        NoSnooze: "a flow is not started before its turn, nor driven",
    ]);

    specification!(
        on_error_resume_next,
        |a: Result<u8, u8>, b: Result<u8, char>| a.on_error_resume_next(b),
        |a, b| {
            let failed = a.events.iter().position(|(_, item)| item.is_err());
            let len = failed.unwrap_or(a.events.len());
            let since = failed.map_or(a.end, |failed| a.events[failed].0);
            let before = a.events[..len].iter().map(|(at, item)| (*at, item.map_err(|_| 'x')));
            let after = b.events.iter().map(|(at, item)| (since.max(*at), *item));
            Timeline::new(before.chain(after), since.max(b.end))
        },
    );
}
