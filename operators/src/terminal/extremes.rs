//! `min` and `max`: the least and the greatest item.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use super::decide::{Answer, Decide};
use crate::{Flow, Stage};

impl<S: Stage> Flow<S> {
    /// Runs the flow and gives its least item; the first one if several are.
    ///
    /// ```text
    /// in   --2--1----3--|
    /// out  -------------(s|)    min()
    /// where  s = Some(1)
    /// ```
    ///
    /// - **Emits** that item when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// assert_eq!(aqueduct_operators::iter([4, 2, 3]).min().await, Some(2));
    /// # });
    /// ```
    #[doc(alias("minimum", "least"))]
    pub fn min(self) -> Decide<S, Extreme<S::Item, ByOrd>>
    where
        S::Item: Ord,
    {
        Decide::new(self, "min", Extreme { best: None, rank: ByOrd, greatest: false })
    }

    /// Runs the flow and gives its greatest item; the last one if several are.
    ///
    /// ```text
    /// in   --2--1----3--|
    /// out  -------------(s|)    max()
    /// where  s = Some(3)
    /// ```
    ///
    /// - **Emits** that item when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// assert_eq!(aqueduct_operators::iter([4, 2, 3]).max().await, Some(4));
    /// # });
    /// ```
    #[doc(alias("maximum", "greatest"))]
    pub fn max(self) -> Decide<S, Extreme<S::Item, ByOrd>>
    where
        S::Item: Ord,
    {
        Decide::new(self, "max", Extreme { best: None, rank: ByOrd, greatest: true })
    }

    /// Runs the flow and gives the least item as `compare` sees it; the first one if several are.
    ///
    /// ```text
    /// in   --2--1----3--|
    /// out  -------------(s|)    min_by(u32::cmp)
    /// where  s = Some(1)
    /// ```
    ///
    /// - **Emits** that item when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `compare` comes out of the future, which
    ///   must not be polled again.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let low = aqueduct_operators::iter([1.5, 0.5]).min_by(f64::total_cmp);
    /// assert_eq!(low.await, Some(0.5));
    /// # });
    /// ```
    pub fn min_by<F>(self, compare: F) -> Decide<S, Extreme<S::Item, By<F>>>
    where
        F: FnMut(&S::Item, &S::Item) -> Ordering,
    {
        Decide::new(self, "min_by", Extreme { best: None, rank: By(compare), greatest: false })
    }

    /// Runs the flow and gives the greatest item as `compare` sees it; the last one if several are.
    ///
    /// ```text
    /// in   --2--1----3--|
    /// out  -------------(s|)    max_by(u32::cmp)
    /// where  s = Some(3)
    /// ```
    ///
    /// - **Emits** that item when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `compare` comes out of the future, which
    ///   must not be polled again.
    /// - **Holds** 1 item.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let high = aqueduct_operators::iter([1.5, 0.5]).max_by(f64::total_cmp);
    /// assert_eq!(high.await, Some(1.5));
    /// # });
    /// ```
    pub fn max_by<F>(self, compare: F) -> Decide<S, Extreme<S::Item, By<F>>>
    where
        F: FnMut(&S::Item, &S::Item) -> Ordering,
    {
        Decide::new(self, "max_by", Extreme { best: None, rank: By(compare), greatest: true })
    }

    /// Runs the flow and gives the item whose `key` is least; the first one if several are. The key
    /// of each item is made once.
    ///
    /// ```text
    /// in   --2--1----3--|
    /// out  -------------(s|)    min_by_key(|x| *x)
    /// where  s = Some(1)
    /// ```
    ///
    /// - **Emits** that item when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `key` comes out of the future, which
    ///   must not be polled again.
    /// - **Holds** 1 item and its key.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let shortest = aqueduct_operators::iter(["quote", "tick"]).min_by_key(|s| s.len());
    /// assert_eq!(shortest.await, Some("tick"));
    /// # });
    /// ```
    pub fn min_by_key<K, F>(self, key: F) -> Decide<S, ExtremeByKey<K, S::Item, F>>
    where
        K: Ord,
        F: FnMut(&S::Item) -> K,
    {
        Decide::new(self, "min_by_key", Extreme { best: None, rank: ByKey(key), greatest: false })
    }

    /// Runs the flow and gives the item whose `key` is greatest; the last one if several are. The
    /// key of each item is made once.
    ///
    /// ```text
    /// in   --2--1----3--|
    /// out  -------------(s|)    max_by_key(|x| *x)
    /// where  s = Some(3)
    /// ```
    ///
    /// - **Emits** that item when the input ends; `None` if it was empty.
    /// - **Backpressures** never.
    /// - **Ends** when the input ends.
    /// - **On error**: an error is an item here. A panic in `key` comes out of the future, which
    ///   must not be polled again.
    /// - **Holds** 1 item and its key.
    /// - **Cost**: no allocation, no clock read.
    ///
    /// ```
    /// # futures::executor::block_on(async {
    /// let longest = aqueduct_operators::iter(["quote", "tick"]).max_by_key(|s| s.len());
    /// assert_eq!(longest.await, Some("quote"));
    /// # });
    /// ```
    pub fn max_by_key<K, F>(self, key: F) -> Decide<S, ExtremeByKey<K, S::Item, F>>
    where
        K: Ord,
        F: FnMut(&S::Item) -> K,
    {
        Decide::new(self, "max_by_key", Extreme { best: None, rank: ByKey(key), greatest: true })
    }
}

