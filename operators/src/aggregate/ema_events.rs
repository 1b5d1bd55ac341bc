//! `ema_events`: an exponential moving average over items.

use super::number::float;
use super::{Aggregate, Number, Span};
use crate::Timestamp;

/// The exponential moving average of what `f` gives, over about `span` items; `None` without any.
///
/// y₀ = x₀, then y += a (x − y) with a = 2 / (span + 1): the *span* of pandas' `ewm` with
/// `adjust=False`, and of most charts. A window that carries on from the one before goes on with its
/// average. Order is that of arrival. However it is cut, it agrees to 1e-9 of the largest value.
///
/// # Panics
///
/// If `span` is zero.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, ema_events};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let prices = [100.0, 102.0, 101.0].map(|x| (Timestamp::EPOCH, x));
/// let average = ema_events(|price: &f64| *price, 3); // a = 1/2
/// assert_eq!(average.over(second, prices), Some(101.0));
/// ```
#[doc(alias("ema", "ewma", "exponential_moving_average", "ewm"))]
#[track_caller]
pub fn ema_events<T, N: Number, F: Fn(&T) -> N>(f: F, span: u32) -> EmaEvents<F> {
    assert!(span > 0, "ema_events: the span must not be zero");
    EmaEvents { value: f, weight: 2.0 / (f64::from(span) + 1.0) }
}

/// The aggregate behind [`ema_events`].
#[derive(Debug, Clone, Copy)]
pub struct EmaEvents<F> {
    value: F,
    /// How much the newest item weighs.
    weight: f64,
}

/// A stretch of items, as what it does to the average before it: y → average + rest · (y − start).
#[derive(Debug, Clone, Copy)]
pub struct EventStretch {
    /// What the average was taken to be before it: that of the window before, or the first item.
    start: f64,
    /// What it is after it.
    average: f64,
    /// How much of what was before it still weighs: (1 − a)ⁿ.
    rest: f64,
}

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for EmaEvents<F> {
    type State = Option<EventStretch>;
    type Output = Option<f64>;

    #[inline]
    fn init(&self) -> Self::State {
        None
    }

    #[inline]
    fn add(&self, state: &mut Self::State, _: Timestamp, item: &T) {
        let x = float((self.value)(item));
        match state {
            Some(stretch) => {
                stretch.average += self.weight * (x - stretch.average);
                stretch.rest *= 1.0 - self.weight;
            }
            None => *state = Some(EventStretch { start: x, average: x, rest: 1.0 - self.weight }),
        }
    }

    #[inline]
    fn merge(&self, state: &mut Self::State, later: &Self::State) {
        match (&mut *state, later) {
            (Some(stretch), Some(later)) => {
                stretch.average = later.average + later.rest * (stretch.average - later.start);
                stretch.rest *= later.rest;
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
        before.map(|EventStretch { average, .. }| EventStretch {
            start: average,
            average,
            rest: 1.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, both_close, cuts};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws(Cuts { items, at } in cuts(1e3..1e6), span in 1..50_u32) {
            laws::hold(&ema_events(|x: &f64| *x, span), &items, at, both_close);
        }
    }

    #[test]
    fn a_window_goes_on_with_the_average_of_the_one_before() {
        let ema = ema_events(|x: &f64| *x, 3);
        let mut before = ema.init();
        ema.add(&mut before, Timestamp::EPOCH, &100.0);
        let mut window = ema.carry(&before);
        assert_eq!(ema.finish(&window, SPAN), Some(100.0));
        ema.add(&mut window, Timestamp::EPOCH, &102.0);
        assert_eq!(ema.finish(&window, SPAN), Some(101.0));
    }

    #[test]
    #[should_panic(expected = "ema_events: the span must not be zero")]
    fn a_span_of_zero_is_refused() {
        let _ = ema_events(|x: &f64| *x, 0);
    }
}
