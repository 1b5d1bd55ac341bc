//! `vwap`: the average price, weighted by quantity.

use super::{Aggregate, Number, Span, Total};
use crate::Timestamp;

/// The volume-weighted average price, Σ price × quantity / Σ quantity.
///
/// The output keeps both sums, so that a fixed-point price can be rounded from the exact ratio.
/// Integers are exact: the product of two of 64 bits fits into the `i128` of their sum. Any value
/// and weight will do.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, vwap};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let trades = [(100, 3), (104, 1)].map(|trade| (Timestamp::EPOCH, trade));
/// let average = vwap(|(price, _): &(i64, i64)| *price, |(_, quantity): &(i64, i64)| *quantity);
/// let average = average.over(second, trades);
/// assert_eq!((average.notional, average.volume), (404, 4));
/// assert_eq!(average.price(), Some(101.0));
/// ```
#[doc(alias("weighted_mean", "weighted_average", "volume_weighted_average_price"))]
pub fn vwap<T, P, Q, F, G>(price: F, quantity: G) -> VwapOf<F, G>
where
    P: Number,
    Q: Number<Total = P::Total>,
    F: Fn(&T) -> P,
    G: Fn(&T) -> Q,
{
    VwapOf { price, quantity }
}

/// The aggregate behind [`vwap`].
#[derive(Debug, Clone, Copy)]
pub struct VwapOf<F, G> {
    price: F,
    quantity: G,
}

/// The two sums of a volume-weighted average price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vwap<W> {
    /// Σ price × quantity, in the unit of the one times that of the other.
    pub notional: W,
    /// Σ quantity, in its unit.
    pub volume: W,
}

impl<W: Total> Vwap<W> {
    /// The average price, in the unit of the prices; `None` if the volume is zero.
    pub fn price(&self) -> Option<f64> {
        (self.volume != W::ZERO).then(|| self.notional.to_f64() / self.volume.to_f64())
    }
}

impl<T, P, Q, F, G> Aggregate<T> for VwapOf<F, G>
where
    P: Number,
    Q: Number<Total = P::Total>,
    F: Fn(&T) -> P,
    G: Fn(&T) -> Q,
{
    type State = Vwap<P::Total>;
    type Output = Vwap<P::Total>;

    const INVERTIBLE: bool = P::Total::EXACT;

    #[inline]
    fn init(&self) -> Self::State {
        Vwap { notional: P::Total::ZERO, volume: P::Total::ZERO }
    }

    #[inline]
    fn add(&self, sums: &mut Self::State, _: Timestamp, item: &T) {
        let quantity = (self.quantity)(item).total();
        sums.notional = sums.notional.plus((self.price)(item).total().times(quantity));
        sums.volume = sums.volume.plus(quantity);
    }

    #[inline]
    fn merge(&self, sums: &mut Self::State, later: &Self::State) {
        sums.notional = sums.notional.plus(later.notional);
        sums.volume = sums.volume.plus(later.volume);
    }

    #[inline]
    fn finish(&self, sums: &Self::State, _: Span) -> Self::Output {
        *sums
    }

    #[inline]
    fn remove(&self, sums: &mut Self::State, oldest: &Self::State) {
        sums.notional = sums.notional.minus(oldest.notional);
        sums.volume = sums.volume.minus(oldest.volume);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, close, cuts, same};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_keep_the_laws_exactly(Cuts { items, at } in cuts(any::<(i32, u32)>())) {
            laws::hold(&vwap(|x: &(i32, u32)| x.0, |x: &(i32, u32)| x.1), &items, at, same);
        }

        #[test]
        fn floats_keep_the_laws_to_rounding(Cuts { items, at } in cuts((0.1..1e6, 0.1..1e3))) {
            let vwap = vwap(|x: &(f64, f64)| x.0, |x: &(f64, f64)| x.1);
            laws::hold(&vwap, &items, at, |a, b| {
                close(a.notional, b.notional) && close(a.volume, b.volume)
            });
        }
    }

    #[test]
    fn without_volume_there_is_no_price() {
        let vwap = vwap(|x: &i64| *x, |_: &i64| 0);
        assert_eq!(vwap.over(SPAN, [(Timestamp::EPOCH, 5)]).price(), None);
    }

    #[test]
    fn the_largest_prices_and_quantities_do_not_overflow() {
        let vwap = vwap(|x: &i64| *x, |x: &i64| *x).over(SPAN, [(Timestamp::EPOCH, i64::MAX)]);
        assert_eq!(vwap.notional, i128::from(i64::MAX) * i128::from(i64::MAX));
    }
}
