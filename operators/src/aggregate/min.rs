//! `min` and `min_by_key`: the least value, and the value of the least key.

use super::number::compares;
use super::{Aggregate, Span};
use crate::Timestamp;

/// The least of what `f` gives for each item, in its unit; `None` without items.
///
/// A float that is not a number is passed over.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, min};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let items = [4.5, 1.5, 7.0].map(|x| (Timestamp::EPOCH, x));
/// assert_eq!(min(|x: &f64| *x).over(second, items), Some(1.5));
/// ```
#[doc(alias("low"))]
pub fn min<T, V: PartialOrd + Clone, F: Fn(&T) -> V>(f: F) -> Min<F> {
    Min(f)
}

/// Of the item with the least `key`, what `value` gives; `None` without items. Of equal keys the
/// first to arrive counts.
///
/// With a number that counts items up at their source it gives the first of them, in whatever order
/// they arrive.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, min_by_key};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let trades = [(7, 100.5), (6, 101.0), (8, 99.5)].map(|trade| (Timestamp::EPOCH, trade));
/// let price = min_by_key(|(id, _): &(u64, f64)| *id, |(_, price): &(u64, f64)| *price);
/// assert_eq!(price.over(second, trades), Some(101.0));
/// ```
#[doc(alias("arg_min", "min_by"))]
pub fn min_by_key<T, K, V, G, F>(key: G, value: F) -> MinByKey<G, F>
where
    K: PartialOrd + Clone,
    V: Clone,
    G: Fn(&T) -> K,
    F: Fn(&T) -> V,
{
    MinByKey { key, value }
}

/// The aggregate behind [`min`].
#[derive(Debug, Clone, Copy)]
pub struct Min<F>(F);

impl<T, V: PartialOrd + Clone, F: Fn(&T) -> V> Aggregate<T> for Min<F> {
    type State = Option<V>;
    type Output = Option<V>;

    #[inline]
    fn init(&self) -> Option<V> {
        None
    }

    #[inline]
    fn add(&self, best: &mut Option<V>, _: Timestamp, item: &T) {
        let value = (self.0)(item);
        match best {
            Some(best) if value < *best => *best = value,
            None if compares(&value) => *best = Some(value),
            _ => {}
        }
    }

    #[inline]
    fn merge(&self, best: &mut Option<V>, later: &Option<V>) {
        if let Some(value) = later
            && best.as_ref().is_none_or(|best| value < best)
        {
            *best = Some(value.clone());
        }
    }

    #[inline]
    fn finish(&self, best: &Option<V>, _: Span) -> Option<V> {
        best.clone()
    }
}

/// The aggregate behind [`min_by_key`].
#[derive(Debug, Clone, Copy)]
pub struct MinByKey<G, F> {
    key: G,
    value: F,
}

impl<T, K, V, G, F> Aggregate<T> for MinByKey<G, F>
where
    K: PartialOrd + Clone,
    V: Clone,
    G: Fn(&T) -> K,
    F: Fn(&T) -> V,
{
    /// The least key and its value.
    type State = Option<(K, V)>;
    type Output = Option<V>;

    #[inline]
    fn init(&self) -> Self::State {
        None
    }

    #[inline]
    fn add(&self, best: &mut Self::State, _: Timestamp, item: &T) {
        let key = (self.key)(item);
        match best {
            Some(best) if key < best.0 => *best = (key, (self.value)(item)),
            None if compares(&key) => *best = Some((key, (self.value)(item))),
            _ => {}
        }
    }

    #[inline]
    fn merge(&self, best: &mut Self::State, later: &Self::State) {
        if let Some(later) = later
            && best.as_ref().is_none_or(|best| later.0 < best.0)
        {
            *best = Some(later.clone());
        }
    }

    #[inline]
    fn finish(&self, best: &Self::State, _: Span) -> Option<V> {
        best.as_ref().map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws(Cuts { items, at } in cuts(-9..9_i32)) {
            laws::hold(&min(|x: &i32| *x), &items, at, same);
            let plain = items.iter().map(|(_, x)| *x).min();
            prop_assert_eq!(min(|x: &i32| *x).over(SPAN, items), plain);
        }

        #[test]
        fn by_key_it_keeps_the_laws_and_the_first_of_equal_keys(
            Cuts { items, at } in cuts((0..5_u8, any::<u16>())),
        ) {
            let by_key = min_by_key(|x: &(u8, u16)| x.0, |x: &(u8, u16)| x.1);
            laws::hold(&by_key, &items, at, same);
            let least = items.iter().map(|(_, x)| x.0).min();
            let first = items.iter().find(|(_, x)| Some(x.0) == least).map(|(_, x)| x.1);
            prop_assert_eq!(by_key.over(SPAN, items), first);
        }
    }

    #[test]
    fn what_is_not_a_number_is_passed_over_wherever_it_comes() {
        let min = min(|x: &f64| *x);
        for items in [[f64::NAN, 1.0, 1.0], [1.0, f64::NAN, 1.0], [1.0, 1.0, f64::NAN]] {
            assert_eq!(min.over(SPAN, items.map(|x| (Timestamp::EPOCH, x))), Some(1.0));
        }
        assert_eq!(min.over(SPAN, [(Timestamp::EPOCH, f64::NAN)]), None);
    }
}
