//! `quantile` and `quantiles`: values below which a part of the items lies.

use std::fmt;

use sketches_ddsketch::{Config, DDSketch};

use super::number::float;
use super::{Aggregate, Number, Span};
use crate::Timestamp;

/// How far apart values of one sign can be until those nearest to zero share a bin.
const RANGE: f64 = 1e18;

/// The value at one quantile `q` of what `f` gives: 0.5 is the median, 0.99 what only one in a
/// hundred exceeds. `None` without items.
///
/// See [`quantiles`] for several of the same values, and for what is promised.
///
/// # Panics
///
/// If `q` is not between 0 and 1.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, quantile};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let latencies = (1..=1_000).map(|ms| (Timestamp::EPOCH, ms));
/// let median = quantile(|ms: &u32| *ms, 0.5).over(second, latencies).unwrap();
/// assert!((median - 500.0).abs() <= 0.01 * 500.0);
/// ```
#[doc(alias("percentile", "median", "ddsketch", "p99"))]
#[track_caller]
pub fn quantile<T, N: Number, F: Fn(&T) -> N>(f: F, q: f64) -> Quantile<F> {
    Quantile(quantiles(f, [q]))
}

/// The values at the quantiles `at` of what `f` gives, in the order of `at`; `None` without items.
///
/// The value at `q` is that of rank ⌊q (n − 1)⌋ of the sorted values, counted from zero, to within a
/// relative error of 1 %, or that of [`relative_error`](Quantiles::relative_error); those at 0 and 1
/// are exact. A DDSketch (Masson, Rim and Lee, 2019) counts the values in bins whose bounds grow by a
/// constant factor, so it does not matter in which order they come or how they are cut. (A t-digest
/// promises no error, and its answers depend on both.)
///
/// The error bound holds for values whose size is within a factor of 10¹⁸ of the largest of their
/// sign; smaller ones are taken to be of that size. A window holds at most 332 bytes divided by the
/// relative error, 33 KiB for 1 %, and less where the values are closer together. Values that are
/// not finite are passed over. Costs a logarithm for each item.
///
/// # Panics
///
/// If one of `at` is not between 0 and 1.
///
/// ```
/// use aqueduct_operators::Timestamp;
/// use aqueduct_operators::aggregate::{Aggregate, Span, quantiles};
///
/// let second = Span { start: Timestamp::EPOCH, end: Timestamp::from_secs(1) };
/// let latencies = (1..=1_000).map(|ms| (Timestamp::EPOCH, ms));
/// let at = quantiles(|ms: &u32| *ms, [0.5, 0.99, 1.0]).relative_error(0.001);
/// let [median, p99, max] = at.over(second, latencies).unwrap();
/// assert!((median - 500.0).abs() <= 0.5 && (p99 - 990.0).abs() <= 1.0);
/// assert_eq!(max, 1_000.0);
/// ```
#[doc(alias("percentiles", "summary", "ddsketch"))]
#[track_caller]
pub fn quantiles<T, N: Number, F: Fn(&T) -> N, const K: usize>(
    f: F,
    at: [f64; K],
) -> Quantiles<F, K> {
    for q in at {
        assert!((0.0..=1.0).contains(&q), "quantiles: {q} is not between 0 and 1");
    }
    Quantiles { value: f, at, config: config(0.01) }
}

/// The aggregate behind [`quantiles`].
#[derive(Debug, Clone, Copy)]
pub struct Quantiles<F, const K: usize> {
    value: F,
    at: [f64; K],
    config: Config,
}

/// The aggregate behind [`quantile`].
#[derive(Debug, Clone, Copy)]
pub struct Quantile<F>(Quantiles<F, 1>);

fn config(relative_error: f64) -> Config {
    // The bounds of the bins grow by this factor.
    let growth = (1.0 + relative_error) / (1.0 - relative_error);
    let bins = (RANGE.ln() / growth.ln()).ceil() as u32;
    // Only zero itself and what is denormal counts as zero.
    Config::new(relative_error, bins, f64::MIN_POSITIVE)
}

impl<F, const K: usize> Quantiles<F, K> {
    /// Lets a value be off by so much of itself, instead of 0.01, which is 1 %. Half the error takes
    /// twice the memory.
    ///
    /// # Panics
    ///
    /// If it is not between 0.001 and 0.5.
    #[must_use]
    #[track_caller]
    pub fn relative_error(self, relative_error: f64) -> Self {
        assert!(
            (0.001..=0.5).contains(&relative_error),
            "quantiles: the relative error {relative_error} is not between 0.001 and 0.5"
        );
        Self { config: config(relative_error), ..self }
    }
}

impl<F> Quantile<F> {
    /// As [`Quantiles::relative_error`].
    ///
    /// # Panics
    ///
    /// If it is not between 0.001 and 0.5.
    #[must_use]
    #[track_caller]
    pub fn relative_error(self, relative_error: f64) -> Self {
        Self(self.0.relative_error(relative_error))
    }
}

/// What a window of [`quantiles`] keeps.
#[derive(Clone)]
pub struct Sketch(DDSketch);

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sketch) = self;
        f.debug_struct("Sketch")
            .field("count", &sketch.count())
            .field("min", &sketch.min())
            .field("max", &sketch.max())
            .finish_non_exhaustive()
    }
}

