//! `mean`: the average of a number of each item.

use super::{Aggregate, Number, Span, Total};
use crate::Timestamp;

/// The arithmetic mean of what `f` gives for each item, in its unit; `None` without items.
///
/// Each item counts the same. For values that hold until the next one comes, see
/// [`twap`](super::twap()); to weigh by a quantity, [`vwap`](super::vwap()). Sum over count: exact
/// for integers until the division.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, mean};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let items = [1, 2, 6].map(|x| (Timestamp::EPOCH, x));
/// assert_eq!(mean(|x: &i32| *x).over(second, items), Some(3.0));
/// assert_eq!(mean(|x: &i32| *x).over(second, []), None);
/// ```
#[doc(alias("average", "avg"))]
pub fn mean<T, N: Number, F: Fn(&T) -> N>(f: F) -> Mean<F> {
    Mean(f)
}

/// The aggregate behind [`mean`].
#[derive(Debug, Clone, Copy)]
pub struct Mean<F>(F);

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for Mean<F> {
    /// The sum and the count.
    type State = (N::Total, u64);
    type Output = Option<f64>;

    const INVERTIBLE: bool = N::Total::EXACT;

    #[inline]
    fn init(&self) -> Self::State {
        (N::Total::ZERO, 0)
    }

    #[inline]
    fn add(&self, (sum, count): &mut Self::State, _: Timestamp, item: &T) {
        *sum = sum.plus((self.0)(item).total());
        *count += 1;
    }

    #[inline]
    fn merge(&self, (sum, count): &mut Self::State, later: &Self::State) {
        *sum = sum.plus(later.0);
        *count += later.1;
    }

    #[inline]
    fn finish(&self, (sum, count): &Self::State, _: Span) -> Option<f64> {
        (*count > 0).then(|| sum.to_f64() / *count as f64)
    }

    #[inline]
    fn remove(&self, (sum, count): &mut Self::State, oldest: &Self::State) {
        *sum = sum.minus(oldest.0);
        *count = count.saturating_sub(oldest.1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, both_close, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_keep_the_laws_exactly(Cuts { items, at } in cuts(any::<i64>())) {
            laws::hold(&mean(|x: &i64| *x), &items, at, same);
        }

        #[test]
        fn floats_keep_the_laws_to_rounding(Cuts { items, at } in cuts(-1e6..1e6)) {
            laws::hold(&mean(|x: &f64| *x), &items, at, both_close);
        }
    }
}
