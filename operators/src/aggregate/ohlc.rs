//! `ohlc`: first, highest, lowest and last value.

use std::marker::PhantomData;

use super::number::compares;
use super::{Aggregate, ByArrival, ByTime, Order, Span};
use crate::Timestamp;

/// The first, highest, lowest and last of what `f` gives for each item: a bar. `None` without items.
///
/// First and last go by arrival, or [by time](OhlcOf::by_time). A window without items that carries
/// on from the one before is flat at that one's close; one with items has nothing of it. A float
/// that is not a number is passed over.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Ohlc, Span, ohlc};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let at = |ms, price| (Timestamp::from_millis(ms), price);
/// let prices = [at(2, 100), at(1, 103), at(4, 99), at(3, 101)];
/// let bar = ohlc(|price: &i64| *price);
/// let by_arrival = bar.over(second, prices);
/// assert_eq!(by_arrival, Some(Ohlc { open: 100, high: 103, low: 99, close: 101 }));
/// let by_time = bar.by_time().over(second, prices);
/// assert_eq!(by_time, Some(Ohlc { open: 103, high: 103, low: 99, close: 99 }));
/// ```
#[doc(alias("bar", "candle", "candlestick", "kline"))]
pub fn ohlc<T, V: PartialOrd + Copy, F: Fn(&T) -> V>(f: F) -> OhlcOf<F> {
    OhlcOf { value: f, order: PhantomData }
}

/// The aggregate behind [`ohlc`].
#[derive(Debug, Clone, Copy)]
pub struct OhlcOf<F, O = ByArrival> {
    value: F,
    order: PhantomData<O>,
}

impl<F> OhlcOf<F> {
    /// Opens with the first by time and closes with the last; of items with the same time, with the
    /// first and the last to arrive.
    pub fn by_time(self) -> OhlcOf<F, ByTime> {
        OhlcOf { value: self.value, order: PhantomData }
    }
}

/// A bar: four values of a window, in the unit of its items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ohlc<V> {
    /// The first.
    pub open: V,
    /// The highest.
    pub high: V,
    /// The lowest.
    pub low: V,
    /// The last.
    pub close: V,
}

/// What a window of [`ohlc`] keeps.
#[derive(Debug, Clone, Copy, Default)]
pub enum OhlcState<V, K> {
    /// Nothing is known.
    #[default]
    Unknown,
    /// No items; the close of the window before.
    Carried(V),
    /// The bar so far.
    Items {
        /// Its values.
        bar: Ohlc<V>,
        /// The key of the item that opened it.
        first: K,
        /// The key of the item that closes it.
        last: K,
    },
}

impl<T, V: PartialOrd + Copy, F: Fn(&T) -> V, O: Order> Aggregate<T> for OhlcOf<F, O> {
    type State = OhlcState<V, O::Key>;
    type Output = Option<Ohlc<V>>;

    #[inline]
    fn init(&self) -> Self::State {
        OhlcState::Unknown
    }

    #[inline]
    fn add(&self, state: &mut Self::State, time: Timestamp, item: &T) {
        let (key, value) = (O::key(time), (self.value)(item));
        if !compares(&value) {
            return;
        }
        let OhlcState::Items { bar, first, last } = state else {
            let bar = Ohlc { open: value, high: value, low: value, close: value };
            *state = OhlcState::Items { bar, first: key, last: key };
            return;
        };
        // Stored each time, without a branch: one instruction for most numbers.
        bar.high = if value > bar.high { value } else { bar.high };
        bar.low = if value < bar.low { value } else { bar.low };
        if key < *first {
            (*first, bar.open) = (key, value);
        }
        if key >= *last {
            (*last, bar.close) = (key, value);
        }
    }

    #[inline]
    fn merge(&self, state: &mut Self::State, later: &Self::State) {
        match (&mut *state, later) {
            (_, OhlcState::Unknown) | (OhlcState::Items { .. }, OhlcState::Carried(_)) => {}
            (
                OhlcState::Items { bar, first, last },
                OhlcState::Items { bar: later, first: later_first, last: later_last },
            ) => {
                if later.high > bar.high {
                    bar.high = later.high;
                }
                if later.low < bar.low {
                    bar.low = later.low;
                }
                if later_first < first {
                    (*first, bar.open) = (*later_first, later.open);
                }
                if later_last >= last {
                    (*last, bar.close) = (*later_last, later.close);
                }
            }
            _ => *state = *later,
        }
    }

    #[inline]
    fn finish(&self, state: &Self::State, _: Span) -> Option<Ohlc<V>> {
        match *state {
            OhlcState::Unknown => None,
            OhlcState::Carried(value) => {
                Some(Ohlc { open: value, high: value, low: value, close: value })
            }
            OhlcState::Items { bar, .. } => Some(bar),
        }
    }

    #[inline]
    fn carry(&self, before: &Self::State) -> Self::State {
        match *before {
            OhlcState::Items { bar, .. } => OhlcState::Carried(bar.close),
            carried => carried,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use crate::aggregate::{first, last, max, min};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn by_arrival_it_keeps_the_laws(Cuts { items, at } in cuts(-9..9_i32)) {
            laws::hold(&ohlc(|x: &i32| *x), &items, at, same);
        }

        #[test]
        fn by_time_it_keeps_the_laws_and_is_the_four_at_once(
            Cuts { items, at } in cuts(-9..9_i32),
        ) {
            let value = |x: &i32| *x;
            let bar = ohlc(value).by_time();
            laws::hold(&bar, &items, at, same);
            let four = (first(value).by_time(), max(value), min(value), last(value).by_time());
            let bar = bar.over(SPAN, items.clone());
            let bar = (bar.map(|b| b.open), bar.map(|b| b.high), bar.map(|b| b.low), bar.map(|b| b.close));
            prop_assert_eq!(bar, four.over(SPAN, items));
        }
    }

    #[test]
    fn a_window_without_items_is_flat_at_the_close_before_and_one_with_items_forgets_it() {
        let ohlc = ohlc(|x: &i32| *x);
        let mut before = ohlc.init();
        ohlc.add(&mut before, Timestamp::EPOCH, &9);
        ohlc.add(&mut before, Timestamp::EPOCH, &4);
        let mut window = ohlc.carry(&ohlc.carry(&before));
        let flat = |x| Some(Ohlc { open: x, high: x, low: x, close: x });
        assert_eq!(ohlc.finish(&window, SPAN), flat(4));
        ohlc.add(&mut window, Timestamp::EPOCH, &7);
        assert_eq!(ohlc.finish(&window, SPAN), flat(7));
    }

    #[test]
    fn what_is_not_a_number_is_passed_over() {
        let items = [f64::NAN, 2.0, f64::NAN, 1.0, f64::NAN].map(|x| (Timestamp::EPOCH, x));
        let bar = ohlc(|x: &f64| *x).over(SPAN, items);
        assert_eq!(bar, Some(Ohlc { open: 2.0, high: 2.0, low: 1.0, close: 1.0 }));
    }
}