impl<T, N: Number, F: Fn(&T) -> N, const K: usize> Aggregate<T> for Quantiles<F, K> {
    type State = Sketch;
    type Output = Option<[f64; K]>;

    #[inline]
    fn init(&self) -> Sketch {
        Sketch(DDSketch::new(self.config))
    }

    #[inline]
    fn add(&self, Sketch(sketch): &mut Sketch, _: Timestamp, item: &T) {
        let x = float((self.value)(item));
        if x.is_finite() {
            sketch.add(x);
        }
    }

    #[inline]
    fn merge(&self, Sketch(sketch): &mut Sketch, Sketch(later): &Sketch) {
        // It fails only between sketches of different settings.
        let _ = sketch.merge(later);
    }

    fn finish(&self, Sketch(sketch): &Sketch, _: Span) -> Option<[f64; K]> {
        let (min, max) = (sketch.min()?, sketch.max()?);
        // Never without an answer: the sketch is not empty, and the quantiles are in range.
        let value = |q| sketch.quantile(q).ok().flatten().unwrap_or(max);
        Some(self.at.map(|q| value(q).clamp(min, max)))
    }
}

impl<T, N: Number, F: Fn(&T) -> N> Aggregate<T> for Quantile<F> {
    type State = Sketch;
    type Output = Option<f64>;

    #[inline]
    fn init(&self) -> Sketch {
        self.0.init()
    }

    #[inline]
    fn add(&self, state: &mut Sketch, time: Timestamp, item: &T) {
        self.0.add(state, time, item);
    }

    #[inline]
    fn merge(&self, state: &mut Sketch, later: &Sketch) {
        self.0.merge(state, later);
    }

    #[inline]
    fn finish(&self, state: &Sketch, span: Span) -> Option<f64> {
        self.0.finish(state, span).map(|[value]| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::laws::{self, Cuts, SPAN, cuts, same};
    use proptest::prelude::*;

    const AT: [f64; 6] = [0.0, 0.01, 0.5, 0.9, 0.999, 1.0];

    proptest! {
        #[test]
        fn it_keeps_the_laws_and_its_error_bound(
            Cuts { items, at } in cuts(prop_oneof![-1e6..1e6, -1.0..1.0, Just(0.0)]),
            error in prop_oneof![Just(0.001), Just(0.01), Just(0.1)],
        ) {
            let quantiles = quantiles(|x: &f64| *x, AT).relative_error(error);
            laws::hold(&quantiles, &items, at, same);
            let mut sorted: Vec<_> = items.iter().map(|(_, x)| *x).collect();
            sorted.sort_by(f64::total_cmp);
            if let Some(found) = quantiles.over(SPAN, items) {
                for (q, found) in AT.into_iter().zip(found) {
                    let exact = sorted[(q * (sorted.len() - 1) as f64) as usize];
                    let allowed = error * exact.abs() * (1.0 + 1e-9);
                    prop_assert!((found - exact).abs() <= allowed, "{found} at {q}, not {exact}");
                }
            }
        }

        #[test]
        fn with_too_many_bins_it_still_keeps_the_laws(
            Cuts { items, at } in cuts(any::<f64>()),
        ) {
            let quantiles = quantiles(|x: &f64| *x, AT).relative_error(0.01);
            laws::hold(&quantiles, &items, at, same);
        }
    }

    #[test]
    fn a_thousand_values_are_as_near_as_promised_however_far_apart() {
        let values: Vec<f64> = (0..1_000).map(|i| 1e-8 * 1.04_f64.powi(i)).collect();
        let items = values.iter().rev().map(|x| (Timestamp::EPOCH, *x));
        let found = quantiles(|x: &f64| *x, [0.1, 0.5, 0.9]).over(SPAN, items).unwrap();
        for (found, exact) in found.into_iter().zip([values[99], values[499], values[899]]) {
            assert!((found - exact).abs() <= 0.01 * exact);
        }
    }

    #[test]
    fn a_window_holds_no_more_than_it_says() {
        for error in [0.001, 0.01, 0.1, 0.5] {
            let quantiles = quantiles(|x: &f64| *x, [0.5]).relative_error(error);
            let mut state = quantiles.init();
            for exponent in -300..300 {
                let x = 10_f64.powi(exponent);
                quantiles.add(&mut state, Timestamp::EPOCH, &x);
                quantiles.add(&mut state, Timestamp::EPOCH, &-x);
            }
            let bytes = state.0.length() * size_of::<u64>();
            assert!(bytes as f64 <= 332.0 / error + 16.0, "{bytes} bytes at an error of {error}");
        }
    }

    #[test]
    fn what_is_not_finite_is_passed_over() {
        let items =
            [f64::NAN, f64::INFINITY, 3.0, f64::NEG_INFINITY].map(|x| (Timestamp::EPOCH, x));
        assert_eq!(quantile(|x: &f64| *x, 0.0).over(SPAN, items), Some(3.0));
        assert_eq!(quantile(|x: &f64| *x, 0.5).over(SPAN, []), None);
    }

    #[test]
    #[should_panic(expected = "quantiles: 50 is not between 0 and 1")]
    fn a_percentage_is_refused() {
        let _ = quantile(|x: &f64| *x, 50.0);
    }

    #[test]
    #[should_panic(expected = "the relative error 0 is not between 0.001 and 0.5")]
    fn an_error_of_zero_is_refused() {
        let _ = quantile(|x: &f64| *x, 0.5).relative_error(0.0);
    }
}
