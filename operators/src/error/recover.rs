//! `recover` and `complete_on_err`: the first error as the last item, or as the end.

use std::ops::ControlFlow;

use crate::transform::{Step, Stepped};
use crate::{Flow, Stage};

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Ends at the first error, with the item that `f` makes of it.
    ///
    /// ```text
    /// in   --a--b--#
    /// out  --a--b--(x|)    recover(|_| 'x')
    /// ```
    ///
    /// For another flow in the place of an error, see [`catch`](Self::catch).
    ///
    /// - **Emits** each item before the first error, in the same poll; then `f(error)`.
    /// - **Backpressures** when downstream does.
    /// - **Ends** with the item for the first error, with which the input is dropped, or when the
    ///   input ends.
    /// - **On error**: the first one becomes an item; what the input had after it is lost. A panic
    ///   in `f` comes out of the poll; the flow has ended then.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([Ok(7), Err("gap"), Ok(8)]).recover(|_| 0);
    /// assert_eq!(prices.collect::<Vec<_>>().await, [7, 0]);
    /// # });
    /// ```
    #[doc(alias("on_error_return", "recover_with_item"))]
    #[track_caller]
    pub fn recover<F>(self, f: F) -> Flow<Stepped<S, Recover<F>>>
    where
        F: FnOnce(E) -> T,
    {
        self.step(Recover(Some(f)))
    }

    /// Ends at the first error, as if it were the end.
    ///
    /// ```text
    /// in   --a--b--#
    /// out  --a--b--|    complete_on_err()
    /// ```
    ///
    /// To drop errors and go on, see [`skip_errors`](Self::skip_errors).
    ///
    /// - **Emits** each item before the first error, in the same poll.
    /// - **Backpressures** when downstream does.
    /// - **Ends** at the first error, with which the input is dropped, or when the input ends.
    /// - **On error**: the first one is dropped; what the input had after it is lost.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::iter;
    /// # futures::executor::block_on(async {
    /// let prices = iter([Ok(7), Err("gap"), Ok(8)]).complete_on_err();
    /// assert_eq!(prices.collect::<Vec<_>>().await, [7]);
    /// # });
    /// ```
    #[doc(alias("on_error_complete", "take_while_ok"))]
    #[track_caller]
    pub fn complete_on_err(self) -> Flow<Stepped<S, CompleteOnErr>> {
        self.step(CompleteOnErr(()))
    }
}

/// The step behind [`Flow::recover`].
#[derive(Debug)]
pub struct Recover<F>(Option<F>);

impl<T, E, F: FnOnce(E) -> T> Step<Result<T, E>> for Recover<F> {
    type Out = T;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        match item {
            Ok(item) => {
                out(item);
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.0.take().map(|f| f(error)).into_iter().for_each(out);
                ControlFlow::Break(())
            }
        }
    }

    fn size_hint(&self, (least, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        // Even the first item may be an error, and then the last.
        (least.min(1), most)
    }

    fn name(&self) -> &'static str {
        "recover"
    }
}

/// The step behind [`Flow::complete_on_err`].
#[derive(Debug)]
pub struct CompleteOnErr(());

impl<T, E> Step<Result<T, E>> for CompleteOnErr {
    type Out = T;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(T)) -> ControlFlow<()> {
        match item {
            Ok(item) => {
                out(item);
                ControlFlow::Continue(())
            }
            Err(_) => ControlFlow::Break(()),
        }
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, most)
    }

    fn name(&self) -> &'static str {
        "complete_on_err"
    }
}

#[cfg(test)]
mod tests {
    use crate::iter;
    use crate::testing::{
        Timeline, Tracked, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_first_error_becomes_the_last_item() {
        assert_eq!(every_way(|| iter([Ok(1), Err(2), Ok(3)]).recover(|x| 10 * x)), [1, 20]);
        let feed = [(1, Ok('a')), (4, Err('x')), (5, Ok('b'))];
        let flow = timetable(feed, 9).recover(|x| x);
        assert_eq!(timeline(flow), (vec![(1, 'a'), (4, 'x')], 4));
    }

    #[test]
    fn the_first_error_becomes_the_end() {
        assert_eq!(every_way(|| iter([Ok(1), Err('x'), Ok(3)]).complete_on_err()), [1]);
        let feed = [(1, Ok('a')), (4, Err('x')), (5, Ok('b'))];
        assert_eq!(timeline(timetable(feed, 9).complete_on_err()), (vec![(1, 'a')], 4));
    }

    #[test]
    fn without_an_error_everything_passes() {
        assert_eq!(every_way(|| iter([Ok::<_, ()>(1), Ok(2)]).recover(|()| 9)), [1, 2]);
        assert_eq!(every_way(|| iter([Ok::<_, ()>(1), Ok(2)]).complete_on_err()), [1, 2]);
    }

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    marbles!(recover, |input: Result<char, String>| input.recover(|_| 'x'));
    marbles!(complete_on_err, |input: Result<char, String>| input.complete_on_err());

    specification!(recover, |input: Result<u8, u8>| input.recover(|x| 100 + x), |input| {
        let mut all = Timeline::new([], input.end);
        for (at, item) in input.events {
            all.events.push((at, item.unwrap_or_else(|x| 100 + x)));
            if item.is_err() {
                all.end = at;
                break;
            }
        }
        all
    },);

    conformance!(recover, |input| input
        .map(checked)
        .recover(|x| (x.value() > 0).then_some(x).unwrap()));
    conformance!(complete_on_err, |input| input.map(checked).complete_on_err());
}