/// How [`Flow::min`], [`Flow::max`] and their like come to their answer.
#[derive(Debug)]
pub struct Extreme<B, R> {
    best: Option<B>,
    rank: R,
    greatest: bool,
}

impl<B, R> Extreme<B, R> {
    /// The least or the greatest of those before and the next one. Among equal ones the first is
    /// the least and the last the greatest, as `Iterator` has it.
    fn take(&mut self, next: B, compare: impl FnOnce(&mut R, &B, &B) -> Ordering) {
        let best = match self.best.take() {
            None => next,
            Some(best) => {
                let order = compare(&mut self.rank, &best, &next);
                let stays = if self.greatest { order.is_gt() } else { order.is_le() };
                if stays { best } else { next }
            }
        };
        self.best = Some(best);
    }
}

/// How [`Flow::min_by_key`] and [`Flow::max_by_key`] come to their answer.
pub type ExtremeByKey<K, T, F> = Extreme<(K, T), ByKey<F>>;

/// Items are compared as they compare themselves.
#[derive(Debug)]
pub struct ByOrd;

impl<T: Ord> Answer<T> for Extreme<T, ByOrd> {
    type Output = Option<T>;

    fn item(&mut self, item: T) -> ControlFlow<Option<T>> {
        self.take(item, |_, a, b| a.cmp(b));
        ControlFlow::Continue(())
    }

    fn end(self) -> Option<T> {
        self.best
    }
}

/// Items are compared by a closure.
#[derive(Debug)]
pub struct By<F>(F);

impl<T, F: FnMut(&T, &T) -> Ordering> Answer<T> for Extreme<T, By<F>> {
    type Output = Option<T>;

    fn item(&mut self, item: T) -> ControlFlow<Option<T>> {
        self.take(item, |By(compare), a, b| compare(a, b));
        ControlFlow::Continue(())
    }

    fn end(self) -> Option<T> {
        self.best
    }
}

/// The keys of items are compared.
#[derive(Debug)]
pub struct ByKey<F>(F);

impl<T, K: Ord, F: FnMut(&T) -> K> Answer<T> for Extreme<(K, T), ByKey<F>> {
    type Output = Option<T>;

    fn item(&mut self, item: T) -> ControlFlow<Option<T>> {
        let key = (self.rank.0)(&item);
        self.take((key, item), |_, (a, _), (b, _)| a.cmp(b));
        ControlFlow::Continue(())
    }

    fn end(self) -> Option<T> {
        self.best.map(|(_, item)| item)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use crate::testing::{Timeline, conformance, marbles, specification, timetable};
    use crate::{Virtual, empty, from_future, iter};

    #[test]
    fn the_least_and_the_greatest_over_all_polls() {
        let flow = || timetable([(1, 4), (2, 9), (3, 2), (4, 3)], 5);
        assert_eq!(Virtual::new().run(flow().min()), Some(2));
        assert_eq!(Virtual::new().run(flow().max()), Some(9));
        assert_eq!(Virtual::new().run(empty::<u8>().min()), None);
        assert_eq!(Virtual::new().run(empty::<u8>().max()), None);
    }

    #[test]
    fn among_equal_items_it_is_the_one_that_an_iterator_gives() {
        let items = [(1, 'a'), (0, 'b'), (1, 'c'), (0, 'd')];
        let run = |flow: crate::Flow<_>| Virtual::new().run(flow.min_by_key(|x: &(u8, char)| x.0));
        assert_eq!(run(iter(items)), items.into_iter().min_by_key(|x| x.0));
        let max = Virtual::new().run(iter(items).max_by_key(|x| x.0));
        assert_eq!(max, items.into_iter().max_by_key(|x| x.0));
        let min = Virtual::new().run(iter(items).min_by(|a, b| a.0.cmp(&b.0)));
        assert_eq!(min, items.into_iter().min_by(|a, b| a.0.cmp(&b.0)));
        let max = Virtual::new().run(iter(items).max_by(|a, b| a.0.cmp(&b.0)));
        assert_eq!(max, items.into_iter().max_by(|a, b| a.0.cmp(&b.0)));
    }

    #[test]
    fn the_key_of_an_item_is_made_once() {
        let made = Cell::new(0);
        let key = |x: &u8| {
            made.set(made.get() + 1);
            *x
        };
        assert_eq!(Virtual::new().run(iter([3, 1, 2]).max_by_key(key)), Some(3));
        assert_eq!(made.get(), 3);
    }

    marbles!(min, |input: u32| input.min());
    marbles!(max, |input: u32| input.max());
    marbles!(min_by, |input: u32| input.min_by(u32::cmp));
    marbles!(max_by, |input: u32| input.max_by(u32::cmp));
    marbles!(min_by_key, |input: u32| input.min_by_key(|x| *x));
    marbles!(max_by_key, |input: u32| input.max_by_key(|x| *x));

    specification!(min, |input| input.min(), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().min())], end)
    });
    specification!(max, |input| input.max(), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().max())], end)
    });
    specification!(min_by_key, |input| input.min_by_key(|x| x % 3), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().min_by_key(|x| x % 3))], end)
    });
    specification!(max_by_key, |input| input.max_by_key(|x| x % 3), |input| {
        let end = input.end;
        Timeline::new([(end, input.items().into_iter().max_by_key(|x| x % 3))], end)
    });

    conformance!(max_by_key, |input| {
        from_future(input.max_by_key(|x| x.value()))
    }, except [
        NoSnooze: "a future does not begin before it is polled",
    ]);
}
