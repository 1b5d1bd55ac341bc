//! `variance`: how far the numbers of the items spread.

use super::number::float;
use super::{Aggregate, Number, Span};
use crate::Timestamp;

/// Count, mean, variance and standard deviation of what `f` gives for each item.
///
/// One pass without the cancellation of Σx² − (Σx)²: items are added as by Welford (1962), parts
/// merged as by Chan, Golub and LeVeque (1979). All in `f64`; however it is cut, Σ(x − mean)² agrees
/// to 1e-12 of Σx².
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, variance};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let items = [2, 4, 4, 4, 5, 5, 7, 9].map(|x| (Timestamp::EPOCH, x));
/// let moments = variance(|x: &i32| *x).over(second, items);
/// assert_eq!(moments.mean(), Some(5.0));
/// assert_eq!(moments.population_variance(), Some(4.0));
/// assert_eq!(moments.population_std_dev(), Some(2.0));
/// assert_eq!(moments.sample_variance(), Some(32.0 / 7.0));
/// ```
#[doc(alias("std_dev", "stddev", "standard_deviation", "var_pop", "var_samp", "volatility"))]
pub fn variance<T, N: Number, F: Fn(&T) -> N>(f: F) -> Variance<F> {
    Variance(f)
}

/// The aggregate behind [`variance`].
#[derive(Debug, Clone, Copy)]
pub struct Variance<F>(F);

/// How numbers spread around their mean.
///
/// A *population* is all there is; a *sample* stands for more, and divides by one less (Bessel), so
/// that its variance is not too small on average.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Moments {
    count: u64,
    mean: f64,
    /// The sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// How many numbers there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Their arithmetic mean, in their unit; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then_some(self.mean)
    }

    /// Σ(x − mean)² / n, in their unit squared; `None` without any.
    pub fn population_variance(&self) -> Option<f64> {
        (self.count > 0).then(|| self.squares / self.count as f64)
    }

    /// Σ(x − mean)² / (n − 1), in their unit squared; `None` for fewer than two.
    pub fn sample_variance(&self) -> Option<f64> {
        (self.count > 1).then(|| self.squares / (self.count - 1) as f64)
    }

    /// The root of the [population variance](Self::population_variance), in their unit.
    pub fn population_std_dev(&self) -> Option<f64> {
        self.population_variance().map(f64::sqrt)
    }

    /// The root of the [sample variance](Self::sample_variance), in their unit.
    pub fn sample_std_dev(&self) -> Option<f64> {
        self.sample_variance().map(f64::sqrt)
    }
}

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for Variance<F> {
    type State = Moments;
    type Output = Moments;

    #[inline]
    fn init(&self) -> Moments {
        Moments::default()
    }

    #[inline]
    fn add(&self, state: &mut Moments, _: Timestamp, item: &T) {
        let x = float((self.0)(item));
        let from_old = x - state.mean;
        state.count += 1;
        state.mean += from_old / state.count as f64;
        state.squares += from_old * (x - state.mean);
    }

    #[inline]
    fn merge(&self, state: &mut Moments, later: &Moments) {
        if later.count == 0 {
            return;
        }
        let (n, m) = (state.count as f64, later.count as f64);
        let apart = later.mean - state.mean;
        state.count += later.count;
        state.mean += apart * (m / (n + m));
        state.squares += later.squares + apart * apart * (n * m / (n + m));
    }

    #[inline]
    fn finish(&self, state: &Moments, _: Span) -> Moments {
        *state
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, close, cuts};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_keeps_the_laws(Cuts { items, at } in cuts(-1e6..1e6)) {
            let scale = items.iter().map(|(_, x)| x * x).sum::<f64>();
            laws::hold(&variance(|x: &f64| *x), &items, at, |a, b| {
                a.count == b.count
                    && close(a.mean, b.mean)
                    && (a.squares - b.squares).abs() <= 1e-12 * scale
            });
        }

        #[test]
        fn it_is_what_two_passes_give(Cuts { items, .. } in cuts(-1_000..1_000_i32)) {
            let moments = variance(|x: &i32| *x).over(SPAN, items.clone());
            let n = items.len() as f64;
            let mean = items.iter().map(|(_, x)| f64::from(*x)).sum::<f64>() / n;
            let squares = items.iter().map(|(_, x)| (f64::from(*x) - mean).powi(2)).sum::<f64>();
            if let Some(variance) = moments.sample_variance() {
                prop_assert!(close(variance, squares / (n - 1.0)));
            }
            if let Some(variance) = moments.population_variance() {
                prop_assert!(close(variance, squares / n));
            }
        }
    }

    #[test]
    fn a_large_offset_does_not_swallow_a_small_spread() {
        let items = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0].map(|x| (Timestamp::EPOCH, x));
        let moments = variance(|x: &f64| *x).over(SPAN, items);
        assert_eq!(moments.sample_variance(), Some(30.0));
    }

    #[test]
    fn nothing_has_no_variance_and_one_number_only_that_of_a_population() {
        let variance = variance(|x: &u8| *x);
        let none = variance.over(SPAN, []);
        assert_eq!((none.mean(), none.population_variance()), (None, None));
        let one = variance.over(SPAN, [(Timestamp::EPOCH, 7)]);
        assert_eq!((one.population_std_dev(), one.sample_std_dev()), (Some(0.0), None));
    }
}
