//! `fold`: an aggregate from functions.

use super::{Aggregate, Span};
use crate::Timestamp;

/// An aggregate of your own: what a window starts with, how an item is added, how two parts are
/// merged. The output is the state; [`map`](Aggregate::map) makes something else of it.
///
/// `merge(state, later)` has to give what adding all items of `later` after those of `state` would.
/// It is not called by tumbling and count windows, but by those that overlap or grow together.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, fold};
///
/// // The longest line.
/// let longest = fold(
///     0,
///     |longest, _time, line: &String| *longest = line.len().max(*longest),
///     |longest, later| *longest = *later.max(longest),
/// );
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let lines = ["one", "three", "two"].map(|line| (Timestamp::EPOCH, line.to_string()));
/// assert_eq!(longest.over(second, lines), 5);
/// ```
#[doc(alias("from_fn", "reduce", "custom", "udaf"))]
pub fn fold<T, B, A, M>(init: B, add: A, merge: M) -> Fold<B, A, M>
where
    B: Clone,
    A: Fn(&mut B, Timestamp, &T),
    M: Fn(&mut B, &B),
{
    Fold { init, add, merge }
}

/// The aggregate behind [`fold`].
#[derive(Debug, Clone, Copy)]
pub struct Fold<B, A, M> {
    init: B,
    add: A,
    merge: M,
}

impl<T, B, A, M> Aggregate<T> for Fold<B, A, M>
where
    B: Clone,
    A: Fn(&mut B, Timestamp, &T),
    M: Fn(&mut B, &B),
{
    type State = B;
    type Output = B;

    #[inline]
    fn init(&self) -> B {
        self.init.clone()
    }

    #[inline]
    fn add(&self, state: &mut B, time: Timestamp, item: &T) {
        (self.add)(state, time, item);
    }

    #[inline]
    fn merge(&self, state: &mut B, later: &B) {
        (self.merge)(state, later);
    }

    #[inline]
    fn finish(&self, state: &B, _: Span) -> B {
        state.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_of_all_items_keep_the_laws(Cuts { items, at } in cuts(any::<u8>())) {
            let list = fold(
                Vec::new(),
                |all: &mut Vec<_>, time, x: &u8| all.push((time, *x)),
                |all, later| all.extend_from_slice(later),
            );
            laws::hold(&list, &items, at, same);
            prop_assert_eq!(list.over(SPAN, items.clone()), items);
        }
    }
}
