//! `distinct_count`: how many different values there are.

use std::fmt::Debug;
use std::hash::Hash;

use hashbrown::HashSet;

use super::{Aggregate, Span};
use crate::Timestamp;

/// How many different values `f` gives, exactly up to `max` of them.
///
/// A window holds each of its values once, so `max` bounds its memory. When there are more it lets
/// them go and gives [`AtLeast`](Distinct::AtLeast) `max + 1` from then on. With the feature
/// `sketch`, `estimated` goes on with an estimate instead. What `f` gives is kept, so something
/// that needs no allocation, an id or a hash, is best.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Distinct, Span, distinct_count};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let users = ["ann", "bob", "ann"].map(|user| (Timestamp::EPOCH, user));
/// let different = |max| distinct_count(|user: &&str| *user, max);
/// assert_eq!(different(2).over(second, users), Distinct::Exactly(2));
/// assert_eq!(different(1).over(second, users), Distinct::AtLeast(2));
/// ```
#[doc(alias("count_distinct", "cardinality", "unique"))]
pub fn distinct_count<T, K: Eq + Hash + Clone, F: Fn(&T) -> K>(
    f: F,
    max: usize,
) -> DistinctCount<F> {
    DistinctCount { value: f, max, beyond: AtLeast(()) }
}

/// The aggregate behind [`distinct_count`].
#[derive(Debug, Clone, Copy)]
pub struct DistinctCount<F, B = AtLeast> {
    value: F,
    max: usize,
    beyond: B,
}

#[cfg(feature = "sketch")]
impl<F> DistinctCount<F> {
    /// Estimates what is more than `max` with a HyperLogLog sketch of 4 KiB.
    ///
    /// The standard error is 1.04 / √4096, about 1.6 %: two out of three estimates are nearer. Which
    /// values came in which order does not matter, nor how they were cut. Values are hashed with
    /// their `Hash` and a fixed seed, so every run gives the same. To merge two sketches, one is
    /// copied. Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog" (2007), as in Apache DataSketches.
    ///
    /// ```
    /// use aqueduct_operators::Timestamp;
    /// use aqueduct_operators::aggregate::{Aggregate, Distinct, Span, distinct_count};
    ///
    /// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
    /// let users = (0..10_000).map(|user| (Timestamp::EPOCH, user));
    /// let different = distinct_count(|user: &u32| *user, 100).estimated();
    /// let Distinct::About(estimate) = different.over(second, users) else { panic!() };
    /// assert!(estimate.abs_diff(10_000) < 500);
    /// ```
    #[doc(alias("hyperloglog", "hll", "approx_count_distinct"))]
    pub fn estimated(self) -> DistinctCount<F, Estimated> {
        DistinctCount { value: self.value, max: self.max, beyond: Estimated(()) }
    }
}

/// How many different values there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Distinct {
    /// So many.
    Exactly(u64),
    /// So many, and perhaps more.
    AtLeast(u64),
    /// An estimate.
    About(u64),
}

impl Distinct {
    /// The number, whatever it is worth.
    pub fn count(self) -> u64 {
        let (Self::Exactly(count) | Self::AtLeast(count) | Self::About(count)) = self;
        count
    }
}

/// What a [`distinct_count`] does with more values than it holds.
pub trait Beyond: sealed::Sealed {
    /// What it keeps of them.
    type Many: Clone + Debug;

    /// For the first of them.
    fn start(&self) -> Self::Many;

    /// Adds one.
    fn add<K: Hash>(&self, many: &mut Self::Many, value: &K);

    /// Adds others.
    fn merge(&self, many: &mut Self::Many, other: &Self::Many);

    /// How many there were, more than `max`.
    fn finish(&self, many: &Self::Many, max: u64) -> Distinct;
}

/// Only says that there are more.
#[derive(Debug, Clone, Copy)]
pub struct AtLeast(());

impl Beyond for AtLeast {
    type Many = ();

    fn start(&self) {}

    fn add<K: Hash>(&self, (): &mut (), _: &K) {}

    fn merge(&self, (): &mut (), (): &()) {}

    fn finish(&self, (): &(), max: u64) -> Distinct {
        Distinct::AtLeast(max.saturating_add(1))
    }
}

/// Estimates how many there are.
#[cfg(feature = "sketch")]
#[derive(Debug, Clone, Copy)]
pub struct Estimated(());

#[cfg(feature = "sketch")]
impl Beyond for Estimated {
    type Many = datasketches::hll::HllUnion;

    fn start(&self) -> Self::Many {
        /// 4,096 registers of a byte.
        const LOG_REGISTERS: u8 = 12;
        Self::Many::new(LOG_REGISTERS).expect("from 4 to 21 is allowed")
    }

    fn add<K: Hash>(&self, many: &mut Self::Many, value: &K) {
        many.update_value(value);
    }

