//! `try_map` and `try_filter_map`: functions of the items that can fail.

use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Replaces each `Ok(item)` by `f(item)`, which may be an error; errors pass.
    ///
    /// ```text
    /// in   --1--2--3--|
    /// out  --1--2--#--|    try_map(below_three)
    /// ```
    ///
    /// - **Emits** one item for each item, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: it passes, and the flow goes on; so it does after one that `f` made. A panic
    ///   in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([Ok("7"), Err("gap"), Ok("x")])
    ///     .try_map(|text| text.parse::<u32>().map_err(|_| "not a number"));
    /// let expected = [Ok(7), Err("gap"), Err("not a number")];
    /// assert_eq!(prices.collect::<Vec<_>>().await, expected);
    /// # });
    /// ```
    #[doc(alias("map_result"))]
    #[track_caller]
    pub fn try_map<F, U>(self, f: F) -> Flow<Stepped<S, TryMap<F>>>
    where
        F: FnMut(T) -> Result<U, E>,
    {
        self.step(TryMap(f))
    }

    /// Replaces each `Ok(item)` by what `f(item)` gives, if anything; errors pass.
    ///
    /// ```text
    /// in   --1--2--3--4--|
    /// out  -----2-----4--|    try_filter_map(even)
    /// ```
    ///
    /// - **Emits** `Ok(x)` when `f` gives `Ok(Some(x))`, in the same poll, and each error.
    /// - **Backpressures** when downstream does.
    /// - **Ends** when the input ends.
    /// - **On error**: it passes, and the flow goes on; so it does after one that `f` made. A panic
    ///   in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let numbers = iter([Ok("7"), Ok(""), Ok("x")]).try_filter_map(|text| {
    ///     if text.is_empty() { Ok(None) } else { text.parse::<u32>().map(Some) }
    /// });
    /// assert_eq!(numbers.count().await, 2);
    /// # });
    /// ```
    #[track_caller]
    pub fn try_filter_map<F, U>(self, f: F) -> Flow<Stepped<S, TryFilterMap<F>>>
    where
        F: FnMut(T) -> Result<Option<U>, E>,
    {
        self.step(TryFilterMap(f))
    }
}

/// The step behind [`Flow::try_map`].
#[derive(Debug)]
pub struct TryMap<F>(F);

impl<T, E, U, F: FnMut(T) -> Result<U, E>> Step<Result<T, E>> for TryMap<F> {
    type Out = Result<U, E>;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        out(item.and_then(&mut self.0));
        ControlFlow::Continue(())
    }

    fn size_hint(&self, input: (usize, Option<usize>)) -> (usize, Option<usize>) {
        input
    }

    fn name(&self) -> &'static str {
        "try_map"
    }
}

/// The step behind [`Flow::try_filter_map`].
#[derive(Debug)]
pub struct TryFilterMap<F>(F);

impl<T, E, U, F: FnMut(T) -> Result<Option<U>, E>> Step<Result<T, E>> for TryFilterMap<F> {
    type Out = Result<U, E>;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        if let Some(made) = item.and_then(&mut self.0).transpose() {
            out(made);
        }
        ControlFlow::Continue(())
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, most)
    }

    fn name(&self) -> &'static str {
        "try_filter_map"
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{Timeline, Tracked, conformance, every_way, marbles, specification};

    #[test]
    fn a_function_may_fail_and_the_flow_goes_on() {
        let small = |x: i32| if x < 3 { Ok(10 * x) } else { Err(x) };
        let flow = || iter([Ok(1), Err(0), Ok(3), Ok(2)]).try_map(small);
        assert_eq!(every_way(flow), [Ok(10), Err(0), Err(3), Ok(20)]);
    }

    #[test]
    fn a_function_may_drop_an_item_or_fail() {
        let even = |x: i32| if x > 3 { Err(x) } else { Ok((x % 2 == 0).then_some(x)) };
        let flow = || iter([Ok(1), Err(0), Ok(2), Ok(4)]).try_filter_map(even);
        assert_eq!(every_way(flow), [Err(0), Ok(2), Err(4)]);
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(try_map, |input: Result<u32, String>| {
        input.try_map(|x| if x < 3 { Ok(x) } else { Err("error".into()) })
    });
    marbles!(try_filter_map, |input: Result<u32, String>| {
        input.try_filter_map(|x| Ok((x % 2 == 0).then_some(x)))
    });

    conformance!(try_map, |input| input
        .map(checked)
        .try_map(|x| { if x.value() % 3 == 0 { Err(x) } else { Ok(x) } }));
    conformance!(try_filter_map, |input| input.map(checked).try_filter_map(|x| {
        if x.value() % 3 == 0 { Err(x) } else { Ok((x.value() % 2 == 0).then_some(x)) }
    }));

    specification!(
        try_map,
        at_any_pace,
        |input: Result<u8, u8>| input.try_map(|x| if x < 3 { Ok(x) } else { Err(x) }),
        |input| input.map(|item| item.and_then(|x| if x < 3 { Ok(x) } else { Err(x) })),
    );
    specification!(
        try_filter_map,
        |input: Result<u8, u8>| input.try_filter_map(|x| match x {
            0..3 => Ok(Some(x)),
            3..6 => Ok(None),
            _ => Err(x),
        }),
        |input| {
            let made = input.events.into_iter().filter_map(|(at, item)| match item {
                Ok(3..6) => None,
                Ok(x @ 6..) => Some((at, Err(x))),
                item => Some((at, item)),
            });
            Timeline::new(made, input.end)
        },
    );
}
