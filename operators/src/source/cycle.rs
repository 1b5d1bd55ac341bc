//! The same items over and over.

use std::iter::{Cycle, Repeat};
use std::panic::Location;

use super::iter::Iter;
use crate::Flow;

/// The items of an iterator, over and over.
///
/// ```text
/// out  (abab|)    cycle(['a', 'b']).take(4)
/// ```
///
/// The iterator is cloned for each round, so its rounds are alike. To run a whole flow again,
/// there is [`repeat`](crate::repeat).
///
/// - **Emits** an item whenever one is asked for.
/// - **Backpressures** when downstream does.
/// - **Ends** at once if there are no items, else never.
/// - **On error**: an error is an item here.
/// - **Holds** nothing beside the two iterators.
/// - **Cost**: one clone of the iterator a round; a clock read in each long turn and every 1,024
///   items, because this is always ready (see [`Budget`](crate::Budget)).
///
/// ```
/// # futures::executor::block_on(async {
/// let sides: Vec<_> = aqueduct_operators::cycle(["bid", "ask"]).take(3).collect().await;
/// assert_eq!(sides, ["bid", "ask", "bid"]);
/// # });
/// ```
#[doc(alias("repeat", "loop"))]
#[track_caller]
pub fn cycle<I>(items: I) -> Flow<Iter<Cycle<I::IntoIter>>>
where
    I: IntoIterator<IntoIter: Clone>,
{
    Iter::over(items.into_iter().cycle(), "cycle", Location::caller())
}

/// One item, over and over.
///
/// ```text
/// out  (aaaa|)    repeat_value('a').take(4)
/// ```
///
/// - **Emits** a clone of the item whenever one is asked for.
/// - **Backpressures** when downstream does.
/// - **Ends** never.
/// - **On error**: an error is an item here.
/// - **Holds** the item.
/// - **Cost**: one clone for each item; a clock read in each long turn and every 1,024 items,
///   because this is always ready (see [`Budget`](crate::Budget)).
///
/// ```
/// # futures::executor::block_on(async {
/// let pings = aqueduct_operators::repeat_value("ping").take(2);
/// assert_eq!(pings.count().await, 2);
/// # });
/// ```
#[doc(alias("repeat", "constant"))]
#[track_caller]
pub fn repeat_value<T: Clone>(item: T) -> Flow<Iter<Repeat<T>>> {
    Iter::over(std::iter::repeat(item), "repeat_value", Location::caller())
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::{cycle, repeat_value};
    use crate::testing::{every_way, items, marbles};

    #[test]
    fn the_items_start_over_after_the_last() {
        assert_eq!(every_way(|| cycle([1, 2, 3]).take(7)), [1, 2, 3, 1, 2, 3, 1]);
        assert_eq!(every_way(|| repeat_value('a').take(3)), ['a'; 3]);
    }

    #[test]
    fn without_items_it_ends_at_once() {
        assert_eq!(items(cycle([0; 0])), []);
    }

    #[test]
    fn an_endless_flow_lets_others_run() {
        assert!(cycle([1]).drain().now_or_never().is_none());
        assert!(repeat_value(1).filter(|_| false).drain().now_or_never().is_none());
    }

    marbles!(cycle, || cycle(['a', 'b']).take(4));
    marbles!(repeat_value, || repeat_value('a').take(4));
}
