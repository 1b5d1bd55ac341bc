//! `via`: a function over flows as one operator.

use crate::Flow;

impl<S> Flow<S> {
    /// Hands the flow to `f`, and gives what `f` gives.
    ///
    /// ```text
    /// in   --1--2----3--|
    /// out  --2--4----6--|    via(|flow| flow.map(|x| x * 2))
    /// ```
    ///
    /// How operators become values: a function from one flow to another is named, given parameters,
    /// tested on its own and put into a chain. A function to a terminal is one too.
    ///
    /// - **Emits** what the flow of `f` emits.
    /// - **Backpressures** as that flow does.
    /// - **Ends** as that flow does.
    /// - **On error**: as that flow.
    /// - **Holds** what that flow holds.
    /// - **Cost**: nothing: `f` is called at once.
    ///
    /// ```
    /// # use aqueduct_operators::{Flow, Stage, iter};
    /// fn changes<T: PartialEq + Clone>(
    ///     flow: Flow<impl Stage<Item = T>>,
    /// ) -> Flow<impl Stage<Item = (T, T)>> {
    ///     flow.dedup().pairwise()
    /// }
    ///
    /// # futures::executor::block_on(async {
    /// let moves: Vec<_> = iter([1, 1, 2, 2, 3]).via(changes).collect().await;
    /// assert_eq!(moves, [(1, 2), (2, 3)]);
    /// # });
    /// ```
    #[doc(alias("pipe", "through", "compose", "transform_with", "plug", "let"))]
    pub fn via<R>(self, f: impl FnOnce(Self) -> R) -> R {
        f(self)
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{conformance, marbles, specification};
    use crate::{Virtual, iter};

    #[test]
    fn a_terminal_is_one_too() {
        assert_eq!(Virtual::new().run(iter([1, 2]).via(|flow| flow.sum::<u8>())), 3);
    }

    marbles!(via, |input: u32| input.via(|flow| flow.map(|x| x * 2)));

    specification!(via, at_any_pace, |input| input.via(|flow| flow), |input| input);

    conformance!(via, |input| input.via(|flow| flow.filter(|x| x.value() > 2)));
}
