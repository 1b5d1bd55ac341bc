//! `materialize` and `dematerialize`: the end and the error of a flow as items.

use std::ops::ControlFlow;

use super::{Step, Stepped};
use crate::{Flow, Stage};

/// What can happen to a flow of `Result`s: see [`Flow::materialize`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Notification<T, E> {
    /// An item came.
    Item(T),
    /// An error came, and with it the end.
    Error(E),
    /// The flow ended without an error.
    End,
}

impl<S: Stage<Item = Result<T, E>>, T, E> Flow<S> {
    /// Turns everything that can happen into an item: each item, the first error, or the end.
    ///
    /// ```text
    /// in   --a--b--#
    /// out  --x--y--(z|)    materialize()
    /// where  x = Item(a), y = Item(b), z = Error(#)
    /// ```
    ///
    /// - **Emits** a [`Notification`] for each item, in the same poll; last of all one for the
    ///   first error or for the end.
    /// - **Backpressures** when downstream does.
    /// - **Ends** after the first error, with which the input is dropped, or after the end.
    /// - **On error**: it becomes an item, the last one.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, transform::Notification::{Error, Item}};
    /// # futures::executor::block_on(async {
    /// let all = iter([Ok(1), Err("lost"), Ok(2)]).materialize();
    /// assert_eq!(all.collect::<Vec<_>>().await, [Item(1), Error("lost")]);
    /// # });
    /// ```
    #[doc(alias("attempt", "either"))]
    #[track_caller]
    pub fn materialize(self) -> Flow<Stepped<S, Materialize>> {
        self.step(Materialize(()))
    }
}

impl<S: Stage<Item = Notification<T, E>>, T, E> Flow<S> {
    /// Does what the items say: the inverse of [`materialize`](Self::materialize).
    ///
    /// ```text
    /// in   --x--y--z--x--|
    /// out  --a--b--#         dematerialize()
    /// where  x = Item(a), y = Item(b), z = Error(error)
    /// ```
    ///
    /// - **Emits** `Ok` for an item, in the same poll, and `Err` for an error.
    /// - **Backpressures** when downstream does.
    /// - **Ends** after an error and at [`Notification::End`], with which the input is dropped, and
    ///   when the input ends.
    /// - **On error**: the one that the input names comes out as the last item.
    /// - **Holds** nothing.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # use aqueduct_operators::{iter, transform::Notification::{End, Item}};
    /// # futures::executor::block_on(async {
    /// let flow = iter([Item(1), End, Item(2)]).dematerialize();
    /// assert_eq!(flow.collect::<Vec<Result<_, ()>>>().await, [Ok(1)]);
    /// # });
    /// ```
    #[doc(alias("absolve", "rethrow"))]
    #[track_caller]
    pub fn dematerialize(self) -> Flow<Stepped<S, Dematerialize>> {
        self.step(Dematerialize(()))
    }
}

/// The step behind [`Flow::materialize`].
#[derive(Debug)]
pub struct Materialize(());

impl<T, E> Step<Result<T, E>> for Materialize {
    type Out = Notification<T, E>;

    fn step(&mut self, item: Result<T, E>, out: &mut impl FnMut(Self::Out)) -> ControlFlow<()> {
        match item {
            Ok(item) => {
                out(Notification::Item(item));
                ControlFlow::Continue(())
            }
            Err(error) => {
                out(Notification::Error(error));
                ControlFlow::Break(())
            }
        }
    }

    fn end(&mut self, out: &mut impl FnMut(Self::Out)) {
        out(Notification::End);
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        // Even the first item may be an error.
        (1, most.and_then(|most| most.checked_add(1)))
    }

    fn name(&self) -> &'static str {
        "materialize"
    }
}

/// The step behind [`Flow::dematerialize`].
#[derive(Debug)]
pub struct Dematerialize(());

impl<T, E> Step<Notification<T, E>> for Dematerialize {
    type Out = Result<T, E>;

    fn step(
        &mut self,
        item: Notification<T, E>,
        out: &mut impl FnMut(Self::Out),
    ) -> ControlFlow<()> {
        match item {
            Notification::Item(item) => {
                out(Ok(item));
                return ControlFlow::Continue(());
            }
            Notification::Error(error) => out(Err(error)),
            Notification::End => {}
        }
        ControlFlow::Break(())
    }

    fn size_hint(&self, (_, most): (usize, Option<usize>)) -> (usize, Option<usize>) {
        (0, most)
    }

    fn name(&self) -> &'static str {
        "dematerialize"
    }
}

#[cfg(test)]
mod tests {
    use super::Notification::{self, End, Error, Item};
    use crate::iter;
    use crate::testing::{
        Timeline, Tracked, conformance, every_way, marbles, specification, timeline, timetable,
    };

    #[test]
    fn the_end_becomes_the_last_item() {
        let flow = || iter([Ok::<_, ()>(1), Ok(2)]).materialize();
        assert_eq!(every_way(flow), [Item(1), Item(2), End]);
    }

    #[test]
    fn an_error_becomes_the_last_item_and_the_end_comes_with_it() {
        let flow = timetable([(1, Ok('a')), (4, Err('x')), (5, Ok('b'))], 9).materialize();
        assert_eq!(timeline(flow), (vec![(1, Item('a')), (4, Error('x'))], 4));
    }

    #[test]
    fn what_was_materialized_comes_back() {
        for flow in [vec![Ok(1), Err('x')], vec![Ok(1)], vec![]] {
            let back = || iter(flow.clone()).materialize().dematerialize();
            assert_eq!(every_way(back), flow);
        }
    }

    #[test]
    fn the_end_is_obeyed_at_once() {
        let feed: [(i64, Notification<_, ()>); 3] = [(1, Item('a')), (4, End), (5, Item('b'))];
        let flow = timetable(feed, 9).dematerialize();
        assert_eq!(timeline(flow), (vec![(1, Ok('a'))], 4));
    }

    marbles!(materialize, |input: Result<char, String>| input.materialize());
    marbles!(dematerialize, |input: String| {
        let inner = |text: &str| text.split(['(', ')']).nth(1).unwrap().to_owned();
        let meaning = move |text: String| match text.starts_with("Item") {
            true => Item(inner(&text)),
            false => Error(inner(&text)),
        };
        input.map(meaning).dematerialize()
    });

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() == 7 { Err(x) } else { Ok(x) }
    }

    conformance!(materialize, |input| input.map(checked).materialize());
    conformance!(dematerialize, |input| input
        .map(|x| if x.value() == 7 { Error(x) } else { Item(x) })
        .dematerialize());

    specification!(materialize, |input: Result<u8, u8>| input.materialize(), |input| {
        let mut all = Timeline::new([], input.end);
        for (at, item) in input.events {
            match item {
                Ok(item) => all.events.push((at, Item(item))),
                Err(error) => {
                    all.events.push((at, Error(error)));
                    all.end = at;
                    return all;
                }
            }
        }
        all.events.push((all.end, End));
        all
    },);
    specification!(
        dematerialize,
        |input| input.map(|x: u8| if x == 3 { End } else { Item::<u8, ()>(x) }).dematerialize(),
        |input| {
            let end = input.events.iter().find(|(_, x)| *x == 3).map_or(input.end, |event| event.0);
            let all = input.events.into_iter().take_while(|(_, x)| *x != 3);
            Timeline::new(all.map(|(at, x)| (at, Ok(x))), end)
        },
    );
}
