//! [`Aggregate::map`]: another output of the same state.

use std::fmt;
use std::marker::PhantomData;

use super::{Aggregate, Span};
use crate::Timestamp;

/// The aggregate behind [`Aggregate::map`].
pub struct Map<A, F, T> {
    aggregate: A,
    f: F,
    items: PhantomData<fn(&T)>,
}

impl<A, F, T> Map<A, F, T> {
    pub(super) fn new(aggregate: A, f: F) -> Self {
        Self { aggregate, f, items: PhantomData }
    }
}

impl<A: Clone, F: Clone, T> Clone for Map<A, F, T> {
    fn clone(&self) -> Self {
        Self::new(self.aggregate.clone(), self.f.clone())
    }
}

impl<A: fmt::Debug, F, T> fmt::Debug for Map<A, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Map").field(&self.aggregate).finish_non_exhaustive()
    }
}

impl<T, A: Aggregate<T>, O, F: Fn(A::Output) -> O> Aggregate<T> for Map<A, F, T> {
    type State = A::State;
    type Output = O;

    const INVERTIBLE: bool = A::INVERTIBLE;

    #[inline]
    fn init(&self) -> A::State {
        self.aggregate.init()
    }

    #[inline]
    fn add(&self, state: &mut A::State, time: Timestamp, item: &T) {
        self.aggregate.add(state, time, item);
    }

    #[inline]
    fn merge(&self, state: &mut A::State, later: &A::State) {
        self.aggregate.merge(state, later);
    }

    #[inline]
    fn finish(&self, state: &A::State, span: Span) -> O {
        (self.f)(self.aggregate.finish(state, span))
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
    use crate::aggregate::{count, last, sum};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws_of_what_it_maps(Cuts { items, at } in cuts(any::<i32>())) {
            let both = (sum(|x: &i32| *x), last(|x: &i32| *x));
            laws::hold(&both.map(|(sum, last)| (sum / 2, last)), &items, at, same);
            laws::hold(&sum(|x: &i32| *x).map(|sum| -sum), &items, at, same);
        }
    }

    #[test]
    fn what_it_aggregates_is_settled_where_it_is_used() {
        /// As the windows do.
        fn window<A: Aggregate<char>>(aggregate: A) -> A::Output {
            aggregate.over(SPAN, [(Timestamp::EPOCH, 'a'), (Timestamp::EPOCH, 'b')])
        }
        assert_eq!(window((count().map(|n| n + 1), count()).map(|(n, m)| n * m)), 6);
    }

    #[test]
    fn it_carries_on_and_removes_what_the_aggregate_does() {
        let last = last(|x: &i32| *x).map(|x| x.map(|x| x * 10));
        let mut before = last.init();
        last.add(&mut before, Timestamp::EPOCH, &4);
        assert_eq!(last.finish(&last.carry(&before), SPAN), Some(40));
        fn inverts<A: Aggregate<i32>>(_: &A) -> bool {
            A::INVERTIBLE
        }
        assert!(!inverts(&last));
        assert!(inverts(&sum(|x: &i32| *x).map(|sum| sum)));
    }
}
