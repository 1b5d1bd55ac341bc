//! [`Aggregate::of`]: an aggregate of what is made of each item.

use std::fmt;
use std::marker::PhantomData;

use super::{Aggregate, Span};
use crate::Timestamp;

/// The aggregate behind [`Aggregate::of`].
pub struct Of<A, F, T> {
    aggregate: A,
    f: F,
    made: PhantomData<fn(&T)>,
}

impl<A, F, T> Of<A, F, T> {
    pub(super) fn new(aggregate: A, f: F) -> Self {
        Self { aggregate, f, made: PhantomData }
    }
}

impl<A: Clone, F: Clone, T> Clone for Of<A, F, T> {
    fn clone(&self) -> Self {
        Self::new(self.aggregate.clone(), self.f.clone())
    }
}

impl<A: fmt::Debug, F, T> fmt::Debug for Of<A, F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Of").field(&self.aggregate).finish_non_exhaustive()
    }
}

impl<T, U, A: Aggregate<T>, F: Fn(&U) -> T> Aggregate<U> for Of<A, F, T> {
    type State = A::State;
    type Output = A::Output;

    const INVERTIBLE: bool = A::INVERTIBLE;

    #[inline]
    fn init(&self) -> A::State {
        self.aggregate.init()
    }

    #[inline]
    fn add(&self, state: &mut A::State, time: Timestamp, item: &U) {
        self.aggregate.add(state, time, &(self.f)(item));
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
    use crate::aggregate::laws::{self, Cuts, cuts, same};
    use crate::aggregate::{last, sum};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws_of_the_aggregate(Cuts { items, at } in cuts(any::<(u8, i32)>())) {
            let both = (sum(|x: &i32| *x), last(|x: &i32| *x));
            laws::hold(&both.of(|pair: &(u8, i32)| pair.1), &items, at, same);
            laws::hold(&sum(|x: &u8| *x).of(|pair: &(u8, i32)| pair.0), &items, at, same);
        }
    }
}
