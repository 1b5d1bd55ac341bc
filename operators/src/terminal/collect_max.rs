//! `collect_max`: all items in a collection, if they are not too many.

use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and gathers its items, which must not be more than `max`.
    ///
    /// ```text
    /// in   --a--b----c--|
    /// out  -------------(v|)    collect_max(3)
    /// where  v = Ok([a, b, c])
    /// ```
    ///
    /// To take the first items of a flow that may have more, put [`take`](Self::take) before
    /// [`collect`](Self::collect).
    ///
    /// - **Emits** the collection when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends, or with the item that is too much, and drops the input then.
    /// - **On error**: an error is an item here and is gathered too. With an item too much the
    ///   future gives [`TooMany`], and those that were gathered are dropped.
    /// - **Holds** `max` items.
    /// - **Cost**: what the collection costs, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// use aqueduct_operators::{iter, terminal::TooMany};
    /// let all: Result<Vec<_>, _> = iter(0..3).collect_max(10).await;
    /// assert_eq!(all, Ok(vec![0, 1, 2]));
    /// let all: Result<Vec<_>, _> = iter(0..).collect_max(10).await;
    /// assert_eq!(all, Err(TooMany { max: 10 }));
    /// # });
    /// ```
    #[doc(alias("to_list_max", "collect_limited"))]
    pub fn collect_max<C>(self, max: usize) -> Decide<S, CollectMax<C>>
    where
        C: Default + Extend<S::Item>,
    {
        let answer = CollectMax { collection: C::default(), room: max, max };
        Decide::new(self, "collect_max", answer)
    }
}

impl<T, E, S: Stage<Item = Result<T, E>>> Flow<S> {
    /// Runs the flow and gathers the values of its `Ok` items, until the first error.
    ///
    /// ```text
    /// in   --a--b----#
    /// out  ----------(e|)    try_collect()
    /// where  e = Err(#)
    /// ```
    ///
    /// For a flow that may be long there is [`try_collect_max`](Self::try_collect_max).
    ///
    /// - **Emits** the collection when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends, or with an error, and drops the input then.
    /// - **On error**: the future gives the error; what was gathered is dropped.
    /// - **Holds** every value: [`Bound::Unknown`](crate::Bound::Unknown).
    /// - **Cost**: what the collection costs, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let prices = aqueduct_operators::iter(["1", "2", "x"]).map(str::parse::<u32>);
    /// assert!(prices.try_collect::<Vec<_>>().await.is_err());
    /// # });
    /// ```
    #[doc(alias("collect_results", "sequence"))]
    pub fn try_collect<C>(self) -> Decide<S, TryCollect<C>>
    where
        C: Default + Extend<T>,
    {
        Decide::new(self, "try_collect", TryCollect { collection: C::default() })
    }

    /// Runs the flow and gathers the values of its `Ok` items, which must not be more than `max`,
    /// until the first error.
    ///
    /// ```text
    /// in   --a--b----#
    /// out  ----------(e|)    try_collect_max(3)
    /// where  e = Err(Failed(#))
    /// ```
    ///
    /// - **Emits** the collection when the input ends.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends, or with an error or a value too much, and drops the input
    ///   then.
    /// - **On error**: the future gives [`TryCollectError::Failed`] with an error of the input, and
    ///   [`TryCollectError::TooMany`] with a value too much; what was gathered is dropped.
    /// - **Holds** `max` values.
    /// - **Cost**: what the collection costs, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let prices = aqueduct_operators::iter(["1", "2"]).map(str::parse::<u32>);
    /// assert_eq!(prices.try_collect_max(10).await, Ok(vec![1, 2]));
    /// # });
    /// ```
    pub fn try_collect_max<C>(self, max: usize) -> Decide<S, TryCollectMax<C>>
    where
        C: Default + Extend<T>,
    {
        let gather = CollectMax { collection: C::default(), room: max, max };
        Decide::new(self, "try_collect_max", TryCollectMax(gather))
    }
}

