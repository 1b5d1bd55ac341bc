//! [`Aggregate::filtered`]: an aggregate of some of the items.

use std::fmt;

use super::{Aggregate, Span};
use crate::Timestamp;

/// The aggregate behind [`Aggregate::filtered`].
#[derive(Clone, Copy)]
pub struct Filtered<A, F> {
    aggregate: A,
    keep: F,
}

impl<A, F> Filtered<A, F> {
    pub(super) fn new(aggregate: A, keep: F) -> Self {
        Self { aggregate, keep }
    }
}

impl<A: fmt::Debug, F> fmt::Debug for Filtered<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Filtered").field(&self.aggregate).finish_non_exhaustive()
    }
}

impl<T, A: Aggregate<T>, F: Fn(&T) -> bool> Aggregate<T> for Filtered<A, F> {
    type State = A::State;
    type Output = A::Output;

    const INVERTIBLE: bool = A::INVERTIBLE;

    #[inline]
    fn init(&self) -> A::State {
        self.aggregate.init()
    }

    #[inline]
    fn add(&self, state: &mut A::State, time: Timestamp, item: &T) {
        if (self.keep)(item) {
            self.aggregate.add(state, time, item);
        }
    }

    #[inline]
    fn merge(&self, state: &mut A::State, later: &A::State) {
        self.aggregate.merge(state, later);
    }

    #[inline]
    fn finish(&self, state: &A::State, span: Span) -> A::Output {
        self.aggregate.finish(state, span)
    }

    #[inline]
    fn carry(&self, before: &A::State) -> A::State {
        self.aggregate.carry(before)
    }

    #[inline]
    fn remove(&self, state: &mut A::State, oldest: &A::State) {
        self.aggregate.remove(state, oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use crate::aggregate::{count, last};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws_and_only_what_is_kept(Cuts { items, at } in cuts(any::<i32>())) {
            let even = |x: &i32| x % 2 == 0;
            laws::hold(&(count(), last(|x: &i32| *x)).filtered(even), &items, at, same);
            laws::hold(&count().filtered(even), &items, at, same);
            let plain = items.iter().filter(|(_, x)| even(x)).count() as u64;
            prop_assert_eq!(count().filtered(even).over(SPAN, items), plain);
        }
    }
}
