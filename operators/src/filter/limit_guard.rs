//! `limit_guard`: an error in the place of an item too many.

use std::ops::ControlFlow;
use std::panic::Location;

use crate::transform::{Step, Stepped};
use crate::{Flow, Node, Site, Stage};

/// More items came than may: see [`Flow::limit_guard`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("limit_guard: more than {max} items came, at {site}")]
pub struct LimitExceeded {
    /// How many may come.
    pub max: u64,
    /// Where the guard was assembled.
    pub site: Site,
}

impl<S: Stage> Flow<S> {
    /// Passes up to `max` items on as `Ok`; one more is an error, and the end.
    ///
    /// ```text
    /// in   --a--b--c--d--|
    /// out  --a--b--#         limit_guard(2)
    /// ```
    ///
    /// Against an input that runs away, where a silent end, as [`take`](Self::take) makes it, would
    /// pass for the whole.
    ///
    /// - **Emits** each of the first `max` items, in the same poll; then `Err(`[`LimitExceeded`]`)`
    ///   in the place of the next one, which is dropped.
    /// - **Backpressures** when downstream does.
    /// - **Ends** after the error, with which the input is dropped, or when the input ends.
    /// - **On error**: an error of the input is an item here, counts, and comes out within `Ok`.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let guarded = aqueduct_operators::iter(1..).limit_guard(1000);
    /// let last = guarded.last().await.unwrap().unwrap_err();
    /// assert!(last.to_string().starts_with("limit_guard: more than 1000 items came"));
    /// # });
    /// ```
    #[doc(alias("limit", "limit_weighted"))]
    #[track_caller]
    pub fn limit_guard(self, max: u64) -> Flow<Stepped<S, LimitGuard>> {
        self.step(LimitGuard { max, left: max, site: Location::caller() })
    }
}

/// The step behind [`Flow::limit_guard`].
#[derive(Debug)]
pub struct LimitGuard {
    max: u64,
    left: u64,
    site: Site,
}

impl<T> Step<T> for LimitGuard {
    type Out = Result<T, LimitExceeded>;

    fn step(&mut self, item: T, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        let Some(left) = self.left.checked_sub(1) else {
            out(Err(LimitExceeded { max: self.max, site: self.site }));
            return ControlFlow::Break(());
        };
        self.left = left;
        out(Ok(item));
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        let Some(limit) = usize::try_from(self.left).ok().and_then(|left| left.checked_add(1))
        else {
            return (least, most);
        };
        (least.min(limit), Some(most.map_or(limit, |most| most.min(limit))))
    }

    fn name(&self) -> &'static str {
        "limit_guard"
    }

    fn describe(&self, node: &mut Node) {
        node.parameter("max", self.max);
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn as_many_items_as_may_come_pass() {
        assert_eq!(every_way(|| iter(0..3).limit_guard(3)), [Ok(0), Ok(1), Ok(2)]);
    }

    #[test]
    fn one_more_is_an_error_and_the_end() {
        let feed = [(1, 'a'), (2, 'b'), (3, 'c')];
        let line = line!() + 1;
        let (items, end) = timeline(timetable(feed, 9).limit_guard(1));
        assert_eq!((items[0], end), ((1, Ok('a')), 2));
        let error = items[1].1.unwrap_err();
        assert_eq!((error.max, error.site.line()), (1, line));
        assert_eq!(items.len(), 2);
    }

    #[test]
    fn a_limit_of_zero_allows_an_empty_input_only() {
        assert!(every_way(|| iter(0..0).limit_guard(0)).is_empty());
        assert!(every_way(|| iter(0..5).limit_guard(0))[0].is_err());
    }

    specification!(limit_guard, |input| input.limit_guard(3).map_err(|e| e.max), |input| {
        let end = input.events.get(3).map_or(input.end, |event| event.0);
        let all = input.events.iter().enumerate().take(4);
        let all = all.map(|(n, (at, x))| (*at, if n < 3 { Ok(*x) } else { Err(3) }));
        Timeline::new(all, end)
    });

    conformance!(limit_guard, |input| input.limit_guard(4).map_err(|e| e.max));

    marbles!(limit_guard, |input| input.limit_guard(2));
}