    fn merge(&self, many: &mut Self::Many, other: &Self::Many) {
        many.update(&other.to_sketch(datasketches::hll::HllType::Hll8));
    }

    fn finish(&self, many: &Self::Many, max: u64) -> Distinct {
        // The other estimate of the sketch is nearer, but depends on the order of arrival.
        let estimate = many.composite_estimate().round() as u64;
        Distinct::About(estimate.max(max.saturating_add(1)))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AtLeast {}
    #[cfg(feature = "sketch")]
    impl Sealed for super::Estimated {}
}

/// What a window of [`distinct_count`] keeps.
#[derive(Debug, Clone)]
pub enum DistinctState<K, M> {
    /// The values, as long as they are few.
    Few(HashSet<K>),
    /// What is kept of many.
    Many(M),
}

impl<F, B: Beyond> DistinctCount<F, B> {
    #[inline]
    fn insert<K: Eq + Hash + Clone>(&self, state: &mut DistinctState<K, B::Many>, value: &K) {
        match state {
            DistinctState::Few(values) if values.contains(value) => {}
            DistinctState::Few(values) if values.len() < self.max => {
                values.insert(value.clone());
            }
            DistinctState::Few(values) => {
                let mut many = self.beyond.start();
                for value in values.drain() {
                    self.beyond.add(&mut many, &value);
                }
                self.beyond.add(&mut many, value);
                *state = DistinctState::Many(many);
            }
            DistinctState::Many(many) => self.beyond.add(many, value),
        }
    }
}

impl<T, K, F, B> Aggregate<T> for DistinctCount<F, B>
where
    K: Eq + Hash + Clone,
    F: Fn(&T) -> K,
    B: Beyond,
{
    type State = DistinctState<K, B::Many>;
    type Output = Distinct;

    #[inline]
    fn init(&self) -> Self::State {
        DistinctState::Few(HashSet::new())
    }

    #[inline]
    fn add(&self, state: &mut Self::State, _: Timestamp, item: &T) {
        self.insert(state, &(self.value)(item));
    }

    fn merge(&self, state: &mut Self::State, later: &Self::State) {
        match (&mut *state, later) {
            (_, DistinctState::Few(values)) => {
                values.iter().for_each(|value| self.insert(state, value));
            }
            (DistinctState::Many(many), DistinctState::Many(later)) => {
                self.beyond.merge(many, later);
            }
            (DistinctState::Few(values), DistinctState::Many(later)) => {
                let mut many = later.clone();
                for value in values.drain() {
                    self.beyond.add(&mut many, &value);
                }
                *state = DistinctState::Many(many);
            }
        }
    }

    #[inline]
    fn finish(&self, state: &Self::State, _: Span) -> Distinct {
        match state {
            DistinctState::Few(values) => Distinct::Exactly(values.len() as u64),
            DistinctState::Many(many) => self.beyond.finish(many, self.max as u64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_keeps_the_laws_and_is_exact_up_to_its_bound(
            Cuts { items, at } in cuts(0..20_u8),
            max in 0..20_usize,
        ) {
            let count = distinct_count(|x: &u8| *x, max);
            laws::hold(&count, &items, at, same);
            let all = items.iter().map(|(_, x)| *x).collect::<BTreeSet<_>>().len();
            let expected = match all > max {
                true => Distinct::AtLeast(max as u64 + 1),
                false => Distinct::Exactly(all as u64),
            };
            prop_assert_eq!(count.over(SPAN, items), expected);
        }
    }

    #[cfg(feature = "sketch")]
    proptest! {
        #[test]
        fn an_estimate_does_not_depend_on_the_cut(
            // As few as the sketch lists, as many as it keeps in registers.
            Cuts { items, at } in cuts((any::<u32>(), 1..200_u32)),
            max in 0..9_usize,
        ) {
            let items = items.iter().flat_map(|(time, (from, many))| {
                (0..*many).map(|x| (*time, from.wrapping_add(x)))
            });
            let items: Vec<_> = items.collect();
            let at = at.map(|at| at * 100 % (items.len() + 1));
            let at = [at[0].min(at[1]), at[0].max(at[1])];
            laws::hold(&distinct_count(|x: &u32| *x, max).estimated(), &items, at, same);
        }
    }

    #[cfg(feature = "sketch")]
    #[test]
    fn estimates_are_within_a_few_standard_errors() {
        let different = distinct_count(|x: &u64| *x, 10).estimated();
        for many in [11, 100, 1_000, 10_000, 100_000_u64] {
            let twice = (0..many).chain(0..many).map(|x| (Timestamp::EPOCH, x));
            let estimate = different.over(SPAN, twice).count();
            let error = estimate.abs_diff(many) as f64 / many as f64;
            assert!(error < 4.0 * 0.016_25, "{estimate} instead of {many}");
        }
    }
}
