//! `ema_half_life`: an exponential moving average over time.

use std::time::Duration;

use super::number::float;
use super::{Aggregate, Number, Span};
use crate::Timestamp;

/// The exponential moving average of what `f` gives, in which an item's weight halves every
/// `half_life` of the items' time; `None` without items.
///
/// y₀ = x₀, then y += a (x − y) with a = 1 − exp(−ln 2 · dt / half_life), dt since the item before.
/// That is pandas' `ewm` with `halflife` and `times`, `adjust=False`. An item that is not later than
/// one before it has no weight; where that matters, bring the items into the order of their times
/// first. A window that carries on from the one before goes on with its average.
///
/// In the order of time, however it is cut, it agrees to 1e-9 of the largest value. Costs an
/// exponential for each item.
///
/// # Panics
///
/// If `half_life` is zero.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, ema_half_life};
/// use std::time::Duration;
///
/// let at = Timestamp::from_secs;
/// let average = ema_half_life(|price: &f64| *price, Duration::from_secs(10));
/// let minute = Span { start: at(0), end: at(60) };
/// let price = average.over(minute, [(at(0), 100.0), (at(10), 104.0)]).unwrap();
/// assert!((price - 102.0).abs() < 1e-9);
/// ```
#[doc(alias("ema", "ewma", "exponential_moving_average", "ewm", "exponential_decay"))]
#[track_caller]
pub fn ema_half_life<T, N: Number, F: Fn(&T) -> N>(f: F, half_life: Duration) -> EmaHalfLife<F> {
    assert!(!half_life.is_zero(), "ema_half_life: the half-life must not be zero");
    EmaHalfLife { value: f, rate: -std::f64::consts::LN_2 / half_life.as_nanos() as f64 }
}

/// The aggregate behind [`ema_half_life`].
#[derive(Debug, Clone, Copy)]
pub struct EmaHalfLife<F> {
    value: F,
    /// −ln 2 / half_life, by the nanosecond.
    rate: f64,
}

/// A stretch of items, as what it does to an average y that was right when it began:
/// y → average + rest · (y − start).
#[derive(Debug, Clone, Copy)]
pub struct TimeStretch {
    /// What the average was taken to be when it began: that of the window before, or the first item.
    start: f64,
    /// What it is at the last item.
    average: f64,
    /// How much of what was when it began still weighs.
    rest: f64,
    /// When it began.
    first: Timestamp,
    /// The latest item.
    last: Timestamp,
}

impl<F> EmaHalfLife<F> {
    /// −ln 2 · dt / half_life; zero if `to` is the earlier one.
    #[inline]
    fn exponent(&self, from: Timestamp, to: Timestamp) -> f64 {
        if to > from {
            self.rate * to.as_nanos().wrapping_sub(from.as_nanos()).cast_unsigned() as f64
        } else {
            0.0
        }
    }
}

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for EmaHalfLife<F> {
    type State = Option<TimeStretch>;
    type Output = Option<f64>;

    #[inline]
    fn init(&self) -> Self::State {
        None
    }

    #[inline]
    fn add(&self, state: &mut Self::State, time: Timestamp, item: &T) {
        let x = float((self.value)(item));
        match state {
            Some(stretch) if time > stretch.last => {
                // Of short times the weight is small, and 1 − exp(…) would round it away.
                let weight = -self.exponent(stretch.last, time).exp_m1();
                stretch.average += weight * (x - stretch.average);
                stretch.rest *= 1.0 - weight;
                stretch.last = time;
            }
            Some(_) => {}
            None => {
                *state =
                    Some(TimeStretch { start: x, average: x, rest: 1.0, first: time, last: time });
            }
        }
    }

    #[inline]
    fn merge(&self, state: &mut Self::State, later: &Self::State) {
        match (&mut *state, later) {
            (Some(stretch), Some(later)) => {
                let rest = later.rest * self.exponent(stretch.last, later.first).exp();
                stretch.average = later.average + rest * (stretch.average - later.start);
                stretch.rest *= rest;
                stretch.last = stretch.last.max(later.last);
            }
            (None, Some(_)) => *state = *later,
            (_, None) => {}
        }
    }

    #[inline]
    fn finish(&self, state: &Self::State, _: Span) -> Option<f64> {
        state.map(|stretch| stretch.average)
    }

    #[inline]
    fn carry(&self, before: &Self::State) -> Self::State {
        before.map(|TimeStretch { average, last, .. }| TimeStretch {
            start: average,
            average,
            rest: 1.0,
            first: last,
            last,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, both_close, in_order};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn in_order_it_keeps_the_laws(
            Cuts { items, at } in in_order(1e3..1e6),
            half_life in 1..2_000_u64,
        ) {
            let ema = ema_half_life(|x: &f64| *x, Duration::from_nanos(half_life));
            laws::hold(&ema, &items, at, both_close);
        }
    }

    #[test]
    fn a_window_goes_on_with_the_average_of_the_one_before_and_its_time() {
        let ema = ema_half_life(|x: &f64| *x, Duration::from_secs(1));
        let mut before = ema.init();
        ema.add(&mut before, Timestamp::EPOCH, &100.0);
        let mut window = ema.carry(&before);
        assert_eq!(ema.finish(&window, SPAN), Some(100.0));
        ema.add(&mut window, Timestamp::from_secs(2), &104.0);
        assert!((ema.finish(&window, SPAN).unwrap() - 103.0).abs() < 1e-12);
    }

    #[test]
    fn an_item_that_is_not_later_than_another_has_no_weight() {
        let ema = ema_half_life(|x: &f64| *x, Duration::from_secs(1));
        let items = [(1, 5.0), (1, 9.0), (0, 7.0)].map(|(s, x)| (Timestamp::from_secs(s), x));
        assert_eq!(ema.over(SPAN, items), Some(5.0));
    }

    #[test]
    #[should_panic(expected = "ema_half_life: the half-life must not be zero")]
    fn a_half_life_of_zero_is_refused() {
        let _ = ema_half_life(|x: &f64| *x, Duration::ZERO);
    }
}
