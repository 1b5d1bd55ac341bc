//! `sum`: the sum of a number of each item.

use super::{Aggregate, Number, Span, Total};
use crate::Timestamp;

/// Adds up what `f` gives for each item, in its unit. Zero without items.
///
/// Integers add up in `i128`, exactly; floats in `f64`, from left to right.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, sum};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let bytes = [(Timestamp::EPOCH, "GET"), (Timestamp::EPOCH, "PATCH")];
/// assert_eq!(sum(|word: &&str| word.len()).over(second, bytes), 8);
/// ```
#[doc(alias("volume", "total"))]
pub fn sum<T, N: Number, F: Fn(&T) -> N>(f: F) -> Sum<F> {
    Sum(f)
}

/// The aggregate behind [`sum`].
#[derive(Debug, Clone, Copy)]
pub struct Sum<F>(F);

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for Sum<F> {
    type State = N::Total;
    type Output = N::Total;

    const INVERTIBLE: bool = N::Total::EXACT;

    #[inline]
    fn init(&self) -> N::Total {
        N::Total::ZERO
    }

    #[inline]
    fn add(&self, sum: &mut N::Total, _: Timestamp, item: &T) {
        *sum = sum.plus((self.0)(item).total());
    }

    #[inline]
    fn merge(&self, sum: &mut N::Total, later: &N::Total) {
        *sum = sum.plus(*later);
    }

    #[inline]
    fn finish(&self, sum: &N::Total, _: Span) -> N::Total {
        *sum
    }

    #[inline]
    fn remove(&self, sum: &mut N::Total, oldest: &N::Total) {
        *sum = sum.minus(*oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, close, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_keep_the_laws_exactly(Cuts { items, at } in cuts(any::<i64>())) {
            let sum = sum(|x: &i64| *x);
            laws::hold(&sum, &items, at, same);
            let plain = items.iter().map(|(_, x)| i128::from(*x)).sum::<i128>();
            prop_assert_eq!(sum.over(SPAN, items), plain);
        }

        #[test]
        fn floats_keep_the_laws_to_rounding(Cuts { items, at } in cuts(-1e6..1e6)) {
            laws::hold(&sum(|x: &f64| *x), &items, at, |a, b| close(*a, *b));
        }
    }

    #[test]
    fn only_what_is_exact_is_removed() {
        fn inverts<A: Aggregate<u32>>(_: &A) -> bool {
            A::INVERTIBLE
        }
        assert!(inverts(&sum(|x: &u32| *x)));
        assert!(!inverts(&sum(|x: &u32| f64::from(*x))));
        assert!(!inverts(&(sum(|x: &u32| *x), sum(|x: &u32| f64::from(*x)))));
    }

    #[test]
    fn a_sum_is_wider_than_what_it_adds() {
        let twice = [u64::MAX, u64::MAX].map(|x| (Timestamp::EPOCH, x));
        assert_eq!(sum(|x: &u64| *x).over(SPAN, twice), 2 * i128::from(u64::MAX));
    }
}