/// A flow had more items than were to be gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[error(
    "the flow has more than the {max} items that may be collected; raise the limit, or keep the \
     first with `take({max})`"
)]
pub struct TooMany {
    /// How many items were allowed.
    pub max: usize,
}

/// Why [`Flow::try_collect_max`] gives no collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum TryCollectError<E> {
    /// There are too many.
    #[error(transparent)]
    TooMany(#[from] TooMany),
    /// The flow brought an error.
    #[error("the flow failed before everything was collected")]
    Failed(#[source] E),
}

/// How [`Flow::collect_max`] comes to its answer.
#[derive(Debug)]
pub struct CollectMax<C> {
    collection: C,
    room: usize,
    max: usize,
}

impl<C> CollectMax<C> {
    fn put<T>(&mut self, item: T) -> Result<(), TooMany>
    where
        C: Extend<T>,
    {
        self.room = self.room.checked_sub(1).ok_or(TooMany { max: self.max })?;
        self.collection.extend(Some(item));
        Ok(())
    }
}

impl<T, C: Extend<T>> Answer<T> for CollectMax<C> {
    type Output = Result<C, TooMany>;

    fn item(&mut self, item: T) -> ControlFlow<Self::Output> {
        match self.put(item) {
            Ok(()) => ControlFlow::Continue(()),
            Err(too_many) => ControlFlow::Break(Err(too_many)),
        }
    }

    fn end(self) -> Self::Output {
        Ok(self.collection)
    }
}

/// How [`Flow::try_collect`] comes to its answer.
#[derive(Debug)]
pub struct TryCollect<C> {
    collection: C,
}

impl<T, E, C: Extend<T>> Answer<Result<T, E>> for TryCollect<C> {
    type Output = Result<C, E>;

    fn item(&mut self, item: Result<T, E>) -> ControlFlow<Self::Output> {
        match item {
            Ok(value) => self.collection.extend(Some(value)),
            Err(error) => return ControlFlow::Break(Err(error)),
        }
        ControlFlow::Continue(())
    }

    fn end(self) -> Self::Output {
        Ok(self.collection)
    }
}

/// How [`Flow::try_collect_max`] comes to its answer.
#[derive(Debug)]
pub struct TryCollectMax<C>(CollectMax<C>);

impl<T, E, C: Extend<T>> Answer<Result<T, E>> for TryCollectMax<C> {
    type Output = Result<C, TryCollectError<E>>;

    fn item(&mut self, item: Result<T, E>) -> ControlFlow<Self::Output> {
        let gathered =
            item.map_err(TryCollectError::Failed).and_then(|value| Ok(self.0.put(value)?));
        match gathered {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn end(self) -> Self::Output {
        Ok(self.0.collection)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{TooMany, TryCollectError};
    use crate::testing::{Timeline, Tracked, conformance, marbles, specification, timetable};
    use crate::{Clock, Virtual, from_future, iter, once};

    #[test]
    fn as_many_as_are_allowed_are_gathered_and_one_more_ends_the_run() {
        let run = |max| {
            Virtual::new().run(async move {
                let all = timetable([(1, 'a'), (2, 'b'), (3, 'c')], 9).collect_max(max).await;
                (all, Clock::current().now().as_millis())
            })
        };
        assert_eq!(run(3), (Ok(String::from("abc")), 9));
        assert_eq!(run(2), (Err(TooMany { max: 2 }), 3));
        assert_eq!(run(0), (Err(TooMany { max: 0 }), 1));
    }

    #[test]
    fn the_limit_counts_items_whatever_the_collection_keeps() {
        let flow = || iter([1, 1, 1]);
        let set: Result<BTreeSet<_>, _> = Virtual::new().run(flow().collect_max(2));
        assert_eq!(set, Err(TooMany { max: 2 }));
        assert!(set.unwrap_err().to_string().contains("more than the 2 items"));
    }

    #[test]
    fn the_first_error_ends_the_run() {
        let flow = || timetable([(1, Ok(1)), (2, Err('x')), (3, Ok(2)), (4, Err('y'))], 9);
        let failed = Virtual::new().run(async {
            let failed = flow().try_collect::<Vec<_>>().await;
            (failed, Clock::current().now().as_millis())
        });
        assert_eq!(failed, (Err('x'), 2));
        let failed = Virtual::new().run(flow().try_collect_max::<Vec<_>>(1));
        assert_eq!(failed, Err(TryCollectError::Failed('x')));
    }

    #[test]
    fn without_an_error_the_values_are_there() {
        let flow = || iter([Ok::<_, char>(1), Ok(2)]);
        assert_eq!(Virtual::new().run(flow().try_collect()), Ok(vec![1, 2]));
        assert_eq!(Virtual::new().run(flow().try_collect_max(2)), Ok(vec![1, 2]));
        let too_many = Virtual::new().run(flow().try_collect_max::<Vec<_>>(1));
        assert_eq!(too_many, Err(TryCollectError::TooMany(TooMany { max: 1 })));
        let none = Virtual::new().run(once(Err::<u8, _>('x')).try_collect_max::<Vec<_>>(0));
        assert_eq!(none, Err(TryCollectError::Failed('x')));
    }

    marbles!(collect_max, |input| input.collect_max::<Vec<_>>(3));
    marbles!(try_collect, |input: Result<char, char>| input.try_collect::<Vec<_>>());
    marbles!(try_collect_max, |input: Result<char, char>| input.try_collect_max::<Vec<_>>(3));

    specification!(collect_max, |input| input.collect_max::<Vec<_>>(3), |input| -> Timeline<
        Result<Vec<u8>, TooMany>,
    > {
        let end = input.events.get(3).map_or(input.end, |(at, _)| *at);
        let items = input.items();
        let outcome = if items.len() > 3 { Err(TooMany { max: 3 }) } else { Ok(items) };
        Timeline::new([(end, outcome)], end)
    });

    specification!(try_collect, |input: Result<u8, u8>| input.try_collect::<Vec<_>>(), |input| {
        let failed = input.events.iter().find(|(_, x)| x.is_err());
        let end = failed.map_or(input.end, |(at, _)| *at);
        Timeline::new([(end, input.items().into_iter().collect::<Result<Vec<_>, _>>())], end)
    });
    specification!(
        try_collect_max,
        |input: Result<u8, u8>| input.try_collect_max::<Vec<_>>(3),
        |input| -> Timeline<Result<Vec<u8>, TryCollectError<u8>>> {
            let mut values = Vec::new();
            for (at, item) in input.events {
                let outcome = match item {
                    Err(error) => Err(TryCollectError::Failed(error)),
                    Ok(_) if values.len() == 3 => Err(TooMany { max: 3 }.into()),
                    Ok(value) => {
                        values.push(value);
                        continue;
                    }
                };
                return Timeline::new([(at, outcome)], at);
            }
            Timeline::new([(input.end, Ok(values))], input.end)
        }
    );

    fn checked(x: Tracked) -> Result<Tracked, Tracked> {
        if x.value() > 8 { Err(x) } else { Ok(x) }
    }

    conformance!(collect_max, |input| {
        from_future(input.collect_max::<Vec<_>>(3))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "the limit bounds the items, and a future has no outline to say so",
    ]);
    conformance!(try_collect, |input| {
        from_future(input.map(checked).try_collect::<Vec<_>>())
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "every item is held, and a future has no outline to say so",
    ]);
    conformance!(try_collect_max, |input| {
        from_future(input.map(checked).try_collect_max::<Vec<_>>(3))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
        DeclaredBound: "the limit bounds the items, and a future has no outline to say so",
    ]);
}
