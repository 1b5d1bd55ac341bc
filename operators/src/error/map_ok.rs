//! `map_ok` and `map_err`: another item for each item, another error for each error.

use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Replaces each `Ok(item)` by `Ok(f(item))`; errors pass.
    ///
    /// ```text
    /// in   --1--2--#
    /// out  --2--4--#    map_ok(|x| 2 * x)
    /// ```
    ///
    /// For a function that can fail, see [`try_map`](Self::try_map); for an async one,
    /// [`and_then`](Self::and_then).
    ///
    /// - **Emits** one item for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: it passes, and the flow goes on. A panic in `f` comes out of the poll; the
    ///   flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let lines = aqueduct_operators::iter(["7".parse::<u32>(), "x".parse()]);
    /// let doubled: Vec<_> = lines.map_ok(|x| 2 * x).collect().await;
    /// assert_eq!(doubled[0], Ok(14));
    /// assert!(doubled[1].is_err());
    /// # });
    /// ```
    #[track_caller]
    pub fn map_ok<F, U>(self, f: F) -> Flow<Stepped<S, MapOk<F>>>
    where
        F: FnMut(T) -> U,
    {
        self.step(MapOk(f))
    }

    /// Replaces each `Err(error)` by `Err(f(error))`; items pass.
    ///
    /// ```text
    /// in   --1--2--#
    /// out  --1--2--#    map_err(|_| "error")
    /// ```
    ///
    /// - **Emits** one item for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: it becomes another one, and the flow goes on. A panic in `f` comes out of
    ///   the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let lines = aqueduct_operators::iter(["7".parse::<u32>(), "x".parse()]);
    /// let last = lines.map_err(|error| format!("price: {error}")).last().await;
    /// assert_eq!(last, Some(Err("price: invalid digit found in string".into())));
    /// # });
    /// ```
    #[doc(alias("map_error", "on_error_map", "adapt_error"))]
    #[track_caller]
    pub fn map_err<F, E2>(self, f: F) -> Flow<Stepped<S, MapErr<F>>>
    where
        F: FnMut(E) -> E2,
    {
        self.step(MapErr(f))
    }
}

/// The step behind [`Flow::map_ok`].
#[derive(Debug)]
pub struct MapOk<F>(F);

impl<T, E, U, F: FnMut(T) -> U> Step<Result<T, E>> for MapOk<F> {
    type Out = Result<U, E>;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        out(item.map(&mut self.0));
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "map_ok"
    }
}

/// The step behind [`Flow::map_err`].
#[derive(Debug)]
pub struct MapErr<F>(F);

impl<T, E, E2, F: FnMut(E) -> E2> Step<Result<T, E>> for MapErr<F> {
    type Out = Result<T, E2>;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        out(item.map_err(&mut self.0));
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "map_err"
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Tracked, conformance, every_way, marbles, specification};

    #[test]
    fn items_are_replaced_and_errors_pass() {
        let flow = || iter([Ok(1), Err('x'), Ok(2)]).map_ok(|x| 2 * x);
        assert_eq!(every_way(flow), [Ok(2), Err('x'), Ok(4)]);
    }

    #[test]
    fn errors_are_replaced_and_items_pass() {
        let flow = || iter([Ok(1), Err('x'), Ok(2)]).map_err(|x| (x, x));
        assert_eq!(every_way(flow), [Ok(1), Err(('x', 'x')), Ok(2)]);
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(map_ok, |input: Result<u32, String>| input.map_ok(|x| 2 * x));
    marbles!(map_err, |input: Result<u32, String>| input.map_err(|_| "error"));

    conformance!(map_ok, |input| input.map(checked).map_ok(|x| x.value()));
    conformance!(map_err, |input| input.map(checked).map_err(|x| x.value()));

    specification!(
        map_ok,
        at_any_pace,
        |input: Result<u8, u8>| input.map_ok(|x: u8| x / 2),
        |input| input.map(|item| item.map(|x| x / 2)),
    );
    specification!(
        map_err,
        at_any_pace,
        |input: Result<u8, u8>| input.map_err(|x: u8| x / 2),
        |input| input.map(|item| item.map_err(|x| x / 2)),
    );
}
